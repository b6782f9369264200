"""瑞祥 (X, C): an online shop's card that begins as its own network's and becomes a hybrid, from the filing to the end.

Without a licence a hybrid has its own network alone and is single-purpose; with one it lets anybody in. The shop stands
in Jiangsu, where fifteen days are there to change one's mind. Employers load meal money that is spent in canteens only,
what is given with a load lives for ninety days, and an order is paid for as it is shipped.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from tests.stories.till import Business, Desk, account_of, agreement, company

NANJING = 320_100
RUIXIANG = company(30, NANJING)
LAW = "最高人民法院关于审理预付式消费民事纠纷案件适用法律若干问题的解释（法释〔2025〕4号）"

CARD = {
    "code": "ruixiang", "name": "瑞祥购物卡", "currency": "CNY", "number_prefix": "888804", "card_class": "registered",
    "operating_mode": "hybrid", "max_balance_fen": 500_000, "bonus_valid_days": 90,
}  # fmt: skip


class Ruixiang(NamedTuple):
    """What the story is about."""

    qian: Desk
    he: Desk
    desk: Desk
    cashier: Desk
    issuer: Any
    programme: Any
    mall: Any
    canteen: Any


async def test_an_online_shop_becomes_a_hybrid(business: Business) -> None:
    ruixiang = await set_up(business)
    await order_online(business, ruixiang)
    await change_ones_mind(business, ruixiang)
    card = await eat_on_the_employer(business, ruixiang)
    await let_the_bonus_end(business, ruixiang)
    await count_what_is_owed(business, ruixiang)
    await open_up(business, ruixiang, card)
    await leave_the_company(business, ruixiang, card)


async def set_up(business: Business) -> Ruixiang:
    """The filing in Jiangsu, a house rule, the terms, and who may take the card without a licence."""
    qian = await business.hire("qian", "钱运营", "operator")
    he = await business.hire("he", "何复核", "approver")
    desk = await business.hire("zhou", "周客服", "service_desk")
    issuer = await qian.make(
        "/v1/issuers", code="ruixiang", name="瑞祥商务", time_zone="Asia/Shanghai", issuer_class="scale",
        legal_name="瑞祥商务有限公司", legal_code=RUIXIANG, province="CN-JS", filing_number="320100BBB0003",
        business_started_on="2026-02-20", filed_on="2026-02-26",
    )  # fmt: skip
    rebate = {
        "id": "HOUSE-REBATE-8", "jurisdiction": "CN", "metric": "rebate_cap_bp", "value": 800, "action": "reject",
        "effective_from": f"{business.now:%Y-%m-%d}", "source": "瑞祥营销制度", "title_zh": "返利最高 8%",
        "title_en": "Rebates reach 8 % at the most",
    }  # fmt: skip
    change = await qian.make("/v1/policy/changes", issuer_id=issuer["id"], note="返利上限", add=[rebate])
    await he.make(f"/v1/policy/changes/{change['id']}/approve", reason="同意")

    # Fewer days than Jiangsu's law, more rebate than the house allows, less in custody than a scale issuer must.
    sold = {**CARD, "issuer_id": issuer["id"], "restricted_to": {"trades": ["canteen"]}}
    good = {"cooling_off_days": 15, "rebate_cap_bp": 500, "custody_share_bp": 2_000}
    for wrong, rule in (({"cooling_off_days": 7}, "JS-15D-01"), ({"custody_share_bp": 1_000}, "CN-SP-CUST-01")):
        assert await qian.broken_rule("/v1/programmes", **sold, clauses={**good, **wrong}) == rule
    problem = await qian.problem("/v1/programmes", **sold, clauses={**good, "rebate_cap_bp": 900})
    assert (problem["code"], problem["field"], "HOUSE-REBATE-8" in problem["detail"]) == (
        "terms_break_rule", "clauses.rebate_cap_bp", True,
    )  # fmt: skip
    programme = await qian.make("/v1/programmes", **sold, clauses=good)

    shop = await qian.make("/v1/merchants", code="mall", name="瑞祥商城", trade="online", legal_code=RUIXIANG)
    kitchen = await qian.make(
        "/v1/merchants", code="canteen", name="瑞祥餐饮", trade="canteen", legal_code=company(31, NANJING),
        group_code=RUIXIANG,
    )  # fmt: skip
    places = [{"merchant_id": shop["id"]}, {"merchant_id": kitchen["id"]}]
    await qian.make(f"/v1/programmes/{programme['id']}/acceptance", add=places)
    mall = await business.open_shop(shop, "mall", "瑞祥商城")
    canteen = await business.open_shop(kitchen, "canteen", "瑞祥食堂")
    cashier = await business.hire("xu", "许收银", "cashier", store_ids=[canteen["store_id"]])
    return Ruixiang(qian, he, desk, cashier, issuer, programme, mall, canteen)


async def order_online(business: Business, ruixiang: Ruixiang) -> None:
    """The price is set aside when the order comes, and taken when the parcel leaves."""
    card = await business.issue_card(ruixiang.programme)
    await business.load(card, 30_000)
    order = {"card_id": card["id"], "terminal_id": ruixiang.mall["terminal_id"]}

    # Two articles, 120 and 80 yuan: the whole is set aside and cannot be spent twice.
    held = await business.make("/v1/authorizations", **order, amount_fen=20_000, reference="order 1")
    assert (held["status"], held["captured_fen"], held["balance_fen"]) == ("open", 0, 10_000)
    assert await business.pay_refused(card, 10_001, ruixiang.mall) == "insufficient_funds"

    # The first parcel leaves, then the second, which turned out cheaper: the rest goes back.
    capture = f"/v1/authorizations/{held['id']}/capture"
    first = await business.make(capture, amount_fen=12_000, final=False)
    assert (first["status"], first["captured_fen"], first["balance_fen"]) == ("open", 12_000, 10_000)
    assert await business.refused(capture, amount_fen=8_001) == "capture_exceeds_authorization"
    last = await business.make(capture, amount_fen=7_500)
    assert (last["status"], last["captured_fen"], last["balance_fen"]) == ("completed", 19_500, 10_500)
    assert await business.refused(capture, amount_fen=1) == "authorization_not_open"

    # The first article is sent back.
    await business.make("/v1/refunds", payment_id=held["id"], amount_fen=12_000, reference="return 1")
    assert (await business.pockets(card))["principal"] == 22_500
    assert await business.refused("/v1/refunds", payment_id=held["id"], amount_fen=7_501) == "refund_exceeds_payment"

    # One order is cancelled, another is forgotten by the shop and ends by itself.
    held = await business.make("/v1/authorizations", **order, amount_fen=22_500)
    gone = await business.make(f"/v1/authorizations/{held['id']}/void")
    assert (gone["status"], gone["balance_fen"]) == ("voided", 22_500)
    held = await business.make("/v1/authorizations", **order, amount_fen=22_500, expires_in_s=600)
    assert await ruixiang.desk.refused(f"/v1/cards/{card['id']}/refund-quote", cause="holder") == (
        "card_has_authorizations"
    )
    await business.wait(minutes=11)
    assert (await business.get(f"/v1/authorizations/{held['id']}"))["status"] == "expired"

    # A connection breaks and the shop asks again: the same order is one order.
    body, key = {**order, "amount_fen": 2_500}, {"idempotency-key": "order-3"}
    answers = [await business.client.post("/v1/purchases", json=body, headers=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await business.pockets(card))["principal"] == 20_000
    assert await business.story_of(card) == [
        "issued", "activated", "number_revealed", "load", "authorization", "capture", "capture", "refund",
        "authorization", "void", "authorization", "expiry", "purchase",
    ]  # fmt: skip


async def change_ones_mind(business: Business, ruixiang: Ruixiang) -> None:
    """Fifteen days in Jiangsu, and what little is left may be paid in cash."""
    card = await business.issue_card(ruixiang.programme)
    await business.load(card, 50_000)
    await business.pay(card, 41_000, ruixiang.mall)
    await business.wait(days=15)
    address = f"/v1/cards/{card['id']}"
    quote = await ruixiang.desk.make(f"{address}/refund-quote", cause="withdrawal")
    assert (quote["amount_fen"], "JS-15D-01" in quote["formula"]) == (9_000, True)
    await business.wait(days=1)
    assert await ruixiang.desk.refused(f"{address}/refund-quote", cause="withdrawal") == "cooling_off_over"
    quote = await ruixiang.desk.make(f"{address}/refund-quote", cause="holder")
    body = {"cause": "holder", "quote_hash": quote["quote_hash"]}
    payee = {"method": "cash", "holder_name": "郑敏"}
    payout = (await ruixiang.desk.make(f"{address}/close", **body, payee=payee))["payout"]
    assert (payout["method"], payout["amount_fen"]) == ("cash", 9_000)
    paid = await ruixiang.qian.make(f"/v1/payouts/{payout['id']}/mark-paid", payment_reference="收条 3")
    assert paid["status"] == "paid"


async def eat_on_the_employer(business: Business, ruixiang: Ruixiang) -> dict[str, str]:
    """Meal money is spent in canteens only, and first there; the holder's own money anywhere."""
    clerk = await business.take_in("1988-09-09", level="four_factors")
    card = await business.issue_card(ruixiang.programme)
    await ruixiang.desk.make(f"/v1/cards/{card['id']}/register", customer_id=clerk["id"])
    await business.load(card, 60_000, pocket="restricted", reference="三月餐补")
    await business.load(card, 20_000)
    assert await business.pay_refused(card, 20_001, ruixiang.mall) == "insufficient_funds"
    lunch = await business.pay(card, 2_600, ruixiang.canteen)
    assert {one["pocket"]: one["amount_fen"] for one in lunch["pockets"]} == {"restricted": 2_600}
    await business.make("/v1/refunds", payment_id=lunch["id"], amount_fen=600)
    await business.pay(card, 5_000, ruixiang.mall)
    assert await business.pockets(card) == {"principal": 15_000, "bonus": 0, "restricted": 58_000}

    # The cashier of the canteen stands at one till.
    till = {"card_id": card["id"], "amount_fen": 1_000}
    await ruixiang.cashier.make("/v1/purchases", **till, terminal_id=ruixiang.canteen["terminal_id"])
    assert await ruixiang.cashier.refused("/v1/purchases", **till, terminal_id=ruixiang.mall["terminal_id"]) == (
        "store_out_of_scope"
    )
    return {**card, "name": clerk["name"]}


