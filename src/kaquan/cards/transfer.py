"""Balance goes from one card to another: the intent first, then one posting or two, then the intent is finished.

Whoever finds an unfinished transfer may go on with it: the caller, the same caller again under its key, the worker.
Each step is one commit that is done once: a posting in one slot comes with the change of the intent in that slot; the
posting in the other slot has the id that the intent names, and is guarded by the versions of the pockets it fills.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import store
from kaquan.cards.change import MAX_PLANS, note_of, programme_of
from kaquan.cards.life import UNUSABLE
from kaquan.cards.move import Move, free_fen, held_fen, plan_across, plan_arriving, plan_leaving, plan_returning
from kaquan.cards.outcomes import (
    CARD_EXPIRED,
    CARDS_DO_NOT_MATCH,
    NOTHING_TO_TRANSFER,
    TRANSFER_EXCEEDS_CAP,
    missing,
)
from kaquan.cards.store import Holding, Write
from kaquan.cards.types import (
    SYSTEM,
    Card,
    CardEvent,
    CardStatus,
    Event,
    Hand,
    Programme,
    Transfer,
    TransferKind,
    TransferStatus,
)
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, OUTCOMES, Refusal
from kaquan.ledger import AccountSpec, Entry, RequestKey, get_transaction, slot_of
from kaquan.ledger.outcomes import IDEMPOTENCY_KEY_REUSED

CLEARING = "transfer_clearing"
"""Kind of the account between slots: the issuer's, one per slot and currency."""

PATIENCE = timedelta(seconds=10)
"""A transfer that is older and not finished has been left by whoever began it."""

CHUNK = 200

FINISHED = frozenset({TransferStatus.COMPLETED, TransferStatus.ABANDONED})


def check_match(source: Card, target: Card) -> Refusal | None:
    """Whether balance may go from card to card: two of one programme and one person, both active.

    Refused: ``cards_do_not_match``, the codes of cards that are not active.
    """
    if (
        source.id == target.id
        or source.programme_id != target.programme_id
        or source.customer_id is None
        or source.customer_id != target.customer_id
    ):
        return CARDS_DO_NOT_MATCH.refuse("to_card_id")
    for card, field in ((source, "id"), (target, "to_card_id")):
        if card.status is not CardStatus.ACTIVE:
            return UNUSABLE[card.status].refuse(field)
    return None


def new_transfer(
    hand: Hand, kind: TransferKind, *, source: Card, target_id: UUID, key: RequestKey | None = None
) -> Transfer:
    """An intent, before anything moves."""
    return Transfer(
        source.slot, hand.ids.new_near(source.id), source.book_id, kind, TransferStatus.OPEN, source.id, target_id, 0,
        None, None, None, hand.actor, key.key_hash if key else None, key.request_hash if key else None,
        hand.clock.now(), None,
    )  # fmt: skip


async def transfer_balance(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    from_card_id: UUID,
    to_card_id: UUID,
    key: RequestKey | None = None,
) -> Transfer | Refusal:
    """Move all that is free on a card to another card of its holder; under the same ``key`` it is one transfer.

    Refused: ``not_found``, ``cards_do_not_match``, the codes of cards that are not active, ``card_expired``,
    ``nothing_to_transfer``, ``transfer_exceeds_cap``, ``busy``.
    """
    slot = slot_of(from_card_id, slots)
    transfer = None
    if key is not None:
        transfer = await begun_under(pool, book_id=book_id, slot=slot, key=key)
    if isinstance(transfer, Refusal):
        return transfer
    if transfer is None:
        source = await store.load_card(pool, book_id=book_id, slot=slot, card_id=from_card_id)
        if source is None:
            return missing("card")
        refused = await _refuse(pool, hand, slots, source, to_card_id)
        if refused is not None:
            return refused
        transfer = new_transfer(hand, TransferKind.BALANCE, source=source, target_id=to_card_id, key=key)
        if not await store.post_together(pool, store.add_transfer(transfer)):
            assert key is not None, "only a key can be taken"
            first = await begun_under(pool, book_id=book_id, slot=slot, key=key)
            if isinstance(first, Refusal):
                return first
            assert first is not None, "transfers are never removed"
            transfer = first
    return await finish_transfer(pool, hand, slots=slots, transfer=transfer)


async def begun_under(pool: Pool, *, book_id: int, slot: int, key: RequestKey) -> Transfer | Refusal | None:
    """The transfer that a request began under its key, if it did. Refused: ``idempotency_key_reused``."""
    found = await store.load_transfer_by_key(pool, book_id=book_id, slot=slot, key_hash=key.key_hash)
    if found is not None and found.request_hash != key.request_hash:
        return IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
    return found


