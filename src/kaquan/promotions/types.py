"""What an offer looks at and what it gives. All frozen; amounts in minor units of the card's currency.

A *campaign* owns offers and budgets; an *offer* is one rule of a kind (``promotions/kinds/``) with its parameters. A
campaign is *compiled* when it goes live; :func:`kaquan.promotions.price_basket` prices a basket with compiled
campaigns: live, in a preview, in a replay, in shadow mode and in the audit, always the same function.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from kaquan.promotions.compile import CompiledOffer


class Line(NamedTuple):
    """A line of a basket as the till knows it, before every offer."""

    number: int
    """The till's own, from 1, each once."""
    sku: str
    """The product; empty: not told."""
    categories: frozenset[str]
    """Every category that the product is in, of the till's own tree; empty: not told."""
    quantity: int
    """Pieces, at least 1; goods sold by weight are one piece."""
    amount_fen: int
    """The whole line at list price, 0 or more."""


class Holder(NamedTuple):
    """Who pays, as far as offers may look. A holder is a person if the card is registered, else the card."""

    card_id: UUID
    customer_id: UUID | None = None
    birthday: tuple[int, int] | None = None
    """Month and day."""
    segments: frozenset[str] = frozenset()
    tier: str | None = None
    bought_before: bool = True
    """Whether there was a purchase with this card (of this person) before; told only where an offer asks."""
    collects: bool = True
    """Whether the programme of the card gives points: offers of points are for those that do."""

    @property
    def id(self) -> UUID:
        """Whose counters and whose control group it is."""
        return self.customer_id or self.card_id


class OutsideOffer(NamedTuple):
    """A discount that the store or a bank gives already: handed in with the basket, it counts in the stacking."""

    name: str
    group: str
    """The exclusivity group that it is in; empty: none."""
    amount_fen: int


class VoucherInHand(NamedTuple):
    """A voucher that the holder wants to redeem, as the vouchers room knows it. Its effect is an offer's."""

    voucher_id: UUID
    template_id: UUID
    offer: "CompiledOffer"


class Basket(NamedTuple):
    """What is priced. The same for a live purchase, a preview and a replay."""

    transaction_id: UUID
    """Seeds what is random, so that a replay draws the same."""
    local: datetime
    """When, in the issuer's zone (naive: the wall clock that the offer's hours are meant by)."""
    programme_id: UUID
    merchant_id: UUID
    store_id: UUID
    trade: str | None
    district: str | None
    lines: tuple[Line, ...]
    holder: Holder
    vouchers: tuple[VoucherInHand, ...] = ()
    outside: tuple[OutsideOffer, ...] = ()

    @property
    def amount_fen(self) -> int:
        """The sum of the lines at list price."""
        return sum(line.amount_fen for line in self.lines)


class LoadFacts(NamedTuple):
    """A top-up that is priced: what is put onto a card, and what somebody pays for it."""

    transaction_id: UUID
    """Seeds what is random, so that a replay draws the same."""
    local: datetime
    """When, in the issuer's zone, as of :class:`Basket`."""
    programme_id: UUID
    amount_fen: int
    """What the card gets for the payment, before every offer."""
    holder: Holder
    merchant_id: UUID | None = None
    store_id: UUID | None = None
    trade: str | None = None
    district: str | None = None
    is_first: bool = False
    """Whether the card (the person) was never loaded before."""
    invited_by: UUID | None = None
    """The card of whoever invited the holder."""


class OnReturn(StrEnum):
    """What becomes of an offer when goods are brought back."""

    SHARE = "share"
    """The part comes back that was given for these goods; the rest stays, even below the threshold."""
    THRESHOLD = "threshold"
    """The goods that are kept are priced again: what they would not have earned comes back too."""
    KEEP = "keep"
    """What was granted stays with the holder. A discount cannot be kept: it comes back as with ``share``."""


class BudgetReturn(StrEnum):
    """What a refund, a void or an expired authorization gives back of a use."""

    WHOLE = "whole"
    """Nothing for a part; all of it when everything came back."""
    SHARE = "share"
    """Of an amount what came back of discounts and grants, part by part; the payment itself counts until everything
    came back."""
    KEEP = "keep"
    """Nothing, ever: what was used once stays used."""


