"""Whether a merchant may take the cards of an issuer, by the scheme of the programme."""

from enum import StrEnum

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.parties.outcomes import MERCHANT_OUTSIDE_SCHEME
from kaquan.parties.types import Issuer, IssuerClass, Merchant


class Scheme(StrEnum):
    """How a programme's cards are operated.

    ``closed_loop``: only the issuer, its group or its brand takes them. ``open_alliance``: independent merchants take
    them, which is a payment business. ``hybrid``: the issuer's own network and an alliance.
    """

    CLOSED_LOOP = "closed_loop"
    OPEN_ALLIANCE = "open_alliance"
    HYBRID = "hybrid"


class SchemeRule(msgspec.Struct, frozen=True):
    """A rule of law by its id, with where it is written."""

    id: str
    source: str


class SchemeRules(msgspec.Struct, frozen=True, kw_only=True):
    """The two rules that a scheme is judged by; who keeps the law says which they are today.

    ``own_network``: who a single-purpose card may be used at (CN-SCHEME-01). ``licence``: that a card usable at
    merchants that are legally unrelated is a payment business and needs a licence (CN-SCHEME-03).
    """

    own_network: SchemeRule
    licence: SchemeRule


def fit_scheme(scheme: Scheme, *, issuer: Issuer, merchant: Merchant, rules: SchemeRules) -> Refusal | None:
    """None when ``merchant`` may take cards of ``issuer`` under ``scheme``.

    Refused: ``merchant_outside_scheme`` with the rule's id. What is not known does not fit: a merchant or an issuer
    without its legal entity cannot be judged.
    """
    if merchant.legal_code is None:
        return _refuse(
            scheme, _rule(scheme, rules), "the legal entity of the merchant is not known", "商户的法人主体未登记"
        )
    if issuer.legal_code is None:
        return _refuse(
            scheme, _rule(scheme, rules), "the legal entity of the issuer is not known", "发卡方的法人主体未登记"
        )
    if is_own_network(issuer, merchant):
        return None
    if scheme is Scheme.CLOSED_LOOP:
        return _refuse(
            scheme,
            rules.own_network,
            "it is not the issuer, not of its group and not of its brand",
            "其既非发卡方本身，也不属于同一集团或同一品牌",
        )
    if issuer.payment_licence is None:
        return _refuse(
            scheme,
            rules.licence,
            "an independent merchant needs a licensed institution that holds the funds",
            "独立商户受理须由持有支付牌照的机构存管资金",
        )
    return None


def is_own_network(issuer: Issuer, merchant: Merchant) -> bool:
    """Whether the merchant is the issuer itself, of its group, or of the brand that a brand issuer issues for."""
    if issuer.legal_code is not None and issuer.legal_code in (merchant.legal_code, merchant.group_code):
        return True
    if issuer.group_code is not None and issuer.group_code in (merchant.legal_code, merchant.group_code):
        return True
    return issuer.issuer_class is IssuerClass.BRAND and issuer.brand is not None and issuer.brand == merchant.brand


def _rule(scheme: Scheme, rules: SchemeRules) -> SchemeRule:
    return rules.own_network if scheme is Scheme.CLOSED_LOOP else rules.licence


def _refuse(scheme: Scheme, rule: SchemeRule, why: str, why_zh: str) -> Refusal:
    return MERCHANT_OUTSIDE_SCHEME.refuse(
        "merchant_id", scheme=scheme, rule=rule.id, source=rule.source, why=why, why_zh=why_zh
    )