async def let_the_bonus_end(business: Business, ruixiang: Ruixiang) -> None:
    """What was given ends after ninety days, and the day before its holder is told; what was paid for stays."""
    await business.settle_the_end(ruixiang.qian, ruixiang.he, ruixiang.programme, remind_days=[1])
    card = await business.issue_card(ruixiang.programme)
    await business.load(card, 50_000, bonus_fen=2_500)
    await business.wait(days=90)
    assert await business.told(card) == ["lot.expiring"]
    await business.wait(days=1)
    assert await business.told(card) == ["lot.expiring", "lot.expired"]
    assert await business.pockets(card) == {"principal": 50_000, "bonus": 0, "restricted": 0}


async def count_what_is_owed(business: Business, ruixiang: Ruixiang) -> None:
    """1,000 paid and 200 given, 600 spent: 500 if the shop is the cause, 400 if the holder is (articles 18 and 19)."""
    card = await business.issue_card(ruixiang.programme)
    await business.load(card, 100_000, bonus_fen=20_000)
    await business.pay(card, 60_000, ruixiang.mall)
    for cause, deducted in (
        ("issuer", f"已兑付金额: 600.00 × 1000.00 ÷ (1000.00 + 200.00) = 500.00  [CN-SPC-REF-OPER; {LAW} 第18条]"),
        ("holder", f"已兑付金额: 600.00 = 600.00  [CN-SPC-REF-CONS; {LAW} 第19条]"),
    ):
        quote = await ruixiang.desk.make(f"/v1/cards/{card['id']}/refund-quote", cause=cause)
        assert quote["amount_fen"] == {"issuer": 50_000, "holder": 40_000}[cause]
        assert quote["formula_zh"].splitlines()[1] == deducted