async def _refuse(pool: Pool, hand: Hand, slots: tuple[int, ...], source: Card, to_card_id: UUID) -> Refusal | None:
    """Why this transfer cannot be, as far as can be told before it."""
    slot = slot_of(to_card_id, slots)
    target = await store.load_card(pool, book_id=source.book_id, slot=slot, card_id=to_card_id)
    if target is None:
        return missing("card", "to_card_id")
    if (refused := check_match(source, target)) is not None:
        return refused
    for card, field in ((source, "id"), (target, "to_card_id")):
        if card.expires_at is not None and card.expires_at <= hand.clock.now():
            return CARD_EXPIRED.refuse(field)
    if await _differ(pool, source, target):
        return CARDS_DO_NOT_MATCH.refuse("to_card_id")
    programme = await programme_of(pool, target)
    giving = await store.load_holdings(pool, book_id=source.book_id, slot=source.slot, card_id=source.id)
    taking = await store.load_holdings(pool, book_id=source.book_id, slot=slot, card_id=target.id)
    return _fits(programme, giving, taking)


async def _differ(pool: Pool, source: Card, target: Card) -> bool:
    """Whether restricted value would come under another restriction, or to a card without such a pocket."""
    if source.terms_version == target.terms_version:
        return False
    return (await programme_of(pool, source)).restricted_to != (await programme_of(pool, target)).restricted_to


def _fits(programme: Programme, giving: Sequence[Holding], taking: Sequence[Holding]) -> Refusal | None:
    amount_fen = free_fen(giving)
    if amount_fen == 0:
        return NOTHING_TO_TRANSFER.refuse()
    cap_fen = programme.max_balance_fen
    if cap_fen is not None and held_fen(taking) + amount_fen > cap_fen:
        return TRANSFER_EXCEEDS_CAP.refuse("to_card_id")
    return None


async def finish_transfer(pool: Pool, hand: Hand, *, slots: tuple[int, ...], transfer: Transfer) -> Transfer | Refusal:
    """Carry a transfer out as far as it is not; the transfer as it ended.

    Refused, where it was abandoned, with the code that it was abandoned for: nothing moved, or all of it came back;
    ``busy`` when the cards moved all the time: the worker goes on with it.
    """
    mover = Mover(pool, hand, slots)
    for _ in range(2 * MAX_PLANS):
        if transfer.status is TransferStatus.COMPLETED:
            return transfer
        if transfer.status is TransferStatus.ABANDONED:
            assert transfer.abandoned_for is not None
            return OUTCOMES[transfer.abandoned_for].refuse("to_card_id")
        if transfer.status is TransferStatus.OPEN:
            await mover.leave(transfer)
        else:
            await mover.arrive(transfer)
        found = await store.load_transfer(pool, book_id=transfer.book_id, slot=transfer.slot, transfer_id=transfer.id)
        assert found is not None, "transfers are never removed"
        transfer = found
    return transfer if transfer.status in FINISHED else BUSY.refuse()


