"""Loads and voids with offers, and where offers, points and limits meet: each plan whole, and what refuses it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.unit.offer_facts import (
    CAMPAIGN,
    POINTS,
    TERMS,
    THREE,
    applied,
    change_of,
    collecting,
    decide,
    kept,
    line,
    member,
    offered,
    share,
    voucher_grant,
)
from tests.unit.plan_facts import (
    BONUS,
    BOOK,
    CARD,
    CLEARING,
    EXPENSE,
    ISSUER,
    MERCHANT,
    NEW,
    NOW,
    PAYABLE,
    PAYMENT,
    PLACE,
    PRINCIPAL,
    STORE,
    TERMINAL,
    card,
    facts,
    lot,
    planned,
    programme,
    refused,
)
from tests.unit.promotion_facts import campaign, compiled, conditions, group, off
from tests.unit.test_plan_offers import BUDGET, HOLDER, OFF, OFF_KEPT, VOUCHER, authorized, earning, refund_of, spend
from tests.unit.test_plan_whole import EARLIER, known_limits, made
from tests.unit.test_promotions_load import bonus, offer

from kaquan.cards import Ending, Fees, Pocket
from kaquan.ledger import Effect, Guard, Leg, NewLot, Posting
from kaquan.payments import Capture, Load, PaymentKind, PaymentStatus, Plan, PocketAmount, Refund, Void
from kaquan.payments.capture import plan_capture
from kaquan.payments.kept import KeptPart, KeptTender, KeptUse, PartKind, hash_kept, read_kept, write_part
from kaquan.payments.limits import Maxima, Movement, Use
from kaquan.payments.load import plan_load
from kaquan.payments.price import funding_of
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import Accounts, Facts, Giving, Instalment, Receipt
from kaquan.payments.void import plan_void
from kaquan.points import EarningRule, LinePoints, Multiplier, PointsTerms
from kaquan.promotions import Budget, BudgetMetric, BudgetPeriod, FunderKind, OnReturn, compile_campaigns
from kaquan.promotions.kinds.load_rebate import Tier as RebateTier
from kaquan.promotions.kinds.pieces_off import Tier as PiecesTier
from kaquan.vouchers import HeldBy, HolderKind

FREE = group("")
OF_CARD = HeldBy(HolderKind.CARD, CARD)
RESTS = Ending(UUID(int=88), NOW, NOW + timedelta(hours=1), date(2026, 3, 9), NOW + timedelta(hours=2))


def load(amount_fen: int = 500_00, **other: Any) -> Load:
    return Load(CARD, amount_fen, 0, EARLIER, "order 7", PLACE)._replace(**other)


def top_up(*offers: Any, **more: Any) -> Facts:
    return offered(facts(HOLDER), compiled(*offers, funders=THREE, **more))


def test_a_load_with_a_bonus_of_three_funders() -> None:
    known = top_up(bonus(), budgets=BUDGET)
    plan, _ = decide(plan_load, known, load(bonus_fen=10_00))
    assert plan.kept is not None
    told = read_kept(plan.kept)
    assert [one.offer for one in told.applied] == ["o"]
    new = made(PaymentKind.LOAD, PaymentStatus.COMPLETED, 500_00, bonus_fen=40_00)
    budgets = plan.budgets
    assert [(budget.amount_fen, use.amount_fen) for budget, use in budgets] == [(30_00, 30_00)]
    assert plan == Plan(
        Posting(
            NEW,
            "load",
            EARLIER,
            [
                Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500_00),
                Leg(Effect.POST, EXPENSE, None, BONUS, 10, 10_00),
                Leg(Effect.POST, 1_000, None, BONUS, 10, 15_00),
                Leg(Effect.POST, 1_001, None, BONUS, 10, 9_00),
                Leg(Effect.POST, 1_002, None, BONUS, 10, 6_00),
            ],
            [Guard(PRINCIPAL, 5), Guard(BONUS, 9)],
            [NewLot(PRINCIPAL, 6, 500_00, 40_00, None), NewLot(BONUS, 10, 500_00, 40_00, None)],
            place_id=TERMINAL,
            reference="order 7",
            detail=hash_kept(plan.kept),
        ),
        Receipt(
            new, [PocketAmount(Pocket.PRINCIPAL, 500_00), PocketAmount(Pocket.BONUS, 40_00)], 1_040_00,
            plan.receipt.kept,
        ),
        new=new,
        uses=plan.uses,
        kept=plan.kept,
        budgets=budgets,
    )  # fmt: skip
    assert plan.receipt.kept is not None
    assert plan.receipt.kept.grants == told.grants
    assert plan.uses is not None
    assert plan.uses.calendar == [budgets[0][1]]
    _, besides = decide(plan_load, known, load())
    assert besides == [
        ("post", "issuer bonus_expense", BONUS, 15_00),
        ("post", "merchant bonus_expense", BONUS, 9_00),
        ("post", "bank bonus_expense", BONUS, 6_00),
    ]


def test_a_load_that_no_offer_has_an_effect_on_keeps_nothing() -> None:
    plan = planned(plan_load(top_up(bonus()), load(499_99)))
    assert (plan.kept, plan.receipt.kept, plan.receipt.payment.bonus_fen) == (None, None, 0)


def test_a_load_counts_in_the_budget_of_its_day() -> None:
    a_day = (Budget(name="d", metric=BudgetMetric.AMOUNT, maximum=1_000_00, period=BudgetPeriod.DAY),)
    plan, _ = decide(plan_load, top_up(bonus(), budgets=a_day), load())
    ((_, use),) = plan.budgets
    assert (use.day, use.month, use.year) == (20260301, 202603, 2026)


def test_a_load_without_a_place_is_paid_for_by_the_issuer_and_the_bank() -> None:
    _, besides = decide(plan_load, top_up(bonus()), load(place=None))
    assert besides == [("post", "issuer bonus_expense", BONUS, 24_00), ("post", "bank bonus_expense", BONUS, 6_00)]


def test_a_presale_is_value_that_is_given() -> None:
    plan, besides = decide(plan_load, top_up(offer("presale", off_bp=1_000, from_fen=500_00)), load())
    assert plan.new is not None
    assert (plan.new.amount_fen, plan.new.captured_fen, plan.new.bonus_fen) == (450_00, 450_00, 50_00)
    assert plan.posting.legs[0] == Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 450_00)
    assert [leg[3] for leg in besides] == [25_00, 15_00, 10_00]
    assert plan.receipt.balance_fen == 1_000_00
    capped = top_up(offer("presale", off_bp=1_000, from_fen=500_00))._replace(
        programme=programme(max_balance_fen=999_99)
    )
    refused(plan_load(capped, load()), "balance_cap_exceeded", "amount_fen", balance_fen=1_000_00)


def test_a_return_by_months_comes_later_from_who_pays_it() -> None:
    plan = planned(plan_load(top_up(offer("monthly_return", from_fen=100_00, return_bp=300, months=2)), load()))
    ids = [
        funding_of(CAMPAIGN, *who).id
        for who in ((FunderKind.ISSUER, ISSUER), (FunderKind.MERCHANT, MERCHANT), (FunderKind.PARTY, UUID(int=55)))
    ]
    due = [datetime(2026, month, day - 1, 16, tzinfo=UTC) for month, day in ((3, 32), (4, 31))]
    assert plan.instalments == tuple(
        Instalment(BOOK, CARD, NEW, CAMPAIGN, at, 7_50, tuple(ids), (3_75, 2_25, 1_50)) for at in due
    )
    assert (plan.posting.legs, plan.receipt.payment.bonus_fen) == (
        [Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500_00)], 0
    )  # fmt: skip


def test_vouchers_of_a_load_go_to_its_card() -> None:
    rebate = offer(
        "load_rebate",
        tiers=(RebateTier(500_00, 500),),
        template_id=UUID(int=5),
        face_fen=10_00,
        valid_days=30,
        most_fen=99_00,
    )
    plan = planned(plan_load(top_up(rebate), load()))
    assert plan.gives == (Giving(BOOK, UUID(int=5), NEW, CARD, OF_CARD, 2, 20_00),)


@pytest.mark.parametrize("told", [{"days_of_month": [1]}, {"weekdays": [7]}])
def test_a_load_is_priced_by_the_clock_of_the_issuer(told: dict[str, list[Any]]) -> None:
    """Before midnight in London it is Sunday the 1st in Shanghai."""
    at = datetime(2026, 2, 28, 17, tzinfo=UTC)
    plan, _ = decide(plan_load, top_up(bonus(told=conditions(**told))), load(occurred_at=at))
    assert plan.kept is not None


def test_a_fee_is_paid_beside_and_named() -> None:
    terms = programme(fees=Fees(load_fen=3_00))
    known = facts(HOLDER, terms=terms)._replace(accounts=Accounts(PAYABLE, CLEARING, EXPENSE, 24))
    plan = planned(plan_load(known, load(fee_fen=3_00)))
    assert plan.posting.legs == [
        Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500_00), Leg(Effect.POST, CLEARING, None, 24, None, 3_00)
    ]  # fmt: skip
    assert (plan.receipt.fee_fen, plan.receipt.balance_fen, plan.receipt.payment.amount_fen) == (3_00, 1_000_00, 500_00)
    for wrong in (0, 2_99):
        refused(plan_load(known, load(fee_fen=wrong)), "fee_not_agreed", "fee_fen", fee_fen=3_00)
    # what was sold was agreed to with the sale
    sold = planned(plan_load(known, load(fee_fen=1_00, sale_id=UUID(int=3))))
    assert sold.receipt.fee_fen == 1_00
    offers, _ = decide(plan_load, known._replace(offers=top_up(bonus()).offers), load(fee_fen=3_00))
    assert (offers.receipt.fee_fen, offers.posting.legs[-1]) == (3_00, Leg(Effect.POST, CLEARING, None, 24, None, 3_00))


def test_a_programme_that_stops_is_not_loaded_and_one_that_ended_is_not_spent() -> None:
    ending = facts(HOLDER, terms=programme(ending=RESTS))
    planned(plan_load(ending, load()))
    stopped = ending._replace(now=RESTS.stops_at)
    told = {"stopped_at": RESTS.stops_at.isoformat(), "last_day": "2026-03-09"}
    refused(plan_load(stopped, load()), "programme_stopped", "card_id", **told)
    planned(plan_spend(stopped, spend()))
    refused(plan_spend(ending._replace(now=RESTS.ends_at), spend()), "programme_ended", "card_id",
            last_day="2026-03-09")  # fmt: skip


def test_budgets_are_counted_beside_limits() -> None:
    for movement, plan, command, book in (
        (
            Movement.SPEND,
            plan_spend,
            spend(900, occurred_at=EARLIER),
            compiled(off(from_fen=1, off_fen=5), budgets=BUDGET),
        ),
        (Movement.LOAD, plan_load, load(500), compiled(bonus(1, 1), budgets=BUDGET)),
    ):
        limited = known_limits(movement, None)
        got, _ = decide(plan, offered(limited, book), command)
        assert got.uses is not None
        assert got.uses.calendar[-1] == got.budgets[0][1]
        assert got.uses.calendar[0] != got.budgets[0][1]


# Voids


def test_a_void_gives_up_everything_that_is_left() -> None:
    use = Use(UUID(int=4), 10_00, 0, 0, 0, Maxima())
    of = OFF_KEPT._replace(uses=(KeptUse(UUID(int=5), use),))
    plan, besides = decide(plan_void, authorized(of), Void(PAYMENT))
    assert besides == [
        ("release", "issuer discount_expense", "payable", 5_00),
        ("release", "merchant discount_expense", "merchant merchant_discount", 3_00),
        ("release", "bank discount_expense", "payable", 2_00),
    ]
    part = KeptPart(PartKind.VOID, ((1, 100_00, 0),), ((0, 5_00), (1, 3_00), (2, 2_00)), (), True)
    assert plan.kept == write_part(part)
    assert (plan.posting.detail, plan.original_id, plan.receipt.kept) == (hash_kept(plan.kept), PAYMENT, of)
    assert (plan.gives_back, plan.returns) == ((use,), ())
    assert plan.posting.legs[0] == Leg(Effect.RELEASE, PRINCIPAL, 1, PAYABLE, None, 90_00)


def test_what_was_captured_is_not_given_up_with_the_rest() -> None:
    captured = KeptPart(PartKind.CAPTURE, ((1, 50_00, 0),), ((0, 2_50), (1, 1_50), (2, 1_00)), (), False)
    use = Use(UUID(int=4), 10_00, 0, 0, 0, Maxima())
    of = OFF_KEPT._replace(uses=(KeptUse(UUID(int=5), use),))
    known = authorized(of, captured, reserved_fen=45_00, captured_fen=45_00)
    plan, besides = decide(plan_void, known, Void(PAYMENT, None, True))
    assert [leg[3] for leg in besides] == [2_50, 1_50, 1_00]
    assert plan.kept == write_part(captured._replace(what=PartKind.VOID))
    assert plan.gives_back == ()
    back = KeptPart(PartKind.REFUND, *captured[1:4], False)
    again, _ = decide(plan_void, authorized(of, back), Void(PAYMENT))
    assert again.gives_back == (use,), "only a capture uses a budget for good"


def test_a_void_brings_vouchers_back() -> None:
    of = kept(
        [line(1, 100_00)], applied=(applied(10_00, voucher_id=VOUCHER),), shares=(share(1, 10_00, voucher_id=VOUCHER),)
    )
    plan, _ = decide(plan_void, authorized(of), Void(PAYMENT))
    assert plan.returns == ((VOUCHER, 10_00),)


# Grants that come by days

DATED = voucher_grant(4, 100_00, due_on=(date(2026, 4, 1), date(2026, 5, 1)))
DUE = (datetime(2026, 3, 31, 16, tzinfo=UTC), datetime(2026, 4, 30, 16, tzinfo=UTC))


def test_vouchers_that_come_by_days_keep_their_days() -> None:
    of = kept([line(1, 90_00)], grants=(DATED,))
    given = planned(plan_capture(authorized(of), Capture(PAYMENT, 45_00, True)))
    assert given.gives == (Giving(BOOK, UUID(int=5), PAYMENT, CARD, OF_CARD, 2, 50_00, DUE),)
    back = planned(plan_refund(refund_of(of), Refund(PAYMENT, 45_00)))
    assert back.revokes == (Giving(BOOK, UUID(int=5), PAYMENT, CARD, OF_CARD, 2, 50_00, DUE),)
    assert back.posting.detail == hash_kept(back.kept)


# Refunds at their edges


def test_an_authorization_that_was_captured_in_part_is_done_when_that_is_back() -> None:
    captured = KeptPart(PartKind.CAPTURE, ((1, 50_00, 0),), ((0, 2_50), (1, 1_50), (2, 1_00)), (), False)
    given_up = captured._replace(what=PartKind.VOID)
    done = refund_of(OFF_KEPT, captured, given_up, captured_fen=45_00, kind=PaymentKind.AUTHORIZATION)
    plan, _ = decide(plan_refund, done, Refund(PAYMENT, None))
    assert plan.receipt.part is not None
    assert (plan.receipt.part.gives_back, plan.receipt.part.lines) == (True, ((1, 50_00, 0),))


def test_of_a_payment_without_offers_the_last_fen_comes_back_once() -> None:
    last = planned(plan_refund(refund_of(None, back_fen=89_99), Refund(PAYMENT, None)))
    assert last.receipt.payment.amount_fen == 1
    refused(plan_refund(refund_of(None, back_fen=90_00), Refund(PAYMENT, None)), "refund_exceeds_payment",
            "amount_fen", left_fen=0)  # fmt: skip
    one = planned(plan_refund(refund_of(None, captured_fen=1), Refund(PAYMENT, None)))
    assert one.receipt.payment.amount_fen == 1


def test_goods_that_nobody_paid_for_here_bring_nothing_back() -> None:
    of = kept([line(1, 5_00), line(2, 90_00)], outside=[5_00, 0])
    refused(
        plan_refund(refund_of(of), Refund(PAYMENT, None, lines=((1, 5_00),))), "not_refundable", "payment_id",
        kind="purchase",
    )  # fmt: skip


def test_points_that_paid_come_back_in_whole_points() -> None:
    of = kept([line(1, 10_00)], tender=KeptTender(700, 2_99, ((1, 700),)))
    known = collecting(refund_of(of, captured_fen=7_01), member(0))
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, 1_00))
    assert plan.receipt.part is not None
    # of 7.01 are 1.00, of 2.99 so 0.42, of 700 points so 98
    assert (plan.receipt.part.points_fen, plan.receipt.part.points) == (42, 98)
    assert isinstance(plan.receipt.part.points, int)
    rest, _ = decide(
        plan_refund, collecting(refund_of(of, plan.receipt.part, captured_fen=7_01, back_fen=1_00), member(0)),
        Refund(PAYMENT, None),
    )  # fmt: skip
    assert rest.receipt.part is not None
    assert (rest.receipt.part.points_fen, rest.receipt.part.points) == (2_57, 602)


def test_of_a_payment_that_points_did_not_pay_none_come_back() -> None:
    known = collecting(refund_of(OFF_KEPT), member(500))
    _, besides = decide(plan_refund, known, Refund(PAYMENT, 45_00))
    assert [leg[2] for leg in besides[1:]] == [
        "issuer discount_expense", "merchant discount_expense", "bank discount_expense"
    ]  # fmt: skip


TWO_LINES = kept([line(1, 60_00), line(2, 40_00)], applied=(applied(10_00),), shares=(share(1, 6_00), share(2, 4_00)))
OF_LINES = earning(90, 90_00, parts=(LinePoints(1, 54_00, 54), LinePoints(2, 36_00, 36)))


@pytest.mark.parametrize(
    ("lines", "taken", "returned"),
    [
        (((2, 40_00),), 36, {2: 36_00}),
        (((2, 10_00),), 9, {2: 9_00}),
        (((1, 60_00), (2, 10_00)), 63, {1: 54_00, 2: 9_00}),
        (((1, 33),), 0, {1: 30}),
    ],
)
def test_points_are_taken_for_the_goods_that_come_back(
    lines: tuple[tuple[int, int], ...], taken: int, returned: dict[int, int]
) -> None:
    known = collecting(refund_of(TWO_LINES), member(500), earning=OF_LINES)
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=lines))
    was, got = change_of(plan)
    assert (plan.receipt.points_earned, got.returned) == (-taken, returned)
    assert all(isinstance(fen, int) for fen in got.returned.values())
    assert was == OF_LINES


def test_points_of_goods_that_came_back_before_are_not_taken_again() -> None:
    """Half of line 2 came back: of its 18.00 that are left all, and of line 1 a third."""
    before = KeptPart(PartKind.REFUND, ((2, 20_00, 0),), ((1, 2_00),), (), False)
    was = replace(OF_LINES, returned={2: 18_00}, returned_fen=18_00, taken=18)
    known = collecting(refund_of(TWO_LINES, before, back_fen=18_00), member(500), earning=was)
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, 20_00), (2, 20_00))))
    assert (plan.receipt.points_earned, change_of(plan)[1].returned) == (-36, {1: 18_00, 2: 36_00})


def test_goods_that_earned_nothing_take_nothing() -> None:
    only_first = earning(54, 54_00, parts=(LinePoints(1, 54_00, 54),))
    known = collecting(refund_of(TWO_LINES), member(500), earning=only_first)
    for back_fen in (40_00, 10_00):
        plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((2, back_fen),)))
        assert (plan.receipt.points_earned, plan.earnings) == (0, ())
    free = kept([line(1, 5_00), line(2, 90_00)], applied=(applied(5_00),), shares=(share(1, 5_00),))
    stray = earning(95, 95_00, parts=(LinePoints(1, 5_00, 5), LinePoints(2, 90_00, 90)))
    part, _ = decide(
        plan_refund, collecting(refund_of(free), member(500), earning=stray), Refund(PAYMENT, None, lines=((1, 2_00),))
    )
    assert (part.receipt.points_earned, part.earnings) == (0, ())
    whole, _ = decide(
        plan_refund, collecting(refund_of(free), member(500), earning=stray), Refund(PAYMENT, None, lines=((1, 5_00),))
    )
    assert whole.receipt.points_earned == -5, "of goods that came back whole nothing stays"


def test_goods_of_one_fen_take_what_they_earned() -> None:
    cheap = kept([line(1, 1_00), line(2, 90_00)], applied=(applied(99),), shares=(share(1, 99),))
    both = earning(10, 90_01, parts=(LinePoints(1, 1, 1), LinePoints(2, 90_00, 9)))
    known = collecting(refund_of(cheap, captured_fen=90_01), member(500), earning=both)
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, 50),)))
    assert plan.receipt.part is not None
    assert (plan.receipt.payment.amount_fen, plan.receipt.points_earned) == (1, -1)


def test_by_the_share_of_the_money_only_what_is_left_is_taken() -> None:
    was = earning(90, 90_00, returned={1: 30_00}, returned_fen=30_00, taken=30)
    plan = planned(plan_refund(collecting(refund_of(None, back_fen=30_00), member(500), earning=was),
                               Refund(PAYMENT, 20_00)))  # fmt: skip
    assert (plan.receipt.points_earned, change_of(plan)[1].returned) == (-20, {1: 50_00})
    odd = earning(90, 90_00)
    part = planned(plan_refund(collecting(refund_of(None, captured_fen=70_00), member(500), earning=odd),
                               Refund(PAYMENT, 1_00)))  # fmt: skip
    assert change_of(part)[1].returned == {1: 1_28}
    assert isinstance(change_of(part)[1].returned[1], int)


def test_terms_that_are_not_known_take_nothing() -> None:
    known = collecting(refund_of(None), member(500), earning=earning(90, 90_00, terms_version=9))
    plan = planned(plan_refund(known, Refund(PAYMENT, 30_00)))
    assert (plan.earnings, plan.receipt.points_earned) == ((), 0)


def test_what_goods_that_stay_would_earn_is_asked_of_what_stays() -> None:
    """满100减10 of 60, 59.99 and 0.01, to the fen around the threshold."""
    goods = [line(1, 60_00), line(2, 59_99), line(3, 1)]
    of = kept(goods, applied=(applied(10_00, on_return=OnReturn.THRESHOLD),), shares=(share(1, 10_00),))
    book = compile_campaigns([campaign(off(on_return=OnReturn.THRESHOLD))])
    known = offered(refund_of(of, captured_fen=110_00), book)
    for back_fen, paid_fen in ((20_00, 20_00), (20_01, 20_01 - 10_00)):
        plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((2, back_fen),)))
        assert plan.receipt.payment.amount_fen == paid_fen


def test_a_line_that_came_back_whole_is_no_piece_any_more() -> None:
    pieces = replace(offer("pieces_off", "off", tiers=(PiecesTier(2, 5_00),)), on_return=OnReturn.THRESHOLD)
    of = kept(
        [line(1, 50_00), line(2, 45_00)], applied=(applied(5_00, on_return=OnReturn.THRESHOLD),),
        shares=(share(1, 5_00),),
    )  # fmt: skip
    plan, _ = decide(plan_refund, offered(refund_of(of), compile_campaigns([campaign(pieces)])),
                     Refund(PAYMENT, None, lines=((2, 45_00),)))  # fmt: skip
    assert plan.receipt.payment.amount_fen == 40_00


@pytest.mark.parametrize(("back_fen", "paid_fen"), [(10_00, 5_00), (9_99, 8_33), (20_00, 15_00)])
def test_of_a_line_that_came_back_in_part_the_pieces_stay_that_its_amount_pays_for(
    back_fen: int, paid_fen: int
) -> None:
    """满3件减5 of three pieces at 10.00: of 20.00 that stay two are left, of 20.01 a third is begun."""
    three = replace(offer("pieces_off", "off", tiers=(PiecesTier(3, 5_00),)), on_return=OnReturn.THRESHOLD)
    of = kept(
        [line(1, 30_00, 3)], applied=(applied(5_00, on_return=OnReturn.THRESHOLD),), shares=(share(1, 5_00),)
    )  # fmt: skip
    known = offered(refund_of(of, captured_fen=25_00), compile_campaigns([campaign(three)]))
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, back_fen),)))
    assert plan.receipt.payment.amount_fen == paid_fen


# Points by what and when and where


def earned(terms: PointsTerms, who: Any = None, **command: Any) -> Any:
    plan, _ = decide(plan_spend, collecting(facts(HOLDER), who or member(), terms=terms), spend(**command))
    return change_of(plan)[1] if plan.earnings else None


def rules(**told: Any) -> PointsTerms:
    return PointsTerms(rules=(EarningRule(name="r", points=1, per_fen=100, **told),))


def test_a_purchase_without_lines_earns_as_one() -> None:
    got = earned(TERMS)
    assert (got.points, got.parts) == (100, (LinePoints(1, 100_00, 100),))
    assert earned(rules(categories=frozenset({"x"}))) is None


def test_what_a_rule_looks_at_is_told() -> None:
    shop = replace(PLACE, trade="grocery")
    for told in (
        {"trades": frozenset({"grocery"})}, {"merchant_ids": frozenset({MERCHANT})}, {"store_ids": frozenset({STORE})}
    ):  # fmt: skip
        assert earned(rules(**told), place=shop).points == 100
    of_goods = collecting(OFF, member(), terms=rules(categories=frozenset({"x"})))
    plan, _ = decide(plan_spend, of_goods, spend(lines=(line(1, 60_00, 1, "x"), line(2, 40_00))))
    assert change_of(plan)[1].parts == (LinePoints(1, 54_00, 54),)
    gold = PointsTerms(rules=rules().rules, multipliers=(Multiplier(name="g", factor_bp=20_000, tiers=frozenset("g")),))
    assert earned(gold, member()._replace(tier="g")).points == 200
    assert earned(gold).points == 100
    sunday = PointsTerms(
        rules=rules().rules, multipliers=(Multiplier(name="s", factor_bp=20_000, weekdays=frozenset({7})),)
    )
    assert earned(sunday, occurred_at=datetime(2026, 2, 28, 17, tzinfo=UTC)).points == 200
    assert earned(sunday, occurred_at=datetime(2026, 2, 28, 15, tzinfo=UTC)).points == 100


def test_value_that_was_given_earns_where_terms_say_so() -> None:
    mixed = card([lot(1, 60_00)], [lot(1, 40_00)])
    known = collecting(facts(mixed), member())
    plan = planned(plan_spend(known, spend()))
    assert plan.receipt.points_earned == 60
    both = PointsTerms(rules=TERMS.rules, earn_on_bonus=True)
    assert planned(plan_spend(collecting(facts(mixed), member(), terms=both), spend())).receipt.points_earned == 100
    only_bonus = card([], [lot(1, 100_00)])
    assert planned(plan_spend(collecting(facts(only_bonus), member()), spend())).earnings == ()


def test_points_end_in_the_zone_of_the_issuer() -> None:
    ends = PointsTerms(rules=TERMS.rules, valid_years=0)
    plan = planned(plan_spend(collecting(facts(HOLDER), member(), terms=ends), spend()))
    assert plan.posting.lots == (NewLot(POINTS, 4, 0, 100, datetime(2026, 12, 31, 16, tzinfo=UTC)),)


def test_points_that_have_ended_pay_nothing() -> None:
    who = member(5_000)
    over = who._replace(lots=[one._replace(expires_at=NOW) for one in who.lots])
    known = collecting(offered(facts(HOLDER), compile_campaigns([])), over)
    refused(plan_spend(known, spend(points=1_000)), "points_too_few", "points", available=0)
    none = known.points._replace(in_force=None) if known.points is not None else None
    refused(plan_spend(known._replace(points=none), spend(points=1_000)), "points_not_offered", "points")
