"""The lives of single cards, from their sale to their end: what each step must answer is known beforehand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import quote

from kaquan.cards.numbers import draw_numbers
from kaquan.doors.simulate.office import Office, Told, ViolationError
from kaquan.doors.simulate.wire import Line

WORKER_S = 400.0
"""Within this time the worker has done what was ordered: a job whose worker was killed is given to another one after a
minute or two, and that one may be killed too."""

PAYEE = {
    "method": "bank_transfer", "holder_name": "王敏", "account_name": "王敏",
    "account_number": "6222020200012345678", "bank_name": "某银行",
}  # fmt: skip


class LostError(Exception):
    """A story cannot be told to its end, because an answer that nobody can ask for again was lost. That may happen."""


class Story:
    """One story on its line: asks one thing after the other, and believes what it was told."""

    def __init__(self, office: Office, line: Line, chance: Random) -> None:
        self.office, self.line, self.chance = office, line, chance
        self.held: dict[str, int] = {}
        self.seen: dict[str, dict[str, Any]] = {}

    async def tell(
        self, what: str, path: str, body: Mapping[str, Any] | None = None, *, once: bool = True, by: str = "system",
        may: tuple[str, ...] = (), unsure: tuple[str, ...] = (), sure: bool = False, method: str = "POST",
        file: str | None = None,
    ) -> Told:  # fmt: skip
        """Ask for something to be done: it must be, or be refused with a code of ``may``.

        ``unsure``: codes that say that it was done before, which they may where an answer was lost. ``sure``: if the
        request may have arrived besides, the story is lost, since it may arrive later still. ``file`` is the body.
        """
        office = self.office
        office.report.operations[what] += 1
        key = office.new_key("story") if once else None
        if file is None:
            request = office.build(path, body, key=key, by=by, method=method)
        else:
            request = office.callers[by].post(path, file.encode(), key=key)
        told = await office.insist(self.line, request, once=once)
        if sure and told.unsure:
            raise LostError(f"{what} may have been asked twice")
        if told.code is None or told.code in may or (told.unsure and told.code in unsure):
            await office.think(self.chance)
            return told
        raise ViolationError(f"{what} ({path}) was refused: {told.status} {told.body}")

    async def make(self, what: str, path: str, body: Mapping[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """What was done, which could not be refused."""
        return (await self.tell(what, path, body, **how)).body

    async def refused(self, what: str, path: str, body: Mapping[str, Any], code: str, **how: Any) -> None:
        """Ask for something that must be refused with ``code``."""
        told = await self.tell(what, path, body, may=(code,), **how)
        if told.code != code:
            raise ViolationError(f"{what} ({path}) was not refused: {told.status} {told.body}")

    async def made(
        self, what: str, path: str, body: Mapping[str, Any], *, by: str = "system", name: str = "code"
    ) -> dict[str, Any]:
        """What was made once under a code or name of its own, now or by a request whose answer was lost."""
        told = await self.tell(what, path, body, once=False, by=by, unsure=("already_exists",))
        if told.code is None:
            return told.body
        (found,) = (await self.office.read(self.line, f"{path}?{name}={quote(body[name])}"))["data"]
        return dict(found)

    @asynccontextmanager
    async def soundly(self) -> AsyncIterator[None]:
        """On a connection on which nothing goes wrong but what kills do, for steps that must not be asked twice."""
        line, server = self.line, self.chance.choice(self.office.ground.servers)
        async with server.wire() as self.line:
            try:
                yield
            finally:
                self.line = line

    async def until(self, path: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is at an address when the worker has done its part."""
        give_up = time.monotonic() + WORKER_S
        while time.monotonic() < give_up or self.office.is_paused():
            found = await self.office.read(self.line, path)
            if done(found):
                return found
            await asyncio.sleep(1.0)
        raise ViolationError(f"the worker did not do its part in {WORKER_S:.0f} s: {path}: {found}")

    async def holds(self, card: str, expected_fen: int) -> None:
        """The card has exactly this available."""
        self.held[card] = expected_fen
        found_fen = await self.office.available_fen(self.line, card)
        self.office.report.checks["balances"] += 1
        if found_fen != expected_fen:
            raise ViolationError(f"{card} has {found_fen} available, its story comes to {expected_fen}")

    async def stays(self, path: str, **fields: Any) -> None:
        """What is at an address has these fields, now and after the story."""
        self.seen[path] = fields
        await check_fields(self.office, self.line, path, fields)

    # What many stories do

    async def card(self, load_fen: int, *, customer: str | None = None, programme: str | None = None) -> str:
        """An active digital card with something on it, perhaps somebody's."""
        new = {"programme_id": programme or self.office.town.direct, "form": "digital"}
        card = str((await self.make("issue", "/v1/cards", new, once=False))["id"])
        await self.make("activate", f"/v1/cards/{card}/activate", once=False)
        if customer is not None:
            await self.make("register", f"/v1/cards/{card}/register", {"customer_id": customer}, once=False)
        await self.load(card, load_fen)
        return card

    async def load(self, card: str, amount_fen: int) -> None:
        await self.make("load", "/v1/loads", {"card_id": card, "amount_fen": amount_fen})
        self.held[card] = self.held.get(card, 0) + amount_fen

    async def customer(self) -> str:
        name = self.chance.choice(["王敏", "李强", "Anna"])
        return str((await self.make("customer", "/v1/customers", {"name": name}, once=False))["id"])

    def spend(self, card: str, amount_fen: int) -> dict[str, Any]:
        terminal = self.chance.choice(self.office.town.terminals)
        return {"card_id": card, "amount_fen": amount_fen, "terminal_id": terminal}

    async def pay(self, card: str, amount_fen: int) -> str:
        """Spend something; the id of the purchase."""
        paid = await self.make("purchase", "/v1/purchases", self.spend(card, amount_fen))
        self.held[card] -= amount_fen
        return str(paid["id"])

    async def cannot_pay(self, card: str, code: str) -> None:
        await self.refused("purchase", "/v1/purchases", self.spend(card, 1), code)

    async def close(self, card: str, *, cause: str = "holder") -> str | None:
        """Close a card for what is on it; where the payout is, if anything is due."""
        for _ in range(20):
            quoted = await self.make("refund_quote", f"/v1/cards/{card}/refund-quote", {"cause": cause}, once=False)
            body = {"cause": cause, "quote_hash": quoted["quote_hash"]}
            if quoted["amount_fen"]:
                body["payee"] = PAYEE
            # a quote is of a day: it changes at midnight, and when a clock jumps over it
            told = await self.tell("close", f"/v1/cards/{card}/close", body, may=("quote_changed",))
            if told.code is None:
                break
        else:
            raise ViolationError(f"the quote of {card} changes each time: {told.body}")
        closed = told.body
        if closed["quote"]["amount_fen"] != self.held[card]:
            raise ViolationError(f"{card} was closed for {closed['quote']['amount_fen']}, it held {self.held[card]}")
        await self.holds(card, 0)
        await self.cannot_pay(card, "card_closed")
        return None if closed["payout"] is None else f"/v1/payouts/{closed['payout']['id']}"

    async def pay_out(self, address: str) -> None:
        """Pay out what another one owes."""
        await self.refused("mark_paid", f"{address}/mark-paid", {"payment_reference": "bank 1"}, "four_eyes")
        paid = await self.make("mark_paid", f"{address}/mark-paid", {"payment_reference": "bank 1"}, by="second")
        if paid["status"] != "paid":
            raise ViolationError(f"{address} is {paid['status']} after it was marked paid")

    async def approval(self, kind: str, subject: str, payload: Mapping[str, Any]) -> str:
        """What Li proposed and Wang approved."""
        asked = {"kind": kind, "subject": subject, "payload": payload, "reason": "checked"}
        proposed = await self.make("approval", "/v1/approvals", asked, once=False, by="li")
        address = f"/v1/approvals/{proposed['id']}/approve"
        await self.tell("approve", address, once=False, by="wang", unsure=("approval_not_open",))
        return str(proposed["id"])


