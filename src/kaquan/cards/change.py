"""Change a card's status: activate, block, unblock; and how every verb changes a card."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.ends import check_going_on
from kaquan.cards.life import plan_activation, plan_block, plan_unblock
from kaquan.cards.outcomes import SALE_REQUIRED, missing
from kaquan.cards.store import Write
from kaquan.cards.types import Activation, BlockReason, Card, CardEvent, Event, Hand, Programme
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import AccountSpec, FloorRule, slot_of
from kaquan.parties.staff import Approve

MAX_PLANS = 8
"""A change that was decided on a card that has changed since is decided again so many times."""


class Permission:
    """An approval among the writes of one commit, which is taken back with them; tells why it was refused."""

    def __init__(self, approve: Approve | None) -> None:
        self._approve = approve
        self.refused: Refusal | None = None

    async def claim(self, connection: Connection) -> bool:
        """Whether the change may be made; without an approval to ask for it may."""
        self.refused = None if self._approve is None else await self._approve(connection)
        return self.refused is None


async def activate_card(
    pool: Pool, hand: Hand, *, book_id: int, slots: tuple[int, ...], card_id: UUID, sale_id: UUID | None = None
) -> Card | Refusal:
    """Make a card spendable: its pockets are opened in the commit that makes it active.

    An active card stays as it is and is the answer. ``sale_id`` is the paid sale that it is set aside for, if any.
    Refused: ``not_found``, ``programme_stopped``, ``sale_required``, ``card_in_sale``, ``card_blocked``, ``card_lost``
    and the codes of cards that have ended.
    """
    at = hand.clock.now()

    async def opens(card: Card) -> Sequence[AccountSpec] | Refusal:
        programme = await programme_of(pool, card)
        if (refused := check_going_on(programme, at, field="id")) is not None:
            return refused
        if sale_id is None and programme.activation is Activation.PAID_SALE:
            return SALE_REQUIRED.refuse("id")
        return pocket_accounts(card, programme)

    return await apply_change(
        pool,
        hand,
        CardEvent.ACTIVATED,
        lambda card: plan_activation(card, at=at, sale_id=sale_id),
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        details=None if sale_id is None else {"sale_id": show_id(Prefix.SALE, sale_id)},
        opens=opens,
    )


async def block_card(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    reason: BlockReason,
    note: str | None = None,
) -> Card | Refusal:
    """Block a card: payments that were decided before and are not posted yet will not be.

    A card that is blocked for this reason stays as it is and is the answer. ``note`` stands in its event.
    Refused: ``not_found``, ``card_already_blocked`` (for another reason), the codes of cards that have ended.
    """
    return await apply_change(
        pool,
        hand,
        CardEvent.BLOCKED,
        lambda card: plan_block(card, reason=reason),
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        reason=note,
        details={"block_reason": reason.value},
    )


async def unblock_card(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    note: str | None = None,
    approve: Approve | None = None,
) -> Card | Refusal:
    """Take a card back to where it was before it was blocked; one that is not blocked stays as it is.

    ``approve`` is asked in the commit of the change. Refused: ``not_found``, what ``approve`` refuses.
    """
    return await apply_change(
        pool,
        hand,
        CardEvent.UNBLOCKED,
        plan_unblock,
        book_id=book_id,
        slots=slots,
        card_id=card_id,
        reason=note,
        approve=approve,
    )


async def apply_change(
    pool: Pool,
    hand: Hand,
    event: CardEvent,
    plan: Callable[[Card], Card | Refusal],
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    reason: str | None = None,
    details: dict[str, Any] | None = None,
    also: Callable[[Card], Sequence[Write]] | None = None,
    approve: Approve | None = None,
    opens: Callable[[Card], Awaitable[Sequence[AccountSpec] | Refusal]] | None = None,
) -> Card | Refusal:
    """Load a card, plan, and write it with its event in one commit; planned again when it changed meanwhile.

    ``also`` gives what else is written in that commit, for the card as it will be, ``opens`` the accounts that it gets,
    and ``approve`` is asked in it. A card that stays as it is writes nothing. Refused: ``not_found``, what ``plan``,
    ``opens`` and ``approve`` refuse, ``busy``.
    """
    slot = slot_of(card_id, slots)
    for _ in range(MAX_PLANS):
        card = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
        if card is None:
            return missing("card")
        after = plan(card)
        if isinstance(after, Refusal) or after == card:
            return after
        opening = await opens(card) if opens is not None else ()
        if isinstance(opening, Refusal):
            return opening
        changed = store.change(card, after, event_of(hand, event, after, reason, details), opening=opening)
        permission = Permission(approve)
        if await store.post_together(pool, changed, permission.claim, *(also(after) if also is not None else ())):
            return after
        if permission.refused is not None:
            return permission.refused
    return BUSY.refuse()


def event_of(
    hand: Hand, kind: CardEvent, after: Card, reason: str | None = None, details: dict[str, Any] | None = None
) -> Event:
    """The event that makes a card what it is ``after`` it."""
    return Event(
        after.slot, after.id, hand.ids.new(), after.book_id, kind, hand.clock.now(), hand.actor, reason,
        after.status, after.version, details or {},
    )  # fmt: skip


def note_of(
    hand: Hand,
    kind: CardEvent,
    *,
    book_id: int,
    slot: int,
    card_id: UUID,
    reason: str | None = None,
    details: dict[str, Any] | None = None,
) -> Event:
    """An event that leaves the card itself as it is."""
    return Event(
        slot, card_id, hand.ids.new(), book_id, kind, hand.clock.now(), hand.actor, reason, None, None, details or {}
    )


async def programme_of(pool: Pool, card: Card) -> Programme:
    """The terms of a card: those that it was issued under. Where it is accepted is no term: that is left out."""
    return await store.load_programme(pool, card.book_id, card.programme_id, version=card.terms_version)


def pocket_accounts(card: Card, programme: Programme) -> list[AccountSpec]:
    """The accounts of a card, one per pocket that its terms give it."""
    return [
        AccountSpec(card.book_id, card.id, pocket.account_kind, programme.currency, FloorRule.CREDIT, lotted=True)
        for pocket in programme.pockets
    ]
