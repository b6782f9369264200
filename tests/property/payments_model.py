"""What payments must do, in memory, written from the documents and not from the code.

Sources: ``design/core.md`` (ledger, lots), the descriptions in the API, ``glossary.md``. Every method takes time as an
argument and answers an :class:`Expected`; the model never looks at what the product answered.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

MAX_BALANCE_FEN = 5_000
PRINCIPAL_VALID_DAYS, BONUS_VALID_DAYS = 3, 1
DEFAULT_TTL_S = 3_600
ZONE = timedelta(hours=8)
"""Shanghai keeps one time all year."""

POCKETS = ("bonus", "principal")
"""In the order in which the programme spends them."""


class Expected(NamedTuple):
    """An answer: a refusal's code, or what a success says."""

    code: str | None
    status: str = ""
    amount_fen: int = 0
    captured_fen: int = 0
    refunded_fen: int = 0
    balance_fen: int = 0
    pockets: tuple[tuple[str, int], ...] = ()


@dataclass
class Lot:
    """Value of one load in one pocket. ``name`` is the name of its load."""

    name: int
    pocket: str
    expires_at: datetime
    remaining_fen: int
    reserved_fen: int = 0

    @property
    def free_fen(self) -> int:
        return self.remaining_fen - self.reserved_fen


@dataclass
class Card:
    active: bool
    blocked: bool = False
    lots: list[Lot] = field(default_factory=list)

    def balance_fen(self, now: datetime) -> int:
        """What can be spent: what has expired cannot."""
        return sum(lot.free_fen for lot in self.lots if lot.expires_at > now)

    @property
    def held_fen(self) -> int:
        return sum(lot.remaining_fen for lot in self.lots)


@dataclass
class Part:
    """What a payment did with one lot."""

    lot: int
    """Index among the lots of the card."""
    reserved_fen: int = 0
    captured_fen: int = 0
    refunded_fen: int = 0


@dataclass
class Spent:
    """A purchase or an authorization."""

    card: int
    shop: int
    kind: str
    status: str
    amount_fen: int
    expires_at: datetime | None
    parts: list[Part]

    @property
    def captured_fen(self) -> int:
        return sum(part.captured_fen for part in self.parts)

    @property
    def refunded_fen(self) -> int:
        return sum(part.refunded_fen for part in self.parts)


def refusal(code: str) -> Expected:
    return Expected(code)