async def check_fields(office: Office, line: Line, path: str, fields: Mapping[str, Any]) -> None:
    """What is at an address has these fields."""
    found = await office.read(line, path)
    office.report.checks["fields"] += 1
    if differing := {name: found[name] for name in fields if found[name] != fields[name]}:
        raise ViolationError(f"{path} has {differing}, its story ended with {dict(fields)}")


async def spend_and_close(story: Story) -> None:
    """A card is loaded, spent in parts, refunded and closed."""
    card = await story.card(story.chance.randint(2_000, 9_000))
    for _ in range(story.chance.randint(1, 3)):
        paid = await story.pay(card, story.chance.randint(1, 500))
    await story.make("refund", "/v1/refunds", {"payment_id": paid, "amount_fen": 1})
    story.held[card] += 1
    await story.refused("purchase", "/v1/purchases", story.spend(card, 90_000), "insufficient_funds")
    await story.holds(card, story.held[card])
    if (payout := await story.close(card)) is not None:
        await story.pay_out(payout)


async def sell_and_take_back(story: Story) -> None:
    """Cards are sold, paid in two parts, delivered by whoever comes first; then used, or taken back whole."""
    face_fen, count = story.chance.choice([20_000, 50_000]), story.chance.randint(1, 2)
    price_fen = face_fen - story.chance.choice([0, 100])
    line = {"programme_id": story.office.town.sold, "face_fen": face_fen, "price_fen": price_fen, "card_count": count}
    sale = await story.make("sale", "/v1/sales", {"contract_version": "2026-01", "lines": [line]})
    address, first_fen = f"/v1/sales/{sale['id']}", story.chance.randint(1, price_fen * count - 1)
    if story.chance.random() < 0.15:
        await story.make("sale_cancel", f"{address}/cancel", {"reason": "no money came"})
        await story.refused(
            "sale_payment", f"{address}/payments", {"method": "cash", "amount_fen": 1}, "sale_status_forbids"
        )
        return
    for amount_fen in (first_fen, price_fen * count - first_fen):
        await story.make("sale_payment", f"{address}/payments", {"method": "cash", "amount_fen": amount_fen})
    if story.chance.random() < 0.5:
        await story.make("sale_deliver", f"{address}/deliver", {})
    await story.until(address, lambda found: bool(found["status"] == "delivered"))
    cards = [one["card_id"] for one in (await story.office.read(story.line, f"{address}/cards"))["data"]]
    if len(cards) != count:
        raise ViolationError(f"{address} sold {count} cards and delivered {cards}")
    for card in cards:
        await story.holds(card, face_fen)
    await story.refused("load", "/v1/loads", {"card_id": cards[0], "amount_fen": 1}, "sale_required")
    if story.chance.random() < 0.5:
        await story.make("sale_refund", f"{address}/refund", {"reason": "brought back"})
        for card in cards:
            await story.holds(card, 0)
            await story.cannot_pay(card, "card_closed")
        return
    await story.pay(cards[0], story.chance.randint(1, 500))
    await story.refused("sale_refund", f"{address}/refund", {"reason": "brought back"}, "sale_card_used")
    payment = {"method": "cash", "amount_fen": 900}
    await story.make("top_up", "/v1/top-ups", {
        "card_id": cards[0], "face_fen": 1_000, "contract_version": "2026-01", "payment": payment,
    })  # fmt: skip
    await story.holds(cards[0], story.held[cards[0]] + 1_000)


