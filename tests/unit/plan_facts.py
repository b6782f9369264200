"""Facts for the planners, written short: one card of one programme at one shop."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import CardStatus, Pocket, Programme
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Place
from kaquan.payments import Payment, PaymentKind, PaymentStatus, Plan
from kaquan.payments.types import (
    Accounts,
    CardFacts,
    Facts,
    LotFacts,
    PaymentFacts,
    PocketFacts,
    SpentLeg,
    Unopened,
)

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
BOOK = 7
CARD, PROGRAMME, ISSUER, MERCHANT, STORE, TERMINAL, PAYMENT, NEW = (UUID(int=n) for n in range(1, 9))
PRINCIPAL, BONUS, PAYABLE, CLEARING, EXPENSE = 11, 12, 21, 22, 23
PLACE = Place(TERMINAL, STORE, MERCHANT, "active")


def programme(**terms: Any) -> Programme:
    made = Programme(
        id=PROGRAMME,
        book_id=BOOK,
        issuer_id=ISSUER,
        code="red",
        name="红卡",
        currency="CNY",
        number_prefix="888801",
        spend_order=(Pocket.BONUS, Pocket.PRINCIPAL),
        max_balance_fen=None,
        authorization_ttl_s=3_600,
        principal_valid_days=None,
        bonus_valid_days=None,
        time_zone="Asia/Shanghai",
        created_at=NOW,
        accepts=frozenset({(MERCHANT, None)}),
    )
    return replace(made, **terms)


def lot(number: int, available_fen: int, expires_at: datetime | None = None) -> LotFacts:
    return LotFacts(number, available_fen, available_fen, 0, expires_at)


def pocket(name: Pocket, lots: Sequence[LotFacts], *, reserved_fen: int = 0, version: int = 5) -> PocketFacts:
    posted_fen = sum(one.available_fen for one in lots) + reserved_fen
    return PocketFacts(
        name, PRINCIPAL if name is Pocket.PRINCIPAL else BONUS, version, posted_fen, reserved_fen, list(lots)
    )


def card(
    principal: Sequence[LotFacts] = (),
    bonus: Sequence[LotFacts] = (),
    *,
    status: CardStatus = CardStatus.ACTIVE,
    reserved_fen: int = 0,
    **other: Any,
) -> CardFacts:
    pockets = {
        Pocket.PRINCIPAL: pocket(Pocket.PRINCIPAL, principal, reserved_fen=reserved_fen),
        Pocket.BONUS: pocket(Pocket.BONUS, bonus, version=9),
    }
    return CardFacts(CARD, BOOK, PROGRAMME, status, None, 1, pockets)._replace(**other)


def payment(
    kind: PaymentKind = PaymentKind.AUTHORIZATION, status: PaymentStatus = PaymentStatus.OPEN, **other: Any
) -> Payment:
    made = Payment(
        slot=0,
        id=PAYMENT,
        book_id=BOOK,
        kind=kind,
        status=status,
        card_id=CARD,
        merchant_id=MERCHANT,
        store_id=STORE,
        terminal_id=TERMINAL,
        original_id=None,
        currency="CNY",
        amount_fen=100,
        bonus_fen=0,
        captured_fen=0,
        refunded_fen=0,
        reference=None,
        expires_at=NOW + timedelta(hours=1),
        occurred_at=NOW,
        created_at=NOW,
        version=3,
    )
    return replace(made, **other)


def spent(
    account_id: int, lot_number: int, *, reserved_fen: int = 0, captured_fen: int = 0, refunded_fen: int = 0
) -> SpentLeg:
    return SpentLeg(account_id, lot_number, PAYABLE, reserved_fen, captured_fen, refunded_fen)


def facts(
    of_card: CardFacts | None,
    *,
    terms: Programme | None = None,
    of_payment: Payment | None = None,
    legs: Sequence[SpentLeg] = (),
    now: datetime = NOW,
) -> Facts:
    found = None if of_payment is None else PaymentFacts(of_payment, list(legs))
    return Facts(now, NEW, BOOK, of_card, terms or programme(), found, Accounts(PAYABLE, CLEARING, EXPENSE))


def planned(decision: Plan | Unopened | Refusal) -> Plan:
    assert isinstance(decision, Plan), decision
    return decision


def refused(decision: Plan | Unopened | Refusal, code: str, field: str | None = None, **details: Any) -> None:
    """Assert that it is this refusal, sayable in both languages, with these details."""
    assert isinstance(decision, Refusal), decision
    assert (decision.code, decision.field) == (code, field)
    assert details.items() <= decision.details.items(), decision.details
    assert decision.message("en")
    assert decision.message("zh")
