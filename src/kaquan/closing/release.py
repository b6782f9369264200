"""Release what came back to a replaced card that no living card follows: it is owed to its holder and is paid out.

A refund, a void or value that had ended may reach a card after it was replaced; the worker sends it on to the card that
has its place. Where that was closed meanwhile nobody can use it, and an operator releases it with another's approval.
Of each lot the holder is owed the share that was paid for (法释〔2025〕4号: what was paid over what was paid and
given); what was given goes back to where it was given from.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import CardStatus, Pocket, last_successor, note_release
from kaquan.closing import store
from kaquan.closing.close import check_payee, make_payout
from kaquan.closing.days import day_of
from kaquan.closing.events import VALUE_RELEASED
from kaquan.closing.once import Decision, carry_out
from kaquan.closing.outcomes import CARD_HAS_TRANSFER, NOTHING_TO_RELEASE, REFUND_RULE_MISSING
from kaquan.closing.refund_quote import nearest_down
from kaquan.closing.refund_rules import Cause, RulesError
from kaquan.closing.types import Holding, LotHeld, Payee, Released, RulesOf, hand_of, person_of
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, Effect, Guard, Leg, Posting, RequestKey, slot_of
from kaquan.notices import NewNotice
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, new_action, write_action
from kaquan.vault import Keyring

ACCOUNTS = ("refund_payable", "bonus_expense")


class ReleasePlan(NamedTuple):
    """What a release moves."""

    posting: Posting
    amount_fen: int
    given_fen: int


def given_part(lot: LotHeld, amount_fen: int) -> int:
    """What of an amount on a lot was given and not paid for, to the nearest fen, half a fen towards the holder."""
    whole = lot.paid_fen + lot.given_fen
    if whole == 0:
        return amount_fen if lot.pocket is Pocket.BONUS else 0
    return nearest_down(amount_fen * lot.given_fen, whole)


def plan_release(
    holding: Holding, *, payable: int, expense: int, transaction_id: UUID, at_end: CardStatus, now: datetime
) -> ReleasePlan | Refusal:
    """Everything that is free on a replaced card, whose last successor is ``at_end``.

    Refused: ``nothing_to_release``, ``card_has_transfer``.
    """
    if holding.card.status is not CardStatus.REPLACED:
        return NOTHING_TO_RELEASE.refuse("id", why="it was not replaced", why_zh="该卡未换卡")
    if at_end is not CardStatus.CLOSED:
        return NOTHING_TO_RELEASE.refuse(
            "id", why="it goes after the card that has its place", why_zh="余额将转入换卡后的新卡"
        )
    if holding.has_transfer:
        return CARD_HAS_TRANSFER.refuse("id")
    legs: list[Leg] = []
    amount_fen = given_fen = 0
    for lot in holding.lots:
        free_fen = lot.remaining_fen - lot.reserved_fen
        given = given_part(lot, free_fen)
        for account, part_fen in ((payable, free_fen - given), (expense, given)):
            if part_fen:
                legs.append(Leg(Effect.POST, lot.account_id, lot.lot, account, None, part_fen))
        amount_fen += free_fen - given
        given_fen += given
    if not legs:
        return NOTHING_TO_RELEASE.refuse("id", why="it is empty", why_zh="卡内没有可用余额")
    moved = {leg.debit_account for leg in legs}
    return ReleasePlan(
        Posting(
            transaction_id=transaction_id,
            kind="release",
            effective_at=now,
            legs=legs,
            guards=[Guard(one.account_id, one.version) for one in holding.pockets if one.account_id in moved],
        ),
        amount_fen,
        given_fen,
    )


async def release_value(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    reason: str,
    payee: Payee | None,
    approval_id: UUID,
    approve: Approve,
    by: Actor,
    key: RequestKey,
    render: Callable[[Released], Answer],
) -> Answer | Refusal:
    """Release what lies on a replaced card, once for a key; approval, posting, payout and trail are one commit.

    Refused: ``not_found``, as :func:`plan_release` and :func:`kaquan.closing.close.check_payee`, what ``approve``
    refuses, ``refund_rule_missing``, ``busy``.
    """
    slot, person, hand = slot_of(card_id, slots), person_of(by), hand_of(clock, ids, by)
    unapproved: Refusal | None = None

    async def decide() -> Decision | Refusal:
        if unapproved is not None:
            return unapproved
        holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
        if isinstance(holding, Refusal):
            return holding
        card, programme = holding.card, holding.programme
        opened = await store.open_issuer_accounts(
            pool, slot=slot, wanted=[(book_id, programme.issuer_id, kind, programme.currency) for kind in ACCOUNTS]
        )
        payable, expense = (opened[programme.issuer_id, kind, programme.currency] for kind in ACCOUNTS)
        now = clock.now()
        plan = plan_release(
            holding,
            payable=payable,
            expense=expense,
            transaction_id=ids.new_near(card_id),
            at_end=(await last_successor(pool, slots, card)).status,
            now=now,
        )
        if isinstance(plan, Refusal):
            return plan
        rules = await rules_of(holding, day_of(now, programme.time_zone))
        if isinstance(rules, RulesError):
            return REFUND_RULE_MISSING.refuse("id", what=rules.name)
        if (refused := check_payee(payee, plan.amount_fen, rules)) is not None:
            return refused
        transaction_id = plan.posting.transaction_id
        payout = None
        if payee is not None and plan.amount_fen:
            payout = make_payout(
                holding, rules, payee, keyring, ids,
                transaction_id=transaction_id, amount_fen=plan.amount_fen, payable_account_id=payable,
                cause=Cause.HOLDER, made_by=person, now=now,
            )  # fmt: skip
        done = Released(
            card_id, transaction_id, plan.amount_fen, plan.given_fen, payout, reason, approval_id, person, now
        )
        told = {
            "transaction_id": show_id(Prefix.TRANSACTION, transaction_id),
            "amount_fen": done.amount_fen,
            "given_fen": done.given_fen,
            "payout_id": None if payout is None else show_id(Prefix.PAYOUT, payout.id),
        }
        notice = NewNotice(
            slot,
            ids.new_near(card_id),
            book_id,
            VALUE_RELEASED,
            card_id,
            {**told, "card_id": show_id(Prefix.CARD, card_id), "currency": programme.currency},
        )
        action = new_action(
            clock, ids, book_id=book_id, by=by, kind="value.released", prefix=Prefix.CARD, subject_id=card_id,
            after={**told, "reason": reason, "approval_id": show_id(Prefix.APPROVAL, approval_id)},
        )  # fmt: skip

        async def write(connection: Connection) -> bool:
            nonlocal unapproved
            unapproved = await approve(connection)
            if unapproved is not None:
                return False
            await store.post_release(connection, card, done, notice=notice)
            await note_release(connection, hand, card, reason=reason, details=told)
            await write_action(connection, action)
            return True

        return Decision(render(done), plan.posting, after=write)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)
