"""The clients of a simulation: what they share, how they ask, and what the auditor believes."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeGuard

import msgspec

from kaquan.doors.http.fields import uuid_of
from kaquan.doors.load import Caller, read_address
from kaquan.doors.simulate.ground import JUMP_S, Blow, Ground
from kaquan.doors.simulate.report import Report
from kaquan.doors.simulate.wire import Answered, FaultyLine, Line, is_final, wire_to
from kaquan.kit.clock import Clock
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.parties import IssuedKey, Mode, Scope, create_tenant, issue_key

PATIENCE_S = 120.0
"""Within this time every request has been answered for good, whatever was killed meanwhile."""

CLERKS = ("zhao", "qian", "sun", "zhou", "wu", "zheng")
"""Operators besides Li and Wang, on whom no other story rests."""

WRONG_CLOCK = 0.1
"""How many payments come from a till whose clock is wrong, by up to two days."""


# What is known beforehand of offers, in fen and points.
PIN_ABOVE_FEN, PIN_ATTEMPTS = 500, 3
TEA_FROM_FEN, TEA_OFF_FEN = 5_000, 700
BONUS_FROM_FEN, BONUS_FEN = 50_000, 3_000
CROWD_OFF_BP, CROWD_FEN = 2_000, 60_000
VOUCHER_FROM_FEN, VOUCHER_FEN = 5_000, 2_000
STOCK = 400
FEN_A_POINT = 100
POINTS = {
    "rules": [{"name": "每元1分", "points": 1, "per_fen": FEN_A_POINT}],
    "spend_points": 1, "spend_fen": 10, "valid_years": 1, "clawback": "debt",
}  # fmt: skip


class ViolationError(Exception):
    """Something is not as it must be; the message says what."""


class Told(NamedTuple):
    """A final answer. ``unsure``: the same request may have arrived besides the one that was answered."""

    status: int
    body: dict[str, Any]
    raw: Answered
    unsure: bool

    @property
    def code(self) -> str | None:
        """The code of a refusal, None for a success."""
        return str(self.body.get("code")) if self.status >= 400 else None


class Town(NamedTuple):
    """What exists before the first payment: terminals; programmes whose cards are loaded directly, sold, limited, paid
    with by PIN, or of members, to whom offers and points belong; the cards of the tills."""

    terminals: list[str]
    direct: str
    sold: str
    limited: str
    secret: str
    club: str
    issuer: str
    templates: dict[str, str]
    partner: str
    cards: list[str]


class Office:
    """Sends what the clients ask, over faulty lines, and keeps what they were told."""

    def __init__(
        self, ground: Ground, report: Report, chance: Random, *, clock: Clock, rate_per_s: float, quiet: Path | None
    ) -> None:
        self.ground, self.report, self.chance, self.clock = ground, report, chance, clock
        self.times_ns = array("q")
        self.lanes = 1
        self._rate_per_s = rate_per_s
        self._quiet = quiet
        self._keys = 0
        self._struck: tuple[str, float] | None = None
        self.callers: dict[str, Caller] = {}
        self.clerks: list[tuple[str, str]] = []
        """Operators, by the names and ids of them, whom a story may suspend and let back: one at a time."""
        self.policy_alone = asyncio.Lock()
        """Of a story that changes what is one for all: what it set is there until it lets go."""
        self.crowd_fen = 0
        """What is known to have been given of the budget that all stories share: never more than was given."""
        self.left_behind = set[str]()
        """Replaced cards on which something may lie until it is released; when all stories are over nothing does."""
        self.town: Town

    # Time

    def is_paused(self) -> bool:
        """Whether nothing is to be sent now."""
        return self._quiet is not None and self._quiet.exists()

    async def think(self, chance: Random) -> None:
        """A client's pause between two requests, so that all together ask at the rate that was asked for."""
        await asyncio.sleep(min(chance.expovariate(self._rate_per_s / self.lanes), 10 * self.lanes / self._rate_per_s))
        await self.pause()

    async def pause(self) -> None:
        """Wait while nothing is to be sent."""
        while self.is_paused():  # noqa: ASYNC110  (a file tells nobody when it goes)
            await asyncio.sleep(0.5)

    # Asking

    def violated(self, what: str) -> None:
        """Record that something is not as it must be."""
        self.report.violations.append(what)

    def new_key(self, prefix: str) -> str:
        """An idempotency key that was never used."""
        self._keys += 1
        return f"{prefix}-{self._keys}"

    @asynccontextmanager
    async def line(self, chance: Random) -> AsyncIterator[Line]:
        """A faulty connection to one of the servers."""
        port = chance.choice(self.ground.servers).settings.port

        def count(fault: str) -> None:
            self.report.faults[fault] += 1

        async with wire_to(port) as wire:
            line = FaultyLine(port, wire, chance, on_fault=count, on_violation=self.violated)
            yield line
            await line.arrive()

    def struck(self, blow: Blow) -> None:
        """Remember when something was done to the installation, until a request that begins later is answered well."""
        self.report.faults[blow.value] += 1
        self._struck = blow.value, time.monotonic()

    def heard(self, answer: Answered, *, began: float) -> None:
        """Count a final answer to a request that was first sent at ``began``."""
        now = time.monotonic()
        self.times_ns.append(int((now - began) * 1e9))
        self.report.answers[str(answer.status)] += 1
        if answer.status >= 400:
            self.report.refusals[code_of(answer)] += 1
        elif self._struck is not None and began > self._struck[1]:
            blow, at = self._struck
            self.report.recovery_s.setdefault(blow, []).append(round(now - at, 3))
            self._struck = None
        if answer.status >= 500:
            self.violated(f"answered {answer.status}: {answer.body.decode(errors='replace')[:300]}")

    def is_final(self, answer: Answered | None) -> TypeGuard[Answered]:
        """Whether this is what became of a request.

        A file that may not grow is no full disk to PostgreSQL, which has no name for it: what fails of that is an
        internal error, whose client is told to ask again, and does.
        """
        if answer is not None and answer.status == 500 and self.ground.is_full:
            self.report.checks["internal_errors_on_a_full_disk"] += 1
            return False
        return is_final(answer)

    async def insist(self, line: Line, request: bytes, *, once: bool = True) -> Told:
        """The final answer to a request, however often it must be sent; ViolationError if there is none in time."""
        began, answer = time.monotonic(), None
        line.doubtful = False
        while time.monotonic() < began + PATIENCE_S:
            answer = await line.send(request, once=once)
            if self.is_final(answer):
                self.heard(answer, began=began)
                return Told(answer.status, read_fields(answer.body), answer, line.doubtful)
            line.doubtful = True  # what could not be answered may have been done: a guess at a PIN is counted first
            await asyncio.sleep(0.1)
        raise ViolationError(f"no answer in {PATIENCE_S:.0f} s: {request[:80]!r}, the last was {answer}")

    def build(
        self, path: str, body: Mapping[str, Any] | None, *, key: str | None, by: str = "system", get: bool = False,
        method: str = "POST",
    ) -> bytes:  # fmt: skip
        """The bytes of a request."""
        caller = self.callers[by]
        return caller.get(path) if get else caller.post(path, msgspec.json.encode(body or {}), key=key, method=method)

    async def read(self, line: Line, path: str) -> dict[str, Any]:
        """What is at an address."""
        told = await self.insist(line, self.build(path, None, key=None, get=True), once=False)
        if told.status != 200:
            raise ViolationError(f"GET {path}: {told.status} {told.code}")
        return told.body

    async def available_fen(self, line: Line, card_id: str) -> int:
        """What can be spent of a card."""
        pockets = (await self.read(line, f"/v1/cards/{card_id}/accounts"))["data"]
        return sum(int(pocket["available_fen"]) for pocket in pockets)

    def wrong_clock(self, chance: Random) -> dict[str, object]:
        """When a till says that it happened, where its clock is wrong."""
        if chance.random() >= WRONG_CLOCK:
            return {}
        self.report.faults["wrong_clock"] += 1
        return {"occurred_at": self.clock.now() + timedelta(hours=chance.uniform(-48, 48))}

    # Furnishing

    async def furnish(self, ids: Ids, *, cards: int, load_fen: int) -> None:
        """Found a tenant with an office of two and a system, an issuer with two programmes, shops and cards."""
        async with open_pool(self.ground.conninfo) as pool:
            tenant = await create_tenant(pool, self.clock, ids, name="simulation")
            if isinstance(tenant, Refusal):
                raise ViolationError(f"no tenant: {tenant.message()}")
            book = tenant[1][Mode.LIVE]

            async def hire(name: str, operator_id: Any = None) -> None:
                issued = await issue_key(
                    pool, self.clock, ids, book=book, name=name, scopes=list(Scope), operator_id=operator_id
                )
                assert isinstance(issued, IssuedKey)
                self.callers[name] = Caller(read_address("http://127.0.0.1"), token=issued.token)

            await hire("system")
            await hire("second")
            port = self.ground.servers[0].settings.port
            async with wire_to(port) as line:

                async def make(path: str, **body: Any) -> dict[str, Any]:
                    told = await self.insist(line, self.build(path, body, key=self.new_key("furnish")))
                    if told.status >= 400:
                        raise ViolationError(f"{path}: {told.status} {told.body}")
                    return told.body

                for name in ("li", "wang", *CLERKS):
                    operator = await make("/v1/operators", code=name, name=name, roles=["admin"])
                    await hire(name, uuid_of(operator["id"]))
                    if name in CLERKS:
                        self.clerks.append((name, operator["id"]))
                issuer = await make("/v1/issuers", code="issuer", name="发卡方", time_zone="Asia/Shanghai")
                merchants = [
                    await make("/v1/merchants", code=f"shop-{number}", name=f"商户 {number}") for number in range(3)
                ]
                terminals = []
                for merchant in merchants:
                    code = merchant["code"]
                    store = await make("/v1/stores", merchant_id=merchant["id"], code=code, name=code)
                    terminals.append((await make("/v1/terminals", store_id=store["id"], code=code))["id"])
                common = {"issuer_id": issuer["id"], "currency": "CNY", "principal_valid_days": 1_200}
                direct = await make(
                    "/v1/programmes", code="direct", name="红卡", number_prefix="888801",
                    authorization_ttl_s=30 * 86_400, **common,
                )  # fmt: skip
                sold = await make(
                    "/v1/programmes", code="sold", name="售卡", number_prefix="888802", activation="paid_sale",
                    denominations_fen=[20_000, 50_000], max_balance_fen=100_000, **common,
                )  # fmt: skip
                limited = await make(
                    "/v1/programmes", code="limited", name="限额卡", number_prefix="888803", **common
                )  # fmt: skip
                await make(
                    "/v1/limits", programme_id=limited["id"], name="a year", movement="spend", scope="card",
                    metric="amount", period="year", maximum=1_000,
                )  # fmt: skip
                secret = await make(
                    "/v1/programmes", code="secret", name="密码卡", number_prefix="888804",
                    pin_required_above_fen=PIN_ABOVE_FEN, pin_max_attempts=PIN_ATTEMPTS, **common,
                )  # fmt: skip
                club = await make("/v1/programmes", code="club", name="会员卡", number_prefix="888805", **common)
                self.ground.servers[0].shift_clock(-2 * JUMP_S)  # terms hold for longer than a clock may be behind
                templates, partner = await furnish_offers(make, clock=self.clock, issuer=issuer["id"], club=club["id"])
                self.ground.servers[0].shift_clock(0)
                for programme in (direct, sold, limited, secret, club):
                    accepted = [{"merchant_id": merchant["id"]} for merchant in merchants]
                    await make(f"/v1/programmes/{programme['id']}/acceptance", add=accepted)
                await asyncio.sleep(1.5)  # every process has learned of them by then
                made = []
                for _ in range(cards):
                    card = (await make("/v1/cards", programme_id=direct["id"], form="digital"))["id"]
                    await make(f"/v1/cards/{card}/activate")
                    await make("/v1/loads", card_id=card, amount_fen=load_fen)
                    made.append(card)
                self.town = Town(
                    terminals, direct["id"], sold["id"], limited["id"], secret["id"], club["id"], issuer["id"],
                    templates, partner, made,
                )  # fmt: skip


