"""Baskets, vouchers and offers in the bodies and answers of payments."""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kaquan.doors.http.callers import caller_of_key
from kaquan.doors.http.fields import Name
from kaquan.kit.ids import Prefix, read_id, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.parties import Principal
from kaquan.payments import Kept, KeptPart
from kaquan.promotions import FunderKind, Grant, GrantKind, Line, OutsideOffer
from kaquan.vouchers import find_by_code

if TYPE_CHECKING:
    from kaquan.app import App

MAX_LINES = 500
MAX_VOUCHERS = 20

_Tag = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{0,64}$(?!\n)",
        description="up to 64 characters, no control characters",
        extra={"zh": "最多 64 个字符，不含控制字符"},
    ),
]
VoucherName = Annotated[
    str,
    Meta(
        pattern=r"^[!-~][ -~]{0,62}[!-~]$(?!\n)",
        description="the id of a voucher (vou_…) or its code",
        extra={"zh": "券编号（vou_…）或券码"},
    ),
]


class BasketLine(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A line of the basket before every offer. ``quantity`` is in pieces; ``amount_fen`` is the whole line."""

    number: Annotated[int, Meta(ge=1, le=9_999)]
    amount_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)]
    sku: _Tag = ""
    categories: Annotated[list[_Tag], Meta(max_length=50)] = []
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class OutsideDiscount(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A discount that the store or a bank gives already. Of its ``group`` no other offer applies."""

    name: Name
    amount_fen: Annotated[int, Meta(ge=1, le=MAX_FEN)]
    group: _Tag = ""


Lines = Annotated[list[BasketLine], Meta(min_length=1, max_length=MAX_LINES)]
Vouchers = Annotated[list[VoucherName], Meta(min_length=1, max_length=MAX_VOUCHERS)]
OutsideDiscounts = Annotated[list[OutsideDiscount], Meta(min_length=1, max_length=20)]


class ReturnedLine(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How much of a line of the payment came back, at list price."""

    number: Annotated[int, Meta(ge=1, le=9_999)]
    amount_fen: Annotated[int, Meta(ge=1, le=MAX_FEN)]


ReturnedLines = Annotated[list[ReturnedLine], Meta(min_length=1, max_length=MAX_LINES)]


class DiscountShareView(msgspec.Struct, frozen=True):
    """What one party pays of a discount; ``party_id`` names one that is neither the issuer nor the merchant."""

    kind: Literal["issuer", "merchant", "party"]
    party_id: str | None
    amount_fen: int


class AppliedOfferView(msgspec.Struct, frozen=True):
    """An offer that applied: one of a campaign, or the effect of a voucher."""

    offer: str
    campaign_id: str | None
    version: int
    voucher_id: str | None
    discount_fen: int
    funders: list[DiscountShareView]


class GrantedView(msgspec.Struct, frozen=True):
    """What is given beside the price; ``due_on``: in instalments."""

    offer: str
    campaign_id: str
    kind: GrantKind
    amount_fen: int
    template_id: str | None
    count: int
    due_on: list[date]


class PricedLineView(msgspec.Struct, frozen=True):
    """A line at list price, and what card and points pay of it."""

    number: int
    amount_fen: int
    payable_fen: int


class PricingView(msgspec.Struct, frozen=True):
    """How a payment was priced; of a refund: what of that came back. ``amount_fen`` less ``outside_fen``,
    ``discount_fen`` and ``points_fen`` is what the card pays."""

    amount_fen: int
    outside_fen: int
    discount_fen: int
    points: int
    """How many points paid ``points_fen``, or came back."""
    points_fen: int
    payable_fen: int
    lines: list[PricedLineView]
    offers: list[AppliedOfferView]
    grants: list[GrantedView]


async def vouchers_of(app: "App", principal: Principal, named: Iterable[str]) -> tuple[UUID, ...] | Refusal:
    """The vouchers that are named by their ids or codes. A wrong code is counted like a wrong card number.

    Refused: ``not_found``, ``too_many_wrong_answers``.
    """
    found: list[UUID] = []
    for name in named:
        voucher_id = read_id(Prefix.VOUCHER, name)
        if voucher_id is None:
            caller = caller_of_key(principal)
            if (waits := app.guesses.must_wait(caller)) is not None:
                return waits
            voucher = await find_by_code(app.pool, app.keyring, book_id=principal.book_id, slots=app.slots, code=name)
            if isinstance(voucher, Refusal):
                return await app.guesses.note_failure(caller) or NOT_FOUND.refuse("vouchers", what="voucher")
            voucher_id = voucher.id
        found.append(voucher_id)
    return tuple(found)


def basket_lines(lines: Iterable[BasketLine] | None) -> tuple[Line, ...]:
    """The lines of a basket as they are priced."""
    return tuple(
        Line(line.number, line.sku, frozenset(line.categories), line.quantity, line.amount_fen) for line in lines or ()
    )


def outside_offers(outside: Iterable[OutsideDiscount] | None) -> tuple[OutsideOffer, ...]:
    """Discounts from outside as they are priced."""
    return tuple(OutsideOffer(one.name, one.group, one.amount_fen) for one in outside or ())


def pricing_view(kept: Kept, part: KeptPart | None = None) -> PricingView:
    """How a payment was priced, or the part of that which a refund gave back."""
    shares = dict(enumerate(share.amount_fen for share in kept.shares)) if part is None else dict(part.shares)
    lines = [
        (line.number, line.amount_fen, outside_fen)
        for line, outside_fen in zip(kept.lines, kept.outside_fen, strict=True)
    ]
    if part is not None:
        lines = list(part.lines)
    grants = [(grant, grant.amount_fen, grant.count) for grant in kept.grants]
    if part is not None:
        grants = [(kept.grants[at], amount_fen, count) for at, amount_fen, count in part.grants]
    off: dict[int, int] = {}
    for at, amount_fen in shares.items():
        number = kept.shares[at].line
        off[number] = off.get(number, 0) + amount_fen
    amount_fen = sum(line[1] for line in lines)
    outside_fen, discount_fen = sum(line[2] for line in lines), sum(shares.values())
    points, points_fen = (0, 0) if kept.tender is None else (kept.tender.points, kept.tender.amount_fen)
    if part is not None:
        points, points_fen = part.points, part.points_fen
    return PricingView(
        amount_fen,
        outside_fen,
        discount_fen,
        points,
        points_fen,
        amount_fen - outside_fen - discount_fen - points_fen,
        [PricedLineView(number, fen, fen - outside - off.get(number, 0)) for number, fen, outside in lines],
        _offers(kept, shares),
        [_grant(grant, fen, count) for grant, fen, count in grants],
    )


def _offers(kept: Kept, shares: dict[int, int]) -> list[AppliedOfferView]:
    views = []
    for one in kept.applied:
        funders: dict[tuple[FunderKind, str | None], int] = {}
        for at, amount_fen in shares.items():
            share = kept.shares[at]
            if (share.campaign_id, share.offer, share.voucher_id) == (one.campaign_id, one.offer, one.voucher_id):
                party_id = share.funder.party_id
                name = (share.funder.kind, None if party_id is None else show_id(Prefix.FUNDER, party_id))
                funders[name] = funders.get(name, 0) + amount_fen
        views.append(
            AppliedOfferView(
                one.offer,
                None if one.voucher_id is not None else show_id(Prefix.CAMPAIGN, one.campaign_id),
                one.version,
                None if one.voucher_id is None else show_id(Prefix.VOUCHER, one.voucher_id),
                sum(funders.values()),
                [DiscountShareView(kind.value, party, amount_fen) for (kind, party), amount_fen in funders.items()],
            )
        )
    return views


def _grant(grant: Grant, amount_fen: int, count: int) -> GrantedView:
    return GrantedView(
        grant.offer,
        show_id(Prefix.CAMPAIGN, grant.campaign_id),
        grant.kind,
        amount_fen,
        None if grant.template_id is None else show_id(Prefix.VOUCHER_TEMPLATE, grant.template_id),
        count,
        list(grant.due_on),
    )
