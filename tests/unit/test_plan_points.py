"""Points in payments: what is set aside, captured and freed of those that pay, and what of those that offers give is
promised, given and taken, by lot and by funder."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.unit.offer_facts import (
    BANK,
    DEBT,
    OF_ISSUER,
    POINTS,
    SLOT,
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
    points_grant,
    share,
    voucher_grant,
)
from tests.unit.plan_facts import ISSUER, MERCHANT, NEW, NOW, PAYABLE, PAYMENT, PRINCIPAL, STORE, facts, planned
from tests.unit.promotion_facts import compiled, group, off
from tests.unit.test_plan_offers import AT, HOLDER, authorized, earning, refund_of, spend
from tests.unit.test_plan_offers_loads import load, rules, top_up
from tests.unit.test_plan_whole import EARLIER
from tests.unit.test_promotions_load import bonus

from kaquan.ledger import Effect, Guard, Leg, NewLot
from kaquan.payments import Capture, PaymentKind, PaymentStatus, Plan, Refund, Void
from kaquan.payments.capture import plan_capture
from kaquan.payments.kept import KeptPart, KeptTender, KeptUse, PartKind, read_part
from kaquan.payments.limits import AMOUNT_ALONE, Maxima, Use
from kaquan.payments.load import plan_load
from kaquan.payments.part import uses_back
from kaquan.payments.points import PointsLeft, moved_by, points_left, points_of_part, take_back
from kaquan.payments.price import local_time
from kaquan.payments.refund import plan_refund
from kaquan.payments.seen import read_seen
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import AccountName
from kaquan.payments.void import plan_void
from kaquan.points import NO_MOVE, ClawbackMode, EarningRule, LinePoints, Multiplier, PointsTerms
from kaquan.promotions import BudgetReturn, Offer, OnReturn
from kaquan.promotions.kinds.invitation import Invitation
from kaquan.promotions.kinds.points_gift import PointsGift
from kaquan.promotions.kinds.points_gift import Tier as GiftTier
from kaquan.promotions.shadow import Watch

TENDER = KeptTender(4_000, 40_00, ((1, 3_000), (2, 1_000)))
PAID_BY_POINTS = kept([line(1, 100_00)], tender=TENDER)
GIVES = kept([line(1, 100_00)], tender=TENDER, grants=(points_grant(100),))
"""100.00, 40.00 of it by points; an offer gives a hundred points, of which three pay."""


def part(what: PartKind, line_fen: int, points: int, *grants: tuple[int, int, int], **more: Any) -> KeptPart:
    told: dict[str, Any] = {"points_fen": points, "points": points, **more}
    return KeptPart(what, ((1, line_fen, 0),), (), grants, told.pop("gives_back", False), **told)


# Where points are


def test_points_of_a_purchase_are_spent_and_given_and_of_an_authorization_set_aside_and_promised() -> None:
    of = kept(
        [line(1, 100_00)], tender=TENDER,
        grants=(voucher_grant(1, 25_00), points_grant(100), points_grant(50, card_id=BANK)),
    )  # fmt: skip
    by_funder = {1: [50, 30, 20]}
    assert points_left(of, (), authorized=False) == PointsLeft([0, 0], [3_000, 1_000], {1: [0, 0, 0]}, by_funder)
    assert points_left(of, (), authorized=True) == PointsLeft([3_000, 1_000], [0, 0], by_funder, {1: [0, 0, 0]})
    assert points_left(kept([line(1, 1)]), (), authorized=False) == PointsLeft([], [], {}, {})


def test_where_points_are_after_every_part() -> None:
    parts = [
        part(PartKind.CAPTURE, 60_00, 3_500, (0, 60, 0)),
        part(PartKind.REFUND, 10_00, 600, (0, 10, 0)),
        part(PartKind.VOID, 40_00, 500, (0, 40, 0)),
        part(PartKind.REFUND, 10_00, 100, (0, 10, 0)),
    ]
    told = [points_left(GIVES, parts[:many], authorized=True) for many in range(1, 5)]
    assert told == [
        PointsLeft([0, 500], [3_000, 500], {0: [20, 12, 8]}, {0: [30, 18, 12]}),
        PointsLeft([0, 500], [2_900, 0], {0: [20, 12, 8]}, {0: [25, 15, 10]}),
        PointsLeft([0, 0], [2_900, 0], {0: [0, 0, 0]}, {0: [25, 15, 10]}),
        PointsLeft([0, 0], [2_800, 0], {0: [0, 0, 0]}, {0: [20, 12, 8]}),
    ]


def test_a_part_that_moves_no_points_leaves_them() -> None:
    for what in PartKind:
        left = points_left(GIVES, [part(what, 10_00, 0)], authorized=True)
        assert left == points_left(GIVES, (), authorized=True)


@pytest.mark.parametrize(
    ("already", "points", "lots"),
    [(0, 100, [0, 0, 100]), (0, 101, [0, 1, 100]), (50, 100, [0, 50, 50]), (100, 300, [0, 300, 0]),
     (350, 450, [400, 50, 0])],
)  # fmt: skip
def test_points_come_back_into_their_lots_the_last_first(already: int, points: int, lots: list[int]) -> None:
    of = kept([line(1, 10_00)], tender=KeptTender(800, 8_00, ((2, 400), (1, 300), (3, 100))))
    before = [part(PartKind.REFUND, 1_00, already)] if already else []
    left = points_left(of, before, authorized=False)
    assert moved_by(left, part(PartKind.REFUND, 1_00, points)) == (lots, {})


def test_points_of_a_part_are_as_many_as_of_what_they_pay() -> None:
    third = kept([line(1, 10_00)], tender=KeptTender(100, 3, ((1, 100),)))
    done: list[KeptPart] = []
    for points in (33, 33, 34):
        new = part(PartKind.REFUND, 1_00, 0, points_fen=1)
        assert points_of_part(third, done, new) == points
        done.append(new._replace(points=points))
    assert points_of_part(third, done, part(PartKind.CAPTURE, 1_00, 0, points_fen=1)) == 33
    assert points_of_part(kept([line(1, 10_00)]), done, part(PartKind.REFUND, 1_00, 0, points_fen=1)) == 0


# An authorization


def test_an_authorization_sets_points_aside() -> None:
    known = collecting(offered(facts(HOLDER), compiled()), member(3_000, 5_000))
    plan, besides = decide(plan_spend, known, spend(points=4_000, authorize=True))
    assert besides == [("reserve", "issuer points_expense", "payable", 40_00)]
    assert plan.posting.legs == [
        Leg(Effect.RESERVE, PRINCIPAL, 1, PAYABLE, None, 60_00),
        Leg(Effect.RESERVE, 1_000, None, PAYABLE, None, 40_00),
        Leg(Effect.RESERVE, POINTS, 1, OF_ISSUER.spent, None, 3_000),
        Leg(Effect.RESERVE, POINTS, 2, OF_ISSUER.spent, None, 1_000),
    ]
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert (plan.posting.lots, plan.earnings, plan.receipt.points_earned) == ((), (), 0)
    assert plan.kept is not None


def test_a_capture_takes_points_that_pay_and_earns_with_what_offers_give() -> None:
    known = collecting(authorized(GIVES, reserved_fen=60_00), member(50))
    plan, besides = decide(plan_capture, known, Capture(PAYMENT, 30_00, False))
    assert [leg for leg in besides if leg[0] == "capture"] == [("capture", "issuer points_expense", "payable", 20_00)]
    assert [(leg[1], leg[2], leg[3]) for leg in besides if leg[0] == "post"] == [
        ("issuer points_offered", POINTS, 25),
        ("merchant points_offered", POINTS, 15),
        ("bank points_offered", POINTS, 10),
    ]
    assert plan.posting.legs[0] == Leg(Effect.CAPTURE, PRINCIPAL, 1, PAYABLE, None, 30_00)
    assert plan.posting.legs[1] == Leg(Effect.CAPTURE, POINTS, 1, OF_ISSUER.spent, None, 2_000)
    assert plan.posting.legs[3] == Leg(Effect.POST, OF_ISSUER.granted, None, POINTS, 4, 30)
    assert len(plan.posting.legs) == 7
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert plan.posting.lots == (NewLot(POINTS, 4, 0, 80, None),)
    was, got = change_of(plan)
    assert was is None
    assert (got.id, got.payment_id, got.points, got.granted, got.basis_fen) == (NEW, PAYMENT, 80, 50, 30_00)
    assert (got.parts[0].number, got.parts[0].basis_fen, got.at) == (1, 30_00, NOW)
    assert plan.receipt.points_earned == 80
    assert plan.kept is not None
    assert read_part(plan.kept) == part(PartKind.CAPTURE, 50_00, 2_000, (0, 50, 0))


def test_the_last_capture_frees_the_points_that_it_does_not_take() -> None:
    known = collecting(authorized(PAID_BY_POINTS, reserved_fen=60_00), member(50))
    plan, besides = decide(plan_capture, known, Capture(PAYMENT, 30_00, True))
    assert besides == [
        ("capture", "issuer points_expense", "payable", 20_00),
        ("release", "issuer points_expense", "payable", 20_00),
    ]
    assert [leg for leg in plan.posting.legs if leg.debit_account == POINTS] == [
        Leg(Effect.CAPTURE, POINTS, 1, OF_ISSUER.spent, None, 2_000),
        Leg(Effect.RELEASE, POINTS, 1, OF_ISSUER.spent, None, 1_000),
        Leg(Effect.RELEASE, POINTS, 2, OF_ISSUER.spent, None, 1_000),
    ]
    # the first half was taken before: the rest is taken, and nothing is left to be freed
    before = part(PartKind.CAPTURE, 50_00, 2_000)
    rest = collecting(authorized(PAID_BY_POINTS, before, reserved_fen=30_00, captured_fen=30_00), member(50))
    last, besides = decide(plan_capture, rest, Capture(PAYMENT, None, False))
    assert besides == [("capture", "issuer points_expense", "payable", 20_00)]
    assert [leg for leg in last.posting.legs if leg.debit_account == POINTS] == [
        Leg(Effect.CAPTURE, POINTS, 1, OF_ISSUER.spent, None, 1_000),
        Leg(Effect.CAPTURE, POINTS, 2, OF_ISSUER.spent, None, 1_000),
    ]


def test_a_capture_earns_by_line_what_it_takes_of_each() -> None:
    of = kept([line(1, 60_00, 1, "x"), line(2, 40_00)], applied=(applied(10_00),), shares=(share(2, 10_00),))
    known = collecting(authorized(of), member())
    plan, _ = decide(plan_capture, known, Capture(PAYMENT, 45_00, False))
    assert change_of(plan)[1].parts == (LinePoints(1, 30_00, 30), LinePoints(2, 15_00, 15))
    none, _ = decide(plan_capture, authorized(of), Capture(PAYMENT, 45_00, False))
    assert (none.earnings, none.receipt.points_earned) == ((), 0)
    bare = planned(plan_capture(collecting(authorized(None), member()), Capture(PAYMENT, 45_00, False)))
    assert change_of(bare)[1].parts == (LinePoints(1, 45_00, 45),)


def test_a_void_frees_the_points_that_are_set_aside() -> None:
    known = collecting(authorized(GIVES, reserved_fen=60_00), member(50))
    plan, besides = decide(plan_void, known, Void(PAYMENT))
    assert besides == [("release", "issuer points_expense", "payable", 40_00)]
    assert plan.posting.legs == [
        Leg(Effect.RELEASE, PRINCIPAL, 1, PAYABLE, None, 60_00),
        Leg(Effect.RELEASE, POINTS, 1, OF_ISSUER.spent, None, 3_000),
        Leg(Effect.RELEASE, POINTS, 2, OF_ISSUER.spent, None, 1_000),
        Leg(Effect.RELEASE, 1_100, None, PAYABLE, None, 40_00),
    ]
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert plan.kept is not None
    assert read_part(plan.kept) == part(PartKind.VOID, 100_00, 4_000, (0, 100, 0), gives_back=True)
    before = part(PartKind.CAPTURE, 75_00, 3_000, (0, 75, 0))
    rest = collecting(authorized(GIVES, before, reserved_fen=15_00, captured_fen=45_00), member(50))
    last, besides = decide(plan_void, rest, Void(PAYMENT))
    assert besides == [("release", "issuer points_expense", "payable", 10_00)]
    assert [leg for leg in last.posting.legs if leg.debit_account == POINTS] == [
        Leg(Effect.RELEASE, POINTS, 2, OF_ISSUER.spent, None, 1_000)
    ]
    assert last.kept is not None
    assert read_part(last.kept) == part(PartKind.VOID, 25_00, 1_000, (0, 25, 0))


# What offers give


def points_gift(points: int, **more: Any) -> Offer:
    tiers = (GiftTier(100_00, points),)
    return Offer(name="points", kind="points_gift", params=PointsGift(tiers=tiers), stacking=group(""), **more)


def test_a_purchase_that_gives_points_books_them_by_who_pays() -> None:
    known = collecting(offered(facts(HOLDER), compiled(points_gift(50), funders=THREE)), member())
    plan, besides = decide(plan_spend, known, spend())
    assert besides == [
        ("post", "issuer points_offered", POINTS, 25),
        ("post", "merchant points_offered", POINTS, 15),
        ("post", "bank points_offered", POINTS, 10),
    ]
    assert plan.posting.legs[1] == Leg(Effect.POST, OF_ISSUER.granted, None, POINTS, 4, 100)
    assert plan.posting.lots == (NewLot(POINTS, 4, 0, 150, None),)
    assert plan.receipt.points_earned == 150
    got = change_of(plan)[1]
    assert (got.points, got.granted, got.payment_id) == (150, 50, None)


GIVEN = kept([line(1, 90_00)], grants=(points_grant(50),))


def test_a_refund_takes_points_that_offers_gave_back_to_who_paid() -> None:
    earned = earning(140, 90_00, granted=50, parts=(LinePoints(1, 90_00, 90),))
    known = collecting(refund_of(GIVEN), member(140), earning=earned)
    plan, besides = decide(plan_refund, known, Refund(PAYMENT, 45_00))
    assert [leg[3] for leg in besides] == [45_00]
    taken = [leg for leg in plan.posting.legs if leg.debit_account == POINTS]
    assert taken[0] == Leg(Effect.POST, POINTS, 1, OF_ISSUER.granted, None, 45)
    assert [leg.amount_fen for leg in taken] == [45, 13, 7, 5]
    assert len({leg.credit_account for leg in taken}) == 4
    was, got = change_of(plan)
    assert was is not None
    assert (got.taken, got.granted_taken, got.returned) == (70, 25, {1: 45_00})
    assert plan.receipt.points_earned == -70
    rest = collecting(
        refund_of(GIVEN, part(PartKind.REFUND, 45_00, 0, (0, 25, 0)), back_fen=45_00), member(70), earning=got
    )
    last, _ = decide(plan_refund, rest, Refund(PAYMENT, None))
    assert last.receipt.points_earned == -70
    assert change_of(last)[1].granted_taken == 50


# Refunds of what several captures earned, and of money


TWO = tuple(
    earning(30, 30_00, id=UUID(int=number), payment_id=PAYMENT, granted=10, parts=(LinePoints(1, 20_00, 20),))
    for number in (81, 82)
)


def of_captures(*parts: KeptPart, kept_as: Any, who: Any, terms: PointsTerms = TERMS, back_fen: int = 0) -> Any:
    known = refund_of(
        kept_as, *parts, captured_fen=40_00, back_fen=back_fen, kind=PaymentKind.AUTHORIZATION,
        status=PaymentStatus.COMPLETED,
    )  # fmt: skip
    told = collecting(known, who, terms=terms)
    assert told.points is not None
    return told._replace(points=told.points._replace(earnings=TWO))


CAPTURED = (part(PartKind.CAPTURE, 20_00, 0, (0, 10, 0)), part(PartKind.CAPTURE, 20_00, 0, (0, 10, 0)))
GIVES_TWENTY = kept([line(1, 40_00)], grants=(points_grant(20, funders=THREE[:1]),))


def test_a_refund_takes_of_every_capture_its_part_and_gifts_of_the_first_first() -> None:
    plan, _ = decide(plan_refund, of_captures(*CAPTURED, kept_as=GIVES_TWENTY, who=member(500)), Refund(PAYMENT, 30_00))
    assert [was for was, _ in plan.earnings] == list(TWO)
    assert [(got.taken, got.granted_taken, got.returned) for _, got in plan.earnings] == [
        (25, 10, {1: 15_00}), (20, 5, {1: 15_00})
    ]  # fmt: skip
    assert plan.receipt.points_earned == -45
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert [leg.amount_fen for leg in plan.posting.legs if leg.debit_account == POINTS] == [15, 10, 15, 5]


def test_what_the_first_took_the_second_does_not_find() -> None:
    plan, _ = decide(plan_refund, of_captures(*CAPTURED, kept_as=GIVES_TWENTY, who=member(26)), Refund(PAYMENT, 30_00))
    assert [leg.amount_fen for leg in plan.posting.legs if leg.debit_account == POINTS] == [15, 10, 1]
    assert [leg.amount_fen for leg in plan.posting.legs if leg.debit_account == DEBT] == [14, 5]
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3), Guard(DEBT, 5)]


def test_the_worth_of_points_that_were_spent_is_kept_back_of_the_money() -> None:
    terms = replace(TERMS, clawback=ClawbackMode.REFUND)
    known = of_captures(*CAPTURED, kept_as=GIVES_TWENTY, who=member(26), terms=terms)
    expense = AccountName(SLOT, ISSUER, "points_expense", "CNY")
    plan, besides = decide(plan_refund, known._replace(opened={expense: 91}), Refund(PAYMENT, 30_00))
    assert besides == [("post", "payable", PRINCIPAL, 30_00)]
    assert plan.posting.legs[-1] == Leg(Effect.POST, PRINCIPAL, 1, 91, None, 19)
    assert (plan.receipt.withheld_fen, plan.receipt.payment.amount_fen) == (19, 30_00)
    assert [one.amount_fen for one in plan.receipt.pockets] == [30_00 - 19]
    assert plan.receipt.balance_fen == 500_00 + 30_00 - 19
    dear = replace(terms, spend_points=1, spend_fen=10_00)
    all_of_it, _ = decide(
        plan_refund, of_captures(*CAPTURED, kept_as=GIVES_TWENTY, who=member(0), terms=dear), Refund(PAYMENT, 30_00)
    )
    assert (all_of_it.receipt.withheld_fen, all_of_it.receipt.pockets) == (30_00, [])


# Budgets


def use(number: int, amount_fen: int) -> Use:
    return Use(UUID(int=number), amount_fen, 1, 2, 3, Maxima(year_count=9))


WHOLE_USE = KeptUse(UUID(int=61), use(71, 50_00))
SHARE_USE = KeptUse(UUID(int=62), use(72, 50_00), BudgetReturn.SHARE, UUID(int=1_001))
KEEP_USE = KeptUse(UUID(int=63), use(73, 50_00), BudgetReturn.KEEP, UUID(int=1_001))
OTHER_USE = KeptUse(UUID(int=64), use(74, 50_00), BudgetReturn.SHARE, BANK)
OF_BUDGETS = kept(
    [line(1, 100_00)],
    applied=(applied(10_00),),
    shares=(share(1, 6_00), share(1, 4_00), share(1, 3_00, campaign_id=BANK)),
    grants=(voucher_grant(2, 50_00), points_grant(70), voucher_grant(1, 7_00)),
    uses=(WHOLE_USE, SHARE_USE, KEEP_USE, OTHER_USE),
)


def test_budgets_get_back_what_came_back_of_their_campaign() -> None:
    part_back = uses_back(
        OF_BUDGETS, ((0, 3_00), (1, 2_00), (2, 1_00)), ((0, 25_00, 1), (1, 30, 0), (2, 7_00, 1)), everything=False
    )
    assert part_back == (
        use(72, 37_00)._replace(maxima=AMOUNT_ALONE), use(74, 1_00)._replace(maxima=AMOUNT_ALONE)
    )  # fmt: skip
    assert uses_back(OF_BUDGETS, ((0, 3_00),), (), everything=False) == (use(72, 3_00)._replace(maxima=AMOUNT_ALONE),)
    assert uses_back(OF_BUDGETS, ((0, 3_00),), (), everything=True) == (use(71, 50_00), use(72, 3_00), use(74, 0))
    only_gifts = uses_back(OF_BUDGETS, (), ((0, 25_00, 1), (1, 30, 0)), everything=False)
    assert only_gifts == (use(72, 25_00)._replace(maxima=AMOUNT_ALONE),)
    by_share = OF_BUDGETS._replace(uses=(SHARE_USE,))
    assert uses_back(by_share, ((0, 3_00),), (), everything=True) == (use(72, 3_00),)
    plain = OF_BUDGETS._replace(uses=(WHOLE_USE,))
    assert uses_back(plain, ((0, 3_00),), (), everything=False) == ()
    assert uses_back(plain, ((0, 3_00),), (), everything=True) == (use(71, 50_00),)


BUDGETED = kept(
    [line(1, 100_00)], applied=(applied(10_00),), shares=(share(1, 10_00),), grants=(voucher_grant(2, 50_00),),
    uses=(WHOLE_USE, SHARE_USE, KEEP_USE),
)  # fmt: skip


def test_what_a_capture_gives_up_its_budgets_get_back() -> None:
    plan, _ = decide(plan_capture, authorized(BUDGETED), Capture(PAYMENT, 45_00, True))
    assert plan.gives_back == (use(72, 30_00)._replace(maxima=AMOUNT_ALONE),)
    more, _ = decide(plan_capture, authorized(BUDGETED), Capture(PAYMENT, 45_00, False))
    assert more.gives_back == ()


def test_what_a_refund_brings_back_its_budgets_get() -> None:
    plan, _ = decide(plan_refund, refund_of(BUDGETED), Refund(PAYMENT, 45_00))
    assert plan.gives_back == (use(72, 30_00)._replace(maxima=AMOUNT_ALONE),)
    whole, _ = decide(plan_refund, refund_of(BUDGETED), Refund(PAYMENT, None))
    assert whole.gives_back == (use(71, 50_00), use(72, 60_00))


def test_what_a_void_frees_its_budgets_get_back() -> None:
    plan, _ = decide(plan_void, authorized(BUDGETED), Void(PAYMENT))
    assert plan.gives_back == (use(71, 50_00), use(72, 60_00))
    before = KeptPart(PartKind.CAPTURE, ((1, 50_00, 0),), ((0, 5_00),), ((0, 25_00, 1),), False)
    rest, _ = decide(plan_void, authorized(BUDGETED, before, reserved_fen=45_00, captured_fen=45_00), Void(PAYMENT))
    assert rest.gives_back == (use(72, 30_00)._replace(maxima=AMOUNT_ALONE),)


# Loads


FRIEND = UUID(int=66)
INVITES = Offer(
    name="invite", kind="invitation", stacking=group(""),
    params=Invitation(from_fen=100_00, inviter_points=200, invited_points=50),
)  # fmt: skip


def test_a_load_that_gives_points() -> None:
    known = top_up(INVITES)
    assert known.offers is not None
    known = collecting(known._replace(offers=known.offers._replace(is_first_load=True)), member())
    plan, besides = decide(plan_load, known, load(invited_by=FRIEND))
    assert besides == [
        ("post", "issuer points_offered", POINTS, 25),
        ("post", "merchant points_offered", POINTS, 15),
        ("post", "bank points_offered", POINTS, 10),
    ]
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)]
    assert plan.posting.lots[1:] == [NewLot(POINTS, 4, 0, 50, None)]
    was, got = change_of(plan)
    assert was is None
    assert (got.id, got.points, got.granted, got.basis_fen, got.at, got.payment_id) == (NEW, 50, 50, 0, NOW, None)
    assert plan.receipt.points_earned == 50
    nobody = known._replace(points=None)
    without, _ = decide(plan_load, nobody, load(invited_by=FRIEND))
    assert (without.earnings, without.receipt.points_earned) == ((), 0)
    plain, _ = decide(plan_load, known, load(50_00, invited_by=FRIEND))
    assert (plain.earnings, plain.receipt.points_earned) == ((), 0)
    at_none, besides = decide(plan_load, known, load(invited_by=FRIEND, place=None))
    assert [leg[1:] for leg in besides] == [
        ("issuer points_offered", POINTS, 40), ("bank points_offered", POINTS, 10)
    ]  # fmt: skip
    assert at_none.receipt.points_earned == 50


# Drafts beside


WATCH = Watch(NOW, compiled(off()))


def test_what_a_draft_runs_beside_is_seen() -> None:
    known = offered(facts(HOLDER), compiled(off(), funders=THREE), watch=WATCH, exhausted=frozenset({BANK}))
    plan, _ = decide(plan_spend, known, spend())
    assert plan.seen is not None
    seen = read_seen(plan.seen)
    assert (seen.issuer_id, seen.is_load, seen.merchant_id, seen.amount_fen) == (ISSUER, False, MERCHANT, 100_00)
    assert (seen.local, seen.exhausted) == (local_time(AT, "Asia/Shanghai"), (BANK,))
    assert [one.amount_fen for one in seen.gave] == [10_00]
    nothing, _ = decide(plan_spend, known, spend(50_00))
    assert nothing.seen is not None
    assert read_seen(nothing.seen).gave == ()
    alone, _ = decide(plan_spend, known._replace(offers=known.offers._replace(watch=None)), spend())  # type: ignore[union-attr]
    assert alone.seen is None


def test_a_load_that_a_draft_runs_beside_is_seen() -> None:
    known = offered(facts(HOLDER), compiled(bonus(), funders=THREE), watch=WATCH, exhausted=frozenset({BANK}))
    plan, _ = decide(plan_load, known, load())
    assert plan.seen is not None
    seen = read_seen(plan.seen)
    assert (seen.issuer_id, seen.is_load, seen.is_sold, seen.amount_fen) == (ISSUER, True, False, 500_00)
    assert (seen.local, seen.exhausted) == (local_time(EARLIER, "Asia/Shanghai"), (BANK,))
    assert [one.amount_fen for one in seen.gave] == [30_00]
    sold, _ = decide(plan_load, known, load(50_00, sale_id=BANK))
    assert sold.seen is not None
    assert (read_seen(sold.seen).is_sold, read_seen(sold.seen).gave) == (True, ())


# Captures earn as purchases do


def earned_by_capture(terms: PointsTerms, **command: Any) -> int:
    known = collecting(authorized(None)._replace(trade="grocery"), member(), terms=terms)
    told: dict[str, Any] = {"amount_fen": 45_00, "final": False, **command}
    return planned(plan_capture(known, Capture(PAYMENT, **told))).receipt.points_earned


def test_what_a_rule_looks_at_is_told_of_a_capture() -> None:
    for told in (
        {"trades": frozenset({"grocery"})}, {"merchant_ids": frozenset({MERCHANT})}, {"store_ids": frozenset({STORE})}
    ):  # fmt: skip
        assert earned_by_capture(rules(**told)) == 45
    sunday = PointsTerms(
        rules=(EarningRule(name="r", points=1, per_fen=100),),
        multipliers=(Multiplier(name="s", factor_bp=20_000, weekdays=frozenset({7})),),
    )
    assert earned_by_capture(sunday, occurred_at=datetime(2026, 2, 28, 17, tzinfo=UTC)) == 90
    assert earned_by_capture(sunday, occurred_at=datetime(2026, 2, 28, 15, tzinfo=UTC)) == 45


def test_points_of_a_capture_end_in_the_zone_of_the_issuer() -> None:
    ends = PointsTerms(rules=TERMS.rules, valid_years=0)
    plan = planned(plan_capture(collecting(authorized(None), member(), terms=ends), Capture(PAYMENT, None, True)))
    assert plan.posting.lots == (NewLot(POINTS, 4, 0, 90, datetime(2026, 12, 31, 16, tzinfo=UTC)),)


@pytest.mark.parametrize(("first_fen", "of"), [(50_00, 1), (40_00, 2)])
def test_a_capture_of_one_fen_earns_by_the_line_that_it_is_of(first_fen: int, of: int) -> None:
    by_fen = PointsTerms(rules=(EarningRule(name="r", points=1, per_fen=1),))
    two = kept([line(1, first_fen), line(2, 100_00 - first_fen)])
    known = collecting(authorized(two, reserved_fen=100_00), member(), terms=by_fen)
    plan, _ = decide(plan_capture, known, Capture(PAYMENT, 1, False))
    assert change_of(plan)[1].parts == (LinePoints(of, 1, 1),)


def test_a_part_that_is_less_than_a_point_brings_none_back() -> None:
    dear = kept([line(1, 100_00)], tender=KeptTender(1, 10_00, ((1, 1),)))
    plan, besides = decide(plan_refund, collecting(refund_of(dear), member(5)), Refund(PAYMENT, 45_00))
    assert [leg[1:] for leg in besides] == [
        ("payable", PRINCIPAL, 45_00), ("payable", "issuer points_expense", 5_00)
    ]  # fmt: skip
    assert len(plan.posting.legs) == 2
    assert plan.posting.guards == [Guard(PRINCIPAL, 5)]
    assert plan.receipt.part == part(PartKind.REFUND, 50_00, 0, points_fen=5_00)
    bare = refund_of(dear)
    unknown, _ = decide(plan_refund, bare, Refund(PAYMENT, 45_00))
    assert len(unknown.posting.legs) == 1


def test_a_capture_of_less_than_a_point_takes_none() -> None:
    dear = kept([line(1, 100_00)], tender=KeptTender(1, 10_00, ((1, 1),)))
    plan, besides = decide(plan_capture, collecting(authorized(dear), member(5)), Capture(PAYMENT, 45_00, False))
    assert besides == [("capture", "issuer points_expense", "payable", 5_00)]
    assert [leg for leg in plan.posting.legs if leg.debit_account == POINTS] == []
    assert plan.posting.guards == [Guard(PRINCIPAL, 5), Guard(POINTS, 3)], "it earns"
    before = part(PartKind.CAPTURE, 50_00, 0, points_fen=5_00)
    known = collecting(authorized(dear, before, reserved_fen=45_00, captured_fen=45_00), member(5))
    silent = known._replace(points=known.points._replace(in_force=None) if known.points else None)
    half, besides = decide(plan_capture, silent, Capture(PAYMENT, 20_00, False))
    assert besides == [("capture", "issuer points_expense", "payable", 2_22)]
    assert (half.posting.guards, half.earnings) == ([Guard(PRINCIPAL, 5)], ())


GIVES_BY_THREE = kept([line(1, 40_00)], grants=(points_grant(20),))


def taken_by_account(plan: Plan) -> list[int]:
    return [leg.amount_fen for leg in plan.posting.legs if leg.credit_account not in (PRINCIPAL, OF_ISSUER.granted)]


def test_gifts_of_several_funders_are_taken_of_the_captures_in_turn() -> None:
    """Of 10, 6 and 4 points 15 come back, as 8, 4 and 3: ten of the first capture."""
    known = of_captures(*CAPTURED, kept_as=GIVES_BY_THREE, who=member(500))
    plan, _ = decide(plan_refund, known, Refund(PAYMENT, 30_00))
    assert [(got.taken, got.granted_taken) for _, got in plan.earnings] == [(25, 10), (20, 5)]
    assert taken_by_account(plan) == [8, 2, 2, 3]
    assert known.points is not None
    done = replace(TWO[0], returned={1: 20_00}, returned_fen=20_00, taken=30, granted_taken=10)
    rest = known._replace(points=known.points._replace(earnings=(done, TWO[1])))
    last, _ = decide(plan_refund, rest, Refund(PAYMENT, 20_00))
    assert [was for was, _ in last.earnings] == [TWO[1]]
    half = replace(TWO[0], returned={1: 10_00}, returned_fen=10_00, taken=16, granted_taken=6)
    rest = known._replace(points=known.points._replace(earnings=(half, TWO[1])))
    more, _ = decide(plan_refund, rest, Refund(PAYMENT, 20_00))
    assert [got.granted_taken for _, got in more.earnings] == [10, 6]


def test_an_earning_by_terms_that_are_gone_hides_no_other() -> None:
    known = of_captures(*CAPTURED, kept_as=GIVES_TWENTY, who=member(500))
    assert known.points is not None
    gone = replace(TWO[0], terms_version=9)
    plan, _ = decide(
        plan_refund, known._replace(points=known.points._replace(earnings=(gone, TWO[1]))), Refund(PAYMENT, 20_00)
    )
    assert [was for was, _ in plan.earnings] == [TWO[1]]


def test_of_no_money_no_points_are_taken() -> None:
    known = collecting(facts(HOLDER), member(500), earning=earning(90, 90_00))
    assert known.points is not None
    told = take_back(known.points, None, None, None, share=(0, 0), gifts=())
    assert (told.points, told.earnings, told.move) == (0, (), NO_MOVE)


def test_a_capture_gives_its_part_of_what_a_return_would_leave() -> None:
    of = kept([line(1, 100_00)], grants=(voucher_grant(2, 50_00, on_return=OnReturn.KEEP),))
    plan, _ = decide(plan_capture, authorized(of, reserved_fen=100_00), Capture(PAYMENT, 50_00, False))
    assert [one.amount_fen for one in plan.gives] == [25_00]
    back, _ = decide(plan_refund, refund_of(of, captured_fen=100_00), Refund(PAYMENT, 50_00))
    assert back.revokes == ()


def test_in_the_month_of_a_birthday_more_is_earned() -> None:
    twice = Multiplier(name="b", factor_bp=20_000, birthday_month=True)
    known = collecting(facts(HOLDER), member(), terms=PointsTerms(rules=TERMS.rules, multipliers=(twice,)))
    assert known.points is not None
    for month, points in ((3, 200), (4, 100), (None, 100)):
        told = known._replace(points=known.points._replace(birth_month=month))
        assert planned(plan_spend(told, spend())).receipt.points_earned == points


def test_where_offers_give_nothing_money_earns_all_the_same() -> None:
    known = collecting(offered(facts(HOLDER), compiled(off())), member())
    plan, _ = decide(plan_spend, known, spend(50_00))
    assert (plan.kept, plan.receipt.points_earned) == (None, 50)


def test_points_of_a_load_end_in_the_zone_of_the_issuer() -> None:
    known = top_up(INVITES)
    assert known.offers is not None
    known = collecting(
        known._replace(offers=known.offers._replace(is_first_load=True)), member(),
        terms=PointsTerms(rules=TERMS.rules, valid_years=0),
    )  # fmt: skip
    plan, _ = decide(plan_load, known, load(invited_by=FRIEND))
    assert plan.posting.lots[1:] == [NewLot(POINTS, 4, 0, 50, datetime(2026, 12, 31, 16, tzinfo=UTC))]
