"""Payments with offers, vouchers and points: who pays what of them, what is kept, and what comes back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.unit.offer_facts import (
    BANK,
    CAMPAIGN,
    DEBT,
    OF_ISSUER,
    POINTS,
    SLOT,
    THREE,
    TO_BANK,
    TO_MERCHANT,
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
    BOOK,
    CARD,
    ISSUER,
    MERCHANT,
    NEW,
    NOW,
    PAYABLE,
    PAYMENT,
    PLACE,
    PRINCIPAL,
    card,
    facts,
    lot,
    payment,
    planned,
    programme,
    refused,
    spent,
)
from tests.unit.promotion_facts import campaign, compiled, group, off
from tests.unit.test_vouchers_rules import template, voucher

from kaquan.cards import PinState
from kaquan.ledger import Effect, Guard, Leg
from kaquan.payments import Capture, PaymentKind, PaymentStatus, Refund, Spend
from kaquan.payments.capture import plan_capture
from kaquan.payments.kept import (
    KeptPart,
    KeptTender,
    PartKind,
    hash_kept,
    read_kept,
    read_part,
    write_kept,
    write_part,
)
from kaquan.payments.price import funding_of
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import AccountName, Facts, Giving, Redeeming, Unopened, VoucherFacts
from kaquan.points import Earning, LinePoints
from kaquan.promotions import (
    Budget,
    BudgetMetric,
    FunderKind,
    Offer,
    OnReturn,
    OutsideOffer,
    StackingPolicy,
    compile_campaigns,
)
from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kinds.gift_vouchers import GiftVouchers, Tier
from kaquan.promotions.price import DAY_CAP_ID
from kaquan.vouchers import HeldBy, HolderKind, compile_template

HOLDER = card([lot(1, 500_00)])
AT = NOW - timedelta(hours=3)


def spend(amount_fen: int = 100_00, **other: Any) -> Spend:
    return Spend(CARD, amount_fen, PLACE, AT)._replace(**other)


def gift(**more: Any) -> Offer:
    """满100送2张25元券."""
    told = VoucherGift(template_id=UUID(int=5), face_fen=25_00, valid_days=30, count=2)
    return Offer(
        name="gift", kind="gift_vouchers", params=GiftVouchers(tiers=(Tier(100_00, told),)), stacking=group(""), **more
    )


OFF = offered(facts(HOLDER), compiled(off(), funders=THREE))
"""满100减10, of which the issuer pays half, the merchant three tenths and a bank the rest."""

SHARES = (share(1, 5_00), share(1, 3_00, TO_MERCHANT), share(1, 2_00, TO_BANK))
OFF_KEPT = kept([line(1, 100_00)], applied=(applied(10_00),), shares=SHARES)


# A purchase


def test_a_purchase_with_an_offer_of_three_funders() -> None:
    plan, besides = decide(plan_spend, OFF, spend())
    assert besides == [
        ("post", "issuer discount_expense", "payable", 5_00),
        ("post", "merchant discount_expense", "merchant merchant_discount", 3_00),
        ("post", "bank discount_expense", "payable", 2_00),
    ]
    assert plan.posting.legs[0] == Leg(Effect.POST, PRINCIPAL, 1, PAYABLE, None, 90_00)
    assert plan.posting.guards == [Guard(PRINCIPAL, 5)]
    assert plan.kept == write_kept(OFF_KEPT)
    assert read_kept(plan.kept) == OFF_KEPT
    assert plan.posting.detail == hash_kept(plan.kept)
    assert plan.new is not None
    assert (plan.new.amount_fen, plan.new.captured_fen) == (90_00, 90_00)
    assert (plan.receipt.kept, plan.receipt.balance_fen, plan.receipt.points_earned) == (OFF_KEPT, 410_00, 0)
    assert (plan.uses, plan.budgets, plan.redeems, plan.gives, plan.earnings) == (None, (), (), (), ())


def test_the_accounts_that_are_missing_are_asked_for_with_who_owns_them() -> None:
    owners = [funding_of(CAMPAIGN, *who) for who in (
        (FunderKind.ISSUER, ISSUER), (FunderKind.MERCHANT, MERCHANT), (FunderKind.PARTY, BANK)
    )]  # fmt: skip
    expenses = [AccountName(SLOT, owner.id, "discount_expense", "CNY") for owner in owners]
    payable = AccountName(SLOT, MERCHANT, "merchant_payable", "CNY")
    own = AccountName(SLOT, MERCHANT, "merchant_discount", "CNY")
    asked = plan_spend(OFF, spend())
    assert asked == Unopened((expenses[0], payable, expenses[1], own, expenses[2], payable), tuple(owners))
    known = OFF._replace(opened={payable: PAYABLE, own: 60, expenses[0]: 61, expenses[2]: 62})
    assert plan_spend(known, spend()) == Unopened((expenses[1],), (owners[1],))


def test_an_authorization_reserves_what_funders_pay_too() -> None:
    plan, besides = decide(plan_spend, OFF, spend(authorize=True))
    assert [leg[0] for leg in besides] == ["reserve"] * 3
    assert plan.new is not None
    assert (plan.new.amount_fen, plan.new.captured_fen) == (90_00, 0)


def test_nothing_is_kept_where_no_offer_has_an_effect() -> None:
    below = planned(plan_spend(OFF, spend(99_99)))
    assert (below.kept, below.posting.detail, below.receipt.kept) == (None, None, None)
    # but what the till tells of the goods is
    told = planned(plan_spend(OFF, spend(99_99, lines=(line(7, 99_99),))))
    assert told.kept == write_kept(kept([line(7, 99_99)]))


def test_a_discount_from_outside_comes_off_first() -> None:
    bank = (OutsideOffer("bank", "", 10_00),)
    plan, _ = decide(plan_spend, OFF, spend(120_00, lines=(line(1, 40_00), line(2, 80_00)), outside=bank))
    assert plan.receipt.kept is not None
    assert plan.receipt.kept.outside_fen == (3_33, 6_67)
    assert plan.receipt.kept.discount_fen == 10_00
    assert plan.new is not None
    assert plan.new.amount_fen == 100_00


def test_who_has_had_all_of_a_day_gets_no_discount_any_more() -> None:
    policy = StackingPolicy(max_day_fen=50_00)
    book = compiled(off(), policy=policy)
    plan, _ = decide(plan_spend, offered(facts(HOLDER), book), spend())
    assert plan.uses is not None
    assert [(use.amount_fen, use.maxima.day_fen) for use in plan.uses.calendar] == [(10_00, 50_00)]
    assert [(budget.budget_id, use) for budget, use in plan.budgets] == [(DAY_CAP_ID, plan.uses.calendar[0])]
    none = planned(plan_spend(offered(facts(HOLDER), book, exhausted=frozenset({DAY_CAP_ID})), spend()))
    assert (none.kept, none.receipt.payment.amount_fen) == (None, 100_00)


BUDGET = (Budget(name="b", metric=BudgetMetric.AMOUNT, maximum=1_000_00),)


def test_a_budget_is_counted_with_the_payment_and_given_back_with_all_of_it() -> None:
    plan, _ = decide(plan_spend, offered(facts(HOLDER), compiled(off(), budgets=BUDGET)), spend())
    assert plan.receipt.kept is not None
    ((budget, use),) = plan.budgets
    assert (budget.amount_fen, use.amount_fen, use.maxima.year_fen) == (10_00, 10_00, 1_000_00)
    assert plan.uses is not None
    assert (plan.uses.calendar, plan.uses.trails) == ([use], [])
    back = refund_of(plan.receipt.kept)
    whole, _ = decide(plan_refund, back, Refund(PAYMENT, None))
    assert whole.gives_back == (plan.receipt.kept.uses[0].use,)
    part, _ = decide(plan_refund, back, Refund(PAYMENT, 1_00))
    assert part.gives_back == ()


def test_vouchers_go_to_the_holder_of_the_card_once_it_is_paid() -> None:
    known = offered(facts(HOLDER), compiled(gift()))
    of_card = HeldBy(HolderKind.CARD, CARD)
    assert planned(plan_spend(known, spend())).gives == (
        Giving(BOOK, UUID(int=5), NEW, CARD, of_card, 2, 50_00),
    )  # fmt: skip
    person = HeldBy(HolderKind.CUSTOMER, UUID(int=66))
    registered = known._replace(card=HOLDER._replace(customer_id=person.id))
    assert planned(plan_spend(registered, spend())).gives[0].holder == person
    assert planned(plan_spend(known, spend(authorize=True))).gives == ()


# Vouchers


def in_hand(**changes: Any) -> VoucherFacts:
    promised = template(id=CAMPAIGN, offer_params={"tiers": [[50_00, 20_00]]})
    mine: dict[str, Any] = {"book_id": BOOK, "holder": HeldBy(HolderKind.CARD, CARD), "version": 4}
    held = voucher(**{**mine, **changes})
    return VoucherFacts(held, promised, compile_template(promised))


VOUCHER = UUID(int=9)


def test_a_voucher_that_takes_something_off_is_redeemed() -> None:
    known = offered(facts(HOLDER), compile_campaigns([]), vouchers={VOUCHER: in_hand()})
    done, besides = decide(plan_spend, known, spend(voucher_ids=(VOUCHER,)))
    assert besides == [("post", "issuer discount_expense", "payable", 20_00)]
    assert done.redeems == (Redeeming(VOUCHER, 4, 20_00),)
    assert done.receipt.payment.amount_fen == 80_00
    # what has no effect stays with its holder
    assert planned(plan_spend(known, spend(49_99, voucher_ids=(VOUCHER,)))).redeems == ()
    assert planned(plan_spend(known, spend())).redeems == ()


@pytest.mark.parametrize(
    ("found", "code", "details"),
    [
        ({}, "not_found", {"what": "voucher"}),
        ({VOUCHER: in_hand(book_id=8)}, "not_found", {"what": "voucher"}),
        ({VOUCHER: in_hand(holder=HeldBy(HolderKind.CARD, UUID(int=99)))}, "voucher_not_held", {}),
        ({VOUCHER: in_hand(valid_until=NOW)}, "voucher_expired", {"valid_until": NOW.isoformat()}),
    ],
)
def test_a_voucher_that_cannot_be_redeemed_refuses(
    found: dict[UUID, VoucherFacts], code: str, details: dict[str, str]
) -> None:
    known = offered(facts(HOLDER), compile_campaigns([]), vouchers=found)
    refused(plan_spend(known, spend(voucher_ids=(VOUCHER,))), code, "vouchers", **details)


# Points


def test_points_pay_a_part_that_the_issuer_pays_the_merchant() -> None:
    known = collecting(offered(facts(HOLDER), compile_campaigns([])), member(3_000, 2_000))
    plan, besides = decide(plan_spend, known, spend(points=4_000))
    assert besides == [("post", "issuer points_expense", "payable", 40_00)]
    told = kept([line(1, 100_00)], tender=KeptTender(4_000, 40_00, ((1, 3_000), (2, 1_000))))
    assert plan.kept == write_kept(told)
    assert plan.posting.legs == [
        Leg(Effect.POST, PRINCIPAL, 1, PAYABLE, None, 60_00),
        Leg(Effect.POST, 1_000, None, PAYABLE, None, 40_00),
        Leg(Effect.POST, POINTS, 1, OF_ISSUER.spent, None, 3_000),
        Leg(Effect.POST, POINTS, 2, OF_ISSUER.spent, None, 1_000),
        # what money paid earns
        Leg(Effect.POST, OF_ISSUER.granted, None, POINTS, 4, 60),
    ]
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert plan.receipt.payment.amount_fen == 60_00
    assert (plan.receipt.points_earned, plan.receipt.balance_fen) == (60, 440_00)
    assert [(lot_.account_id, lot_.lot, lot_.given_fen) for lot_ in plan.posting.lots] == [(POINTS, 4, 60)]
    assert change_of(plan)[1] == Earning(
        SLOT, NEW, BOOK, UUID(int=9), 1, 60, 60_00, (LinePoints(1, 60_00, 60),), {}, 0, 0, None, None, False, NOW
    )


def test_points_that_may_not_pay_refuse() -> None:
    known = offered(facts(HOLDER), compile_campaigns([]))
    refused(plan_spend(known, spend(points=100)), "points_not_offered", "points")
    refused(plan_spend(collecting(known, member(9_000)), spend(points=5_001)), "points_above_share", "points",
            most_fen=50_00)  # fmt: skip
    refused(plan_spend(collecting(known, member(99)), spend(points=100)), "points_too_few", "points", available=99)


def test_the_pin_is_asked_of_what_the_card_pays() -> None:
    asks = collecting(OFF._replace(programme=programme(pin_required_above_fen=80_00)), member(5_000))
    refused(plan_spend(asks, spend()), "pin_required", "pin", above_fen=80_00)
    plan, _ = decide(plan_spend, asks, spend(points=1_000))
    assert plan.receipt.payment.amount_fen == 80_00
    plan, _ = decide(plan_spend, asks, spend(pin=PinState.RIGHT))
    assert plan.receipt.payment.amount_fen == 90_00


def test_more_than_the_card_has_is_told_of_what_it_would_pay() -> None:
    poor = OFF._replace(card=card([lot(1, 89_99)]))
    refused(
        plan_spend(poor, spend()), "insufficient_funds", "amount_fen", available_fen=89_99, amount_fen=90_00
    )  # fmt: skip


def test_a_purchase_that_offers_pay_whole_takes_nothing_from_the_card() -> None:
    book = compiled(off(from_fen=1, off_fen=100_00))
    plan, besides = decide(plan_spend, offered(facts(HOLDER), book), spend())
    assert besides == [("post", "issuer discount_expense", "payable", 100_00)]
    assert (plan.receipt.payment.amount_fen, plan.receipt.pockets, plan.posting.guards) == (0, [], [])


def test_points_are_earned_with_money_by_line_after_offers() -> None:
    known = collecting(OFF, member())
    goods = (line(1, 60_00), line(2, 40_00))
    plan, _ = decide(plan_spend, known, spend(lines=goods))
    was, got = change_of(plan)
    assert was is None
    assert got.parts == (LinePoints(1, 54_00, 54), LinePoints(2, 36_00, 36))
    assert (got.at, plan.receipt.points_earned) == (NOW, 90)
    waiting, _ = decide(plan_spend, known, spend(authorize=True))
    assert waiting.earnings == ()
    not_in_force = known.points._replace(in_force=None) if known.points is not None else None
    nothing, _ = decide(plan_spend, known._replace(points=not_in_force), spend())
    assert nothing.earnings == ()


# Captures


def authorized(of: Any, *parts: KeptPart, reserved_fen: int = 90_00, captured_fen: int = 0, **more: Any) -> Facts:
    found = payment(slot=SLOT, amount_fen=90_00, captured_fen=captured_fen, **more)
    known = facts(
        HOLDER, of_payment=found, legs=[spent(PRINCIPAL, 1, reserved_fen=reserved_fen, captured_fen=captured_fen)]
    )
    assert known.payment is not None
    return known._replace(payment=known.payment._replace(kept=of, parts=parts))


def test_a_capture_takes_its_part_of_what_funders_pay_and_gives_the_rest_up() -> None:
    plan, besides = decide(plan_capture, authorized(OFF_KEPT), Capture(PAYMENT, 45_00, True))
    assert besides == [
        ("capture", "issuer discount_expense", "payable", 2_50),
        ("capture", "merchant discount_expense", "merchant merchant_discount", 1_50),
        ("capture", "bank discount_expense", "payable", 1_00),
        ("release", "issuer discount_expense", "payable", 2_50),
        ("release", "merchant discount_expense", "merchant merchant_discount", 1_50),
        ("release", "bank discount_expense", "payable", 1_00),
    ]
    assert plan.posting.legs[:2] == [
        Leg(Effect.CAPTURE, PRINCIPAL, 1, PAYABLE, None, 45_00),
        Leg(Effect.RELEASE, PRINCIPAL, 1, PAYABLE, None, 45_00),
    ]
    part = KeptPart(PartKind.CAPTURE, ((1, 50_00, 0),), ((0, 2_50), (1, 1_50), (2, 1_00)), (), False)
    assert plan.kept == write_part(part)
    assert read_part(plan.kept) == part
    assert (plan.original_id, plan.posting.detail) == (PAYMENT, hash_kept(plan.kept))
    assert (plan.receipt.kept, plan.returns, plan.gives) == (OFF_KEPT, (), ())


def test_a_capture_that_leaves_the_rest_gives_nothing_up() -> None:
    plan, besides = decide(plan_capture, authorized(OFF_KEPT), Capture(PAYMENT, 45_00, False))
    assert [leg[0] for leg in besides] == ["capture"] * 3
    assert plan.kept is not None
    half = read_part(plan.kept)
    _, last = decide(
        plan_capture, authorized(OFF_KEPT, half, reserved_fen=45_00, captured_fen=45_00), Capture(PAYMENT, None, False)
    )
    assert [(leg[0], leg[3]) for leg in last] == [("capture", 2_50), ("capture", 1_50), ("capture", 1_00)]


def test_what_is_given_up_of_a_voucher_comes_back_to_it_and_vouchers_are_given_by_part() -> None:
    of = kept(
        [line(1, 100_00)],
        applied=(applied(10_00, voucher_id=VOUCHER),),
        shares=(share(1, 10_00, voucher_id=VOUCHER),),
        grants=(voucher_grant(4, 100_00),),
    )
    plan, _ = decide(plan_capture, authorized(of), Capture(PAYMENT, 45_00, True))
    assert plan.returns == ((VOUCHER, 5_00),)
    assert plan.gives == (Giving(BOOK, UUID(int=5), PAYMENT, CARD, HeldBy(HolderKind.CARD, CARD), 2, 50_00),)


# Refunds


def refund_of(of: Any, *parts: KeptPart, captured_fen: int = 90_00, back_fen: int = 0, **more: Any) -> Facts:
    told: dict[str, Any] = {"kind": PaymentKind.PURCHASE, "status": PaymentStatus.COMPLETED, "expires_at": None, **more}
    found = payment(slot=SLOT, amount_fen=90_00, captured_fen=captured_fen, refunded_fen=back_fen, **told)
    known = facts(
        HOLDER, of_payment=found, legs=[spent(PRINCIPAL, 1, captured_fen=captured_fen, refunded_fen=back_fen)]
    )
    assert known.payment is not None
    return known._replace(payment=known.payment._replace(kept=of, parts=parts))


def test_a_refund_gives_each_funder_its_part_back() -> None:
    plan, besides = decide(plan_refund, refund_of(OFF_KEPT), Refund(PAYMENT, 45_00, AT, "r"))
    assert besides == [
        ("post", "payable", PRINCIPAL, 45_00),
        ("post", "payable", "issuer discount_expense", 2_50),
        ("post", "merchant merchant_discount", "merchant discount_expense", 1_50),
        ("post", "payable", "bank discount_expense", 1_00),
    ]
    part = KeptPart(PartKind.REFUND, ((1, 50_00, 0),), ((0, 2_50), (1, 1_50), (2, 1_00)), (), False)
    assert plan.kept == write_part(part)
    assert (plan.receipt.part, plan.receipt.kept, plan.original_id) == (part, OFF_KEPT, PAYMENT)
    assert plan.receipt.points_earned == 0
    rest, besides = decide(plan_refund, refund_of(OFF_KEPT, part, back_fen=45_00), Refund(PAYMENT, None))
    assert [leg[3] for leg in besides] == [45_00, 2_50, 1_50, 1_00]
    assert rest.receipt.part is not None
    assert rest.receipt.part.gives_back is True
    assert rest.changed is not None
    assert rest.changed.refunded_fen == 90_00


def test_a_refund_of_goods_follows_from_them() -> None:
    goods = [line(1, 40_00), line(2, 60_00)]
    of = kept(goods, applied=(applied(10_00),), shares=(share(1, 4_00), share(2, 6_00)))
    known = refund_of(of)
    plan, besides = decide(plan_refund, known, Refund(PAYMENT, None, lines=((2, 20_00), (2, 10_00))))
    assert [leg[3] for leg in besides] == [27_00, 3_00]
    assert plan.receipt.part == KeptPart(PartKind.REFUND, ((2, 30_00, 0),), ((1, 3_00),), (), False)
    assert plan.receipt.payment.amount_fen == 27_00
    refused(plan_refund(known, Refund(PAYMENT, None, lines=((3, 1),))), "lines_not_known", "lines")
    refused(
        plan_refund(known, Refund(PAYMENT, None, lines=((1, 40_00), (1, 1)))), "refund_exceeds_line", "lines",
        number=1, left_fen=40_00,
    )  # fmt: skip
    whole, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, 40_00), (2, 60_00))))
    assert whole.receipt.part is not None
    assert whole.receipt.part.gives_back is True


def test_what_was_brought_back_whole_is_not_refunded_again() -> None:
    done = KeptPart(PartKind.REFUND, ((1, 100_00, 0),), ((0, 5_00), (1, 3_00), (2, 2_00)), (), True)
    refused(
        plan_refund(refund_of(OFF_KEPT, done, back_fen=90_00), Refund(PAYMENT, None)), "refund_exceeds_payment",
        "amount_fen", left_fen=0,
    )  # fmt: skip
    refused(
        plan_refund(refund_of(OFF_KEPT), Refund(PAYMENT, 90_01)), "refund_exceeds_payment", "amount_fen",
        left_fen=90_00,
    )  # fmt: skip


def test_below_the_threshold_a_refund_takes_the_discount_back() -> None:
    """满100减10: of 120, 40 come back; 80 earn nothing, so that 30 are paid back."""
    goods = [line(1, 40_00), line(2, 80_00)]
    offer = off(on_return=OnReturn.THRESHOLD)
    one = applied(10_00, on_return=OnReturn.THRESHOLD)
    of = kept(goods, applied=(one,), shares=(share(1, 3_33, THREE[0]), share(2, 6_67, THREE[0])))
    known = offered(refund_of(of, captured_fen=110_00), compile_campaigns([campaign(offer)]))
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, 40_00),)))
    assert plan.receipt.payment.amount_fen == 30_00
    stays, _ = decide(plan_refund, known, Refund(PAYMENT, None, lines=((1, 10_00),)))
    assert stays.receipt.payment.amount_fen == 10_00 - 83


def test_vouchers_that_were_given_are_revoked_and_those_that_paid_come_back() -> None:
    of = kept(
        [line(1, 100_00)],
        applied=(applied(10_00, voucher_id=VOUCHER),),
        shares=(share(1, 10_00, voucher_id=VOUCHER),),
        grants=(voucher_grant(4, 100_00),),
    )
    plan, _ = decide(plan_refund, refund_of(of), Refund(PAYMENT, 45_00))
    assert plan.returns == ((VOUCHER, 5_00),)
    assert plan.revokes == (Giving(BOOK, UUID(int=5), PAYMENT, CARD, HeldBy(HolderKind.CARD, CARD), 2, 50_00),)


def test_of_an_open_authorization_nothing_is_given_back_of_budgets() -> None:
    captured = KeptPart(PartKind.CAPTURE, ((1, 50_00, 0),), ((0, 2_50), (1, 1_50), (2, 1_00)), (), False)
    opened = refund_of(
        OFF_KEPT, captured, captured_fen=45_00, kind=PaymentKind.AUTHORIZATION, status=PaymentStatus.OPEN
    )
    plan, besides = decide(plan_refund, opened, Refund(PAYMENT, None))
    assert [leg[3] for leg in besides] == [45_00, 2_50, 1_50, 1_00]
    assert plan.receipt.part is not None
    assert plan.receipt.part.gives_back is False


def test_a_purchase_that_offers_paid_whole_can_be_brought_back() -> None:
    of = kept([line(1, 100_00)], applied=(applied(100_00),), shares=(share(1, 100_00),))
    plan, besides = decide(plan_refund, refund_of(of, captured_fen=0), Refund(PAYMENT, None))
    assert besides == [("post", "payable", "issuer discount_expense", 100_00)]
    assert plan.receipt.payment.amount_fen == 0
    free: dict[str, Any] = {"kind": PaymentKind.AUTHORIZATION}
    refused(
        plan_refund(refund_of(of, captured_fen=0, **free), Refund(PAYMENT, None)), "not_refundable", "payment_id",
        kind="authorization",
    )  # fmt: skip
    taken = KeptPart(PartKind.CAPTURE, ((1, 100_00, 0),), ((0, 100_00),), (), False)
    given_up = taken._replace(what=PartKind.VOID)
    refused(
        plan_refund(refund_of(of, given_up, captured_fen=0, **free), Refund(PAYMENT, None)), "not_refundable",
        "payment_id",
    )  # fmt: skip
    _, besides = decide(plan_refund, refund_of(of, taken, captured_fen=0, **free), Refund(PAYMENT, None))
    assert [leg[3] for leg in besides] == [100_00]


def earning(points: int, basis_fen: int, **more: Any) -> Earning:
    told: dict[str, Any] = {
        "slot": SLOT, "id": PAYMENT, "book_id": BOOK, "member_id": UUID(int=9), "terms_version": 1, "points": points,
        "basis_fen": basis_fen, "parts": (LinePoints(1, basis_fen, points),), "returned": {}, "returned_fen": 0,
        "taken": 0, "lot": None, "matures_at": None, "matured": False, "at": NOW, **more,
    }  # fmt: skip
    return Earning(**told)


def test_a_refund_gives_points_back_that_paid_and_takes_those_that_were_earned() -> None:
    of = kept([line(1, 100_00)], tender=KeptTender(4_000, 40_00, ((1, 3_000), (2, 1_000))))
    known = collecting(refund_of(of, captured_fen=60_00), member(50), earning=earning(60, 60_00))
    plan, besides = decide(plan_refund, known, Refund(PAYMENT, 30_00))
    assert besides == [("post", "payable", PRINCIPAL, 30_00), ("post", "payable", "issuer points_expense", 20_00)]
    assert plan.posting.legs[2:] == [
        # what ends last comes back first: all of lot 2
        Leg(Effect.POST, OF_ISSUER.spent, None, POINTS, 1, 1_000),
        Leg(Effect.POST, OF_ISSUER.spent, None, POINTS, 2, 1_000),
        Leg(Effect.POST, POINTS, 1, OF_ISSUER.granted, None, 30),
    ]
    part = KeptPart(PartKind.REFUND, ((1, 50_00, 0),), (), (), False, 20_00, 2_000)
    assert plan.receipt.part == part
    assert (plan.receipt.points_earned, plan.receipt.payment.amount_fen) == (-30, 30_00)
    was, got = change_of(plan)
    assert was == earning(60, 60_00)
    assert got == earning(60, 60_00, returned={1: 30_00}, returned_fen=30_00, taken=30)
    rest = collecting(refund_of(of, part, captured_fen=60_00, back_fen=30_00), member(0), earning=got)
    last, besides = decide(plan_refund, rest, Refund(PAYMENT, None))
    assert [leg[3] for leg in besides] == [30_00, 20_00]
    assert last.posting.legs[2:] == [
        Leg(Effect.POST, OF_ISSUER.spent, None, POINTS, 1, 2_000),
        # what was spent meanwhile is taken of what comes back
        Leg(Effect.POST, POINTS, 1, OF_ISSUER.granted, None, 30),
    ]
    assert last.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert last.receipt.part is not None
    assert last.receipt.part.points == 2_000


def test_without_a_pricing_points_are_taken_by_the_share_of_the_money() -> None:
    known = collecting(refund_of(None), member(500), earning=earning(90, 90_00))
    plan = planned(plan_refund(known, Refund(PAYMENT, 30_00)))
    assert plan.posting.legs[1:] == [Leg(Effect.POST, POINTS, 1, OF_ISSUER.granted, None, 30)]
    assert (plan.kept, plan.receipt.part, plan.receipt.points_earned) == (None, None, -30)
    spent_since = planned(plan_refund(collecting(known, member(10), earning=earning(90, 90_00)),
                                      Refund(PAYMENT, 30_00)))  # fmt: skip
    assert spent_since.posting.legs[1:] == [
        Leg(Effect.POST, POINTS, 1, OF_ISSUER.granted, None, 10),
        Leg(Effect.POST, DEBT, None, OF_ISSUER.granted, None, 20),
    ]
    assert spent_since.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3), Guard(DEBT, 5)]
    unknown = planned(plan_refund(collecting(refund_of(None), member(500)), Refund(PAYMENT, 30_00)))
    assert (unknown.earnings, unknown.receipt.points_earned) == ((), 0)
