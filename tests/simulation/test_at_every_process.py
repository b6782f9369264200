"""A block and a loss report hold at every server process for every request that starts after their answer."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from tests.town import Town, keyring_file

from kaquan import parties
from kaquan.doors.http.serve import Processes, free_port
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.parties import IssuedKey, Mode, Scope
from kaquan.settings import Settings

PROCESSES = 3
TILLS = 12
"""Connections, which the operating system spreads over the processes."""

AFTER = 5
"""Purchases that each till begins after the answer."""

START_FEN = 1_000_000


class Served(NamedTuple):
    address: str
    token: str
    cards: list[str]
    terminal: str


@pytest.fixture
def served(database: str, tmp_path: Path) -> Iterator[Served]:
    settings = Settings(home=tmp_path / "home", port=free_port("127.0.0.1"), workers=PROCESSES)
    settings.home.mkdir()
    keyring_file(settings.keyring_path)

    async def furnish() -> Served:
        town = await Town.found(database, clock=SystemClock())
        app = town.apps[0]
        key = await parties.issue_key(
            app.pool, app.clock, app.ids, book=town.books[Mode.LIVE], name="tills", scopes=list(Scope)
        )
        assert isinstance(key, IssuedKey)
        cards = [show_id(Prefix.CARD, await town.new_card(load_fen=START_FEN)) for _ in range(2)]
        await town.close()
        terminal = show_id(Prefix.TERMINAL, town.places[0].terminal_id)
        return Served(f"http://127.0.0.1:{settings.port}", key.token, cards, terminal)

    told = asyncio.run(furnish())
    processes = Processes(settings, database, jobs=False)
    processes.start()
    watching = threading.Thread(target=processes.watch, daemon=True)
    watching.start()
    try:
        yield told
    finally:
        processes.stop()
        watching.join()


async def _ready(served: Served) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=served.address) as client:
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_nothing_passes_anywhere_after_the_answer(served: Served) -> None:
    await _ready(served)
    blocked, lost = served.cards
    for card, verb, body, code in (
        (blocked, "block", {"reason": "operator"}, "card_blocked"),
        (lost, "report-loss", {"proof": "receipt 1"}, "card_lost"),
    ):
        warm, answered = asyncio.Event(), asyncio.Event()
        # what each till was told to the purchases that began before the answer, and to those that began after
        heard: list[tuple[list[str | None], list[str | None]]] = [([], []) for _ in range(TILLS)]

        async def till(
            number: int,
            card: str = card,
            warm: asyncio.Event = warm,
            answered: asyncio.Event = answered,
            heard: list[tuple[list[str | None], list[str | None]]] = heard,
        ) -> None:
            early, late = heard[number]
            headers = {"Authorization": f"Bearer {served.token}"}
            async with httpx.AsyncClient(base_url=served.address, headers=headers, timeout=20) as client:
                while len(late) < AFTER:
                    told = late if answered.is_set() else early
                    paid = await client.post(
                        "/v1/purchases",
                        json={"card_id": card, "amount_fen": 1, "terminal_id": served.terminal},
                        headers={"Idempotency-Key": f"{card}-{number}-{len(early)}-{len(late)}"},
                    )
                    told.append(paid.json().get("code"))
                    if all(len(early) > 1 for early, _ in heard):
                        warm.set()

        tills = [asyncio.create_task(till(number)) for number in range(TILLS)]
        async with asyncio.timeout(60):
            await warm.wait()
        headers = {"Authorization": f"Bearer {served.token}", "Idempotency-Key": f"{card}-{verb}"}
        async with httpx.AsyncClient(base_url=served.address, headers=headers) as office:
            done = await office.post(f"/v1/cards/{card}/{verb}", json=body)
            answered.set()
            assert done.status_code == 200, done.text
            await asyncio.gather(*tills)
            assert {told for _, late in heard for told in late} == {code}
            passed = sum(told is None for early, _ in heard for told in early)
            assert passed > 0
            accounts = (await office.get(f"/v1/cards/{card}/accounts")).json()["data"]
            assert sum(account["available_fen"] for account in accounts) == START_FEN - passed
