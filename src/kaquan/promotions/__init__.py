"""Floor 6: prices offers. Campaigns with their offers and budgets, and what a basket or a top-up costs with them.

Pricing is pure (:func:`price_basket`, :func:`price_load`): the caller says what is bought, by whom, where and when, and
gets back who pays for which fen of the discount on which line, what is granted beside, and which budgets it counts in.
What a refund takes back is as pure. Campaigns are compiled first (:func:`compile_campaigns`).

It posts nothing, counts no budget and knows no voucher's row: the rooms above do.
"""

from kaquan.promotions import kinds
from kaquan.promotions.compile import (
    EMPTY,
    CompiledBudget,
    CompiledCampaigns,
    CompiledOffer,
    compile_campaign,
    compile_campaigns,
    compile_offer,
)
from kaquan.promotions.kind import find_kinds
from kaquan.promotions.price import DAY_CAP_ID, price_basket, price_load
from kaquan.promotions.refund import (
    KeptLine,
    KeptPricing,
    RefundPricing,
    basket_left,
    keep_pricing,
    price_refund,
    price_refund_of,
)
from kaquan.promotions.terms import (
    Base,
    Birthday,
    Budget,
    BudgetMetric,
    BudgetPeriod,
    BudgetScope,
    Campaign,
    CampaignTerms,
    Conditions,
    Goods,
    Hours,
    Offer,
    Stacking,
    StackingPolicy,
)
from kaquan.promotions.types import (
    Applied,
    Basket,
    BudgetUse,
    Funder,
    FunderKind,
    Grant,
    GrantKind,
    Holder,
    Line,
    LoadFacts,
    LoadPricing,
    OnReturn,
    OutsideOffer,
    Pricing,
    Share,
    Skipped,
    VoucherInHand,
)

__all__ = [
    "DAY_CAP_ID",
    "EMPTY",
    "Applied",
    "Base",
    "Basket",
    "Birthday",
    "Budget",
    "BudgetMetric",
    "BudgetPeriod",
    "BudgetScope",
    "BudgetUse",
    "Campaign",
    "CampaignTerms",
    "CompiledBudget",
    "CompiledCampaigns",
    "CompiledOffer",
    "Conditions",
    "Funder",
    "FunderKind",
    "Goods",
    "Grant",
    "GrantKind",
    "Holder",
    "Hours",
    "KeptLine",
    "KeptPricing",
    "Line",
    "LoadFacts",
    "LoadPricing",
    "Offer",
    "OnReturn",
    "OutsideOffer",
    "Pricing",
    "RefundPricing",
    "Share",
    "Skipped",
    "Stacking",
    "StackingPolicy",
    "VoucherInHand",
    "basket_left",
    "compile_campaign",
    "compile_campaigns",
    "compile_offer",
    "find_kinds",
    "keep_pricing",
    "kinds",
    "price_basket",
    "price_load",
    "price_refund",
    "price_refund_of",
]
