"""Take in vouchers with codes that somebody else made: a file that is checked whole, and done in one commit."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.cards import Hand
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import Refusal
from kaquan.vouchers import store
from kaquan.vouchers.codes import VOUCHER_CODE
from kaquan.vouchers.files import CodeLine, LineProblem, Row, read_codes, refuse_lines
from kaquan.vouchers.issue import Mint, name_taken
from kaquan.vouchers.outcomes import TEMPLATE_ENDED
from kaquan.vouchers.store import NewVoucher, Run
from kaquan.vouchers.templates import get_template
from kaquan.vouchers.types import BatchSource, Template, VoucherBatch

CHUNK = 5_000


async def import_codes(
    pool: Pool, mint: Mint, hand: Hand, *, book_id: int, template_id: UUID, name: str, rows: Sequence[Row]
) -> VoucherBatch | Refusal:
    """Vouchers of a template with the codes of a file, issued: whoever has a code may claim it.

    Refused, and nothing is done: ``not_found`` (template_id), ``voucher_template_ended``, ``invalid_field`` (file),
    ``voucher_file_has_bad_lines`` (a code that is there already among them), ``already_exists`` (name).
    """
    template = await get_template(pool, book_id=book_id, id_=template_id, field="template_id")
    if isinstance(template, Refusal):
        return template
    if template.ended_at is not None:
        return TEMPLATE_ENDED.refuse("template_id")
    now = hand.clock.now()
    zone = ZoneInfo(template.time_zone)
    read = await asyncio.to_thread(read_codes, rows, today=now.astimezone(zone).date())
    if isinstance(read, Refusal):
        return read
    lines, problems = read
    problems += await _taken(pool, mint, lines, book_id=book_id)
    if problems:
        return refuse_lines(problems)
    made = await asyncio.to_thread(_make, mint, template, lines, zone)
    size = len(made)
    batch = VoucherBatch(
        hand.ids.new(), book_id, template.id, name, BatchSource.IMPORTED, size, size, None, hand.actor, now, now
    )

    async def write(connection: Connection) -> bool:
        for start in range(0, len(made), CHUNK):
            await store.write_vouchers(
                connection, made[start : start + CHUNK], Run(book_id, template.id, batch.id, None, now)
            )
        return True

    refused_by = await store.post_batch_whole(pool, store.add_batch(batch), write)
    if refused_by == "vouchers_voucher_code":
        # another file brought a code of this one in the meantime: now it is told in which line
        return refuse_lines(await _taken(pool, mint, lines, book_id=book_id))
    return batch if refused_by is None else await name_taken(pool, refused_by, batch)


async def _taken(pool: Pool, mint: Mint, lines: Sequence[CodeLine], *, book_id: int) -> list[LineProblem]:
    problems: list[LineProblem] = []
    for start in range(0, len(lines), CHUNK):
        by_lookup = {
            lookup: line.line
            for line in lines[start : start + CHUNK]
            for _, lookup in mint.keyring.lookups(line.code, VOUCHER_CODE)
        }
        there = await store.find_taken(pool, book_id=book_id, slots=mint.slots, lookups=list(by_lookup))
        problems += [LineProblem(by_lookup[lookup], "code", "is a voucher's already", "券码已存在") for lookup in there]
    return problems


def _make(mint: Mint, template: Template, lines: Sequence[CodeLine], zone: ZoneInfo) -> list[NewVoucher]:
    return [
        mint.with_code(template, line.code, valid_until=None if line.last_day is None else _end_of(line.last_day, zone))
        for line in lines
    ]


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, zone)
