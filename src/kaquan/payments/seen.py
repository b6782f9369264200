"""What a payment was priced by, kept for a moment where a draft runs beside live traffic (ADR 0036).

It is the facts of the pricing as they were: goods, holder, vouchers in hand, what others took off, which budgets left
no room; and what the payment got. The bytes are the JSON array of :class:`Seen`, in the order of its fields. The worker
prices them with the drafts and deletes them.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.payments.kept import Kept
from kaquan.payments.price import Priced
from kaquan.promotions import (
    Applied,
    Basket,
    CompiledCampaigns,
    Grant,
    GrantKind,
    Holder,
    Line,
    LoadFacts,
    OutsideOffer,
    VoucherInHand,
)


class SeenVoucher(NamedTuple):
    """A voucher that was in hand."""

    id: UUID
    template_id: UUID


class Gave(NamedTuple):
    """What one campaign (or voucher template) gives: discounts, bonuses and the face value of vouchers."""

    campaign_id: UUID
    amount_fen: int


class Seen(NamedTuple):
    """A basket or a top-up as it was priced."""

    issuer_id: UUID
    is_load: bool
    local: datetime
    programme_id: UUID
    merchant_id: UUID | None
    store_id: UUID | None
    trade: str | None
    district: str | None
    lines: tuple[Line, ...]
    holder: Holder
    vouchers: tuple[SeenVoucher, ...]
    outside: tuple[OutsideOffer, ...]
    exhausted: tuple[UUID, ...]
    """Budgets that left no room for it."""
    gave: tuple[Gave, ...]
    """What it got."""
    is_first: bool = False
    invited_by: UUID | None = None
    is_sold: bool = False
    """Of a top-up: its price was agreed to before."""

    @property
    def amount_fen(self) -> int:
        """Before every offer."""
        return sum(line.amount_fen for line in self.lines)

    def basket(self, transaction_id: UUID, vouchers: tuple[VoucherInHand, ...]) -> Basket:
        """The purchase, to be priced again."""
        assert self.merchant_id is not None
        assert self.store_id is not None, "what is spent is spent at a store"
        return Basket(
            transaction_id, self.local, self.programme_id, self.merchant_id, self.store_id, self.trade, self.district,
            self.lines, self.holder, vouchers, self.outside,
        )  # fmt: skip

    def load(self, transaction_id: UUID) -> LoadFacts:
        """The top-up, to be priced again."""
        return LoadFacts(
            transaction_id, self.local, self.programme_id, self.amount_fen, self.holder, self.merchant_id,
            self.store_id, self.trade, self.district, self.is_first, self.invited_by,
        )  # fmt: skip


def see_basket(
    basket: Basket, priced: Priced | None, *, issuer_id: UUID, drafts: CompiledCampaigns, exhausted: frozenset[UUID]
) -> bytes:
    """The bytes of a purchase as it was priced beside ``drafts``."""
    return _encode(
        Seen(
            issuer_id,
            False,
            basket.local,
            basket.programme_id,
            basket.merchant_id,
            basket.store_id,
            basket.trade,
            basket.district,
            basket.lines,
            _needed(basket.holder, drafts),
            tuple(SeenVoucher(one.voucher_id, one.template_id) for one in basket.vouchers),
            basket.outside,
            tuple(sorted(exhausted)),
            gave_of(None if priced is None else priced.kept),
        )
    )


def see_load(
    load: LoadFacts,
    priced: Priced | None,
    *,
    issuer_id: UUID,
    drafts: CompiledCampaigns,
    exhausted: frozenset[UUID],
    is_sold: bool,
) -> bytes:
    """The bytes of a top-up as it was priced beside ``drafts``."""
    return _encode(
        Seen(
            issuer_id,
            True,
            load.local,
            load.programme_id,
            load.merchant_id,
            load.store_id,
            load.trade,
            load.district,
            (Line(1, "", frozenset(), 1, load.amount_fen),),
            _needed(load.holder, drafts),
            (),
            (),
            tuple(sorted(exhausted)),
            gave_of(None if priced is None else priced.kept),
            load.is_first,
            load.invited_by,
            is_sold,
        )
    )


def _needed(holder: Holder, drafts: CompiledCampaigns) -> Holder:
    """The holder without a birthday that nobody asks for."""
    asked = any(one.conditions.birthday is not None for one in drafts.offers)
    return holder if asked else holder._replace(birthday=None)


def gave_of(kept: Kept | None) -> tuple[Gave, ...]:
    """What a payment got, campaign by campaign."""
    return () if kept is None else sum_given(kept.applied, kept.grants)


def sum_given(applied: tuple[Applied, ...], grants: tuple[Grant, ...]) -> tuple[Gave, ...]:
    """What offers give, campaign by campaign. Points are no money."""
    given: dict[UUID, int] = {}
    for one in applied:
        given[one.campaign_id] = given.get(one.campaign_id, 0) + one.discount_fen
    for grant in grants:
        if grant.kind is not GrantKind.POINTS:
            given[grant.campaign_id] = given.get(grant.campaign_id, 0) + grant.amount_fen
    return tuple(Gave(*item) for item in given.items())


def read_seen(seen: bytes) -> Seen:
    """What :func:`see_basket` or :func:`see_load` wrote."""
    return _decode(seen)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seen).decode
