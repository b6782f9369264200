"""The desk: requests in flight share a trip to the database; each is decided alone, posted once, answered once.

Per slot one :class:`kaquan.kit.batching.Batcher`. A batch is: load the facts of all (one call), plan each (pure), post
all (one call). A plan that came back stale is planned again on fresh facts, a few times. When the connection breaks,
nobody knows whether the batch was committed; the same items are then posted again under their keys, and the database
answers for those that were: nothing acknowledged is lost and nothing happens twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from kaquan.cards import FEES, Programme
from kaquan.kit.batching import Batcher, QueueFullError
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Rollback, describe_failure, is_outage
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import BUSY, INTERNAL_ERROR, UNAVAILABLE, Refusal
from kaquan.ledger import AccountSpec, Answer, Item, claim_keys, open_accounts, read_answers, slot_of
from kaquan.notices import NewNotice, write_notices
from kaquan.parties import Place
from kaquan.payments import store
from kaquan.payments.budgets import Rests
from kaquan.payments.capture import plan_capture
from kaquan.payments.events import BUDGET_EXHAUSTED
from kaquan.payments.limits import NO_LIMITS, LimitSet, Movement, UsageFacts, Uses
from kaquan.payments.load import plan_load
from kaquan.payments.outcomes import IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS
from kaquan.payments.places import PlaceRule
from kaquan.payments.price import MERCHANT_PAYABLE
from kaquan.payments.quote import Quote, quote_spend
from kaquan.payments.read_holders import AskedHolder, read_holders
from kaquan.payments.read_points import load_points
from kaquan.payments.redeem import Templates, load_vouchers, lock, settle_locks, write_givings
from kaquan.payments.refund import plan_refund
from kaquan.payments.reserve import Held, Reserved, own_part, reserve, settle
from kaquan.payments.spend import plan_spend
from kaquan.payments.store import ANSWERED, APPLIED, OVER_LIMIT, STALE, BatchFacts
from kaquan.payments.types import (
    AccountName,
    Accounts,
    Capture,
    CardFacts,
    Command,
    Facts,
    HolderFacts,
    Load,
    OfferFacts,
    Plan,
    PointsFacts,
    Refund,
    Request,
    Spend,
    Unopened,
    Void,
    VoucherFacts,
)
from kaquan.payments.void import plan_void
from kaquan.points import IssuerAccounts, TermsVersion, asks_birthday, terms_at
from kaquan.promotions import EMPTY, Asks, CompiledCampaigns, Holder, Watch, Watching, join_asks, no_watch

_log = structlog.get_logger(__name__)

LANES = 2
"""Batches of a slot under way at once: one is decided while another is at the database."""

MAX_ATTEMPTS = 20
"""How often in a row a whole batch may turn out stale before its callers are told to try again."""

PATIENT_ATTEMPTS = 3
"""After so many in a row it waits a moment before the next, ever longer and each process by a measure of its own."""

SESSION_TIMEOUT_S = 1.0
"""How long a batch waits for a session before it tries again."""

OUTAGE_PATIENCE_S = 5.0
"""How long a batch waits for a database that went away before its callers are told to try again."""

_PLANNERS: dict[type, Callable[[Facts, Any], Plan | Unopened | Refusal]] = {
    Spend: plan_spend,
    Capture: plan_capture,
    Void: plan_void,
    Refund: plan_refund,
    Load: plan_load,
}


class Known(NamedTuple):
    """What the desk is told of reference data: copies in memory that :meth:`refresh` brings up to date."""

    programme: Callable[[int, UUID, int], Programme | None]
    """Of a book, under a version of its terms."""
    place: Callable[[int, UUID], Place | None]
    points: Callable[[int, UUID], Sequence[TermsVersion]]
    """Every version of the points terms of a book's programme, the newest last."""
    campaigns: Callable[[int, UUID], CompiledCampaigns]
    """Those of an issuer of a book that are in force now or soon, compiled."""
    limits: Callable[[int, UUID, Movement, bool], LimitSet]
    """Of a book's programme, for a movement, for registered cards or the others."""
    place_rules: Callable[[int, UUID, bool], tuple[PlaceRule, ...]]
    """Of a book's programme, for registered cards or the others."""
    tracks_places: Callable[[], bool]
    """Whether any rule wants to know where a card was last."""
    version: Callable[[int], int]
    refresh: Callable[[], Any]
    shadows: Watching = no_watch
    """Drafts that run beside the payments with an issuer's cards."""


