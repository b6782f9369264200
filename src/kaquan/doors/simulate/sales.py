"""Stories of the counter: buyers on lists, registers of who bought, sales that two people take back."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from kaquan.doors.simulate.endings import ZONE
from kaquan.doors.simulate.lives import expect, known_person
from kaquan.doors.simulate.offers import Member
from kaquan.doors.simulate.stories import LostError, at_once, one_at_most, only

FACE_FEN, PRICE_FEN = 20_000, 19_900
DEAR_FEN, DEAR_COUNT = 50_000, 20
"""Together ten thousand yuan: from there on a buyer's document must have been checked, and nobody checks any here."""

BANK: dict[str, Any] = {
    "method": "bank_transfer",
    "payer": {"account_name": "王敏", "account_number": "6222020200012345678", "bank_name": "某银行"},
    "payee": {"account_name": "发卡方", "account_number": "1234567890123", "bank_name": "另一银行"},
}


def cards_of(programme: str, count: int = 1, *, face_fen: int = FACE_FEN, price_fen: int = PRICE_FEN) -> dict[str, Any]:
    """What a sale of so many cards asks for."""
    line = {"programme_id": programme, "face_fen": face_fen, "price_fen": price_fen, "card_count": count}
    return {"contract_version": "2026-01", "lines": [line]}


