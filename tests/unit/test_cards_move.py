"""What moves when balance goes to another card, and what a fee takes: legs, lots and guards, on hand-made pockets."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from kaquan.cards import Card, CardForm, CardStatus, FeeKind, Pocket, Programme
from kaquan.cards.fees import plan_fee, replacement_fee_fen
from kaquan.cards.move import (
    Move,
    free_fen,
    held_fen,
    plan_across,
    plan_arriving,
    plan_leaving,
    plan_returning,
    take_free,
)
from kaquan.cards.store import Holding
from kaquan.cards.types import Fees
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Account, Effect, Entry, FloorRule, Guard, Leg, Lot, NewLot, Posting

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=9)
CARD, MOVED, WENT = UUID(int=1), UUID(int=2), UUID(int=3)
LOADS = [UUID(int=number) for number in range(10, 20)]
FROM, FROM_BONUS, TO, TO_BONUS, CLEARING, FEES = 11, 12, 21, 22, 90, 91


def lot(account: int, number: int, available_fen: int, ends: datetime | None = None) -> Lot:
    return Lot(account, number, LOADS[number % 10], 100 * number, number, ends, available_fen)


def holding(pocket: Pocket, id_: int, *lots: Lot, first_lot: int = 1, reserved_fen: int = 0) -> Holding:
    credits = sum(one.available_fen for one in lots) + reserved_fen
    account = Account(
        0, id_, 1, CARD, pocket.account_kind, "CNY", FloorRule.CREDIT, True, 0, credits, reserved_fen, 0, 7 + id_,
    )  # fmt: skip
    return Holding(pocket, account, list(lots), first_lot)


SOURCE = [
    holding(Pocket.BONUS, FROM_BONUS, lot(FROM_BONUS, 3, 30, LATER)),
    holding(Pocket.PRINCIPAL, FROM, lot(FROM, 1, 200), lot(FROM, 2, 50, SOON), reserved_fen=25),
]
TARGET = [
    holding(Pocket.PRINCIPAL, TO, lot(TO, 5, 7), first_lot=0),
    holding(Pocket.BONUS, TO_BONUS, first_lot=5),
]
ARRIVED_LOTS = [
    NewLot(TO, -2, 100, 1, None),
    NewLot(TO, -1, 200, 2, SOON),
    NewLot(TO_BONUS, 4, 300, 3, LATER),
]
ORIGINS = [(TO, -2, LOADS[1]), (TO, -1, LOADS[2]), (TO_BONUS, 4, LOADS[3])]


def test_what_is_free_and_what_is_held() -> None:
    assert (free_fen(SOURCE), held_fen(SOURCE)) == (280, 305)


def test_what_was_decided_on_all_that_is_there_guards_all_of_it() -> None:
    def guards(**how: bool) -> list[Guard]:
        return list(plan_across(SOURCE[1:], TARGET, transaction_id=MOVED, at=NOW, **how).posting.guards)

    assert guards() == [Guard(FROM, 18), Guard(TO, 28)]
    assert guards(is_capped=True) == [Guard(FROM, 18), Guard(TO, 28), Guard(TO_BONUS, 29)]


def test_what_arrives_guards_the_pockets_that_it_comes_to() -> None:
    lots = {(one.account_id, one.lot): one for held in SOURCE for one in held.lots}
    entries = [entry for entry in ENTRIES if entry.debit_account == FROM]
    move = plan_arriving(
        entries, lots, {FROM: Pocket.PRINCIPAL}, TARGET, clearing=CLEARING, transaction_id=MOVED, out_id=WENT, at=NOW
    )
    assert list(move.posting.guards) == [Guard(TO, 28)]


def test_within_a_slot_lot_becomes_lot() -> None:
    assert plan_across(SOURCE, TARGET, transaction_id=MOVED, at=NOW) == Move(
        Posting(
            MOVED,
            "transfer",
            NOW,
            [
                Leg(Effect.POST, FROM, 1, TO, -2, 200),
                Leg(Effect.POST, FROM, 2, TO, -1, 50),
                Leg(Effect.POST, FROM_BONUS, 3, TO_BONUS, 4, 30),
            ],
            [Guard(FROM_BONUS, 19), Guard(FROM, 18), Guard(TO, 28), Guard(TO_BONUS, 29)],
            ARRIVED_LOTS,
        ),
        ORIGINS,
        280,
    )


def test_a_pocket_that_moves_nothing_is_not_guarded() -> None:
    empty = [holding(Pocket.BONUS, FROM_BONUS), SOURCE[1]]
    move = plan_across(empty, TARGET, transaction_id=MOVED, at=NOW)
    assert move.posting.guards == [Guard(FROM, 18), Guard(TO, 28)]


LEFT = [
    Leg(Effect.POST, FROM_BONUS, 3, CLEARING, None, 30),
    Leg(Effect.POST, FROM, 1, CLEARING, None, 200),
    Leg(Effect.POST, FROM, 2, CLEARING, None, 50),
]
ENTRIES = [
    Entry(number, leg.effect, leg.debit_account, leg.debit_lot, leg.credit_account, None, leg.amount_fen, None, None)
    for number, leg in enumerate(LEFT)
]


def test_between_slots_it_leaves_first() -> None:
    assert plan_leaving(SOURCE, clearing=CLEARING, transaction_id=MOVED, at=NOW) == Move(
        Posting(MOVED, "transfer_out", NOW, LEFT, [Guard(FROM_BONUS, 19), Guard(FROM, 18)]), [], 280
    )


def test_and_arrives_then() -> None:
    lots = {(one.account_id, one.lot): one._replace(available_fen=0) for held in SOURCE for one in held.lots}
    pockets = {FROM: Pocket.PRINCIPAL, FROM_BONUS: Pocket.BONUS}
    assert plan_arriving(
        ENTRIES, lots, pockets, TARGET, clearing=CLEARING, transaction_id=MOVED, out_id=WENT, at=NOW
    ) == Move(
        Posting(
            MOVED,
            "transfer_in",
            NOW,
            [
                Leg(Effect.POST, CLEARING, None, TO, -2, 200),
                Leg(Effect.POST, CLEARING, None, TO, -1, 50),
                Leg(Effect.POST, CLEARING, None, TO_BONUS, 4, 30),
            ],
            [Guard(TO, 28), Guard(TO_BONUS, 29)],
            ARRIVED_LOTS,
            related_id=WENT,
        ),
        ORIGINS,
        280,
    )


def test_or_comes_back() -> None:
    assert plan_returning(
        ENTRIES, SOURCE, clearing=CLEARING, transaction_id=MOVED, out_id=WENT, at=NOW
    ) == Move(
        Posting(
            MOVED,
            "transfer_back",
            NOW,
            [
                Leg(Effect.POST, CLEARING, None, FROM_BONUS, 3, 30),
                Leg(Effect.POST, CLEARING, None, FROM, 1, 200),
                Leg(Effect.POST, CLEARING, None, FROM, 2, 50),
            ],
            [Guard(FROM_BONUS, 19), Guard(FROM, 18)],
            related_id=WENT,
        ),
        [],
        280,
    )  # fmt: skip


def test_what_is_free_is_taken_soonest_end_first() -> None:
    lots = [lot(FROM, 5, 40), lot(FROM, 4, 40), lot(FROM, 3, 40, LATER), lot(FROM, 2, 40, SOON), lot(FROM, 1, 40, NOW)]
    taken = take_free([*lots, lot(FROM, 6, 0, SOON)], FROM, FEES, 101, NOW)
    assert taken == [
        Leg(Effect.POST, FROM, 2, FEES, None, 40),
        Leg(Effect.POST, FROM, 3, FEES, None, 40),
        Leg(Effect.POST, FROM, 4, FEES, None, 21),
    ]
    assert sum(leg.amount_fen for leg in take_free(lots, FROM, FEES, 1_000, NOW)) == 160
    assert take_free([lot(FROM, 1, 1)], FROM, FEES, 1, NOW) == [Leg(Effect.POST, FROM, 1, FEES, None, 1)]


# Fees

CARD_OF = Card(
    0, CARD, 1, UUID(int=4), None, CardForm.DIGITAL, CardStatus.ACTIVE, None, "0000", None, NOW, NOW, 3,
)  # fmt: skip
PROGRAMME = Programme(
    UUID(int=4), 1, UUID(int=5), "p", "P", "CNY", "8888", (Pocket.BONUS, Pocket.PRINCIPAL), None, 3_600, 90, 30,
    "Asia/Shanghai", NOW, fees=Fees(replacement_fen=500),
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "fee_fen"), [(CardStatus.ACTIVE, 500), (CardStatus.LOST, 500), (CardStatus.EXPIRED, 0)]
)
def test_the_exchange_of_an_expired_card_is_free(status: CardStatus, fee_fen: int) -> None:
    assert replacement_fee_fen(replace(CARD_OF, status=status), PROGRAMME) == fee_fen


def fee(fee_fen: int, *holdings: Holding) -> Posting | Refusal:
    return plan_fee(
        holdings, kind=FeeKind.REPLACEMENT, fee_fen=fee_fen, account=FEES, transaction_id=MOVED, now=NOW
    )  # fmt: skip


def test_a_fee_is_taken_of_what_was_paid() -> None:
    assert fee(220, *SOURCE) == Posting(
        MOVED,
        "fee",
        NOW,
        [Leg(Effect.POST, FROM, 2, FEES, None, 50), Leg(Effect.POST, FROM, 1, FEES, None, 170)],
        [Guard(FROM, 18)],
        reference="replacement",
    )
    assert isinstance(fee(250, *SOURCE), Posting)


@pytest.mark.parametrize(
    ("fee_fen", "holdings", "available_fen"), [(251, SOURCE, 250), (10, SOURCE[:1], 0), (1, [], 0)]
)
def test_a_part_of_a_fee_is_never_taken(fee_fen: int, holdings: list[Holding], available_fen: int) -> None:
    refusal = fee(fee_fen, *holdings)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "fee_not_covered"
    assert refusal.details == {"fee_fen": fee_fen, "available_fen": available_fen}
