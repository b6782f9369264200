"""The desk: requests in flight share a trip to the database; each is decided alone, posted once, answered once.

Per slot one :class:`kaquan.kit.batching.Batcher`. A batch is: load the facts of all (one call), plan each (pure), post
all (one call). A plan that came back stale is planned again on fresh facts, a few times. When the connection breaks,
nobody knows whether the batch was committed; the same items are then posted again under their keys, and the database
answers for those that were: nothing acknowledged is lost and nothing happens twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from kaquan.cards import FEES, Programme
from kaquan.kit.batching import Batcher, QueueFullError
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, describe_failure, is_outage
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import BUSY, INTERNAL_ERROR, UNAVAILABLE, Refusal
from kaquan.ledger import AccountSpec, Answer, Item, claim_keys, open_accounts, read_answers, slot_of
from kaquan.parties import Place
from kaquan.payments import store
from kaquan.payments.capture import plan_capture
from kaquan.payments.limits import NO_LIMITS, LimitSet, Movement, UsageFacts
from kaquan.payments.load import plan_load
from kaquan.payments.outcomes import IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS
from kaquan.payments.places import PlaceRule
from kaquan.payments.refund import plan_refund
from kaquan.payments.reserve import Held, own_part, reserve, settle
from kaquan.payments.spend import plan_spend
from kaquan.payments.store import ANSWERED, APPLIED, OVER_LIMIT, BatchFacts
from kaquan.payments.types import Accounts, Capture, Facts, Load, Plan, Refund, Request, Spend, Void
from kaquan.payments.void import plan_void

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

_PLANNERS: dict[type, Callable[[Facts, Any], Plan | Refusal]] = {
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
    limits: Callable[[int, UUID, Movement, bool], LimitSet]
    """Of a book's programme, for a movement, for registered cards or the others."""
    place_rules: Callable[[int, UUID, bool], tuple[PlaceRule, ...]]
    """Of a book's programme, for registered cards or the others."""
    tracks_places: Callable[[], bool]
    """Whether any rule wants to know where a card was last."""
    version: Callable[[int], int]
    refresh: Callable[[], Any]


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
        self._accounts: dict[tuple[int, UUID, str, str], int] = {}
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

    def _runner(self, slot: int) -> Callable[[list[Request]], Any]:
        async def run(requests: list[Request]) -> list[Answer]:
            return await self._run(slot, requests)

        return run

    async def _run(self, slot: int, requests: list[Request]) -> list[Answer]:
        """Answer a batch; never raises."""
        answers: list[Answer | None] = [None] * len(requests)
        waiting = list(range(len(requests)))
        over: set[int] = set()
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
        self, connection: Connection, slot: int, asked: list[tuple[int, Request]], over: set[int]
    ) -> list[tuple[int, Answer]]:
        """One load, plan and post; the answers of those that are done, by position.

        ``over`` are those for which a limit left no room the last time: what was used is read for them, so that the
        plan can say so. Those of this time are put there.
        """
        refused = await self._refuse_reused(connection, asked)
        if refused:
            gone = {n for n, _ in refused}
            asked = [entry for entry in asked if entry[0] not in gone]
            if not asked:
                return refused
        facts = await self._load(connection, slot, [request for _, request in asked])
        now = self._clock.now()
        decisions = [self._plan(slot, facts, request, now) for _, request in asked]
        if over:
            await self._plan_knowing_usage(connection, slot, facts, asked, over, decisions, now)
        held: Held = {}
        reserved: list[UUID] = []
        if len(self._slots) > 1:
            asked, decisions, held, reserved = await self._reserve(connection, slot, asked, decisions, over)
            if not asked:
                return refused
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
        statuses = await store.post(connection, items, plans, slot=slot, recorded_at=now, reserved=reserved)
        if held:
            posted = [item.posting for item, status in zip(items, statuses, strict=True) if status == APPLIED]
            await settle(connection, held, posted={one.transaction_id for one in posted if one is not None})
        done = refused + [
            (n, answer) for (n, _), answer, status in zip(asked, rendered, statuses, strict=True) if status == APPLIED
        ]
        again = [entry for entry, status in zip(asked, statuses, strict=True) if status == ANSWERED]
        over.update(n for (n, _), status in zip(asked, statuses, strict=True) if status == OVER_LIMIT)
        return done + await self._first_answers(connection, slot, again) if again else done

    async def _reserve(
        self,
        connection: Connection,
        slot: int,
        asked: list[tuple[int, Request]],
        decisions: list[Plan | Refusal],
        over: set[int],
    ) -> tuple[list[tuple[int, Request]], list[Plan | Refusal], Held, list[UUID]]:
        """With several slots: reserve what is used of shared limits. What goes on, what it holds and which holds it."""
        told = await reserve(connection, decisions, slot=slot, slots=self._slots, clock=self._clock)
        over.update(n for (n, _), status in zip(asked, told.statuses, strict=True) if status == OVER_LIMIT)
        going = [at for at, status in enumerate(told.statuses) if status == APPLIED]
        return [asked[at] for at in going], [own_part(decisions[at]) for at in going], told.held, told.ids

    async def _plan_knowing_usage(
        self,
        connection: Connection,
        slot: int,
        facts: BatchFacts,
        asked: list[tuple[int, Request]],
        over: set[int],
        decisions: list[Plan | Refusal],
        now: datetime,
    ) -> None:
        """Plan again those for which a limit left no room, now with what was used."""
        uses = {
            at: decision.uses
            for at, ((n, _), decision) in enumerate(zip(asked, decisions, strict=True))
            if n in over and isinstance(decision, Plan) and decision.uses is not None
        }
        usage = await store.read_usage(connection, slot=slot, slots=self._slots, uses=list(uses.values()))
        for at in uses:
            decisions[at] = self._plan(slot, facts, asked[at][1], now, usage)

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
        if any(self._known.version(card.book_id) < card.book_version for card in facts.cards.values()):
            await self._known.refresh()
        await self._find_accounts(connection, slot, facts, requests)
        return facts

    async def _find_accounts(
        self, connection: Connection, slot: int, facts: BatchFacts, requests: Sequence[Request]
    ) -> None:
        """Make sure that the accounts on the other side are known; an account never changes its id."""
        missing: dict[tuple[int, UUID, str, str], AccountSpec] = {}
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
                name = (slot, owner_id, kind, programme.currency)
                if name not in self._accounts:
                    missing[name] = AccountSpec(request.book_id, owner_id, kind, programme.currency)
        if missing:
            found = await open_accounts(connection, slot=slot, asked=list(missing.values()))
            self._accounts.update(zip(missing, found, strict=True))

    def _plan(
        self, slot: int, facts: BatchFacts, request: Request, now: datetime, usage: UsageFacts | None = None
    ) -> Plan | Refusal:
        command = request.command
        payment = None
        limits = NO_LIMITS
        place_rules: tuple[PlaceRule, ...] = ()
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
                owner_id = command.place.merchant_id
                payable = self._accounts[slot, owner_id, "merchant_payable", programme.currency]
                registered = card.customer_id is not None
                limits = self._known.limits(request.book_id, programme.id, Movement.SPEND, registered)
                place_rules = self._known.place_rules(request.book_id, programme.id, registered)
            elif isinstance(command, Load):
                clearing = self._accounts[slot, programme.issuer_id, "load_clearing", programme.currency]
                expense = self._accounts[slot, programme.issuer_id, "bonus_expense", programme.currency]
                if command.fee_fen:
                    fees = self._accounts[slot, programme.issuer_id, FEES, programme.currency]
                limits = self._known.limits(request.book_id, programme.id, Movement.LOAD, card.customer_id is not None)
        known = Facts(
            now,
            self._ids.new_near(target),
            request.book_id,
            card,
            programme,
            payment,
            Accounts(payable, clearing, expense, fees),
            limits,
            usage,
            place_rules,
        )
        return _PLANNERS[type(command)](known, command)

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
