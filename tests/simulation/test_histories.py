"""The bank test: concurrent clients over HTTP, a server process killed among them, and one order that explains it all.

``KAQUAN_SOAK=1`` runs it for long from a new seed; ``KAQUAN_SEED`` repeats one. The history of a failure is left in the
folder that the failure names.
"""

import asyncio
import os
import time
from pathlib import Path
from random import Random
from uuid import UUID

import msgspec
import pytest
from tests.conftest import make_database
from tests.simulation.history import Event, Op, Value, check_history, write_history
from tests.town import Town, any_customer, audits_hold, keyring_file

from kaquan import cards, parties
from kaquan.cards import Card
from kaquan.doors.load import Caller, read_address
from kaquan.doors.simulate import Answered, Served, Wire, is_final
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.parties import IssuedKey, Mode, Scope

SOAK = bool(os.environ.get("KAQUAN_SOAK"))
SEED = int(os.environ.get("KAQUAN_SEED") or (time.time_ns() if SOAK else 20_260_302))
ROUNDS = 40 if SOAK else 1
OPERATIONS = 2_000 if SOAK else 300
LANES = 6
CARDS = 3
START_FEN = 2_000
HOLDER = UUID(int=0xA)

REFUSALS = {Op.PURCHASE: b'"insufficient_funds"', Op.TRANSFER: b'"nothing_to_transfer"'}


