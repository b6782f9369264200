"""Stories of what is given: points by two, benefits while there are some, vouchers by their codes and to their end."""

from typing import Any

from kaquan.doors.simulate.lives import expect
from kaquan.doors.simulate.offers import LOADED_FEN, NO_VOUCHER, Member
from kaquan.doors.simulate.office import VOUCHER_FEN, VOUCHER_FROM_FEN, ViolationError
from kaquan.doors.simulate.stories import LostError, at_once, one_at_most, only

COST = 60


async def adjust_points_by_two(story: Member) -> None:
    """Points are put on a card and taken off as another one approved, each once, and never more than there are."""
    card = await story.club_card()
    some = story.chance.randint(100, 900)
    for points in (some, -30):
        body = {"card_id": card, "points": points, "note": "补积分"}
        for by in ("system", "li"):
            await story.refused("points_adjustment", "/v1/points/adjustments", body, "approval_required", by=by)
        approval = await story.approval("points_adjustment", card, body)
        other = {**body, "points": points + 1, "approval_id": approval}
        await story.refused(
            "points_adjustment", "/v1/points/adjustments", other, "approval_for_something_else", by="li"
        )
        adjusting = ("points_adjustment", "/v1/points/adjustments", {**body, "approval_id": approval})
        only(await at_once(story, *[adjusting] * 3, by="li"), 1, "approval_not_approved")
    too_many = {"card_id": card, "points": -some, "note": "补积分"}
    approval = await story.approval("points_adjustment", card, too_many)
    asked = {**too_many, "approval_id": approval}
    await story.refused("points_adjustment", "/v1/points/adjustments", asked, "points_too_few", by="li")
    await story.has_points(card, some - 30)
    deeds = (await story.office.read(story.line, f"/v1/points/cards/{card}/deeds"))["data"]
    # in the order of the clocks of those who wrote them, which differ
    expect("the deeds of a card", sorted(one["points"] for one in deeds), [-30, some])
    await story.stays(f"/v1/points/cards/{card}/deeds", data=deeds)


async def take_the_last_benefit(story: Member) -> None:
    """Of members who take a benefit at once as many get it as there are; who gets it pays for it, and has its
    vouchers."""
    stock = story.chance.randint(1, 2)
    benefit = await story.made("points_benefit", "/v1/points/benefits", {
        "programme_id": story.office.town.club, "code": story.office.new_key("benefit"), "name": "换券",
        "cost_points": COST, "stock": stock, "template_id": story.office.town.templates["long"], "voucher_count": 2,
    })  # fmt: skip
    cards = [await story.club_card() for _ in range(3)]
    for card in cards:
        await story.buy_plain(story.spend(card, 10_000))
    address = f"/v1/points/benefits/{benefit['id']}/take"
    told = await at_once(story, *[("benefit", address, {"card_id": card}) for card in cards])
    only(told, stock, "points_benefit_gone")
    for card, one in zip(cards, told, strict=True):
        held = (await story.office.read(story.line, f"/v1/vouchers?card_id={card}"))["data"]
        expect(f"the vouchers of {card}", [voucher["status"] for voucher in held], ["held"] * (one.code is None) * 2)
        await story.has_points(card, 100 - COST * (one.code is None))
        await story.holds(card, LOADED_FEN - 10_000)
    late = next(card for card, one in zip(cards, told, strict=True) if one.code is not None)
    await story.refused("benefit", address, {"card_id": late}, "points_benefit_gone")
    found = (await story.office.read(story.line, f"/v1/points/benefits?code={benefit['code']}"))["data"]
    expect("how often a benefit was taken", [one["taken"] for one in found], [stock])
    await story.stays(f"/v1/points/benefits?code={benefit['code']}", data=found)


async def exchange_with_a_partner(story: Member) -> None:
    """Units of a new partner come in once for a reference, and go out as far as there are points."""
    partner = await story.made("points_partner", "/v1/points/partners", {
        "code": story.office.new_key("partner"), "name": "酒店", "currency": "NIGHTS", "out_points": 50, "out_units": 1,
        "in_units": 1, "in_points": 40,
    })  # fmt: skip
    card, reference = await story.club_card(), story.office.new_key("exchange")
    body = {"card_id": card, "partner_id": partner["id"], "reference": reference}
    coming = ("points_exchange", "/v1/points/exchanges", {**body, "units": 3})
    only(await at_once(story, *[coming] * 3), 1, "points_exchange_known")
    await story.has_points(card, 120)
    await story.refused("points_exchange", coming[1], {**body, "points": 70}, "points_exchange_not_whole")
    going = ("points_exchange", coming[1], {**body, "points": 50, "reference": "out"})
    only(await at_once(story, *[going] * 4), 2, "points_too_few")
    await story.has_points(card, 20)
    await story.holds(card, LOADED_FEN)


