"""Stories of those who run the business: shops, limits, operators, what takes two, rules, programmes' terms."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kaquan.doors.simulate.office import POINTS, ViolationError
from kaquan.doors.simulate.stories import LostError, Story

LEARNED_S = 60.0
"""Within this time every server knows what was changed of its operators and rules, whatever was killed meanwhile; for
payments a change holds from its answer on."""

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
"""One of them is always far from midnight."""

NEAR, FAR = (31_240_000, 121_490_000), (39_904_000, 116_407_000)
"""The Bund in Shanghai and a square in Beijing, in millionths of a degree."""

LEGAL_CODE = "91350100M000100Y43"
LEAST_FEN, HOUSE_FEN = 80_000, 90_000


async def switch(story: Story, what: str, path: str, body: Mapping[str, Any] | None = None, **how: Any) -> Any:
    """Change something that is changed back later: it must not arrive once more after that."""
    async with story.soundly():
        return await story.make(what, path, body, once=False, sure=True, **how)


async def in_trail(story: Story, subject: str, *kinds: str) -> None:
    """What was done to something is in the audit trail, once each, and nothing else is."""
    told = (await story.office.read(story.line, f"/v1/audit-trail?subject={subject}"))["data"]
    story.office.report.checks["audit_trail"] += 1
    if sorted(action["kind"] for action in told) != sorted(kinds):
        raise ViolationError(f"to {subject} was done {kinds}, and the trail has {told}")


async def only_row(story: Story, path: str) -> dict[str, Any]:
    """The one thing that a list has."""
    rows = (await story.office.read(story.line, path))["data"]
    if len(rows) != 1:
        raise ViolationError(f"{path} has {len(rows)} instead of one: {rows}")
    return dict(rows[0])


async def stall(story: Story, merchant: str, at: tuple[int, int]) -> tuple[str, str]:
    """A store at a place with a terminal: the ids of both."""
    code = story.office.new_key("store")
    store = await story.made("store", "/v1/stores", {"merchant_id": merchant, "code": code, "name": code})
    terminal = await story.made("terminal", "/v1/terminals", {"store_id": store["id"], "code": code})
    change = {"latitude_udeg": at[0], "longitude_udeg": at[1], "district": "黄浦"}
    await story.make("store_change", f"/v1/stores/{store['id']}", change, method="PATCH", once=False)
    await story.stays(f"/v1/stores/{store['id']}", code=code, **change)
    return store["id"], terminal["id"]


async def programme_of(story: Story, issuer: str, **terms: Any) -> str:
    """A programme of the story's own: what it does there disturbs nobody."""
    code = story.office.new_key("programme")
    body = {
        "issuer_id": issuer, "code": code, "name": code, "currency": "CNY", "number_prefix": "888806",
        **terms,
    }  # fmt: skip
    return str((await story.made("programme", "/v1/programmes", body))["id"])


async def open_a_shop(story: Story) -> None:
    """A card is taken at a shop while its programme says so, at terminals that are not blocked."""
    office, code = story.office, story.office.new_key("shop")
    merchant = (await story.made("merchant", "/v1/merchants", {"code": code, "name": code}))["id"]
    store, terminal = await stall(story, merchant, NEAR)
    card = await story.card(5_000)
    bought, acceptance = {"card_id": card, "terminal_id": terminal}, f"/v1/programmes/{office.town.direct}/acceptance"

    async def buy() -> None:
        amount_fen = story.chance.randint(1, 900)
        await story.make("purchase", "/v1/purchases", {**bought, "amount_fen": amount_fen})
        story.held[card] -= amount_fen

    async def cannot(refusal: str) -> None:
        await story.refused("purchase", "/v1/purchases", {**bought, "amount_fen": 1}, refusal)

    await cannot("not_accepted_here")
    await switch(story, "acceptance", acceptance, {"add": [{"merchant_id": merchant}]})
    await buy()
    await switch(story, "terminal_block", f"/v1/terminals/{terminal}/block")
    await cannot("terminal_blocked")
    await switch(story, "terminal_unblock", f"/v1/terminals/{terminal}/unblock")
    await buy()
    named = {"name": f"{code} 新店", "brand": "红"}
    await story.make("merchant_change", f"/v1/merchants/{merchant}", named, method="PATCH", once=False)
    await story.stays(f"/v1/merchants/{merchant}", **named)
    await switch(story, "acceptance", acceptance, {"remove": [{"merchant_id": merchant}]})
    await cannot("not_accepted_here")
    await in_trail(story, merchant, "merchant.created", "merchant.changed")
    await in_trail(story, store, "store.created", "store.changed")
    await in_trail(story, terminal, "terminal.created", "terminal.blocked", "terminal.unblocked")
    await story.holds(card, story.held[card])


