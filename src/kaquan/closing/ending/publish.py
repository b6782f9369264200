"""Note where the end of a programme was made public, and read who was told of it."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards.ending import ProgrammeEnd, get_end
from kaquan.closing.ending import store
from kaquan.closing.ending.types import NewPublication, Publication, Told, ToldSearch
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.trail import Actor, new_action, summary_of


async def note_publication(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, end_id: UUID, new: NewPublication, by: Actor
) -> list[Publication] | Refusal:
    """Where an end was made public, with this; what is noted already stays as it is. Refused: ``not_found``."""
    end = await get_end(pool, book_id=book_id, end_id=end_id)
    if isinstance(end, Refusal):
        return end
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="programme_end.published", prefix=Prefix.PROGRAMME_END,
        subject_id=end_id, after=summary_of(new),
    )  # fmt: skip
    name = "system" if by.key_id is None else show_id(Prefix.KEY, by.key_id)
    await store.post_publication(pool, end, new, action, id_=ids.new(), by=name, at=clock.now())
    return await store.load_publications(pool, end)


async def list_publications(pool: Pool, end: ProgrammeEnd) -> list[Publication]:
    """Where an end was made public, the first at first."""
    return await store.load_publications(pool, end)


async def list_told(
    pool: Pool, *, book_id: int, slots: Sequence[int], end_id: UUID, search: ToldSearch
) -> Page[Told] | Refusal:
    """Who of the holders was told of an end, the newest first. Refused: ``not_found``."""
    end = await get_end(pool, book_id=book_id, end_id=end_id)
    if isinstance(end, Refusal):
        return end
    rows = await store.load_told(pool, end, slots=slots, search=search)
    last_id = rows[search.limit - 1].notice_id if len(rows) > search.limit else None
    return cut_page(rows, limit=search.limit, last_id=last_id)
