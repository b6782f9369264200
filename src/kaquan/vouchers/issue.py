"""Issue vouchers: in bulk, by a job for any number of runners that goes on where it was stopped; and as a grant, in
the commit of the payment or load that gives them."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kaquan.cards.change import Permission
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor, new_action, write_action
from kaquan.vault import Keyring
from kaquan.vouchers import store
from kaquan.vouchers.codes import (
    DEFAULT_LENGTH,
    GUESSES_PER_CODE,
    MAX_LENGTH,
    MIN_LENGTH,
    VOUCHER_CODE,
    Draw,
    draw_codes,
    room_for,
)
from kaquan.vouchers.outcomes import CODE_SPACE_TOO_SMALL, TEMPLATE_ENDED, invalid, missing, taken
from kaquan.vouchers.store import Moved, NewVoucher, Run, Telling
from kaquan.vouchers.templates import get_template, valid_until_of
from kaquan.vouchers.types import (
    BatchSource,
    Granted,
    HeldBy,
    NewVoucherBatch,
    Search,
    Template,
    VoucherBatch,
    VoucherEvent,
    VoucherStatus,
)

MAX_BATCH_VOUCHERS = 10_000_000
CHUNK_VOUCHERS = 5_000
"""Vouchers of one commit: a stopped job loses the making of two such chunks at most, and no stored voucher."""
MAX_DRAWS = 8
"""A chunk is drawn again so many times if one of its codes is taken; with room among the codes, once is a rarity."""

__all__ = ["DEFAULT_LENGTH", "Mint", "create_batch", "issue_grants", "run_batch", "unfinished_batches"]


class Mint(msgspec.Struct, frozen=True):
    """What making vouchers takes: keys, the slots of the installation, ids, and an unguessable source."""

    keyring: Keyring
    slots: tuple[int, ...]
    ids: Ids
    draw: Draw = secrets.token_bytes

    def make(self, template: Template, count: int, *, code_length: int | None) -> list[NewVoucher]:
        """``count`` vouchers that are nobody's yet, with codes of this length or without; long counts in a thread."""
        if code_length is None:
            ids = [self.ids.new() for _ in range(count)]
            return [self._one(id_, template, None, None) for id_ in ids]
        return [self.with_code(template, code) for code in draw_codes(code_length, count, self.draw)]

    def with_code(self, template: Template, code: str, *, valid_until: datetime | None = None) -> NewVoucher:
        """A voucher with this code, near its look-up."""
        lookup = self.keyring.lookup(code, VOUCHER_CODE)
        return self._one(self.ids.new_near(lookup), template, lookup, code, valid_until=valid_until)

    def _one(
        self, id_: UUID, template: Template, lookup: UUID | None, code: str | None, valid_until: datetime | None = None
    ) -> NewVoucher:
        return NewVoucher(
            slot_of(id_, self.slots), id_, None, lookup,
            None if code is None else self.keyring.seal(code.encode(), id_.bytes),
            None if code is None else code[-4:],
            template.face_fen, template.valid_from,
            valid_until or template.valid_until,
        )  # fmt: skip