async def set_limits(story: Story) -> None:
    """A limit and a place rule that two agreed on hold from the answer on; what was used stays counted in its place."""
    code = story.office.new_key("shop")
    merchant = (await story.made("merchant", "/v1/merchants", {"code": code, "name": code}))["id"]
    (_, near), (_, far) = await stall(story, merchant, NEAR), await stall(story, merchant, FAR)
    programme = await programme_of(story, story.office.town.issuer)
    accepted = {"add": [{"merchant_id": merchant}]}
    await story.make("acceptance", f"/v1/programmes/{programme}/acceptance", accepted, once=False)
    card = await story.card(20_000, programme=programme)

    def spend(amount_fen: int, terminal: str = near) -> dict[str, Any]:
        return {"card_id": card, "amount_fen": amount_fen, "terminal_id": terminal}

    async def buy(*bought: Any) -> None:
        await story.make("purchase", "/v1/purchases", spend(*bought))
        story.held[card] -= bought[0]

    terms = {
        "programme_id": programme, "name": "a year", "movement": "spend", "scope": "card", "metric": "amount",
        "period": "year", "maximum": 1_000,
    }  # fmt: skip
    await story.refused("limit", "/v1/limits", terms, "approval_required", once=False, by="li")
    await buy(600)
    approved = {**terms, "approval_id": await story.approval("limit_change", programme, terms)}
    used = ("approval_not_approved",)
    await story.tell("limit", "/v1/limits", approved, once=False, by="li", unsure=used)
    rows = f"?programme_id={programme}&status=in_force"
    first = (await only_row(story, f"/v1/limits{rows}"))["id"]
    await story.refused("purchase", "/v1/purchases", spend(1_001), "limit_exceeded")
    await buy(700)
    await story.refused("purchase", "/v1/purchases", spend(301), "limit_exceeded")
    await story.tell(
        "limit_replace", f"/v1/limits/{first}/replace", {**terms, "maximum": 900}, once=False, unsure=("limit_ended",)
    )
    second = await only_row(story, f"/v1/limits{rows}")
    if (second["replaces_id"], second["maximum"]) != (first, 900):
        raise ViolationError(f"{first} was replaced by {second}")
    await story.refused("purchase", "/v1/purchases", spend(201), "limit_exceeded")
    await buy(200)
    standing = await only_row(story, f"/v1/cards/{card}/limits")
    if (standing["used"], standing["left"]) != (900, 0):
        raise ViolationError(f"of {second['id']} 900 are used: {standing}")
    await story.make("limit_end", f"/v1/limits/{second['id']}/end", once=False)
    await story.stays(f"/v1/limits/{first}", maximum=1_000, replaces_id=None)
    await in_trail(story, first, "limit.created")
    await in_trail(story, programme, "programme.created", "acceptance.changed")
    await in_trail(story, second["id"], "limit.replaced", "limit.ended")
    await buy(2_000)

    circle = {
        "programme_id": programme, "name": "the city", "kind": "within", "latitude_udeg": NEAR[0],
        "longitude_udeg": NEAR[1], "radius_m": 5_000,
    }  # fmt: skip
    await buy(100, far)
    approved = {**circle, "approval_id": await story.approval("limit_change", programme, circle)}
    await story.tell("place_rule", "/v1/place-rules", approved, once=False, by="li", unsure=used)
    rule = (await only_row(story, f"/v1/place-rules{rows}"))["id"]
    await story.refused("purchase", "/v1/purchases", spend(1, far), "outside_area")
    await buy(100)
    await story.make("place_rule_end", f"/v1/place-rules/{rule}/end", once=False)
    await in_trail(story, rule, "place_rule.created", "place_rule.ended")
    await buy(100, far)
    await story.holds(card, story.held[card])


