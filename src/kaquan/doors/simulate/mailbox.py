"""A story of events: who asked for them is told of each at least once, signed, though letters are lost on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import httptools
import msgspec
from standardwebhooks import Webhook, WebhookVerificationError

from kaquan.doors.simulate.ground import JUMP_S
from kaquan.doors.simulate.office import ViolationError
from kaquan.doors.simulate.running import switch
from kaquan.doors.simulate.stories import WORKER_S, Story

LOST = 0.4
"""How many letters are lost when they come for the first time."""

EVENTS = ("card.closed", "payout.paid")
APART = timedelta(seconds=2 * JUMP_S + 10)


class Letter(NamedTuple):
    """A webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed(self, secret: str) -> bool:
        """Whether it is of somebody who has this secret."""
        with suppress(WebhookVerificationError):
            Webhook(secret).verify(self.body, self.headers)
            return True
        return False


class _Reader:
    """One request, as it is parsed."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class Mailbox:
    """Takes letters at ``address``, and loses some that come for the first time: it breaks off or answers 500."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._known: set[str] = set()
        self.address = ""
        self.letters: list[Letter] = []
        self.lost = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one letter."""
        request = _Reader()
        parser = httptools.HttpRequestParser(request)
        with suppress(OSError):
            while not request.complete and (data := await reader.read(65_536)):
                parser.feed_data(data)
            if request.complete:
                letter = Letter(request.headers, request.body)
                is_lost = letter.id not in self._known and self._chance.random() < LOST
                self._known.add(letter.id)
                if not is_lost:
                    self.letters.append(letter)
                    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                else:
                    self.lost += 1
                    if self._chance.random() < 0.5:
                        writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            await writer.wait_closed()

    async def until(self, story: Story, what: str, come: Callable[[list[Letter]], bool]) -> None:
        """Wait until what must come has come."""
        give_up = time.monotonic() + WORKER_S
        while not come(self.letters):
            if time.monotonic() > give_up and not story.office.is_paused():
                raise ViolationError(f"{what} did not come in {WORKER_S:.0f} s: {[one.id for one in self.letters]}")
            await asyncio.sleep(0.5)


@asynccontextmanager
async def mailbox(chance: Random) -> AsyncIterator[Mailbox]:
    """A mailbox on this machine."""
    box = Mailbox(chance)
    server = await asyncio.start_server(box.take, "127.0.0.1", 0)
    async with server:
        box.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        yield box


async def tell_of_events(story: Story) -> None:
    """A card is closed and paid out: the endpoint that asked for these events gets each, and again when it asks."""
    async with mailbox(story.chance) as box:
        try:
            await _tell_of_events(story, box)
        finally:
            await _remove(story, box.address)


async def _tell_of_events(story: Story, box: Mailbox) -> None:
    office, began = story.office, story.office.clock.now()
    new = {"address": box.address, "events": EVENTS[:1]}
    made = await switch(story, "endpoint", "/v1/webhook-endpoints", new)
    address, secret = f"/v1/webhook-endpoints/{made['id']}", made["secret"]
    await story.make("endpoint_change", address, {"events": EVENTS}, method="PATCH", once=False)
    card = await story.card(story.chance.randint(2_000, 9_000))
    await story.pay(card, 300)
    is_off = story.chance.random() < 0.5
    if is_off:  # what happens meanwhile waits
        await switch(story, "endpoint_off", address, {"active": False}, method="PATCH")
    payout = await story.close(card)
    assert payout is not None, "there was something on it"
    await story.pay_out(payout)
    if is_off:
        await switch(story, "endpoint_on", address, {"active": True}, method="PATCH")
    rows = (await office.read(story.line, f"/v1/notices?card_id={card}"))["data"]
    notices: dict[str, Any] = {row["event"]: row for row in rows if row["event"] in EVENTS}
    if sorted(row["event"] for row in rows if row["event"] in EVENTS) != sorted(EVENTS):
        raise ViolationError(f"{card} was closed and paid out, and its notices are {rows}")
    wanted = {row["id"]: row for row in notices.values()}
    await box.until(story, f"notices {list(wanted)}", lambda letters: wanted.keys() <= {one.id for one in letters})
    for letter in box.letters:
        if letter.id in wanted:
            office.report.checks["letters"] += 1
            if not letter.is_signed(secret):
                raise ViolationError(f"{letter.id} is not signed as {address} was told: {letter.headers}")
            if msgspec.json.decode(letter.body) != wanted[letter.id]["body"]:
                raise ViolationError(f"{letter} is not what it is known as: {wanted[letter.id]}")
    for id_ in wanted:
        await story.until(f"/v1/notices/{id_}", lambda found: _is_delivered(found, made["id"]))

    rotated = await switch(story, "rotate_secret", f"{address}/rotate-secret", {"overlap_h": 1})
    for asked, id_ in zip(("resend", "replay"), wanted, strict=True):
        seen = len(box.letters)
        if asked == "resend":
            await story.make("resend", f"/v1/notices/{id_}/resend", once=False)
        else:
            since = {"created_after": began - APART, "created_before": office.clock.now() + APART, "all": True}
            replayed = await story.make("replay", f"{address}/replay", since, once=False)
            if replayed["notice_count"] < len(wanted):
                raise ViolationError(f"{address} was told of {list(wanted)}, and replays {replayed}")

        def again(letters: list[Letter], id_: str = id_, seen: int = seen) -> bool:
            return any(one.id == id_ and one.is_signed(rotated["secret"]) for one in letters[seen:])

        await box.until(story, f"{id_} again after a {asked}", again)
    if not all(one.is_signed(secret) for one in box.letters if one.id in wanted):
        raise ViolationError(f"{address} was told that its first secret is good for an hour more")
    office.report.faults["lost_letter"] += box.lost
    await story.holds(card, 0)


def _is_delivered(notice: dict[str, Any], endpoint: str) -> bool:
    return any(one["endpoint_id"] == endpoint and one["status"] == "delivered" for one in notice["deliveries"])


async def _remove(story: Story, address: str) -> None:
    """Let nobody write to an address any more."""
    rows = (await story.office.read(story.line, "/v1/webhook-endpoints?limit=200"))["data"]
    for row in rows:
        if row["address"] == address and row["status"] != "removed":
            unsure = ("not_found",)
            path = f"/v1/webhook-endpoints/{row['id']}"
            await story.tell("endpoint_remove", path, method="DELETE", once=False, unsure=unsure)
