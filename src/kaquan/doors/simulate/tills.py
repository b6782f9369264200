"""Tills that all take the same cards at once, a warden who stops these cards, and what must then be on them."""

import asyncio
import time
from asyncio import Future
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from kaquan.doors.simulate import store
from kaquan.doors.simulate.office import Office, Told, ViolationError
from kaquan.doors.simulate.wire import Answered, Line, is_kept, wire_to
from kaquan.kit.ids import Prefix, show_id

SPENDS = ("purchase", "authorization")
ASKED_AGAIN = 200
"""How many requests whose answers are known are sent again after a round, at the most."""

REMEMBERED = 200
"""How many requests of earlier rounds are kept, to be sent again much later."""


class Asked:
    """A request under a key, and the answer that its client has seen, if any."""

    def __init__(self, kind: str, card: str, key: str, request: bytes, *, final: bool = True) -> None:
        self.kind, self.card, self.key, self.request, self.final = kind, card, key, request, final
        self.answer: Answered | None = None
        self.stopped: tuple[str, int] | None = None

    @property
    def done(self) -> dict[str, Any] | None:
        """What a success said."""
        if self.answer is None or self.answer.status >= 400:
            return None
        read: dict[str, Any] = msgspec.json.decode(self.answer.body)
        return read


def change_of(asked: Asked) -> int:
    """By how much a request changed what its card has available, by its answer alone."""
    done = asked.done
    if done is None:
        return 0
    amount_fen = int(done["amount_fen"])
    if asked.kind == "load":
        return amount_fen + int(done["bonus_fen"])
    if asked.kind in SPENDS:
        return -amount_fen
    if asked.kind == "refund":
        return amount_fen
    # a final capture or a void: what was not captured comes back
    return amount_fen - int(done["captured_fen"]) if asked.final else 0


def find_wrong_key(requests: Sequence[Asked], made: Mapping[str, Sequence[UUID]]) -> str | None:
    """What does not fit of the transactions that were ``made`` under each key: one made twice, one that was
    acknowledged and is not there or is another, one that was refused and is there. None if all fits."""
    if twice := {key: ids for key, ids in made.items() if len(ids) > 1}:
        return f"keys that moved value more than once: {twice}"
    for asked in requests:
        if asked.answer is None:
            continue
        found = made.get(asked.key, ())
        if len(found) != (asked.answer.status < 400):
            return f"{asked.kind} {asked.key} was answered {asked.answer}, and has moved {found}"
        # the answer to a capture or a void names the authorization
        if asked.done is not None and asked.kind not in ("capture", "void") and asked.done["id"] != show(found[0]):
            return f"{asked.kind} {asked.key} was told {asked.done['id']} and is {found[0].hex}"
    return None


def show(id_: UUID) -> str:
    """A transaction as answers name it."""
    return show_id(Prefix.TRANSACTION, id_)