async def allow_nothing(story: Story) -> None:
    """What was rejected or withdrawn allows nothing, and is not decided again; nobody decides on their own."""
    card = await story.card(3_000)
    wanted = {
        "card_id": card, "pocket": "principal", "direction": "credit", "amount_fen": 500, "reason": "load_error",
        "note": "ticket 18",
    }  # fmt: skip
    proposal = {"kind": "adjustment", "subject": card, "payload": wanted, "reason": "checked"}
    for status, by, verb in story.chance.sample([("rejected", "wang", "reject"), ("withdrawn", "li", "withdraw")], 2):
        proposed = (await story.make("approval", "/v1/approvals", proposal, once=False, by="li"))["id"]
        address = f"/v1/approvals/{proposed}"
        body = {**wanted, "approval_id": proposed}
        await story.refused("adjustment", "/v1/adjustments", wanted, "approval_required", by="li")
        await story.refused("adjustment", "/v1/adjustments", body, "approval_not_approved", by="li")
        await story.refused("approve", f"{address}/approve", {}, "four_eyes", once=False, by="li")
        await story.refused("withdraw", f"{address}/withdraw", {}, "not_your_proposal", once=False, by="wang")
        decided = {"reason": "not so"}
        await story.tell(verb, f"{address}/{verb}", decided, once=False, by=by, unsure=("approval_not_open",))
        await story.refused("adjustment", "/v1/adjustments", body, "approval_not_approved", by="li")
        await story.refused("approve", f"{address}/approve", {}, "approval_not_open", once=False, by="wang")
        await story.stays(address, status=status, executed_at=None)
        await in_trail(story, proposed, "approval.proposed", f"approval.{status}")
    await story.holds(card, 3_000)


async def suspend_an_operator(story: Story) -> None:
    """The keys of an operator who is suspended are not taken within a moment, and are again when they are let back."""
    office = story.office
    if not office.clerks:
        raise LostError("every clerk may be suspended yet")
    name, clerk = office.clerks.pop()
    reading: Mapping[str, Any] = {"method": "GET", "once": False, "by": name}

    async def until_taken(*, taken: bool) -> None:
        give_up = time.monotonic() + LEARNED_S
        while time.monotonic() < give_up or office.is_paused():
            told = await story.tell("operator_reads", f"/v1/operators/{clerk}", may=("unauthenticated",), **reading)
            if (told.code is None) == taken:
                return
            await asyncio.sleep(0.2)
        raise ViolationError(f"{name} was {'not ' if taken else ''}taken {LEARNED_S:.0f} s after the answer")

    await until_taken(taken=True)
    address = f"/v1/operators/{clerk}"
    await switch(story, "operator_suspend", address, {"status": "suspended"}, method="PATCH")
    await until_taken(taken=False)
    await story.refused("operator_reads", f"/v1/operators/{clerk}", {}, "unauthenticated", **reading)
    await switch(story, "operator_let_back", address, {"status": "active"}, method="PATCH")
    await until_taken(taken=True)
    office.clerks.append((name, clerk))  # one whose suspension may still come is not asked again

    code = office.new_key("operator")
    new = await story.made("operator", "/v1/operators", {"code": code, "name": "陈", "roles": ["cashier"]})
    left = {"roles": ["store_manager"], "status": "suspended"}
    await story.make("operator_change", f"/v1/operators/{new['id']}", left, method="PATCH", once=False)
    await story.stays(f"/v1/operators/{new['id']}", code=code, **left)
    await in_trail(story, new["id"], "operator.created", "operator.changed")