class FunderKind(StrEnum):
    """Who pays for a discount."""

    ISSUER = "issuer"
    MERCHANT = "merchant"
    """The merchant where the purchase is."""
    PARTY = "party"
    """Somebody outside: a bank, a supplier, a government; named by ``party_id``."""


class Funder(NamedTuple):
    """One who pays, with the share of each discount in basis points; the shares of an offer sum to 10,000."""

    kind: FunderKind
    party_id: UUID | None
    share_bp: int


class Share(NamedTuple):
    """What one funder pays of one offer's discount on one line. These are what is kept for refunds."""

    line: int
    campaign_id: UUID
    offer: str
    """The name of the offer in its campaign."""
    voucher_id: UUID | None
    funder: Funder
    amount_fen: int


class GrantKind(StrEnum):
    """What an offer gives beside a discount."""

    VOUCHERS = "vouchers"
    BONUS = "bonus"
    """Value to the card's bonus pocket (top-ups)."""
    POINTS = "points"


class Grant(NamedTuple):
    """Something that an offer gives after the payment; posted or issued with it, taken back with its refund."""

    campaign_id: UUID
    offer: str
    kind: GrantKind
    amount_fen: int
    """The bonus; for points: points; for vouchers: their face value together."""
    template_id: UUID | None = None
    """Of the vouchers."""
    count: int = 1  # type: ignore[assignment]  # a tuple's method, which nobody asks a grant for
    due_on: tuple[date, ...] = ()
    """When it is given, in instalments of equal parts (the remainder in the first); empty: at once."""
    funders: tuple[Funder, ...] = ()
    card_id: UUID | None = None
    """Whose card gets it; None: the card of the payment."""
    on_return: OnReturn = OnReturn.SHARE


class BudgetUse(NamedTuple):
    """What a payment counts in one budget. The payments room counts it with its limits, under the same lock."""

    budget_id: UUID
    campaign_id: UUID
    subject_id: UUID | None
    """Whose part of the budget (a holder, a store …); None: all together."""
    period: str
    """``total``, ``day``, ``month`` or ``year``."""
    amount_fen: int
    max_fen: int | None
    max_count: int | None
    is_of_holder: bool = False
    """Whether ``subject_id`` is a holder or a card: nobody else uses this part of the budget."""
    on_return: BudgetReturn = BudgetReturn.WHOLE


class Applied(NamedTuple):
    """An offer that had an effect."""

    campaign_id: UUID
    version: int
    offer: str
    voucher_id: UUID | None
    discount_fen: int
    on_return: OnReturn = OnReturn.SHARE


class Skipped(NamedTuple):
    """An offer that had none, and why: a code of ``promotions/outcomes.py`` (``why``) with what it names."""

    campaign_id: UUID
    offer: str
    voucher_id: UUID | None
    why: str
    detail: tuple[tuple[str, object], ...] = ()


class Pricing(NamedTuple):
    """What a basket costs. ``amount_fen`` − ``discount_fen`` (with the outside offers) is what is paid."""

    amount_fen: int
    discount_fen: int
    """Ours: the sum of the shares. Outside offers are not in it."""
    payable_fen: int
    shares: tuple[Share, ...]
    applied: tuple[Applied, ...]
    grants: tuple[Grant, ...]
    uses: tuple[BudgetUse, ...]
    skipped: tuple[Skipped, ...] = ()
    """Told only where it was asked for (``explain=True``)."""
    held_back: tuple[UUID, ...] = ()
    """Campaigns that would have applied, were the holder not in their control group."""


class LoadPricing(NamedTuple):
    """What a top-up costs and brings. ``payable_fen`` is paid for ``amount_fen`` on the card, grants come on top."""

    amount_fen: int
    discount_fen: int
    payable_fen: int
    shares: tuple[Share, ...]
    """Who pays for the discount; all of line 1."""
    applied: tuple[Applied, ...]
    grants: tuple[Grant, ...]
    uses: tuple[BudgetUse, ...]
    skipped: tuple[Skipped, ...] = ()
    held_back: tuple[UUID, ...] = ()