async def give_away(story: Story) -> None:
    """A card is given to another person, who spends it; the giver cannot any more."""
    card = await story.card(3_000, customer=await story.customer())
    offered = await story.tell(
        "gift", f"/v1/cards/{card}/gifts", {"expires_in_s": 86_400}, once=False, unsure=("card_in_gift",)
    )
    if offered.unsure:
        raise LostError("the token of the gift, perhaps")
    await story.cannot_pay(card, "card_in_gift")
    if story.chance.random() < 0.3:
        await story.tell(
            "gift_cancel", f"/v1/gifts/{offered.body['gift']['id']}/cancel", once=False, unsure=("gift_not_open",)
        )
        await story.pay(card, 100)
        await story.holds(card, 2_900)
        return
    claim = {
        "token": offered.body["token"],
        "customer_id": await story.customer(),
        "new_number": story.chance.random() < 0.7,
    }
    claimed = (await story.make("gift_claim", "/v1/gifts/claim", claim, once=False))["card"]["id"]
    if claim["new_number"]:
        await story.until(  # who dies between the new card and its value leaves the rest to a worker
            f"/v1/cards/{claimed}/accounts",
            lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 3_000,
        )
        await story.holds(card, 0)
        await story.cannot_pay(card, "card_replaced")
    story.held[claimed] = 3_000
    await story.pay(claimed, 500)
    await story.holds(claimed, 2_500)


