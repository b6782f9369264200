"""The pure decisions of the cards room: terms of a programme, places, what may become of a card."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from kaquan.cards import (
    Acceptance,
    BlockReason,
    Card,
    CardForm,
    CardStatus,
    NewProgramme,
    Pocket,
    Programme,
)
from kaquan.cards.accept import check_places
from kaquan.cards.create_programme import check_terms
from kaquan.cards.life import plan_activation, plan_block, plan_unblock
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)
ISSUER, MERCHANT, OTHER, STORE, UNKNOWN = (UUID(int=n) for n in range(1, 6))

TERMS = NewProgramme(
    issuer_id=ISSUER,
    code="red",
    name="红卡",
    currency="CNY",
    number_prefix="888801",
    spend_order=(Pocket.BONUS, Pocket.PRINCIPAL),
    max_balance_fen=100_000,
    authorization_ttl_s=604_800,
    principal_valid_days=None,
    bonus_valid_days=90,
)
ISSUED = Card(
    0, UUID(int=9), 1, UUID(int=8), None, CardForm.DIGITAL, CardStatus.ISSUED, None, "1234", None, AT, None, 0
)
ACTIVE = replace(ISSUED, status=CardStatus.ACTIVE, activated_at=AT, version=1)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"currency": "USD", "number_prefix": "0000", "spend_order": (Pocket.PRINCIPAL, Pocket.BONUS)},
        {"max_balance_fen": None, "bonus_valid_days": None, "authorization_ttl_s": 60},
        {"max_balance_fen": MAX_FEN, "number_prefix": "88888888", "principal_valid_days": 36_500},
    ],
)
def test_allowed_terms(change: dict[str, Any]) -> None:
    assert check_terms(replace(TERMS, **change)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "cny"),
        ("currency", "CN"),
        ("currency", "CNY\n"),
        ("currency", "C1Y"),
        ("number_prefix", "888"),
        ("number_prefix", "888888888"),
        ("number_prefix", "88a8"),
        ("number_prefix", "８８８８"),
        ("spend_order", ()),
        ("spend_order", (Pocket.BONUS,)),
        ("spend_order", (Pocket.BONUS, Pocket.BONUS)),
        ("max_balance_fen", 0),
        ("max_balance_fen", -1),
        ("max_balance_fen", MAX_FEN + 1),
        ("authorization_ttl_s", 59),
        ("authorization_ttl_s", 30 * 86_400 + 1),
        ("principal_valid_days", 0),
        ("bonus_valid_days", 36_501),
    ],
)
def test_terms_that_are_not_allowed(field: str, value: object) -> None:
    refused = check_terms(replace(TERMS, **{field: value}))
    assert refused is not None
    assert (refused.code, refused.field) == ("invalid_field", field)
    assert field in refused.message("en")


def programme(*accepts: Acceptance) -> Programme:
    return Programme(
        UUID(int=8), 1, ISSUER, "red", "红卡", "CNY", "888801", tuple(Pocket), None, 60, None, None,
        "Asia/Shanghai", AT, frozenset(accepts),
    )  # fmt: skip


def test_where_a_programme_is_accepted() -> None:
    assert not programme().accepts_at(MERCHANT, STORE)
    assert programme((MERCHANT, None)).accepts_at(MERCHANT, STORE)
    assert programme((MERCHANT, STORE)).accepts_at(MERCHANT, STORE)
    assert not programme((MERCHANT, UNKNOWN)).accepts_at(MERCHANT, STORE)
    assert not programme((OTHER, None)).accepts_at(MERCHANT, STORE)


@pytest.mark.parametrize(
    ("place", "code", "field"),
    [
        ((UNKNOWN, None), "not_found", "add[1].merchant_id"),
        ((MERCHANT, UNKNOWN), "not_found", "add[1].store_id"),
        ((OTHER, STORE), "store_of_another_merchant", "add[1].store_id"),
    ],
)
def test_a_place_that_cannot_be_accepted(place: Acceptance, code: str, field: str) -> None:
    refused = check_places([(MERCHANT, STORE), place], merchants={MERCHANT, OTHER}, merchant_of_store={STORE: MERCHANT})
    assert refused is not None
    assert (refused.code, refused.field) == (code, field)


def test_activation() -> None:
    assert plan_activation(ISSUED, at=AT) == ACTIVE
    assert plan_activation(ACTIVE, at=AT) is ACTIVE
    blocked = plan_block(ISSUED, reason=BlockReason.RISK)
    assert isinstance(blocked, Card)
    refused = plan_activation(blocked, at=AT)
    assert isinstance(refused, Refusal)
    assert refused.code == "card_blocked"


@pytest.mark.parametrize("card", [ISSUED, ACTIVE])
def test_a_block_leads_back_to_where_the_card_was(card: Card) -> None:
    blocked = plan_block(card, reason=BlockReason.SUSPECTED_FRAUD)
    assert isinstance(blocked, Card)
    assert (blocked.status, blocked.status_reason) == (CardStatus.BLOCKED, BlockReason.SUSPECTED_FRAUD)
    assert blocked.version == card.version + 1
    assert plan_unblock(blocked) == replace(card, version=card.version + 2)
    assert plan_unblock(card) is card


def test_a_second_block() -> None:
    blocked = plan_block(ACTIVE, reason=BlockReason.OPERATOR)
    assert isinstance(blocked, Card)
    assert plan_block(blocked, reason=BlockReason.OPERATOR) is blocked
    refused = plan_block(blocked, reason=BlockReason.LEGAL_ORDER)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("card_already_blocked", "reason")
    assert "operator" in refused.message("en")
