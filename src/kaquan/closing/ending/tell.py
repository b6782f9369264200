"""Tell holders of the end of their programme, remind them of it, and write down when it stops and is over.

What stops, stops by the clock: every decision compares its time with the end's. The worker only tells of it.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from kaquan.cards import Programme, get_programme
from kaquan.cards.ending import EndStatus, ProgrammeEnd, list_standing_ends
from kaquan.closing.days import day_of
from kaquan.closing.ending import store
from kaquan.closing.ending.types import Occasion
from kaquan.closing.events import (
    PROGRAMME_ENDED,
    PROGRAMME_ENDING,
    PROGRAMME_ENDS_SOON,
    PROGRAMME_GOES_ON,
    PROGRAMME_STOPPED,
)
from kaquan.closing.store import load_terms
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.notices import NewNotice
from kaquan.parties.trail import SYSTEM, new_action

CHUNK_CARDS = 500

_EVENTS = {
    Occasion.ANNOUNCED: PROGRAMME_ENDING,
    Occasion.REMINDER: PROGRAMME_ENDS_SOON,
    Occasion.WITHDRAWN: PROGRAMME_GOES_ON,
}


async def tell_of_ends(pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int]) -> int:
    """Write every notice that is due about the end of any programme; how many.

    The holder of each registered card in use is told once of the announcement, once of each reminder that the closing
    terms ask for, and of a withdrawal if the announcement was told. Two at once write each notice once, and whoever is
    stopped leaves what the next run goes on with.
    """
    written = 0
    for end in await list_standing_ends(pool, ended_since=clock.now() - timedelta(days=1)):
        programme = await get_programme(pool, book_id=end.book_id, programme_id=end.programme_id)
        assert not isinstance(programme, Refusal), "programmes are never removed"
        told = await _due(pool, clock, end, programme)
        for slot in slots:
            for occasion, days in told:
                written += await _tell_slot(pool, clock, ids, end, programme, slot=slot, occasion=occasion, days=days)
        written += await _write_down(pool, clock, ids, slots, end, programme)
    return written


async def _due(pool: Pool, clock: Clock, end: ProgrammeEnd, programme: Programme) -> list[tuple[Occasion, int]]:
    """What of an end is to be told now. Of several reminders that are reached only the nearest."""
    now = clock.now()
    status = end.status_at(now)
    if status is EndStatus.WITHDRAWN:
        return [(Occasion.WITHDRAWN, 0)]
    if status is EndStatus.ENDED:
        return []
    terms = await load_terms(pool, book_id=end.book_id, programme_id=end.programme_id)
    return plan_telling(
        end, programme.time_zone, () if terms is None else terms.remind_days,
        days_left=(end.last_day - day_of(now, programme.time_zone)).days,
    )  # fmt: skip


def plan_telling(
    end: ProgrammeEnd, time_zone: str, remind_days: Sequence[int], *, days_left: int
) -> list[tuple[Occasion, int]]:
    """The announcement, and the nearest reminder that is reached and was still ahead when it was made. Pure."""
    announced_days = (end.last_day - day_of(end.announced_at, time_zone)).days
    reached = [days for days in remind_days if days_left <= days < announced_days]
    return [(Occasion.ANNOUNCED, 0), *([(Occasion.REMINDER, min(reached))] if reached else [])]


async def _tell_slot(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    end: ProgrammeEnd,
    programme: Programme,
    *,
    slot: int,
    occasion: Occasion,
    days: int,
) -> int:
    written = 0
    while True:
        found = await store.find_untold(pool, end, slot=slot, occasion=occasion, days=days, limit=CHUNK_CARDS)
        if found:
            told = [
                (customer_id, _notice(ids, end, programme, slot, card_id, occasion, days))
                for card_id, customer_id in found
            ]
            written += await store.post_told(pool, end, told, slot=slot, occasion=occasion, days=days, at=clock.now())
        if len(found) < CHUNK_CARDS:
            return written


def _notice(
    ids: Ids, end: ProgrammeEnd, programme: Programme, slot: int, card_id: UUID, occasion: Occasion, days: int
) -> NewNotice:
    about = {**_about(end, programme), "card_id": show_id(Prefix.CARD, card_id)}
    if occasion is Occasion.REMINDER:
        about["days"] = days
    return NewNotice(slot, ids.new_near(card_id), end.book_id, _EVENTS[occasion], card_id, about)


def _about(end: ProgrammeEnd, programme: Programme) -> dict[str, object]:
    return {
        "programme_end_id": show_id(Prefix.PROGRAMME_END, end.id),
        "programme_id": show_id(Prefix.PROGRAMME, programme.id),
        "programme": programme.name,
        "stops_at": end.stops_at,
        "last_day": end.last_day,
        "announcement": end.announcement,
    }


async def _write_down(
    pool: Pool, clock: Clock, ids: Ids, slots: Sequence[int], end: ProgrammeEnd, programme: Programme
) -> int:
    """The notices to whoever runs the programme, and the lines of the trail, when it has stopped and when it is
    over."""
    now, written = clock.now(), 0
    if end.withdrawn_at is not None:
        return 0
    for due_at, told_at, event, post in (
        (end.stops_at, end.stop_told_at, PROGRAMME_STOPPED, store.post_stop),
        (end.ends_at, end.end_told_at, PROGRAMME_ENDED, store.post_over),
    ):
        if told_at is not None or now < due_at:
            continue
        id_ = ids.new()
        notice = NewNotice(slot_of(id_, slots), id_, end.book_id, event, None, _about(end, programme))
        action = new_action(
            clock, ids, book_id=end.book_id, by=SYSTEM, kind=f"programme_end.{event.name.rpartition('.')[2]}",
            prefix=Prefix.PROGRAMME_END, subject_id=end.id, after={"at": due_at},
        )  # fmt: skip
        written += await post(pool, end, notice, action, at=now)
    return written
