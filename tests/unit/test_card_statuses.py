"""The status machine of a card: every state that events can lead to, searched whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest
from msgspec.structs import asdict, replace

from kaquan.cards import BlockReason, Card, CardEvent, CardForm, CardStatus
from kaquan.cards.life import (
    ENDS,
    MAY_HAPPEN,
    UNUSABLE,
    advance,
    plan_activation,
    plan_block,
    plan_found,
    plan_gift,
    plan_gift_claim,
    plan_gift_end,
    plan_loss,
    plan_loss_effect,
    plan_registration,
    plan_replacement,
    plan_unbinding,
    plan_unblock,
    settle,
)
from kaquan.kit.outcomes import Refusal

AT = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)
ANNA, BO, GIFT, NEXT = (UUID(int=n) for n in range(1, 5))

Plan = Callable[[Card], Card | Refusal]

PLANS: dict[str, tuple[CardEvent, Plan]] = {
    "activate": (CardEvent.ACTIVATED, lambda card: plan_activation(card, at=AT)),
    "register": (CardEvent.REGISTERED, lambda card: plan_registration(card, customer_id=ANNA, at=AT)),
    "unbind": (CardEvent.UNBOUND, plan_unbinding),
    "block": (CardEvent.BLOCKED, lambda card: plan_block(card, reason=BlockReason.LEGAL_ORDER)),
    "unblock": (CardEvent.UNBLOCKED, plan_unblock),
    "report": (CardEvent.LOSS_REPORTED, lambda card: plan_loss(card, at=AT, within_s=0, due_at=AT)),
    "report later": (CardEvent.LOSS_REPORTED, lambda card: plan_loss(card, at=AT, within_s=60, due_at=LATER)),
    "effect": (CardEvent.LOSS_EFFECTIVE, lambda card: plan_loss_effect(card, at=LATER)),
    "found": (CardEvent.FOUND, plan_found),
    "give": (CardEvent.GIFT_OFFERED, lambda card: plan_gift(card, gift_id=GIFT)),
    "claim": (CardEvent.GIFT_CLAIMED, lambda card: plan_gift_claim(card, customer_id=BO, at=AT)),
    "claim anew": (CardEvent.REPLACED, lambda card: plan_replacement(card, by=NEXT, claimed=True)),
    "cancel": (CardEvent.GIFT_CANCELLED, lambda card: plan_gift_end(card, event=CardEvent.GIFT_CANCELLED)),
    "replace": (CardEvent.REPLACED, lambda card: plan_replacement(card, by=NEXT)),
    "close": (CardEvent.CLOSED, lambda card: advance(card, CardEvent.CLOSED)),
    "expire": (CardEvent.EXPIRED, lambda card: advance(card, CardEvent.EXPIRED)),
    "extend": (CardEvent.EXTENDED, lambda card: advance(card, CardEvent.EXTENDED)),
}


def card_of(form: CardForm) -> Card:
    return Card(0, UUID(int=9), 1, UUID(int=8), None, form, CardStatus.ISSUED, None, "1234", None, AT, None, 0)


def unversioned(card: Card) -> Card:
    return replace(card, version=0)


def every_state(form: CardForm) -> set[Card]:
    """All that any order of events makes of a card."""
    found, waiting = {unversioned(card_of(form))}, [card_of(form)]
    while waiting:
        card = waiting.pop()
        for _, plan in PLANS.values():
            after = plan(card)
            if isinstance(after, Card) and unversioned(after) not in found:
                found.add(unversioned(after))
                waiting.append(after)
    return found


STATES = {form: sorted(every_state(form), key=repr) for form in CardForm}


def test_every_status_can_be_reached_and_the_search_ends() -> None:
    assert {card.status for card in STATES[CardForm.DIGITAL]} == set(CardStatus)
    assert {card.status for card in STATES[CardForm.PHYSICAL]} == set(CardStatus) - {CardStatus.GIFTED}
    assert all(50 < len(states) < 2_000 for states in STATES.values())


@pytest.mark.parametrize("form", CardForm)
def test_nothing_leads_out_of_replaced_and_closed(form: CardForm) -> None:
    for card, (event, plan) in product(STATES[form], PLANS.values()):
        if card.status not in (CardStatus.REPLACED, CardStatus.CLOSED):
            continue
        after = plan(card)
        if isinstance(after, Refusal):
            assert after.outcome is UNUSABLE[card.status] or after.code in ("only_digital", "card_registered")
        else:
            assert after is card, event


@pytest.mark.parametrize("form", CardForm)
def test_every_step_is_one_that_the_table_allows_and_ends_in_a_settled_status(form: CardForm) -> None:
    for card, (event, plan) in product(STATES[form], PLANS.values()):
        after = plan(card)
        if isinstance(after, Refusal):
            assert after.message("en")
            assert after.message("zh")
            continue
        if after is card:
            continue
        assert card.status in MAY_HAPPEN[event]
        assert after.version == card.version + 1
        ended = ENDS.get(event) or (CardStatus.EXPIRED if card.status is CardStatus.EXPIRED else None)
        expected = settle(after) if event is CardEvent.EXTENDED or ended is None else ended
        assert after.status is expected


@pytest.mark.parametrize("form", CardForm)
def test_asking_twice_is_asking_once(form: CardForm) -> None:
    once = {"activate", "register", "unbind", "block", "unblock", "report", "report later", "effect", "found"}
    for card, name in product(STATES[form], once):
        after = PLANS[name][1](card)
        if isinstance(after, Card):
            assert PLANS[name][1](after) is after


@pytest.mark.parametrize("form", CardForm)
def test_an_unblock_leaves_what_lies_under_the_block(form: CardForm) -> None:
    for card in STATES[form]:
        blocked = plan_block(card, reason=BlockReason.RISK)
        if isinstance(blocked, Refusal) or card.status is CardStatus.BLOCKED:
            continue
        back = plan_unblock(blocked)
        assert asdict(unversioned(back)) == asdict(unversioned(card))


def test_a_lost_card_that_is_blocked_stays_lost_under_the_block() -> None:
    lost = PLANS["report"][1](card_of(CardForm.DIGITAL))
    assert isinstance(lost, Card)
    blocked = plan_block(lost, reason=BlockReason.LEGAL_ORDER)
    assert isinstance(blocked, Card)
    assert blocked.status is CardStatus.BLOCKED
    assert plan_unblock(blocked).status is CardStatus.LOST
    found = plan_found(blocked)
    assert isinstance(found, Card)
    assert found.status is CardStatus.BLOCKED
    assert plan_unblock(found).status is CardStatus.ISSUED


def test_a_court_order_cannot_be_walked_around() -> None:
    active = plan_activation(card_of(CardForm.DIGITAL), at=AT)
    assert isinstance(active, Card)
    blocked = plan_block(active, reason=BlockReason.LEGAL_ORDER)
    assert isinstance(blocked, Card)
    for name in ("replace", "claim anew", "give", "claim", "close", "register", "unbind", "activate"):
        refused = PLANS[name][1](blocked)
        assert blocked == refused if name == "unbind" else isinstance(refused, Refusal), name


def test_a_gift_that_was_reported_lost_is_claimed_by_nobody() -> None:
    for card in STATES[CardForm.DIGITAL]:
        for name in ("claim", "claim anew"):
            after = PLANS[name][1](card)
            assert isinstance(after, Card) is (card.status is CardStatus.GIFTED), (name, card.status)


def test_a_physical_card_may_be_lost_later_a_digital_one_is_at_once() -> None:
    for form, status, lost_at, due_at in (
        (CardForm.DIGITAL, CardStatus.LOST, AT, AT),
        (CardForm.PHYSICAL, CardStatus.ISSUED, None, LATER),
    ):
        after = PLANS["report later"][1](card_of(form))
        assert isinstance(after, Card)
        assert (after.status, after.lost_at, after.loss_due_at) == (status, lost_at, due_at)
    after_report = after
    assert isinstance(after_report, Card)
    effective = plan_loss_effect(after_report, at=LATER)
    assert isinstance(effective, Card)
    assert (effective.status, effective.lost_at) == (CardStatus.LOST, LATER)
    unbinding = plan_unbinding(replace(after_report, customer_id=ANNA))
    assert isinstance(unbinding, Refusal)
    assert unbinding.code == "loss_report_pending"


def test_an_active_card_says_its_status_where_an_event_cannot_happen() -> None:
    active = replace(card_of(CardForm.DIGITAL), status=CardStatus.ACTIVE, activated_at=AT)
    for event, statuses in MAY_HAPPEN.items():
        if CardStatus.ACTIVE not in statuses:
            refused = advance(active, event)
            assert isinstance(refused, Refusal), event
            assert (refused.code, refused.details["status"]) == ("card_status_forbids", "active")
