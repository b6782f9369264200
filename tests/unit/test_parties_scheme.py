"""Who may take an issuer's cards, by the scheme of the programme."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.parties import Issuer, IssuerClass, Merchant, Scheme, SchemeRule, SchemeRules, fit_scheme

RULES = SchemeRules(
    own_network=SchemeRule("CN-SCHEME-01", "商务部令2016年第2号"),
    licence=SchemeRule("CN-SCHEME-03", "国务院令第768号 art 15"),
)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
A, B, C, GROUP = "91350100M000100Y43", "91110000600037341L", "91310000775785552L", "91440300708461136T"


def issuer(**known: Any) -> Issuer:
    return Issuer(UUID(int=1), 1, "i", "i", "Asia/Shanghai", NOW, **{"legal_code": A, **known})


def merchant(**known: Any) -> Merchant:
    return Merchant(UUID(int=2), 1, "m", "m", None, NOW, **{"legal_code": B, **known})


BRAND = {"issuer_class": IssuerClass.BRAND, "brand": "红旗"}


@pytest.mark.parametrize(
    ("scheme", "of_issuer", "of_merchant", "rule"),
    [
        (Scheme.CLOSED_LOOP, {}, {"legal_code": A}, None),
        (Scheme.CLOSED_LOOP, {}, {"group_code": A}, None),
        (Scheme.CLOSED_LOOP, {"group_code": GROUP}, {"group_code": GROUP}, None),
        (Scheme.CLOSED_LOOP, {"group_code": GROUP}, {"legal_code": GROUP}, None),
        (Scheme.CLOSED_LOOP, BRAND, {"brand": "红旗"}, None),
        (Scheme.CLOSED_LOOP, {}, {}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {"payment_licence": "Z2000111000010"}, {}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {"group_code": GROUP}, {"group_code": C}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, BRAND, {"brand": "蓝旗"}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {"brand": "红旗"}, {"brand": "红旗"}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {"issuer_class": IssuerClass.BRAND}, {}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {}, {"legal_code": None}, "CN-SCHEME-01"),
        (Scheme.CLOSED_LOOP, {"legal_code": None}, {}, "CN-SCHEME-01"),
        (Scheme.OPEN_ALLIANCE, {}, {}, "CN-SCHEME-03"),
        (Scheme.OPEN_ALLIANCE, {"payment_licence": "Z2000111000010"}, {}, None),
        (Scheme.OPEN_ALLIANCE, {"payment_licence": "Z2000111000010"}, {"legal_code": None}, "CN-SCHEME-03"),
        (Scheme.OPEN_ALLIANCE, {}, {"legal_code": A}, None),
        (Scheme.HYBRID, {}, {"legal_code": A}, None),
        (Scheme.HYBRID, {}, {}, "CN-SCHEME-03"),
        (Scheme.HYBRID, {"payment_licence": "Z2000111000010"}, {}, None),
    ],
)
def test_a_merchant_fits_a_scheme_or_is_told_by_which_rule_it_does_not(
    scheme: Scheme, of_issuer: dict[str, Any], of_merchant: dict[str, Any], rule: str | None
) -> None:
    refusal = fit_scheme(scheme, issuer=issuer(**of_issuer), merchant=merchant(**of_merchant), rules=RULES)
    if rule is None:
        assert refusal is None
        return
    assert refusal is not None
    assert (refusal.code, refusal.field) == ("merchant_outside_scheme", "merchant_id")
    for language in ("en", "zh"):
        assert rule in refusal.message(language)
        assert scheme in refusal.message(language)
    source = RULES.own_network.source if rule == "CN-SCHEME-01" else RULES.licence.source
    assert source in refusal.message("zh")


codes = st.sampled_from([None, A, B, GROUP])
issuers = st.builds(
    issuer,
    legal_code=codes,
    group_code=codes,
    brand=st.sampled_from([None, "红旗"]),
    issuer_class=st.sampled_from([None, *IssuerClass]),
    payment_licence=st.sampled_from([None, "Z2000111000010"]),
)
merchants = st.builds(merchant, legal_code=codes, group_code=codes, brand=st.sampled_from([None, "红旗"]))


@given(issuer=issuers, merchant=merchants)
def test_what_fits_a_closed_loop_fits_everywhere_and_the_open_schemes_agree(issuer: Issuer, merchant: Merchant) -> None:
    fits = {scheme: fit_scheme(scheme, issuer=issuer, merchant=merchant, rules=RULES) is None for scheme in Scheme}
    assert fits[Scheme.CLOSED_LOOP] <= fits[Scheme.OPEN_ALLIANCE] == fits[Scheme.HYBRID]
