"""What a transfer posts, for any holdings: nothing is lost, nothing is made, no term changes."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kaquan.cards import Pocket
from kaquan.cards.move import Move, free_fen, plan_across, plan_arriving, plan_leaving
from kaquan.ledger import Account, Entry, FloorRule, Lot

AT = datetime(2026, 3, 1, tzinfo=UTC)
OUT, IN = UUID(int=1), UUID(int=2)
CLEARING_HERE, CLEARING_THERE = 90, 91


class Held(NamedTuple):
    pocket: Pocket
    account: Account
    lots: list[Lot]
    first_lot: int


def account(number: int, posted_fen: int, version: int) -> Account:
    return Account(
        0, number, 1, UUID(int=number), "card", "CNY", FloorRule.CREDIT, True, 0, posted_fen, 0, 0, version
    )  # fmt: skip


@st.composite
def holdings(draw: st.DrawFn, numbers: tuple[int, int, int]) -> list[Held]:
    held = []
    for pocket, number in zip(Pocket, numbers, strict=True):
        lots = []
        for lot in draw(st.lists(st.integers(-5, 60), unique=True, max_size=6).map(sorted)):
            paid_fen, given_fen = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**6))
            days = draw(st.none() | st.integers(-30, 400))
            lots.append(
                Lot(
                    number, lot, UUID(int=draw(st.integers(10, 14))), paid_fen, given_fen,
                    None if days is None else AT + timedelta(days=days), draw(st.integers(1, 10**9)),
                )
            )  # fmt: skip
        posted_fen = sum(lot.available_fen for lot in lots)
        first_lot = min([0, *(lot.lot for lot in lots)])
        held.append(Held(pocket, account(number, posted_fen, draw(st.integers(0, 99))), lots, first_lot))
    return held


def gone(held: list[Held]) -> Counter[tuple[object, ...]]:
    return Counter(
        (one.pocket, lot.origin_transaction_id, lot.paid_fen, lot.given_fen, lot.expires_at, lot.available_fen)
        for one in held
        for lot in one.lots
    )


def come(move: Move, target: list[Held]) -> Counter[tuple[object, ...]]:
    """What arrives, by the terms of the lots that are opened for it."""
    pockets = {one.account.id: one.pocket for one in target}
    terms = {(lot.account_id, lot.lot): lot for lot in move.posting.lots}
    origins = {(account_id, lot): origin for account_id, lot, origin in move.origins}
    assert len(terms) == len(move.posting.lots) == len(origins)
    found: Counter[tuple[object, ...]] = Counter()
    for leg in move.posting.legs:
        assert leg.credit_lot is not None
        lot = terms[leg.credit_account, leg.credit_lot]
        origin = origins[leg.credit_account, leg.credit_lot]
        found[pockets[leg.credit_account], origin, lot.paid_fen, lot.given_fen, lot.expires_at, leg.amount_fen] += 1
    return found


def numbers_are_free(move: Move, target: list[Held]) -> bool:
    used = {(one.account.id, lot.lot) for one in target for lot in one.lots}
    return all(
        lot.lot < 0 and (lot.account_id, lot.lot) not in used and lot.lot < held.first_lot
        for lot in move.posting.lots
        for held in target
        if held.account.id == lot.account_id
    )


@given(holdings((11, 12, 13)), holdings((21, 22, 23)))
def test_in_one_slot_every_lot_arrives_as_it_left(source: list[Held], target: list[Held]) -> None:
    move = plan_across(source, target, transaction_id=OUT, at=AT)
    assert come(move, target) == gone(source)
    assert move.amount_fen == free_fen(source) == sum(leg.amount_fen for leg in move.posting.legs)
    assert numbers_are_free(move, target)
    moved = {leg.debit_account for leg in move.posting.legs} | {leg.credit_account for leg in move.posting.legs}
    assert {guard.account_id for guard in move.posting.guards} == moved
    versions = {one.account.id: one.account.version for one in [*source, *target]}
    assert all(guard.version == versions[guard.account_id] for guard in move.posting.guards)


@given(holdings((11, 12, 13)), holdings((21, 22, 23)))
def test_over_two_slots_what_left_arrives_and_nothing_stays_between(source: list[Held], target: list[Held]) -> None:
    out = plan_leaving(source, clearing=CLEARING_HERE, transaction_id=OUT, at=AT)
    entries = [
        Entry(n, leg.effect, leg.debit_account, leg.debit_lot, leg.credit_account, None, leg.amount_fen, None, None)
        for n, leg in enumerate(out.posting.legs, start=1)
    ]
    lots = {(lot.account_id, lot.lot): lot for one in source for lot in one.lots}
    pockets = {one.account.id: one.pocket for one in source}
    into = plan_arriving(entries, lots, pockets, target, clearing=CLEARING_THERE, transaction_id=IN, out_id=OUT, at=AT)
    assert come(into, target) == gone(source)
    assert out.amount_fen == into.amount_fen == free_fen(source)
    assert {leg.credit_account for leg in out.posting.legs} <= {CLEARING_HERE}
    assert {leg.debit_account for leg in into.posting.legs} <= {CLEARING_THERE}
    assert into.posting.related_id == OUT
    assert numbers_are_free(into, target)
