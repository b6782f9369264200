"""A programme against the law: its terms, its mode, and the merchants that its mode lets in."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kaquan.cards import (
    CardClass,
    Clauses,
    NewProgramme,
    OperatingMode,
    Pocket,
    Programme,
    ProgrammeChange,
    ProgrammeTerms,
    Restriction,
    check_face_value,
    check_law,
    scheme_of,
)
from kaquan.cards.change_programme import plan_change
from kaquan.cards.create_programme import check_values
from kaquan.cards.law import check_merchants, jurisdiction_of, terms_of
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Issuer, IssuerClass, Merchant
from kaquan.policy import RuleBook, Scheme, released_book

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
DAY = date(2026, 3, 1)
OURS, THEIRS = "91350100M000100Y43", "91110000000000001H"
ISSUER = Issuer(
    UUID(int=1),
    1,
    "i",
    "发卡方",
    "Asia/Shanghai",
    AT,
    issuer_class=IssuerClass.GROUP,
    legal_code=OURS,
    province="CN-SH",
)
LICENSED = replace(ISSUER, payment_licence="Z2000111000010")
FREE = ProgrammeTerms(
    spend_order=(Pocket.BONUS, Pocket.PRINCIPAL),
    max_balance_fen=None,
    authorization_ttl_s=3_600,
    principal_valid_days=None,
    bonus_valid_days=None,
)
REGISTERED = replace(
    FREE, operating_mode=OperatingMode.CLOSED_LOOP, card_class=CardClass.REGISTERED, max_balance_fen=500_000
)


def broken(terms: ProgrammeTerms, issuer: Issuer = ISSUER, rules: RuleBook | None = None) -> list[tuple[str, str]]:
    """Field and rule of all that the law refuses, each of which says so with its source in both languages."""
    refused = check_law(rules or released_book(), issuer, terms, on=DAY)
    if refused is None:
        return []
    for one in (refused, *refused.details.get("also", ())):
        assert one.code == "terms_break_rule"
        for language in ("en", "zh"):
            assert one.details["rule"] in one.message(language)
            assert one.details["source"] in one.message(language)
    return [(one.field, one.details["rule"]) for one in (refused, *refused.details.get("also", ()))]


def test_lawful_terms_and_terms_that_declare_nothing_stand() -> None:
    assert broken(REGISTERED) == []
    assert broken(replace(FREE, principal_valid_days=5)) == []
    unregistered = replace(REGISTERED, card_class=CardClass.UNREGISTERED, max_balance_fen=100_000)
    assert broken(replace(unregistered, principal_valid_days=3 * 366)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"principal_valid_days": 5 * 365}, [("principal_valid_days", "CN-SP-EXP-01")]),
        ({"max_balance_fen": 600_000}, [("max_balance_fen", "CN-SP-CAP-01")]),
        ({"max_balance_fen": None}, [("max_balance_fen", "CN-SP-CAP-01")]),
        ({"card_class": CardClass.UNREGISTERED}, [("max_balance_fen", "CN-SP-CAP-02")]),
        (
            {"max_balance_fen": 600_000, "principal_valid_days": 1_825, "denominations_fen": (100, 500_001)},
            [
                ("max_balance_fen", "CN-SP-CAP-01"),
                ("denominations_fen[1]", "CN-SP-CAP-01"),
                ("principal_valid_days", "CN-SP-EXP-01"),
            ],
        ),
        (
            {"max_balance_fen": 600_000, "denominations_fen": (100,), "custom_range_fen": (100, 600_000)},
            [("max_balance_fen", "CN-SP-CAP-01"), ("custom_range_fen[1]", "CN-SP-CAP-01")],
        ),
    ],
)
def test_terms_that_break_the_law(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert broken(replace(REGISTERED, **change)) == expected


def test_a_clause_is_named_by_its_place() -> None:
    terms = replace(REGISTERED, clauses=Clauses(no_refund_clause_allowed=True))
    ((field, _),) = broken(terms)
    assert field == "clauses.no_refund_clause_allowed"
    assert broken(replace(REGISTERED, clauses=Clauses(no_refund_clause_allowed=False))) == []


def test_an_open_alliance_needs_a_licence() -> None:
    alliance = replace(REGISTERED, operating_mode=OperatingMode.OPEN_ALLIANCE)
    assert ("operating_mode", "CN-SCHEME-03") in broken(alliance)
    assert "operating_mode" not in dict(broken(alliance, LICENSED))
    assert "operating_mode" not in dict(broken(replace(alliance, operating_mode=OperatingMode.HYBRID)))


@pytest.mark.parametrize(
    ("mode", "licensed", "scheme"),
    [
        (None, True, None),
        (OperatingMode.CLOSED_LOOP, False, Scheme.SINGLE_PURPOSE),
        (OperatingMode.CLOSED_LOOP, True, Scheme.SINGLE_PURPOSE),
        (OperatingMode.OPEN_ALLIANCE, False, Scheme.MULTI_PURPOSE),
        (OperatingMode.OPEN_ALLIANCE, True, Scheme.MULTI_PURPOSE),
        (OperatingMode.HYBRID, False, Scheme.SINGLE_PURPOSE),
        (OperatingMode.HYBRID, True, Scheme.MULTI_PURPOSE),
    ],
)
def test_the_scheme_of_a_mode(mode: OperatingMode | None, licensed: bool, scheme: Scheme | None) -> None:
    assert scheme_of(mode, licensed=licensed) is scheme


def test_the_law_is_that_of_the_issuers_province() -> None:
    assert jurisdiction_of(ISSUER) == "CN-31"
    assert jurisdiction_of(replace(ISSUER, province=None)) == "CN"
    assert terms_of(ISSUER, REGISTERED, on=DAY).jurisdiction == "CN-31"


def merchant(legal_code: str | None, **more: Any) -> Merchant:
    return Merchant(UUID(int=9), 1, "m", "商户", None, AT, legal_code=legal_code, **more)


@pytest.mark.parametrize(
    ("mode", "issuer", "of_merchant", "rule"),
    [
        (None, ISSUER, merchant(None), None),
        (OperatingMode.CLOSED_LOOP, ISSUER, merchant(OURS), None),
        (OperatingMode.CLOSED_LOOP, ISSUER, merchant(THEIRS, group_code=OURS), None),
        (OperatingMode.CLOSED_LOOP, ISSUER, merchant(THEIRS), "CN-SCHEME-01"),
        (OperatingMode.CLOSED_LOOP, LICENSED, merchant(THEIRS), "CN-SCHEME-01"),
        (OperatingMode.CLOSED_LOOP, ISSUER, merchant(None), "CN-SCHEME-01"),
        (OperatingMode.HYBRID, ISSUER, merchant(OURS), None),
        (OperatingMode.HYBRID, ISSUER, merchant(THEIRS), "CN-SCHEME-03"),
        (OperatingMode.HYBRID, LICENSED, merchant(THEIRS), None),
        (OperatingMode.OPEN_ALLIANCE, LICENSED, merchant(THEIRS), None),
        (OperatingMode.OPEN_ALLIANCE, LICENSED, merchant(None), "CN-SCHEME-03"),
        (OperatingMode.CLOSED_LOOP, replace(ISSUER, province="JP-13"), merchant(THEIRS), None),
    ],
)
def test_who_a_mode_lets_in(
    mode: OperatingMode | None, issuer: Issuer, of_merchant: Merchant, rule: str | None
) -> None:
    found = check_merchants(released_book(), issuer, mode, [of_merchant], on=DAY)
    assert {id_: refusal.details["rule"] for id_, refusal in found.items()} == (
        {} if rule is None else {of_merchant.id: rule}
    )
    assert all(refusal.code == "merchant_outside_scheme" for refusal in found.values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"denominations_fen": (200, 100)}, "denominations_fen"),
        ({"denominations_fen": (100, 100)}, "denominations_fen"),
        ({"denominations_fen": tuple(range(1, 52))}, "denominations_fen"),
        ({"denominations_fen": (0,)}, "denominations_fen[0]"),
        ({"denominations_fen": (100, 500_001)}, "denominations_fen[1]"),
        ({"custom_range_fen": (0, 5)}, "custom_range_fen[0]"),
        ({"custom_range_fen": (6, 5)}, "custom_range_fen[1]"),
        ({"custom_range_fen": (6, 500_001)}, "custom_range_fen[1]"),
        ({"restricted_to": Restriction()}, "restricted_to"),
        ({"restricted_to": Restriction(trades=frozenset(map(str, range(501))))}, "restricted_to"),
        ({"spend_order": (Pocket.RESTRICTED,) * 2 + (Pocket.BONUS, Pocket.PRINCIPAL)}, "spend_order"),
        ({"spend_order": (Pocket.RESTRICTED, Pocket.BONUS)}, "spend_order"),
        ({"clauses": Clauses(custody_share_bp=10_001)}, "clauses.custody_share_bp"),
        ({"clauses": Clauses(cash_refund_cap_fen=MAX_FEN + 1)}, "clauses.cash_refund_cap_fen"),
        ({"clauses": Clauses(refund_due_days=-1)}, "clauses.refund_due_days"),
    ],
)
def test_values_that_are_not_allowed(change: dict[str, Any], field: str) -> None:
    refused = check_values(replace(REGISTERED, **change))
    assert refused is not None
    assert (refused.code, refused.field) == ("invalid_field", field)
    assert check_values(REGISTERED) is None


def programme(**terms: Any) -> Programme:
    new = NewProgramme(
        **{name: getattr(FREE, name) for name in FREE.__struct_fields__} | terms,
        issuer_id=ISSUER.id,
        code="red",
        name="红卡",
        currency="CNY",
        number_prefix="888801",
    )
    return Programme(
        **{name: getattr(new, name) for name in new.__struct_fields__},
        id=UUID(int=8),
        book_id=1,
        time_zone="Asia/Shanghai",
        created_at=AT,
    )


@given(st.integers(1, MAX_FEN))
def test_face_values(face_fen: int) -> None:
    sold = programme(denominations_fen=(10_000, 50_000), custom_range_fen=(200, 900))
    allowed = face_fen in (10_000, 50_000) or 200 <= face_fen <= 900
    refused = check_face_value(sold, face_fen)
    assert (refused is None) == allowed
    if refused is not None:
        assert refused.code == "face_value_not_allowed"
        assert "10000, 50000, 200-900" in refused.message("en")
    assert (check_face_value(programme(max_balance_fen=700), face_fen) is None) == (face_fen <= 700)


def test_a_change_names_what_changes() -> None:
    after = plan_change(REGISTERED, ProgrammeChange(max_balance_fen=400_000, clauses={"cooling_off_days": 15}))
    assert after == replace(REGISTERED, max_balance_fen=400_000, clauses=Clauses(cooling_off_days=15))
    assert plan_change(REGISTERED, ProgrammeChange()) == REGISTERED
    assert plan_change(replace(FREE, principal_valid_days=5), ProgrammeChange(principal_valid_days=None)) == FREE


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (ProgrammeChange(operating_mode=None), "operating_mode"),
        (ProgrammeChange(card_class=None), "card_class"),
        (ProgrammeChange(max_balance_fen=0), "max_balance_fen"),
        (ProgrammeChange(clauses={"custody_share_bp": -1}), "clauses.custody_share_bp"),
    ],
)
def test_a_change_that_is_not_allowed(change: ProgrammeChange, field: str) -> None:
    refused = plan_change(REGISTERED, change)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid_field", field)


MERCHANT, STORE, OTHER = UUID(int=21), UUID(int=22), UUID(int=23)


def test_acceptance_by_trade() -> None:
    bakery = replace(programme(), accepted_trades=frozenset({"bakery"}))
    assert bakery.accepts_at(MERCHANT, STORE, "bakery")
    assert not bakery.accepts_at(MERCHANT, STORE, "cinema")
    assert not bakery.accepts_at(MERCHANT, STORE, None)
    outside = replace(bakery, outsiders=frozenset({MERCHANT}))
    assert not outside.accepts_at(MERCHANT, STORE, "bakery")
    assert outside.accepts_at(OTHER, STORE, "bakery")
    assert replace(outside, accepts=frozenset({(MERCHANT, None)})).accepts_at(MERCHANT, STORE, "bakery")