def voucher_template(story: Member, **more: Any) -> dict[str, Any]:
    code = story.office.new_key("template")
    return {
        "issuer_id": story.office.town.issuer, "code": code, "name": code, "kind": "value", "currency": "CNY",
        "face_fen": VOUCHER_FEN, "offer_kind": "amount_off",
        "offer_params": {"tiers": [[VOUCHER_FROM_FEN, VOUCHER_FEN]]},
        "funders": [{"kind": "issuer", "share_bp": 10_000}], "valid_days": 30, **more,
    }  # fmt: skip


async def batch_of(story: Member, template: str, count: int, **how: Any) -> str:
    """A finished batch of vouchers, ordered by two."""
    body = {"template_id": template, "name": story.office.new_key("vouchers"), "voucher_count": count, **how}
    await story.refused("voucher_batch", "/v1/voucher-batches", body, "approval_required", once=False, by="li")
    approval = await story.approval("voucher_issue", template, body)
    made = await story.tell(
        "voucher_batch", "/v1/voucher-batches", {**body, "approval_id": approval}, once=False, by="li",
        unsure=("already_exists", "approval_not_approved"),
    )  # fmt: skip
    (found,) = (await story.office.read(story.line, f"/v1/voucher-batches?name={body['name']}"))["data"]
    if made.code is None:
        expect("the batch of a name", found["id"], made.body["id"])
    address = f"/v1/voucher-batches/{found['id']}"
    await story.until(address, lambda one: bool(one["finished_at"] is not None))
    return str(found["id"])


async def codes_of(story: Member, batch: str) -> dict[str, str]:
    """The vouchers of a batch with their codes."""
    found = (await story.office.read(story.line, f"/v1/vouchers?batch_id={batch}"))["data"]
    return {
        one["id"]: (await story.make("voucher_reveal", f"/v1/vouchers/{one['id']}/reveal", once=False))["code"]
        for one in found
    }


async def claim_by_code(story: Member) -> None:
    """Of cards that claim a code at once one gets the voucher; what is cancelled by two nobody gets; what nobody has
    claimed of a batch is void when that is cancelled, and what is held stays good."""
    template = (await story.made("template", "/v1/voucher-templates", voucher_template(story)))["id"]
    batch = await batch_of(story, template, 4)
    cards = [await story.club_card() for _ in range(3)]
    first, second, third, _ = (await codes_of(story, batch)).items()
    voucher, code = first
    await refuse_claim(story, "NOSUCHCODE", cards[0], "not_found")
    claims = [("voucher_claim_by_code", "/v1/vouchers/claim", {"code": code, "card_id": card}) for card in cards]
    told = await at_once(story, *claims, once=False)
    one_at_most(told, *NO_VOUCHER)
    found = await story.make("voucher_search", "/v1/vouchers/search", {"code": code.lower()}, once=False)
    expect("what a code finds", (found["id"], found["status"]), (voucher, "held"))
    if (won := [one.body["card_id"] for one in told if one.code is None]) and won != [found["card_id"]]:
        raise ViolationError(f"{voucher} was given to {won} and is {found['card_id']}'s")
    paid = await story.buy(story.basket(found["card_id"], 6_000, "salt", vouchers=[voucher]), off_fen=VOUCHER_FEN)
    await story.is_now(voucher, "redeemed")
    # a claim and the cancelling of two people at once: one of the two is done
    voucher, code = second
    cancelling, reason = f"/v1/vouchers/{voucher}/cancel", {"reason": "印错了"}
    await story.refused("voucher_cancel", cancelling, reason, "approval_required", once=False, by="li")
    approval = await story.approval("voucher_cancelling", voucher, reason)
    told = await at_once(
        story, ("voucher_cancel", cancelling, {**reason, "approval_id": approval}),
        ("voucher_claim_by_code", "/v1/vouchers/claim", {"code": code, "card_id": cards[0]}), once=False, by="li",
    )  # fmt: skip
    if not {one.code for one in told} <= {None, *NO_VOUCHER, "approval_not_approved"}:
        raise ViolationError(f"a claim and a cancelling at once were told {[one.body for one in told]}")
    is_cancelled = (await story.office.read(story.line, f"/v1/vouchers/{voucher}"))["status"] == "cancelled"
    if told[0].code is None and not is_cancelled:
        raise ViolationError(f"{voucher} was cancelled and is not")
    await story.is_now(voucher, "cancelled" if is_cancelled else "held")
    # what nobody has claimed
    approval = await story.approval("voucher_cancelling", batch, reason)
    ending = ("voucher_batch_cancel", f"/v1/voucher-batches/{batch}/cancel", {**reason, "approval_id": approval})
    told = await at_once(story, *[ending] * 2, by="li", once=False)
    one_at_most(told, "approval_not_approved")
    if done := [one.body["cancelled_count"] for one in told if one.code is None]:
        expect("how many became void", done, [2])
    await refuse_claim(story, third[1], cards[1], *NO_VOUCHER)
    await story.is_now(third[0], "cancelled")
    await story.bring_back(paid)
    await story.is_now(first[0], "held")
    for card in cards:
        await story.holds(card, LOADED_FEN)


