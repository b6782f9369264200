"""Floor 8: closing. How value ends: lots expire, are reminded of and extended; cards fall asleep or are closed with a
refund; refunds are paid out.

It moves value only out of a card's pockets into the issuer's accounts, and back by an extension, through the ledger's
posting call. Everything that law decides comes in as :class:`RefundRules`, with its source; no figure is in code. It
takes no fee but that of cards which nobody uses, where terms and law allow it, never makes expired value income, and
never speaks to a bank: a payout is an instruction with evidence, made by one person and confirmed by another.
"""

from kaquan.closing.close import close_card, get_closure, get_quote, loads_of, quote_holding
from kaquan.closing.dormancy import find_dormant
from kaquan.closing.dormancy_fee import charge_dormancy_fees
from kaquan.closing.expire_lots import LOOK_BACK, expire_lots
from kaquan.closing.extend import extend_lots
from kaquan.closing.law import refund_rules
from kaquan.closing.lots import list_lots
from kaquan.closing.payouts import get_payout, list_payouts, mark_failed, mark_paid, replace_payout, reveal_payee
from kaquan.closing.refund_quote import (
    LoadFacts,
    RefundFacts,
    RefundQuote,
    print_quote,
    quote_refund,
)
from kaquan.closing.refund_rules import Cause, Figure, RefundRules, RulesError, read_refund_rules
from kaquan.closing.release import release_value
from kaquan.closing.remind import remind_of_ends
from kaquan.closing.return_swept import return_swept
from kaquan.closing.terms import get_terms, set_terms
from kaquan.closing.types import (
    Closed,
    Extended,
    LotHeld,
    LotName,
    Payee,
    Payout,
    PayoutMethod,
    PayoutSearch,
    PayoutStatus,
    RefundAsk,
    Released,
    RulesOf,
    Terms,
)

__all__ = [
    "LOOK_BACK",
    "Cause",
    "Closed",
    "Extended",
    "Figure",
    "LoadFacts",
    "LotHeld",
    "LotName",
    "Payee",
    "Payout",
    "PayoutMethod",
    "PayoutSearch",
    "PayoutStatus",
    "RefundAsk",
    "RefundFacts",
    "RefundQuote",
    "RefundRules",
    "Released",
    "RulesError",
    "RulesOf",
    "Terms",
    "charge_dormancy_fees",
    "close_card",
    "expire_lots",
    "extend_lots",
    "find_dormant",
    "get_closure",
    "get_payout",
    "get_quote",
    "get_terms",
    "list_lots",
    "list_payouts",
    "loads_of",
    "mark_failed",
    "mark_paid",
    "print_quote",
    "quote_holding",
    "quote_refund",
    "read_refund_rules",
    "refund_rules",
    "release_value",
    "remind_of_ends",
    "replace_payout",
    "return_swept",
    "reveal_payee",
    "set_terms",
]
