"""Notices on a real database, delivered to a real receiver in this process that fails as it is told."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town

from kaquan import notices
from kaquan.closing.events import CARD_CLOSED, LOT_EXPIRED
from kaquan.kit.clock import SystemClock
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.notices import DeliveryStatus, EndpointStatus, FullNotice, MadeEndpoint, NewNotice, NoticeSearch
from kaquan.notices.backoff import MAX_ATTEMPTS
from kaquan.notices.courier import LEASE, send_due

SLOTS = (3, 40)


class Receiver:
    """An HTTP server that answers with ``status``, after ``delay_s``; it keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.delay_s = 200, 0.0
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.reached = asyncio.Event()
        self.answer: Callable[[], bytes] | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append((headers, body))
            self.reached.set()
            await asyncio.sleep(self.delay_s)
            if self.answer is not None:
                writer.write(self.answer())
            else:
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % self.status)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    """A courier sends what any book has due, so these tests have a database of their own."""
    return make_database(server, f"test_notices_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(own_database, clock=HandClock(SystemClock().now()), slots=SLOTS, processes=2)
    yield town
    app = town.apps[0]
    for endpoint in (await notices.list_endpoints(app.pool, book_id=town.book_id, search=NoticeSearch())).data:
        await notices.remove_endpoint(app.pool, slots=SLOTS, book_id=town.book_id, id_=endpoint.id)
    await town.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def endpoint(town: Town, url: str, *events: str) -> MadeEndpoint:
    app = town.apps[0]
    made = await notices.create_endpoint(
        app.pool, app.clock, app.ids, KEYRING, book_id=town.book_id, address=url, events=events, allow_private=True
    )
    assert isinstance(made, MadeEndpoint)
    return made


async def tell(town: Town, event: notices.Event = CARD_CLOSED, **data: Any) -> UUID:
    """A notice, as its cause would write it."""
    app = town.apps[0]
    id_ = app.ids.new()
    async with app.pool.connection() as connection, connection.transaction():
        new = NewNotice(slot_of(id_, SLOTS), id_, town.book_id, event, None, {"amount_fen": 5, **data})
        await notices.write_notices(connection, [new], at=app.clock.now())
    return id_


async def send(town: Town, *, process: int = 0, allow_private: bool = True, timeout_s: float = 5.0) -> int:
    app = town.apps[process]
    return await send_due(app.pool, SLOTS, app.clock, KEYRING, allow_private=allow_private, timeout_s=timeout_s)


async def read(town: Town, id_: UUID) -> FullNotice:
    found = await notices.get_notice(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, id_=id_)
    assert isinstance(found, FullNotice)
    return found


async def status(town: Town, id_: UUID) -> list[DeliveryStatus]:
    """The status of each delivery that goes out."""
    return [one.status for one in (await read(town, id_)).deliveries if one.kind != "console"]


def move(town: Town, by: timedelta) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(by)


async def test_a_notice_is_delivered_signed_and_once(town: Town, receiver: Receiver) -> None:
    made = await endpoint(town, receiver.url)
    id_ = await tell(town)
    sent = await asyncio.gather(*(send(town, process=n % 2) for n in range(4)))
    assert sum(sent) == 1
    ((headers, body),) = receiver.got
    assert Verifier(made.secret).verify(body, headers)["data"] == {"amount_fen": 5}
    assert headers["webhook-id"] == f"ntc_{id_.hex}"
    assert headers["host"] == receiver.url.split("/")[2]
    full = await read(town, id_)
    assert full.notice.body.encode() == body
    assert await status(town, id_) == [DeliveryStatus.DELIVERED]
    assert [(one.attempt, one.http_status, one.failure) for one in full.attempts] == [(1, 200, None)]
    assert {one.kind for one in full.deliveries} == {"console", "webhook"}
    assert await send(town) == 0


async def test_a_notice_that_was_rolled_back_was_never_written(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    app, before = town.apps[0], await town.count("notices_notice")

    async def fail() -> None:
        async with app.pool.connection() as connection, connection.transaction():
            id_ = app.ids.new()
            new = NewNotice(slot_of(id_, SLOTS), id_, town.book_id, CARD_CLOSED, None, {})
            await notices.write_notices(connection, [new], at=app.clock.now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await town.count("notices_notice") == before
    assert await send(town) == 0


async def test_failures_are_tried_later_and_later_and_given_up(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    id_ = await tell(town)
    receiver.status = 500
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert await send(town) == 1
        assert await send(town) == 0, "not before its time"
        full = await read(town, id_)
        assert len(full.attempts) == attempt
        move(town, timedelta(days=2))
    assert {(one.http_status, one.failure) for one in full.attempts} == {(500, "refused")}
    assert await status(town, id_) == [DeliveryStatus.DEAD]
    assert await send(town) == 0
    # sent again, it begins anew
    receiver.status = 204
    app = town.apps[0]
    again = await notices.resend_notice(app.pool, app.clock, book_id=town.book_id, slots=SLOTS, id_=id_)
    assert isinstance(again, FullNotice)
    assert await send(town) == 1
    assert await status(town, id_) == [DeliveryStatus.DELIVERED]
    assert [one.attempt for one in (await read(town, id_)).attempts] == list(range(1, MAX_ATTEMPTS + 2))
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


async def test_one_that_is_gone_is_not_asked_again(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    id_ = await tell(town)
    receiver.status = 410
    assert await send(town) == 1
    assert await status(town, id_) == [DeliveryStatus.DEAD]


async def test_a_slow_endpoint_and_a_broken_one_keep_nobody_else_waiting(town: Town, receiver: Receiver) -> None:
    async with Receiver() as slow, Receiver() as broken, Receiver() as redirecting:
        await endpoint(town, receiver.url)
        for other in (slow, broken, redirecting):
            await endpoint(town, other.url)
        await endpoint(town, "http://127.0.0.1:1/closed")
        await endpoint(town, "http://nowhere.invalid/")
        slow.delay_s = 30.0
        broken.answer = lambda: b"nonsense\r\n\r\n"
        target = receiver.url.encode()
        redirecting.answer = lambda: b"HTTP/1.1 302 X\r\nlocation: " + target + b"\r\ncontent-length: 0\r\n\r\n"
        id_ = await tell(town)
        async with asyncio.timeout(20):
            assert await send(town, timeout_s=1.0) == 6
        full = await read(town, id_)
        came = sorted((one.http_status or 0, one.failure or "") for one in full.attempts)
        assert came == [(0, "connection"), (0, "connection"), (0, "timeout"), (0, "unresolved"), (200, ""),
                        (302, "refused")]  # fmt: skip
        assert len(receiver.got) == 1, "a redirect is not followed"


async def test_a_courier_that_dies_is_taken_over_from(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    id_ = await tell(town)
    receiver.delay_s = 5.0
    working = asyncio.create_task(send(town))
    await receiver.reached.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    receiver.delay_s = 0.0
    assert await send(town, process=1) == 0, "it is claimed"
    move(town, LEASE + timedelta(seconds=1))
    assert await send(town, process=1) == 1
    assert await status(town, id_) == [DeliveryStatus.DELIVERED]
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [f"ntc_{id_.hex}"] * 2, "at least once"


async def test_private_addresses_are_refused_where_they_lead(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    await endpoint(town, receiver.url.replace("127.0.0.1", "localhost"))
    id_ = await tell(town)
    assert await send(town, allow_private=False) == 2
    assert {one.failure for one in (await read(town, id_)).attempts} == {"private_address"}
    assert receiver.got == []
    assert await status(town, id_) == [DeliveryStatus.PENDING] * 2


async def test_a_rotated_secret_overlaps_with_the_old_one(town: Town, receiver: Receiver) -> None:
    made = await endpoint(town, receiver.url)
    app = town.apps[0]
    rotated = await notices.rotate_secret(
        app.pool, app.clock, KEYRING, book_id=town.book_id, id_=made.endpoint.id, overlap=timedelta(hours=1)
    )
    assert isinstance(rotated, MadeEndpoint)
    assert rotated.secret != made.secret
    assert made.secret not in repr(made)
    await tell(town)
    await send(town)
    headers, body = receiver.got[-1]
    for secret in (made.secret, rotated.secret):
        assert Verifier(secret).verify(body, headers)
    move(town, timedelta(hours=2))
    await tell(town)
    await send(town)
    headers, _ = receiver.got[-1]
    assert len(headers["webhook-signature"].split(" ")) == 1
    async with app.pool.connection() as connection:
        kept = await (
            await connection.execute("SELECT secret_sealed, old_secret_sealed FROM notices_endpoint")
        ).fetchall()
    for sealed in (bytes(value) for row in kept for value in row if value is not None):
        assert made.secret.encode() not in sealed


async def test_an_endpoint_gets_what_it_wants_while_it_is_active(town: Town, receiver: Receiver) -> None:
    made = await endpoint(town, receiver.url, LOT_EXPIRED.name)
    app, id_ = town.apps[0], made.endpoint.id
    other = await tell(town)
    wanted = await tell(town, LOT_EXPIRED)
    assert (await status(town, other), await status(town, wanted)) == ([], [DeliveryStatus.PENDING])
    changed = await notices.change_endpoint(
        app.pool, book_id=town.book_id, id_=id_, allow_private=True, status=EndpointStatus.DISABLED
    )
    assert not isinstance(changed, Refusal)
    meanwhile, unwanted = await tell(town, LOT_EXPIRED), await tell(town)
    assert (await status(town, meanwhile), await status(town, unwanted)) == ([DeliveryStatus.PENDING], [])
    assert await send(town) == 0
    await notices.change_endpoint(
        app.pool, book_id=town.book_id, id_=id_, allow_private=True, status=EndpointStatus.ACTIVE
    )
    assert await send(town) == 2
    assert await status(town, meanwhile) == [DeliveryStatus.DELIVERED]
    pending = await tell(town, LOT_EXPIRED)
    assert not isinstance(await notices.remove_endpoint(app.pool, slots=SLOTS, book_id=town.book_id, id_=id_), Refusal)
    assert await status(town, pending) == [DeliveryStatus.DEAD]
    gone = await notices.get_endpoint(app.pool, book_id=town.book_id, id_=id_)
    assert isinstance(gone, Refusal)
    assert gone.code == "not_found"


async def test_changes_of_an_endpoint_at_once_take_nothing_from_each_other(town: Town, receiver: Receiver) -> None:
    made = await endpoint(town, receiver.url)
    app = town.apps[0]
    of_it: dict[str, Any] = {"book_id": town.book_id, "id_": made.endpoint.id}
    address = receiver.url + "/new"
    for status_, events in ((EndpointStatus.DISABLED, LOT_EXPIRED.name), (EndpointStatus.ACTIVE, CARD_CLOSED.name)):
        told = await asyncio.gather(
            notices.change_endpoint(app.pool, **of_it, allow_private=True, address=address),
            notices.change_endpoint(app.pool, **of_it, allow_private=True, status=status_),
            notices.change_endpoint(app.pool, **of_it, allow_private=True, events=[events]),
        )
        assert not any(isinstance(one, Refusal) for one in told)
        now = await notices.get_endpoint(app.pool, **of_it)
        assert not isinstance(now, Refusal)
        assert (now.address, now.status, now.events) == (address, status_, (events,))
        address = receiver.url
    overlap = timedelta(hours=1)
    rotated = await asyncio.gather(
        *(notices.rotate_secret(app.pool, app.clock, KEYRING, **of_it, overlap=overlap) for _ in range(2))
    )
    await tell(town)
    await send(town)
    headers, body = receiver.got[-1]
    for one in rotated:  # who of the two was first was told what is still good
        assert isinstance(one, MadeEndpoint)
        assert Verifier(one.secret).verify(body, headers)


async def test_a_range_is_replayed(town: Town, receiver: Receiver) -> None:
    app = town.apps[0]
    made = await endpoint(town, receiver.url)
    first = await tell(town)
    await send(town)
    after = app.clock.now()
    receiver.status = 410
    dead = [await tell(town) for _ in range(3)]
    await send(town)
    before = app.clock.now()
    receiver.status, receiver.got = 200, []

    async def replay(*, only_dead: bool, book_id: int = town.book_id) -> Any:
        return await notices.replay_range(
            app.pool, app.clock, book_id=book_id, slots=SLOTS, endpoint_id=made.endpoint.id,
            created_after=after, created_before=before, only_dead=only_dead,
        )  # fmt: skip

    assert await replay(only_dead=True) == 3
    assert await send(town) == 3
    assert [await status(town, id_) for id_ in (first, *dead)] == [[DeliveryStatus.DELIVERED]] * 4
    assert await replay(only_dead=True) == 0
    assert await replay(only_dead=False) == 3
    assert await send(town) == 3
    elsewhere = await replay(only_dead=False, book_id=town.book_id + 1)
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.code == "not_found"


async def test_books_never_meet(town: Town, receiver: Receiver) -> None:
    await endpoint(town, receiver.url)
    stranger = await Town.found(town.conninfo, clock=town.apps[0].clock, slots=SLOTS)
    id_ = await tell(stranger)
    assert await send(town) == 0
    assert receiver.got == []
    found = await notices.get_notice(town.apps[0].pool, book_id=town.book_id, slots=SLOTS, id_=id_)
    assert isinstance(found, Refusal)
    page = await notices.list_notices(
        town.apps[0].pool, book_id=stranger.book_id, slots=SLOTS, search=NoticeSearch(event="card.closed")
    )
    assert [notice.id for notice in page.data] == [id_]
    assert msgspec.json.decode(page.data[0].body)["type"] == "card.closed"
    await stranger.close()


@pytest.mark.parametrize("address", ["http://example.com/", "https://u@example.com/", "x"])
async def test_bad_endpoints_are_refused(town: Town, address: str) -> None:
    app, before = town.apps[0], await town.count("notices_endpoint")
    refused = await notices.create_endpoint(
        app.pool, app.clock, app.ids, KEYRING, book_id=town.book_id, address=address, events=(), allow_private=False
    )
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid_field", "address")
    unknown = await notices.create_endpoint(
        app.pool, app.clock, app.ids, KEYRING, book_id=town.book_id, address="https://example.com/",
        events=["card.eaten"], allow_private=False,
    )  # fmt: skip
    assert isinstance(unknown, Refusal)
    assert (unknown.code, unknown.field) == ("invalid_field", "events[0]")
    assert await town.count("notices_endpoint") == before
