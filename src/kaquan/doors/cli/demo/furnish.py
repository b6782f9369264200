"""What must exist before the first purchase, made through the API: a retailer, its tills, the cards."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kaquan.doors.cli.demo.year import CURRENCY, ZONE
from kaquan.doors.load import AnswerError, Caller, call_all

SERVER_LEARNS_S = 1.5
"""Every process of the server knows new terminals and programmes after this time at the latest."""

NUMBER_PREFIX = "999017"
"""Begins with 9, which ISO/IEC 7812 leaves to national bodies: these numbers are nobody's bank card."""


class DemoError(Exception):
    """The demo cannot go on; the message says what the server answered."""


class Furnished(msgspec.Struct, frozen=True):
    """What was made: terminal by store, card number by household, as the data number them."""

    programme_id: str
    terminals: dict[int, str]
    numbers: dict[int, str]


async def furnish(
    caller: Caller,
    *,
    label: str,
    store_ids: Sequence[int],
    household_ids: Sequence[int],
    say: Callable[[str], None],
) -> Furnished:
    """Make an issuer, a retailer with a terminal per store, a programme, and an active card per household.

    ``label`` makes the codes unique, so that a demo can be run again beside the last one. Raises DemoError.
    """
    many = _Many(caller)
    (issuer,) = await many.post(
        "/v1/issuers", [{"code": f"demo-{label}", "name": "Demo Grocer Cards", "time_zone": ZONE.key}]
    )
    (merchant,) = await many.post("/v1/merchants", [{"code": f"demo-{label}", "name": "Demo Grocer"}])
    (programme,) = await many.post(
        "/v1/programmes",
        [
            {
                "issuer_id": issuer["id"],
                "code": f"demo-{label}",
                "name": "Grocery year",
                "currency": CURRENCY,
                "number_prefix": NUMBER_PREFIX,
            }
        ],
    )
    await many.post(f"/v1/programmes/{programme['id']}/acceptance", [{"add": [{"merchant_id": merchant["id"]}]}])
    say(f"{len(store_ids):,} stores 门店")
    stores = await many.post(
        "/v1/stores",
        [
            {"merchant_id": merchant["id"], "code": f"demo-{label}-{number}", "name": f"Store {number}"}
            for number in store_ids
        ],
    )
    terminals = await many.post(
        "/v1/terminals",
        [
            {"store_id": store["id"], "code": f"demo-{label}-{number}-1"}
            for number, store in zip(store_ids, stores, strict=True)
        ],
    )
    await asyncio.sleep(SERVER_LEARNS_S)
    say(f"{len(household_ids):,} cards 电子卡")
    new_card = {"programme_id": programme["id"], "form": "digital"}
    cards = await many.post("/v1/cards", [new_card] * len(household_ids))
    paths = [f"/v1/cards/{card['id']}" for card in cards]
    await many.call([caller.post(f"{path}/activate") for path in paths], "POST /v1/cards/{id}/activate")
    revealed = await many.call([caller.get(f"{path}/number") for path in paths], "GET /v1/cards/{id}/number")
    return Furnished(
        programme_id=programme["id"],
        terminals={number: terminal["id"] for number, terminal in zip(store_ids, terminals, strict=True)},
        numbers={household: answer["number"] for household, answer in zip(household_ids, revealed, strict=True)},
    )


class _Many:
    """Sends many like requests and decodes their answers. Raises DemoError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def post(self, path: str, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return await self.call([self._caller.post(path, msgspec.json.encode(body)) for body in bodies], f"POST {path}")

    async def call(self, requests: Sequence[bytes], what: str) -> list[dict[str, Any]]:
        try:
            bodies = await call_all(self._caller.address, requests)
        except AnswerError as error:
            raise DemoError(f"{what}: {error}") from error
        return [msgspec.json.decode(body) for body in bodies]