_UNASKED = HolderFacts()


def _holder_of(card: CardFacts, holders: Mapping[UUID, HolderFacts], *, collects: bool = True) -> Holder:
    """Whose card it is, with what was read of them."""
    known = holders.get(card.id, _UNASKED)
    return Holder(card.id, card.customer_id, known.birthday, known.segments, known.tier, known.bought_before, collects)


def _id_of(decision: Plan | Refusal) -> UUID | None:
    return decision.posting.transaction_id if isinstance(decision, Plan) else None


class _Work(NamedTuple):
    """A batch on its way."""

    slot: int
    facts: BatchFacts
    now: datetime
    over: dict[int, set[UUID]]
    """Budgets that leave no room, by the position of the request."""
    exhausted: dict[tuple[UUID, int], tuple[int, UUID, int]]
    """Budgets (and their periods) that were found to be used up: the book, a card that found it, and what is left."""
    usage: UsageFacts | None = None
    vouchers: Mapping[UUID, VoucherFacts] = {}
    points: Mapping[UUID, PointsFacts] = {}
    """By the card, or by the payment that is refunded."""
    holders: Mapping[UUID, HolderFacts] = {}
    """By card: of those of whom something is asked."""
    is_quote: bool = False
    """Nothing is written: ``points`` were not read."""


