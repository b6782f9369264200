"""Close a card with a refund: its value leaves the pockets once, and what is due is an instruction to pay.

Of each load the refund is taken from its own value: first what is left of the paid part, then what was swept of it,
then the given part and what was swept of that. What the formula leaves with the issuer goes to ``forfeited_value``
(the paid part) or back to ``bonus_expense`` (the given part); interest is an expense of the issuer.
"""

import unicodedata
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.cards import Pocket, end_card, has_transfer, plan_closing, touch_pockets
from kaquan.closing import store
from kaquan.closing.days import day_of, months_after
from kaquan.closing.events import CARD_CLOSED
from kaquan.closing.once import Decision, carry_out
from kaquan.closing.outcomes import (
    CARD_HAS_AUTHORIZATIONS,
    CARD_HAS_TRANSFER,
    CARD_NOT_CLOSED,
    CASH_NOT_ALLOWED,
    PAYEE_NOT_HOLDER,
    QUOTE_CHANGED,
    REDEMPTION_NOT_ALLOWED,
    REDEMPTION_TOO_EARLY,
    REFUND_RULE_MISSING,
)
from kaquan.closing.refund_quote import LoadFacts, RefundFacts, RefundQuote, quote_refund
from kaquan.closing.refund_rules import Cause, RefundRules, RulesError, cite
from kaquan.closing.types import (
    Closed,
    Holding,
    LotHeld,
    Payee,
    Payout,
    PayoutMethod,
    PayoutStatus,
    RefundAsk,
    RulesOf,
    Swept,
    hand_of,
    person_of,
)
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.ledger import Answer, Effect, Guard, Leg, Posting, RequestKey, slot_of
from kaquan.notices import NewNotice
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, new_action, write_action
from kaquan.vault import Keyring

ACCOUNTS = ("refund_payable", "forfeited_value", "bonus_expense", "refund_interest")


class CloseAccounts(NamedTuple):
    """The issuer's accounts on the other side, in the card's slot, in the order of :data:`ACCOUNTS`."""

    refund_payable: int
    forfeited_value: int
    bonus_expense: int
    refund_interest: int


class ClosePlan(NamedTuple):
    """What closing moves. ``posting`` None: there is nothing to move. ``returned`` is taken out of what was swept."""

    posting: Posting | None
    returned: list[tuple[Swept, int]]


class _Load(NamedTuple):
    """The lots of one load."""

    facts: LoadFacts
    lots: list[LotHeld]


def loads_of(holding: Holding, ask: RefundAsk) -> list[_Load]:
    """The loads of a card with what was spent of each: all that was loaded and is neither left nor swept."""
    groups: dict[tuple[UUID, int, int], list[LotHeld]] = {}
    for lot in holding.lots:
        groups.setdefault((lot.origin_id, lot.paid_fen, lot.given_fen), []).append(lot)
    loads = []
    for (origin_id, paid_fen, given_fen), lots in groups.items():
        # one lot of each pocket; more are equal loads that one transaction made, or, numbered from zero down, value of
        # the load that was on another card
        count = max(1, *(sum(lot.pocket is pocket and lot.lot > 0 for lot in lots) for pocket in Pocket))
        left_fen = sum(lot.remaining_fen + lot.swept_fen for lot in lots)
        loads.append(
            _Load(
                LoadFacts(
                    load_id=origin_id,
                    paid_on=day_of(lots[0].originated_at, holding.programme.time_zone),
                    paid_fen=paid_fen * count,
                    given_fen=given_fen * count,
                    spent_fen=max(0, (paid_fen + given_fen) * count - left_fen),
                    discount_fen=ask.discounts.get(origin_id, 0),
                    had_before=ask.had_before,
                ),
                lots,
            )
        )
    return sorted(loads, key=lambda load: (load.facts.paid_on, load.facts.load_id))