class Bank:
    """A few cards of one holder, and clients who write down what they ask and hear."""

    def __init__(self, server: Served, caller: Caller, cards: list[str], terminal: str) -> None:
        self.server, self.caller, self.cards, self.terminal = server, caller, cards, terminal
        self.events: list[Event] = []
        self.keys = 0
        self.left = self.kill_at = 0

    def note(self, process: int, kind: str, op: Op, value: Value) -> None:
        event = {"process": process, "type": kind, "time": time.monotonic_ns(), "op": op, "value": value}
        self.events.append(Event(**event))  # type: ignore[arg-type]

    def request(self, op: Op, value: Value) -> bytes:
        assert value.card is not None
        card = self.cards[value.card]
        if op is Op.READ:
            return self.caller.get(f"/v1/cards/{card}/accounts")
        self.keys += 1
        path, body = f"/v1/{op}s", {"card_id": card, "amount_fen": value.amount}
        if op is Op.TRANSFER:
            assert value.to is not None
            path, body = f"/v1/cards/{card}/transfer", {"to_card_id": self.cards[value.to]}
        elif op is Op.PURCHASE:
            body["terminal_id"] = self.terminal
        return self.caller.post(path, msgspec.json.encode(body), key=f"{id(self)}-{self.keys}")

    def read_answer(self, op: Op, asked: Value, answer: Answered) -> tuple[str, Value]:
        told = msgspec.json.decode(answer.body)
        if answer.status >= 400:
            assert REFUSALS[op] in answer.body, (op, answer)
            return "fail", asked
        if op is Op.READ:
            return "ok", Value(card=asked.card, balance=sum(pocket["available_fen"] for pocket in told["data"]))
        if op is Op.TRANSFER:
            assert told["status"] == "completed"
            return "ok", Value(card=asked.card, to=asked.to, amount=told["amount_fen"])
        return "ok", Value(card=asked.card, amount=told["amount_fen"], balance=told["balance_fen"])

    async def lane(self, chance: Random, process: int) -> None:
        """One client after the other: whoever does not get an answer may give up, and another takes the place."""
        async with self.server.wire() as wire:
            while self.left > 0:
                self.left -= 1
                if self.left == self.kill_at:
                    self.server.kill(chance)
                op = chance.choice([Op.READ, Op.READ, Op.PURCHASE, Op.PURCHASE, Op.LOAD, Op.TRANSFER])
                card = chance.randrange(CARDS)
                asked = Value(
                    card=card,
                    to=(card + chance.randint(1, CARDS - 1)) % CARDS if op is Op.TRANSFER else None,
                    amount=chance.randint(1, 900) if op in (Op.LOAD, Op.PURCHASE) else None,
                )
                self.note(process, "invoke", op, asked)
                answer = await self._insist(wire, self.request(op, asked), patient=chance.random() < 0.5)
                kind, told = ("info", asked) if answer is None else self.read_answer(op, asked, answer)
                self.note(process, kind, op, told)
                if answer is None:
                    process += LANES

    async def _insist(self, wire: Wire, request: bytes, *, patient: bool) -> Answered | None:
        """The answer; who is patient asks again under the same key until there is one."""
        for _ in range(100):
            answer = await wire.send(request)
            if is_final(answer):
                return answer
            if not patient:
                return None
            await asyncio.sleep(0.05)
        raise AssertionError(f"no answer: {answer}")

    async def snapshot(self) -> list[int]:
        """What all cards hold while nobody else asks: one moment."""
        self.note(-1, "invoke", Op.SNAPSHOT, Value())
        balances = []
        async with self.server.wire() as wire:
            for card in range(CARDS):
                answer = await self._insist(wire, self.request(Op.READ, Value(card=card)), patient=True)
                assert answer is not None
                told = self.read_answer(Op.READ, Value(card=card), answer)[1].balance
                assert told is not None
                balances.append(told)
        self.note(-1, "ok", Op.SNAPSHOT, Value(balances=balances))
        return balances

    async def round(self, chance: Random) -> None:
        self.left = OPERATIONS
        self.kill_at = chance.randint(OPERATIONS // 4, OPERATIONS * 3 // 4)
        lanes = (self.lane(Random(chance.getrandbits(64)), number) for number in range(LANES))
        await asyncio.gather(*lanes)
        await self.server.ready()


async def furnish(conninfo: str, server: Served) -> Bank:
    town = await Town.found(conninfo, clock=SystemClock())
    app, ids = town.apps[0], []
    for _ in range(CARDS):
        card_id = await town.new_card(load_fen=START_FEN)
        done = await cards.register_card(
            app.pool,
            town.hand(),
            any_customer,
            book_id=town.book_id,
            slots=app.slots,
            card_id=card_id,
            customer_id=HOLDER,
        )
        assert isinstance(done, Card)
        ids.append(show_id(Prefix.CARD, card_id))
    key = await parties.issue_key(
        app.pool, app.clock, app.ids, book=town.books[Mode.LIVE], name="tills", scopes=list(Scope)
    )
    assert isinstance(key, IssuedKey)
    caller = Caller(read_address(f"http://127.0.0.1:{server.settings.port}"), token=key.token)
    await town.close()
    return Bank(server, caller, ids, show_id(Prefix.TERMINAL, town.places[0].terminal_id))


def test_one_order_explains_every_answer(server: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    print(f"KAQUAN_SEED={SEED}")  # shown when it fails
    folder, chance = tmp_path_factory.mktemp("histories"), Random(SEED)
    conninfo = make_database(server, f"test_histories_{os.getpid()}")
    served = Served(folder / "home")
    keyring_file(served.settings.keyring_path)
    bank = asyncio.run(furnish(conninfo, served))
    with served.open(conninfo):
        asyncio.run(served.ready())
        held = [START_FEN] * CARDS
        for number in range(ROUNDS):
            bank.events.clear()
            asyncio.run(bank.round(chance))
            after = asyncio.run(bank.snapshot())
            path = Path(folder / f"history-{number}.jsonl")
            write_history(path, bank.events)
            outcomes = {kind: sum(event.type == kind for event in bank.events) for kind in ("ok", "fail", "info")}
            print(f"round {number}: {outcomes}")
            assert check_history(bank.events, held) == [], path
            assert outcomes["ok"] > OPERATIONS // 3, "the clients could hardly work: nothing was shown"
            held = after
    asyncio.run(audits_hold(conninfo))
