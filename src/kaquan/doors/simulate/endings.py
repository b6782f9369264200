"""Stories of endings: of a programme, of payouts that do not arrive, of what lies where nobody can use it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kaquan.doors.simulate.ground import JUMP_S
from kaquan.doors.simulate.lives import expect
from kaquan.doors.simulate.offers import Member
from kaquan.doors.simulate.office import ViolationError
from kaquan.doors.simulate.running import programme_of
from kaquan.doors.simulate.stories import PAYEE, at_once, only

ZONE = "Asia/Shanghai"
NOTICE_DAYS = 30
"""So long before the last day the law wants it to be made public; one day more, since clocks differ about midnight."""


CLOCKS_APART_S = 2 * JUMP_S - 60 + 1
"""A stop is a minute ahead on the clock of the server that announces it, and clocks may be further apart here. After so
long what was done before an announcement is dated before its stop by all of them."""


async def own_programme(story: Member, **terms: Any) -> str:
    """A programme of this story alone, whose cards are taken by all shops."""
    town = story.office.town
    programme = await programme_of(story, town.issuer, **terms)
    accepted = (await story.office.read(story.line, f"/v1/programmes/{town.direct}/acceptance"))["data"]
    merchants = [{"merchant_id": one["merchant_id"]} for one in accepted]
    await story.make("acceptance", f"/v1/programmes/{programme}/acceptance", {"add": merchants}, once=False)
    return programme


async def announced(story: Member, programme: str, **terms: str) -> dict[str, Any]:
    """The end of a programme, decided by two: of those who ask at once with one approval, all end it once."""
    today = story.office.clock.now().astimezone(ZoneInfo(ZONE)).date()
    asked = {
        "programme_id": programme, "last_day": f"{today + timedelta(days=NOTICE_DAYS - 2)}", "reason": "停业",
        "announcement": "本卡种将终止。", **terms,
    }  # fmt: skip
    await story.refused("programme_end", "/v1/programme-ends", asked, "notice_too_short", once=False)
    asked |= {"last_day": f"{today + timedelta(days=NOTICE_DAYS + 1)}"}
    await story.refused("programme_end", "/v1/programme-ends", asked, "approval_required", once=False, by="li")
    approval = await story.approval("programme_end", programme, asked)
    ending = ("programme_end", "/v1/programme-ends", {**asked, "approval_id": approval})
    told = await at_once(story, *[ending] * 2, by="li", once=False)
    only(told, 2)
    expect("what ended the programme", told[1].body["id"], told[0].body["id"])
    end = told[0].body
    expect("the notice", (end["status"], end["notice_days"]), ("announced", NOTICE_DAYS))
    other = {**asked, "reason": "搬迁"}
    await story.refused("programme_end", "/v1/programme-ends", other, "programme_ends_already", once=False)
    await story.stays(f"/v1/programme-ends/{end['id']}", last_day=asked["last_day"], stops_at=end["stops_at"])
    return end


async def withdraw_an_end(story: Member) -> None:
    """An end is announced by two, made public, and withdrawn by two: everything goes on as if it had not been."""
    programme = await own_programme(story)
    card = await story.card(2_000, programme=programme)
    end = await announced(story, programme, stops_at=f"{story.office.clock.now() + timedelta(days=1):%Y-%m-%dT%XZ}")
    address, today = f"/v1/programme-ends/{end['id']}", end["announced_at"][:10]
    paper = {"medium": "解放日报", "reference": "A4", "published_on": today}
    for _ in range(2):
        noted = await story.make("publication", f"{address}/publications", paper, once=False)
        expect("where it was made public", [(one["medium"], one["in_time"]) for one in noted["data"]],
               [("解放日报", True)])  # fmt: skip
    shown = (await story.office.read(story.line, f"/v1/programmes/{programme}"))["ending"]
    expect("what a programme says of its end", shown["id"], end["id"])
    await story.pay(card, 300)
    await story.load(card, 100)
    reason = {"reason": "不停了"}
    await story.refused("withdrawal", f"{address}/withdraw", reason, "approval_required", once=False, by="li")
    approval = await story.approval("programme_end", end["id"], reason)
    asked = ("withdrawal", f"{address}/withdraw", {**reason, "approval_id": approval})
    only(await at_once(story, *[asked] * 2, by="li", once=False), 2)
    await story.stays(address, status="withdrawn", publications=noted["data"], withdrawal_reason="不停了")
    await story.refused("withdrawal", f"{address}/withdraw", {"reason": "x"}, "end_not_withdrawable", once=False)
    await story.refused("payees", f"{address}/payees", payees(card), "end_withdrawn", once=False)
    await story.stays(f"/v1/programmes/{programme}", ending=None, status="active")
    await story.load(card, 100)
    await story.pay(card, 400)
    await story.holds(card, 1_500)


def payees(*cards: str) -> dict[str, Any]:
    """In whose name the accounts are to which cards are refunded."""
    account = {name: value for name, value in PAYEE.items() if name != "method"}
    return {"payees": [{"card_id": card, **account} for card in cards]}


async def stop_a_programme(story: Member) -> None:
    """An end stops what is new by the clock; what there is, is spent and refunded, and what is paid out was on the
    cards. The last day is out of reach of a run: the law wants thirty days before it."""
    programme = await own_programme(story)
    new = {"programme_id": programme, "form": "digital"}
    idle = str((await story.make("issue", "/v1/cards", new, once=False))["id"])
    cards = [await story.card(story.chance.randint(1_000, 5_000), programme=programme) for _ in range(3)]
    paid = await story.pay(cards[0], 800)
    await asyncio.sleep(CLOCKS_APART_S)
    end = await announced(story, programme)
    address = f"/v1/programme-ends/{end['id']}"
    nobody = {"payees": [*payees(*cards)["payees"], {**payees(idle)["payees"][0], "account_name": "李雷"}]}
    told = await story.tell(
        "payees", f"{address}/payees", nobody, once=False, may=("payee_not_holder", "invalid_field")
    )
    if told.code is None:
        raise ViolationError(f"a card was given to somebody else's account: {nobody}")
    for _ in range(2):
        given = await story.make("payees", f"{address}/payees", payees(*cards), once=False)
        expect("how many payees are known", given, {"given": 3})
    owed_fen = sum(story.held[card] for card in cards)
    owed = await story.office.read(story.line, f"{address}/liability")
    expect("what is owed", (owed["open_cards"], owed["paid_fen"], owed["payees_known"]), (3, owed_fen, 3))
    stops_at = datetime.fromisoformat(end["stops_at"])
    every_clock_is_past = stops_at + timedelta(seconds=JUMP_S + 1)
    await asyncio.sleep(max(0.0, (every_clock_is_past - story.office.clock.now()).total_seconds()))
    expect(f"how far {address} is", (await story.office.read(story.line, address))["status"], "stopped")
    await story.refused("load", "/v1/loads", {"card_id": cards[0], "amount_fen": 1}, "programme_stopped")
    await story.refused("issue", "/v1/cards", new, "programme_stopped", once=False)
    await story.refused("activate", f"/v1/cards/{idle}/activate", {}, "programme_stopped", once=False)
    batch = {**new, "name": story.office.new_key("batch"), "card_count": 1}
    await story.refused("batch", "/v1/batches", batch, "programme_stopped", once=False)
    await story.refused("withdrawal", f"{address}/withdraw", {"reason": "x"}, "end_not_withdrawable", once=False)
    await story.pay(cards[1], 400)
    await story.make("refund", "/v1/refunds", {"payment_id": paid, "amount_fen": 300})
    story.held[cards[0]] += 300
    owed_fen += 300 - 400
    for card in cards:
        await story.holds(card, story.held[card])
    for card in cards:
        payout = await story.close(card, cause="programme_end")
        assert payout is not None, "each of them held something"
        await story.pay_out(payout)
        await story.stays(payout, status="paid")
    left = await story.office.read(story.line, f"{address}/liability")
    expect("what was refunded", (left["open_cards"], left["paid_fen"], left["closed_cards"]), (0, 0, 3))
    expect("what was paid out", (left["refunded_fen"], left["paid_out_fen"]), (owed_fen, owed_fen))
    await story.stays(f"{address}/liability", refunded_fen=owed_fen, paid_out_fen=owed_fen, open_cards=0)


async def set_closing_terms(story: Member) -> None:
    """What a programme says of its end is set by two, once; its refunds are by those terms then."""
    programme = await own_programme(story)
    address = f"/v1/programmes/{programme}/closing-terms"
    terms = {
        "remind_days": [30, 7], "dormant_months": 12,
        "refund_values": [{"name": "cash_limit_fen", "value": 900, "rule_id": "HOUSE-CASH", "source": "内控手册"}],
    }  # fmt: skip
    put: dict[str, Any] = {"once": False, "by": "li", "method": "PUT"}
    await story.refused("closing_terms", address, terms, "approval_required", **put)
    approval = await story.approval("closing_terms", programme, terms)
    set_ = await story.tell(
        "closing_terms", address, {**terms, "approval_id": approval}, unsure=("approval_not_approved",), **put
    )
    if set_.code is None:
        expect("the closing terms", set_.body, terms)
    shorter = {**terms, "remind_days": [7], "approval_id": approval}
    await story.refused("closing_terms", address, shorter, "approval_not_approved", **put)
    await story.stays(address, **terms)
    card = await story.card(1_000, programme=programme)
    quoted = await story.make("refund_quote", f"/v1/cards/{card}/refund-quote", {"cause": "holder"}, once=False)
    cash = {
        "cause": "holder", "quote_hash": quoted["quote_hash"], "payee": {"method": "cash", "holder_name": "王敏"},
    }  # fmt: skip
    told = await story.tell("close", f"/v1/cards/{card}/close", cash, may=("cash_not_allowed", "quote_changed"))
    if told.code is None:
        raise ViolationError(f"{card} was paid out in cash for more than {terms}")
    await story.holds(card, 1_000)


async def fail_a_payout(story: Member) -> None:
    """A payout does not arrive and is replaced once; the new one is paid or fails, and what is owed is paid once."""
    card = await story.card(story.chance.randint(1_000, 9_000))
    owed_fen = story.held[card]
    closed = await story.close(card)
    assert closed is not None, "it held something"
    failing = closed
    failure, bank = {"failure": "户名不符"}, {"payment_reference": "bank 1"}
    for _ in range(3):
        expect(failing, (await story.office.read(story.line, failing))["amount_fen"], owed_fen)
        await story.refused("mark_failed", f"{failing}/mark-failed", failure, "four_eyes")
        settling = [("mark_failed", f"{failing}/mark-failed", failure), ("mark_paid", f"{failing}/mark-paid", bank)]
        told = await at_once(story, *settling, by="second")
        only(told, 1, "payout_not_pending")
        if told[1].code is None:
            await story.refused("payout_replace", f"{failing}/replace", {"payee": PAYEE}, "payout_not_failed")
            break
        await story.stays(failing, status="failed", failure="户名不符", paid_transaction_id=None)
        another = {"payee": {**PAYEE, "account_name": "李雷"}}
        await story.refused("payout_replace", f"{failing}/replace", another, "payee_not_holder")
        replacing = ("payout_replace", f"{failing}/replace", {"payee": {**PAYEE, "bank_name": "另一银行"}})
        told = await at_once(story, *[replacing] * 3)
        only(told, 1, "payout_not_failed")
        await story.refused("mark_paid", f"{failing}/mark-paid", bank, "payout_not_pending", by="second")
        (failing,) = (f"/v1/payouts/{one.body['id']}" for one in told if one.code is None)
    else:
        await story.pay_out(failing)
    await story.stays(failing, status="paid", amount_fen=owed_fen)
    found = (await story.office.read(story.line, f"/v1/payouts?card_id={card}&status=paid"))["data"]
    expect(f"what was paid out for {card}", [one["amount_fen"] for one in found], [owed_fen])


async def release_what_came_back(story: Member) -> None:
    """Goods come back to a card that was replaced by one that is closed: two people release what that is, once."""
    card = await story.card(5_000)
    paid = await story.pay(card, 1_200)
    new = (await story.make("replace", f"/v1/cards/{card}/replace", {"reason": "damaged"}))["new"]["id"]
    story.held[new] = story.held[card]
    await story.until(
        f"/v1/cards/{new}/accounts",
        lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 3_800,
    )
    await story.holds(card, 0)
    first = await story.close(new)
    assert first is not None, "it held something"
    await story.pay_out(first)
    story.office.left_behind.add(card)
    await story.make("refund", "/v1/refunds", {"payment_id": paid, "amount_fen": 700})
    await story.holds(card, 700)
    address, reason = f"/v1/cards/{card}/release", {"reason": "退货"}
    wanted = {**reason, "payee": PAYEE}
    for by in ("system", "li"):
        await story.refused("release", address, wanted, "approval_required", by=by)
    approval = await story.approval("value_release", card, reason)
    releasing = ("release", address, {**wanted, "approval_id": approval})
    told = await at_once(story, *[releasing] * 3, by="li")
    only(told, 1, "nothing_to_release", "approval_not_approved")
    (done,) = (one.body for one in told if one.code is None)
    expect(f"what is released of {card}", (done["amount_fen"], done["given_fen"], done["payout"]["amount_fen"]),
           (700, 0, 700))  # fmt: skip
    await story.holds(card, 0)
    payout = f"/v1/payouts/{done['payout']['id']}"
    await story.refused("mark_paid", f"{payout}/mark-paid", {"payment_reference": "b"}, "four_eyes", by="li")
    await story.make("mark_paid", f"{payout}/mark-paid", {"payment_reference": "b"}, by="second")
    await story.stays(payout, status="paid", amount_fen=700)
