"""Tills of a town whose server and database can be killed, and an auditor that believes only what they were told."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo
from tests.conftest import make_database
from tests.simulation.served import Answered, Line, Served, Wire, is_final
from tests.town import Town

from kaquan.kit.clock import SystemClock
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.kit.ids import Prefix, show_id

LANES = 12
CARDS = 6
START_FEN = 1_000_000
ROUND_S = 2.5

Victim = Literal["server", "postgres"]


class Asked:
    """A request, and the answer that its client has seen, if any."""

    def __init__(self, kind: str, card: int, request: bytes) -> None:
        self.kind, self.card, self.request = kind, card, request
        self.answer: Answered | None = None

    @property
    def done(self) -> dict[str, int | str] | None:
        """What a success said."""
        if self.answer is None or self.answer.status >= 400:
            return None
        read: dict[str, int | str] = msgspec.json.decode(self.answer.body)
        return read


class Simulation:
    """A town whose server and database can be killed, and its tills."""

    def __init__(self, folder: Path, chance: Random, *, servers: int = 1, jobs: bool = False) -> None:
        self.chance = chance
        bin_dir = os.environ.get("KAQUAN_TEST_BIN_DIR")
        self.postgres = EmbeddedPostgres(folder / "postgres", bin_dir=Path(bin_dir) if bin_dir else None)
        self.servers = [Served(folder / f"home-{number}", jobs=jobs) for number in range(servers)]
        self.asked: list[Asked] = []
        self.keys = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start everything, and stop it at the end."""
        with self.postgres:
            self.conninfo = make_conninfo(make_database(self.postgres.conninfo(), "crash"))
            asyncio.run(self._furnish())
            with ExitStack() as running:
                for server in self.servers:
                    running.enter_context(server.open(self.conninfo))
                yield

    async def _furnish(self) -> None:
        town = await Town.found(self.conninfo, clock=SystemClock(), shops=3)
        self.cards = [await town.new_card(load_fen=START_FEN, bonus_fen=500) for _ in range(CARDS)]
        self.terminals = [show_id(Prefix.TERMINAL, place.terminal_id) for place in town.places]
        self.caller = await self.servers[0].caller(town)
        await town.close()

    async def ready(self) -> None:
        """Wait until every server can serve."""
        for server in self.servers:
            await server.ready()

    def connect(self, chance: Random) -> AbstractAsyncContextManager[Line]:
        """What a till sends its requests over."""
        return chance.choice(self.servers).wire()

    def ask(self, kind: str, card: int, path: str, **body: object) -> Asked:
        self.keys += 1
        key = f"key-{self.keys}"
        asked = Asked(kind, card, self.caller.post(path, msgspec.json.encode(body), key=key))
        self.asked.append(asked)
        return asked

    def next(self, chance: Random, mine: list[Asked]) -> Asked:
        """What a till asks next: something new, or something with what it was told was done."""
        card = chance.randrange(CARDS)
        earlier = [asked for asked in mine if asked.done is not None and asked.kind in ("purchase", "authorization")]
        roll = chance.random()
        if roll < 0.3 and earlier:
            before = earlier.pop(chance.randrange(len(earlier)))
            mine.remove(before)
            assert before.done is not None
            id_, part = before.done["id"], chance.randint(1, int(before.done["amount_fen"]))
            if before.kind == "purchase":
                return self.ask("refund", before.card, "/v1/refunds", payment_id=id_, amount_fen=part)
            if chance.random() < 0.3:
                return self.ask("void", before.card, f"/v1/authorizations/{id_}/void")
            return self.ask("capture", before.card, f"/v1/authorizations/{id_}/capture", amount_fen=part)
        card_id = show_id(Prefix.CARD, self.cards[card])
        if roll < 0.4:
            return self.ask("load", card, "/v1/loads", card_id=card_id, amount_fen=chance.randint(1, 900), bonus_fen=7)
        kind = chance.choice(["purchase", "purchase", "authorization"])
        return self.ask(
            kind,
            card,
            f"/v1/{kind}s",
            card_id=card_id,
            amount_fen=chance.randint(1, 900),
            terminal_id=chance.choice(self.terminals),
        )

    async def till(self, seed: int, end: float) -> None:
        chance, mine = Random(seed), list[Asked]()
        async with self.connect(chance) as wire:
            while time.monotonic() < end:
                asked = self.next(chance, mine)
                mine.append(asked)
                answer = await wire.send(asked.request)
                if is_final(answer):  # else not known, or not done; the same key tells later
                    asked.answer = answer

    async def round(self, victim: Victim) -> None:
        """Tills at work, and a kill among it."""
        end = time.monotonic() + ROUND_S
        tills = [asyncio.create_task(self.till(self.chance.getrandbits(64), end)) for _ in range(LANES)]
        await asyncio.sleep(self.chance.uniform(0.2, ROUND_S * 0.6))
        if victim == "server":
            self.chance.choice(self.servers).kill_one(self.chance)
        else:
            pid = self.postgres.status().pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            await asyncio.to_thread(self.postgres.start)
        await asyncio.gather(*tills)
        await self.ready()

    def each_key_at_most_once(self) -> None:
        """No key moved value twice, and whoever was told so finds it moved."""
        with psycopg.connect(self.conninfo) as connection:
            rows = connection.execute(
                "SELECT request_key, array_agg(id) FROM ledger_transaction"
                " WHERE request_key LIKE 'key-%' GROUP BY request_key"
            ).fetchall()
        made: dict[str, list[UUID]] = dict(rows)
        assert {key: ids for key, ids in made.items() if len(ids) > 1} == {}
        for number, asked in enumerate(self.asked, start=1):
            if asked.answer is None:
                continue
            found = made.get(f"key-{number}", [])
            assert len(found) == (asked.answer.status < 400), (number, asked.kind, asked.answer)
            if asked.done is not None and asked.kind not in ("capture", "void"):
                assert show_id(Prefix.TRANSACTION, found[0]) == asked.done["id"]

    async def ask_again(self, requests: Sequence[Asked]) -> tuple[int, int]:
        """Each request once more under its key: the answer is the first one, byte for byte, if that was heard.

        How many were known and how many were not.
        """
        waiting, known, unknown = list(requests), 0, 0

        async def lane() -> None:
            nonlocal known, unknown
            async with self.servers[0].wire() as wire:
                while waiting:
                    asked = waiting.pop()
                    answer = await self._insist(wire, asked)
                    assert answer.status < 500, answer
                    if asked.answer is None:
                        unknown += 1
                        asked.answer = answer
                    else:
                        known += 1
                        assert answer == asked.answer, asked.kind

        await asyncio.gather(*(lane() for _ in range(LANES)))
        return known, unknown

    async def _insist(self, wire: Wire, asked: Asked) -> Answered:
        """The answer to a request, however often it has to be asked."""
        for _ in range(50):
            answer = await wire.send(asked.request)
            if is_final(answer):
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError(f"no answer: {answer}")

    def balances_add_up(self) -> None:
        """What each card has available is what its answers come to."""
        expected = [START_FEN + 500] * CARDS
        for asked in self.asked:
            done = asked.done
            if done is None:
                continue
            amount_fen = int(done["amount_fen"])
            if asked.kind == "load":
                expected[asked.card] += amount_fen + int(done["bonus_fen"])
            elif asked.kind in ("purchase", "authorization"):
                expected[asked.card] -= amount_fen
            elif asked.kind == "refund":
                expected[asked.card] += amount_fen
            else:  # a capture (final) or a void: what was not captured comes back
                expected[asked.card] += amount_fen - int(done["captured_fen"])
        with psycopg.connect(self.conninfo) as connection:
            rows = connection.execute(
                "SELECT owner_id, sum(credits_posted - debits_posted - debits_pending)::bigint FROM ledger_account"
                " WHERE owner_id = ANY (%s) GROUP BY owner_id",
                (self.cards,),
            ).fetchall()
        found: dict[UUID, int] = dict(rows)
        assert [found[card] for card in self.cards] == expected
