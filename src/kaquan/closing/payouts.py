"""Payouts: who made an instruction does not confirm it. The transfer itself is made elsewhere; here is its evidence."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from kaquan.closing import store
from kaquan.closing.close import SEAL_PREFIX, check_payee, is_same_name, make_payout
from kaquan.closing.events import PAYOUT_FAILED, PAYOUT_PAID
from kaquan.closing.once import Decision, answer_once
from kaquan.closing.outcomes import (
    FOUR_EYES,
    PAYEE_NOT_HOLDER,
    PAYOUT_NOT_FAILED,
    PAYOUT_NOT_PENDING,
    REFUND_RULE_MISSING,
)
from kaquan.closing.types import Payee, Payout, PayoutSearch, PayoutStatus, RulesOf
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import Answer, Effect, Leg, Posting, RequestKey, slot_of
from kaquan.notices import Event, NewNotice
from kaquan.vault import Keyring

PAYOUT_CLEARING = "payout_clearing"
"""The kind of the issuer's account that a payout leaves through; a bank statement is matched against it."""

_log = structlog.get_logger(__name__)


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
    checked_by: UUID,
    key: RequestKey,
    render: Callable[[Payout | Refusal], Answer],
) -> Answer:
    """Confirm that a payout was made, with the reference of the payment; what was owed is cleared, once for a key.

    Refused: ``not_found``, ``payout_not_pending``, ``four_eyes``.
    """
    slot = slot_of(payout_id, slots)

    async def decide() -> Decision:
        payout = await _pending(pool, book_id=book_id, slot=slot, payout_id=payout_id, checked_by=checked_by)
        if isinstance(payout, Refusal):
            return Decision(render(payout))
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
            checked_by=checked_by,
            payment_reference=payment_reference,
            paid_transaction_id=posting.transaction_id,
            changed_at=now,
            version=payout.version + 1,
        )
        notice = _notice(paid, PAYOUT_PAID, ids)

        async def write(connection: Connection) -> bool:
            return await store.change_payout(connection, paid, notice=notice)

        return Decision(render(paid), posting, before=write)

    return await answer_once(
        pool, clock, book_id=book_id, slots=slots, slot=slot, key=key, decide=decide, render=render
    )


async def mark_failed(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    slots: tuple[int, ...],
    payout_id: UUID,
    failure: str,
    checked_by: UUID,
    key: RequestKey,
    render: Callable[[Payout | Refusal], Answer],
) -> Answer:
    """Record that a payout did not reach its payee: it is owed still. Once for a key.

    Refused: ``not_found``, ``payout_not_pending``, ``four_eyes``.
    """
    slot = slot_of(payout_id, slots)

    async def decide() -> Decision:
        payout = await _pending(pool, book_id=book_id, slot=slot, payout_id=payout_id, checked_by=checked_by)
        if isinstance(payout, Refusal):
            return Decision(render(payout))
        failed = replace(
            payout,
            status=PayoutStatus.FAILED,
            checked_by=checked_by,
            failure=failure,
            changed_at=clock.now(),
            version=payout.version + 1,
        )
        notice = _notice(failed, PAYOUT_FAILED, ids)

        async def write(connection: Connection) -> bool:
            return await store.change_payout(connection, failed, notice=notice)

        return Decision(render(failed), before=write)

    return await answer_once(
        pool, clock, book_id=book_id, slots=slots, slot=slot, key=key, decide=decide, render=render
    )


async def _pending(pool: Pool, *, book_id: int, slot: int, payout_id: UUID, checked_by: UUID) -> Payout | Refusal:
    payout = await store.load_payout(pool, book_id=book_id, slot=slot, payout_id=payout_id)
    if payout is None:
        return NOT_FOUND.refuse("id", what="payout")
    return plan_settlement(payout, checked_by=checked_by) or payout


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
    pool: Pool, keyring: Keyring, *, book_id: int, slots: tuple[int, ...], payout_id: UUID, key_id: UUID
) -> Payee | Refusal:
    """Who is to be paid, for the holder of the API key ``key_id``; the log tells of it, without it.

    Refused: ``not_found``.
    """
    found = await get_payout(pool, book_id=book_id, slots=slots, payout_id=payout_id)
    if isinstance(found, Refusal):
        return found
    # before it is out: no payee is seen without a trace
    _log.info("payee_revealed", payout_id=str(payout_id), key_id=str(key_id), book_id=book_id)
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
    made_by: UUID,
    key: RequestKey,
    render: Callable[[Payout | Refusal], Answer],
) -> Answer:
    """A new payout in the place of one that failed, to another account of the same holder. Once for a key.

    Refused: ``not_found``, ``payout_not_failed``, and as :func:`kaquan.closing.close.check_payee`; a name other than
    that of the failed payout's holder is ``payee_not_holder``.
    """
    slot = slot_of(payout_id, slots)

    async def decide() -> Decision:
        failed = await get_payout(pool, book_id=book_id, slots=slots, payout_id=payout_id)
        if isinstance(failed, Refusal):
            return Decision(render(failed))
        others = await store.load_payouts(pool, book_id, [slot], PayoutSearch(card_id=failed.card_id))
        if any(one.status is not PayoutStatus.FAILED for one in others):
            return Decision(render(PAYOUT_NOT_FAILED.refuse("id")))
        holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=failed.card_id)
        assert not isinstance(holding, Refusal), "a payout has a card"
        rules = await rules_of(book_id, holding.programme.id)
        if rules is None:
            return Decision(render(REFUND_RULE_MISSING.refuse("id", what="refund_values")))
        if (refused := check_payee(payee, failed.amount_fen, rules)) is not None:
            return Decision(render(refused))
        before = _open_payee(keyring, failed)
        if not is_same_name(payee.holder_name, before.holder_name):
            return Decision(render(PAYEE_NOT_HOLDER.refuse("payee.holder_name")))
        made = make_payout(
            holding,
            rules,
            payee,
            keyring,
            ids,
            transaction_id=failed.transaction_id,
            amount_fen=failed.amount_fen,
            payable_account_id=failed.payable_account_id,
            made_by=made_by,
            now=clock.now(),
        )

        async def write(connection: Connection) -> bool:
            # moves the version of the failed one, so that it is replaced once
            return await store.replace_payout(connection, replace(failed, version=failed.version + 1), made)

        return Decision(render(made), before=write)

    return await answer_once(
        pool, clock, book_id=book_id, slots=slots, slot=slot, key=key, decide=decide, render=render
    )


def _open_payee(keyring: Keyring, payout: Payout) -> Payee:
    return msgspec.json.decode(keyring.open(payout.payee_sealed, SEAL_PREFIX + payout.id.bytes), type=Payee)