def quote_holding(
    holding: Holding, rules: RefundRules | RulesError, ask: RefundAsk, *, today: date
) -> RefundQuote | Refusal:
    """The refund of a card as it is, calculated for today.

    Refused: ``card_has_authorizations``, ``card_has_transfer``, ``invalid_field`` (requested_on, ended_on, discounts),
    ``redemption_not_allowed``, ``redemption_too_early``, what closing a card is refused for, and what the calculator
    refuses.
    """
    after = plan_closing(holding.card)
    if isinstance(after, Refusal):
        return after.outcome.refuse("id")
    if holding.reserved_fen:
        return CARD_HAS_AUTHORIZATIONS.refuse("id", reserved_fen=holding.reserved_fen)
    if holding.has_transfer:
        return CARD_HAS_TRANSFER.refuse("id")
    for name, day in (("requested_on", ask.requested_on), ("ended_on", ask.ended_on)):
        if day is not None and day > today:
            return INVALID_FIELD.refuse(name, allowed="must not be in the future", allowed_zh="不得晚于今天")
    loads = loads_of(holding, ask)
    if unknown := ask.discounts.keys() - {load.facts.load_id for load in loads}:
        name = show_id(Prefix.TRANSACTION, min(unknown))
        return INVALID_FIELD.refuse(
            "discounts", allowed=f"{name} is no load of this card", allowed_zh=f"{name} 不是该卡的充值"
        )
    if isinstance(rules, RulesError):
        return REFUND_RULE_MISSING.refuse("cause", what=rules.name)
    if ask.cause is Cause.HOLDER:
        refused = check_redemption(rules, min((load.facts.paid_on for load in loads), default=today), today=today)
        if refused is not None:
            return refused
    return quote_refund(
        rules,
        RefundFacts(
            cause=ask.cause,
            requested_on=ask.requested_on or today,
            as_of=today,
            loads=tuple(load.facts for load in loads),
            ended_on=ask.ended_on,
            custody_fen=ask.custody_fen,
            costs_fen=ask.costs_fen,
            goods_fen=ask.goods_fen,
        ),
    )


def check_redemption(rules: RefundRules, bought_on: date, *, today: date) -> Refusal | None:
    """Whether a holder may have a card of this purchase refunded because they wish it.

    The purchase is the first load that is on the card. Refused: ``redemption_not_allowed``, ``redemption_too_early``.
    """
    if rules.barred is not None:
        return REDEMPTION_NOT_ALLOWED.refuse("cause", rule=rules.barred.rule_id, source=rules.barred.source)
    if rules.wait is None:
        return None
    earliest = months_after(bought_on, rules.wait.value)
    if today >= earliest:
        return None
    return REDEMPTION_TOO_EARLY.refuse(
        "cause", earliest=earliest.isoformat(), months=rules.wait.value, rule=rules.wait.rule.rule_id,
        source=rules.wait.rule.source,
    )  # fmt: skip


def check_payee(payee: Payee | None, amount_fen: int, rules: RefundRules) -> Refusal | None:
    """Whether the refund may be paid out so; None if it may, or nothing is due.

    Refused: ``invalid_field`` (payee…), ``payee_not_holder``, ``cash_not_allowed``.
    """
    if amount_fen == 0:
        return None
    if payee is None:
        return INVALID_FIELD.refuse("payee", allowed="is required: a refund is due", allowed_zh="必填：有应退金额")
    if payee.method is PayoutMethod.CASH:
        limit = rules.cash_limit
        if limit is None or amount_fen > limit.value:
            return CASH_NOT_ALLOWED.refuse(
                "payee.method",
                amount_fen=amount_fen,
                limit_fen=0 if limit is None else limit.value,
                **cite(None if limit is None else limit.rule),
            )
        return None
    return check_account(payee)


def check_account(payee: Payee) -> Refusal | None:
    """Whether a payee names an account in the holder's own name. Refused: ``invalid_field``, ``payee_not_holder``."""
    for name in ("account_name", "account_number", "bank_name"):
        if getattr(payee, name) is None:
            return INVALID_FIELD.refuse(
                f"payee.{name}", allowed="is required for a bank transfer", allowed_zh="银行转账时必填"
            )
    assert payee.account_name is not None
    if not is_same_name(payee.account_name, payee.holder_name):
        return PAYEE_NOT_HOLDER.refuse("payee.account_name")
    return None