async def order(story: Member, wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An open sale."""
    return await story.make("sale", "/v1/sales", {**wanted, **more})


async def delivered(story: Member, programme: str, count: int) -> tuple[str, list[str]]:
    """A sale that was paid and delivered, and its cards."""
    address = f"/v1/sales/{(await order(story, cards_of(programme, count)))['id']}"
    await story.make("sale_payment", f"{address}/payments", {"method": "debit_card", "amount_fen": PRICE_FEN * count})
    await story.make("sale_deliver", f"{address}/deliver", {})
    await story.until(address, lambda found: bool(found["status"] == "delivered"))
    return address, [one["card_id"] for one in (await story.office.read(story.line, f"{address}/cards"))["data"]]


async def take_a_sale_back_by_two(story: Member) -> None:
    """From the price on that a house rule names, one person alone cannot take a sale back; two do, once."""
    office = story.office
    issuer = await story.made(
        "issuer", "/v1/issuers", {"code": office.new_key("issuer"), "name": "发卡方", "time_zone": ZONE}
    )
    sold = await story.made("programme", "/v1/programmes", {
        "issuer_id": issuer["id"], "code": office.new_key("own"), "name": "售卡", "number_prefix": "888807",
        "currency": "CNY", "activation": "paid_sale", "denominations_fen": [FACE_FEN],
    })  # fmt: skip
    rule = {
        "id": "HOUSE-BACK", "jurisdiction": "CN", "metric": "sale_refund_approval_from_fen", "value": 2 * PRICE_FEN,
        "action": "hold", "effective_from": f"{office.clock.now().astimezone(ZoneInfo(ZONE)).date()}",
        "source": "内控手册", "title_zh": "退售审批", "title_en": "refunds",
    }  # fmt: skip
    change = {"issuer_id": issuer["id"], "note": "n", "add": [rule]}
    proposed = await story.tell("policy_change", "/v1/policy/changes", change, once=False, may=("rule_in_the_past",))
    if proposed.code is not None:
        raise LostError("a day that is over on one clock and not on another")
    await story.tell(
        "policy_approve", f"/v1/policy/changes/{proposed.body['id']}/approve", {"reason": "同意"}, once=False,
        by="second", unsure=("change_already_decided",),
    )  # fmt: skip
    small, (card,) = await delivered(story, sold["id"], 1)
    alone = await story.make("sale_refund", f"{small}/refund", {"reason": "退货"}, by="li")
    expect("a small sale", alone["status"], "refunded")
    await story.holds(card, 0)
    large, cards = await delivered(story, sold["id"], 2)
    reason = {"reason": "退货"}
    await story.refused("sale_refund", f"{large}/refund", reason, "approval_required", by="li")
    approval = await story.approval("sale_refund", large.rsplit("/")[-1], reason)
    other = {"reason": "别的", "approval_id": approval}
    await story.refused("sale_refund", f"{large}/refund", other, "approval_for_something_else", by="li")
    for card in cards:
        await story.holds(card, FACE_FEN)
    taking = ("sale_refund", f"{large}/refund", {**reason, "approval_id": approval})
    only(await at_once(story, *[taking] * 3, by="li"), 1, "sale_status_forbids", "approval_not_approved")
    await story.stays(large, status="refunded", end_reason="退货")
    for card in cards:
        await story.holds(card, 0)
        await story.cannot_pay(card, "card_closed")


async def hold_a_sale_for_a_look(story: Member) -> None:
    """A buyer on a list is refused, or looked at by two first, until the list is ended by two; the register shows who
    bought and from which account, with a trace."""
    office = story.office
    refuses = story.chance.random() < 0.5
    person, told = await known_person(story)
    name = office.new_key("list")
    today = f"{office.clock.now().date()}"
    upload = f"/v1/buyer-lists?name={name}&source=notice-1&listed_on={today}&action={'refuse' if refuses else 'review'}"
    number = told["document"]["number"]
    bad = await story.tell("buyer_list", upload, file=f"name,document\n{told['name']},1\n", once=False, by="li")
    expect("a list with a bad line", (bad.body["buyer_list"], bad.body["bad_line_count"]), (None, 1))
    file = f"name,document\n名单上的人,{number}\n"
    kept = (await story.make("buyer_list", upload, file=file, once=False, by="li"))["buyer_list"]
    list_ = f"/v1/buyer-lists/{kept['id']}"
    wanted = cards_of(office.town.sold)
    before = await order(story, wanted, customer_id=person)
    expect("a sale before the list is in force", before["review"], None)
    await change_list(story, list_, "apply", "active")
    if refuses:
        await story.refused("sale", "/v1/sales", {**wanted, "customer_id": person}, "buyer_listed")
    else:
        dear = cards_of(office.town.sold, DEAR_COUNT, face_fen=DEAR_FEN, price_fen=DEAR_FEN)
        await story.refused("sale", "/v1/sales", {**dear, "customer_id": person}, "real_name_required")
        await look_at(story, await order(story, wanted, customer_id=person))
    await change_list(story, list_, "end", "ended")
    after = await order(story, wanted, customer_id=person)
    expect("a sale after the list", (after["review"], after["status"]), (None, "open"))
    for sale in (before, after):
        await cancel_or_pay(story, f"/v1/sales/{sale['id']}")


async def cancel_or_pay(story: Member, address: str) -> None:
    """Of giving a sale up and paying it at once one is done: it is delivered, or no money was taken."""
    cash = {"method": "cash", "amount_fen": PRICE_FEN}
    told = await at_once(
        story, ("sale_cancel", f"{address}/cancel", {"reason": "no money came"}),
        ("sale_payment", f"{address}/payments", cash),
    )  # fmt: skip
    only(told, 1, "sale_status_forbids")
    if told[0].code is None:
        await story.stays(address, status="cancelled", paid_fen=0)
        return
    await story.until(address, lambda found: bool(found["status"] == "delivered"))
    await story.stays(address, status="delivered", paid_fen=PRICE_FEN)


async def change_list(story: Member, list_: str, verb: str, status: str) -> None:
    """Apply or end a list, as two decided: at once, and once."""
    await story.refused(f"list_{verb}", f"{list_}/{verb}", {}, "approval_required", once=False, by="li")
    approval = await story.approval("buyer_list", list_.rsplit("/")[-1], {"do": verb})
    changing = (f"list_{verb}", f"{list_}/{verb}", {"approval_id": approval})
    told = await at_once(story, *[changing] * 2, by="li", once=False)
    one_at_most(told, "buyer_list_status_forbids", "approval_not_approved")
    await story.stays(list_, status=status)


async def look_at(story: Member, sale: dict[str, Any]) -> None:
    """A sale waits until two have looked; then it is paid in parts and delivered, and the register has from where."""
    expect("a sale to somebody on a list", sale["review"], "pending")
    address, reason = f"/v1/sales/{sale['id']}", {"reason": "重名"}
    paying = {**BANK, "amount_fen": 10_000}
    await story.refused("sale_payment", f"{address}/payments", paying, "sale_in_review")
    await story.refused("sale_clear", f"{address}/clear", reason, "approval_required", once=False, by="li")
    approval = await story.approval("sale_review", sale["id"], reason)
    clearing = ("sale_clear", f"{address}/clear", {**reason, "approval_id": approval})
    told = await at_once(story, *[clearing] * 2, by="li", once=False)
    one_at_most(told, "sale_not_in_review", "approval_not_approved")
    rest, more = ({**BANK, "amount_fen": PRICE_FEN - fen} for fen in (10_000, 9_999))
    await story.make("sale_payment", f"{address}/payments", paying)
    await story.refused("sale_payment", f"{address}/payments", more, "payment_exceeds_sale")
    only(await at_once(story, *[("sale_payment", f"{address}/payments", rest)] * 2), 1, "sale_status_forbids",
         "payment_exceeds_sale")  # fmt: skip
    await story.until(address, lambda found: bool(found["status"] == "delivered"))
    (item,) = (await story.office.read(story.line, f"{address}/cards"))["data"]
    await story.holds(item["card_id"], FACE_FEN)
    shown = await story.make("purchaser", f"{address}/purchaser", {"reason": "核查"}, once=False)
    expect("whom the register asked for", shown["buyer"], None)
    expect("from where it was paid", [one["payer"] for one in shown["accounts"]], [BANK["payer"]] * 2)
    await story.stays(address, status="delivered", review="cleared", paid_fen=PRICE_FEN)
    await top_up(story, item["card_id"])


async def top_up(story: Member, card: str) -> None:
    """A card is loaded against a payment, which is in the register too; of two that exceed the cap one passes."""
    wanted = {
        "card_id": card, "face_fen": 50_000, "contract_version": "2026-01", "payment": {**BANK, "amount_fen": 49_000},
    }  # fmt: skip
    told = await at_once(story, *[("top_up", "/v1/top-ups", wanted)] * 2)
    only(told, 1, "card_cap_exceeded", "top_up_not_loaded")
    (done,) = (one.body for one in told if one.code is None)
    shown = await story.make("purchaser", f"/v1/top-ups/{done['id']}/purchaser", {"reason": "核查"}, once=False)
    expect("who topped up", (shown["buyer"], [one["payer"] for one in shown["accounts"]]), (None, [BANK["payer"]]))
    await story.holds(card, FACE_FEN + 50_000)
    await story.stays(f"/v1/top-ups/{done['id']}", status="delivered", paid_fen=49_000)
    begun = datetime.fromisoformat(done["created_at"])
    expect("when a top-up was delivered", begun <= datetime.fromisoformat(done["delivered_at"]), True)
