"""Charge cards that nobody uses, where their terms say so and no rule speaks against it: told in one month, charged in
the next, once for each month, and never more than the card has.

What is asked of the law is asked again at the charge, of the card as it is: a card that was registered since pays no
more where the law lets registered cards have no end. A programme that ends charges nobody.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from kaquan.cards import SYSTEM, Fee, FeeKind, Hand, charge_fee, get_programme
from kaquan.closing import store
from kaquan.closing.days import day_of, months_after
from kaquan.closing.events import FEE_ANNOUNCED, FEE_CHARGED
from kaquan.closing.law import law_question
from kaquan.closing.store import FeeCard, FeeMonth
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.notices import Event, NewNotice
from kaquan.parties import get_issuer
from kaquan.policy import CardClass, Fact, Metric, Policy, fee_is_barred
from kaquan.policy.outcomes import TERMS_BREAK_RULE

CHUNK_CARDS = 500


async def charge_dormancy_fees(pool: Pool, clock: Clock, ids: Ids, policy: Policy, slots: Sequence[int]) -> int:
    """Charge what is due this month and tell of the next; how many fees were charged.

    A month that was told of is charged in that month or never: a worker that stood still makes nobody pay twice. Two at
    once charge each month once, and whoever is stopped leaves what the next run goes on with.
    """
    programmes = await store.load_fee_programmes(pool)
    charged = 0
    for slot in slots if programmes else ():
        after: UUID | None = UUID(int=0)
        while after is not None:
            cards, after = await store.find_fee_cards(
                pool, slot=slot, programmes=programmes, now=clock.now(), after=after, limit=CHUNK_CARDS
            )
            if cards:
                charged += await _charge_some(pool, clock, ids, policy, cards, slot=slot)
    return charged


async def _charge_some(
    pool: Pool, clock: Clock, ids: Ids, policy: Policy, cards: Sequence[FeeCard], *, slot: int
) -> int:
    now, charged = clock.now(), 0
    this_month = {card.card_id: day_of(now, card.time_zone).replace(day=1) for card in cards}
    told = await store.load_fee_months(pool, slot=slot, card_ids=list(this_month), since=min(this_month.values()))
    allowed: dict[tuple[UUID, int, bool], bool] = {}
    for card in cards:
        month = this_month[card.card_id]
        key = card.programme_id, card.terms_version, card.is_registered
        if key not in allowed:
            allowed[key] = await may_charge(pool, policy, card, on=day_of(now, card.time_zone))
        due = told.get((card.card_id, month))
        if due is not None and due.settled_at is None:
            charged += await _charge(pool, clock, ids, card, due, slot=slot, is_allowed=allowed[key])
        coming = months_after(month, 1)
        if allowed[key] and (card.card_id, coming) not in told:
            notice = _notice(ids, card, slot, FEE_ANNOUNCED, coming)
            await store.post_fee_month(pool, card, notice, slot=slot, month=coming, at=clock.now())
    return charged


async def may_charge(pool: Pool, policy: Policy, card: FeeCard, *, on: date) -> bool:
    """Whether no rule bars the fee for such a card, and its programme goes on."""
    programme = await get_programme(pool, book_id=card.book_id, programme_id=card.programme_id)
    assert not isinstance(programme, Refusal), "programmes are never removed"
    if programme.ending is not None:
        return False
    issuer = await get_issuer(pool, book_id=card.book_id, id_=programme.issuer_id)
    assert not isinstance(issuer, Refusal), "a programme has an issuer"
    question = law_question(issuer, programme, on=on)._replace(
        card_class=CardClass.REGISTERED if card.is_registered else CardClass.UNREGISTERED
    )

    def ask(metric: Metric) -> Fact | None:
        return policy.ask(card.book_id, issuer.id, question._replace(metric=metric))

    return fee_is_barred(ask, "dormancy_fee_fen") is None


async def _charge(
    pool: Pool, clock: Clock, ids: Ids, card: FeeCard, due: FeeMonth, *, slot: int, is_allowed: bool
) -> bool:
    """Take what a card was told of for a month, with its record; whether it was taken."""

    def settle(fee_id: UUID | None, failure: str | None) -> store.Write:
        return store.settle_fee_month(
            slot=slot, card_id=card.card_id, month=due.month, fee_id=fee_id, failure=failure, at=clock.now()
        )

    def also(fee: Fee) -> Sequence[store.Write]:
        notice = _notice(ids, card._replace(fee_fen=fee.amount_fen), slot, FEE_CHARGED, due.month)
        return settle(fee.id, None), store.tell(notice, at=fee.charged_at)

    if not is_allowed:
        await store.post_alone(pool, settle(None, TERMS_BREAK_RULE.code))
        return False
    done = await charge_fee(
        pool, Hand(clock, ids, SYSTEM), book_id=card.book_id, slot=slot, card_id=card.card_id, kind=FeeKind.DORMANCY,
        fee_fen=due.amount_fen, also=also,
    )  # fmt: skip
    if isinstance(done, Refusal) and not done.outcome.retryable:
        await store.post_alone(pool, settle(None, done.code))
    return not isinstance(done, Refusal)


def _notice(ids: Ids, card: FeeCard, slot: int, event: Event, month: date) -> NewNotice:
    return NewNotice(
        slot,
        ids.new_near(card.card_id),
        card.book_id,
        event,
        card.card_id,
        {
            "card_id": show_id(Prefix.CARD, card.card_id),
            "amount_fen": card.fee_fen,
            "currency": card.currency,
            "month": f"{month:%Y-%m}",
        },
    )