async def furnish_offers(
    make: Callable[..., Awaitable[dict[str, Any]]], *, clock: Clock, issuer: str, club: str
) -> tuple[dict[str, str], str]:
    """A bank and a city that pay, campaigns and points for members, and vouchers; the templates and a partner."""
    bank = (await make("/v1/funders", code="bank", name="银行", kind="bank"))["id"]
    city = (await make("/v1/funders", code="city", name="市商务局", kind="government"))["id"]
    for code, offer, budgets in (
        ("TEA", {
            "kind": "amount_off", "params": {"tiers": [[TEA_FROM_FEN, TEA_OFF_FEN]]},
            "conditions": {"goods": {"skus": ["tea"]}, "programme_ids": [club]},
            "funders": [["issuer", None, 5_000], ["merchant", None, 3_000], ["party", bank, 2_000]],
        }, []),
        ("TOP-UP", {
            "kind": "load_bonus", "params": {"tiers": [[BONUS_FROM_FEN, BONUS_FEN]]},
            "conditions": {"programme_ids": [club]}, "funders": [["issuer", None, 5_000], ["party", bank, 5_000]],
        }, []),
        ("CROWD", {
            "kind": "percent_off", "params": {"off_bp": CROWD_OFF_BP}, "funders": [["party", bank, 10_000]],
            "conditions": {"goods": {"skus": ["rice"]}, "programme_ids": [club]},
        }, [{"name": "总额", "metric": "amount", "maximum": CROWD_FEN}]),
    ):  # fmt: skip
        campaign = await make("/v1/campaigns", **campaign_file(clock, code, issuer, offer, budgets))
        await make(f"/v1/campaigns/{campaign['id']}/publish", version=1)
    await make(f"/v1/points/programmes/{club}/terms", **POINTS)
    common = {
        "issuer_id": issuer, "kind": "value", "currency": "CNY", "face_fen": VOUCHER_FEN, "offer_kind": "amount_off",
        "offer_params": {"tiers": [[VOUCHER_FROM_FEN, VOUCHER_FEN]]}, "transferable": True, "load_pocket": "bonus",
        "funders": [{"kind": "issuer", "share_bp": 4_000}, {"kind": "party", "funder_id": city, "share_bp": 6_000}],
    }  # fmt: skip
    templates = {
        "long": await make("/v1/voucher-templates", code="long", name="满100减20", valid_days=30, **common),
        "stock": await make("/v1/voucher-templates", code="stock", name="先到先得", valid_days=30, **common),
    }
    await make(
        "/v1/voucher-batches", template_id=templates["stock"]["id"], name="先到先得", voucher_count=STOCK,
        code_length=None,
    )  # fmt: skip
    partner = await make(
        "/v1/points/partners", code="air", name="航空", currency="MILES", out_points=10, out_units=3,
        in_units=1, in_points=2,
    )  # fmt: skip
    return {name: template["id"] for name, template in templates.items()}, partner["id"]


def campaign_file(
    clock: Clock, code: str, issuer: str, offer: Mapping[str, Any], budgets: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A campaign of one offer, from yesterday on, without a control group: who gets what is known beforehand."""
    today = clock.now().date()
    days = (today - timedelta(days=1), today + timedelta(days=60))
    starts_at, ends_at = (f"{day}T00:00:00" for day in days)
    return {
        "code": code, "name": code, "issuer_id": issuer, "starts_at": starts_at, "ends_at": ends_at, "control_bp": 0,
        "offers": [{"name": code, "stacking": {"group": ""}, **offer}], "budgets": list(budgets),
    }  # fmt: skip


def read_fields(body: bytes) -> dict[str, Any]:
    """What an answer says by name; nothing if it is a file."""
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return read if isinstance(read, dict) else {}


def code_of(answer: Answered) -> str:
    """The code of a refusal."""
    try:
        return str(msgspec.json.decode(answer.body)["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status_{answer.status}"