class Mover:
    """The steps of one transfer; each is done once, whoever tries it."""

    def __init__(self, pool: Pool, hand: Hand, slots: tuple[int, ...]) -> None:
        self._pool, self._hand, self._slots = pool, hand, slots

    async def leave(self, transfer: Transfer) -> None:
        """The step out of the card; where both cards are in one slot, also into the other."""
        pool, hand, slot = self._pool, self._hand, transfer.slot
        target_slot = slot_of(transfer.to_card_id, self._slots)
        # pockets before cards: who changes a card's status moves the versions of its pockets
        giving = await self._holdings(transfer, transfer.from_card_id)
        taking = await self._holdings(transfer, transfer.to_card_id)
        source = await self._card(transfer, transfer.from_card_id)
        programme = await programme_of(pool, source)
        target = await self._card(transfer, transfer.to_card_id)
        if target.status is CardStatus.CLOSED:
            await self._abandon(transfer, UNUSABLE[target.status].refuse("to_card_id"))
            return
        if transfer.kind is TransferKind.BALANCE:
            refused = check_match(source, target) or _fits(await programme_of(pool, target), giving, taking)
            if refused is not None:
                await self._abandon(transfer, refused)
                return
        at, now_id = hand.clock.now(), hand.ids.new_near(transfer.from_card_id)
        if free_fen(giving) == 0:
            done = replace(transfer, status=TransferStatus.COMPLETED, finished_at=at)
            await store.post_together(pool, store.change_transfer(transfer, done))
            return
        if slot == target_slot:
            move = plan_across(
                giving, taking, transaction_id=now_id, at=at, is_capped=transfer.kind is TransferKind.BALANCE
            )
            after = replace(
                transfer, status=TransferStatus.COMPLETED, amount_fen=move.amount_fen, out_id=now_id, finished_at=at
            )
            arrived = [store.add_event(self._event(CardEvent.TRANSFERRED_IN, after, slot, move))]
        else:
            clearing = await self._clearing(slot, programme)
            move = plan_leaving(giving, clearing=clearing, transaction_id=now_id, at=at)
            in_id = hand.ids.new_near(transfer.to_card_id)
            after = replace(transfer, status=TransferStatus.OUT, amount_fen=move.amount_fen, out_id=now_id, in_id=in_id)
            arrived = []
        await store.post_together(
            pool,
            self._post(transfer, slot, move),
            store.change_transfer(transfer, after),
            store.add_event(self._event(CardEvent.TRANSFERRED_OUT, after, slot, move)),
            *arrived,
        )

    async def arrive(self, transfer: Transfer) -> None:
        """The step into the other card, in its slot, or back if it was closed meanwhile; then the intent ends."""
        pool, hand = self._pool, self._hand
        assert transfer.out_id is not None and transfer.in_id is not None  # noqa: PT018
        target_slot = slot_of(transfer.to_card_id, self._slots)
        # versions before the card, for who closes it moves them; and both before what arrived is looked for: whoever
        # posts it in between makes the versions stale, and on a closed card nobody posts it any more
        taking = await self._holdings(transfer, transfer.to_card_id)
        target = await self._card(transfer, transfer.to_card_id)
        there = await get_transaction(pool, book_id=transfer.book_id, slots=self._slots, transaction_id=transfer.in_id)
        if isinstance(there, Refusal):
            out = await get_transaction(
                pool, book_id=transfer.book_id, slots=self._slots, transaction_id=transfer.out_id
            )
            assert not isinstance(out, Refusal), "what left is in the ledger"
            if target.status is CardStatus.CLOSED:
                await self._bring_back(transfer, out.entries)
                return
            giving = await self._holdings(transfer, transfer.from_card_id)
            lots = await store.load_lots_of(
                pool, slot=transfer.slot, accounts=sorted({entry.debit_account for entry in out.entries})
            )
            programme = await programme_of(pool, target)
            move = plan_arriving(
                out.entries,
                lots,
                {holding.account.id: holding.pocket for holding in giving},
                taking,
                clearing=await self._clearing(target_slot, programme),
                transaction_id=transfer.in_id,
                out_id=transfer.out_id,
                at=hand.clock.now(),
            )
            event = self._event(CardEvent.TRANSFERRED_IN, transfer, target_slot, move)
            if not await store.post_together(pool, self._post(transfer, target_slot, move), store.add_event(event)):
                return
        done = replace(transfer, status=TransferStatus.COMPLETED, finished_at=hand.clock.now())
        await store.post_together(pool, store.change_transfer(transfer, done))

    async def _bring_back(self, transfer: Transfer, left: Sequence[Entry]) -> None:
        """The step back: the card that gave cannot have been closed, since nobody closes one with a transfer."""
        pool, hand = self._pool, self._hand
        assert transfer.out_id is not None
        giving = await self._holdings(transfer, transfer.from_card_id)
        programme = await programme_of(pool, await self._card(transfer, transfer.from_card_id))
        move = plan_returning(
            left,
            giving,
            clearing=await self._clearing(transfer.slot, programme),
            transaction_id=hand.ids.new_near(transfer.from_card_id),
            out_id=transfer.out_id,
            at=hand.clock.now(),
        )
        refused = UNUSABLE[CardStatus.CLOSED].refuse("to_card_id")
        await self._abandon(transfer, refused, self._post(transfer, transfer.slot, move), back=move)

    async def _abandon(self, transfer: Transfer, refused: Refusal, *before: Write, back: Move | None = None) -> None:
        """The intent ends for this refusal; ``back`` is what brought the value back, where it had left."""
        hand = self._hand
        after = replace(
            transfer,
            status=TransferStatus.ABANDONED,
            in_id=None if back is None else back.posting.transaction_id,
            abandoned_for=refused.code,
            finished_at=hand.clock.now(),
        )
        details: dict[str, object] = {"transfer_id": show_id(Prefix.TRANSFER, transfer.id)}
        if back is not None:
            details["transaction_id"] = show_id(Prefix.TRANSACTION, back.posting.transaction_id)
            details["amount_fen"] = back.amount_fen
        event = note_of(
            hand,
            CardEvent.TRANSFER_ABANDONED,
            book_id=transfer.book_id,
            slot=transfer.slot,
            card_id=transfer.from_card_id,
            reason=refused.code,
            details=details,
        )
        await store.post_together(self._pool, *before, store.change_transfer(transfer, after), store.add_event(event))

    async def _holdings(self, transfer: Transfer, card_id: UUID) -> list[Holding]:
        slot = slot_of(card_id, self._slots)
        return await store.load_holdings(self._pool, book_id=transfer.book_id, slot=slot, card_id=card_id)

    async def _card(self, transfer: Transfer, card_id: UUID) -> Card:
        slot = slot_of(card_id, self._slots)
        card = await store.load_card(self._pool, book_id=transfer.book_id, slot=slot, card_id=card_id)
        assert card is not None, "cards are never removed"
        return card

    async def _clearing(self, slot: int, programme: Programme) -> int:
        asked = AccountSpec(programme.book_id, programme.issuer_id, CLEARING, programme.currency)
        return await store.open_clearing(self._pool, slot=slot, asked=asked)

    def _post(self, transfer: Transfer, slot: int, move: Move) -> Write:
        return store.post(
            move.posting, book_id=transfer.book_id, slot=slot, at=move.posting.effective_at, origins=move.origins
        )

    def _event(self, kind: CardEvent, transfer: Transfer, slot: int, move: Move) -> Event:
        gives = kind is CardEvent.TRANSFERRED_OUT
        card_id, other = transfer.from_card_id, transfer.to_card_id
        if not gives:
            card_id, other = other, card_id
        return note_of(
            self._hand,
            kind,
            book_id=transfer.book_id,
            slot=slot,
            card_id=card_id,
            reason=transfer.kind.value,
            details={
                "transfer_id": show_id(Prefix.TRANSFER, transfer.id),
                "transaction_id": show_id(Prefix.TRANSACTION, move.posting.transaction_id),
                "to_card_id" if gives else "from_card_id": show_id(Prefix.CARD, other),
                "amount_fen": move.amount_fen,
            },
        )


