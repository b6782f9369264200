"""Lists of people and organisations that nothing is sold to, or not before somebody has looked.

A file is checked whole and kept only when every line is good: of each line nothing but look-ups (HMAC) of the name and
of the document's number, so that nobody reads the list here. Two people put it into force, in the place of the one of
its name before, and two end it.

Columns: ``name`` and ``document``, of which a line has at least one.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from msgspec.structs import replace

from kaquan.imports import LineProblem
from kaquan.imports.kinds import NUMBER_CELL, FileError, kind_of
from kaquan.imports.outcomes import COLUMN_MISSING, FILE_UNREADABLE
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, new_action
from kaquan.sales import store
from kaquan.sales.outcomes import BUYER_LIST_STATUS_FORBIDS, missing
from kaquan.sales.types import (
    BuyerList,
    BuyerListAction,
    BuyerListStatus,
    CheckedList,
    ListEntry,
    ListLine,
)
from kaquan.vault import Keyring, mask_identity, mask_name

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "姓名", "名称"),
    "document": ("document", "document_number", "证件号码", "证件号"),
}
"""Our columns, with the names that they are known by."""

MAX_LINES = 200_000
MAX_NAME = 120

PURPOSE = b"buyer list"
_DOCUMENT = re.compile(r"[0-9A-Z]{4,40}")


def bare_name(name: str) -> str:
    """A name without what spellings of it differ in: width, case, spaces and dots."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in text if character.isalnum())