async def create_batch(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    new: NewVoucherBatch,
    guesses_per_code: int = GUESSES_PER_CODE,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> VoucherBatch | Refusal:
    """A new batch, of which nothing is issued yet: :func:`run_batch` does that.

    ``approve`` is asked in the commit that makes it, and what it refuses is refused. Refused besides: ``invalid_field``
    (voucher_count, code_length), ``not_found`` (template_id), ``voucher_template_ended``, ``already_exists`` (name),
    ``code_space_too_small``: fewer than ``guesses_per_code`` possible codes for each.
    """
    if not 0 < new.voucher_count <= MAX_BATCH_VOUCHERS:
        return invalid(
            "voucher_count", f"must be from 1 to {MAX_BATCH_VOUCHERS}", allowed_zh=f"应为 1 至 {MAX_BATCH_VOUCHERS}"
        )
    length = new.code_length
    if length is not None and not MIN_LENGTH <= length <= MAX_LENGTH:
        return invalid(
            "code_length", f"must be from {MIN_LENGTH} to {MAX_LENGTH}", allowed_zh=f"应为 {MIN_LENGTH} 至 {MAX_LENGTH}"
        )
    template = await get_template(pool, book_id=book_id, id_=new.template_id, field="template_id")
    if isinstance(template, Refusal):
        return template
    if template.ended_at is not None:
        return TEMPLATE_ENDED.refuse("template_id")
    batch = VoucherBatch(
        ids.new(), book_id, template.id, new.name, BatchSource.MADE, new.voucher_count, 0, length,
        SYSTEM_ACTOR if by.key_id is None else show_id(Prefix.KEY, by.key_id), clock.now(), None,
    )  # fmt: skip
    permission = Permission(approve)

    async def tell(connection: Connection) -> bool:
        told = {
            "template_id": show_id(Prefix.VOUCHER_TEMPLATE, template.id), "name": new.name,
            "voucher_count": new.voucher_count, "code_length": length,
        }  # fmt: skip
        await write_action(
            connection,
            new_action(
                clock, ids, book_id=book_id, by=by, kind="voucher_batch.created", prefix=Prefix.VOUCHER_BATCH,
                subject_id=batch.id, after=told,
            ),
        )  # fmt: skip
        return True

    def room_in(there: int) -> int:
        assert length is not None
        return room_for(length, there, guesses_per_code=guesses_per_code)

    refused_by, room = await store.post_batch_of_codes(pool, batch, room_in=room_in, also=(permission.claim, tell))
    if permission.refused is not None:
        return permission.refused
    if refused_by is None:
        if new.voucher_count <= room:
            return batch
        return CODE_SPACE_TOO_SMALL.refuse("code_length", length=length, room=room, wanted=new.voucher_count)
    return await name_taken(pool, refused_by, batch)


SYSTEM_ACTOR = "system"


async def name_taken(pool: Pool, refused_by: str | None, batch: VoucherBatch) -> Refusal:
    """The refusal of a batch whose name another one has."""
    assert refused_by == "vouchers_batch_name", refused_by
    (existing,) = await store.load_batches(pool, batch.book_id, Search(name=batch.name))
    return taken("name", batch.name, prefix=Prefix.VOUCHER_BATCH, existing=existing.id)


async def unfinished_batches(pool: Pool) -> list[tuple[int, UUID]]:
    """Book and id of every batch, of any book, that lacks vouchers; the oldest first. For the worker."""
    return await store.load_unfinished(pool)


async def run_batch(
    pool: Pool, mint: Mint, clock: Clock, *, book_id: int, batch_id: UUID, chunk: int = CHUNK_VOUCHERS
) -> VoucherBatch | Refusal:
    """Issue what a batch still lacks, chunk by chunk, each in one commit; the finished batch.

    It may be cancelled or killed at any moment and run again, also by two runners at once: a voucher is stored and
    counted, or not at all. While one chunk is written a thread makes the next one. Refused: ``not_found``,
    ``code_space_too_small`` if there turn out to be no free codes.
    """
    found = await store.load_batches(pool, book_id, Search(), batch_id)
    if not found:
        return missing("voucher batch")
    (batch,) = found
    template = await get_template(pool, book_id=book_id, id_=batch.template_id)
    assert not isinstance(template, Refusal), "templates are never removed"

    def make_next(ahead: int) -> asyncio.Task[list[NewVoucher]]:
        lacking = batch.voucher_count - batch.issued_count - ahead
        count = max(0, min(chunk, lacking))
        return asyncio.create_task(asyncio.to_thread(mint.make, template, count, code_length=batch.code_length))

    making = make_next(0)
    fruitless = 0
    try:
        while batch.issued_count < batch.voucher_count and batch.finished_at is None:
            vouchers = await making
            making = make_next(len(vouchers))
            run = Run(book_id, template.id, batch.id, None, clock.now())
            after = await store.post_batch_vouchers(pool, vouchers, run, slots=mint.slots)
            fruitless = fruitless + 1 if after is None else 0
            batch = after or batch
            if fruitless == MAX_DRAWS:
                wanted = batch.voucher_count - batch.issued_count
                return CODE_SPACE_TOO_SMALL.refuse("id", length=batch.code_length, room=0, wanted=wanted)
    finally:
        making.cancel()
    return batch


def make_granted(granted: Granted, *, ids: Ids, slots: Sequence[int], at: datetime) -> list[NewVoucher]:
    """The vouchers of a grant: their face values sum to its amount; those of later instalments can be used later."""
    starts = granted.due_at or (granted.template.valid_from,)
    sizes = allocate(granted.voucher_count, [1] * len(starts))
    faces = allocate(granted.amount_fen, [1] * granted.voucher_count)
    made: list[NewVoucher] = []
    for start, size in zip(starts, sizes, strict=True):
        # days of validity begin when the voucher does
        until = valid_until_of(granted.template, claimed_at=at if start is None else max(at, start))
        for face_fen in faces[len(made) : len(made) + size]:
            id_ = ids.new_near(granted.near)
            made.append(NewVoucher(slot_of(id_, slots), id_, granted.holder, None, None, None, face_fen, start, until))
    return made


async def issue_grants(
    connection: Connection, grants: Sequence[Granted], *, slots: Sequence[int], telling: Telling
) -> list[list[UUID]]:
    """Give vouchers in the transaction of the payment or load that they come with; the ids of each grant's."""
    given: list[list[UUID]] = []
    for granted in grants:
        template = granted.template
        made = make_granted(granted, ids=telling.ids, slots=slots, at=telling.at)
        await store.write_vouchers(
            connection, made, Run(template.book_id, template.id, None, granted.transaction_id, telling.at)
        )
        await store.record(
            connection, VoucherEvent.GRANTED, first_moves(made, template, granted.transaction_id), telling
        )
        given.append([one.id for one in made])
    return given


def first_moves(made: Sequence[NewVoucher], template: Template, transaction_id: UUID | None) -> list[Moved]:
    """That vouchers which were written with a holder came to them."""
    moves = []
    for one in made:
        assert isinstance(one.holder, HeldBy)
        moves.append(
            Moved(
                one.slot, one.id, template.book_id, template.id, VoucherStatus.ISSUED.value, VoucherStatus.HELD.value,
                one.holder.kind.value, one.holder.id, transaction_id, 0, one.face_fen,
            )
        )  # fmt: skip
    return moves


async def revoke_grants(
    connection: Connection, *, slot: int, transaction_id: UUID, template_id: UUID, count: int, telling: Telling
) -> int:
    """Take back vouchers that a payment gave and that nobody has used, locked or passed on to another status; how many.

    Part of what a refund takes back: what could not be taken is for its caller to claim in another way.
    """
    return await store.end_some(
        connection, VoucherEvent.REVOKED, slot=slot, to=VoucherStatus.CANCELLED, limit=count, telling=telling,
        granted_by=transaction_id, template_id=template_id, transaction_id=transaction_id,
    )  # fmt: skip
