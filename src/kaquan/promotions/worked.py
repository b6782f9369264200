"""Baskets and top-ups for the worked examples of the kinds: what is not told makes no difference there."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kind import Effects, Seen, SeenLoad, find_kinds
from kaquan.promotions.types import Holder, Line, LoadFacts

_SOMEBODY = UUID(int=1)


def basket(*amounts: int, pieces: tuple[int, ...] = ()) -> Seen:
    """Goods at these prices, a line each; ``pieces`` where a line is of more than one."""
    lines = [
        Line(number, f"sku-{number}", frozenset(), pieces[number - 1] if pieces else 1, amount_fen)
        for number, amount_fen in enumerate(amounts, start=1)
    ]
    return Seen(lines, amounts, sum(amounts))


def top_up(amount_fen: int, *, draw: int = 0, is_first: bool = False, invited_by: UUID | None = None) -> SeenLoad:
    """A top-up on the morning of 31 January 2026."""
    return SeenLoad(
        LoadFacts(
            transaction_id=_SOMEBODY,
            local=datetime.fromisoformat("2026-01-31T09:30"),
            programme_id=_SOMEBODY,
            amount_fen=amount_fen,
            holder=Holder(_SOMEBODY),
            is_first=is_first,
            invited_by=invited_by,
        ),
        draw,
    )


def effects(params: msgspec.Struct, seen: Seen | SeenLoad) -> Effects:
    """What an offer with these parameters gives."""
    kind: Any = next(kind for kind in find_kinds().values() if kind.params is type(params))
    found: Effects = kind.effects(params, seen)
    return found


def off(params: msgspec.Struct, seen: Seen | SeenLoad) -> int:
    """The discount alone."""
    return effects(params, seen).off_fen


def voucher(face_fen: int, count: int = 1) -> VoucherGift:
    """Vouchers of some template, valid for 30 days."""
    return VoucherGift(template_id=_SOMEBODY, face_fen=face_fen, valid_days=30, count=count)