def bare_document(number: str) -> str:
    """A document's number without spaces and hyphens, in capitals."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", number)).upper()


def check_list(content: bytes) -> CheckedList | Refusal:
    """Every line of a file, good or bad. Refused: ``file_unreadable``, ``column_missing``."""
    lines: list[ListLine] = []
    problems: list[LineProblem] = []
    places: dict[str, int] | None = None
    try:
        for line, cells in kind_of(content).rows(content):
            if places is None:
                known = {name: ours for ours, names in COLUMNS.items() for name in names}
                places = {known[cell.lower()]: at for at, cell in enumerate(cells) if cell.lower() in known}
                if not places:
                    return COLUMN_MISSING.refuse("file", column="name, document", there=", ".join(cells))
                continue
            if len(lines) + len(problems) >= MAX_LINES:
                return FILE_UNREADABLE.refuse(
                    "file", why=f"has more than {MAX_LINES} lines", why_zh=f"超过 {MAX_LINES} 行"
                )
            cell = {ours: cells[at] for ours, at in places.items() if at < len(cells)}
            wrong = _wrong(line, cell)
            problems += wrong
            if not wrong:
                name, document = cell.get("name") or None, cell.get("document") or None
                lines.append(ListLine(line, name, None if document is None else bare_document(document)))
    except FileError as error:
        return FILE_UNREADABLE.refuse("file", why=error.en, why_zh=error.zh)
    if places is None or not (lines or problems):
        return FILE_UNREADABLE.refuse("file", why="holds no line", why_zh="没有数据行")
    return CheckedList(lines, problems, hashlib.sha256(content).hexdigest())


def _wrong(line: int, cell: Mapping[str, str]) -> list[LineProblem]:
    name, document = cell.get("name", ""), cell.get("document", "")
    found = []
    if not name and not document:
        found.append(LineProblem(line, "name", "", "name or document must be given", "姓名与证件号码至少填写一项"))
    if name and not (bare_name(name) and len(name) <= MAX_NAME and name.isprintable()):
        allowed = f"must have 1 to {MAX_NAME} letters"
        found.append(LineProblem(line, "name", mask_name(name), allowed, f"应为 1 至 {MAX_NAME} 个文字"))
    if document.startswith(NUMBER_CELL):
        shown = mask_identity(document.removeprefix(NUMBER_CELL))
        found.append(
            LineProblem(line, "document", shown, "must be kept as text by the spreadsheet", "单元格应设为文本格式")
        )
    elif document and not _DOCUMENT.fullmatch(bare_document(document)):
        allowed = "must have 4 to 40 letters and digits"
        found.append(LineProblem(line, "document", mask_identity(document), allowed, "应为 4 至 40 位字母或数字"))
    return found


def entry_of(keyring: Keyring, book_id: int, line: ListLine) -> ListEntry:
    """What is kept of a line."""

    def lookup(field: str, value: str | None) -> UUID | None:
        return None if value is None else keyring.lookup(text_of(book_id, field, value), PURPOSE)

    name = None if line.name is None else bare_name(line.name)
    return ListEntry(line.line, lookup("name", name), lookup("document", line.document))


def text_of(book_id: int, field: str, value: str) -> str:
    """What is hashed: a value is looked up in its book and field alone."""
    return f"{book_id} {field} {value}"


async def upload_list(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    *,
    book_id: int,
    name: str,
    source: str,
    listed_on: date,
    action: BuyerListAction,
    content: bytes,
    by: Actor,
    made_by: str,
) -> BuyerList | CheckedList | Refusal:
    """Keep a list, not in force yet; what was checked when a line is bad, and then nothing is kept.

    Refused: as :func:`check_list`.
    """
    checked = check_list(content)
    if isinstance(checked, Refusal) or checked.problems:
        return checked
    made = BuyerList(
        book_id, ids.new(), name, source, listed_on, action, BuyerListStatus.CHECKED, len(checked.lines),
        checked.sha256, keyring.lookups("", PURPOSE)[-1][0], made_by, clock.now(), None, None,
    )  # fmt: skip
    entries = [entry_of(keyring, book_id, line) for line in checked.lines]
    trail = _action(clock, ids, by, "buyer_list.uploaded", made)
    done = await store.post_together(pool, store.add_list(made), store.add_entries(made, entries), trail)
    return made if done is store.Posted.DONE else BUSY.refuse()


async def apply_list(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, list_id: UUID, approve: Approve, by: Actor
) -> BuyerList | Refusal:
    """Put a list into force; the one of its name that was in force ends. Refused: ``not_found``,
    ``buyer_list_status_forbids``, what ``approve`` refuses."""
    return await _change(
        pool, clock, ids, book_id=book_id, list_id=list_id, approve=approve, by=by,
        before=BuyerListStatus.CHECKED, after=BuyerListStatus.ACTIVE,
    )  # fmt: skip


async def end_list(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, list_id: UUID, approve: Approve, by: Actor
) -> BuyerList | Refusal:
    """End a list that is in force. Refused: as :func:`apply_list`."""
    return await _change(
        pool, clock, ids, book_id=book_id, list_id=list_id, approve=approve, by=by,
        before=BuyerListStatus.ACTIVE, after=BuyerListStatus.ENDED,
    )  # fmt: skip


async def _change(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    list_id: UUID,
    approve: Approve,
    by: Actor,
    before: BuyerListStatus,
    after: BuyerListStatus,
) -> BuyerList | Refusal:
    one = await get_buyer_list(pool, book_id=book_id, list_id=list_id)
    if isinstance(one, Refusal):
        return one
    if one.status is not before:
        return BUYER_LIST_STATUS_FORBIDS.refuse("id", status=one.status.value)
    now = clock.now()
    ending = after is BuyerListStatus.ENDED
    changed = replace(one, status=after, applied_at=one.applied_at if ending else now, ended_at=now if ending else None)
    refused: Refusal | None = None

    async def claim(connection: Connection) -> bool:
        nonlocal refused
        refused = await approve(connection)
        return refused is None

    writes: Sequence[store.Write] = (
        claim,
        *(() if ending else (store.end_lists_named(one, at=now),)),
        store.change_list(one, changed),
        _action(clock, ids, by, f"buyer_list.{after.value}", changed),
    )
    done = await store.post_together(pool, *writes)
    if done is store.Posted.DONE:
        return changed
    return BUSY.refuse() if refused is None else refused


def _action(clock: Clock, ids: Ids, by: Actor, kind: str, one: BuyerList) -> store.Write:
    told = {name: getattr(one, name) for name in ("name", "source", "listed_on", "action", "entry_count", "sha256")}
    action = new_action(
        clock, ids, book_id=one.book_id, by=by, kind=kind, prefix=Prefix.BUYER_LIST, subject_id=one.id, after=told
    )
    return store.add_action(action)


async def get_buyer_list(pool: Pool, *, book_id: int, list_id: UUID) -> BuyerList | Refusal:
    """The list with this id. Refused: ``not_found``."""
    found = await store.load_lists(pool, book_id=book_id, id_=list_id, limit=1)
    return found[0] if found else missing("buyer list")


async def list_buyer_lists(
    pool: Pool, *, book_id: int, after_id: UUID | None = None, limit: int = DEFAULT_LIMIT
) -> Page[BuyerList]:
    """Lists of a book, the newest first."""
    rows = await store.load_lists(pool, book_id=book_id, after_id=after_id, limit=limit + 1)
    return cut_page(rows, limit=limit, last_id=rows[limit - 1].id if len(rows) > limit else None)
