"""What an adjustment moves, decided on hand-made pockets."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kaquan.cards import Card, CardForm, CardStatus, Pocket, Programme
from kaquan.cards.adjustments import AdjustmentReason, Direction, NewAdjustment
from kaquan.cards.adjustments.adjust import plan_adjustment
from kaquan.cards.store import Holding
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Account, FloorRule, Guard, Leg, Lot, NewLot, Posting

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ID, ORIGIN, ISSUER = UUID(int=1), UUID(int=2), UUID(int=3)
PRINCIPAL, BONUS, OTHER_SIDE = 11, 12, 90

CARD = Card(
    0, ID, 1, UUID(int=4), None, CardForm.DIGITAL, CardStatus.ACTIVE, None, "0000", None, NOW, NOW, 3,
)  # fmt: skip
PROGRAMME = Programme(
    UUID(int=4), 1, ISSUER, "p", "P", "CNY", "8888", (Pocket.BONUS, Pocket.PRINCIPAL), None, 3_600, 90, 30,
    "Asia/Shanghai", NOW,
)  # fmt: skip


def lot(number: int, available_fen: int, ends_in_days: int | None = None, *, account: int = PRINCIPAL) -> Lot:
    ends = None if ends_in_days is None else NOW + timedelta(days=ends_in_days)
    return Lot(account, number, ORIGIN, available_fen, 0, ends, available_fen)


def holding(*lots: Lot, pocket: Pocket = Pocket.PRINCIPAL, reserved_fen: int = 0) -> Holding:
    id_ = PRINCIPAL if pocket is Pocket.PRINCIPAL else BONUS
    credits = sum(one.available_fen for one in lots) + reserved_fen
    account = Account(
        0, id_, 1, ID, pocket.account_kind, "CNY", FloorRule.CREDIT, True, 0, credits, reserved_fen, 0, 7,
    )  # fmt: skip
    return Holding(pocket, account, list(lots), 1)


def asked(direction: Direction, amount_fen: int, pocket: Pocket = Pocket.PRINCIPAL) -> NewAdjustment:
    return NewAdjustment(
        card_id=ID, pocket=pocket, direction=direction, amount_fen=amount_fen, reason=AdjustmentReason.OTHER, note="n"
    )


def plan(
    new: NewAdjustment, *holdings: Holding, card: Card = CARD, programme: Programme = PROGRAMME
) -> Posting | Refusal:
    return plan_adjustment(card, programme, holdings, new, account=OTHER_SIDE, transaction_id=ORIGIN, now=NOW)


def posted(*args: object, **how: object) -> Posting:
    made = plan(*args, **how)  # type: ignore[arg-type]
    assert isinstance(made, Posting), made
    return made


def test_a_credit_opens_a_lot_that_lives_as_long_as_a_load() -> None:
    made = posted(asked(Direction.CREDIT, 500), holding(lot(1, 100)), holding(pocket=Pocket.BONUS))
    assert [(leg.debit_account, leg.credit_account, leg.credit_lot, leg.amount_fen) for leg in made.legs] == [
        (OTHER_SIDE, PRINCIPAL, 8, 500)
    ]
    # 90 days after 1 March as days go in Shanghai
    assert list(made.lots) == [NewLot(PRINCIPAL, 8, 500, 0, datetime(2026, 5, 30, 16, tzinfo=UTC))]
    assert list(made.guards) == [Guard(PRINCIPAL, 7)]
    assert (made.kind, made.reference) == ("adjustment", "n")


def test_a_bonus_was_given_and_not_paid() -> None:
    made = posted(asked(Direction.CREDIT, 500, Pocket.BONUS), holding(), holding(pocket=Pocket.BONUS))
    assert list(made.lots) == [NewLot(BONUS, 8, 0, 500, datetime(2026, 3, 31, 16, tzinfo=UTC))]
    for_ever = replace(PROGRAMME, bonus_valid_days=None)
    made = posted(asked(Direction.CREDIT, 1, Pocket.BONUS), holding(pocket=Pocket.BONUS), programme=for_ever)
    assert made.lots[0].expires_at is None


def test_a_debit_takes_what_ends_soonest_and_nothing_that_has_ended() -> None:
    held = holding(lot(1, 100), lot(2, 100, -1), lot(3, 100, 5), lot(4, 100, 2))
    made = posted(asked(Direction.DEBIT, 250), held)
    assert [(leg.debit_lot, leg.amount_fen, leg.credit_account) for leg in made.legs] == [
        (4, 100, OTHER_SIDE),
        (3, 100, OTHER_SIDE),
        (1, 50, OTHER_SIDE),
    ]
    assert made.lots == []


def test_a_debit_never_takes_more_than_is_free() -> None:
    held = holding(lot(1, 100), lot(2, 50, -1), reserved_fen=40)
    refused = plan(asked(Direction.DEBIT, 101), held)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field, refused.details) == (
        "adjustment_exceeds_balance", "amount_fen", {"available_fen": 100},
    )  # fmt: skip
    assert isinstance(plan(asked(Direction.DEBIT, 100), held), Posting)


def test_a_credit_never_goes_above_the_cap_of_all_pockets() -> None:
    capped = replace(PROGRAMME, max_balance_fen=1_000)
    held = (holding(lot(1, 300), reserved_fen=200), holding(lot(1, 400, account=BONUS), pocket=Pocket.BONUS))
    refused = plan(asked(Direction.CREDIT, 101), *held, programme=capped)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.details) == (
        "adjustment_exceeds_cap", {"balance_fen": 1_001, "max_balance_fen": 1_000},
    )  # fmt: skip
    assert isinstance(plan(asked(Direction.CREDIT, 100), *held, programme=capped), Posting)
    assert isinstance(plan(asked(Direction.DEBIT, 101), *held, programme=capped), Posting)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (CardStatus.ISSUED, "card_not_active"),
        (CardStatus.GIFTED, "card_in_gift"),
        (CardStatus.REPLACED, "card_replaced"),
        (CardStatus.CLOSED, "card_closed"),
        (CardStatus.EXPIRED, "card_expired"),
    ],
)
def test_cards_that_are_not_adjusted(status: CardStatus, code: str) -> None:
    refused = plan(asked(Direction.CREDIT, 1), holding(), card=replace(CARD, status=status))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == (code, "card_id")


@pytest.mark.parametrize("status", [CardStatus.ACTIVE, CardStatus.BLOCKED, CardStatus.LOST])
def test_cards_that_are_adjusted_unless_they_have_ended(status: CardStatus) -> None:
    card = replace(CARD, status=status)
    assert isinstance(plan(asked(Direction.CREDIT, 1), holding(), card=card), Posting)
    ended = plan(asked(Direction.CREDIT, 1), holding(), card=replace(card, expires_at=NOW))
    assert isinstance(ended, Refusal)
    assert ended.code == "card_expired"


def test_a_pocket_that_the_card_has_not() -> None:
    refused = plan(asked(Direction.CREDIT, 1, Pocket.RESTRICTED), holding(), holding(pocket=Pocket.BONUS))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid_field", "pocket")
    assert "principal, bonus" in refused.message("en")


LOTS = st.lists(st.tuples(st.integers(0, 1_000), st.one_of(st.none(), st.integers(-3, 3))), max_size=6)


@given(LOTS, st.integers(1, 3_000))
def test_what_is_taken_is_what_was_asked_or_nothing(lots: list[tuple[int, int | None]], amount_fen: int) -> None:
    held = holding(*(lot(number, fen, days) for number, (fen, days) in enumerate(lots, start=1)))
    made = plan(asked(Direction.DEBIT, amount_fen), held)
    free_fen = {one.lot: one.available_fen for one in held.lots if one.expires_at is None or one.expires_at > NOW}
    if isinstance(made, Refusal):
        assert (made.code, made.details["available_fen"]) == ("adjustment_exceeds_balance", sum(free_fen.values()))
        assert sum(free_fen.values()) < amount_fen
        return
    legs: list[Leg] = list(made.legs)
    assert sum(leg.amount_fen for leg in legs) == amount_fen
    assert all(leg.debit_lot is not None and 0 < leg.amount_fen <= free_fen[leg.debit_lot] for leg in legs)
    assert len({leg.debit_lot for leg in legs}) == len(legs)