async def finish_transfers(pool: Pool, clock: Clock, ids: Ids, *, slots: tuple[int, ...]) -> int:
    """Go on with transfers that were left unfinished, and send after what came back to replaced cards; how many.

    For the worker: any number of them may do it at once.
    """
    hand = Hand(clock, ids, SYSTEM)
    done = 0
    for slot in slots:
        until = clock.now() - PATIENCE
        for transfer in await store.load_unfinished_transfers(pool, slot=slot, until=until, limit=CHUNK):
            finished = await finish_transfer(pool, hand, slots=slots, transfer=transfer)
            done += isinstance(finished, Transfer)
        done += await _send_after(pool, hand, slots, slot)
    return done


async def _send_after(pool: Pool, hand: Hand, slots: tuple[int, ...], slot: int) -> int:
    """Send what came back to replaced cards of a slot to the cards that have their place now; how many."""
    done, after = 0, UUID(int=0)
    while left := await store.load_left_behind(pool, slot=slot, after_id=after, limit=CHUNK):
        for book_id, card_id in left:
            source = await store.load_card(pool, book_id=book_id, slot=slot, card_id=card_id)
            assert source is not None, "cards are never removed"
            target = await last_successor(pool, slots, source)
            if target.status is CardStatus.CLOSED:
                continue  # nobody has it any more: it stays where it came back to until it is released to its holder
            transfer = new_transfer(hand, TransferKind.FORWARD, source=source, target_id=target.id)
            await store.post_together(pool, store.add_transfer(transfer))
            finished = await finish_transfer(pool, hand, slots=slots, transfer=transfer)
            done += isinstance(finished, Transfer)
        after = left[-1][1]
    return done


async def last_successor(pool: Pool, slots: tuple[int, ...], card: Card) -> Card:
    """The card that has a card's place now, through all replacements; itself, if it was never replaced."""
    while card.status is CardStatus.REPLACED:
        assert card.replaced_by_id is not None, "a replaced card names its successor"
        slot = slot_of(card.replaced_by_id, slots)
        found = await store.load_card(pool, book_id=card.book_id, slot=slot, card_id=card.replaced_by_id)
        assert found is not None, "cards are never removed"
        card = found
    return card