class Desk:
    """Takes requests and answers them. One per process."""

    def __init__(
        self,
        pool: Pool,
        *,
        slots: Sequence[int],
        clock: Clock,
        ids: Ids,
        known: Known,
        max_batch: int,
        max_queue: int,
    ) -> None:
        self._pool = pool
        self._slots = tuple(slots)
        self._clock = clock
        self._ids = ids
        self._known = known
        self._accounts: dict[AccountName, int] = {}
        self._rests = Rests()
        self._points_accounts: dict[tuple[int, UUID], IssuerAccounts] = {}
        self._templates = Templates(pool)
        self._told: set[tuple[UUID, int]] = set()
        self._idle: list[Connection] = []
        self._running: set[tuple[int, UUID]] = set()
        self._stagger_s = 0.0005 * (1 + self._ids.new().int % 7)
        self._batchers: dict[int, Batcher[Request, Answer]] = {
            slot: Batcher(self._runner(slot), max_batch=max_batch, max_queue=max_queue, lanes=LANES)
            for slot in self._slots
        }

    def start(self) -> None:
        """Begin to work on the running event loop."""
        for batcher in self._batchers.values():
            batcher.start()

    async def close(self) -> None:
        """Accept nothing more and answer what was accepted."""
        await asyncio.gather(*(batcher.close() for batcher in self._batchers.values()))
        while self._idle:
            await self._pool.putconn(self._idle.pop())

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return sum(batcher.depth for batcher in self._batchers.values())

    async def submit(self, request: Request) -> Answer:
        """The answer to a request: what its ``render`` made, or the first answer if its key has one.

        Refused here and not kept: ``busy`` (the queue is full), ``request_in_progress`` (the key is being worked
        on in this process), ``idempotency_key_reused``.
        """
        command = request.command
        target = command.card_id if isinstance(command, Spend | Load) else command.payment_id
        keys: tuple[Any, ...] = (target,)
        running = None
        if request.key is not None:
            running = (request.book_id, request.key.key_hash)
            if running in self._running:
                return request.render(REQUEST_IN_PROGRESS.refuse())
        try:
            future = self._batchers[slot_of(target, self._slots)].submit(request, keys)
        except QueueFullError:
            return request.render(BUSY.refuse())
        if running is None:
            return await future
        self._running.add(running)
        # when the work is done, not when its caller hangs up: the key stays taken until it has its answer
        future.add_done_callback(lambda _: self._running.discard(running))
        # a caller that hangs up must not cancel work that goes on, nor free its key
        return await asyncio.shield(future)

    async def quote(self, book_id: int, command: Spend, *, held: Sequence[UUID]) -> Quote | Refusal:
        """What a spend would cost now; nothing is written. ``held`` are vouchers that the holder has.

        Refused: what :func:`kaquan.payments.quote.quote_spend` refuses.
        """
        slot = slot_of(command.card_id, self._slots)
        request = Request(book_id, command, None, lambda _: Answer(200, b""))
        asked = [(0, request._replace(command=command._replace(voucher_ids=tuple({*command.voucher_ids, *held}))))]
        async with self._session() as connection:
            facts = await store.load_facts(
                connection, slot=slot, cards=[command.card_id], payments=[], every_pocket=False,
                now=self._clock.now(), places=False,
            )  # fmt: skip
            await self._refresh_if_old(facts)
            vouchers = await self._load_vouchers(connection, asked)
            work = _Work(
                slot,
                facts,
                self._clock.now(),
                {},
                {},
                vouchers=vouchers,
                holders=await self._load_holders(connection, facts, asked, vouchers),
                is_quote=True,
            )
            exhausted: frozenset[UUID] = frozenset()
            while True:
                known, asked_now = self._facts_of(work, request, exhausted)
                assert isinstance(asked_now, Spend)
                if known.offers is None and known.card is not None:
                    holder = _holder_of(known.card, work.holders)
                    known = known._replace(offers=OfferFacts(EMPTY, holder, slot, work.vouchers))
                quoted = quote_spend(known, asked_now, held)
                if isinstance(quoted, Refusal):
                    return quoted
                quote, priced = quoted
                uses = [Uses([one.use for one in priced.kept.uses], [])]
                usage = await store.read_usage(connection, slot=slot, slots=self._slots, uses=uses)
                self._rests.learn(priced.counted, usage.calendar, at=time.monotonic())
                lacking = self._rests.lacking(priced.counted, at=time.monotonic())
                if not lacking:
                    return quote
                exhausted |= {budget.budget_id for budget, _, _ in lacking}

    async def _refresh_if_old(self, facts: BatchFacts) -> None:
        """Read reference data that has changed since this process did."""
        if any(self._known.version(card.book_id) < card.book_version for card in facts.cards.values()):
            await self._known.refresh()

    def _runner(self, slot: int) -> Callable[[list[Request]], Any]:
        async def run(requests: list[Request]) -> list[Answer]:
            return await self._run(slot, requests)

        return run

    async def _run(self, slot: int, requests: list[Request]) -> list[Answer]:
        """Answer a batch; never raises."""
        answers: list[Answer | None] = [None] * len(requests)
        waiting = list(range(len(requests)))
        over: dict[int, set[UUID]] = {}
        attempts = 0
        give_up = time.monotonic() + OUTAGE_PATIENCE_S
        refusal = BUSY.refuse()
        while waiting and attempts < MAX_ATTEMPTS:
            try:
                async with self._session() as connection:
                    asked = [(n, requests[n]) for n in waiting]
                    for n, answer in await self._attempt(connection, slot, asked, over):
                        answers[n] = answer
            except Exception as error:
                if not is_outage(error):
                    await self._divide(slot, requests, waiting, answers, error)
                    break
                if time.monotonic() > give_up:
                    _log.error("database outage", error=describe_failure(error), waiting=len(waiting))
                    refusal = UNAVAILABLE.refuse()
                    break
                await asyncio.sleep(0.05)
                continue
            left = [n for n in waiting if answers[n] is None]
            attempts = 0 if len(left) < len(waiting) else attempts + 1
            waiting = left
            if attempts >= PATIENT_ATTEMPTS:
                # another process works on the same cards in the same rhythm: get out of step with it
                await asyncio.sleep(self._stagger_s * attempts)
        return [
            answer if answer is not None else request.render(refusal)
            for answer, request in zip(answers, requests, strict=True)
        ]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        """A session of the desk's own, which it keeps (a session plans its statements once) unless it failed."""
        session = self._idle.pop() if self._idle else await self._pool.getconn(timeout=SESSION_TIMEOUT_S)
        try:
            yield session
        except BaseException:
            await self._pool.putconn(session)
            raise
        self._idle.append(session)

    async def _divide(
        self,
        slot: int,
        requests: list[Request],
        waiting: list[int],
        answers: list[Answer | None],
        error: Exception,
    ) -> None:
        """The whole batch failed on what looks like a bug: find the item by halves and let the others pass."""
        if len(waiting) == 1:
            _log.error("a payment failed", exc_info=error)
            answers[waiting[0]] = requests[waiting[0]].render(INTERNAL_ERROR.refuse())
            return
        middle = len(waiting) // 2
        for half in (waiting[:middle], waiting[middle:]):
            for n, answer in zip(half, await self._run(slot, [requests[n] for n in half]), strict=True):
                answers[n] = answer

    async def _attempt(
        self, connection: Connection, slot: int, asked: list[tuple[int, Request]], over: dict[int, set[UUID]]
    ) -> list[tuple[int, Answer]]:
        """One load, plan and post; the answers of those that are done, by position.

        ``over`` are those for which a limit or a budget left no room the last time, with the budgets that are known to
        have none: what was used is read for them, so that the plan can say so, or do without the offer. Those of this
        time are put there.
        """
        refused = await self._refuse_reused(connection, asked)
        if refused:
            gone = {n for n, _ in refused}
            asked = [entry for entry in asked if entry[0] not in gone]
            if not asked:
                return refused
        facts = await self._load(connection, slot, [request for _, request in asked])
        now = self._clock.now()
        vouchers = await self._load_vouchers(connection, asked)
        work = _Work(
            slot,
            facts,
            now,
            over,
            {},
            vouchers=vouchers,
            holders=await self._load_holders(connection, facts, asked, vouchers),
            points=await self._load_points(connection, slot, facts, [request for _, request in asked], now),
        )
        decisions = await self._decide(connection, work, asked)
        if over:
            await self._plan_knowing_usage(connection, work, asked, decisions)
        locked = await lock(connection, decisions, slots=self._slots, at=now)
        if locked.lacking:
            # another payment has the voucher at this moment: look again what became of it
            going = [at for at, decision in enumerate(decisions) if _id_of(decision) not in locked.lacking]
            asked, decisions = [asked[at] for at in going], [decisions[at] for at in going]
        held: Held = {}
        back: Held = {}
        reserved = list(locked.held)
        if len(self._slots) > 1:
            asked, decisions, told = await self._reserve(connection, slot, asked, decisions, over)
            held, back, reserved = told.held, told.back, sorted({*told.ids, *reserved})
        items: list[Item] = []
        plans: list[Plan | None] = []
        rendered: list[Answer] = []
        for (_, request), decision in zip(asked, decisions, strict=True):
            if isinstance(decision, Refusal):
                answer = request.render(decision)
                plans.append(None)
                items.append(Item(request.book_id, None, request.key, answer))
            else:
                answer = request.render(decision.receipt)
                plans.append(decision)
                items.append(Item(request.book_id, decision.posting, request.key, answer))
            rendered.append(answer)
        statuses = await self._post(connection, work, items, plans, reserved)
        if held or back or locked.held:
            done_now = [item.posting for item, status in zip(items, statuses, strict=True) if status == APPLIED]
            posted = {one.transaction_id for one in done_now if one is not None}
            await settle(connection, held, back, posted=posted)
            await settle_locks(connection, locked, posted=posted, slots=self._slots, ids=self._ids, at=now)
        if work.exhausted:
            await self._tell_exhausted(connection, work)
        done = refused + [
            (n, answer) for (n, _), answer, status in zip(asked, rendered, statuses, strict=True) if status == APPLIED
        ]
        again = [entry for entry, status in zip(asked, statuses, strict=True) if status == ANSWERED]
        for (n, _), status in zip(asked, statuses, strict=True):
            if status == OVER_LIMIT:
                over.setdefault(n, set())
        return done + await self._first_answers(connection, slot, again) if again else done

    async def _post(
        self,
        connection: Connection,
        work: "_Work",
        items: list[Item],
        plans: list[Plan | None],
        reserved: Sequence[UUID],
    ) -> list[int]:
        """Post; what payments give and take back besides value is written in the same commit."""
        if not items:
            return []
        if not any(plan is not None and (plan.gives_besides or plan.seen is not None) for plan in plans):
            return await store.post(connection, items, plans, slot=work.slot, recorded_at=work.now, reserved=reserved)
        async with connection.transaction():
            statuses = await store.post(
                connection,
                items,
                plans,
                slot=work.slot,
                recorded_at=work.now,
                reserved=reserved,
                in_transaction=True,
            )
            done = [plan for plan, status in zip(plans, statuses, strict=True) if plan and status == APPLIED]
            if not await write_givings(
                connection, self._templates, done, slots=self._slots, ids=self._ids, at=work.now
            ):
                statuses = [STALE] * len(items)
                raise Rollback
            await self._keep_seen(connection, work, done)
        return statuses

    async def _keep_seen(self, connection: Connection, work: "_Work", done: Sequence[Plan]) -> None:
        """Keep what payments were priced by for the drafts that run beside them. No payment fails by that."""
        seen = [plan for plan in done if plan.seen is not None]
        if not seen:
            return
        try:
            async with connection.transaction():
                await store.insert_seen(connection, seen, slot=work.slot, at=work.now)
        except Exception as error:
            if is_outage(error):
                raise
            _log.error("payments were not seen by drafts", exc_info=error, count=len(seen))

    async def _load_vouchers(
        self, connection: Connection, asked: list[tuple[int, Request]]
    ) -> dict[UUID, VoucherFacts]:
        wanted: dict[int, list[UUID]] = {}
        for _, request in asked:
            if isinstance(request.command, Spend) and request.command.voucher_ids:
                wanted.setdefault(request.book_id, []).extend(request.command.voucher_ids)
        return await load_vouchers(connection, self._templates, wanted, slots=self._slots) if wanted else {}

    async def _reserve(
        self,
        connection: Connection,
        slot: int,
        asked: list[tuple[int, Request]],
        decisions: list[Plan | Refusal],
        over: dict[int, set[UUID]],
    ) -> tuple[list[tuple[int, Request]], list[Plan | Refusal], Reserved]:
        """With several slots: reserve what is used of shared limits. What goes on, and what is reserved."""
        told = await reserve(connection, decisions, slot=slot, slots=self._slots, clock=self._clock)
        for (n, _), status in zip(asked, told.statuses, strict=True):
            if status == OVER_LIMIT:
                over.setdefault(n, set())
        going = [at for at, status in enumerate(told.statuses) if status == APPLIED]
        return [asked[at] for at in going], [own_part(decisions[at]) for at in going], told

    async def _decide(
        self, connection: Connection, work: "_Work", asked: list[tuple[int, Request]]
    ) -> list[Plan | Refusal]:
        """Plan each; accounts of funders that a plan is the first to want are opened for it."""
        decisions: dict[int, Plan | Refusal] = {}
        open_ = list(range(len(asked)))
        while open_:
            wanted: dict[int, list[Unopened]] = {}
            for at in open_:
                decision = self._plan(work, *asked[at])
                if isinstance(decision, Unopened):
                    wanted.setdefault(asked[at][1].book_id, []).append(decision)
                else:
                    decisions[at] = decision
            for book_id, several in wanted.items():
                await self._open(connection, book_id, several)
            open_ = [at for at in open_ if at not in decisions]
        return [decisions[at] for at in range(len(asked))]

    async def _open(self, connection: Connection, book_id: int, wanted: Sequence[Unopened]) -> None:
        """Open accounts in the slot; whose they are is written down first."""
        fundings = sorted({funding for one in wanted for funding in one.fundings})
        if fundings:
            await store.insert_funders(connection, book_id=book_id, fundings=fundings)
        names = sorted({name for one in wanted for name in one.accounts})
        specs = [AccountSpec(book_id, name.owner_id, name.kind, name.currency) for name in names]
        found = await open_accounts(connection, slot=names[0].slot, asked=specs)
        self._accounts.update(zip(names, found, strict=True))

    async def _plan_knowing_usage(
        self, connection: Connection, work: "_Work", asked: list[tuple[int, Request]], decisions: list[Plan | Refusal]
    ) -> None:
        """Plan again those for which a limit or a budget left no room, now with what was used."""
        counting = {
            at: decision
            for at, ((n, _), decision) in enumerate(zip(asked, decisions, strict=True))
            if n in work.over and isinstance(decision, Plan) and decision.uses is not None
        }
        uses = [plan.uses for plan in counting.values() if plan.uses is not None]
        usage = await store.read_usage(connection, slot=work.slot, slots=self._slots, uses=uses)
        work = work._replace(usage=usage)
        for at, plan in counting.items():
            self._rests.learn(plan.budgets, usage.calendar, at=time.monotonic())
            again = await self._decide(connection, work, [asked[at]])
            decisions[at] = again[0]

    async def _tell_exhausted(self, connection: Connection, work: "_Work") -> None:
        """Tell once of each budget that is used up."""
        for (budget_id, period), (book_id, card_id, left_fen) in work.exhausted.items():
            async with connection.transaction():
                if await store.insert_exhausted(
                    connection, book_id=book_id, budget_id=budget_id, period=period, at=work.now
                ):
                    data = {"budget_id": budget_id.hex, "left_fen": left_fen}
                    near = self._ids.new_near(card_id)
                    notice = NewNotice(work.slot, near, book_id, BUDGET_EXHAUSTED, None, data)
                    await write_notices(connection, [notice], at=work.now)
            self._told.add((budget_id, period))

    async def _refuse_reused(
        self, connection: Connection, asked: list[tuple[int, Request]]
    ) -> list[tuple[int, Answer]]:
        """With several slots: the answers of requests whose key was another request's, perhaps in another slot."""
        keys = [request.key for _, request in asked if request.key is not None]
        if len(self._slots) == 1 or not keys:
            return []
        reused = await claim_keys(connection, keys, slots=self._slots, at=self._clock.now())
        refusal = IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key")
        return [
            (n, request.render(refusal))
            for n, request in asked
            if request.key is not None and request.key.key_hash in reused
        ]

    async def _load(self, connection: Connection, slot: int, requests: Sequence[Request]) -> BatchFacts:
        cards = [r.command.card_id for r in requests if isinstance(r.command, Spend | Load)]
        payments = [r.command.payment_id for r in requests if isinstance(r.command, Capture | Void | Refund)]
        # a spend needs no pocket that never held anything; a load may open the first lot of one
        every_pocket = any(isinstance(r.command, Load) for r in requests)
        facts = await store.load_facts(
            connection,
            slot=slot,
            cards=cards,
            payments=payments,
            every_pocket=every_pocket,
            now=self._clock.now(),
            places=self._known.tracks_places(),
        )
        await self._refresh_if_old(facts)
        await self._find_accounts(connection, slot, facts, requests)
        return facts

    async def _load_points(
        self, connection: Connection, slot: int, facts: BatchFacts, requests: Sequence[Request], now: datetime
    ) -> dict[UUID, PointsFacts]:
        """What payments of programmes that give points are decided on; nothing is read for others."""
        always: set[UUID] = set()
        wanted: dict[UUID, tuple[CardFacts, Programme, Sequence[TermsVersion]]] = {}
        for request in requests:
            command = request.command
            if isinstance(command, Spend | Load):
                target, card = command.card_id, facts.cards.get(command.card_id)
                needs = isinstance(command, Spend) or (card is not None and self._gives_points_for_loads(card))
            elif command.payment_id in facts.payments:
                target = command.payment_id
                found = facts.payments[target]
                card = facts.cards.get(found.payment.card_id)
                needs = isinstance(command, Capture) or (found.kept is not None and found.kept.tender is not None)
            else:
                continue
            if needs:
                always.add(target)
            elif not isinstance(command, Refund):
                continue
            if card is None or card.book_id != request.book_id:
                continue
            versions = self._known.points(card.book_id, card.programme_id)
            programme = self._known.programme(card.book_id, card.programme_id, card.terms_version)
            if versions and programme is not None:
                wanted[target] = (card, programme, versions)
        if not wanted:
            return {}
        return await load_points(connection, slot, wanted, always=always, now=now, issuers=self._points_accounts)

    def _gives_points_for_loads(self, card: CardFacts) -> bool:
        programme = self._known.programme(card.book_id, card.programme_id, card.terms_version)
        campaigns = EMPTY if programme is None else self._known.campaigns(card.book_id, programme.issuer_id)
        return campaigns.loads_give_points

    def _collects(self, work: "_Work", card: CardFacts) -> bool:
        """Whether the programme of a card gives points at this moment."""
        if not work.is_quote:
            known = work.points.get(card.id)
            return known is not None and known.in_force is not None
        return terms_at(self._known.points(card.book_id, card.programme_id), work.now) is not None

    async def _load_holders(
        self,
        connection: Connection,
        facts: BatchFacts,
        asked: list[tuple[int, Request]],
        vouchers: Mapping[UUID, VoucherFacts],
    ) -> dict[UUID, HolderFacts]:
        """What offers and points ask of holders; nothing is read for those of whom nothing is asked."""
        wanted: dict[UUID, AskedHolder] = {}
        for _, request in asked:
            command = request.command
            if isinstance(command, Spend | Load):
                card = facts.cards.get(command.card_id)
            else:
                payment = facts.payments.get(command.payment_id)
                card = None if payment is None else facts.cards.get(payment.payment.card_id)
            if card is None or card.book_id != request.book_id or not (asks := self._asks_of(card, command, vouchers)):
                continue
            if (known := wanted.get(card.id)) is not None:
                asks |= known.asks
            wanted[card.id] = AskedHolder(card.id, card.book_id, card.customer_id, asks)
        return await read_holders(connection, list(wanted.values()), slots=self._slots) if wanted else {}

    def _asks_of(self, card: CardFacts, command: Command, vouchers: Mapping[UUID, VoucherFacts]) -> Asks:
        """What is asked of the holder of a card for a command, by drafts that run beside it too."""
        programme = self._known.programme(card.book_id, card.programme_id, card.terms_version)
        if programme is None or isinstance(command, Void | Refund):
            return Asks.NOTHING
        campaigns = self._known.campaigns(card.book_id, programme.issuer_id)
        watch = self._known.shadows(card.book_id, programme.issuer_id)
        beside = EMPTY if watch is None else watch.drafts
        if isinstance(command, Load):
            return campaigns.asks_of_loads | beside.asks_of_loads
        asks = Asks.NOTHING
        if isinstance(command, Spend):
            asks = campaigns.asks_of_purchases | beside.asks_of_purchases
            if command.voucher_ids:
                asks |= join_asks(vouchers[id_].offer for id_ in command.voucher_ids if id_ in vouchers)
        return asks | Asks.BIRTHDAY if asks_birthday(self._known.points(card.book_id, programme.id)) else asks

    async def _find_accounts(
        self, connection: Connection, slot: int, facts: BatchFacts, requests: Sequence[Request]
    ) -> None:
        """Make sure that the accounts on the other side are known; an account never changes its id."""
        missing: dict[AccountName, AccountSpec] = {}
        for request in requests:
            command = request.command
            if not isinstance(command, Spend | Load) or command.card_id not in facts.cards:
                continue
            card = facts.cards[command.card_id]
            programme = self._known.programme(card.book_id, card.programme_id, card.terms_version)
            if programme is None or card.book_id != request.book_id:
                continue
            wanted = (
                [(command.place.merchant_id, "merchant_payable")]
                if isinstance(command, Spend)
                else [(programme.issuer_id, "load_clearing"), (programme.issuer_id, "bonus_expense")]
            )
            if isinstance(command, Load) and command.fee_fen:
                wanted.append((programme.issuer_id, FEES))
            for owner_id, kind in wanted:
                name = AccountName(slot, owner_id, kind, programme.currency)
                if name not in self._accounts:
                    missing[name] = AccountSpec(request.book_id, owner_id, kind, programme.currency)
        if missing:
            found = await open_accounts(connection, slot=slot, asked=list(missing.values()))
            self._accounts.update(zip(missing, found, strict=True))

    def _plan(self, work: "_Work", n: int, request: Request) -> Plan | Unopened | Refusal:
        """The decision on a request, without the offers of budgets that are known to leave no room for them."""
        lacking = work.over.get(n, set())
        while True:
            decision = self._plan_once(work, request, frozenset(lacking))
            if not isinstance(decision, Plan) or not decision.budgets:
                return decision
            found = self._rests.lacking(decision.budgets, at=time.monotonic())
            if not found:
                return decision
            lacking = lacking | {budget.budget_id for budget, _, _ in found}
            if n in work.over:
                work.over[n] = lacking
            for budget, use, left in found:
                period = {"day": use.day, "month": use.month}.get(budget.period, use.year)
                if budget.subject_id is None and (budget.budget_id, period) not in self._told:
                    near = decision.receipt.payment.card_id
                    work.exhausted[budget.budget_id, period] = (request.book_id, near, left)

    def _plan_once(self, work: "_Work", request: Request, exhausted: frozenset[UUID]) -> Plan | Unopened | Refusal:
        facts, command = self._facts_of(work, request, exhausted)
        return _PLANNERS[type(command)](facts, command)

    def _facts_of(self, work: "_Work", request: Request, exhausted: frozenset[UUID]) -> tuple[Facts, Command]:
        """What a request is decided on, and the request with its place as it is now."""
        facts, slot, command = work.facts, work.slot, request.command
        payment = None
        limits = NO_LIMITS
        place_rules: tuple[PlaceRule, ...] = ()
        offers = trade = None
        if isinstance(command, Spend | Load):
            card = facts.cards.get(command.card_id)
            target = command.card_id
        else:
            payment = facts.payments.get(command.payment_id)
            card = facts.cards.get(payment.payment.card_id) if payment is not None else None
            target = command.payment_id
        programme = (
            self._known.programme(card.book_id, card.programme_id, card.terms_version) if card is not None else None
        )
        payable = clearing = expense = fees = 0
        if card is not None and programme is not None and programme.book_id == request.book_id:
            if isinstance(command, Spend):
                # the terminal as it is now: the door may have looked at an older copy
                place = self._known.place(request.book_id, command.place.terminal_id)
                command = command._replace(place=place or command.place)
                payable = self._accounts.get(
                    AccountName(slot, command.place.merchant_id, MERCHANT_PAYABLE, programme.currency), 0
                )
                registered = card.customer_id is not None
                limits = self._known.limits(request.book_id, programme.id, Movement.SPEND, registered)
                place_rules = self._known.place_rules(request.book_id, programme.id, registered)
                campaigns = self._known.campaigns(request.book_id, programme.issuer_id)
                watch = self._watch(work, request.book_id, programme.issuer_id)
                if campaigns or command.lines or command.voucher_ids or command.outside or command.points or watch:
                    holder = _holder_of(card, work.holders, collects=self._collects(work, card))
                    offers = OfferFacts(campaigns, holder, slot, work.vouchers, exhausted, watch=watch)
            elif isinstance(command, Refund) and payment is not None and payment.kept is not None:
                campaigns = self._known.campaigns(request.book_id, programme.issuer_id)
                offers = OfferFacts(campaigns, _holder_of(card, {}), slot)
            elif isinstance(command, Capture) and payment is not None:
                terminal_id = payment.payment.terminal_id
                place = None if terminal_id is None else self._known.place(request.book_id, terminal_id)
                trade = None if place is None else place.trade
            elif isinstance(command, Load):
                clearing = self._accounts[AccountName(slot, programme.issuer_id, "load_clearing", programme.currency)]
                expense = self._accounts[AccountName(slot, programme.issuer_id, "bonus_expense", programme.currency)]
                if command.fee_fen:
                    fees = self._accounts[AccountName(slot, programme.issuer_id, FEES, programme.currency)]
                limits = self._known.limits(request.book_id, programme.id, Movement.LOAD, card.customer_id is not None)
                campaigns = self._known.campaigns(request.book_id, programme.issuer_id)
                watch = self._watch(work, request.book_id, programme.issuer_id)
                if campaigns or watch:
                    first = not work.holders.get(card.id, _UNASKED).loaded_before
                    holder = _holder_of(card, work.holders, collects=self._collects(work, card))
                    offers = OfferFacts(campaigns, holder, slot, exhausted=exhausted, is_first_load=first, watch=watch)
        points = work.points.get(target)
        if points is not None and card is not None and (born := work.holders.get(card.id, _UNASKED).birthday):
            points = points._replace(birth_month=born[0])
        known = Facts(
            work.now,
            self._ids.new_near(target),
            request.book_id,
            card,
            programme,
            payment,
            Accounts(payable, clearing, expense, fees),
            limits,
            work.usage,
            place_rules,
            offers,
            points,
            self._accounts,
            trade,
        )
        return known, command

    def _watch(self, work: "_Work", book_id: int, issuer_id: UUID) -> Watch | None:
        """The drafts that run beside a payment now."""
        watch = self._known.shadows(book_id, issuer_id)
        return None if watch is None or watch.until <= work.now else watch

    async def _first_answers(
        self, connection: Connection, slot: int, asked: list[tuple[int, Request]]
    ) -> list[tuple[int, Answer]]:
        """The kept answers of requests whose key has one; another request under the same key is refused."""
        keys = [request.key for _, request in asked if request.key is not None]
        kept = await read_answers(connection, slot=slot, key_hashes=[key.key_hash for key in keys])
        answers = []
        for (n, request), key in zip(asked, keys, strict=True):
            request_hash, answer = kept[key.key_hash]
            if request_hash != key.request_hash:
                answer = request.render(IDEMPOTENCY_KEY_REUSED.refuse("Idempotency-Key"))
            answers.append((n, answer))
        return answers