async def replace_and_refund(story: Story) -> None:
    """A card is replaced; its balance goes to the new one, and so does what comes back later."""
    card = await story.card(5_000)
    paid = await story.pay(card, 700)
    new = (await story.make("replace", f"/v1/cards/{card}/replace", {"reason": "damaged"}))["new"]["id"]
    await story.cannot_pay(card, "card_replaced")
    await story.until(
        f"/v1/cards/{new}/accounts",
        lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 4_300,
    )
    await story.holds(card, 0)
    await story.make("refund", "/v1/refunds", {"payment_id": paid, "amount_fen": 200})
    await story.until(  # for some seconds it lies on the old one
        f"/v1/cards/{new}/accounts",
        lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 4_500,
    )
    await story.holds(card, 0)
    await story.holds(new, 4_500)


async def move_to_another(story: Story) -> None:
    """All that is free on a card moves to another one of the same person."""
    person = await story.customer()
    one, other = await story.card(2_000, customer=person), await story.card(1_000, customer=person)
    moved = await story.make("transfer", f"/v1/cards/{one}/transfer", {"to_card_id": other})
    if moved["amount_fen"] != 2_000:
        raise ViolationError(f"{one} held 2000 and gave {moved['amount_fen']}")
    await story.until(
        f"/v1/cards/{other}/accounts",
        lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 3_000,
    )
    await story.holds(one, 0)
    await story.holds(other, 3_000)
    await story.refused("transfer", f"/v1/cards/{one}/transfer", {"to_card_id": other}, "nothing_to_transfer")


async def adjust_by_two(story: Story) -> None:
    """A card is adjusted, up or down, as another approved, and no second time with the same approval."""
    card = await story.card(4_000)
    for direction, sign in story.chance.sample([("credit", 1), ("debit", -1)], 2):
        amount_fen = story.chance.randint(1, 1_000)
        wanted = {
            "card_id": card, "pocket": "principal", "direction": direction, "amount_fen": amount_fen,
            "reason": "load_error", "note": "ticket 17",
        }  # fmt: skip
        approval = await story.approval("adjustment", card, wanted)
        body = {**wanted, "approval_id": approval}
        await story.tell("adjustment", "/v1/adjustments", body, by="li")
        again = await story.tell("adjustment", "/v1/adjustments", body, by="li", may=("approval_not_approved",))
        if again.code is None:
            raise ViolationError(f"{approval} was carried out twice")
        await story.holds(card, story.held[card] + sign * amount_fen)


