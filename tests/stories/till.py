"""What the people of the stories do, through HTTP, and how their days pass."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
from stdnum.cn import ric, uscc
from tests.served import litestar_of
from tests.town import KEYRING, HandClock

from kaquan.app import App
from kaquan.cards import (
    SYSTEM,
    Hand,
    Press,
    expire_gifts,
    finish_transfers,
    put_losses_into_effect,
    run_batch,
    unfinished_batches,
)
from kaquan.closing import expire_lots, find_dormant, remind_of_ends, return_swept
from kaquan.doors.http.money import MoneyFront
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, SystemIds, read_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Book, IssuedKey, Mode, Scope, create_tenant, issue_key
from kaquan.parties.identity import DocumentKind
from kaquan.parties.kinds.sandbox import Person, index_of_document, person
from kaquan.payments.expire import expire_overdue
from kaquan.payments.instalments import give_instalments
from kaquan.sales import deliver_sales, expire_sales
from kaquan.settings import Settings
from kaquan.vouchers import Mint, expire_vouchers
from kaquan.vouchers import run_batch as run_voucher_batch
from kaquan.vouchers import unfinished_batches as unfinished_voucher_batches

CHINA = ZoneInfo("Asia/Shanghai")

Thing = Mapping[str, Any]
"""Something that the API answered with: it has an id."""

_RULE = re.compile(r"\b[A-Z]{2}(?:-[A-Z0-9]+)+(?:\.[a-z]+)?")


class Desk:
    """Somebody with an API key: everything they do is a request."""

    def __init__(self, app: App, transport: httpx.ASGITransport, token: str) -> None:
        self._ids, self._transport = app.ids, transport
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://kaquan.test", headers={"authorization": f"Bearer {token}"}
        )

    async def get(self, path: str, **query: Any) -> Any:
        return _done(await self.client.get(path, params=query))

    async def find(self, path: str, **query: Any) -> list[Any]:
        """The whole of a list that fits one page."""
        page = await self.get(path, **query)
        assert page["next_cursor"] is None
        return cast(list[Any], page["data"])

    async def make(self, path: str, **body: Any) -> Any:
        """Create or change something; each request has a key of its own."""
        return _done(await self._post(path, body))

    async def change(self, path: str, **body: Any) -> Any:
        return _done(await self.client.patch(path, json=body))

    async def set(self, path: str, **body: Any) -> Any:
        return _done(await self.client.put(path, json=body))

    async def refused(self, path: str, **body: Any) -> str:
        """The code of the refusal."""
        return str((await self.problem(path, **body))["code"])

    async def problem(self, path: str, **body: Any) -> dict[str, Any]:
        """The whole refusal."""
        answer = await self._post(path, body)
        assert 400 <= answer.status_code < 500, answer.text
        return cast(dict[str, Any], answer.json())

    async def broken_rule(self, path: str, **body: Any) -> str:
        """The id of the rule of law for which something is refused; both languages name it."""
        problem = await self.problem(path, **body)
        rule = _RULE.search(problem["detail"])
        assert rule is not None, problem
        assert rule[0] in problem["detail_zh"]
        return rule[0]

    async def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return await self.client.post(path, json=body, headers={"idempotency-key": self._ids.new().hex})

    # What is looked at again and again

    async def pockets(self, card: Thing) -> dict[str, int]:
        """What a card has available, by pocket."""
        rows = await self.find(f"/v1/cards/{card['id']}/accounts")
        return {row["pocket"]: row["available_fen"] for row in rows}

    async def story_of(self, card: Thing) -> list[str]:
        """The kinds of all that happened to a card, the oldest first."""
        timeline = await self.find(f"/v1/cards/{card['id']}/timeline", limit=200)
        assert all(item["title"] != item["kind"] and item["title_zh"] != item["kind"] for item in timeline)
        return [item["kind"] for item in reversed(timeline)]

    async def told(self, card: Thing) -> list[str]:
        """The events that the holder of a card was told of, the oldest first."""
        return [notice["event"] for notice in reversed(await self.find("/v1/notices", card_id=card["id"], limit=200))]


def _done(answer: httpx.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


class Business(Desk):
    """A tenant, in its test book: its own systems' key, its people, its clock and its worker.

    The clock moves by hand, so that three years pass in a moment; the worker does what has become due. It is the test
    book because there the sandbox answers for the identity provider; nothing else is different.
    """

    def __init__(self, app: App, clock: HandClock, book: Book, token: str) -> None:
        front = MoneyFront(app, litestar_of(app))
        super().__init__(app, httpx.ASGITransport(cast(Any, front)), token)
        self._app, self._clock, self._book = app, clock, book
        self._desks: list[Desk] = [self]

    @property
    def book_id(self) -> int:
        return self._book.id

    async def close(self) -> None:
        for desk in self._desks:
            await desk.client.aclose()

    # People

    async def hire(self, code: str, name: str, *roles: str, **more: Any) -> Desk:
        """An operator at a desk of their own. The key is made at the command line: ``kaquan operator key``."""
        operator = await self.make("/v1/operators", code=code, name=name, roles=list(roles), **more)
        key = await issue_key(
            self._app.pool, self._app.clock, self._app.ids, book=self._book, name=code, scopes=Scope,
            operator_id=read_id(Prefix.OPERATOR, operator["id"]),
        )  # fmt: skip
        assert isinstance(key, IssuedKey)
        desk = Desk(self._app, self._transport, key.token)
        self._desks.append(desk)
        return desk

    async def take_in(self, born: str, *, level: str | None = None) -> Any:
        """A customer, named by the day of birth; with ``level`` the identity provider has confirmed that much."""
        known, number = resident(born)
        customer = await self.make(
            "/v1/customers", name=known.name, phone=known.phone, document={"kind": "resident_id", "number": number}
        )
        if level is not None:
            shown = {"bank_card_number": known.bank_card_number, "face_token": known.face_token}
            proof = shown if level.startswith("four_factors") else {}
            checked = await self.make(f"/v1/customers/{customer['id']}/verify", level=level, **proof)
            assert (checked["result"], checked["level"]) == ("matched", level)
        return {**customer, "name": known.name}

    # Furnishing

    async def open_shop(self, merchant: Thing, code: str, name: str, **place: Any) -> Any:
        """A store of a merchant with one terminal; their ids."""
        store = await self.make(
            "/v1/stores", merchant_id=merchant["id"], code=code, name=name, trade=merchant["trade"], **place
        )
        terminal = await self.make("/v1/terminals", store_id=store["id"], code=f"{code}-1")
        return {"merchant_id": merchant["id"], "store_id": store["id"], "terminal_id": terminal["id"]}

    async def issue_card(self, programme: Thing, form: str = "digital") -> dict[str, str]:
        """An active card; its id and number."""
        card = await self.make("/v1/cards", programme_id=programme["id"], form=form)
        return await self.activate(card)

    async def activate(self, card: Thing) -> dict[str, str]:
        await self.make(f"/v1/cards/{card['id']}/activate")
        return {"id": card["id"], "number": (await self.get(f"/v1/cards/{card['id']}/number"))["number"]}

    async def approval(self, kind: str, proposer: Desk, approver: Desk, subject: Thing, /, **payload: Any) -> str:
        """One operator proposes and another approves: it allows just this, to the letter, once."""
        proposed = await proposer.make(
            "/v1/approvals", kind=kind, subject=subject["id"], payload=payload, reason="按章程办理"
        )
        assert await proposer.refused(f"/v1/approvals/{proposed['id']}/approve") in ("four_eyes", "forbidden")
        await approver.make(f"/v1/approvals/{proposed['id']}/approve")
        return str(proposed["id"])

    async def settle_the_end(self, proposer: Desk, approver: Desk, programme: Thing, **terms: Any) -> None:
        """Two operators set what a programme says of the end of its value."""
        address = f"/v1/programmes/{programme['id']}/closing-terms"
        approval_id = await self.approval("closing_terms", proposer, approver, programme, **terms)
        await proposer.set(address, **terms, approval_id=approval_id)

    # Offers

    async def publish(self, proposer: Desk, approver: Desk, **file: Any) -> Any:
        """A campaign from its file: found right, written, and put in force by two."""
        assert (await proposer.make("/v1/campaigns/check", **file))["faults"] == []
        campaign = await proposer.make("/v1/campaigns", **file)
        address = f"/v1/campaigns/{campaign['id']}/publish"
        assert await proposer.refused(address, version=1) == "approval_required"
        approval_id = await self.approval("campaign", proposer, approver, campaign, version=1)
        published = await proposer.make(address, version=1, approval_id=approval_id)
        assert (published["status"], published["published"]["approval_id"]) == ("live", approval_id)
        return published

    async def end(self, proposer: Desk, approver: Desk, campaign: Thing) -> None:
        """End a campaign before its time, by two."""
        approval_id = await self.approval("campaign", proposer, approver, campaign)
        address = f"/v1/campaigns/{campaign['id']}/end?approval_id={approval_id}"
        assert (await proposer.make(address))["status"] == "ended"

    async def books_of(self, *kinds: str) -> dict[str, list[int]]:
        """What stands on the accounts of these kinds by all transactions: of each kind the sums, the largest first."""
        sums: dict[tuple[str, str], int] = {}
        for transaction in await self.find("/v1/transactions", limit=200):
            for entry in transaction["entries"]:
                for side, sign in (("debit", 1), ("credit", -1)):
                    account = entry[side]["kind"], entry[side]["account_id"]
                    sums[account] = sums.get(account, 0) + sign * entry["amount_fen"]
        return {
            kind: sorted((fen for (one, _), fen in sums.items() if one == kind and fen), reverse=True) for kind in kinds
        }

    # At the till

    async def pay(self, card: Thing, amount_fen: int, at: Thing, **more: Any) -> Any:
        return await self.make("/v1/purchases", **_spend(card, amount_fen, at), **more)

    async def pay_refused(self, card: Thing, amount_fen: int, at: Thing, **more: Any) -> str:
        before = await self.pockets(card)
        code = await self.refused("/v1/purchases", **_spend(card, amount_fen, at), **more)
        assert await self.pockets(card) == before, "nothing has moved"
        return code

    async def load(self, card: Thing, amount_fen: int, **more: Any) -> Any:
        return await self.make("/v1/loads", card_id=card["id"], amount_fen=amount_fen, **more)

    # Time

    @property
    def now(self) -> datetime:
        return self._clock.now().astimezone(CHINA)

    async def wait(self, **time: float) -> None:
        """Time passes, and the worker does what is due."""
        self._clock.move(timedelta(**time))
        await self.work()

    async def wait_until(self, moment: datetime) -> None:
        await self.wait(seconds=(moment - self.now).total_seconds())

    async def work(self) -> None:
        """Every job of the worker that changes cards, once; the times of each are in ``doors/worker/jobs.py``."""
        app = self._app
        life = (app.pool, app.clock, app.ids)
        for book_id, batch_id in await unfinished_batches(app.pool):
            press = Press(app.keyring, app.slots, app.ids)
            done = await run_batch(app.pool, press, app.clock, book_id=book_id, batch_id=batch_id)
            assert not isinstance(done, Refusal)
        hand = Hand(app.clock, app.ids, SYSTEM)
        await deliver_sales(app.pool, app.desk, hand, slots=app.slots)
        await expire_sales(app.pool, hand, slots=app.slots)
        await expire_overdue(app.desk, app.pool, app.slots, app.clock.now())
        await put_losses_into_effect(*life, slots=app.slots)
        await return_swept(*life, app.slots)
        await finish_transfers(*life, slots=app.slots)
        await expire_gifts(*life, slots=app.slots)
        await remind_of_ends(*life, app.slots)
        await expire_lots(*life, app.slots)
        await find_dormant(*life, app.slots)
        await give_instalments(*life, app.programmes.get, slots=app.slots)
        mint = Mint(app.keyring, app.slots, app.ids)
        for book_id, batch_id in await unfinished_voucher_batches(app.pool):
            issued = await run_voucher_batch(app.pool, mint, app.clock, book_id=book_id, batch_id=batch_id)
            assert not isinstance(issued, Refusal)
        await expire_vouchers(*life, slots=app.slots)


def account_of(holder: Mapping[str, Any], bank: str) -> dict[str, str]:
    """Somebody's own account, for a refund."""
    return {
        "method": "bank_transfer", "holder_name": holder["name"], "account_name": holder["name"],
        "account_number": "6222020200012345678", "bank_name": bank,
    }  # fmt: skip