async def make_a_rule(story: Story) -> None:
    """A house rule that one proposed and another approved binds what is made from then on; a rejected one nobody."""
    office, code = story.office, story.office.new_key("house")
    now = office.clock.now()
    zone = min(ZONES, key=lambda name: abs(now.astimezone(ZoneInfo(name)).hour - 12))
    issuer = (await story.made("issuer", "/v1/issuers", {"code": code, "name": code, "time_zone": zone}))["id"]
    firm = {"issuer_class": "group", "legal_code": LEGAL_CODE, "province": "CN-SH"}
    await story.make("issuer_change", f"/v1/issuers/{issuer}", firm, method="PATCH", once=False)
    await in_trail(story, issuer, "issuer.created", "issuer.changed")

    asked = {"issuer_id": issuer, "jurisdiction": "CN-SH", "scheme": "single_purpose", "card_class": "registered"}

    async def broken(cap_fen: int) -> list[str]:
        told = await story.make("terms_check", "/v1/policy/terms/check", {**asked, "cap_fen": cap_fen}, once=False)
        return [one["rule"] for one in told["broken"]]

    def rule(cap_fen: int) -> dict[str, Any]:
        return {
            "id": "HOUSE-CAP", "jurisdiction": "CN", "metric": "card_balance_cap_fen", "value": cap_fen,
            "action": "reject", "effective_from": f"{now.astimezone(ZoneInfo(zone)):%Y-%m-%d}", "source": "手册",
            "title_zh": "上限", "title_en": "cap",
        }  # fmt: skip

    law = await broken(600_000)
    if not law or await broken(HOUSE_FEN + 1):
        raise ViolationError(f"600000 on a card breaks the law, {HOUSE_FEN + 1} does not: {law}")
    weak = {"issuer_id": issuer, "note": "weak", "add": [rule(600_000)]}
    await story.refused("rule_change", "/v1/policy/changes", weak, "house_rule_weaker_than_law", once=False)

    file = {"issuer_id": issuer, "format": "json", "content": msgspec.json.encode([rule(LEAST_FEN)]).decode()}
    checked = await story.make("rule_file_check", "/v1/policy/imports/check", file, once=False)
    if checked != {"rule_count": 1, "problems": []}:
        raise ViolationError(f"a file of one rule is told to be {checked}")
    bad = {**file, "content": "[]x", "note": "bad"}
    await story.refused("rule_import", "/v1/policy/imports", bad, "rule_file_invalid", once=False)
    stricter = await story.make("rule_import", "/v1/policy/imports", {**file, "note": "stricter"}, once=False)
    rejected, why = f"/v1/policy/changes/{stricter['id']}", {"reason": "looked at"}
    decided = ("change_already_decided",)
    await story.tell("rule_reject", f"{rejected}/reject", why, once=False, by="second", unsure=decided)
    await story.refused("rule_approve", f"{rejected}/approve", why, *decided, once=False, by="second")

    change = {"issuer_id": issuer, "note": "stricter", "add": [rule(HOUSE_FEN)]}
    proposed = await story.make("rule_change", "/v1/policy/changes", change, once=False)
    approved = f"/v1/policy/changes/{proposed['id']}"
    await story.refused("rule_approve", f"{approved}/approve", why, "second_person_required", once=False)
    closed = {"operating_mode": "closed_loop", "card_class": "registered"}
    loose = await programme_of(story, issuer, **closed, max_balance_fen=HOUSE_FEN + 1)
    await story.tell("rule_approve", f"{approved}/approve", why, once=False, by="second", unsure=decided)

    terms = {
        "issuer_id": issuer, "code": office.new_key("programme"), "name": "宽", "currency": "CNY",
        "number_prefix": "888806", "max_balance_fen": HOUSE_FEN + 1, **closed,
    }  # fmt: skip
    await story.refused("programme", "/v1/programmes", terms, "terms_break_rule", once=False)
    strict = await programme_of(story, issuer, **closed, max_balance_fen=HOUSE_FEN)
    await story.stays(f"/v1/programmes/{loose}", max_balance_fen=HOUSE_FEN + 1)  # what was so before stays so
    await story.stays(f"/v1/programmes/{strict}", max_balance_fen=HOUSE_FEN)
    give_up = time.monotonic() + LEARNED_S
    while await broken(HOUSE_FEN + 1) != ["HOUSE-CAP"]:
        if time.monotonic() > give_up and not office.is_paused():
            raise ViolationError(f"{approved} is not known after {LEARNED_S:.0f} s")
        await asyncio.sleep(0.5)
    await story.stays(rejected, status="rejected", version=None)
    await story.stays(approved, status="approved", version=1)
    await story.stays(f"/v1/policy/rule-sets?issuer_id={issuer}", version=1)


