"""What is outstanding: how many vouchers there were in each status at a moment, and who pays for them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.money import allocate
from kaquan.promotions import FunderKind
from kaquan.vouchers import store
from kaquan.vouchers.templates import load_all_templates
from kaquan.vouchers.types import OUTSTANDING, LiabilityRow, Template, VoucherEvent, VoucherStatus

Issued = tuple[UUID, int, int]
Move = tuple[UUID, VoucherEvent, VoucherStatus, VoucherStatus, int, int, int]


class FundedRow(NamedTuple):
    """What one who pays owes for the vouchers of a template, in minor units: at most what is ``outstanding_fen`` more,
    ``redeemed_fen`` and ``loaded_fen`` already."""

    funder_kind: FunderKind
    party_id: UUID | None
    district: str | None
    template_id: UUID
    currency: str
    outstanding_count: int
    outstanding_fen: int
    redeemed_count: int
    redeemed_fen: int
    loaded_count: int
    loaded_fen: int
    expired_count: int
    expired_fen: int
    cancelled_count: int
    cancelled_fen: int


def sum_up(issued: Iterable[Issued], moved: Iterable[Move]) -> list[LiabilityRow]:
    """Every voucher was issued, and each event took it from one status to another: what is left in each.

    A lock is no event: what a payment has locked is held.
    """
    counts: dict[tuple[UUID, VoucherStatus], list[int]] = defaultdict(lambda: [0, 0, 0])
    for template_id, count, face_fen in issued:
        counts[template_id, VoucherStatus.ISSUED][0] += count
        counts[template_id, VoucherStatus.ISSUED][1] += face_fen
    for template_id, kind, was, is_, count, face_fen, amount_fen in moved:
        for status, sign in ((was, -1), (is_, 1)):
            counts[template_id, status][0] += sign * count
            counts[template_id, status][1] += sign * face_fen
        if kind is VoucherEvent.REDEEMED:
            counts[template_id, VoucherStatus.REDEEMED][2] += amount_fen
        elif kind in (VoucherEvent.RETURNED, VoucherEvent.PART_RETURNED):
            counts[template_id, VoucherStatus.REDEEMED][2] -= amount_fen
    return [
        LiabilityRow(template_id, status, *numbers)
        for (template_id, status), numbers in sorted(counts.items(), key=lambda one: (one[0][0].int, one[0][1]))
        if any(numbers)
    ]


def split_by_funder(rows: Sequence[LiabilityRow], templates: dict[UUID, Template]) -> list[FundedRow]:
    """The same for each who pays, by their shares; a fen that is left is the first one's with the largest fraction."""
    by_template: dict[UUID, dict[VoucherStatus, LiabilityRow]] = defaultdict(dict)
    for row in rows:
        by_template[row.template_id][row.status] = row
    split: list[FundedRow] = []
    for template_id, found in by_template.items():
        template = templates[template_id]
        shares = [funder.share_bp for funder in template.funders]

        def of(*statuses: VoucherStatus, found: dict[VoucherStatus, LiabilityRow] = found) -> tuple[int, int]:
            some = [found[status] for status in statuses if status in found]
            return sum(row.voucher_count for row in some), sum(row.face_fen for row in some)

        outstanding, loaded = of(*OUTSTANDING), of(VoucherStatus.LOADED)
        expired, cancelled = of(VoucherStatus.EXPIRED), of(VoucherStatus.CANCELLED)
        redeemed = found.get(VoucherStatus.REDEEMED)
        redeemed_fen = 0 if redeemed is None else redeemed.redeemed_fen
        parts = [
            allocate(total, shares) for total in (outstanding[1], redeemed_fen, loaded[1], expired[1], cancelled[1])
        ]
        for funder, *amounts in zip(template.funders, *parts, strict=True):
            split.append(
                FundedRow(
                    funder.kind, funder.party_id, template.district, template_id, template.currency,
                    outstanding[0], amounts[0], 0 if redeemed is None else redeemed.voucher_count, amounts[1],
                    loaded[0], amounts[2], expired[0], amounts[3], cancelled[0], amounts[4],
                )
            )  # fmt: skip
    return split


async def report_liability(pool: Pool, *, book_id: int, slots: Sequence[int], at: datetime) -> list[LiabilityRow]:
    """How many vouchers of each template there were in each status at a moment, and their face value."""
    issued: list[Issued] = []
    moved: list[Move] = []
    for slot in slots:
        issued += await store.load_issued_by(pool, book_id=book_id, slot=slot, at=at)
        moved += await store.load_moved_by(pool, book_id=book_id, slot=slot, at=at)
    return sum_up(issued, moved)


async def report_funding(pool: Pool, *, book_id: int, slots: Sequence[int], at: datetime) -> list[FundedRow]:
    """The same for each who pays and each district."""
    rows = await report_liability(pool, book_id=book_id, slots=slots, at=at)
    return split_by_funder(rows, await load_all_templates(pool, book_id=book_id))
