"""What becomes of cards and of the value on them, in memory, written from the documents and not from the code.

Sources: ``docs/how-to/card-life.md``, ``docs/how-to/closing.md``, ADR 0014, 0015, 0021, 0022, the API.
Every method answers the code of the refusal, or None; the model never looks at what the product answered.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

VALID_DAYS = 3
ZONE = timedelta(hours=8)
"""Shanghai keeps one time all year."""

UNUSABLE = {
    "issued": "card_not_active",
    "blocked": "card_blocked",
    "lost": "card_lost",
    "gifted": "card_in_gift",
    "replaced": "card_replaced",
    "closed": "card_closed",
}


def end_of_day(now: datetime, days: int) -> datetime:
    """The end of the day, in Shanghai, that is so many days ahead."""
    midnight = (now + ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days + 1) - ZONE


@dataclass
class Lot:
    number: int
    expires_at: datetime
    left_fen: int
    swept_fen: int = 0


@dataclass
class Card:
    digital: bool = True
    active: bool = False
    holder: int | None = None
    blocked: bool = False
    lost: bool = False
    in_gift: bool = False
    ended: str | None = None
    successor: int | None = None
    lots: list[Lot] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.ended is not None:
            return self.ended
        for is_so, name in ((self.blocked, "blocked"), (self.lost, "lost"), (self.in_gift, "gifted")):
            if is_so:
                return name
        return "active" if self.active else "issued"

    def unless(self, *statuses: str) -> str | None:
        """Why the card takes no part, unless its status is one of these."""
        return None if self.status in statuses else UNUSABLE[self.status]

    @property
    def held_fen(self) -> int:
        return sum(lot.left_fen for lot in self.lots)

    @property
    def swept_fen(self) -> int:
        return sum(lot.swept_fen for lot in self.lots)

    def open_lot(self, expires_at: datetime, fen: int) -> None:
        self.lots.append(Lot(max((lot.number for lot in self.lots), default=0) + 1, expires_at, fen))


@dataclass
class Gift:
    card: int
    status: str = "open"
    claimed_by: int | None = None


@dataclass
class Paid:
    card: int
    parts: list[tuple[Lot, int]]


class Model:
    """Cards, gifts and purchases are named by their numbers, in the order in which they are made."""

    def __init__(self) -> None:
        self.cards: list[Card] = []
        self.gifts: list[Gift] = []
        self.paid: list[Paid] = []
        self.loaded_fen = self.shop_fen = self.refunded_fen = 0

    # The card alone

    def activate(self, card: Card) -> str | None:
        refused = card.unless("issued", "active")
        card.active = card.active or refused is None
        return refused

    def register(self, card: Card, person: int) -> str | None:
        if card.holder == person:
            return None
        if card.holder is not None:
            return "card_registered"
        if (refused := card.unless("issued", "active")) is None:
            card.holder = person
        return refused

    def unbind(self, card: Card) -> str | None:
        if card.holder is None:
            return None
        if (refused := card.unless("issued", "active")) is None:
            card.holder = None
        return refused

    def block(self, card: Card) -> str | None:
        if card.ended is not None:
            return UNUSABLE[card.ended]
        card.blocked = True
        return None

    def unblock(self, card: Card) -> str | None:
        card.blocked = False
        return None

    def report_loss(self, card: Card, *, proof: bool) -> str | None:
        if card.ended is not None:
            return UNUSABLE[card.ended]
        if not card.lost and card.holder is None and not proof:
            return "proof_required"
        card.lost = True
        return None

    def found(self, card: Card) -> str | None:
        if card.ended is not None:
            return UNUSABLE[card.ended]
        card.lost = False
        return None

    # From card to card

    def replace(self, card: Card) -> str | None:
        if (refused := card.unless("active", "lost")) is not None:
            return refused
        if not card.digital:
            return "replacement_not_usable"
        self._succeed(card, card.holder)
        return None

    def _succeed(self, card: Card, holder: int | None) -> None:
        new = Card(active=True, holder=holder)
        self.cards.append(new)
        card.ended, card.successor = "replaced", len(self.cards) - 1
        self._move(card, new)

    def _move(self, source: Card, target: Card) -> int:
        """Every lot that holds something goes whole; what was set apart follows later."""
        going = sorted((lot for lot in source.lots if lot.left_fen), key=lambda lot: lot.number)
        first = min([0, *(lot.number for lot in target.lots)]) - len(going)
        moved_fen = 0
        for number, lot in enumerate(going, start=first):
            target.lots.append(Lot(number, lot.expires_at, lot.left_fen))
            moved_fen += lot.left_fen
            lot.left_fen = 0
        return moved_fen

    def transfer(self, source: Card, target: Card) -> str | None:
        if source is target or source.holder is None or source.holder != target.holder:
            return "cards_do_not_match"
        for card in (source, target):
            if (refused := card.unless("active")) is not None:
                return refused
        return None if self._move(source, target) else "nothing_to_transfer"

    def give(self, card: Card) -> str | None:
        if not card.digital:
            return "only_digital"
        if (refused := card.unless("active")) is not None:
            return refused
        card.in_gift = True
        self.gifts.append(Gift(self.cards.index(card)))
        return None

    def claim(self, gift: Gift, person: int, *, new_number: bool) -> str | None:
        if gift.status == "claimed" and gift.claimed_by == person:
            return None
        if gift.status != "open":
            return "gift_not_open"
        card = self.cards[gift.card]
        if (refused := card.unless("gifted")) is not None:
            return refused
        gift.status, gift.claimed_by = "claimed", person
        if new_number:
            self._succeed(card, person)
        else:
            card.in_gift, card.holder = False, person
        return None

    def cancel(self, gift: Gift) -> str | None:
        if gift.status == "claimed":
            return "gift_not_open"
        if gift.status == "open":
            gift.status, self.cards[gift.card].in_gift = "cancelled", False
        return None

    # Value

    def load(self, card: Card, fen: int, now: datetime) -> str | None:
        if (refused := card.unless("active")) is None:
            card.open_lot(end_of_day(now, VALID_DAYS), fen)
            self.loaded_fen += fen
        return refused

    def purchase(self, card: Card, fen: int, now: datetime) -> str | None:
        if (refused := card.unless("active")) is not None:
            return refused
        usable = sorted(
            (lot for lot in card.lots if lot.left_fen and lot.expires_at > now),
            key=lambda lot: (lot.expires_at, lot.number),
        )
        if sum(lot.left_fen for lot in usable) < fen:
            return "insufficient_funds"
        parts, wanted_fen = [], fen
        for lot in usable:
            if part := min(lot.left_fen, wanted_fen):
                lot.left_fen -= part
                wanted_fen -= part
                parts.append((lot, part))
        self.paid.append(Paid(self.cards.index(card), parts))
        self.shop_fen += fen
        return None

    def refund(self, paid: Paid) -> str | None:
        """All of it, once; also to a card that was replaced since."""
        if self.cards[paid.card].ended == "closed":
            return "card_closed"
        if not paid.parts:
            return "refund_exceeds_payment"
        for lot, part in paid.parts:
            lot.left_fen += part
            self.shop_fen -= part
        paid.parts = []
        return None

    def work(self, now: datetime) -> None:
        """What came back to replaced cards, and what was set apart of them, goes after the rest to the card that has
        their place now; what has ended on active cards is set apart."""
        for card in self.cards:
            if card.successor is None:
                continue
            for lot in card.lots:
                lot.left_fen += lot.swept_fen
                lot.swept_fen = 0
            last = card
            while last.successor is not None:
                last = self.cards[last.successor]
            if last.ended != "closed":  # else it waits until somebody releases it
                self._move(card, last)
        for card in self.cards:
            for lot in card.lots:
                if card.status == "active" and lot.expires_at <= now:
                    lot.swept_fen += lot.left_fen
                    lot.left_fen = 0

    def extend(self, card: Card, days: int, now: datetime) -> str | None:
        """All that holds something, or did until it was set apart, to the end of a day."""
        if (refused := card.unless("active")) is not None:
            return refused
        until = end_of_day(now, days)
        ending = [lot for lot in card.lots if (lot.left_fen or lot.swept_fen) and lot.expires_at < until]
        for lot in ending:
            lot.expires_at = until
            lot.left_fen += lot.swept_fen
            lot.swept_fen = 0
        return None if ending else "nothing_to_extend"

    def close(self, card: Card) -> str | None:
        """All that is left, and all that was set apart, is owed to the holder."""
        if (refused := card.unless("issued", "active", "lost")) is not None:
            return refused
        if card.in_gift:
            return "card_in_gift"
        card.ended = "closed"
        self.refunded_fen += card.held_fen + card.swept_fen
        for lot in card.lots:
            lot.left_fen = lot.swept_fen = 0
        return None
