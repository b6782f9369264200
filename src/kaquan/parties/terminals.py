"""Terminals: create, block and unblock, get, list."""

from uuid import UUID

from msgspec.structs import asdict

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page
from kaquan.parties import store
from kaquan.parties.lists import cut_parties
from kaquan.parties.outcomes import missing, taken
from kaquan.parties.trail import SYSTEM, Actor, new_action, summary_of
from kaquan.parties.types import Search, Terminal, TerminalStatus

_KINDS = {TerminalStatus.BLOCKED: "terminal.blocked", TerminalStatus.ACTIVE: "terminal.unblocked"}
_OTHER = {
    TerminalStatus.BLOCKED: TerminalStatus.ACTIVE,
    TerminalStatus.ACTIVE: TerminalStatus.BLOCKED,
}


async def create_terminal(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, store_id: UUID, code: str, by: Actor = SYSTEM
) -> Terminal | Refusal:
    """A new terminal of a store, active. Refused: ``not_found`` (store_id), ``already_exists`` (code)."""
    terminal = Terminal(ids.new(), book_id, store_id, code, TerminalStatus.ACTIVE, clock.now())
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="terminal.created",
        prefix=Prefix.TERMINAL,
        subject_id=terminal.id,
        after=summary_of(terminal),
    )
    refused_by = await store.post_party(pool, "insert_terminal", asdict(terminal), action)
    if refused_by is None:
        return terminal
    if refused_by == "parties_terminal_store":
        return missing("store", "store_id")
    assert refused_by == "parties_terminal_code", refused_by
    (existing,) = await store.load_terminals(pool, book_id, Search(code=code))
    return taken("code", code, prefix=Prefix.TERMINAL, existing=existing.id)


async def change_terminal(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, status: TerminalStatus, by: Actor = SYSTEM
) -> Terminal | Refusal:
    """Block or unblock a terminal; one that is so already stays so. Refused: ``not_found``."""
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind=_KINDS[status],
        prefix=Prefix.TERMINAL,
        subject_id=id_,
        # there are two states, and only a change from one to the other is written
        before={"status": _OTHER[status]},
        after={"status": status},
    )
    await store.post_change(pool, "change_terminal", {"book_id": book_id, "id": id_, "status": status}, action)
    return await get_terminal(pool, book_id=book_id, id_=id_)


async def get_terminal(pool: Pool, *, book_id: int, id_: UUID) -> Terminal | Refusal:
    """The terminal with this id. Refused: ``not_found``."""
    found = await store.load_terminals(pool, book_id, Search(), id_)
    return found[0] if found else missing("terminal")


async def list_terminals(pool: Pool, *, book_id: int, search: Search) -> Page[Terminal]:
    """Terminals of a book, the newest first; ``search`` may narrow by code, store, merchant and status."""
    return cut_parties(await store.load_terminals(pool, book_id, search), search)
