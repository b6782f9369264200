"""Apply an import, or take it back: a job for any number of runners, which goes on where it was stopped.

Each chunk is one commit: its cards, their value, and that its lines are done. A runner that dies leaves a chunk whole
or not begun, and lines that somebody works on are passed over by the others.
"""

from collections.abc import Callable
from uuid import UUID

from kaquan.cards import Press, Programme, check_going_on, get_programme
from kaquan.imports import store
from kaquan.imports.outcomes import (
    CARDS_USED_SINCE,
    IMPORT_ALREADY_REVERSED,
    IMPORT_HAS_BAD_LINES,
    IMPORT_NOT_APPLIED,
    IMPORT_STOPPED,
)
from kaquan.imports.types import CardImport, ImportStatus, LineStatus
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import NOT_FOUND, Refusal

CHUNK = 200
LINES_TOLD = 20

Progress = Callable[[int], None]
"""Told how many more lines are done."""


async def start_import(pool: Pool, *, book_id: int, slots: tuple[int, ...], import_id: UUID) -> CardImport | Refusal:
    """Ask for an import to be applied; the job does it. One that is applied, or being so, stays as it is.

    Refused: ``not_found``, ``import_has_bad_lines``, ``import_stopped``, ``import_already_reversed``.
    """
    found = await store.load_import(pool, slots, book_id=book_id, import_id=import_id)
    if found is None:
        return NOT_FOUND.refuse("id", what="import")
    if found.status is ImportStatus.REFUSED:
        return IMPORT_HAS_BAD_LINES.refuse("id", bad_line_count=found.bad_line_count)
    if found.status is ImportStatus.STOPPED:
        return IMPORT_STOPPED.refuse("id", left_out_count=found.lines.get(LineStatus.LEFT_OUT, 0))
    if found.status in (ImportStatus.REVERSING, ImportStatus.REVERSED):
        return IMPORT_ALREADY_REVERSED.refuse("id")
    await store.change_status(
        pool, book_id=book_id, import_id=import_id, before=ImportStatus.CHECKED, after=ImportStatus.APPLYING
    )
    return await _again(pool, slots, book_id=book_id, import_id=import_id)


async def start_reversal(pool: Pool, *, book_id: int, slots: tuple[int, ...], import_id: UUID) -> CardImport | Refusal:
    """Ask for an import that is applied, or stopped, to be taken back; the job does it. One that is reversed, or being
    so, stays as it is.

    Refused: ``not_found``, ``import_not_applied``, ``cards_used_since``. A card that is used after this was asked and
    before the job comes to it keeps its value and is told as used.
    """
    found = await store.load_import(pool, slots, book_id=book_id, import_id=import_id)
    if found is None:
        return NOT_FOUND.refuse("id", what="import")
    if found.status in (ImportStatus.REVERSING, ImportStatus.REVERSED):
        return found
    if found.status not in (ImportStatus.APPLIED, ImportStatus.STOPPED):
        return IMPORT_NOT_APPLIED.refuse("id", status=found.status.value)
    used = await store.load_used(pool, slots, book_id=book_id, import_id=import_id)
    if used:
        lines = ", ".join(str(card.line) for card in used[:LINES_TOLD]) + (" …" if len(used) > LINES_TOLD else "")
        return CARDS_USED_SINCE.refuse("id", used_count=len(used), lines=lines)
    await store.change_status(
        pool, book_id=book_id, import_id=import_id, before=found.status, after=ImportStatus.REVERSING
    )
    return await _again(pool, slots, book_id=book_id, import_id=import_id)


async def unfinished_imports(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of every import, of any book, that is being applied or reversed. For the worker."""
    return await store.load_unfinished(pool)


async def run_import(
    pool: Pool,
    press: Press,
    clock: Clock,
    *,
    book_id: int,
    import_id: UUID,
    chunk: int = CHUNK,
    progress: Progress = lambda count: None,
) -> CardImport | Refusal:
    """Do what an import still lacks, applying or reversing; the import after it.

    Where its programme stops meanwhile it ends there: what is not applied by then never is. Refused: ``not_found``.
    """
    found = await store.load_import(pool, press.slots, book_id=book_id, import_id=import_id)
    if found is None:
        return NOT_FOUND.refuse("id", what="import")
    programme = await get_programme(pool, book_id=book_id, programme_id=found.programme_id)
    assert isinstance(programme, Programme), "programmes are never removed"
    work = {
        ImportStatus.APPLYING: (store.apply_lines, ImportStatus.APPLIED),
        ImportStatus.REVERSING: (store.reverse_lines, ImportStatus.REVERSED),
    }.get(found.status)
    if work is None:
        return found
    do_lines, after = work
    may_stop = found.status is ImportStatus.APPLYING
    for slot in press.slots:
        done = chunk
        while done:
            if may_stop and await _has_stopped(pool, clock, found):
                await store.leave_out_lines(pool, press.slots, import_id=import_id)
                may_stop = False
            done = await do_lines(pool, press, clock, programme=programme, card_import=found, slot=slot, limit=chunk)
            progress(done)
    if after is ImportStatus.APPLIED and await store.load_not_imported(
        pool, press.slots, import_id=import_id, status=LineStatus.LEFT_OUT
    ):
        after = ImportStatus.STOPPED
    # not while another runner still has lines of its own
    await store.finish(pool, press.slots, card_import=found, after=after, at=clock.now())
    return await _again(pool, press.slots, book_id=book_id, import_id=import_id)


async def _has_stopped(pool: Pool, clock: Clock, card_import: CardImport) -> bool:
    """Whether its programme has stopped, which may be announced while it runs."""
    programme = await get_programme(pool, book_id=card_import.book_id, programme_id=card_import.programme_id)
    assert isinstance(programme, Programme), "programmes are never removed"
    return check_going_on(programme, clock.now(), field="id") is not None


async def _again(pool: Pool, slots: tuple[int, ...], *, book_id: int, import_id: UUID) -> CardImport:
    found = await store.load_import(pool, slots, book_id=book_id, import_id=import_id)
    assert found is not None, "imports are never removed"
    return found