async def open_up(business: Business, ruixiang: Ruixiang, card: dict[str, str]) -> None:
    """A bakery of nobody's group asks to join: with the licence the card is everybody's, under other rules."""
    bakery = await ruixiang.qian.make(
        "/v1/merchants", code="bakery", name="街角面包房", trade="bakery", legal_code=company(40, NANJING)
    )
    shop = await business.open_shop(bakery, "bakery", "街角面包房")
    acceptance = f"/v1/programmes/{ruixiang.programme['id']}/acceptance"
    join = {"add": [{"merchant_id": bakery["id"]}]}
    assert await ruixiang.qian.broken_rule(acceptance, **join) == "CN-SCHEME-03"
    assert await business.pay_refused(card, 100, shop) == "not_accepted_here"
    await ruixiang.qian.change(f"/v1/issuers/{ruixiang.issuer['id']}", payment_licence="Z2000732000030")
    await ruixiang.qian.make(acceptance, **join)
    await business.pay(card, 1_200, shop)

    # Its money now lies in custody whole: the terms change, proposed by one and approved by another, for new cards.
    programme = f"/v1/programmes/{ruixiang.programme['id']}"
    wrong = {"clauses": {"custody_share_bp": 5_000}}
    approval_id = await business.approval("programme_change", ruixiang.qian, ruixiang.he, ruixiang.programme, **wrong)
    refused = await ruixiang.qian.client.patch(programme, json={**wrong, "approval_id": approval_id})
    assert (refused.json()["code"], "CN-MP-FUND-01" in refused.json()["detail"]) == ("terms_break_rule", True)
    right = {"clauses": {"custody_share_bp": 10_000}}
    approval_id = await business.approval("programme_change", ruixiang.qian, ruixiang.he, ruixiang.programme, **right)
    assert (await ruixiang.qian.change(programme, **right, approval_id=approval_id))["version"] == 2
    assert (await business.get(f"/v1/cards/{card['id']}"))["terms_version"] == 1
    fresh = await business.issue_card(ruixiang.programme)
    assert (await business.get(f"/v1/cards/{fresh['id']}"))["terms_version"] == 2


