"""What every movement of points posts, whole: legs, guards and lots."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.unit.test_points_plans import DEBT, ID, ISSUER, NOW, PENDING, POINTS, ZONE, earning, member, terms

from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Guard, Leg, NewLot
from kaquan.points import ClawbackMode, Lot, Member, plan_clawback, plan_earning, plan_tender, plan_tender_return
from kaquan.points.plan import (
    NO_MOVE,
    after_move,
    plan_expiry,
    plan_follow,
    plan_gain,
    plan_loss,
    plan_maturing,
    quote_tender,
    spendable,
)
from kaquan.points.types import Account, Clawback, Earned, Earning, LinePoints, PointsMove, Tender

SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=9)


def leg(debit: int, lot: int | None, credit: int, credit_lot: int | None, points: int) -> Leg:
    return Leg(Effect.POST, debit, lot, credit, credit_lot, points)


def own(number: int, points: int, ends: datetime | None = None) -> Lot:
    return Lot(number, ID, ends, points)


def guards(*accounts: int) -> list[Guard]:
    return [Guard(account, 3) for account in accounts]


EARNED = Earned(100, 10_000, 10_000, (LinePoints(1, 10_000, 100),))


def earn(who: Member, **changes: Any) -> tuple[PointsMove, Earning]:
    return plan_earning(terms(**changes), 5, EARNED, who, ISSUER, transaction_id=ID, at=NOW, time_zone=ZONE)


def test_points_that_wait() -> None:
    move, kept = earn(member(owed=30))
    assert move == PointsMove(
        [leg(ISSUER.granted, None, DEBT, None, 30), leg(ISSUER.granted, None, PENDING, 4, 70)],
        guards(DEBT, PENDING),
        [NewLot(PENDING, 4, 0, 70, None)],
    )
    assert kept == Earning(
        0, ID, 1, UUID(int=9), 5, 100, 10_000, EARNED.parts, {}, 0, 0, 4, datetime(2026, 3, 11, 16, tzinfo=UTC), False,
        NOW,
    )  # fmt: skip


def test_gifts_are_paid_by_whom_they_are_of_and_a_debt_first() -> None:
    earned = Earned(40, 4_000, 4_000, (LinePoints(1, 4_000, 40),))
    move, kept = plan_earning(
        terms(), 5, earned, member(owed=30), ISSUER, transaction_id=ID, at=NOW, time_zone=ZONE,
        gifts=((61, 50), (62, 10)), payment_id=UUID(int=8),
    )  # fmt: skip
    assert move == PointsMove(
        [
            leg(ISSUER.granted, None, DEBT, None, 30),
            leg(ISSUER.granted, None, PENDING, 4, 10),
            leg(61, None, PENDING, 4, 50),
            leg(62, None, PENDING, 4, 10),
        ],
        guards(DEBT, PENDING),
        [NewLot(PENDING, 4, 0, 70, None)],
    )
    assert (kept.points, kept.granted, kept.payment_id) == (100, 60, UUID(int=8))


def test_a_member_after_a_move() -> None:
    who = member(own(1, 50), own(2, 70, SOON), pending=[Lot(4, ID, None, 30), Lot(5, ID, None, 9)], owed=20)
    legs = [
        leg(POINTS, 2, ISSUER.spent, None, 30),
        leg(ISSUER.spent, None, POINTS, 1, 5),
        leg(PENDING, 4, POINTS, 7, 30),
        leg(ISSUER.granted, None, DEBT, None, 15),
        leg(DEBT, None, ISSUER.granted, None, 4),
        leg(61, 1, 62, 2, 99),
    ]
    told = after_move(who, legs)
    assert told == who._replace(
        debt=who.debt._replace(posted=9),
        lots=[own(1, 55), own(2, 40, SOON), Lot(7, UUID(int=0), None, 30)],
        pending_lots=[Lot(4, ID, None, 0), Lot(5, ID, None, 9)],
    )
    assert (told.owed, who.lots[0].available) == (9, 50)


def test_points_that_can_be_spent_at_once() -> None:
    move, kept = earn(member(), pending_days=0)
    assert move == PointsMove(
        [leg(ISSUER.granted, None, POINTS, 4, 100)], guards(POINTS),
        [NewLot(POINTS, 4, 0, 100, datetime(2027, 12, 31, 16, tzinfo=UTC))],
    )  # fmt: skip
    assert (kept.lot, kept.matures_at) == (None, None)


def test_one_day_is_waited_for() -> None:
    _, kept = earn(member(), pending_days=1)
    assert (kept.lot, kept.matures_at) == (4, datetime(2026, 3, 5, 16, tzinfo=UTC))


def test_points_that_all_pay_a_debt() -> None:
    for owed in (100, 101):
        move, kept = earn(member(owed=owed))
        assert move == PointsMove([leg(ISSUER.granted, None, DEBT, None, 100)], guards(DEBT), [])
        assert (kept.points, kept.lot, kept.matures_at) == (100, None, None)


def back(
    fen: int, who: Member, of: Earning | None = None, mode: ClawbackMode = ClawbackMode.DEBT, **changes: Any
) -> Clawback:
    of = of or earning([(1, 10_000, 100)])
    return plan_clawback(terms(clawback=mode, **changes), of, {1: fen}, who, ISSUER)


WAITING = member(own(1, 50, LATER), own(2, 50, SOON), pending=[Lot(4, ID, None, 30), Lot(5, ID, None, 9)])


def test_what_waits_is_taken_first_and_then_what_ends_soonest() -> None:
    told = back(9_000, WAITING)
    assert told == Clawback(
        90,
        PointsMove(
            [leg(PENDING, 4, ISSUER.granted, None, 30), leg(POINTS, 2, ISSUER.granted, None, 50),
             leg(POINTS, 1, ISSUER.granted, None, 10)],
            guards(PENDING, POINTS),
            [],
        ),
        0,
        0,
        0,
        earning([(1, 10_000, 100)], returned={1: 9_000}, returned_fen=9_000, taken=90),
    )  # fmt: skip
    assert back(3_000, WAITING).move.guards == guards(PENDING)
    of_another = [Lot(4, UUID(int=1), None, 30)]
    assert back(1_000, member(pending=of_another)).move == PointsMove(
        [leg(DEBT, None, ISSUER.granted, None, 10)], guards(DEBT), []
    )


@pytest.mark.parametrize(
    ("mode", "owed", "waived", "from_refund_fen"),
    [(ClawbackMode.DEBT, 80, 0, 0), (ClawbackMode.ZERO, 0, 80, 0), (ClawbackMode.REFUND, 0, 80, 40)],
)
def test_what_is_missing_is_owed_let_go_or_taken_from_the_money(
    mode: ClawbackMode, owed: int, waived: int, from_refund_fen: int
) -> None:
    told = back(10_000, member(own(1, 20)), mode=mode, spend_points=200)
    assert (told.points, told.owed, told.waived, told.from_refund_fen) == (100, owed, waived, from_refund_fen)
    taken = [leg(POINTS, 1, ISSUER.granted, None, 20)]
    if owed:
        taken.append(leg(DEBT, None, ISSUER.granted, None, 80))
    assert told.move == PointsMove(taken, guards(POINTS, DEBT) if owed else guards(POINTS), [])
    odd = back(10_000, member(own(1, 19)), mode=mode, spend_points=200)
    assert odd.from_refund_fen == from_refund_fen, "rounded down"
    worthless = back(10_000, member(), mode=mode, spend_points=0, spend_fen=0)
    assert worthless.from_refund_fen == 0


def test_what_came_back_before_is_not_taken_again() -> None:
    of = earning([(1, 10_000, 100), (2, 5_000, 50)], returned={1: 4_000, 2: 5_000}, returned_fen=9_000, taken=90)
    told = back(2_000, member(own(1, 500)), of)
    assert (told.points, told.after.returned, told.after.returned_fen, told.after.taken) == (
        20, {1: 6_000, 2: 5_000}, 11_000, 110
    )  # fmt: skip
    # no more comes back of a line than it paid, and a line that earned nothing brings nothing
    told = back(9_000, member(own(1, 500)), of)
    assert (told.points, told.after.returned[1]) == (60, 10_000)
    stray = plan_clawback(terms(), of, {3: 100}, member(own(1, 500)), ISSUER)
    assert (stray.points, stray.after.returned) == (0, {1: 4_000, 2: 5_000})


RICH = member(own(1, 300, LATER), own(2, 400, SOON), own(3, 1_000), own(4, 9_000, NOW))


@pytest.mark.parametrize(
    ("payable_fen", "changes", "most"),
    [
        (10_000, {}, (1_700, 1_700)),
        (3_000, {}, (1_500, 1_500)),
        (399, {}, (100, 100)),
        (399, {"spend_least": 200}, (0, 0)),
        (400, {"spend_least": 200}, (200, 200)),
        (3_000, {"spend_fen": 50}, (1_700, 850)),
        (1_000, {"spend_fen": 50}, (1_000, 500)),
        (3_000, {"spend_points": 0, "spend_fen": 0}, (0, 0)),
        (7, {"spend_fen": 1, "spend_step": 50}, (300, 3)),
        (20, {"spend_fen": 3, "spend_step": 1}, (333, 9)),
    ],
)
def test_the_most_that_points_may_pay(payable_fen: int, changes: dict[str, Any], most: tuple[int, int]) -> None:
    told = quote_tender(terms(**changes), RICH, payable_fen=payable_fen, now=NOW)
    assert told == most
    assert all(isinstance(one, int) for one in told)


def test_a_tender() -> None:
    told = plan_tender(terms(spend_fen=50), RICH, ISSUER, points=800, payable_fen=800, now=NOW)
    assert told == Tender(
        800,
        400,
        PointsMove(
            [leg(POINTS, 2, ISSUER.spent, None, 400), leg(POINTS, 1, ISSUER.spent, None, 300),
             leg(POINTS, 3, ISSUER.spent, None, 100)],
            guards(POINTS),
            [],
        ),
        ((2, 400), (1, 300), (3, 100)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("points", "payable_fen", "changes", "code", "details"),
    [
        (100, 800, {"spend_points": 0, "spend_fen": 0}, "points_not_tender", {}),
        (150, 800, {}, "points_out_of_step", {"least": 1, "step": 100}),
        (100, 800, {"spend_least": 101}, "points_out_of_step", {"least": 101, "step": 100}),
        (500, 999, {}, "points_above_share", {"most_fen": 499}),
        (1_800, 10_000, {}, "points_too_few", {"available": 1_700}),
    ],
)
def test_a_tender_refused(
    points: int, payable_fen: int, changes: dict[str, Any], code: str, details: dict[str, int]
) -> None:
    told = plan_tender(terms(**changes), RICH, ISSUER, points=points, payable_fen=payable_fen, now=NOW)
    assert isinstance(told, Refusal)
    assert (told.code, told.field, told.details) == (code, "points", details)


def test_a_tender_at_its_bounds() -> None:
    for points, payable_fen, changes in ((100, 200, {"spend_least": 100}), (1_700, 3_400, {})):
        told = plan_tender(terms(**changes), RICH, ISSUER, points=points, payable_fen=payable_fen, now=NOW)
        assert isinstance(told, Tender)
        assert told.amount_fen == points


PARTS = ((2, 400), (1, 300), (3, 100))


def test_points_come_back_into_their_lots() -> None:
    assert plan_tender_return(PARTS, (0, 250, 100), member=RICH, issuer=ISSUER) == PointsMove(
        [leg(ISSUER.spent, None, POINTS, lot, part) for lot, part in ((1, 250), (3, 100))], guards(POINTS), []
    )
    assert plan_tender_return(PARTS, (0, 0, 0), member=RICH, issuer=ISSUER) == NO_MOVE


def test_what_waited_matures() -> None:
    move, points = plan_maturing(terms(), earning([(1, 10_000, 100)]), WAITING, time_zone=ZONE)
    assert points == 30
    assert move == PointsMove(
        [leg(PENDING, 4, POINTS, 4, 30)], guards(PENDING, POINTS),
        [NewLot(POINTS, 4, 0, 30, datetime(2027, 12, 31, 16, tzinfo=UTC))],
    )  # fmt: skip
    assert plan_maturing(terms(), earning([(1, 1, 1)], lot=9), WAITING, time_zone=ZONE) == (NO_MOVE, 0)


def test_a_successor_gets_everything_lot_by_lot() -> None:
    heir = member()._replace(points=Account(91, 7, 0, 0), debt=Account(93, 8, 0, 0))
    who = member(own(1, 50, LATER), own(2, 60), owed=5)
    assert plan_follow(who, heir, first_lot=10) == PointsMove(
        [leg(POINTS, 1, 91, 8, 50), leg(POINTS, 2, 91, 9, 60), leg(93, None, DEBT, None, 5)],
        [Guard(POINTS, 3), Guard(91, 7), Guard(DEBT, 3), Guard(93, 8)],
        [NewLot(91, 8, 0, 50, LATER), NewLot(91, 9, 0, 60, None)],
    )
    assert plan_follow(member(), heir, first_lot=10) == PointsMove([], [], [])
    assert plan_follow(member(owed=5), heir, first_lot=10).guards == [Guard(DEBT, 3), Guard(93, 8)]


def test_what_has_ended() -> None:
    assert plan_expiry(RICH, ISSUER, now=NOW) == (
        PointsMove([leg(POINTS, 4, ISSUER.expired, None, 9_000)], guards(POINTS), []), 9_000
    )  # fmt: skip
    assert plan_expiry(RICH, ISSUER, now=NOW - timedelta(seconds=1)) == (NO_MOVE, 0)
    both, points = plan_expiry(RICH, ISSUER, now=SOON)
    assert ([leg_.debit_lot for leg_ in both.legs], points) == ([4, 2], 9_400)


def test_a_gain_pays_what_is_owed_first() -> None:
    assert plan_gain(member(owed=30), source=77, points=100, ends=LATER) == PointsMove(
        [leg(77, None, DEBT, None, 30), leg(77, None, POINTS, 4, 70)], guards(DEBT, POINTS),
        [NewLot(POINTS, 4, 0, 70, LATER)],
    )  # fmt: skip
    assert plan_gain(member(), source=77, points=100, ends=None) == PointsMove(
        [leg(77, None, POINTS, 4, 100)], guards(POINTS), [NewLot(POINTS, 4, 0, 100, None)]
    )
    assert plan_gain(member(owed=100), source=77, points=100, ends=None) == PointsMove(
        [leg(77, None, DEBT, None, 100)], guards(DEBT), []
    )


def test_a_loss_takes_what_ends_soonest_and_never_what_has_ended() -> None:
    assert plan_loss(RICH, target=77, points=450, now=NOW) == PointsMove(
        [leg(POINTS, 2, 77, None, 400), leg(POINTS, 1, 77, None, 50)], guards(POINTS), []
    )
    assert isinstance(plan_loss(RICH, target=77, points=1_700, now=NOW), PointsMove)
    told = plan_loss(RICH, target=77, points=1_701, now=NOW)
    assert isinstance(told, Refusal)
    assert (told.code, told.field, told.details) == ("points_too_few", "points", {"available": 1_700})
    assert spendable(RICH, NOW) == 1_700
    assert spendable(RICH, SOON) == 1_300


def test_of_lots_that_end_together_the_older_goes_first() -> None:
    who = member(own(3, 10, SOON), own(1, 10, SOON), own(2, 10), own(5, 10))
    told = plan_loss(who, target=77, points=35, now=NOW)
    assert isinstance(told, PointsMove)
    assert [(leg_.debit_lot, leg_.amount_fen) for leg_ in told.legs] == [(1, 10), (3, 10), (2, 10), (5, 5)]
    one = plan_loss(who, target=77, points=31, now=NOW)
    assert isinstance(one, PointsMove)
    assert [(leg_.debit_lot, leg_.amount_fen) for leg_ in one.legs][3:] == [(5, 1)]