async def produce_a_batch(story: Story) -> None:
    """The worker makes the cards of a batch: as many as were ordered."""
    count, name = story.chance.randint(5, 60), story.office.new_key("batch")
    body = {"programme_id": story.office.town.direct, "name": name, "form": "digital", "card_count": count}
    made = await story.tell("batch", "/v1/batches", body, once=False, unsure=("already_exists",))
    if made.code is not None:
        made = made._replace(body=(await story.office.read(story.line, f"/v1/batches?name={name}"))["data"][0])
    batch = made.body["id"]
    await story.until(f"/v1/batches/{batch}", lambda found: bool(found["finished_at"] is not None))
    cards = (await story.office.read(story.line, f"/v1/cards?batch_id={batch}&limit=100"))["data"]
    if len(cards) != count:
        raise ViolationError(f"{batch} of {count} cards has {len(cards)}")
    await story.make("activate", f"/v1/cards/{cards[0]['id']}/activate", once=False)
    await story.load(cards[0]["id"], 300)
    await story.holds(cards[0]["id"], 300)


async def take_over_cards(story: Story) -> None:
    """Cards of another system come with their value, once each; then they are spent, or the import is taken back."""
    numbers = draw_numbers("888801", 3, story.chance.randbytes)
    name = story.office.new_key("import")
    rows = "卡号,余额,赠送\n" + "\n".join(f"{number},12.50,1" for number in numbers)
    address = f"/v1/card-imports?programme_id={story.office.town.direct}&name={quote(name)}"
    told = await story.tell("import", address, file=rows, once=False, unsure=("already_exists",))
    if told.code is None:
        found = told.body
    else:
        found = (await story.office.read(story.line, f"/v1/card-imports?name={quote(name)}"))["data"][0]
    place = f"/v1/card-imports/{found['id']}"
    await story.make("import_apply", f"{place}/apply", once=False)
    await story.until(place, lambda one: bool(one["status"] == "applied"))
    cards = []
    for number in numbers:
        asked = story.office.build("/v1/cards/search", {"number": number}, key=None)
        cards += (await story.office.insist(story.line, asked, once=False)).body["data"]
    if len(cards) != len(numbers):
        raise ViolationError(f"{place} of {len(numbers)} cards made {len(cards)}")
    for card in cards:
        await story.holds(card["id"], 1_350)
    if story.chance.random() < 0.5:
        await story.pay(cards[0]["id"], 350)
        told = await story.tell("import_reverse", f"{place}/reverse", once=False, may=("cards_used_since",))
        if told.code is None:
            raise ViolationError(f"{place} was reversed though a card was used")
        await story.holds(cards[0]["id"], 1_000)
        return
    await story.make("import_reverse", f"{place}/reverse", once=False)
    await story.until(place, lambda one: one["lines"] == {"reversed": len(numbers)})
    for card in cards:
        await story.holds(card["id"], 0)


async def lose_and_find(story: Story) -> None:
    """A card is lost, refused everywhere, found, and spent."""
    card = await story.card(1_000)
    told = await story.tell(
        "report_loss", f"/v1/cards/{card}/report-loss", {"proof": "receipt 1"}, once=False, unsure=("card_lost",)
    )
    if told.unsure:
        raise LostError("a report that may still come")
    await story.cannot_pay(card, "card_lost")
    await story.make("found", f"/v1/cards/{card}/found", {"reason": "found again"}, once=False)
    await story.pay(card, 400)
    await story.holds(card, 600)


async def let_expire(story: Story) -> None:
    """An authorization that nobody captures ends by itself, and what it set aside comes back."""
    card = await story.card(1_000)
    body = {**story.spend(card, 700), "expires_in_s": story.chance.randint(1, 4)}
    asked = await story.make("authorization", "/v1/authorizations", body)
    await story.until(f"/v1/authorizations/{asked['id']}", lambda found: bool(found["status"] == "expired"))
    await story.holds(card, 1_000)
    await story.refused("capture", f"/v1/authorizations/{asked['id']}/capture", {}, "authorization_not_open")


