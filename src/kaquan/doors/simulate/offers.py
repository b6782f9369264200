"""Stories of members: PINs, offers and budgets, vouchers and points. What each comes to is known beforehand."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kaquan.doors.simulate.ground import JUMP_S
from kaquan.doors.simulate.office import (
    BONUS_FEN,
    BONUS_FROM_FEN,
    CROWD_FEN,
    CROWD_OFF_BP,
    FEN_A_POINT,
    PIN_ABOVE_FEN,
    PIN_ATTEMPTS,
    TEA_FROM_FEN,
    TEA_OFF_FEN,
    VOUCHER_FEN,
    ViolationError,
    campaign_file,
)
from kaquan.doors.simulate.stories import WORKER_S, LostError, Story, at_once, only
from kaquan.doors.simulate.wire import wire_to

RIGHT, WRONG = "582046", "719264"
NO_VOUCHER = ("voucher_not_usable",)
PAYABLE = "merchant_payable"
LOADED_FEN = 40_000


class Member(Story):
    """A story of a card of the club."""

    async def club_card(self, load_fen: int = LOADED_FEN) -> str:
        return await self.card(load_fen, programme=self.office.town.club)

    def basket(self, card: str, amount_fen: int, sku: str, **more: Any) -> dict[str, Any]:
        """A purchase of two lines of the same goods."""
        first_fen = amount_fen // 3
        lines = [
            {"number": 1, "sku": sku, "amount_fen": first_fen},
            {"number": 2, "sku": sku, "amount_fen": amount_fen - first_fen},
        ]
        return {**self.spend(card, amount_fen), "lines": lines, **more}

    async def buy(self, wanted: Mapping[str, Any], *, off_fen: int) -> dict[str, Any]:
        """A purchase on which offers and vouchers take off just so much."""
        paid = await self.make("purchase_with_offers", "/v1/purchases", wanted)
        self.take(paid)
        self.adds_up(wanted, paid)
        if off_of(paid) != off_fen:
            raise ViolationError(f"{paid['id']} takes {off_of(paid)} off instead of {off_fen}: {paid}")
        return paid

    def take(self, paid: Mapping[str, Any]) -> None:
        """What was paid is no longer on the card."""
        self.held[paid["card_id"]] -= paid["amount_fen"]

    def adds_up(self, wanted: Mapping[str, Any], paid: Mapping[str, Any]) -> None:
        """Lines, offers and who pays for them are the same sum, to the fen."""
        pricing = paid["pricing"]
        off_fen = sum(one["discount_fen"] for one in pricing["offers"])
        funded_fen = sum(share["amount_fen"] for one in pricing["offers"] for share in one["funders"])
        lines_fen = sum(line["payable_fen"] for line in pricing["lines"])
        points_fen = pricing["points_fen"]
        self.office.report.checks["prices"] += 1
        if (
            pricing["amount_fen"] != wanted["amount_fen"]
            or not off_fen == funded_fen == pricing["discount_fen"]
            or lines_fen != wanted["amount_fen"] - off_fen
            or paid["amount_fen"] != lines_fen - points_fen
            or min(paid["amount_fen"], *(line["payable_fen"] for line in pricing["lines"])) < 0
        ):
            raise ViolationError(f"a purchase does not add up: {wanted} was told {paid}")

    async def merchant_gets(self, paid: Mapping[str, Any]) -> None:
        """What the merchant is owed for it: the goods, less what it gives away itself."""
        entries = (await self.office.read(self.line, f"/v1/transactions/{paid['id']}"))["entries"]
        owed_fen = sum(
            entry["amount_fen"] * ((entry["credit"]["kind"] == PAYABLE) - (entry["debit"]["kind"] == PAYABLE))
            for entry in entries
            if entry["currency"] == "CNY"
        )
        given_fen = sum(
            share["amount_fen"]
            for one in paid["pricing"]["offers"]
            for share in one["funders"]
            if share["kind"] == "merchant"
        )
        self.office.report.checks["merchant_payable"] += 1
        if owed_fen != paid["pricing"]["amount_fen"] - given_fen:
            raise ViolationError(f"{paid['id']}: the merchant is owed {owed_fen} and gives {given_fen}: {entries}")

    async def bring_back(self, paid: Mapping[str, Any]) -> None:
        """Refund a purchase in two or three parts: all that was paid comes back, and all that offers gave."""
        left = {line["number"]: line["amount_fen"] for line in paid["pricing"]["lines"]}
        back_fen = off_fen = 0
        for part in range(self.chance.randint(1, 2)):
            number = 1 + part
            some_fen = self.chance.randint(1, left[number])
            left[number] -= some_fen
            lines = [{"number": number, "amount_fen": some_fen}]
            told = await self.make("refund_of_offers", "/v1/refunds", {"payment_id": paid["id"], "lines": lines})
            back_fen, off_fen = back_fen + told["amount_fen"], off_fen + told["pricing"]["discount_fen"]
        if any(left.values()):
            rest = await self.make("refund_of_offers", "/v1/refunds", {"payment_id": paid["id"]})
            back_fen, off_fen = back_fen + rest["amount_fen"], off_fen + rest["pricing"]["discount_fen"]
        self.held[paid["card_id"]] += back_fen
        if (back_fen, off_fen) != (paid["amount_fen"], off_of(paid)):
            raise ViolationError(f"of {paid} came back {back_fen} and {off_fen} of its offers")
        body = {"payment_id": paid["id"], "amount_fen": 1}
        await self.refused("refund_of_offers", "/v1/refunds", body, "refund_exceeds_payment")

    async def secret_card(self) -> str:
        """A card with a PIN."""
        card = await self.card(20_000, programme=self.office.town.secret)
        told = await self.tell(
            "pin", f"/v1/cards/{card}/pin", {"pin": RIGHT}, once=False, may=("pin_too_easy",), unsure=("pin_wrong",)
        )
        if told.code == "pin_too_easy":
            raise LostError("a card whose number ends as its PIN does")
        return card

    async def buy_plain(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A purchase to which no offer belongs."""
        paid = await self.make("purchase", "/v1/purchases", wanted)
        self.take(paid)
        return paid

    async def guess(self, wanted: Mapping[str, Any], *, sure: bool = True) -> bool:
        """Pay with a PIN, right or wrong: whether it is still known how many guesses were counted.

        The same request may arrive twice at once and be counted twice; then the card may be locked before its time, or,
        by a right one that comes late, after it.
        """
        is_right = wanted["pin"] == RIGHT
        told = await self.tell(
            "purchase_with_pin",
            "/v1/purchases",
            wanted,
            may=("pin_locked",) if is_right else ("pin_wrong", "pin_locked"),
        )
        sure = sure and not told.unsure
        if told.code is None:
            self.take(told.body)
            if not is_right:
                raise ViolationError(f"a wrong PIN has paid: {told.body}")
        elif sure and told.code != (None if is_right else "pin_wrong"):
            raise ViolationError(f"a guess that was left was refused: {told.body}")
        return sure

    async def until_quoted(self, wanted: Mapping[str, Any], off_fen: int) -> None:
        """Wait until an offer is given again."""
        give_up = time.monotonic() + WORKER_S
        while time.monotonic() < give_up or self.office.is_paused():
            if (await self.quoted(wanted))["pricing"]["discount_fen"] == off_fen:
                return
            await asyncio.sleep(1.0)
        raise ViolationError(f"what was brought back was not given again in {WORKER_S:.0f} s: {wanted}")

    async def quoted(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What a purchase would cost now."""
        quote = {name: value for name, value in wanted.items() if name != "points"}
        return await self.make("quote", "/v1/quotes", quote, once=False)

    async def vouchers(self, card: str, count: int, *, template: str | None = None) -> list[str]:
        """Vouchers that are given to a card by a file."""
        name = self.office.new_key("vouchers")
        template = template or self.office.town.templates["long"]
        address = f"/v1/voucher-batches/assign?template_id={template}&name={name}"
        file = f"card,count\n{card},{count}\n"
        await self.tell("assign_vouchers", address, file=file, once=False, unsure=("already_exists",))
        found = (await self.office.read(self.line, f"/v1/vouchers?card_id={card}&limit=50"))["data"]
        if len(found) != count or {one["status"] for one in found} != {"held"}:
            raise ViolationError(f"{card} was given {count} vouchers and has {found}")
        return [one["id"] for one in found]

    async def is_now(self, voucher: str, status: str) -> None:
        """A voucher is in this state, and stays so.

        It may be locked for a moment: by a payment that was just made, or by one whose server died, until the worker
        has looked what became of that.
        """
        await self.until(f"/v1/vouchers/{voucher}", lambda found: bool(found["status"] != "locked"))
        await self.stays(f"/v1/vouchers/{voucher}", status=status)

    async def has_points(self, card: str, spendable: int, owed: int = 0) -> None:
        await self.stays(f"/v1/points/cards/{card}", spendable=spendable, owed=owed)


def off_of(paid: Mapping[str, Any]) -> int:
    """What offers and vouchers took off a purchase."""
    return int(paid["pricing"]["discount_fen"])


def points_of(amount_fen: int) -> int:
    """What money that was paid earns."""
    return amount_fen // FEN_A_POINT


async def pay_with_a_pin(story: Member) -> None:
    """A small amount needs no PIN, a large one the right one; three wrong ones lock it, until it is unlocked."""
    server = story.chance.choice(story.office.ground.servers)
    async with wire_to(server.settings.port) as wire:
        if story.chance.random() < 0.5:
            story.line = wire  # nothing but kills makes a number of guesses unsure
        card = await story.secret_card()
        small, large = story.spend(card, PIN_ABOVE_FEN), story.spend(card, PIN_ABOVE_FEN + 1)
        await story.buy_plain(small)
        await story.refused("purchase_without_pin", "/v1/purchases", large, "pin_required")
        sure = await story.guess({**large, "pin": RIGHT})
        for _ in range(story.chance.randint(0, PIN_ATTEMPTS - 1)):
            sure = await story.guess({**large, "pin": WRONG}, sure=sure)
        sure = await story.guess({**large, "pin": RIGHT}, sure=sure)
        for _ in range(PIN_ATTEMPTS):
            sure = await story.guess({**large, "pin": WRONG}, sure=sure)
        if sure:
            await story.refused("purchase_with_pin", "/v1/purchases", {**large, "pin": RIGHT}, "pin_locked")
        await story.make("pin_unlock", f"/v1/cards/{card}/pin/unlock", {"reason": "identity shown"}, once=False)
        await story.guess({**large, "pin": RIGHT}, sure=sure)
        await story.holds(card, story.held[card])


async def guess_a_pin_at_once(story: Member) -> None:
    """Guesses at the same moment get no more than the programme allows, together."""
    card = await story.secret_card()
    large = story.spend(card, PIN_ABOVE_FEN + 1)
    told = await at_once(story, *[("purchase_with_pin", "/v1/purchases", {**large, "pin": WRONG})] * 6)
    outcomes = sorted(str(one.code) for one in told)
    if outcomes.count("pin_wrong") > PIN_ATTEMPTS or not set(outcomes) <= {"pin_wrong", "pin_locked"}:
        raise ViolationError(f"{PIN_ATTEMPTS} guesses at a PIN are allowed, of six were told: {outcomes}")
    await story.refused("purchase_with_pin", "/v1/purchases", {**large, "pin": RIGHT}, "pin_locked")
    await story.buy_plain(story.spend(card, PIN_ABOVE_FEN))
    await story.holds(card, story.held[card])


async def buy_with_an_offer(story: Member) -> None:
    """A quote is the price; who pays for the discount adds up; brought back in parts, every fen is where it was."""
    card = await story.club_card()
    amount_fen = story.chance.randint(TEA_FROM_FEN - 500, TEA_FROM_FEN + 4_000)
    wanted = story.basket(card, amount_fen, "tea")
    off_fen = TEA_OFF_FEN if amount_fen >= TEA_FROM_FEN else 0
    quoted = await story.quoted(wanted)
    paid = await story.buy(wanted, off_fen=off_fen)
    if quoted["pricing"] != {**paid["pricing"], "offers": quoted["pricing"]["offers"]}:
        raise ViolationError(f"quoted was {quoted['pricing']}, and paid {paid['pricing']}")
    await story.merchant_gets(paid)
    await story.holds(card, LOADED_FEN - amount_fen + off_fen)
    await story.has_points(card, points_of(amount_fen - off_fen))
    await story.bring_back(paid)
    await story.holds(card, LOADED_FEN)
    await story.has_points(card, 0)


async def load_with_a_bonus(story: Member) -> None:
    """满500送30: a load from the threshold on brings a bonus, once; one below brings none."""
    card = await story.club_card(BONUS_FROM_FEN - 1)
    told = await story.make("load_with_bonus", "/v1/loads", {"card_id": card, "amount_fen": BONUS_FROM_FEN})
    if (told["amount_fen"], told["bonus_fen"]) != (BONUS_FROM_FEN, BONUS_FEN):
        raise ViolationError(f"a load of {BONUS_FROM_FEN} brought {told}")
    await story.holds(card, 2 * BONUS_FROM_FEN - 1 + BONUS_FEN)
    pockets = (await story.office.read(story.line, f"/v1/cards/{card}/accounts"))["data"]
    bonus_fen = sum(pocket["available_fen"] for pocket in pockets if pocket["pocket"] == "bonus")
    if bonus_fen != BONUS_FEN:
        raise ViolationError(f"{card} was given {BONUS_FEN} and has {bonus_fen} of it: {pockets}")


async def publish(story: Member, campaign: str, *, version: int) -> None:
    """Put a version of a campaign in force, as two agreed."""
    approval = await story.approval("campaign", campaign, {"version": version})
    await story.tell(
        "publish",
        f"/v1/campaigns/{campaign}/publish",
        {"version": version, "approval_id": approval},
        once=False,
        by="li",
        unsure=("campaign_not_in_state", "approval_not_approved"),
    )


async def use_up_a_budget(story: Member) -> None:
    """A campaign of two: of purchases at once so many get its discount as its budget allows, until it is ended."""
    most, off_fen = story.chance.randint(1, 3), 300
    code = story.office.new_key("camp").upper()
    offer = {
        "kind": "amount_off", "params": {"tiers": [[1_000, off_fen]]},
        "conditions": {"goods": {"skus": [code]}, "programme_ids": [story.office.town.club]},
    }  # fmt: skip
    budgets = [{"name": "次数", "metric": "count", "maximum": most}]
    body = campaign_file(story.office.clock, code, story.office.town.issuer, offer, budgets)
    told = await story.tell("campaign", "/v1/campaigns", body, once=False, by="li", unsure=("already_exists",))
    if told.code is None:
        campaign = told.body["id"]
    else:
        campaign = (await story.office.read(story.line, f"/v1/campaigns?code={code}"))["data"][0]["id"]
    address = f"/v1/campaigns/{campaign}"
    await publish(story, campaign, version=1)
    card = await story.club_card()
    asked = ("purchase_with_offers", "/v1/purchases", story.basket(card, 1_000, code))
    bought = await at_once(story, *[asked] * 5)
    only(bought, 5)
    for one in bought:
        story.take(one.body)
        story.adds_up(asked[2], one.body)
    with_offer = [one.body for one in bought if off_of(one.body)]
    if len(with_offer) > most or not {off_of(one) for one in with_offer} <= {off_fen}:
        raise ViolationError(f"{code} gives {off_fen} {most} times, and gave {[off_of(one.body) for one in bought]}")
    if len(with_offer) < most:  # somebody held it for a payment that came to nothing: it is there for the next
        await story.until_quoted(asked[2], off_fen)
    await story.holds(card, story.held[card])
    if with_offer:  # what is brought back can be given again
        await story.bring_back(with_offer[0])
        await story.until_quoted(asked[2], off_fen)
        await story.buy(asked[2], off_fen=off_fen)
    await story.tell("campaign_end", f"{address}/end", once=False, unsure=("campaign_not_in_state",))
    await story.buy(asked[2], off_fen=0)
    await story.holds(card, story.held[card])


async def share_a_budget(story: Member) -> None:
    """All stories together never get more of a budget than there is; some give back what they got."""
    office, card = story.office, await story.club_card()
    asked = [
        ("purchase_with_offers", "/v1/purchases", story.basket(card, story.chance.randint(500, 4_000), "rice"))
        for _ in range(4)
    ]
    bought = await at_once(story, *asked)
    only(bought, 4)
    for (_, _, wanted), one in zip(asked, bought, strict=True):
        story.take(one.body)
        story.adds_up(wanted, one.body)
        if off_of(one.body) not in (0, wanted["amount_fen"] * CROWD_OFF_BP // 10_000):
            raise ViolationError(f"an offer is given whole or not at all: {one.body}")
        office.crowd_fen += off_of(one.body)
    office.report.checks["shared_budget"] += 1
    if office.crowd_fen > CROWD_FEN:
        raise ViolationError(f"a budget of {CROWD_FEN} has given {office.crowd_fen}")
    if story.chance.random() < 0.5:
        paid = story.chance.choice(bought).body
        office.crowd_fen -= off_of(paid)  # from now on somebody else may have been given it
        await story.bring_back(paid)
    await story.holds(card, story.held[card])


async def redeem_vouchers(story: Member) -> None:
    """A voucher is redeemed, comes back with its refund, is given to another card, and is redeemed there once."""
    card, other = await story.club_card(), await story.club_card()
    one, two = await story.vouchers(card, 2)
    wanted = story.basket(card, 7_000, "salt", vouchers=[one])
    quoted = await story.quoted(wanted)
    paid = await story.buy(wanted, off_fen=VOUCHER_FEN)
    if quoted["pricing"]["payable_fen"] != paid["amount_fen"]:
        raise ViolationError(f"quoted was {quoted['pricing']}, and paid {paid}")
    await story.merchant_gets(paid)
    await story.is_now(one, "redeemed")
    await story.refused("purchase_with_voucher", "/v1/purchases", wanted, *NO_VOUCHER)
    await story.bring_back(paid)
    await story.is_now(one, "held")
    await story.holds(card, LOADED_FEN)
    moving = {"from_card_id": card, "card_id": other}
    await story.tell(
        "voucher_transfer", f"/v1/vouchers/{one}/transfer", moving, once=False, unsure=("voucher_not_held",)
    )
    await story.refused("purchase_with_voucher", "/v1/purchases", wanted, "voucher_not_held")
    await story.buy(story.basket(other, 5_000, "salt", vouchers=[one]), off_fen=VOUCHER_FEN)
    await story.is_now(one, "redeemed")
    loads = await at_once(story, *[("voucher_load", f"/v1/vouchers/{two}/load", {"card_id": card})] * 3)
    only(loads, 1, *NO_VOUCHER)
    await story.is_now(two, "loaded")
    await story.holds(card, LOADED_FEN + VOUCHER_FEN)
    await story.holds(other, LOADED_FEN - 5_000 + VOUCHER_FEN)


async def redeem_at_once(story: Member) -> None:
    """Of purchases with the same voucher at once exactly one passes with it, whatever else happens."""
    card = await story.club_card()
    (voucher,) = await story.vouchers(card, 1)
    asked = ("purchase_with_voucher", "/v1/purchases", story.basket(card, 6_000, "salt", vouchers=[voucher]))
    told = await at_once(story, *[asked] * 4)
    only(told, 1, *NO_VOUCHER)
    (paid,) = (one.body for one in told if one.code is None)
    story.take(paid)
    story.adds_up(asked[2], paid)
    await story.is_now(voucher, "redeemed")
    await story.holds(card, LOADED_FEN - 6_000 + VOUCHER_FEN)


async def earn_and_spend_points(story: Member) -> None:
    """Points are earned, pay a part, come back, are owed where they were spent, and are exchanged once."""
    card = await story.club_card()
    earning = await story.buy_plain(story.spend(card, 10_000))
    if earning.get("points_earned") != points_of(10_000):
        raise ViolationError(f"10000 earned {earning}")
    await story.has_points(card, 100)
    wanted = story.basket(card, 5_000, "salt", points=60)
    paid = await story.buy(wanted, off_fen=0)
    if (paid["amount_fen"], paid["pricing"]["points_fen"]) != (5_000 - 600, 600):
        raise ViolationError(f"60 points are 600 fen: {paid}")
    await story.has_points(card, 100 - 60 + points_of(4_400))
    too_many = story.basket(card, 5_000, "salt", points=400)
    await story.refused("purchase_with_points", "/v1/purchases", too_many, "points_too_few")
    if story.chance.random() < 0.5:
        await story.bring_back(paid)
        await story.has_points(card, 100)
        body = {"card_id": card, "partner_id": story.office.town.partner, "points": 70, "reference": "R1"}
        told = await at_once(story, *[("points_exchange", "/v1/points/exchanges", body)] * 3)
        only(told, 1, "points_too_few")
        units = [one.body["units"] for one in told if one.code is None]
        if units != [21]:
            raise ViolationError(f"70 points are 21 miles, not {units}")
        await story.has_points(card, 30)
        await story.holds(card, LOADED_FEN - 10_000)
        return
    refund = await story.make("refund", "/v1/refunds", {"payment_id": earning["id"]})
    story.held[card] += refund["amount_fen"]
    if refund.get("points_earned") != -100:
        raise ViolationError(f"what earned 100 points came back whole: {refund}")
    await story.has_points(card, 0, owed=16)  # of 84 points 100 are taken back
    await story.buy_plain(story.spend(card, 2_000))
    await story.has_points(card, 4)
    await story.holds(card, LOADED_FEN - 4_400 - 2_000)


async def spend_points_at_once(story: Member) -> None:
    """Of purchases at once as many pass as there are points for."""
    card = await story.club_card()
    await story.buy_plain(story.spend(card, 5_000))
    asked = ("purchase_with_points", "/v1/purchases", story.basket(card, 300, "salt", points=20))
    told = await at_once(story, *[asked] * 4)
    only(told, 2, "points_too_few")
    earned = 0
    for one in told:
        if one.code is None:
            story.take(one.body)
            earned += one.body.get("points_earned") or 0
    await story.has_points(card, 50 - 40 + earned)
    await story.holds(card, LOADED_FEN - 5_000 - 200)


async def claim_from_a_stock(story: Member) -> None:
    """Vouchers for whoever asks first are claimed, each once; how many are left is what was not claimed."""
    card = await story.club_card()
    template = story.office.town.templates["stock"]
    address = f"/v1/voucher-templates/{template}/claim"
    told = await at_once(story, *[("voucher_claim", address, {"card_id": card, "voucher_count": 1})] * 3)
    if not {one.code for one in told} <= {None, "vouchers_gone"}:
        raise ViolationError(f"a claim was refused: {[one.body for one in told]}")
    claimed = sorted(voucher["id"] for one in told if one.code is None for voucher in one.body["data"])
    found = (await story.office.read(story.line, f"/v1/vouchers?card_id={card}&limit=50"))["data"]
    if len(set(claimed)) != len(claimed) or sorted(one["id"] for one in found) != claimed:
        raise ViolationError(f"{card} claimed {claimed} and has {found}")
    for voucher in claimed[:1]:
        await story.buy(story.basket(card, 5_000, "salt", vouchers=[voucher]), off_fen=VOUCHER_FEN)
        await story.is_now(voucher, "redeemed")
    await story.holds(card, story.held[card])


async def let_a_voucher_end(story: Member) -> None:
    """A voucher ends on its day: it pays nothing any more, and the worker says so."""
    card, code = await story.club_card(), story.office.new_key("ending")
    ends_at = story.office.clock.now() + timedelta(seconds=JUMP_S + 15)
    template = {
        "issuer_id": story.office.town.issuer, "code": code, "name": code, "kind": "value", "currency": "CNY",
        "face_fen": VOUCHER_FEN, "offer_kind": "amount_off", "offer_params": {"tiers": [[5_000, VOUCHER_FEN]]},
        "funders": [{"kind": "issuer", "share_bp": 10_000}], "valid_until": ends_at,
    }  # fmt: skip
    told = await story.tell("template", "/v1/voucher-templates", template, once=False, unsure=("already_exists",))
    if told.code is not None:
        raise LostError("the id of a template, perhaps")
    (voucher,) = await story.vouchers(card, 1, template=told.body["id"])
    await story.until(f"/v1/vouchers/{voucher}", lambda found: bool(found["status"] == "expired"))
    await story.refused(
        "purchase_with_voucher", "/v1/purchases", story.basket(card, 6_000, "salt", vouchers=[voucher]), *NO_VOUCHER
    )
    await story.is_now(voucher, "expired")
    await story.holds(card, LOADED_FEN)