async def leave_the_company(business: Business, ruixiang: Ruixiang, card: dict[str, str]) -> None:
    """The clerk leaves: with the licence the court's rules are not for this card any more, the agreement is."""
    address = f"/v1/cards/{card['id']}"
    assert await ruixiang.desk.refused(f"{address}/refund-quote", cause="holder") == "refund_rule_missing"
    agreed = agreement("RUIXIANG-9", "瑞祥购物卡协议 第9条", deadline_days=15)
    await business.settle_the_end(ruixiang.qian, ruixiang.he, ruixiang.programme, refund_values=agreed)
    assert await ruixiang.desk.refused(f"{address}/refund-quote", cause="holder") == "redemption_too_early"
    await business.wait(days=92)
    quote = await ruixiang.desk.make(f"{address}/refund-quote", cause="holder")
    left = await business.pockets(card)
    assert quote["amount_fen"] == sum(left.values()) == 13_800 + 57_000
    payee = account_of(card, "南京银行")
    closed = await ruixiang.desk.make(f"{address}/close", cause="holder", quote_hash=quote["quote_hash"], payee=payee)
    payout = closed["payout"]
    assert payout["due_on"] == f"{business.now + timedelta(days=15):%Y-%m-%d}"
    await ruixiang.qian.make(f"/v1/payouts/{payout['id']}/mark-paid", payment_reference="回单 31")
    assert await business.pockets(card) == {"principal": 0, "bonus": 0, "restricted": 0}
    assert await business.story_of(card) == [
        "issued", "activated", "number_revealed", "registered", "load", "load", "purchase", "refund", "purchase",
        "purchase", "purchase", "closing", "closed",
    ]  # fmt: skip