async def at_once(
    story: Story, *requests: tuple[str, str, dict[str, Any]], by: str = "system", once: bool = True
) -> list[Told]:
    """What requests are told that are sent at the same time, each with a key (if ``once``) and on a line of its own."""
    office = story.office

    async def one(what: str, path: str, body: dict[str, Any], chance: Random) -> Told:
        office.report.operations[what] += 1
        key = office.new_key("race") if once else None
        async with office.line(chance) as line:
            return await office.insist(line, office.build(path, body, key=key, by=by), once=once)

    chances = [Random(story.chance.getrandbits(64)) for _ in requests]
    told = await asyncio.gather(*(one(*asked, chance) for asked, chance in zip(requests, chances, strict=True)))
    return list(told)


def only(told: list[Told], passed: int, *codes: str) -> None:
    """So many of them were done, and all others were refused with one of these codes."""
    outcomes = sorted(one.code or "" for one in told)
    if outcomes.count("") != passed or not set(outcomes) <= {"", *codes}:
        raise ViolationError(f"of requests at once {passed} may pass and others are refused with {codes}: {outcomes}")


def one_at_most(told: list[Told], *codes: str) -> None:
    """One of them was done, if only whoever was not answered knows it, and all others were refused with these codes."""
    outcomes = sorted(one.code or "" for one in told)
    unknown = any(one.unsure for one in told)
    if outcomes.count("") > 1 or not (unknown or "" in outcomes) or not set(outcomes) <= {"", *codes}:
        raise ViolationError(f"of requests at once one may pass and others are refused with {codes}: {outcomes}")


async def spend_the_last(story: Story) -> None:
    """Of spends at once as many pass as the card has value for."""
    card = await story.card(1_000)
    only(await at_once(story, *[("purchase", "/v1/purchases", story.spend(card, 400))] * 4), 2, "insufficient_funds")
    await story.holds(card, 200)


async def keep_to_a_limit(story: Story) -> None:
    """Of spends at once as many pass as the limit of the programme allows."""
    card = await story.card(5_000, programme=story.office.town.limited)
    only(await at_once(story, *[("purchase", "/v1/purchases", story.spend(card, 400))] * 4), 2, "limit_exceeded")
    await story.holds(card, 4_200)


async def refund_at_once(story: Story) -> None:
    """Of refunds at once no more pass than was paid."""
    card = await story.card(1_000)
    paid = await story.pay(card, 900)
    body = {"payment_id": paid, "amount_fen": 500}
    only(await at_once(story, *[("refund", "/v1/refunds", body)] * 3), 1, "refund_exceeds_payment")
    await story.holds(card, 600)


async def capture_or_void(story: Story) -> None:
    """Of captures and a void at once exactly one ends the authorization."""
    card = await story.card(1_000)
    asked = await story.make("authorization", "/v1/authorizations", story.spend(card, 700))
    address = f"/v1/authorizations/{asked['id']}"
    told = await at_once(
        story, ("capture", f"{address}/capture", {"amount_fen": 600}), ("void", f"{address}/void", {}),
        ("capture", f"{address}/capture", {"amount_fen": 600}),
    )  # fmt: skip
    only(told, 1, "authorization_not_open")
    await story.holds(card, 1_000 if told[1].code is None else 400)


async def end_a_card_twice(story: Story) -> None:
    """Of a closing and replacements at once exactly one ends the card, with all that it held."""
    card = await story.card(1_000)
    quoted = await story.make("refund_quote", f"/v1/cards/{card}/refund-quote", {"cause": "holder"}, once=False)
    closing = {"cause": "holder", "quote_hash": quoted["quote_hash"], "payee": PAYEE}
    told = await at_once(
        story, ("close", f"/v1/cards/{card}/close", closing), ("replace", f"/v1/cards/{card}/replace", {"reason": "a"}),
        ("replace", f"/v1/cards/{card}/replace", {"reason": "b"}),
    )  # fmt: skip
    only(told, 1, "card_closed", "card_replaced", "quote_changed", "card_has_transfer")
    for one in told[1:]:
        if one.code is None:
            new = one.body["new"]["id"]
            await story.until(
                f"/v1/cards/{new}/accounts",
                lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 1_000,
            )
    await story.holds(card, 0)
