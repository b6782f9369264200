"""Members: the cards that collect points. Their accounts belong to an id that follows from the card's."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from kaquan.cards import UNUSABLE, CardStatus, get_card, get_programme, programme_of
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import uuid_from
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.points import store
from kaquan.points.outcomes import POINTS_NOT_OFFERED, missing
from kaquan.points.plan import spendable
from kaquan.points.terms import terms_at
from kaquan.points.types import Member, Standing, TermsVersion

_SLOT_BITS = 0x3F


def member_id(card_id: UUID) -> UUID:
    """Who owns the points of a card: an id in the card's slot that everybody can find, and that is no card's."""
    drawn = int.from_bytes(sha256(b"points/" + card_id.bytes).digest()[:16], "big")
    return uuid_from(drawn & ~_SLOT_BITS | card_id.int & _SLOT_BITS)


async def find_member(
    pool: Pool, clock: Clock, *, book_id: int, slots: tuple[int, ...], card_id: UUID
) -> tuple[Member, TermsVersion, str] | Refusal:
    """The member that a card is, with the terms of its programme and the issuer's zone; it is one from now on if it was
    none. Refused: ``not_found`` (card_id), ``points_not_offered``."""
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal):
        return missing("card", "card_id")
    versions = await store.load_terms(pool, [book_id], card.programme_id)
    terms = terms_at(versions, clock.now())
    if terms is None:
        return POINTS_NOT_OFFERED.refuse("card_id")
    programme = await programme_of(pool, card)
    slot, id_ = slot_of(card_id, slots), member_id(card_id)
    member = await store.load_member(pool, book_id=book_id, slot=slot, id_=id_)
    if member is None:
        async with pool.connection() as connection, connection.transaction():
            await store.open_members(
                connection, book_id=book_id, slot=slot, at=clock.now(),
                cards=[(id_, card_id, programme.id, programme.issuer_id)],
            )  # fmt: skip
        member = await store.load_member(pool, book_id=book_id, slot=slot, id_=id_)
        assert member is not None
    return member, terms, programme.time_zone


async def check_active(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> Refusal | None:
    """Whether points of a card may be moved by its holder. Refused: ``not_found``, the codes of cards that cannot be
    used."""
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal):
        return missing("card", "card_id")
    return None if card.status is CardStatus.ACTIVE else UNUSABLE[card.status].refuse("card_id")


async def get_standing(
    pool: Pool, clock: Clock, *, book_id: int, slots: tuple[int, ...], card_id: UUID
) -> Standing | Refusal:
    """What a card has of points. Refused: ``not_found`` (card_id), ``points_not_offered``."""
    found = await find_member(pool, clock, book_id=book_id, slots=slots, card_id=card_id)
    return found if isinstance(found, Refusal) else standing_of(found[0], now=clock.now())


def standing_of(member: Member, *, now: datetime) -> Standing:
    """The sums of a member's lots."""
    ends = sorted({lot.expires_at for lot in member.lots if lot.expires_at is not None and lot.expires_at > now})
    next_end = ends[0] if ends else None
    return Standing(
        member,
        spendable(member, now),
        sum(lot.available for lot in member.pending_lots),
        member.owed,
        next_end,
        sum(lot.available for lot in member.lots if next_end is not None and lot.expires_at == next_end),
    )


class Programmes:
    """Terms and zones of programmes, read once by a job that goes through many members."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._terms: dict[tuple[int, UUID], Sequence[TermsVersion]] = {}
        self._zones: dict[tuple[int, UUID], str] = {}

    async def terms_of(self, member: Member, *, at: datetime) -> TermsVersion | None:
        """The terms of a member's programme at a moment."""
        key = member.book_id, member.programme_id
        if key not in self._terms:
            self._terms[key] = await store.load_terms(self._pool, [key[0]], key[1])
        return terms_at(self._terms[key], at)

    async def version_of(self, member: Member, version: int) -> TermsVersion:
        """One version of the terms of a member's programme."""
        key = member.book_id, member.programme_id
        if key not in self._terms:
            self._terms[key] = await store.load_terms(self._pool, [key[0]], key[1])
        return self._terms[key][version - 1]

    async def zone_of(self, member: Member) -> str:
        """The issuer's zone."""
        key = member.book_id, member.programme_id
        if key not in self._zones:
            programme = await get_programme(self._pool, book_id=key[0], programme_id=key[1])
            assert not isinstance(programme, Refusal), "programmes are never removed"
            self._zones[key] = programme.time_zone
        return self._zones[key]
