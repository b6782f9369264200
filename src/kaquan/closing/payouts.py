"""Payouts: who made an instruction does not confirm it. The transfer itself is made elsewhere; here is its evidence."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from kaquan.closing import store
from kaquan.closing.close import check_payee, is_same_name, make_payout
from kaquan.closing.days import day_of
from kaquan.closing.events import PAYOUT_FAILED, PAYOUT_PAID
from kaquan.closing.once import Decision, carry_out
from kaquan.closing.outcomes import (
    PAYEE_NOT_HOLDER,
    PAYOUT_NOT_FAILED,
    PAYOUT_NOT_PENDING,
    REFUND_RULE_MISSING,
)
from kaquan.closing.refund_rules import RulesError
from kaquan.closing.types import Payee, Payout, PayoutSearch, PayoutStatus, RulesOf, person_of
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import Answer, Effect, Leg, Posting, RequestKey, slot_of
from kaquan.notices import Event, NewNotice
from kaquan.parties.outcomes import FOUR_EYES
from kaquan.parties.trail import Action, Actor, new_action, write_action
from kaquan.vault import Keyring

PAYOUT_CLEARING = "payout_clearing"
"""The kind of the issuer's account that a payout leaves through; a bank statement is matched against it."""


def plan_settlement(payout: Payout, *, checked_by: UUID) -> Refusal | None:
    """Whether a payout can be settled by this person. Refused: ``payout_not_pending``, ``four_eyes``."""
    if payout.status is not PayoutStatus.PENDING:
        return PAYOUT_NOT_PENDING.refuse("id", status=payout.status.value)
    return FOUR_EYES.refuse("id") if payout.made_by == checked_by else None


async def mark_paid(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    payout_id: UUID,
    payment_reference: str,
    by: Actor,
    key: RequestKey,
    render: Callable[[Payout], Answer],
) -> Answer | Refusal:
    """Confirm that a payout was made, with the reference of the payment; what was owed is cleared, once for a key.

    Refused: ``not_found``, ``payout_not_pending``, ``four_eyes``.
    """
    slot, person = slot_of(payout_id, slots), person_of(by)

    async def decide() -> Decision | Refusal:
        payout = await _pending(pool, book_id=book_id, slot=slot, payout_id=payout_id, checked_by=person)
        if isinstance(payout, Refusal):
            return payout
        now = clock.now()
        issuer_id = await store.load_issuer(pool, slot=slot, card_id=payout.card_id)
        opened = await store.open_issuer_accounts(
            pool, slot=slot, wanted=[(book_id, issuer_id, PAYOUT_CLEARING, payout.currency)]
        )
        clearing = opened[issuer_id, PAYOUT_CLEARING, payout.currency]
        posting = Posting(
            transaction_id=ids.new_near(payout.card_id),
            kind="payout",
            effective_at=now,
            legs=[Leg(Effect.POST, payout.payable_account_id, None, clearing, None, payout.amount_fen)],
            related_id=payout.transaction_id,
            reference=payment_reference,
        )
        paid = replace(
            payout,
            status=PayoutStatus.PAID,
            checked_by=person,
            payment_reference=payment_reference,
            paid_transaction_id=posting.transaction_id,
            changed_at=now,
            version=payout.version + 1,
        )
        notice = _notice(paid, PAYOUT_PAID, ids)
        action = _action(clock, ids, by, "payout.paid", payout, paid)

        async def write(connection: Connection) -> bool:
            if not await store.change_payout(connection, paid, notice=notice):
                return False
            await write_action(connection, action)
            return True

        return Decision(render(paid), posting, before=write)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)


async def mark_failed(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    payout_id: UUID,
    failure: str,
    by: Actor,
    key: RequestKey,
    render: Callable[[Payout], Answer],
) -> Answer | Refusal:
    """Record that a payout did not reach its payee: it is owed still. Once for a key.

    Refused: ``not_found``, ``payout_not_pending``, ``four_eyes``.
    """
    slot, person = slot_of(payout_id, slots), person_of(by)

    async def decide() -> Decision | Refusal:
        payout = await _pending(pool, book_id=book_id, slot=slot, payout_id=payout_id, checked_by=person)
        if isinstance(payout, Refusal):
            return payout
        failed = replace(
            payout,
            status=PayoutStatus.FAILED,
            checked_by=person,
            failure=failure,
            changed_at=clock.now(),
            version=payout.version + 1,
        )
        notice = _notice(failed, PAYOUT_FAILED, ids)
        action = _action(clock, ids, by, "payout.failed", payout, failed)

        async def write(connection: Connection) -> bool:
            if not await store.change_payout(connection, failed, notice=notice):
                return False
            await write_action(connection, action)
            return True

        return Decision(render(failed), before=write)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)


async def _pending(pool: Pool, *, book_id: int, slot: int, payout_id: UUID, checked_by: UUID) -> Payout | Refusal:
    payout = await store.load_payout(pool, book_id=book_id, slot=slot, payout_id=payout_id)
    if payout is None:
        return NOT_FOUND.refuse("id", what="payout")
    return plan_settlement(payout, checked_by=checked_by) or payout


