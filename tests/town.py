"""A small town to pay in: an issuer, a programme, shops, and the server processes that take its payments.

Everything is real (database, rooms, HTTP answers); only the clock can be moved by hand.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan import cards, parties
from kaquan.app import App
from kaquan.audit import run_audits
from kaquan.cards import BlockReason, CardForm, Hand, NewCard, NewProgramme, Pocket, Press, Programme
from kaquan.doors.http.money import render_created, render_done
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, hash_request, slot_of
from kaquan.ledger.store import read_accounts_of_owner
from kaquan.parties import Book, Issuer, Mode, Place
from kaquan.payments import Capture, Command, Load, Refund, Request, Spend, Void
from kaquan.settings import Settings
from kaquan.vault import Keyring

_KEY = bytes(range(32))
KEYRING = Keyring({"k1": _KEY}, current="k1")


class HandClock:
    """A clock that moves by hand, and a microsecond each time it is looked at: no two moments are the same."""

    def __init__(self, at: datetime = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


class Told(NamedTuple):
    """An answer as its door gave it."""

    status: int
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        read: dict[str, Any] = msgspec.json.decode(self.raw)
        return read

    @property
    def code(self) -> str | None:
        """The code of a refusal, None for a success."""
        return None if self.status < 400 else str(self.body["code"])

    @property
    def payment_id(self) -> UUID:
        return UUID(self.body["id"].partition("_")[2])


class Held(NamedTuple):
    """What a pocket holds."""

    posted_fen: int
    reserved_fen: int


class Town:
    """Made by :meth:`found`. ``apps`` are its server processes: each has a desk and sessions of its own."""

    def __init__(self, conninfo: str, apps: list[App]) -> None:
        self.conninfo, self.apps = conninfo, apps
        self.ids = apps[0].ids
        self.books: dict[Mode, Book] = {}
        self.places: list[Place] = []
        self.programme: Programme
        self.issuer: Issuer

    @classmethod
    async def found(
        cls,
        conninfo: str,
        *,
        clock: Clock,
        slots: tuple[int, ...] = (0,),
        processes: int = 1,
        shops: int = 1,
        settings: Settings = Settings(),  # noqa: B008  (frozen)
        time_zone: str = "Asia/Shanghai",
        **terms: Any,
    ) -> "Town":
        apps = []
        for _ in range(processes):
            pool = open_pool(conninfo, min_size=1, max_size=3 + 2 * len(slots))  # the desk keeps two per slot
            await pool.open(wait=True)
            apps.append(App(settings, pool, KEYRING, slots, clock=clock, ids=SystemIds()))
        town = cls(conninfo, apps)
        await town._furnish(shops, time_zone, terms)
        for app in apps:
            await app.refresh()
            app.desk.start()
        return town

    async def _furnish(self, shops: int, time_zone: str, terms: Mapping[str, Any]) -> None:
        pool, clock, ids = self.apps[0].pool, self.apps[0].clock, self.ids
        tenant = await parties.create_tenant(pool, clock, ids, name=f"town {ids.new()}")
        assert not isinstance(tenant, Refusal)
        self.books = tenant[1]
        issuer = await parties.create_issuer(
            pool, clock, ids, book_id=self.book_id, code="issuer", name="发卡方", time_zone=time_zone
        )
        assert not isinstance(issuer, Refusal)
        self.issuer = issuer
        programme = await cards.create_programme(
            pool,
            clock,
            ids,
            book_id=self.book_id,
            new=NewProgramme(
                **{
                    "issuer_id": issuer.id,
                    "code": "red",
                    "name": "红卡",
                    "currency": "CNY",
                    "number_prefix": "888801",
                    "spend_order": (Pocket.BONUS, Pocket.PRINCIPAL),
                    "max_balance_fen": None,
                    "authorization_ttl_s": 3_600,
                    "principal_valid_days": None,
                    "bonus_valid_days": None,
                    **terms,
                }
            ),
        )
        assert not isinstance(programme, Refusal)
        for number in range(shops):
            await self._open_shop(f"shop-{number}")
        accepted = await cards.change_acceptance(
            pool,
            clock,
            ids,
            book_id=self.book_id,
            programme_id=programme.id,
            add=[(place.merchant_id, None) for place in self.places],
        )
        assert not isinstance(accepted, Refusal)
        self.programme = accepted

    async def _open_shop(self, code: str) -> None:
        pool, clock, ids, book_id = self.apps[0].pool, self.apps[0].clock, self.ids, self.book_id
        merchant = await parties.create_merchant(pool, clock, ids, book_id=book_id, code=code, name=code, trade=None)
        assert not isinstance(merchant, Refusal)
        store = await parties.create_store(
            pool, clock, ids, book_id=book_id, merchant_id=merchant.id, code=code, name=code
        )
        assert not isinstance(store, Refusal)
        terminal = await parties.create_terminal(pool, clock, ids, book_id=book_id, store_id=store.id, code=code)
        assert not isinstance(terminal, Refusal)
        self.places.append(Place(terminal.id, store.id, merchant.id, "active"))

    async def close(self) -> None:
        for app in self.apps:
            await app.close()

    @property
    def book_id(self) -> int:
        return self.books[Mode.LIVE].id

    # Cards

    def hand(self, process: int = 0) -> Hand:
        """Who changes cards here."""
        return Hand(self.apps[process].clock, self.ids, "town")

    async def new_card(
        self, *, load_fen: int = 0, bonus_fen: int = 0, active: bool = True, form: CardForm = CardForm.DIGITAL
    ) -> UUID:
        """A card, with something on it if that is asked for."""
        app = self.apps[0]
        card = await cards.issue_card(
            app.pool,
            Press(KEYRING, app.slots, self.ids),
            app.clock,
            book_id=self.book_id,
            new=NewCard(programme_id=self.programme.id, form=form),
        )
        assert not isinstance(card, Refusal)
        if active:
            activated = await cards.activate_card(
                app.pool, self.hand(), book_id=self.book_id, slots=app.slots, card_id=card.id
            )
            assert not isinstance(activated, Refusal)
        if load_fen:
            told = await self.load(card.id, load_fen, bonus_fen=bonus_fen)
            assert told.status == 201, told
        return card.id

    async def block(self, card_id: UUID, *, process: int = 0) -> None:
        app = self.apps[process]
        done = await cards.block_card(
            app.pool,
            self.hand(process),
            book_id=self.book_id,
            slots=app.slots,
            card_id=card_id,
            reason=BlockReason.RISK,
        )
        assert not isinstance(done, Refusal)

    async def unblock(self, card_id: UUID, *, process: int = 0) -> None:
        app = self.apps[process]
        done = await cards.unblock_card(
            app.pool, self.hand(process), book_id=self.book_id, slots=app.slots, card_id=card_id
        )
        assert not isinstance(done, Refusal)

    # Payments. Without a key each gets one of its own.

    async def ask(
        self, command: Command, *, key: str | None = None, body: bytes | None = None, process: int = 0
    ) -> Told:
        """The answer of a process to a command; ``body`` is what tells requests of one key apart."""
        name = key or self.ids.new().hex
        request_key = RequestKey(
            name,
            hash_key(self.book_id, name),
            hash_request("POST", type(command).__name__, repr(command).encode() if body is None else body),
        )
        render = render_done if isinstance(command, Capture | Void) else render_created
        answer: Answer = await self.apps[process].desk.submit(Request(self.book_id, command, request_key, render))
        return Told(*answer)

    def _now(self) -> datetime:
        return self.apps[0].clock.now()

    async def load(
        self, card_id: UUID, amount_fen: int, *, bonus_fen: int = 0, pocket: Pocket = Pocket.PRINCIPAL, **how: Any
    ) -> Told:
        return await self.ask(Load(card_id, amount_fen, bonus_fen, self._now(), pocket=pocket), **how)

    async def purchase(self, card_id: UUID, amount_fen: int, *, shop: int = 0, **how: Any) -> Told:
        return await self.ask(Spend(card_id, amount_fen, self.places[shop], self._now()), **how)

    async def authorize(
        self, card_id: UUID, amount_fen: int, *, shop: int = 0, expires_in_s: int | None = None, **how: Any
    ) -> Told:
        command = Spend(card_id, amount_fen, self.places[shop], self._now(), None, True, expires_in_s)
        return await self.ask(command, **how)

    async def capture(self, payment_id: UUID, amount_fen: int | None = None, *, final: bool = True, **how: Any) -> Told:
        return await self.ask(Capture(payment_id, amount_fen, final), **how)

    async def void(self, payment_id: UUID, **how: Any) -> Told:
        return await self.ask(Void(payment_id), **how)

    async def refund(self, payment_id: UUID, amount_fen: int | None = None, **how: Any) -> Told:
        return await self.ask(Refund(payment_id, amount_fen, self._now()), **how)

    # What is there

    async def held(self, owner_id: UUID) -> dict[str, Held]:
        """What the accounts of an owner hold, by kind, over all slots."""
        app = self.apps[0]
        held: dict[str, Held] = {}
        async with app.pool.connection() as connection:
            for account in await read_accounts_of_owner(
                connection, book_id=self.book_id, owner_id=owner_id, slots=app.slots
            ):
                before = held.get(account.kind, Held(0, 0))
                reserved_fen = account.debits_pending or account.credits_pending
                held[account.kind] = Held(before.posted_fen + account.posted_fen, before.reserved_fen + reserved_fen)
        return held

    async def available_fen(self, card_id: UUID) -> int:
        return sum(held.posted_fen - held.reserved_fen for held in (await self.held(card_id)).values())

    async def count(self, table: str) -> int:
        """How many rows the whole database has in a table."""
        async with self.apps[0].pool.connection() as connection:
            row = await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
        assert row is not None
        return int(row[0])

    def slot_of(self, card_id: UUID) -> int:
        return slot_of(card_id, self.apps[0].slots)


def keyring_file(path: Path) -> None:
    """The key ring of every town, for a server process to load."""
    path.write_bytes(msgspec.json.encode({"current": "k1", "keys": {"k1": _KEY}}))
    path.chmod(0o600)


async def audits_hold(conninfo: str) -> None:
    """Assert that every audit of the whole database holds; what does not is shown."""
    report = await run_audits(conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]


async def any_customer(book_id: int, customer_id: UUID) -> Refusal | None:
    """Every customer is there: for tests of what becomes of cards."""
    return None
