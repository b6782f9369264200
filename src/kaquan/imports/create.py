"""Create an import: the file is checked whole, and kept only as its lines, sealed."""

import asyncio
import hashlib
from collections.abc import Mapping

from kaquan.cards import CardFinder, Press, Programme, check_going_on, get_programme
from kaquan.imports import store
from kaquan.imports.check import check_file
from kaquan.imports.types import CardImport, Checked, FoundLine, ImportLine, ImportStatus, LineProblem, NewImport
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, NOT_FOUND, Refusal
from kaquan.ledger import slot_of
from kaquan.vault import mask_card_number

CHUNK = 1_000


async def check_import(
    finder: CardFinder,
    clock: Clock,
    *,
    programme: Programme,
    content: bytes,
    columns: Mapping[str, str],
) -> Checked | Refusal:
    """The dry run: every line of the file, by itself, by the others and by the cards that there are. Nothing is kept.

    Refused: what :func:`kaquan.imports.check_file` refuses.
    """
    checked = await asyncio.to_thread(check_file, content, columns=columns, programme=programme, now=clock.now())
    if isinstance(checked, Refusal):
        return checked
    free: list[FoundLine] = []
    taken: list[LineProblem] = []
    for start in range(0, len(checked.lines), CHUNK):
        lines = checked.lines[start : start + CHUNK]
        found = await finder.resolve([line.number for line in lines])
        for line, card in zip(lines, found, strict=True):
            if card is None:
                free.append(line)
            else:
                masked = mask_card_number(line.number)
                taken.append(LineProblem(line.line, "number", masked, "is a card's already", "卡号已存在"))
    problems = sorted([*checked.problems, *taken], key=lambda problem: problem.line)
    return checked._replace(lines=free, problems=problems)


async def create_import(
    pool: Pool, finder: CardFinder, press: Press, clock: Clock, *, book_id: int, new: NewImport, content: bytes
) -> CardImport | Refusal:
    """Check a file and keep it, to be applied if every line is good; nothing is made of it yet.

    Refused: ``not_found`` (programme_id), ``programme_stopped``, ``already_exists`` (name), and what
    :func:`check_import` refuses. A file with bad lines is no refusal but an import in the status ``refused``, which
    tells them all.
    """
    programme = await get_programme(pool, book_id=book_id, programme_id=new.programme_id)
    if isinstance(programme, Refusal):
        return NOT_FOUND.refuse("programme_id", what="programme")
    if (refused := check_going_on(programme, clock.now(), field="programme_id")) is not None:
        return refused
    checked = await check_import(finder, clock, programme=programme, content=content, columns=new.columns)
    if isinstance(checked, Refusal):
        return checked
    made = CardImport(
        id=press.ids.new(),
        book_id=book_id,
        programme_id=programme.id,
        name=new.name,
        kind=checked.kind,
        sha256=hashlib.sha256(content).hexdigest(),
        status=ImportStatus.REFUSED if checked.problems else ImportStatus.CHECKED,
        line_count=checked.line_count,
        bad_line_count=checked.bad_line_count,
        principal_fen=sum(line.principal_fen for line in checked.lines),
        bonus_fen=sum(line.bonus_fen for line in checked.lines),
        problems=checked.problems,
        created_by=new.created_by,
        created_at=clock.now(),
        finished_at=None,
    )
    lines = [] if checked.problems else await asyncio.to_thread(_seal, press, made, checked.lines)
    if await store.post_import(pool, made, lines) is None:
        return await store.load_import(pool, press.slots, book_id=book_id, import_id=made.id) or made
    (existing,) = await store.load_imports(pool, book_id=book_id, name=new.name, limit=1)
    return ALREADY_EXISTS.refuse("name", value=new.name, existing=show_id(Prefix.IMPORT, existing.id))


def _seal(press: Press, made: CardImport, lines: list[FoundLine]) -> list[ImportLine]:
    kept = []
    for line in lines:
        card_id = press.ids.new()
        kept.append(
            ImportLine(
                slot=slot_of(card_id, press.slots),
                import_id=made.id,
                line=line.line,
                book_id=made.book_id,
                card_id=card_id,
                number_sealed=press.keyring.seal(line.number.encode(), card_id.bytes),
                number_last4=line.number[-4:],
                principal_fen=line.principal_fen,
                bonus_fen=line.bonus_fen,
                principal_expires_at=line.principal_expires_at,
                bonus_expires_at=line.bonus_expires_at,
            )
        )
    return kept
