"""``/v1/quotes``"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, post
from litestar.response import Response

from kaquan import vouchers
from kaquan.cards import UNUSABLE, get_card
from kaquan.doors.http.answers import answer
from kaquan.doors.http.fields import AmountFen, CardId, TerminalId, uuid_of
from kaquan.doors.http.offers import (
    Lines,
    OutsideDiscounts,
    PricingView,
    Vouchers,
    basket_lines,
    outside_offers,
    pricing_view,
    vouchers_of,
)
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, OUTCOMES, Refusal
from kaquan.parties import Scope
from kaquan.parties.outcomes import STORE_OUT_OF_SCOPE
from kaquan.parties.staff import may_act_at
from kaquan.payments import Quote, Spend, check_basket
from kaquan.payments import outcomes as refused
from kaquan.promotions import Skipped
from kaquan.vouchers import VoucherSearch, VoucherStatus

MAX_TRIED = 50
"""How many of the holder's vouchers are tried."""


class QuotedPurchase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase that is not made. With ``try_vouchers`` every voucher that the holder has is tried."""

    card_id: CardId
    terminal_id: TerminalId
    amount_fen: AmountFen
    lines: Lines | None = None
    vouchers: Vouchers | None = None
    outside_offers: OutsideDiscounts | None = None
    try_vouchers: bool = False


class WhyView(msgspec.Struct, frozen=True):
    """Why something does not apply: a code, with a sentence in both languages."""

    code: str
    detail: str
    detail_zh: str


class SkippedOfferView(msgspec.Struct, frozen=True):
    """An offer that does not apply."""

    offer: str
    campaign_id: str | None
    voucher_id: str | None
    why: WhyView


class VoucherTriedView(msgspec.Struct, frozen=True):
    """A voucher of the holder: what it takes off here, or why it cannot be redeemed."""

    voucher_id: str
    template_id: str
    name: str
    discount_fen: int
    why: WhyView | None


class PurchaseQuoteView(msgspec.Struct, frozen=True):
    """What a purchase would cost at this moment. ``available_fen`` is what the card holds."""

    pricing: PricingView
    available_fen: int
    skipped: list[SkippedOfferView]
    vouchers: list[VoucherTriedView]


def show_quote(quote: Quote) -> PurchaseQuoteView:
    return PurchaseQuoteView(
        pricing_view(quote.kept),
        quote.available_fen,
        [_show_skipped(one) for one in quote.skipped],
        [
            VoucherTriedView(
                show_id(Prefix.VOUCHER, one.voucher_id),
                show_id(Prefix.VOUCHER_TEMPLATE, one.template_id),
                one.name,
                one.discount_fen,
                None if one.why is None else _show_why(one.why),
            )
            for one in quote.vouchers
        ],
    )


def _show_why(why: Refusal) -> WhyView:
    return WhyView(why.code, why.message("en"), why.message("zh"))


def _show_skipped(one: Skipped) -> SkippedOfferView:
    why = OUTCOMES[one.why].refuse(None, **dict(one.detail))
    return SkippedOfferView(
        one.offer,
        None if one.voucher_id is not None else show_id(Prefix.CAMPAIGN, one.campaign_id),
        None if one.voucher_id is None else show_id(Prefix.VOUCHER, one.voucher_id),
        _show_why(why),
    )


class QuoteController(Controller):
    path = "/v1/quotes"
    tags = ("payments",)

    @post(
        **operation(
            Scope.PAYMENTS_READ,
            body=QuotedPurchase,
            answer=PurchaseQuoteView,
            refusals=[
                NOT_FOUND,
                STORE_OUT_OF_SCOPE,
                TOO_MANY_WRONG_ANSWERS,
                *UNUSABLE.values(),
                refused.TERMINAL_BLOCKED,
                refused.NOT_ACCEPTED_HERE,
            ],
        )
    )
    async def quote_purchase(self, request: ApiRequest) -> Response[bytes]:
        """Tell what a purchase would cost, which offers apply and why others do not; nothing is written."""
        asked = await read_body(request, QuotedPurchase)
        app, principal = app_of(request), request.user
        await app.directory.catch_up()
        place = app.directory.book(principal.book_id).places.get(uuid_of(asked.terminal_id))
        if place is None:
            return problem_response(NOT_FOUND.refuse("terminal_id", what="terminal"))
        if (outside := may_act_at(principal, place.store_id)) is not None:
            return problem_response(outside)
        card = await get_card(app.pool, book_id=principal.book_id, slots=app.slots, card_id=uuid_of(asked.card_id))
        if isinstance(card, Refusal):
            return problem_response(NOT_FOUND.refuse("card_id", what="card"))
        named = () if asked.vouchers is None else await vouchers_of(app, principal, asked.vouchers)
        if isinstance(named, Refusal):
            return problem_response(named)
        spend = Spend(
            card.id,
            asked.amount_fen,
            place,
            lines=basket_lines(asked.lines),
            voucher_ids=named,
            outside=outside_offers(asked.outside_offers),
        )
        if (wrong := check_basket(spend)) is not None:
            return problem_response(wrong)
        held = await _held(app, principal.book_id, [card.id, card.customer_id]) if asked.try_vouchers else []
        return answer(await app.desk.quote(principal.book_id, spend, held=held), show_quote)


async def _held(app: Any, book_id: int, holders: list[UUID | None]) -> list[UUID]:
    """The vouchers that these have, the newest first."""
    found: list[UUID] = []
    for holder_id in holders:
        if holder_id is not None:
            search = VoucherSearch(limit=MAX_TRIED, holder_id=holder_id, status=VoucherStatus.HELD)
            page = await vouchers.list_vouchers(app.pool, book_id=book_id, slots=app.slots, search=search)
            found += [voucher.id for voucher in page.data]
    return found[:MAX_TRIED]