def _action(clock: Clock, ids: Ids, by: Actor, kind: str, before: Payout, after: Payout) -> Action:
    return new_action(
        clock,
        ids,
        book_id=before.book_id,
        by=by,
        kind=kind,
        prefix=Prefix.PAYOUT,
        subject_id=before.id,
        before=_shown(before),
        after=_shown(after),
    )


def _shown(payout: Payout) -> dict[str, Any]:
    """What the trail tells of a payout: not whom it pays."""
    return {
        "payout_id": show_id(Prefix.PAYOUT, payout.id),
        "status": payout.status.value,
        "amount_fen": payout.amount_fen,
        "payment_reference": payout.payment_reference,
        "failure": payout.failure,
    }


def _notice(payout: Payout, event: Event, ids: Ids) -> NewNotice:
    return NewNotice(
        payout.slot,
        ids.new_near(payout.card_id),
        payout.book_id,
        event,
        payout.card_id,
        {
            "card_id": show_id(Prefix.CARD, payout.card_id),
            "payout_id": show_id(Prefix.PAYOUT, payout.id),
            "amount_fen": payout.amount_fen,
            "currency": payout.currency,
            "reference": payout.payment_reference,
            "failure": payout.failure,
        },
    )


async def get_payout(pool: Pool, *, book_id: int, slots: tuple[int, ...], payout_id: UUID) -> Payout | Refusal:
    """The payout with this id. Refused: ``not_found``."""
    found = await store.load_payout(pool, book_id=book_id, slot=slot_of(payout_id, slots), payout_id=payout_id)
    return NOT_FOUND.refuse("id", what="payout") if found is None else found


async def reveal_payee(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    *,
    book_id: int,
    slots: tuple[int, ...],
    payout_id: UUID,
    by: Actor,
) -> Payee | Refusal:
    """Who is to be paid; the trail tells that ``by`` saw it, without it.

    Refused: ``not_found``.
    """
    found = await get_payout(pool, book_id=book_id, slots=slots, payout_id=payout_id)
    if isinstance(found, Refusal):
        return found
    # before it is out: no payee is seen without a trace
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="payee.revealed", prefix=Prefix.PAYOUT, subject_id=payout_id
    )
    await store.post_action(pool, action)
    return _open_payee(keyring, found)


async def list_payouts(pool: Pool, *, book_id: int, slots: tuple[int, ...], search: PayoutSearch) -> Page[Payout]:
    """Payouts of a book, the newest first."""
    rows = await store.load_payouts(pool, book_id, slots, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def replace_payout(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    book_id: int,
    slots: tuple[int, ...],
    payout_id: UUID,
    payee: Payee,
    by: Actor,
    key: RequestKey,
    render: Callable[[Payout], Answer],
) -> Answer | Refusal:
    """A new payout in the place of one that failed, to another account of the same holder. Once for a key.

    Refused: ``not_found``, ``payout_not_failed``, and as :func:`kaquan.closing.close.check_payee`; a name other than
    that of the failed payout's holder is ``payee_not_holder``.
    """
    slot, person = slot_of(payout_id, slots), person_of(by)

    async def decide() -> Decision | Refusal:
        failed = await get_payout(pool, book_id=book_id, slots=slots, payout_id=payout_id)
        if isinstance(failed, Refusal):
            return failed
        others = await store.load_payouts(pool, book_id, [slot], PayoutSearch(card_id=failed.card_id))
        if any(one.status is not PayoutStatus.FAILED for one in others):
            return PAYOUT_NOT_FAILED.refuse("id")
        holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=failed.card_id)
        assert not isinstance(holding, Refusal), "a payout has a card"
        now = clock.now()
        rules = await rules_of(holding, day_of(now, holding.programme.time_zone))
        if isinstance(rules, RulesError):
            return REFUND_RULE_MISSING.refuse("id", what=rules.name)
        closed = await store.load_closure(pool, book_id=book_id, slot=slot, card_id=failed.card_id)
        assert closed is not None, "a payout is of a closing"
        if (refused := check_payee(payee, failed.amount_fen, rules)) is not None:
            return refused
        before = _open_payee(keyring, failed)
        if not is_same_name(payee.holder_name, before.holder_name):
            return PAYEE_NOT_HOLDER.refuse("payee.holder_name")
        made = make_payout(
            holding,
            rules,
            payee,
            keyring,
            ids,
            transaction_id=failed.transaction_id,
            amount_fen=failed.amount_fen,
            payable_account_id=failed.payable_account_id,
            cause=closed.quote.cause,
            made_by=person,
            now=now,
        )

        action = _action(clock, ids, by, "payout.replaced", failed, made)

        async def write(connection: Connection) -> bool:
            # moves the version of the failed one, so that it is replaced once
            if not await store.replace_payout(connection, replace(failed, version=failed.version + 1), made):
                return False
            await write_action(connection, action)
            return True

        return Decision(render(made), before=write)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)


def _open_payee(keyring: Keyring, payout: Payout) -> Payee:
    return msgspec.json.decode(keyring.open(payout.payee_sealed, store.SEAL_PREFIX + payout.id.bytes), type=Payee)