async def refuse_claim(story: Member, code: str, card: str, refusal: str) -> None:
    body = {"code": code, "card_id": card}
    await story.refused("voucher_claim_by_code", "/v1/vouchers/claim", body, refusal, once=False)


async def claim_up_to_a_limit(story: Member) -> None:
    """Of claims at once as many pass as a holder may have; foreign codes come in once; nothing is given out of a
    template that has ended, and what is held stays good."""
    wanted = voucher_template(story, max_per_holder=2, transferable=True)
    template = (await story.made("template", "/v1/voucher-templates", wanted))["id"]
    await batch_of(story, template, 5, code_length=None)
    card, other = await story.club_card(), await story.club_card()
    address = f"/v1/voucher-templates/{template}"
    claiming = ("voucher_claim", f"{address}/claim", {"card_id": card})
    told = await at_once(story, *[claiming] * 4)
    only(told, 2, "voucher_limit_reached")
    held = [voucher["id"] for one in told if one.code is None for voucher in one.body["data"]]
    whole = {"card_id": other, "voucher_count": 4}
    await story.refused("voucher_claim", claiming[1], whole, "voucher_limit_reached")
    name = story.office.new_key("codes")
    codes = [f"{name}-{number}".upper() for number in (1, 2)]
    upload = f"/v1/voucher-batches/import?template_id={template}"
    twice = "code\n" + "\n".join([*codes, codes[0]])
    how: dict[str, Any] = {"once": False}
    known = ("already_exists", "voucher_file_has_bad_lines")
    await story.refused("voucher_import", f"{upload}&name={name}", {}, "voucher_file_has_bad_lines", file=twice, **how)
    file = "code\n" + "\n".join(codes)
    await story.tell("voucher_import", f"{upload}&name={name}", file=file, unsure=known, **how)
    again = f"{upload}&name={name}-again"
    await story.refused("voucher_import", again, {}, "voucher_file_has_bad_lines", file=file, **how)
    claimed = await story.tell(
        "voucher_claim_by_code", "/v1/vouchers/claim", {"code": codes[0], "card_id": other}, unsure=NO_VOUCHER, **how
    )
    if claimed.code is not None:
        raise LostError("the id of a voucher, perhaps")
    await story.tell("template_end", f"{address}/end", unsure=("voucher_template_ended",), **how)
    await story.refused("voucher_claim", claiming[1], {"card_id": other}, "voucher_template_ended")
    await refuse_claim(story, codes[1], other, "voucher_template_ended")
    assign = f"/v1/voucher-batches/assign?template_id={template}&name={name}-assigned"
    given = f"card,count\n{other},1\n"
    await story.refused("assign_vouchers", assign, {}, "voucher_template_ended", file=given, **how)
    for voucher, holder in ((held[0], card), (claimed.body["id"], other)):
        await story.buy(story.basket(holder, 6_000, "salt", vouchers=[voucher]), off_fen=VOUCHER_FEN)
        await story.is_now(voucher, "redeemed")
        await story.holds(holder, LOADED_FEN - 6_000 + VOUCHER_FEN)
    await story.is_now(held[1], "held")