async def change_terms(story: Story) -> None:
    """New terms of a programme that two agreed on are those of cards that are issued from then on, and no others."""
    programme = await programme_of(story, story.office.town.issuer, max_balance_fen=50_000)
    address, changed = f"/v1/programmes/{programme}", {"max_balance_fen": 20_000}
    old = await story.card(1_000, programme=programme)
    approval = await story.approval("programme_change", programme, changed)
    other = {"max_balance_fen": 30_000, "approval_id": approval}
    not_that = "approval_for_something_else"
    await story.refused("terms_change", address, other, not_that, method="PATCH", once=False, by="li")
    body = {**changed, "approval_id": approval}
    await story.make("terms_change", address, body, method="PATCH", once=False, by="li")
    new = await story.card(1_000, programme=programme)
    await story.refused("load", "/v1/loads", {"card_id": new, "amount_fen": 19_001}, "balance_cap_exceeded")
    for card in (new, old):
        await story.load(card, 19_000)
    await story.load(old, 30_000)
    await story.holds(old, 50_000)
    await story.holds(new, 20_000)
    await story.stays(address, version=2, **changed)
    await story.stays(f"/v1/cards/{old}", terms_version=1)
    await story.stays(f"/v1/cards/{new}", terms_version=2)

    closing = {"remind_days": [7, 30], "dormant_months": 12}
    place = f"{address}/closing-terms"
    needed = "approval_required"
    await story.refused("closing_terms", place, closing, needed, method="PUT", once=False, by="li")
    approval = await story.approval("closing_terms", programme, closing)
    agreed = {**closing, "approval_id": approval}
    used = ("approval_not_approved",)
    await story.tell("closing_terms", place, agreed, method="PUT", once=False, by="li", unsure=used)
    await story.stays(place, remind_days=[30, 7], dormant_months=12, refund_values=[])
    await in_trail(story, programme, "programme.created", "programme.changed", "closing_terms.changed")

    later = {**POINTS, "effective_from": f"{story.office.clock.now() + timedelta(days=300):%Y-%m-%dT00:00:00Z}"}
    terms = f"/v1/points/programmes/{programme}/terms"
    await story.make("points_terms", terms, later, once=False)
    versions = (await story.office.read(story.line, terms))["data"]
    if {one["effective_from"] for one in versions} != {later["effective_from"]}:
        raise ViolationError(f"{programme} has points from {later['effective_from']} on: {versions}")
    await story.refused("points_of_card", f"/v1/points/cards/{new}", {}, "points_not_offered", once=False, method="GET")


async def bind_all_campaigns(story: Story) -> None:
    """The stacking policy is as two agreed that it is; of two changes the later one holds. What is set binds nobody."""
    office = story.office
    async with office.policy_alone:
        for _ in range(2):
            most_fen = 10**9 + story.chance.randrange(10**6)
            wanted = {"max_discount_bp": 10_000, "max_discount_fen": most_fen}
            every = f"camp_{0:032x}"
            approval = await story.approval("campaign", every, wanted)
            body = {**wanted, "approval_id": approval}
            used = ("approval_not_approved",)
            await story.tell(
                "stacking_policy", "/v1/stacking-policy", body, method="PUT", once=False, by="li", unsure=used
            )
            is_so = await office.read(story.line, "/v1/stacking-policy")
            if is_so["max_discount_fen"] != most_fen:
                raise ViolationError(f"the stacking policy is {is_so} after {wanted}")
            await story.stays(f"/v1/approvals/{approval}", status="executed")