class Tills:
    """Made once; :meth:`work` is a round of them, :meth:`check` what must hold when everything has arrived."""

    def __init__(self, office: Office, *, load_fen: int) -> None:
        self.office = office
        self.expected = dict.fromkeys(office.town.cards, load_fen)
        self.asked: list[Asked] = []
        self.remembered: list[Asked] = []
        self._prefix = ""
        self._stops = 0
        self._stopped: dict[str, tuple[str, int]] = {}
        self._again: set[str] = set()

    # A round

    async def work(self, seconds: float, also: Future[None], *, lanes: int) -> None:
        """Ask for a time, and until ``also`` is done; what could not be learned is left for :meth:`check`."""
        office = self.office
        self._prefix = f"round-{office.report.rounds}"
        self.asked = []
        self._left, self._also = seconds, also
        ticking = asyncio.create_task(self._tick())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(lanes):
                    group.create_task(self._till(Random(office.chance.getrandbits(64))))
                group.create_task(self._warden(Random(office.chance.getrandbits(64))))
        finally:
            ticking.cancel()

    @property
    def _goes_on(self) -> bool:
        return self._left > 0 or not self._also.done()

    async def _tick(self) -> None:
        """Time that passes while nothing is to be sent does not count."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            passed = time.monotonic() - before
            if self.office.is_paused():
                self.office.report.paused_s += passed
            else:
                self._left -= passed
                self.office.report.seconds += passed

    async def _till(self, chance: Random) -> None:
        mine: list[Asked] = []
        async with self.office.line(chance) as line:
            while self._goes_on:
                asked = self._next(chance, mine)
                asked.stopped, began = self._stopped.get(asked.card), time.monotonic()
                answer = await line.send(asked.request)
                if self.office.is_final(answer):  # else not known, or not done; the same key tells later
                    asked.answer = answer
                    self.office.heard(answer, began=began)
                    self._passed_nothing_stopped(asked)
                mine.append(asked)
                await self.office.think(chance)

    def _passed_nothing_stopped(self, asked: Asked) -> None:
        """Nothing is spent from a card that was stopped before the request began and still is."""
        if asked.kind in SPENDS and asked.stopped is not None and asked.done is not None:
            if self._stopped.get(asked.card) == asked.stopped:
                self.office.violated(f"{asked.kind} {asked.key} passed on {asked.card}, which was {asked.stopped[0]}")
            self.office.report.checks["spends_after_a_stop"] += 1

    def _next(self, chance: Random, mine: list[Asked]) -> Asked:
        """What a till asks next: something new, or something with what it was told was done."""
        card = chance.choice(self.office.town.cards)
        earlier = [asked for asked in mine[-20:] if asked.kind in SPENDS and asked.done is not None]
        roll = chance.random()
        if roll < 0.3 and earlier:
            before = chance.choice(earlier)
            mine.remove(before)
            assert before.done is not None
            id_, part = before.done["id"], chance.randint(1, int(before.done["amount_fen"]))
            if before.kind == "purchase":
                return self._ask("refund", before.card, "/v1/refunds", chance, payment_id=id_, amount_fen=part)
            if chance.random() < 0.3:
                return self._ask("void", before.card, f"/v1/authorizations/{id_}/void")
            return self._ask("capture", before.card, f"/v1/authorizations/{id_}/capture", amount_fen=part)
        if roll < 0.42:
            return self._ask(
                "load",
                card,
                "/v1/loads",
                chance,
                card_id=card,
                amount_fen=chance.randint(1, 900),
                bonus_fen=chance.choice([0, 7]),
            )
        kind = chance.choice(["purchase", "purchase", "authorization"])
        return self._ask(
            kind, card, f"/v1/{kind}s", chance, card_id=card, amount_fen=chance.randint(1, 900),
            terminal_id=chance.choice(self.office.town.terminals),
        )  # fmt: skip

    def _ask(self, kind: str, card: str, path: str, clock: Random | None = None, **body: Any) -> Asked:
        office = self.office
        office.report.operations[kind] += 1
        if clock is not None:
            body |= office.wrong_clock(clock)
        key = office.new_key(self._prefix)
        asked = Asked(kind, card, key, office.build(path, body, key=key))
        self.asked.append(asked)
        return asked

    async def _warden(self, chance: Random) -> None:
        """Stop a card, let it be for a moment, and let it go again.

        From the answer of the one to the beginning of the other nothing may be spent from it, unless one of these
        requests, which have no key, was not answered: it may arrive at any time.
        """
        office, doubtful = self.office, set[str]()
        async with office.line(chance) as line:
            while self._goes_on:
                card = chance.choice(office.town.cards)
                self._again.add(card)
                stop, code, go = chance.choice([
                    ("block", "card_blocked", "unblock"), ("report-loss", "card_lost", "found"),
                ])  # fmt: skip
                body = {"reason": "operator"} if stop == "block" else {"proof": "receipt 1"}
                told = await self._change(line, card, stop, body)
                if told.unsure:
                    doubtful.add(card)
                if told.code is None and card not in doubtful:
                    self._stops += 1
                    self._stopped[card] = code, self._stops
                await asyncio.sleep(chance.uniform(0, 0.5))
                self._stopped.pop(card, None)
                told = await self._change(line, card, go, {} if go == "unblock" else {"reason": "found again"})
                if told.unsure:
                    doubtful.add(card)
                await office.think(chance)

    async def _change(self, line: Line, card: str, verb: str, body: dict[str, Any]) -> Told:
        office = self.office
        office.report.operations[verb.replace("-", "_")] += 1
        return await office.insist(line, office.build(f"/v1/cards/{card}/{verb}", body, key=None), once=False)

    # After it

    async def check(self) -> None:
        """Learn what was not known, and hold everything that was told against what is there."""
        office = self.office
        await self._each_key_at_most_once()
        known = [asked for asked in self.asked if asked.answer is not None]
        unknown = [asked for asked in self.asked if asked.answer is None]
        chance = office.chance
        await self._ask_again([*unknown, *chance.sample(known, min(len(known), ASKED_AGAIN)), *self.remembered])
        await self._each_key_at_most_once()
        for asked in self.asked:
            self.expected[asked.card] += change_of(asked)
        await self._let_all_go()
        async with wire_to(chance.choice(office.ground.servers).settings.port) as line:
            for card, expected_fen in self.expected.items():
                found_fen = await office.available_fen(line, card)
                office.report.checks["balances"] += 1
                if found_fen != expected_fen:
                    raise ViolationError(f"{card} has {found_fen} available, its answers come to {expected_fen}")
        kept = [asked for asked in self.asked if is_kept(asked.answer)]
        self.remembered += chance.sample(kept, min(len(kept), 20))
        self.remembered = chance.sample(self.remembered, min(len(self.remembered), REMEMBERED))

    async def _each_key_at_most_once(self) -> None:
        """No key moved value twice, and whoever was told so finds it moved."""
        office = self.office
        made = await asyncio.to_thread(store.read_made, office.ground.conninfo, prefix=f"{self._prefix}-")
        office.report.checks["keys"] += sum(asked.answer is not None for asked in self.asked)
        if (wrong := find_wrong_key(self.asked, made)) is not None:
            raise ViolationError(wrong)

    async def _ask_again(self, requests: Sequence[Asked]) -> None:
        """Each request once more under its key: the answer is the first one, byte for byte, if that was heard."""
        waiting, office = list(requests), self.office

        async def lane() -> None:
            async with wire_to(office.ground.servers[0].settings.port) as line:
                while waiting:
                    asked = waiting.pop()
                    told = await office.insist(line, asked.request)
                    if asked.answer is None:
                        office.report.checks["unknown_learned"] += 1
                        asked.answer = told.raw
                    elif not is_kept(asked.answer):
                        asked.answer = told.raw
                    elif told.raw != asked.answer:
                        raise ViolationError(f"{asked.kind} {asked.key} was told {asked.answer}, and now {told.raw}")
                    else:
                        office.report.checks["asked_again"] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(lane())

    async def _let_all_go(self) -> None:
        """Every card that was stopped is active again when all that stopped it has arrived."""
        office = self.office
        async with wire_to(office.ground.servers[0].settings.port) as line:
            for card in sorted(self._again):
                await self._change(line, card, "unblock", {})
                status = (await office.read(line, f"/v1/cards/{card}"))["status"]
                if status == "lost":
                    await self._change(line, card, "found", {"reason": "found again"})
                    status = (await office.read(line, f"/v1/cards/{card}"))["status"]
                office.report.checks["cards_active_again"] += 1
                if status != "active":
                    raise ViolationError(f"{card} is {status} after it was let go")
        self._again.clear()