def is_same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: widths, case, spaces and the dots of transcribed names do not count.

    >>> is_same_name("阿卜杜拉·买买提", "阿卜杜拉 买买提"), is_same_name("ＷＡＮＧ ＭＩＮ", "Wang Min")
    (True, True)
    >>> is_same_name("王敏", "王明")
    False
    """
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in text if character.isalnum())


def plan_close(
    holding: Holding,
    quote: RefundQuote,
    ask: RefundAsk,
    accounts: CloseAccounts,
    *,
    transaction_id: UUID,
    now: datetime,
) -> ClosePlan:
    """Every fen of the pockets to where the quote says, load by load."""
    due = {refund.load_id: refund.refund_fen for refund in quote.loads}
    legs: list[Leg] = []
    returned: list[tuple[Swept, int]] = []
    for load in loads_of(holding, ask):
        left_fen = due[load.facts.load_id.hex]
        for pocket, rest in (
            (Pocket.PRINCIPAL, accounts.forfeited_value),
            (Pocket.RESTRICTED, accounts.forfeited_value),  # paid for as well
            (Pocket.BONUS, accounts.bonus_expense),
        ):
            lots = [lot for lot in load.lots if lot.pocket is pocket]
            for lot in lots:
                part_fen = min(left_fen, lot.remaining_fen)
                for account_id, amount_fen in (
                    (accounts.refund_payable, part_fen),
                    (rest, lot.remaining_fen - part_fen),
                ):
                    if amount_fen:
                        legs.append(Leg(Effect.POST, lot.account_id, lot.lot, account_id, None, amount_fen))
                left_fen -= part_fen
            for one in holding.swept:
                if not any(
                    (one.account_id, one.lot) == (lot.account_id, lot.lot) for lot in load.lots if lot.pocket is pocket
                ):
                    continue
                part_fen = min(left_fen, one.left_fen)
                if part_fen:
                    legs.append(Leg(Effect.POST, one.source_account_id, None, accounts.refund_payable, None, part_fen))
                    returned.append((one, part_fen))
                left_fen -= part_fen
        assert left_fen == 0, "a refund never exceeds what is left of its load"
    if quote.interest_fen:
        legs.append(Leg(Effect.POST, accounts.refund_interest, None, accounts.refund_payable, None, quote.interest_fen))
    if not legs:
        return ClosePlan(None, [])
    moved = {leg.debit_account for leg in legs}
    posting = Posting(
        transaction_id=transaction_id,
        kind="closing",
        effective_at=now,
        legs=legs,
        guards=[Guard(pocket.account_id, pocket.version) for pocket in holding.pockets if pocket.account_id in moved],
        reference=quote.hash.hex(),
    )
    return ClosePlan(posting, returned)


def keeps_paid_value(plan: ClosePlan, accounts: CloseAccounts) -> bool:
    """Whether a closing leaves the issuer some of what was paid for the card."""
    legs = [] if plan.posting is None else plan.posting.legs
    return any(leg.credit_account == accounts.forfeited_value for leg in legs)


async def get_quote(
    pool: Pool,
    clock: Clock,
    rules_of: RulesOf,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    ask: RefundAsk,
) -> RefundQuote | Refusal:
    """What closing a card today would refund, with the formula; nothing is written.

    Refused: ``not_found``, and as :func:`quote_holding`.
    """
    holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(holding, Refusal):
        return holding
    today = day_of(clock.now(), holding.programme.time_zone)
    return quote_holding(holding, await rules_of(holding, today), ask, today=today)


async def close_card(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    rules_of: RulesOf,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    ask: RefundAsk,
    quote_hash: bytes,
    payee: Payee | None,
    by: Actor,
    key: RequestKey,
    render: Callable[[Closed], Answer],
    approve: Approve | Refusal | None = None,
) -> Answer | Refusal:
    """Close a card for the refund whose hash the holder agreed to, once for a key.

    What is refunded takes a second person when it is paid out. ``approve`` is for what is not: where the issuer keeps
    some of what was paid, it is asked in the commit of the closing, or refuses at once. Refused: ``quote_changed`` when
    the refund is another one now, what ``approve`` refuses, and as :func:`get_quote` and :func:`check_payee`.
    """
    slot, closed_by = slot_of(card_id, slots), person_of(by)
    hand = hand_of(clock, ids, by)

    unapproved: Refusal | None = None

    async def decide() -> Decision | Refusal:
        if unapproved is not None:
            return unapproved
        holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
        if isinstance(holding, Refusal):
            return holding
        now, zone = clock.now(), holding.programme.time_zone
        today = day_of(now, zone)
        rules = await rules_of(holding, today)
        quote = quote_holding(holding, rules, ask, today=today)
        if isinstance(quote, Refusal):
            return quote
        if quote.hash != quote_hash:
            return QUOTE_CHANGED.refuse("quote_hash")
        assert not isinstance(rules, RulesError), "a quote has rules"
        if (refused := check_payee(payee, quote.amount_fen, rules)) is not None:
            return refused
        currency, issuer_id = holding.programme.currency, holding.programme.issuer_id
        opened = await store.open_issuer_accounts(
            pool, slot=slot, wanted=[(book_id, issuer_id, kind, currency) for kind in ACCOUNTS]
        )
        accounts = CloseAccounts(*(opened[issuer_id, kind, currency] for kind in ACCOUNTS))
        plan = plan_close(holding, quote, ask, accounts, transaction_id=ids.new_near(card_id), now=now)
        transaction_id = plan.posting.transaction_id if plan.posting is not None else None
        claims = keeps_paid_value(plan, accounts)
        if claims and isinstance(approve, Refusal):
            return approve
        payout = None
        if payee is not None and quote.amount_fen and transaction_id is not None:
            payout = make_payout(
                holding, rules, payee, keyring, ids,
                transaction_id=transaction_id, amount_fen=quote.amount_fen,
                payable_account_id=accounts.refund_payable, cause=ask.cause, made_by=closed_by, now=now,
            )  # fmt: skip
        done = Closed(card_id, transaction_id, quote, quote_hash, payout, closed_by, now)
        after = plan_closing(holding.card)
        assert not isinstance(after, Refusal), "a quote is of a card that can be closed"
        notice = NewNotice(
            slot,
            ids.new_near(card_id),
            book_id,
            CARD_CLOSED,
            card_id,
            {
                "card_id": show_id(Prefix.CARD, card_id),
                "cause": quote.cause,
                "amount_fen": quote.amount_fen,
                "currency": currency,
                "quote_hash": quote_hash.hex(),
                "payout_id": show_id(Prefix.PAYOUT, payout.id) if payout is not None else None,
            },
        )

        action = new_action(
            clock,
            ids,
            book_id=book_id,
            by=by,
            kind="card.closed",
            prefix=Prefix.CARD,
            subject_id=card_id,
            before={"status": holding.card.status.value},
            after={
                "status": after.status.value,
                "cause": quote.cause.value,
                "amount_fen": quote.amount_fen,
                "quote_hash": quote_hash.hex(),
                "payout_id": show_id(Prefix.PAYOUT, payout.id) if payout is not None else None,
            },
        )

        async def begin(connection: Connection) -> bool:
            return await end_card(
                connection,
                hand,
                holding.card,
                after,
                details={
                    "cause": quote.cause.value,
                    "amount_fen": quote.amount_fen,
                    "transaction_id": None if transaction_id is None else show_id(Prefix.TRANSACTION, transaction_id),
                },
            )

        async def finish(connection: Connection) -> bool:
            nonlocal unapproved
            await touch_pockets(connection, holding.card)
            if claims and approve is not None:
                assert not isinstance(approve, Refusal), "it was told at once"
                unapproved = await approve(connection)
                if unapproved is not None:
                    return False
            if await has_transfer(connection, book_id=book_id, slots=slots, card_id=card_id):
                return False
            if not await store.post_closing(connection, holding.card, done, plan.returned, notice=notice):
                return False
            await write_action(connection, action)
            return True

        return Decision(render(done), plan.posting, before=begin, after=finish)

    return await carry_out(pool, clock, book_id=book_id, slot=slot, key=key, decide=decide)


def make_payout(
    holding: Holding,
    rules: RefundRules,
    payee: Payee,
    keyring: Keyring,
    ids: Ids,
    *,
    transaction_id: UUID,
    amount_fen: int,
    payable_account_id: int,
    cause: Cause,
    made_by: UUID,
    now: datetime,
) -> Payout:
    """The instruction to pay a refund out, its payee sealed."""
    card, programme = holding.card, holding.programme
    id_ = ids.new_near(card.id)
    due_on = None
    if (deadline := rules.deadline_of(cause)) is not None:
        due_on = day_of(now, programme.time_zone) + timedelta(days=deadline.value)
    return Payout(
        slot=card.slot,
        id=id_,
        book_id=card.book_id,
        card_id=card.id,
        transaction_id=transaction_id,
        method=payee.method,
        currency=programme.currency,
        amount_fen=amount_fen,
        payee_sealed=keyring.seal(msgspec.json.encode(payee), store.SEAL_PREFIX + id_.bytes),
        account_last4=payee.account_number[-4:] if payee.account_number is not None else None,
        payable_account_id=payable_account_id,
        due_on=due_on,
        status=PayoutStatus.PENDING,
        made_by=made_by,
        checked_by=None,
        payment_reference=None,
        failure=None,
        paid_transaction_id=None,
        created_at=now,
        changed_at=now,
        version=0,
    )


async def get_closure(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> Closed | Refusal:
    """How a card was closed, with the formula as it was posted. Refused: ``not_found``, ``card_not_closed``."""
    holding = await store.load_holding(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(holding, Refusal):
        return holding
    found = await store.load_closure(pool, book_id=book_id, slot=slot_of(card_id, slots), card_id=card_id)
    return CARD_NOT_CLOSED.refuse("id") if found is None else found
