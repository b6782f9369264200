"""What must exist before the first purchase, made through the API: a retailer, its tills, cards and their holders."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kaquan.doors.cli.demo.holders import CAPS_FEN, JURISDICTION, Group, group_of, invented_name
from kaquan.doors.cli.demo.year import CURRENCY, ZONE
from kaquan.doors.load import AnswerError, Caller, call_all

SERVER_LEARNS_S = 1.5
"""Every process of the server knows new terminals and programmes after this time at the latest."""

NUMBER_PREFIXES = {Group.REGISTERED: "999017", Group.UNREGISTERED: "999018"}
"""Begin with 9, which ISO/IEC 7812 leaves to national bodies: these numbers are nobody's bank card."""

PROGRAMME_NAMES = {Group.REGISTERED: "Grocery year, registered", Group.UNREGISTERED: "Grocery year, unregistered"}


class DemoError(Exception):
    """The demo cannot go on; the message says what the server answered."""


class Furnished(msgspec.Struct, frozen=True):
    """What was made: terminal by store; card, its number and its group by household, as the data number them."""

    terminals: dict[int, str]
    cards: dict[int, str]
    numbers: dict[int, str]
    groups: dict[int, Group]


async def furnish(
    caller: Caller,
    *,
    label: str,
    store_ids: Sequence[int],
    household_ids: Sequence[int],
    described: frozenset[int],
    say: Callable[[str], None],
) -> Furnished:
    """Make an issuer, a retailer with a terminal per store, two programmes, and an active card per household: for those
    that are ``described`` a customer whose card it is.

    ``label`` makes the codes unique, so that a demo can be run again beside the last one. Raises DemoError.
    """
    many = _Many(caller)
    (issuer,) = await many.post(
        "/v1/issuers",
        [
            {
                "code": f"demo-{label}",
                "name": "Demo Grocer Cards",
                "time_zone": ZONE.key,
                "province": JURISDICTION,
            }
        ],
    )
    (merchant,) = await many.post("/v1/merchants", [{"code": f"demo-{label}", "name": "Demo Grocer"}])
    programmes = await many.post(
        "/v1/programmes",
        [
            {
                "issuer_id": issuer["id"],
                "code": f"demo-{label}-{group}",
                "name": PROGRAMME_NAMES[group],
                "currency": CURRENCY,
                "number_prefix": NUMBER_PREFIXES[group],
                "operating_mode": "closed_loop",
                "card_class": group,
                "max_balance_fen": CAPS_FEN[group],
            }
            for group in Group
        ],
    )
    for programme in programmes:
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
    groups = {household: group_of(household, described) for household in household_ids}
    programme_ids = {group: programme["id"] for group, programme in zip(Group, programmes, strict=True)}
    cards = await many.post(
        "/v1/cards",
        [{"programme_id": programme_ids[groups[household]], "form": "digital"} for household in household_ids],
    )
    card_ids = {household: card["id"] for household, card in zip(household_ids, cards, strict=True)}
    paths = [f"/v1/cards/{card['id']}" for card in cards]
    await many.call([caller.post(f"{path}/activate") for path in paths], "POST /v1/cards/{id}/activate")
    revealed = await many.call([caller.get(f"{path}/number") for path in paths], "GET /v1/cards/{id}/number")
    owners = [household for household in household_ids if groups[household] is Group.REGISTERED]
    say(f"{len(owners):,} holders 持卡人")
    people = await many.post("/v1/customers", [{"name": invented_name(household)} for household in owners])
    await many.call(
        [
            caller.post(
                f"/v1/cards/{card_ids[household]}/register", msgspec.json.encode({"customer_id": customer["id"]})
            )
            for household, customer in zip(owners, people, strict=True)
        ],
        "POST /v1/cards/{id}/register",
    )
    return Furnished(
        terminals={number: terminal["id"] for number, terminal in zip(store_ids, terminals, strict=True)},
        cards=card_ids,
        groups=groups,
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
