"""Any sequence of payments, also at the same moment in two processes, against an independent model.

``KAQUAN_SOAK=1`` runs much longer and with new chances each time.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import permutations
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.conftest import make_database
from tests.property import payments_model as model
from tests.property.payments_model import Expected, Model
from tests.town import HandClock, Told, Town, audits_hold

from kaquan import cards as cards_room
from kaquan import parties
from kaquan.kit.outcomes import Refusal
from kaquan.parties import TerminalStatus
from kaquan.payments import Capture, Command, Load, Refund, Spend, Void
from kaquan.payments.expire import expire_overdue

SOAK = bool(os.environ.get("KAQUAN_SOAK"))
T = TypeVar("T")

amounts = st.integers(1, 900)
processes = st.integers(0, 1)
shops = st.integers(0, 1)


class Asked(NamedTuple):
    """A request that was answered."""

    command: Command
    key: str
    told: Told


class Step(NamedTuple):
    """A command, and the same for the model: it names what would be made by ``name``."""

    name: int
    command: Command
    expect: Callable[[Model], Expected]


class Machine(RuleBasedStateMachine):
    """The rules draw small numbers: cards, payments and old requests are picked among those that are there."""

    def __init__(self, conninfo: str) -> None:
        super().__init__()
        self.conninfo = conninfo
        self.runner = asyncio.Runner()
        self.clock = HandClock()
        self.model = Model()
        self.names = 0
        self.cards: list[UUID] = []
        self.payment_ids: dict[int, UUID] = {}
        self.load_ids: dict[UUID, int] = {}
        self.asked: list[Asked] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def found(self) -> None:
        self.town = self.run(
            Town.found(
                self.conninfo,
                clock=self.clock,
                processes=2,
                shops=2,
                max_balance_fen=model.MAX_BALANCE_FEN,
                principal_valid_days=model.PRINCIPAL_VALID_DAYS,
                bonus_valid_days=model.BONUS_VALID_DAYS,
                authorization_ttl_s=model.DEFAULT_TTL_S,
            )
        )
        self.reader = psycopg.connect(self.conninfo, autocommit=True)
        for _ in range(2):
            self.new_card(active=True)
            self._one(self._load(len(self.cards) - 1, 1_000, 150), 0)

    def teardown(self) -> None:
        if hasattr(self, "town"):
            self.run(self.town.close())
            self.reader.close()
        self.runner.close()

    # Rules

    @precondition(lambda self: len(self.cards) < 4)
    @rule(active=st.booleans())
    def new_card(self, active: bool) -> None:
        self.model.cards[len(self.cards)] = model.Card(active)
        self.cards.append(self.run(self.town.new_card(active=active)))

    @rule(card=st.integers(0, 3))
    def activate(self, card: int) -> None:
        card %= len(self.cards)
        app = self.town.apps[0]
        done = self.run(
            cards_room.activate_card(
                app.pool, self.town.hand(), book_id=self.town.book_id, slots=app.slots, card_id=self.cards[card]
            )
        )
        if self.model.cards[card].blocked:
            assert isinstance(done, Refusal)
        else:
            self.model.cards[card].active = True

    @rule(card=st.integers(0, 3), blocked=st.booleans(), process=processes)
    def block(self, card: int, blocked: bool, process: int) -> None:
        card %= len(self.cards)
        change = self.town.block if blocked else self.town.unblock
        self.run(change(self.cards[card], process=process))
        self.model.cards[card].blocked = blocked

    @rule(shop=shops, blocked=st.booleans())
    def block_terminal(self, shop: int, blocked: bool) -> None:
        done = self.run(
            parties.change_terminal(
                self.town.apps[0].pool,
                self.town.apps[0].clock,
                self.town.ids,
                book_id=self.town.book_id,
                id_=self.town.places[shop].terminal_id,
                status=TerminalStatus.BLOCKED if blocked else TerminalStatus.ACTIVE,
            )
        )
        assert not isinstance(done, Refusal)
        self.model.terminal_blocked[shop] = blocked

    @rule(seconds=st.sampled_from([1, 59, 60, 3_600, 6 * 3_600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.clock.move(timedelta(seconds=seconds))

    @rule(process=processes)
    def sweep(self, process: int) -> None:
        app = self.town.apps[process]
        expired = self.run(expire_overdue(app.desk, app.pool, app.slots, self.clock.now()))
        assert expired >= self.model.expire(self.clock.now())  # it sweeps the books of earlier examples too

    @rule(card=st.integers(0, 3), amount=amounts, bonus=st.integers(0, 200), process=processes)
    def load(self, card: int, amount: int, bonus: int, process: int) -> None:
        self._one(self._load(card, amount, bonus), process)

    @rule(card=st.integers(0, 3), amount=amounts, shop=shops, process=processes)
    def purchase(self, card: int, amount: int, shop: int, process: int) -> None:
        self._one(self._spend(card, amount, shop), process)

    @rule(card=st.integers(0, 3), amount=amounts, shop=shops, ttl=st.sampled_from([None, 60]), process=processes)
    def authorize(self, card: int, amount: int, shop: int, ttl: int | None, process: int) -> None:
        self._one(self._spend(card, amount, shop, authorize=True, ttl=ttl), process)

    @precondition(lambda self: self.payment_ids)
    @rule(which=st.integers(0, 20), amount=st.none() | amounts, final=st.booleans(), process=processes)
    def capture(self, which: int, amount: int | None, final: bool, process: int) -> None:
        self._one(self._capture(which, amount, final), process)

    @precondition(lambda self: self.payment_ids)
    @rule(which=st.integers(0, 20), process=processes)
    def void(self, which: int, process: int) -> None:
        self._one(self._void(which), process)

    @precondition(lambda self: self.payment_ids)
    @rule(which=st.integers(0, 20), amount=st.none() | st.integers(1, 200), process=processes)
    def refund(self, which: int, amount: int | None, process: int) -> None:
        self._one(self._refund(which, amount), process)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 1_000), process=processes, same=st.booleans())
    def retry(self, which: int, process: int, same: bool) -> None:
        asked = self.asked[-1 - which % len(self.asked)]
        told = self.run(self.town.ask(asked.command, key=asked.key, process=process, body=None if same else b"other"))
        if same:
            assert told == asked.told
        else:
            assert (told.status, told.code) == (422, "idempotency_key_reused")

    @precondition(lambda self: self.payment_ids)
    @rule(data=st.data(), count=st.integers(2, 4))
    def at_once(self, data: st.DataObject, count: int) -> None:
        """Commands of two processes at the same moment: what they are told is what some order of them gives."""
        steps = [data.draw(self._any_step()) for _ in range(count)]
        keys = [self.town.ids.new().hex for _ in steps]

        async def together() -> list[Told]:
            return await asyncio.gather(
                *(
                    self.town.ask(step.command, key=key, process=number % 2)
                    for number, (step, key) in enumerate(zip(steps, keys, strict=True))
                )
            )

        told = self.run(together())
        heard = [self._read(step, one)._replace(balance_fen=0) for step, one in zip(steps, told, strict=True)]
        for step, key, one in zip(steps, keys, told, strict=True):
            self._remember(step, key, one)
        loads, lots = self._loads_in_order(), self._lots()
        for order in permutations(range(count)):
            possible = self.model.copy()
            expected = {number: steps[number].expect(possible) for number in order}
            # A balance may leave out what happens to another pocket of the card at the same moment. Two orders may be
            # told the same and take from other lots of one pocket.
            if (
                all(expected[number]._replace(balance_fen=0) == heard[number] for number in range(count))
                and [steps[number].name for number in order if steps[number].name in loads]
                == [name for name in loads if name in {step.name for step in steps}]
                and possible.lots() == lots
            ):
                self.model = possible
                break
        else:
            raise AssertionError(f"no order of these explains {heard}: {[step.command for step in steps]}")

    def _loads_in_order(self) -> list[int]:
        """The loads by the numbers of their lots: the older of two lots is spent first."""
        rows = self.reader.execute(
            "SELECT l.origin_transaction_id FROM ledger_lot l JOIN ledger_account a ON a.slot = l.slot"
            " AND a.id = l.account_id WHERE a.book_id = %s AND a.kind = 'card_principal' ORDER BY a.id, l.lot",
            (self.town.book_id,),
        ).fetchall()
        return [self.load_ids[row[0]] for row in rows]

    def _any_step(self) -> st.SearchStrategy[Step]:
        card, shop, which = st.integers(0, 3), shops, st.integers(0, 20)
        return st.one_of(
            st.builds(self._load, card, amounts, st.integers(0, 200)),
            st.builds(self._spend, card, amounts, shop),
            st.builds(self._spend, card, amounts, shop, authorize=st.just(True), ttl=st.none()),
            st.builds(self._capture, which, st.none() | amounts, st.booleans()),
            st.builds(self._void, which),
            st.builds(self._refund, which, st.none() | amounts),
        )

    # Commands, for the town and for the model

    def _name(self) -> int:
        self.names += 1
        return self.names

    def _load(self, card: int, amount: int, bonus: int) -> Step:
        card, name, now = card % len(self.cards), self._name(), self.clock.now()
        return Step(
            name,
            Load(self.cards[card], amount, bonus, now),
            lambda book: book.load(name, card, amount, bonus, now),
        )

    def _spend(self, card: int, amount: int, shop: int, *, authorize: bool = False, ttl: int | None = None) -> Step:
        card, name, now = card % len(self.cards), self._name(), self.clock.now()
        return Step(
            name,
            Spend(self.cards[card], amount, self.town.places[shop], now, None, authorize, ttl),
            lambda book: book.spend(name, card, amount, shop, now, authorize=authorize, expires_in_s=ttl),
        )

    def _pick(self, which: int) -> int:
        names = sorted(self.payment_ids, reverse=True)  # the latest are the likeliest
        return names[which % len(names)]

    def _capture(self, which: int, amount: int | None, final: bool) -> Step:
        of, now = self._pick(which), self.clock.now()
        command = Capture(self.payment_ids[of], amount, final)
        return Step(self._name(), command, lambda book: book.capture(of, amount, final, now))

    def _void(self, which: int) -> Step:
        of, now = self._pick(which), self.clock.now()
        return Step(self._name(), Void(self.payment_ids[of]), lambda book: book.void(of, now))

    def _refund(self, which: int, amount: int | None) -> Step:
        of, now = self._pick(which), self.clock.now()
        command = Refund(self.payment_ids[of], amount, now)
        return Step(self._name(), command, lambda book: book.refund(of, amount, now))

    def _one(self, step: Step, process: int) -> None:
        key = self.town.ids.new().hex
        told = self.run(self.town.ask(step.command, key=key, process=process))
        assert self._read(step, told) == step.expect(self.model), step.command
        self._remember(step, key, told)

    def _read(self, step: Step, told: Told) -> Expected:
        if told.code is not None:
            return Expected(told.code)
        body = told.body
        note(f"{type(step.command).__name__}: {body['status']} {body['amount_fen']}")
        return Expected(
            None,
            body["status"],
            body["amount_fen"],
            body["captured_fen"],
            body["refunded_fen"],
            body["balance_fen"],
            tuple(sorted((one["pocket"], one["amount_fen"]) for one in body["pockets"])),
        )

    def _remember(self, step: Step, key: str, told: Told) -> None:
        self.asked.append(Asked(step.command, key, told))
        if told.code is None and isinstance(step.command, Spend):
            self.payment_ids[step.name] = told.payment_id
        elif told.code is None and isinstance(step.command, Load):
            self.load_ids[told.payment_id] = step.name

    # What must be true after every step

    @invariant()
    def every_lot_is_as_the_model_has_it(self) -> None:
        assert self._lots() == self.model.lots()

    def _lots(self) -> dict[tuple[int, int, str], tuple[int, int]]:
        """What remains in each lot and is reserved of it, by card, load and pocket."""
        rows = self.reader.execute(
            "SELECT a.owner_id, l.origin_transaction_id, a.kind, l.remaining_fen, l.reserved_fen"
            " FROM ledger_account a JOIN ledger_lot l ON l.slot = a.slot AND l.account_id = a.id WHERE a.book_id = %s",
            (self.town.book_id,),
        ).fetchall()
        return {
            (self.cards.index(owner), self.load_ids[origin], kind.removeprefix("card_")): (remaining, reserved)
            for owner, origin, kind, remaining, reserved in rows
        }

    @invariant()
    def every_account_is_as_the_model_has_it(self) -> None:
        rows = self.reader.execute(
            "SELECT owner_id, sum(credits_posted - debits_posted), sum(debits_pending) FROM ledger_account"
            " WHERE book_id = %s GROUP BY owner_id",
            (self.town.book_id,),
        ).fetchall()
        found = {owner: (posted, pending) for owner, posted, pending in rows}
        for card, of in self.model.cards.items():
            reserved = sum(lot.reserved_fen for lot in of.lots)
            assert found.get(self.cards[card], (0, 0)) == (of.held_fen, reserved)
        for shop, place in enumerate(self.town.places):
            assert found.get(place.merchant_id, (0, 0))[0] == self.model.payable_fen(shop)

    @invariant()
    def every_payment_is_as_the_model_has_it(self) -> None:
        rows = self.reader.execute(
            "SELECT id, status::text, captured_fen, refunded_fen FROM payments_payment"
            " WHERE book_id = %s AND kind IN ('purchase', 'authorization')",
            (self.town.book_id,),
        ).fetchall()
        assert {id_: tuple(rest) for id_, *rest in rows} == {
            self.payment_ids[name]: (paid.status, paid.captured_fen, paid.refunded_fen)
            for name, paid in self.model.payments.items()
        }


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_machine_{os.getpid()}")


def test_payments_do_what_the_model_says(own_database: str) -> None:
    run_state_machine_as_test(
        lambda: Machine(own_database),  # type: ignore[arg-type]  # it takes any callable
        settings=settings(
            max_examples=400 if SOAK else 25,
            stateful_step_count=80 if SOAK else 40,
            derandomize=not SOAK,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
        ),
    )
    asyncio.run(audits_hold(own_database))
