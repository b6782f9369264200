"""Stories of campaigns before they are in force: checked, tried beside live traffic, simulated, published, paid for."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from kaquan.doors.simulate.ground import JUMP_S
from kaquan.doors.simulate.offers import Member, publish
from kaquan.doors.simulate.office import ViolationError, campaign_file
from kaquan.doors.simulate.running import in_trail, switch
from kaquan.doors.simulate.stories import WORKER_S, LostError

DRAFT_FEN, CAMPAIGN_FEN = 300, 400
"""What a campaign gives in its first version, which is only tried, and in the one that is published."""

APART = timedelta(seconds=2 * JUMP_S + 10)
"""By how much the clocks of two servers differ at the most, and a moment more."""


async def try_a_campaign(story: Member) -> None:
    """A draft gives nothing: what it would have given is told of live traffic and of the past, to the fen. Published
    by two it gives just that, and its report says who paid."""
    office, began = story.office, story.office.clock.now()
    code = office.new_key("draft").upper()
    funder = (await story.made("funder", "/v1/funders", {"code": code, "name": "银行", "kind": "bank"}))["id"]

    def file(off_fen: int, kind: str = "amount_off") -> dict[str, Any]:
        offer = {
            "kind": kind, "params": {"tiers": [[1_000, off_fen]]},
            "conditions": {"goods": {"skus": [code]}, "programme_ids": [office.town.club]},
            "funders": [["issuer", None, 7_500], ["party", funder, 2_500]],
        }  # fmt: skip
        budgets = [{"name": "总额", "metric": "amount", "maximum": 100_000}]
        return campaign_file(office.clock, code, office.town.issuer, offer, budgets)

    for kind, is_good in (("amount_off", True), ("wishes", False)):
        checked = await story.make("campaign_check", "/v1/campaigns/check", file(DRAFT_FEN, kind), once=False)
        if bool(checked["faults"]) == is_good:
            raise ViolationError(f"a campaign of the kind {kind} has the faults {checked}")
    campaign = (await story.made("campaign", "/v1/campaigns", file(DRAFT_FEN)))["id"]
    address = f"/v1/campaigns/{campaign}"
    card = await story.club_card()
    wanted = story.basket(card, 1_000, code)

    seen = await try_beside(story, campaign, wanted)
    body = {"from": began - APART, "to": office.clock.now() + APART, "campaign_ids": [campaign]}
    told = await story.make("simulation", "/v1/simulations", body, once=False)
    (draft,) = (one for one in told["campaigns"] if one["is_draft"])
    if (told["drafts_fen"], draft["baskets"], draft["discount_fen"]) != (seen * DRAFT_FEN, seen, seen * DRAFT_FEN):
        raise ViolationError(f"{campaign} would have given {DRAFT_FEN} {seen} times, and a simulation tells {told}")

    await switch(story, "campaign_change", address, file(CAMPAIGN_FEN), method="PUT")
    await story.buy(wanted, off_fen=0)
    await publish(story, campaign, version=2)
    quoted = await story.quoted(wanted)
    paid = await story.buy(wanted, off_fen=CAMPAIGN_FEN)
    if quoted["pricing"]["payable_fen"] != paid["amount_fen"]:
        raise ViolationError(f"quoted was {quoted['pricing']}, and paid {paid}")
    await story.until(f"{address}/budgets", lambda budgets: bool(budgets["data"][0]["used"] == CAMPAIGN_FEN))
    ended = ("campaign_not_in_state",)
    await story.tell("campaign_end", f"{address}/end", once=False, unsure=ended)
    await story.buy(wanted, off_fen=0)
    await story.stays(address, status="ended", code=code)
    until = f"{office.clock.now() + APART:%Y-%m-%dT%H:%M:%SZ}"
    costs = (await office.read(story.line, f"{address}/costs?to={until}"))["data"]
    shares = {(one["funder_kind"], one["kind"]): (one["given_fen"], one["net_fen"]) for one in costs}
    own, of_bank = CAMPAIGN_FEN * 3 // 4, CAMPAIGN_FEN // 4
    if shares != {("issuer", "discount"): (own, own), ("party", "discount"): (of_bank, of_bank)}:
        raise ViolationError(f"{campaign} gave {CAMPAIGN_FEN}, and its costs are {costs}")
    await in_trail(
        story, campaign, "campaign.created", "campaign.shadow_started", "campaign.shadow_ended", "campaign.changed",
        "campaign.published", "campaign.ended",
    )  # fmt: skip
    await story.holds(card, story.held[card])


async def try_beside(story: Member, campaign: str, wanted: dict[str, Any]) -> int:
    """Let the first version run beside live traffic and buy: how often."""
    office, address = story.office, f"/v1/campaigns/{campaign}/shadow"
    shadow = {"version": 1, "until": office.clock.now() + timedelta(hours=1)}
    told = await story.tell(
        "shadow", address, shadow, once=False, may=("too_many_shadows",), unsure=("shadow_running",)
    )
    if told.code == "too_many_shadows":
        raise LostError("others run beside live traffic")
    bought, give_up = 0, time.monotonic() + WORKER_S
    report: dict[str, Any] = {"applied": 0}
    while not report["applied"]:
        if time.monotonic() > give_up and not office.is_paused():
            raise ViolationError(f"{bought} purchases were not seen by {campaign} in {WORKER_S:.0f} s: {report}")
        # a purchase at a server whose clock is behind may be before the shadow's beginning
        if bought == 0 or time.monotonic() > give_up - WORKER_S + APART.total_seconds() * bought:
            await story.buy(wanted, off_fen=0)
            bought += 1
        report = await office.read(story.line, address)
        await asyncio.sleep(1.0)
    if report["discount_fen"] != report["applied"] * DRAFT_FEN or report["applied"] > bought:
        raise ViolationError(f"{campaign} was tried {bought} times with {DRAFT_FEN}, and its shadow tells {report}")
    await story.tell("shadow_end", address, once=False, method="DELETE", unsure=("no_shadow",))
    await story.refused("shadow_end", address, {}, "no_shadow", once=False, method="DELETE")
    return bought
