"""Issue cards by the batch: a job for any number of runners, which goes on where it was stopped."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.change import Permission
from kaquan.cards.create_programme import check_face_value
from kaquan.cards.ends import check_going_on
from kaquan.cards.issue import MAX_DRAWS, Press
from kaquan.cards.numbers import GUESSES_PER_CARD, room_under
from kaquan.cards.outcomes import NUMBER_SPACE_TOO_SMALL, invalid, missing, taken
from kaquan.cards.store import MadeCard, Run
from kaquan.cards.types import Batch, NewBatch, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor, new_action, write_action

MAX_BATCH_CARDS = 10_000_000
CHUNK_CARDS = 5_000
"""Cards of one commit: a stopped job loses the making of two such chunks at most, and no stored card."""


async def create_batch(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    new: NewBatch,
    guesses_per_card: int = GUESSES_PER_CARD,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> Batch | Refusal:
    """A new batch, of which nothing is issued yet: :func:`run_batch` does that. All of its cards are under the terms
    of now.

    ``approve`` is asked in the commit that makes it, and what it refuses is refused. Refused besides: ``invalid_field``
    (card_count), ``not_found`` (programme_id), ``programme_stopped``, ``face_value_not_allowed``, ``already_exists``
    (name), ``number_space_too_small`` when the numbers under the programme's prefix would be too easy to guess: fewer
    than ``guesses_per_card`` possible ones for each card. Batches of a book that are created at once take turns there.
    """
    if not 0 < new.card_count <= MAX_BATCH_CARDS:
        return invalid("card_count", f"must be from 1 to {MAX_BATCH_CARDS}", allowed_zh=f"应为 1 至 {MAX_BATCH_CARDS}")
    found = await store.load_programmes(pool, book_id, Search(), new.programme_id)
    if not found:
        return missing("programme", "programme_id")
    now = clock.now()
    if (refused := check_going_on(found[0], now, field="programme_id")) is not None:
        return refused
    if new.face_fen is not None and (refused := check_face_value(found[0], new.face_fen)) is not None:
        return refused
    prefix = found[0].number_prefix
    batch = Batch(
        ids.new(), book_id, new.programme_id, new.name, new.form, new.card_count, 0, now, None, found[0].version,
        new.face_fen,
    )  # fmt: skip

    def room_in(promised: Sequence[tuple[str, int]]) -> int:
        return room_under(prefix, promised, guesses_per_card=guesses_per_card)

    permission = Permission(approve)

    async def record(connection: Connection) -> bool:
        told = {
            "programme_id": show_id(Prefix.PROGRAMME, batch.programme_id),
            "name": batch.name,
            "form": batch.form,
            "card_count": batch.card_count,
            "face_fen": batch.face_fen,
        }
        action = new_action(
            clock, ids, book_id=book_id, by=by, kind="batch.created", prefix=Prefix.BATCH, subject_id=batch.id,
            after=told,
        )  # fmt: skip
        await write_action(connection, action)
        return True

    also = (permission.claim, record)
    refused_by, room = await store.post_batch(pool, batch, slots=slots, room_in=room_in, also=also)
    if permission.refused is not None:
        return permission.refused
    if refused_by is None:
        if new.card_count <= room:
            return batch
        return NUMBER_SPACE_TOO_SMALL.refuse("card_count", prefix=prefix, room=max(room, 0), wanted=new.card_count)
    assert refused_by == "cards_batch_name", refused_by
    (existing,) = await store.load_batches(pool, book_id, Search(name=new.name))
    return taken("name", new.name, prefix=Prefix.BATCH, existing=existing.id)


async def unfinished_batches(pool: Pool, *, now: datetime | None = None) -> list[tuple[int, UUID]]:
    """Book and id of every batch, of any book, that lacks cards; the oldest first. For the worker, which tells the time
    and is spared those whose programme has stopped."""
    return await store.load_unfinished(pool, now=now)


async def run_batch(
    pool: Pool, press: Press, clock: Clock, *, book_id: int, batch_id: UUID, chunk_cards: int = CHUNK_CARDS
) -> Batch | Refusal:
    """Issue what a batch still lacks, chunk by chunk, each in one commit; the finished batch.

    It may be cancelled or killed at any moment and run again, also by two runners at once: a card is stored,
    with its number, and counted, or not at all. While one chunk is written a thread makes the next one.
    Refused: ``not_found``; ``programme_stopped`` from the moment on at which its programme stops;
    ``number_space_too_small`` if the prefix turns out to be full.
    """
    found = await store.load_batches(pool, book_id, Search(), batch_id)
    if not found:
        return missing("batch")
    (batch,) = found
    programme = await store.load_programme(pool, book_id, batch.programme_id, version=batch.terms_version)

    def make_next(ahead: int) -> asyncio.Task[list[MadeCard]]:
        lacking = batch.card_count - batch.issued_count - ahead
        return asyncio.create_task(
            asyncio.to_thread(press.make, programme.number_prefix, max(0, min(chunk_cards, lacking)))
        )

    making = make_next(0)
    fruitless = 0
    try:
        while batch.issued_count < batch.card_count:
            cards = await making
            making = make_next(len(cards))
            # its end may have been announced since the last chunk
            programme = await store.load_programme(pool, book_id, batch.programme_id, version=batch.terms_version)
            now = clock.now()
            if (refused := check_going_on(programme, now, field="id")) is not None:
                return refused
            run = Run(book_id, programme.id, batch.id, batch.form, now, batch.terms_version)
            before = batch.issued_count
            batch = await store.post_batch_cards(pool, cards, run)
            fruitless = fruitless + 1 if cards and batch.issued_count == before else 0
            if fruitless == MAX_DRAWS:
                return NUMBER_SPACE_TOO_SMALL.refuse(
                    "id", prefix=programme.number_prefix, room=0, wanted=batch.card_count - batch.issued_count
                )
    finally:
        making.cancel()
    return batch