def agreement(rule_id: str, source: str, *, deadline_days: int) -> list[dict[str, Any]]:
    """Refunds as a contract has them where no law does: what is left is paid, by a day."""
    agreed = {"base": "paid_less_spent", "no_clawback": "yes", "pricing.holder": "charged"}
    return [
        {"name": name, "value": value, "rule_id": rule_id, "source": source}
        for name, value in {**agreed, "deadline_days": deadline_days}.items()
    ]


async def open_business(conninfo: str) -> AsyncIterator[Business]:
    """A new tenant on a database, served until the caller is done with it."""
    clock, ids = HandClock(), SystemIds()
    async with open_pool(conninfo) as pool:
        tenant = await create_tenant(pool, clock, ids, name=f"story {ids.new()}")
        assert not isinstance(tenant, Refusal)
        book = tenant[1][Mode.TEST]
        key = await issue_key(pool, clock, ids, book=book, name="office", scopes=list(Scope))
        assert isinstance(key, IssuedKey)
        app = App(Settings(), pool, KEYRING, (0,), clock=clock, ids=ids)
        await app.refresh()
        app.desk.start()
        opened = Business(app, clock, book, key.token)
        yield opened
        await opened.close()
        await app.desk.close()


def _spend(card: Thing, amount_fen: int, at: Thing) -> dict[str, Any]:
    return {"card_id": card["id"], "amount_fen": amount_fen, "terminal_id": at["terminal_id"]}


def resident(born: str) -> tuple[Person, str]:
    """Somebody of Chengdu who was born on a day, with their identity number (GB 11643): the sandbox knows them."""
    body = f"510104{born.replace('-', '')}002"
    number = body + ric.calc_check_digit(f"{body}0")
    return person(index_of_document(DocumentKind.RESIDENT_ID, number)), number


def company(serial: int, area: int = 510_100) -> str:
    """The unified social credit code (GB 32100) of an invented company."""
    body = f"91{area}MA{serial:07d}"
    return body + uscc.calc_check_digit(body)