class Model:
    """The book as it must be. Cards and payments are named by numbers that the caller gives."""

    def __init__(self) -> None:
        self.cards: dict[int, Card] = {}
        self.payments: dict[int, Spent] = {}
        self.terminal_blocked = [False, False]

    def copy(self) -> "Model":
        return deepcopy(self)

    def lots(self) -> dict[tuple[int, int, str], tuple[int, int]]:
        """What remains in each lot and is reserved of it, by card, load and pocket."""
        return {
            (card, lot.name, lot.pocket): (lot.remaining_fen, lot.reserved_fen)
            for card, of in self.cards.items()
            for lot in of.lots
        }

    def payable_fen(self, shop: int) -> int:
        """What a shop is owed."""
        return sum(paid.captured_fen - paid.refunded_fen for paid in self.payments.values() if paid.shop == shop)

    def _by_pocket(self, card: Card, amounts: Sequence[tuple[Lot, int]]) -> tuple[tuple[str, int], ...]:
        totals = {name: sum(amount for lot, amount in amounts if lot.pocket == name) for name in POCKETS}
        return tuple(sorted((name, total) for name, total in totals.items() if total))

    def _unusable(self, card: Card) -> Expected | None:
        if not card.active and not card.blocked:
            return refusal("card_not_active")
        return refusal("card_blocked") if card.blocked else None

    def load(self, name: int, card_name: int, amount_fen: int, bonus_fen: int, now: datetime) -> Expected:
        card = self.cards[card_name]
        if (unusable := self._unusable(card)) is not None:
            return unusable
        if card.held_fen + amount_fen + bonus_fen > MAX_BALANCE_FEN:
            return refusal("balance_cap_exceeded")
        loaded = []
        for pocket, fen, days in (
            ("principal", amount_fen, PRINCIPAL_VALID_DAYS),
            ("bonus", bonus_fen, BONUS_VALID_DAYS),
        ):
            if fen:
                local = now + ZONE
                midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
                lot = Lot(name, pocket, midnight + timedelta(days=days + 1) - ZONE, fen)
                card.lots.append(lot)
                loaded.append((lot, fen))
        return Expected(
            None, "completed", amount_fen, amount_fen, 0, card.balance_fen(now), self._by_pocket(card, loaded)
        )  # fmt: skip

    def spend(
        self,
        name: int,
        card_name: int,
        amount_fen: int,
        shop: int,
        now: datetime,
        *,
        authorize: bool = False,
        expires_in_s: int | None = None,
    ) -> Expected:
        card = self.cards[card_name]
        if (unusable := self._unusable(card)) is not None:
            return unusable
        if self.terminal_blocked[shop]:
            return refusal("terminal_blocked")
        parts: list[Part] = []
        taken: list[tuple[Lot, int]] = []
        left = amount_fen
        for pocket in POCKETS:
            usable = [
                (lot.expires_at, index, lot)
                for index, lot in enumerate(card.lots)
                if lot.pocket == pocket and lot.expires_at > now and lot.free_fen > 0
            ]
            for _, index, lot in sorted(usable, key=lambda one: one[:2]):
                take = min(left, lot.free_fen)
                if take:
                    parts.append(Part(index, reserved_fen=take) if authorize else Part(index, captured_fen=take))
                    taken.append((lot, take))
                    left -= take
        if left:
            return refusal("insufficient_funds")
        for lot, take in taken:
            if authorize:
                lot.reserved_fen += take
            else:
                lot.remaining_fen -= take
        ends = now + timedelta(seconds=expires_in_s or DEFAULT_TTL_S) if authorize else None
        kind, status = ("authorization", "open") if authorize else ("purchase", "completed")
        made = Spent(card_name, shop, kind, status, amount_fen, ends, parts)
        self.payments[name] = made
        return self._told(made, card, taken, now)

    def _told(self, made: Spent, card: Card, moved: Sequence[tuple[Lot, int]], now: datetime) -> Expected:
        return Expected(
            None,
            made.status,
            made.amount_fen,
            made.captured_fen,
            made.refunded_fen,
            card.balance_fen(now),
            self._by_pocket(card, moved),
        )

    def capture(self, name: int, amount_fen: int | None, final: bool, now: datetime) -> Expected:
        paid = self.payments[name]
        card = self.cards[paid.card]
        if paid.status != "open":
            return refusal("authorization_not_open")
        assert paid.expires_at is not None
        if now >= paid.expires_at:
            return refusal("authorization_expired")
        left = sum(part.reserved_fen for part in paid.parts)
        wanted = left if amount_fen is None else amount_fen
        if wanted > left:
            return refusal("capture_exceeds_authorization")
        moved = []
        for part in paid.parts:
            lot, take = card.lots[part.lot], min(wanted, part.reserved_fen)
            wanted -= take
            part.reserved_fen -= take
            part.captured_fen += take
            lot.reserved_fen -= take
            lot.remaining_fen -= take
            moved.append((lot, take))
        if final or not any(part.reserved_fen for part in paid.parts):
            self._release(paid)
            paid.status = "completed"
        return self._told(paid, card, moved, now)

    def _release(self, paid: Spent) -> list[tuple[Lot, int]]:
        released = []
        for part in paid.parts:
            lot = self.cards[paid.card].lots[part.lot]
            lot.reserved_fen -= part.reserved_fen
            released.append((lot, part.reserved_fen))
            part.reserved_fen = 0
        return released

    def void(self, name: int, now: datetime, *, status: str = "voided") -> Expected:
        paid = self.payments[name]
        if paid.status != "open":
            return refusal("authorization_not_open")
        released = self._release(paid)
        paid.status = "completed" if paid.captured_fen else status
        return self._told(paid, self.cards[paid.card], released, now)

    def expire(self, now: datetime) -> int:
        """How many authorizations end because their time has passed."""
        overdue = [
            name
            for name, paid in self.payments.items()
            if paid.status == "open" and paid.expires_at is not None and paid.expires_at <= now
        ]
        for name in overdue:
            self.void(name, now, status="expired")
        return len(overdue)

    def refund(self, name: int, amount_fen: int | None, now: datetime) -> Expected:
        paid = self.payments[name]
        card = self.cards[paid.card]
        if not paid.captured_fen:
            return refusal("not_refundable")
        rooms = [part.captured_fen - part.refunded_fen for part in paid.parts]
        left = sum(rooms)
        amount = left if amount_fen is None else amount_fen
        if left == 0 or amount > left:
            return refusal("refund_exceeds_payment")
        exact = [Fraction(amount * room, left) for room in rooms]
        back = [int(share) for share in exact]
        fractions = sorted(range(len(rooms)), key=lambda index: (back[index] - exact[index], index))
        for index in fractions[: amount - sum(back)]:
            back[index] += 1
        moved = []
        for part, fen in zip(paid.parts, back, strict=True):
            part.refunded_fen += fen
            card.lots[part.lot].remaining_fen += fen
            moved.append((card.lots[part.lot], fen))
        pockets = self._by_pocket(card, moved)
        return Expected(None, "completed", amount, amount, 0, card.balance_fen(now), pockets)
