"""How a payment was priced, as it is kept with it for refunds, receipts, replays and audits.

The bytes are a JSON array in UTF-8 without spaces, whose SHA-256 is in the leaf of the transaction:

    ["kaquan-pricing/1",
     [[number, sku, [category, …], quantity, amount_fen, outside_fen], …],
     [[campaign, version, offer, voucher, on_return, discount_fen], …],
     [[line, offer, funder, party, share_bp, amount_fen], …],
     [[campaign, offer, kind, amount_fen, template, count, [due, …], [[funder, party, share_bp], …], card,
       on_return], …],
     [[budget, key, amount_fen, day, month, year, shared, on_return, campaign], …],
     [points, amount_fen, [[lot, points], …]]]

That is lines, offers that applied, shares, grants, uses of budgets, and what points paid (null: nothing). ``offer`` of
a share is a position in the second list; a use whose ``on_return`` is ``whole`` ends before it. A capture, a void or a
refund of such a payment keeps its part of it:

    ["kaquan-pricing-part/1", what, [[line, amount_fen, outside_fen], …], [[share, amount_fen], …],
     [[grant, amount_fen, count], …], gives_back, points_fen, points]

``share`` and ``grant`` are positions in the lists of the payment; ``gives_back``: all that was spent of it came
back, and with that its uses, as far as their ``on_return`` says so.
Ids are 32 lower-case hexadecimal digits, days are YYYY-MM-DD, what is missing is null.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.payments.limits import Maxima, Use
from kaquan.promotions import Applied, BudgetReturn, Funder, FunderKind, Grant, GrantKind, Line, OnReturn, Share

FORMAT = "kaquan-pricing/1"
PART_FORMAT = "kaquan-pricing-part/1"


class KeptUse(NamedTuple):
    """What a payment counted in a budget, and what returns give back of that. ``campaign_id`` is the budget's; None:
    nobody asks."""

    budget_id: UUID
    use: Use
    on_return: BudgetReturn = BudgetReturn.WHOLE
    campaign_id: UUID | None = None


class KeptTender(NamedTuple):
    """What points paid, out of which lots."""

    points: int
    amount_fen: int
    parts: tuple[tuple[int, int], ...]


class Kept(NamedTuple):
    """How a payment was priced. ``outside_fen`` is what the store or a bank took off, line by line."""

    lines: tuple[Line, ...]
    outside_fen: tuple[int, ...]
    applied: tuple[Applied, ...]
    shares: tuple[Share, ...]
    grants: tuple[Grant, ...]
    uses: tuple[KeptUse, ...]
    tender: KeptTender | None = None

    @property
    def points_fen(self) -> int:
        """What points pay of it."""
        return 0 if self.tender is None else self.tender.amount_fen

    @property
    def amount_fen(self) -> int:
        """All of it at list price."""
        return sum(line.amount_fen for line in self.lines)

    @property
    def discount_fen(self) -> int:
        """What funders pay of it."""
        return sum(share.amount_fen for share in self.shares)


class PartKind(StrEnum):
    """What a later transaction did with a part of a priced payment."""

    CAPTURE = "capture"
    """It became a spend."""
    VOID = "void"
    """It never will."""
    REFUND = "refund"
    """It was given back."""


class KeptPart(NamedTuple):
    """What a capture took, or a void or refund gave back, of the lines, shares and grants of a payment."""

    what: PartKind
    lines: tuple[tuple[int, int, int], ...]
    """By number: how much of the line at list price, and of what was taken off outside."""
    shares: tuple[tuple[int, int], ...]
    """By position."""
    grants: tuple[tuple[int, int, int], ...]
    """By position: how much, and how many vouchers."""
    gives_back: bool
    """All that was spent of the payment came back: its uses of budgets are not counted any more, save those to keep."""
    points_fen: int = 0
    """What comes back of what points paid."""
    points: int = 0


_encode = msgspec.json.Encoder().encode


def _hex(value: UUID | None) -> str | None:
    return None if value is None else value.hex


def write_kept(kept: Kept) -> bytes:
    """The bytes that are kept of a pricing."""
    positions = {(one.campaign_id, one.offer, one.voucher_id): at for at, one in enumerate(kept.applied)}
    return _encode(
        (
            FORMAT,
            [
                (line.number, line.sku, sorted(line.categories), line.quantity, line.amount_fen, outside_fen)
                for line, outside_fen in zip(kept.lines, kept.outside_fen, strict=True)
            ],
            [
                (one.campaign_id.hex, one.version, one.offer, _hex(one.voucher_id), one.on_return, one.discount_fen)
                for one in kept.applied
            ],
            [
                (line, positions[campaign_id, offer, voucher_id], *_funder(funder), amount_fen)
                for line, campaign_id, offer, voucher_id, funder, amount_fen in kept.shares
            ],
            [
                (
                    one.campaign_id.hex, one.offer, one.kind, one.amount_fen, _hex(one.template_id), one.count,
                    [day.isoformat() for day in one.due_on], [_funder(funder) for funder in one.funders],
                    _hex(one.card_id), one.on_return,
                )
                for one in kept.grants
            ],
            [_use(one) for one in kept.uses],
            kept.tender,
        )
    )  # fmt: skip


def _use(one: KeptUse) -> tuple[object, ...]:
    use = one.use
    told = (one.budget_id.hex, use.key.hex, use.amount_fen, use.day, use.month, use.year, use.is_shared)
    return told if one.on_return is BudgetReturn.WHOLE else (*told, one.on_return, _hex(one.campaign_id))


def _funder(funder: Funder) -> tuple[str, str | None, int]:
    return funder.kind, _hex(funder.party_id), funder.share_bp


def read_kept(kept: bytes) -> Kept:
    """What :func:`write_kept` wrote."""
    _, lines, applied, shares, grants, uses, tender = msgspec.json.decode(kept)
    offers = tuple(
        Applied(UUID(campaign), version, offer, _id(voucher), fen, OnReturn(on_return))
        for campaign, version, offer, voucher, on_return, fen in applied
    )
    return Kept(
        tuple(Line(number, sku, frozenset(within), pieces, fen) for number, sku, within, pieces, fen, _ in lines),
        tuple(line[-1] for line in lines),
        offers,
        tuple(
            Share(line, offers[at].campaign_id, offers[at].offer, offers[at].voucher_id, _read_funder(funder), fen)
            for line, at, *funder, fen in shares
        ),
        tuple(
            Grant(
                UUID(campaign), offer, GrantKind(kind), fen, _id(template), count,
                tuple(date.fromisoformat(day) for day in due), tuple(_read_funder(funder) for funder in funders),
                _id(card), OnReturn(on_return),
            )
            for campaign, offer, kind, fen, template, count, due, funders, card, on_return in grants
        ),
        tuple(
            KeptUse(UUID(budget), Use(UUID(key), fen, day, month, year, Maxima(), shared), *_read_return(*how))
            for budget, key, fen, day, month, year, shared, *how in uses
        ),
        None if tender is None else KeptTender(tender[0], tender[1], tuple((lot, n) for lot, n in tender[2])),
    )  # fmt: skip


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _read_return(on_return: str = BudgetReturn.WHOLE, campaign: str | None = None) -> tuple[BudgetReturn, UUID | None]:
    return BudgetReturn(on_return), _id(campaign)


def _read_funder(fields: Sequence[Any]) -> Funder:
    kind, party, share_bp = fields
    return Funder(FunderKind(kind), _id(party), share_bp)


def hash_kept(kept: bytes | None) -> bytes | None:
    """What of it is in the leaf of the transaction."""
    return None if kept is None else sha256(kept).digest()


def write_part(part: KeptPart) -> bytes:
    """The bytes that are kept of a part."""
    return _encode((PART_FORMAT, *part))


def read_part(kept: bytes) -> KeptPart:
    """What :func:`write_part` wrote."""
    _, what, lines, shares, grants, gives_back, points_fen, points = msgspec.json.decode(kept)
    return KeptPart(
        PartKind(what),
        tuple((number, fen, outside_fen) for number, fen, outside_fen in lines),
        tuple((at, fen) for at, fen in shares),
        tuple((at, fen, count) for at, fen, count in grants),
        gives_back,
        points_fen,
        points,
    )
