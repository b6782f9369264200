"""The whole of what each verb of payments decides: nothing in a plan is left to chance."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.unit.plan_facts import (
    BONUS,
    BOOK,
    CARD,
    CLEARING,
    EXPENSE,
    MERCHANT,
    NEW,
    NOW,
    PAYABLE,
    PAYMENT,
    PLACE,
    PRINCIPAL,
    PROGRAMME,
    STORE,
    TERMINAL,
    card,
    facts,
    lot,
    payment,
    planned,
    programme,
    refused,
    spent,
)

from kaquan.cards import Pocket
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Guard, Leg, NewLot, Posting
from kaquan.payments import Capture, Load, Payment, PaymentKind, PaymentStatus, Plan, PocketAmount, Refund, Spend, Void
from kaquan.payments.capture import plan_capture
from kaquan.payments.limits import (
    Holder,
    Limit,
    LimitScope,
    Metric,
    Movement,
    Period,
    Subjects,
    Usage,
    UsageFacts,
    compile_limits,
    moment_of,
    uses_of,
)
from kaquan.payments.load import plan_load
from kaquan.payments.plan import count_uses
from kaquan.payments.refund import plan_refund
from kaquan.payments.spend import plan_spend
from kaquan.payments.types import Facts, Receipt
from kaquan.payments.void import plan_void

EARLIER, LATER = NOW - timedelta(hours=2), NOW + timedelta(hours=1)
DEVICE, PERSON = UUID(int=91), UUID(int=92)
KNOWN = card([lot(1, 400), lot(2, 50, NOW)], [lot(3, 30, LATER)])
"""480 to spend; 50 more have just ended."""

TAKEN = [Leg(Effect.POST, BONUS, 3, PAYABLE, None, 30), Leg(Effect.POST, PRINCIPAL, 1, PAYABLE, None, 70)]
BOTH = [Guard(PRINCIPAL, 5), Guard(BONUS, 9)]


def made(kind: PaymentKind, status: PaymentStatus, amount_fen: int, **other: object) -> Payment:
    """A new payment as its row will be, at the shop."""
    row: dict[str, object] = {
        "slot": -1, "id": NEW, "book_id": BOOK, "kind": kind, "status": status, "card_id": CARD,
        "merchant_id": MERCHANT, "store_id": STORE, "terminal_id": TERMINAL, "original_id": None, "currency": "CNY",
        "amount_fen": amount_fen, "bonus_fen": 0, "captured_fen": amount_fen, "refunded_fen": 0, "reference": "order 7",
        "expires_at": None, "occurred_at": EARLIER, "created_at": NOW, "version": 0,
    }  # fmt: skip
    return Payment(**{**row, **other})  # type: ignore[arg-type]


def test_a_load() -> None:
    terms = programme(principal_valid_days=1, bonus_valid_days=2)
    new = made(PaymentKind.LOAD, PaymentStatus.COMPLETED, 500, bonus_fen=60)
    ends = [datetime(2026, 3, day, 16, tzinfo=UTC) for day in (2, 3)]
    assert plan_load(facts(KNOWN, terms=terms), Load(CARD, 500, 60, EARLIER, "order 7", PLACE)) == Plan(
        Posting(
            NEW,
            "load",
            EARLIER,
            [Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500), Leg(Effect.POST, EXPENSE, None, BONUS, 10, 60)],
            BOTH,
            [NewLot(PRINCIPAL, 6, 500, 60, ends[0]), NewLot(BONUS, 10, 500, 60, ends[1])],
            place_id=TERMINAL,
            reference="order 7",
        ),
        Receipt(new, [PocketAmount(Pocket.PRINCIPAL, 500), PocketAmount(Pocket.BONUS, 60)], 430 + 560),
        new=new,
    )


def test_a_load_without_a_place_that_happens_now() -> None:
    plan = planned(plan_load(facts(KNOWN), Load(CARD, 500, 0)))
    assert plan.new == made(
        PaymentKind.LOAD, PaymentStatus.COMPLETED, 500, occurred_at=NOW, reference=None, merchant_id=None,
        store_id=None, terminal_id=None,
    )  # fmt: skip
    assert plan.posting == Posting(
        NEW, "load", NOW, [Leg(Effect.POST, CLEARING, None, PRINCIPAL, 6, 500)], [Guard(PRINCIPAL, 5)],
        [NewLot(PRINCIPAL, 6, 500, 0, None)],
    )  # fmt: skip


@pytest.mark.parametrize(("seconds", "there"), [(0, 0), (1, 500)])
def test_a_load_that_has_ended_already_is_not_there_to_spend(seconds: int, there: int) -> None:
    """It was made the day before, and ends with this moment or one second later."""
    ends = datetime(2026, 3, 1, 16, tzinfo=UTC)
    known = facts(card(), terms=programme(principal_valid_days=1), now=ends - timedelta(seconds=seconds))
    plan = planned(plan_load(known, Load(CARD, 500, 0, ends - timedelta(days=1, hours=1))))
    assert plan.posting.lots[0].expires_at == ends
    assert plan.receipt.balance_fen == there


def test_a_bonus_alone_leaves_the_principal_as_it_is() -> None:
    plan = planned(plan_load(facts(card()), Load(CARD, 0, 30, NOW)))
    assert plan.posting.legs == [Leg(Effect.POST, EXPENSE, None, BONUS, 10, 30)]
    assert plan.receipt.pockets == [PocketAmount(Pocket.BONUS, 30)]


def test_a_purchase() -> None:
    new = made(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, 100)
    assert plan_spend(facts(KNOWN), Spend(CARD, 100, PLACE, EARLIER, "order 7")) == Plan(
        Posting(NEW, "purchase", EARLIER, TAKEN, BOTH, place_id=TERMINAL, reference="order 7"),
        Receipt(new, [PocketAmount(Pocket.PRINCIPAL, 70), PocketAmount(Pocket.BONUS, 30)], 330),
        new=new,
    )


@pytest.mark.parametrize(("asked_s", "open_s"), [(None, 3_600), (60, 60)])
def test_an_authorization(asked_s: int | None, open_s: int) -> None:
    new = made(
        PaymentKind.AUTHORIZATION, PaymentStatus.OPEN, 100, captured_fen=0, reference=None, occurred_at=NOW,
        expires_at=NOW + timedelta(seconds=open_s),
    )  # fmt: skip
    assert plan_spend(facts(KNOWN), Spend(CARD, 100, PLACE, authorize=True, expires_in_s=asked_s)) == Plan(
        Posting(
            NEW, "authorization", NOW, [leg._replace(effect=Effect.RESERVE) for leg in TAKEN], BOTH, place_id=TERMINAL
        ),
        Receipt(new, [PocketAmount(Pocket.PRINCIPAL, 70), PocketAmount(Pocket.BONUS, 30)], 330),
        new=new,
    )


ALL = Capture(PAYMENT, None, True)
HELD = [spent(BONUS, 3, reserved_fen=30), spent(PRINCIPAL, 1, reserved_fen=70)]


def test_a_capture_of_a_part_that_is_the_last() -> None:
    before = payment(amount_fen=120, captured_fen=20)
    after = payment(amount_fen=120, captured_fen=70, status=PaymentStatus.COMPLETED, version=4)
    assert plan_capture(facts(KNOWN, of_payment=before, legs=HELD), Capture(PAYMENT, 50, True, EARLIER)) == Plan(
        Posting(
            NEW,
            "capture",
            EARLIER,
            [
                Leg(Effect.CAPTURE, BONUS, 3, PAYABLE, None, 30),
                Leg(Effect.CAPTURE, PRINCIPAL, 1, PAYABLE, None, 20),
                Leg(Effect.RELEASE, PRINCIPAL, 1, PAYABLE, None, 50),
            ],
            BOTH,
            related_id=PAYMENT,
            place_id=TERMINAL,
        ),
        Receipt(after, [PocketAmount(Pocket.PRINCIPAL, 20), PocketAmount(Pocket.BONUS, 30)], 480),
        changed=after,
    )


def test_a_capture_of_a_part_that_leaves_the_rest() -> None:
    plan = planned(plan_capture(facts(KNOWN, of_payment=payment(), legs=HELD), Capture(PAYMENT, 30, False)))
    after = payment(captured_fen=30, version=4)
    assert plan == Plan(
        Posting(
            NEW, "capture", NOW, [Leg(Effect.CAPTURE, BONUS, 3, PAYABLE, None, 30)], [Guard(BONUS, 9)],
            related_id=PAYMENT, place_id=TERMINAL,
        ),
        Receipt(after, [PocketAmount(Pocket.BONUS, 30)], 430),
        changed=after,
    )  # fmt: skip


def test_a_capture_of_all_ends_it_whatever_was_asked() -> None:
    for command in (Capture(PAYMENT, None, False), Capture(PAYMENT, 100, False), ALL):
        plan = planned(plan_capture(facts(KNOWN, of_payment=payment(), legs=HELD), command))
        assert plan.changed == payment(captured_fen=100, status=PaymentStatus.COMPLETED, version=4)
        assert [leg.effect for leg in plan.posting.legs] == [Effect.CAPTURE, Effect.CAPTURE]
        assert plan.receipt.balance_fen == 430


def test_a_capture_refused() -> None:
    refused(
        plan_capture(facts(KNOWN, of_payment=payment(), legs=HELD), Capture(PAYMENT, 101, True)),
        "capture_exceeds_authorization", "amount_fen", left_fen=100,
    )  # fmt: skip
    refused(
        plan_capture(facts(KNOWN, of_payment=payment(expires_at=NOW), legs=HELD), ALL),
        "authorization_expired", "payment_id", expires_at=NOW.isoformat(),
    )  # fmt: skip
    refused(
        plan_capture(facts(KNOWN, of_payment=payment(status=PaymentStatus.VOIDED), legs=HELD), ALL),
        "authorization_not_open", "payment_id", status="voided",
    )  # fmt: skip
    refused(plan_capture(facts(KNOWN), Capture(PAYMENT, None, True)), "not_found", "payment_id", what="payment")
    refused(plan_capture(facts(None, of_payment=payment()), Capture(PAYMENT, None, True)), "not_found", "payment_id")
    refused(
        plan_capture(facts(KNOWN, of_payment=payment(book_id=8)), Capture(PAYMENT, None, True)),
        "not_found",
        "payment_id",
    )


@pytest.mark.parametrize(
    ("expired", "captured_fen", "kind", "status"),
    [
        (False, 0, "void", PaymentStatus.VOIDED),
        (True, 0, "expiry", PaymentStatus.EXPIRED),
        (False, 1, "void", PaymentStatus.COMPLETED),
        (True, 1, "expiry", PaymentStatus.COMPLETED),
    ],
)
def test_a_void(expired: bool, captured_fen: int, kind: str, status: PaymentStatus) -> None:
    held = [spent(BONUS, 3, captured_fen=30), spent(PRINCIPAL, 1, reserved_fen=70)]
    known = facts(KNOWN, of_payment=payment(captured_fen=captured_fen), legs=held)
    after = payment(captured_fen=captured_fen, status=status, version=4)
    assert plan_void(known, Void(PAYMENT, EARLIER, expired)) == Plan(
        Posting(
            NEW, kind, EARLIER, [Leg(Effect.RELEASE, PRINCIPAL, 1, PAYABLE, None, 70)], [Guard(PRINCIPAL, 5)],
            related_id=PAYMENT, place_id=TERMINAL,
        ),
        Receipt(after, [PocketAmount(Pocket.PRINCIPAL, 70)], 500),
        changed=after,
    )  # fmt: skip


def test_a_void_that_happens_now_and_one_of_an_ended_lot() -> None:
    held = [spent(PRINCIPAL, 1, reserved_fen=70)._replace(expired=True)]
    plan = planned(plan_void(facts(KNOWN, of_payment=payment(), legs=held), Void(PAYMENT)))
    assert (plan.posting.effective_at, plan.receipt.balance_fen) == (NOW, 430)
    refused(
        plan_void(facts(KNOWN, of_payment=payment(status=PaymentStatus.COMPLETED), legs=held), Void(PAYMENT)),
        "authorization_not_open", "payment_id", status="completed",
    )  # fmt: skip


def test_a_refund() -> None:
    before = payment(PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, refunded_fen=10, expires_at=None)
    bought = [spent(BONUS, 3, captured_fen=30, refunded_fen=10), spent(PRINCIPAL, 1, captured_fen=70)]
    new = made(PaymentKind.REFUND, PaymentStatus.COMPLETED, 9, original_id=PAYMENT)
    changed = payment(
        PaymentKind.PURCHASE, PaymentStatus.COMPLETED, captured_fen=100, refunded_fen=19, expires_at=None, version=4
    )
    assert plan_refund(facts(KNOWN, of_payment=before, legs=bought), Refund(PAYMENT, 9, EARLIER, "order 7")) == Plan(
        Posting(
            NEW,
            "refund",
            EARLIER,
            [Leg(Effect.POST, PAYABLE, None, BONUS, 3, 2), Leg(Effect.POST, PAYABLE, None, PRINCIPAL, 1, 7)],
            BOTH,
            related_id=PAYMENT,
            place_id=TERMINAL,
            reference="order 7",
        ),
        Receipt(new, [PocketAmount(Pocket.PRINCIPAL, 7), PocketAmount(Pocket.BONUS, 2)], 439),
        new=new,
        changed=changed,
    )
    all_of_it = planned(plan_refund(facts(KNOWN, of_payment=before, legs=bought), Refund(PAYMENT, None)))
    assert all_of_it.new == made(
        PaymentKind.REFUND, PaymentStatus.COMPLETED, 90, original_id=PAYMENT, occurred_at=NOW, reference=None
    )


# Limits


def limit(number: int, scope: LimitScope, movement: Movement, maximum: int) -> Limit:
    return Limit(
        id=UUID(int=number), book_id=BOOK, programme_id=PROGRAMME, name="a day", movement=movement, scope=scope,
        holder=Holder.ANY, metric=Metric.AMOUNT, period=Period.DAY, maximum=maximum, trailing_s=None, hours=None,
        replaces_id=None, created_at=NOW, ended_at=None,
    )  # fmt: skip


def known_limits(movement: Movement, used_fen: int | None) -> Facts:
    """A limit of 500 for everything that can have one; ``used_fen`` of each is used today."""
    limits = compile_limits(
        [limit(number, scope, movement, 500) for number, scope in enumerate(LimitScope, start=100)],
        movement=movement,
        registered=True,
    )
    of = facts(card([lot(1, 900)], customer_id=PERSON))._replace(limits=limits)
    if used_fen is None:
        return of
    uses = uses_of(limits, SUBJECTS, amount_fen=1, moment=moment_of(EARLIER, "Asia/Shanghai"))
    assert not isinstance(uses, Refusal)
    used = {
        use.key: Usage(use.day, used_fen, 1, use.month, used_fen, 1, use.year, used_fen, 1) for use in uses.calendar
    }
    return of._replace(usage=UsageFacts(used, {}))


SUBJECTS = Subjects(PROGRAMME, UUID(int=3), CARD, PERSON, DEVICE, TERMINAL, STORE, MERCHANT)


def test_a_spend_counts_for_everybody_whose_limits_it_touches() -> None:
    known = known_limits(Movement.SPEND, 400)
    spend = Spend(CARD, 100, PLACE, EARLIER, device_id=DEVICE)
    expected = uses_of(known.limits, SUBJECTS, amount_fen=100, moment=moment_of(EARLIER, "Asia/Shanghai"))
    assert not isinstance(expected, Refusal)
    assert len(expected.calendar) == len(LimitScope)
    assert count_uses(known, spend, amount_fen=100, occurred_at=EARLIER) == expected
    assert planned(plan_spend(known, spend)).uses == expected
    refused(plan_spend(known, spend._replace(amount_fen=101)), "limit_exceeded", "amount_fen")


def test_a_load_counts_too_where_it_was_made() -> None:
    known = known_limits(Movement.LOAD, 400)
    load = Load(CARD, 100, 30, EARLIER, None, PLACE, device_id=DEVICE)
    expected = uses_of(known.limits, SUBJECTS, amount_fen=100, moment=moment_of(EARLIER, "Asia/Shanghai"))
    assert planned(plan_load(known, load)).uses == expected
    refused(plan_load(known, load._replace(amount_fen=101)), "limit_exceeded", "amount_fen")
    nowhere = uses_of(
        known.limits, SUBJECTS._replace(device_id=None, terminal_id=None, store_id=None, merchant_id=None),
        amount_fen=100, moment=moment_of(EARLIER, "Asia/Shanghai"),
    )  # fmt: skip
    assert planned(plan_load(known, Load(CARD, 100, 30, EARLIER))).uses == nowhere
    assert planned(plan_load(known_limits(Movement.LOAD, None), load)).uses == expected
