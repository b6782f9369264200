"""Payments: spend at a terminal, capture and void what was set aside, refund, load.

Each verb is a pure planner over facts; the :class:`Desk` loads the facts of a batch, plans, posts and answers. This
room never reaches a network, never reads a clock in a decision, and writes only through the ledger's posting call.
"""

from kaquan.payments.benefits import create_benefit, take_benefit
from kaquan.payments.budget_report import (
    BudgetStanding,
    BudgetUser,
    list_budget_users,
    report_budgets,
)
from kaquan.payments.budgets import Used, budget_key
from kaquan.payments.costs import Cost, CostKind, report_costs, report_grants
from kaquan.payments.desk import LANES, Desk, Known
from kaquan.payments.history import History, check_size, read_baskets
from kaquan.payments.kept import Kept, KeptPart, PartKind, read_kept, read_part
from kaquan.payments.limit_book import (
    LimitBook,
    LimitSearch,
    LimitStatus,
    NewLimit,
    NewPlaceRule,
    create_limit,
    create_place_rule,
    end_limit,
    end_place_rule,
    get_limit,
    get_place_rule,
    list_limits,
    list_place_rules,
    list_standings,
)
from kaquan.payments.limits import Holder, Hours, Limit, LimitScope, Metric, Movement, Period, Standing
from kaquan.payments.measure import CampaignEffect, measure_effect
from kaquan.payments.places import PlaceRule, PlaceRuleKind
from kaquan.payments.points import PointsBook
from kaquan.payments.price import check_basket
from kaquan.payments.quote import Quote, VoucherUse
from kaquan.payments.read import PaymentSearch, get_payment, get_pricing, list_payments, read_budget
from kaquan.payments.shadow import Fate, price_seen
from kaquan.payments.shadow_report import (
    ShadowReport,
    ShadowSearch,
    ShadowStore,
    list_shadow_payments,
    report_shadow,
)
from kaquan.payments.simulate import MAX_SIMULATED, asks_of, over_whole_time, report_of, simulate
from kaquan.payments.store import ShadowRow
from kaquan.payments.timeline import TimelineItem, read_timeline
from kaquan.payments.types import (
    Capture,
    Command,
    Funding,
    Load,
    Payment,
    PaymentKind,
    PaymentStatus,
    Plan,
    PocketAmount,
    Receipt,
    Refund,
    Request,
    Spend,
    Void,
)

__all__ = [
    "LANES",
    "MAX_SIMULATED",
    "BudgetStanding",
    "BudgetUser",
    "CampaignEffect",
    "Capture",
    "Command",
    "Cost",
    "CostKind",
    "Desk",
    "Fate",
    "Funding",
    "History",
    "Holder",
    "Hours",
    "Kept",
    "KeptPart",
    "Known",
    "Limit",
    "LimitBook",
    "LimitScope",
    "LimitSearch",
    "LimitStatus",
    "Load",
    "Metric",
    "Movement",
    "NewLimit",
    "NewPlaceRule",
    "PartKind",
    "Payment",
    "PaymentKind",
    "PaymentSearch",
    "PaymentStatus",
    "Period",
    "PlaceRule",
    "PlaceRuleKind",
    "Plan",
    "PocketAmount",
    "PointsBook",
    "Quote",
    "Receipt",
    "Refund",
    "Request",
    "ShadowReport",
    "ShadowRow",
    "ShadowSearch",
    "ShadowStore",
    "Spend",
    "Standing",
    "TimelineItem",
    "Used",
    "Void",
    "VoucherUse",
    "asks_of",
    "budget_key",
    "check_basket",
    "check_size",
    "create_benefit",
    "create_limit",
    "create_place_rule",
    "end_limit",
    "end_place_rule",
    "get_limit",
    "get_payment",
    "get_place_rule",
    "get_pricing",
    "list_budget_users",
    "list_limits",
    "list_payments",
    "list_place_rules",
    "list_shadow_payments",
    "list_standings",
    "measure_effect",
    "over_whole_time",
    "price_seen",
    "read_baskets",
    "read_budget",
    "read_kept",
    "read_part",
    "read_timeline",
    "report_budgets",
    "report_costs",
    "report_grants",
    "report_of",
    "report_shadow",
    "simulate",
    "take_benefit",
]
