"""Refund the rest: whoever names an account in the holder's name is refunded when the programme has ended.

What is left on cards of which nobody named one stays on them: it is owed, and listed.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from kaquan.cards import CardStatus, get_cards
from kaquan.cards.ending import EndStatus, get_end
from kaquan.closing.close import check_account, close_card, quote_holding
from kaquan.closing.days import day_of
from kaquan.closing.ending import store
from kaquan.closing.ending.outcomes import END_WITHDRAWN
from kaquan.closing.ending.refunds import ask_of
from kaquan.closing.ending.types import DuePayee, GivenPayee
from kaquan.closing.store import load_closure, load_holding
from kaquan.closing.types import Closed, Payee, PayoutMethod, RulesOf
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, hash_request, slot_of
from kaquan.parties.trail import Actor, new_action
from kaquan.vault import Keyring

MAX_PAYEES = 100
"""Of one request: they are one commit."""

RETRY_AFTER = timedelta(hours=1)
"""What was refused may pass later: an authorization ends, a rate is written down."""

CHUNK = 100


async def give_payees(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    keyring: Keyring,
    *,
    book_id: int,
    slots: tuple[int, ...],
    end_id: UUID,
    given: Sequence[GivenPayee],
    by: Actor,
) -> int | Refusal:
    """Name the accounts that cards are refunded to, all or none; how many. Another account takes the place of one
    before.

    Refused: ``not_found`` (id, payees[n].card_id), ``end_withdrawn``, ``invalid_field``, ``payee_not_holder``.
    """
    end = await get_end(pool, book_id=book_id, end_id=end_id)
    if isinstance(end, Refusal):
        return end
    now = clock.now()
    if end.status_at(now) is EndStatus.WITHDRAWN:
        return END_WITHDRAWN.refuse("id")
    found = await get_cards(pool, book_id=book_id, slots=slots, card_ids=[one.card_id for one in given])
    seen: set[UUID] = set()
    for position, (card_id, payee) in enumerate(given):
        field = f"payees[{position}]"
        card = found.get(card_id)
        if card is None or card.programme_id != end.programme_id:
            return NOT_FOUND.refuse(f"{field}.card_id", what="card")
        if card.status in (CardStatus.CLOSED, CardStatus.REPLACED, CardStatus.ISSUED) or card_id in seen:
            return INVALID_FIELD.refuse(
                f"{field}.card_id", allowed="must be a card that may hold value, named once",
                allowed_zh="应为可能有余额的卡，且不得重复",
            )  # fmt: skip
        seen.add(card_id)
        if payee.method is not PayoutMethod.BANK_TRANSFER:
            return INVALID_FIELD.refuse(
                f"{field}.method", allowed="must be bank_transfer", allowed_zh="应为 bank_transfer（银行转账）"
            )
        if (refused := check_account(payee)) is not None:
            return msgspec.structs.replace(refused, field=(refused.field or "").replace("payee", field, 1))
    rows = []
    for card_id, payee in given:
        id_ = ids.new_near(card_id)
        rows.append(
            {
                "slot": slot_of(card_id, slots),
                "card_id": card_id,
                "id": id_,
                "end_id": end_id,
                "book_id": book_id,
                "payee_sealed": keyring.seal(msgspec.json.encode(payee), store.PAYEE_PREFIX + id_.bytes),
                "account_last4": None if payee.account_number is None else payee.account_number[-4:],
                "key_id": by.key_id,
                "operator_id": by.operator_id,
                "at": now,
            }
        )
    actions = [
        new_action(
            clock, ids, book_id=book_id, by=by, kind="programme_end.payee_given", prefix=Prefix.CARD,
            subject_id=card_id, after={"programme_end_id": show_id(Prefix.PROGRAMME_END, end_id)},
        )
        for card_id, _ in given
    ]  # fmt: skip
    await store.post_payees(pool, rows, actions)
    return len(rows)


async def refund_ended(
    pool: Pool, clock: Clock, ids: Ids, keyring: Keyring, rules_of: RulesOf, *, slots: tuple[int, ...]
) -> int:
    """Close the cards of programmes that have ended, in any book, whose payees are known; how many were.

    Each is the closing that its holder could have asked for: the same quote, the same payout, which somebody else than
    who named the payee confirms. Each is one commit under a key of its own, so that any number of runners, stopped
    anywhere, close each once. What is refused is written down and tried again later.
    """
    done = 0
    for slot in slots:
        after = UUID(int=0)
        while True:
            now = clock.now()
            due = await store.load_due(
                pool, slot=slot, now=now, retry_before=now - RETRY_AFTER, after=after, limit=CHUNK
            )
            for one in due:
                closed = await _refund(pool, clock, ids, keyring, rules_of, slots, one)
                failure = closed.code if isinstance(closed, Refusal) else None
                if failure is not None and await _is_closed(pool, slots, one):  # another runner was first
                    failure = None
                await store.mark_payee(pool, one, slot=slot, failure=failure, at=clock.now())
                done += closed is True
            if len(due) < CHUNK:
                break
            after = due[-1].card_id
    return done


async def _is_closed(pool: Pool, slots: tuple[int, ...], due: DuePayee) -> bool:
    slot = slot_of(due.card_id, slots)
    return await load_closure(pool, book_id=due.book_id, slot=slot, card_id=due.card_id) is not None


async def _refund(
    pool: Pool, clock: Clock, ids: Ids, keyring: Keyring, rules_of: RulesOf, slots: tuple[int, ...], due: DuePayee
) -> bool | Refusal:
    """Close a card for its refund; False if it is closed already. Refused: as a closing is."""
    if await _is_closed(pool, slots, due):
        return False
    holding = await load_holding(pool, book_id=due.book_id, slots=slots, card_id=due.card_id)
    assert not isinstance(holding, Refusal), "cards are never removed"
    today = day_of(clock.now(), holding.programme.time_zone)
    ask = ask_of(due.last_day, today=today)
    quote = quote_holding(holding, await rules_of(holding, today), ask, today=today)
    if isinstance(quote, Refusal):
        return quote
    # no client can name such a key: theirs have no spaces
    name = f"{Prefix.PROGRAMME_END} {due.end_id.hex} {due.id.hex} {quote.hash.hex()}"
    closed = await close_card(
        pool, clock, ids, keyring, rules_of,
        book_id=due.book_id, slots=slots, card_id=due.card_id, ask=ask, quote_hash=quote.hash,
        payee=msgspec.json.decode(keyring.open(due.payee_sealed, store.PAYEE_PREFIX + due.id.bytes), type=Payee),
        by=due.by, key=RequestKey(name, hash_key(due.book_id, name), hash_request("CLOSE", name, b"")),
        render=_render,
        # two decided to end the programme, and with it on what its rules leave with the issuer
        approve=None,
    )  # fmt: skip
    return closed if isinstance(closed, Refusal) else True


def _render(closed: Closed) -> Answer:
    return Answer(200, msgspec.json.encode({"card_id": show_id(Prefix.CARD, closed.card_id)}))
