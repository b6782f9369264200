"""Assign vouchers by a file: who is named gets theirs, all in one commit, or nobody does."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import Card, CardFinder, Hand, get_cards
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.parties.customers import known_customers
from kaquan.vouchers import store
from kaquan.vouchers.claim import holder_of
from kaquan.vouchers.files import AssignLine, LineProblem, Row, read_assignment, refuse_lines
from kaquan.vouchers.issue import first_moves, name_taken
from kaquan.vouchers.outcomes import TEMPLATE_ENDED
from kaquan.vouchers.store import NewVoucher, Run, Telling
from kaquan.vouchers.templates import get_template, valid_until_of
from kaquan.vouchers.types import BatchSource, HeldBy, HolderKind, Template, VoucherBatch, VoucherEvent

CHUNK = 5_000


async def assign_vouchers(
    pool: Pool,
    hand: Hand,
    finder: CardFinder,
    *,
    book_id: int,
    slots: tuple[int, ...],
    template_id: UUID,
    name: str,
    rows: Sequence[Row],
) -> VoucherBatch | Refusal:
    """Give vouchers of a template to everybody in a file; ``name`` is taken once, so that no file is done twice.

    A card that is registered stands for its person. Refused, and nothing is done: ``not_found`` (template_id),
    ``voucher_template_ended``, ``invalid_field`` (file), ``voucher_file_has_bad_lines``, ``already_exists`` (name).
    """
    template = await get_template(pool, book_id=book_id, id_=template_id, field="template_id")
    if isinstance(template, Refusal):
        return template
    if template.ended_at is not None:
        return TEMPLATE_ENDED.refuse("template_id")
    read = await asyncio.to_thread(read_assignment, rows)
    if isinstance(read, Refusal):
        return read
    lines, problems = read
    holders = await _find_holders(pool, finder, lines, problems, book_id=book_id, slots=slots)
    if problems:
        return refuse_lines(problems)
    now = hand.clock.now()
    wanted = [(line.line, holders[line.line], line.voucher_count) for line in lines]
    made = _make(hand, template, wanted, slots=slots)
    size = len(made)
    batch = VoucherBatch(
        hand.ids.new(), book_id, template.id, name, BatchSource.ASSIGNED, size, size, None, hand.actor, now, now
    )
    over: list[LineProblem] = []
    telling = Telling(hand.ids, now, hand.actor)

    async def count_in(connection: Connection) -> bool:
        maximum = template.max_per_holder
        if maximum is None:
            return True
        # in one order everywhere, so that two files never wait for each other
        for line, holder, count in sorted(wanted, key=lambda one: (slot_of(one[1].id, slots), one[1].id.int)):
            if not await store.count_claimed(
                connection, book_id=book_id, slot=slot_of(holder.id, slots), holder_id=holder.id,
                template_id=template.id, count=count, maximum=maximum,
            ):  # fmt: skip
                over.append(
                    LineProblem(
                        line, "count", f"a holder gets at most {maximum} of this template", f"每人限领 {maximum} 张"
                    )
                )
        return not over

    async def write(connection: Connection) -> bool:
        for start in range(0, len(made), CHUNK):
            some = made[start : start + CHUNK]
            await store.write_vouchers(connection, some, Run(book_id, template.id, batch.id, None, now))
            await store.record(connection, VoucherEvent.ASSIGNED, first_moves(some, template, None), telling)
        return True

    refused_by = await store.post_batch_whole(pool, store.add_batch(batch), count_in, write)
    if over:
        return refuse_lines(over)
    return batch if refused_by is None else await name_taken(pool, refused_by, batch)


async def _find_holders(
    pool: Pool,
    finder: CardFinder,
    lines: Sequence[AssignLine],
    problems: list[LineProblem],
    *,
    book_id: int,
    slots: tuple[int, ...],
) -> dict[int, HeldBy]:
    """Who is meant in each line that names somebody; what names nobody is added to ``problems``."""
    bad = {problem.line for problem in problems}
    good = [line for line in lines if line.line not in bad]
    numbered = {line.line: line.card_number for line in good if line.card_number is not None}
    found = await finder.resolve(list(numbered.values()))
    ids = {line.line: line.card_id for line in good if line.card_id is not None}
    ids.update((line, card[1]) for line, card in zip(numbered, found, strict=True) if card is not None)
    cards: dict[UUID, Card] = {}
    wanted, people = sorted(set(ids.values())), {line.customer_id for line in good if line.customer_id is not None}
    for start in range(0, len(wanted), CHUNK):
        cards.update(await get_cards(pool, book_id=book_id, slots=slots, card_ids=wanted[start : start + CHUNK]))
    known = await known_customers(pool, book_id=book_id, ids=sorted(people)) if people else set[UUID]()
    holders: dict[int, HeldBy] = {}
    for line in good:
        card = cards.get(ids[line.line]) if line.line in ids else None
        if card is not None:
            holders[line.line] = holder_of(card)
        elif line.customer_id in known and line.customer_id is not None:
            holders[line.line] = HeldBy(HolderKind.CUSTOMER, line.customer_id)
        elif line.customer_id is not None:
            problems.append(LineProblem(line.line, "customer_id", "there is no such customer", "没有这位客户"))
        else:
            problems.append(LineProblem(line.line, "card", "there is no such card", "没有这张卡"))
    return holders


def _make(
    hand: Hand, template: Template, wanted: Sequence[tuple[int, HeldBy, int]], *, slots: Sequence[int]
) -> list[NewVoucher]:
    """The vouchers of every line, each near its holder."""
    until = valid_until_of(template, claimed_at=hand.clock.now())
    made: list[NewVoucher] = []
    for _, holder, count in wanted:
        for _ in range(count):
            id_ = hand.ids.new_near(holder.id)
            made.append(
                NewVoucher(
                    slot_of(id_, slots), id_, holder, None, None, None, template.face_fen, template.valid_from, until
                )
            )
    return made
