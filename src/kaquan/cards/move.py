"""What a transfer posts: pure decisions from holdings to legs and lots.

Every lot that has something free moves whole, with what was paid and given in its load, its expiry and its origin. What
an authorization has set aside stays, and follows when it is given back (``forward``).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from kaquan.cards.types import Pocket
from kaquan.ledger import Account, Effect, Entry, Guard, Leg, Lot, NewLot, Posting


class Holding(Protocol):
    """A pocket of a card: its account, the lots that have something free, its lowest lot number."""

    @property
    def pocket(self) -> Pocket: ...
    @property
    def account(self) -> Account: ...
    @property
    def lots(self) -> list[Lot]: ...
    @property
    def first_lot(self) -> int: ...


class Move(NamedTuple):
    """A posting with the loads that its new lots come from, and what it moves in all."""

    posting: Posting
    origins: list[tuple[int, int, UUID]]
    amount_fen: int


class _Piece(NamedTuple):
    """Value of one lot that comes to a pocket."""

    pocket: Pocket
    lot: Lot
    amount_fen: int
    debit_account: int
    debit_lot: int | None


_FOREVER = datetime.max.replace(tzinfo=UTC)


def take_free(lots: Iterable[Lot], pocket: int, account: int, amount_fen: int, now: datetime) -> list[Leg]:
    """What can be taken of ``amount_fen`` out of a pocket to ``account``, lot by lot: what is free and has not expired,
    first what expires soonest."""
    legs = []
    for lot in sorted(lots, key=lambda lot: (lot.expires_at or _FOREVER, lot.lot)):
        part_fen = min(lot.available_fen, amount_fen)
        if part_fen > 0 and (lot.expires_at is None or lot.expires_at > now):
            legs.append(Leg(Effect.POST, pocket, lot.lot, account, None, part_fen))
            amount_fen -= part_fen
    return legs


def free_fen(holdings: Iterable[Holding]) -> int:
    """What a transfer would take."""
    return sum(lot.available_fen for holding in holdings for lot in holding.lots)


def held_fen(holdings: Iterable[Holding]) -> int:
    """What a card holds, reserved value too: what its cap is compared with."""
    return sum(holding.account.posted_fen for holding in holdings)


def plan_across(
    source: Sequence[Holding], target: Sequence[Holding], *, transaction_id: UUID, at: datetime, is_capped: bool = False
) -> Move:
    """Both cards in one slot: one posting from lot to lot; ``is_capped`` when it was decided on all that is there."""
    pieces = [
        _Piece(holding.pocket, lot, lot.available_fen, holding.account.id, lot.lot)
        for holding in source
        for lot in holding.lots
    ]
    return _arriving(
        pieces, source, target,
        transaction_id=transaction_id, kind="transfer", at=at, related_id=None, is_capped=is_capped,
    )  # fmt: skip


def plan_leaving(source: Sequence[Holding], *, clearing: int, transaction_id: UUID, at: datetime) -> Move:
    """The first of two postings: out of the card's slot, into the account between."""
    legs = [
        Leg(Effect.POST, holding.account.id, lot.lot, clearing, None, lot.available_fen)
        for holding in source
        for lot in holding.lots
    ]
    guards = _guards(source, legs)
    posting = Posting(transaction_id, kind="transfer_out", effective_at=at, legs=legs, guards=guards)
    return Move(posting, [], sum(leg.amount_fen for leg in legs))


def plan_arriving(
    left: Sequence[Entry],
    lots: Mapping[tuple[int, int], Lot],
    pockets: Mapping[int, Pocket],
    target: Sequence[Holding],
    *,
    clearing: int,
    transaction_id: UUID,
    out_id: UUID,
    at: datetime,
) -> Move:
    """The second: what ``left`` says went out comes in. ``lots`` and ``pockets`` are those of the card that gave it."""
    pieces = []
    for entry in left:
        assert entry.debit_lot is not None, "value leaves a card from its lots"
        lot = lots[entry.debit_account, entry.debit_lot]
        pieces.append(_Piece(pockets[entry.debit_account], lot, entry.amount_fen, clearing, None))
    return _arriving(pieces, (), target, transaction_id=transaction_id, kind="transfer_in", at=at, related_id=out_id)


def plan_returning(
    left: Sequence[Entry], source: Sequence[Holding], *, clearing: int, transaction_id: UUID, out_id: UUID, at: datetime
) -> Move:
    """The second, where the other card was closed meanwhile: all comes back to the lots that it left."""
    legs = [Leg(Effect.POST, clearing, None, entry.debit_account, entry.debit_lot, entry.amount_fen) for entry in left]
    posting = Posting(
        transaction_id, kind="transfer_back", effective_at=at, legs=legs, guards=_guards(source, legs),
        related_id=out_id,
    )  # fmt: skip
    return Move(posting, [], sum(leg.amount_fen for leg in legs))


def _arriving(
    pieces: Sequence[_Piece],
    source: Sequence[Holding],
    target: Sequence[Holding],
    *,
    transaction_id: UUID,
    kind: str,
    at: datetime,
    related_id: UUID | None,
    is_capped: bool = False,
) -> Move:
    legs: list[Leg] = []
    lots: list[NewLot] = []
    origins: list[tuple[int, int, UUID]] = []
    for holding in target:
        coming = [piece for piece in pieces if piece.pocket is holding.pocket]
        # counted down, and the oldest lowest: it is still spent first among those that expire together
        for number, piece in enumerate(coming, start=holding.first_lot - len(coming)):
            account_id, lot = holding.account.id, piece.lot
            legs.append(Leg(Effect.POST, piece.debit_account, piece.debit_lot, account_id, number, piece.amount_fen))
            lots.append(NewLot(account_id, number, lot.paid_fen, lot.given_fen, lot.expires_at))
            origins.append((account_id, number, lot.origin_transaction_id))
    assert len(legs) == len(pieces), "every card of a programme has the same pockets"
    posting = Posting(
        transaction_id, kind=kind, effective_at=at, legs=legs,
        guards=[*_guards(source, legs), *(_guards_of_all(target) if is_capped else _guards(target, legs))],
        lots=lots, related_id=related_id,
    )  # fmt: skip
    return Move(posting, origins, sum(leg.amount_fen for leg in legs))


def _guards(holdings: Sequence[Holding], legs: Sequence[Leg]) -> list[Guard]:
    moved = {leg.debit_account for leg in legs} | {leg.credit_account for leg in legs}
    return [Guard(held.account.id, held.account.version) for held in holdings if held.account.id in moved]


def _guards_of_all(holdings: Sequence[Holding]) -> list[Guard]:
    return [Guard(held.account.id, held.account.version) for held in holdings]
