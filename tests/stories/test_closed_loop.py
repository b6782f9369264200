"""红旗 (R): a supermarket's own card in physical and digital form, from its filing to the end of a card.

It is a closed loop: only the supermarket and its subsidiaries take it (CN-SCHEME-01). Paid value of a registered card
never ends, that of an unregistered one after three years at the earliest; unregistered cards pay little at night.
"""

from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.stories.till import CHINA, Business, Desk, account_of, company

from kaquan.vault import read_envelope

HONGQI, RIVAL = company(1), company(2)

CLOSED = {"operating_mode": "closed_loop", "currency": "CNY", "pin_required_above_fen": 30_000}
REGISTERED = {**CLOSED, "code": "red", "name": "红卡记名", "number_prefix": "888801", "card_class": "registered"}
UNREGISTERED = {
    **CLOSED,
    "code": "gift",
    "name": "红卡不记名",
    "number_prefix": "888802",
    "card_class": "unregistered",
}
"""Nothing of what the law asks is in them yet."""

HER_PIN, GIFT_PIN = "719264", "802647"

PRINTER = X25519PrivateKey.generate()


class Hongqi(NamedTuple):
    """What the story is about."""

    wang: Desk
    li: Desk
    counter: Desk
    red: Any
    gift: Any
    market: Any
    corner: Any
    rival: Any


async def test_a_supermarket_runs_its_own_card(business: Business) -> None:
    hongqi = await set_up(business)
    cards = await have_cards_made(business, hongqi)
    grandmother = await sell_to_a_grandmother(business, hongqi, cards[0])
    await shop_by_day(business, hongqi, grandmother)
    gift = await sell_a_gift_card(business, hongqi)
    await sell_to_a_firm(business, hongqi)
    await shop_by_night(business, hongqi, grandmother, gift)
    replacement = await lose_the_card(business, hongqi, grandmother, cards[1])
    await change_ones_mind(business, hongqi)
    await close(business, hongqi, grandmother, replacement)
    await let_the_gift_card_end(business, hongqi, gift)


async def set_up(business: Business) -> Hongqi:
    """The filing, the rules of the house, the programmes and the stores."""
    wang = await business.hire("wang", "王运营", "operator")
    li = await business.hire("li", "李复核", "approver")
    counter = await business.hire("zhao", "赵服务台", "service_desk")

    # The head of a group issues: it files with the province, within thirty days of its first card.
    issuer = await wang.make(
        "/v1/issuers", code="hongqi", name="红旗连锁", time_zone="Asia/Shanghai", issuer_class="group",
        legal_name="红旗连锁股份有限公司", legal_code=HONGQI, province="CN-SC", filing_number="510100AAA0001",
        business_started_on="2026-02-10", filed_on="2026-02-27",
    )  # fmt: skip
    asked = {"jurisdiction": "CN-SC", "scheme": "single_purpose", "issuer_class": "group", "issuer_id": issuer["id"]}

    async def law(metric: str, **more: str) -> tuple[str, Any]:
        fact = (await wang.get("/v1/policy/facts", metric=metric, **asked, **more))["fact"]
        return fact["id"], fact["value"]

    assert await law("filing_authority") == ("CN-SP-FILE-02.province", "province")
    filing_rule, days = await law("filing_due_days")
    assert filing_rule == "CN-SP-FILE-01"
    assert date.fromisoformat(issuer["filed_on"]) <= date(2026, 2, 10) + timedelta(days=days)

    # House rules are stricter than the law, never weaker, and need a second person.
    today = f"{business.now:%Y-%m-%d}"
    rule = {"jurisdiction": "CN", "action": "reject", "effective_from": today, "source": "红旗购物卡章程"}
    weak = {**rule, "id": "HOUSE-COOLING", "metric": "cooling_off_days", "value": 5, "title_zh": "5", "title_en": "5"}
    changes = "/v1/policy/changes"
    assert await wang.broken_rule(changes, issuer_id=issuer["id"], note="冷静期", add=[weak]) == "CN-SPC-07D"
    night = [
        {**rule, "id": "HOUSE-NIGHT-22", "metric": "night_from_minute", "value": 22 * 60,
         "action": "compute", "title_zh": "22 点起为夜间", "title_en": "Night begins at 22:00"},
        {**rule, "id": "HOUSE-NIGHT-CAP", "metric": "night_payment_cap_fen", "value": 50_000,
         "card_class": ["unregistered"], "condition": ["night"],
         "title_zh": "夜间不记名卡单笔 500 元", "title_en": "500 yuan a payment of an unregistered card at night"},
    ]  # fmt: skip
    change = await wang.make(changes, issuer_id=issuer["id"], note="夜间限额", add=night)
    assert await wang.refused(f"{changes}/{change['id']}/approve", reason="自批") == "forbidden"
    await li.make(f"{changes}/{change['id']}/approve", reason="同意")
    at_night = {"card_class": "unregistered", "condition": "night"}
    assert await law("night_payment_cap_fen", **at_night) == ("HOUSE-NIGHT-CAP", 50_000)
    assert await law("night_from_minute") == ("HOUSE-NIGHT-22", 1_320)

    # The terms are held against the law before there is a programme.
    most, little = {**REGISTERED, "max_balance_fen": 500_000}, {**UNREGISTERED, "principal_valid_days": 3 * 366}
    for terms, broken in (
        ({**most, "max_balance_fen": 600_000}, "CN-SP-CAP-01"),
        ({**most, "principal_valid_days": 5 * 365}, "CN-SP-EXP-01"),
        ({**most, "clauses": {"custody_share_bp": 2_000}}, "CN-SP-CUST-02"),
        ({**most, "clauses": {"no_refund_clause_allowed": True}}, "CN-SPC-VOID.refund"),
        ({**little, "max_balance_fen": 200_000}, "CN-SP-CAP-02"),
        ({**little, "max_balance_fen": 100_000, "principal_valid_days": 2 * 365}, "CN-SP-EXP-02"),
    ):
        assert await wang.broken_rule("/v1/programmes", issuer_id=issuer["id"], **terms) == broken
    assert await wang.find("/v1/programmes") == []
    clauses = {"custody_share_bp": 3_000, "cooling_off_days": 7, "loss_report_required": True}
    red = await wang.make(
        "/v1/programmes", issuer_id=issuer["id"], **most, bonus_valid_days=90,
        loss_effective_within_s=48 * 3_600, denominations_fen=[20_000, 50_000, 100_000], clauses=clauses,
    )  # fmt: skip
    gift = await wang.make(
        "/v1/programmes", issuer_id=issuer["id"], **little, max_balance_fen=100_000,
        denominations_fen=[10_000, 20_000, 50_000, 100_000], clauses={"custody_share_bp": 3_000},
    )  # fmt: skip
    for programme in (red, gift):
        await business.settle_the_end(wang, li, programme, remind_days=[30, 7, 1], dormant_months=12)

    # The supermarket and its subsidiary take the card; nobody else can be let in.
    legal = {"legal_name": "红旗连锁股份有限公司", "legal_code": HONGQI}
    own = await wang.make("/v1/merchants", code="hongqi", name="红旗超市", trade="grocery", **legal)
    subsidiary = await wang.make(
        "/v1/merchants", code="corner", name="红旗便利", trade="convenience", legal_code=company(3), group_code=HONGQI
    )
    rival = await wang.make("/v1/merchants", code="rival", name="隔壁超市", trade="grocery", legal_code=RIVAL)
    unknown = await wang.make("/v1/merchants", code="unknown", name="无名小店", trade="grocery")
    for programme in (red, gift):
        acceptance = f"/v1/programmes/{programme['id']}/acceptance"
        for stranger in (rival, unknown):
            places = [{"merchant_id": own["id"]}, {"merchant_id": stranger["id"]}]
            assert await wang.broken_rule(acceptance, add=places) == "CN-SCHEME-01"
        assert (await wang.get(f"/v1/programmes/{programme['id']}"))["accepted_places"] == 0
        places = [{"merchant_id": own["id"]}, {"merchant_id": subsidiary["id"]}]
        assert (await wang.make(acceptance, add=places))["accepted_places"] == 2

    # The rule of the house is made a limit of the tills; again by two.
    for programme in (red, gift):
        terms = {
            "programme_id": programme["id"], "name": "夜间不记名卡单笔", "movement": "spend", "scope": "card",
            "metric": "amount", "period": "transaction", "maximum": 50_000, "holder": "unregistered",
            "hours": {"starts": "22:00", "ends": "06:00"},
        }  # fmt: skip
        assert await wang.refused("/v1/limits", **terms) == "approval_required"
        approval_id = await business.approval("limit_change", wang, li, programme, **terms)
        assert await wang.refused("/v1/limits", **{**terms, "maximum": 90_000}, approval_id=approval_id) == (
            "approval_for_something_else"
        )
        await wang.make("/v1/limits", **terms, approval_id=approval_id)
        assert await wang.refused("/v1/limits", **terms, approval_id=approval_id) == "approval_not_approved"

    chengdu = {"latitude_udeg": 30_657_000, "longitude_udeg": 104_066_000}
    return Hongqi(
        wang, li, counter, red, gift,
        market=await business.open_shop(own, "chunxi", "红旗超市春熙路", **chengdu),
        corner=await business.open_shop(subsidiary, "kuanzhai", "红旗便利宽窄巷", **chengdu),
        rival=await business.open_shop(rival, "next-door", "隔壁超市", **chengdu),
    )  # fmt: skip


async def have_cards_made(business: Business, hongqi: Hongqi) -> list[dict[str, str]]:
    """A batch of plastic, ordered by two: a job issues the cards, the printer alone can read the file."""
    spring = {"programme_id": hongqi.red["id"], "name": "2026 春季", "form": "physical", "card_count": 40}
    assert await hongqi.wang.refused("/v1/batches", **spring) == "approval_required"
    approval_id = await business.approval("batch_issue", hongqi.wang, hongqi.li, hongqi.red, **spring)
    batch = await hongqi.wang.make("/v1/batches", **spring, approval_id=approval_id)
    file = f"/v1/batches/{batch['id']}/production-file"
    order = {"public_key": PRINTER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}
    assert await business.refused(file, **order, with_pin=True) == "batch_not_finished"
    await business.work()
    assert (await business.get(f"/v1/batches/{batch['id']}"))["issued_count"] == 40
    sealed = await business.client.post(file, json={**order, "with_pin": True})
    assert sealed.status_code == 200, sealed.text
    assert await business.refused(file, **order, with_pin=True) == "already_exported"

    pem = PRINTER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    names, *lines = b"".join(read_envelope(BytesIO(sealed.content), pem)).decode().split()
    printed = [dict(zip(names.split(","), line.split(","), strict=True)) for line in lines]
    assert len({one["number"] for one in printed}) == 40
    return printed


async def sell_to_a_grandmother(business: Business, hongqi: Hongqi, plastic: dict[str, str]) -> dict[str, str]:
    """Registered: she shows her identity card, the provider confirms it, and the card is hers; 满500送30."""
    (card,) = (await hongqi.counter.make("/v1/cards/search", number=plastic["number"]))["data"]
    assert (card["form"], card["status"], card["card_class"]) == ("physical", "issued", "unregistered")
    assert await business.refused("/v1/loads", card_id=card["id"], amount_fen=50_000) == "card_not_active"
    await hongqi.counter.make(f"/v1/cards/{card['id']}/activate")
    grandmother = await business.take_in("1948-03-12", level="document")
    owned = await hongqi.counter.make(f"/v1/cards/{card['id']}/register", customer_id=grandmother["id"])
    assert (owned["card_class"], owned["customer_id"]) == ("registered", grandmother["id"])
    # The first PIN came with the plastic; she chooses her own, but not her birthday.
    pin = f"/v1/cards/{card['id']}/pin"
    assert await hongqi.counter.refused(pin, pin="480312", current_pin=plastic["pin"]) == "pin_too_easy"
    await hongqi.counter.make(pin, pin=HER_PIN, current_pin=plastic["pin"])

    loaded = await business.load(card, 50_000, bonus_fen=3_000, terminal_id=hongqi.market["terminal_id"])
    assert loaded["balance_fen"] == 53_000
    assert await business.refused("/v1/loads", card_id=card["id"], amount_fen=447_001) == "balance_cap_exceeded"
    assert await business.pockets(card) == {"principal": 50_000, "bonus": 3_000}
    return {"id": card["id"], "customer_id": grandmother["id"], "name": grandmother["name"]}


async def shop_by_day(business: Business, hongqi: Hongqi, card: dict[str, str]) -> None:
    """What was given is spent first; what comes back returns in the ratio in which it was paid."""
    bought = await business.pay(card, 10_000, hongqi.market, reference="小票 0001")
    assert {one["pocket"]: one["amount_fen"] for one in bought["pockets"]} == {"bonus": 3_000, "principal": 7_000}
    returned = await business.make("/v1/refunds", payment_id=bought["id"], amount_fen=5_000, reference="退货 0001")
    assert {one["pocket"]: one["amount_fen"] for one in returned["pockets"]} == {"bonus": 1_500, "principal": 3_500}
    assert await business.refused("/v1/refunds", payment_id=bought["id"], amount_fen=5_001) == "refund_exceeds_payment"

    assert await business.pay_refused(card, 100, hongqi.rival) == "not_accepted_here"
    assert await business.pay_refused(card, 48_001, hongqi.market, pin=HER_PIN) == "insufficient_funds"
    assert await business.pay_refused(card, 30_001, hongqi.market) == "pin_required"
    assert await business.pay_refused(card, 30_001, hongqi.market, pin="000000") == "pin_wrong"
    await business.pay(card, 1_000, hongqi.corner)
    assert await business.pockets(card) == {"principal": 46_500, "bonus": 500}

    # Somebody at risk calls: blocked at once by one, and unblocked by two when it is cleared up.
    await hongqi.counter.make(f"/v1/cards/{card['id']}/block", reason="risk", note="疑似盗刷")
    assert await business.pay_refused(card, 100, hongqi.market) == "card_blocked"
    unblock = f"/v1/cards/{card['id']}/unblock"
    assert await hongqi.wang.refused(unblock) == "approval_required"
    approval_id = await business.approval("unblocking", hongqi.wang, hongqi.li, card)
    await hongqi.wang.make(f"{unblock}?approval_id={approval_id}")


async def sell_a_gift_card(business: Business, hongqi: Hongqi) -> dict[str, str]:
    """Unregistered and digital: nobody is asked for a name, and it holds little."""
    card = await business.issue_card(hongqi.gift)
    assert await business.refused("/v1/loads", card_id=card["id"], amount_fen=100_001) == "balance_cap_exceeded"
    await business.load(card, 100_000)
    return card


async def sell_to_a_firm(business: Business, hongqi: Hongqi) -> None:
    """Six cards for the staff: no cash from a firm, the bank transfer is matched, and unused they may come back."""
    line = {"programme_id": hongqi.gift["id"], "face_fen": 100_000, "price_fen": 100_000, "card_count": 6}
    order = {"buyer": "organisation", "contract_version": "2026-01", "reference": "订单 2026-088"}
    odd = {**line, "face_fen": 30_000, "price_fen": 30_000}
    assert await business.refused("/v1/sales", **order, lines=[odd]) == "face_value_not_allowed"
    sale = await business.make("/v1/sales", **order, lines=[line])
    address = f"/v1/sales/{sale['id']}"
    cash = {"method": "cash", "amount_fen": 600_000}
    assert await business.broken_rule(f"{address}/payments", **cash) == "CN-SP-CASH-01"
    accounts = {
        side: {"account_name": name, "account_number": "6222020200012345678", "bank_name": "成都银行"}
        for side, name in (("payer", "春熙贸易有限公司"), ("payee", "红旗连锁股份有限公司"))
    }
    assert await business.refused(f"{address}/deliver") == "sale_status_forbids"
    paid = await business.make(f"{address}/payments", method="bank_transfer", amount_fen=600_000, **accounts)
    assert paid["status"] == "paid"
    await business.work()
    assert (await business.get(address))["cards"]["delivered"] == 6
    cards = [{"id": one["card_id"]} for one in await business.find(f"{address}/cards")]
    for card in cards:
        assert await business.pockets(card) == {"principal": 100_000, "bonus": 0}
    # The party is called off before anybody has spent: all of it comes back, and no card lives on.
    taken = await business.make(f"{address}/refund", reason="活动取消")
    assert taken["status"] == "refunded"
    assert await business.pay_refused(cards[0], 100, hongqi.market) == "card_closed"
    assert await business.pockets(cards[0]) == {"principal": 0, "bonus": 0}


async def shop_by_night(business: Business, hongqi: Hongqi, grandmother: dict[str, str], gift: dict[str, str]) -> None:
    """After 22:00 an unregistered card pays little; a registered one as much as ever."""
    await hongqi.counter.make(f"/v1/cards/{gift['id']}/pin", pin=GIFT_PIN)
    await business.wait_until(business.now.replace(hour=22, minute=30))
    much = {"amount_fen": 50_001, "terminal_id": hongqi.market["terminal_id"], "card_id": gift["id"], "pin": GIFT_PIN}
    problem = await business.problem("/v1/purchases", **much)
    assert (problem["code"], "夜间不记名卡单笔" in problem["detail_zh"]) == ("limit_exceeded", True)
    await business.pay(gift, 10_000, hongqi.market)
    await business.load(grandmother, 30_000)
    await business.pay(grandmother, 50_001, hongqi.market, pin=HER_PIN)
    assert (await business.pockets(grandmother)) == {"principal": 26_999, "bonus": 0}
    await business.wait(hours=9)
    await business.pay(gift, 50_001, hongqi.market, pin=GIFT_PIN)
    assert await business.pockets(gift) == {"principal": 39_999, "bonus": 0}


async def lose_the_card(
    business: Business, hongqi: Hongqi, lost: dict[str, str], plastic: dict[str, str]
) -> dict[str, str]:
    """The plastic may still be used for 48 hours; then it is dead, and the money is on another one."""
    last = await business.pay(lost, 2_000, hongqi.market, reference="小票 0002")
    told = await hongqi.counter.make(f"/v1/cards/{lost['id']}/report-loss")
    effective_at = datetime.fromisoformat(told["loss_effective_at"])
    assert effective_at - datetime.fromisoformat(told["loss_reported_at"]) == timedelta(hours=48)
    await business.wait(hours=47)
    await business.pay(lost, 999, hongqi.market)
    await business.wait_until(effective_at.astimezone(CHINA))
    assert await business.pay_refused(lost, 100, hongqi.market) == "card_lost"

    (spare,) = (await hongqi.counter.make("/v1/cards/search", number=plastic["number"]))["data"]
    done = await hongqi.counter.make(f"/v1/cards/{lost['id']}/replace", new_card_id=spare["id"], reason="挂失补卡")
    assert (done["old"]["status"], done["new"]["status"]) == ("replaced", "active")
    assert (done["new"]["customer_id"], done["transfer"]["amount_fen"]) == (lost["customer_id"], 24_000)
    assert await business.pockets(lost) == {"principal": 0, "bonus": 0}
    assert await business.pockets(spare) == {"principal": 24_000, "bonus": 0}
    assert await business.pay_refused(lost, 100, hongqi.market) == "card_replaced"

    # What she had bought with the old card and brings back follows her.
    await business.make("/v1/refunds", payment_id=last["id"], reference="退货 0002")
    await business.wait(minutes=1)
    assert await business.pockets(lost) == {"principal": 0, "bonus": 0}
    assert await business.pockets(spare) == {"principal": 26_000, "bonus": 0}
    return {**lost, "id": spare["id"]}


async def change_ones_mind(business: Business, hongqi: Hongqi) -> None:
    """Seven days to withdraw, the day of payment not counted; a day later it is a reason of one's own."""
    card = await business.issue_card(hongqi.red)
    await business.load(card, 20_000)
    await business.wait(days=7)
    quote = await hongqi.counter.make(f"/v1/cards/{card['id']}/refund-quote", cause="withdrawal")
    assert quote["amount_fen"] == 20_000
    assert "CN-SPC-07D" in quote["formula"]
    await business.wait(days=1)
    assert (
        await hongqi.counter.refused(f"/v1/cards/{card['id']}/refund-quote", cause="withdrawal") == "cooling_off_over"
    )


async def close(business: Business, hongqi: Hongqi, first: dict[str, str], card: dict[str, str]) -> None:
    """She moves to her daughter's: the formula is printed, two people see that her own account gets the money."""
    address = f"/v1/cards/{card['id']}"
    quote = await hongqi.counter.make(f"{address}/refund-quote", cause="holder")
    # Of the first load nothing is left; of the second 40.00 were spent, since what was loaded first went first.
    law = "最高人民法院关于审理预付式消费民事纠纷案件适用法律若干问题的解释（法释〔2025〕4号）"
    assert quote["formula_zh"].splitlines() == [
        f"已付本金: 300.00 = 300.00  [CN-SPC-REF-BASE; {law} 第15条]",
        f"已兑付金额: 40.00 = 40.00  [CN-SPC-REF-CONS; {law} 第19条]",
        f"本笔应退: 300.00 - 40.00 = 260.00  [CN-SPC-REF-BASE; {law} 第15条]",
        f"应退金额: 260.00 + 0.00 = 260.00  [CN-SPC-REF-BASE; {law} 第15条]",
    ]
    # If she goes shopping with it first, it is another refund.
    await business.pay(card, 500, hongqi.market)
    payee = account_of(card, "成都银行")
    body = {"cause": "holder", "quote_hash": quote["quote_hash"], "payee": payee}
    assert await hongqi.counter.refused(f"{address}/close", **body) == "quote_changed"
    quote = await hongqi.counter.make(f"{address}/refund-quote", cause="holder")
    body["quote_hash"] = quote["quote_hash"]
    other = {**payee, "account_name": "李四"}
    assert await hongqi.counter.refused(f"{address}/close", **{**body, "payee": other}) == "payee_not_holder"
    cash = {"method": "cash", "holder_name": card["name"]}
    assert await hongqi.counter.refused(f"{address}/close", **{**body, "payee": cash}) == "cash_not_allowed"
    closed = await hongqi.counter.make(f"{address}/close", **body)
    payout = closed["payout"]
    assert (payout["status"], payout["amount_fen"]) == ("pending", quote["amount_fen"])
    paid = f"/v1/payouts/{payout['id']}/mark-paid"
    assert await hongqi.counter.refused(paid, payment_reference="回单 7") == "forbidden"
    assert (await hongqi.wang.make(paid, payment_reference="回单 7"))["status"] == "paid"
    assert await business.pay_refused(card, 100, hongqi.market) == "card_closed"
    assert await business.told(card) == ["card.closed", "payout.paid"]

    assert await business.story_of(first) == [
        "issued", "activated", "registered", "pin_set",
        "load", "purchase", "refund", "purchase", "blocked", "unblocked", "load", "purchase", "purchase",
        "loss_reported", "purchase", "loss_effective", "replaced", "transfer", "transferred_out",
        "refund", "transfer", "transferred_out",
    ]  # fmt: skip
    assert await business.story_of(card) == [
        "issued", "activated", "transfer", "transferred_in", "transfer", "transferred_in", "purchase",
        "closing", "closed",
    ]  # fmt: skip


async def let_the_gift_card_end(business: Business, hongqi: Hongqi, gift: dict[str, str]) -> None:
    """After three years its value ends with the last day in Chengdu; nobody loses it: it is extended."""
    (lot,) = await hongqi.counter.find(f"/v1/cards/{gift['id']}/lots")
    end = datetime.fromisoformat(lot["expires_at"]).astimezone(CHINA)
    assert (end.hour, end.minute) == (0, 0)
    await business.wait(days=366)
    assert await business.told(gift) == ["card.dormant"]
    for days in (30, 7, 1):
        await business.wait_until(end - timedelta(days=days, minutes=-1))
    assert await business.told(gift) == ["card.dormant", "lot.expiring", "lot.expiring", "lot.expiring"]
    await business.wait_until(end - timedelta(minutes=1))
    await business.pay(gift, 9_999, hongqi.corner)
    await business.wait_until(end)
    assert await business.pay_refused(gift, 1, hongqi.corner) == "insufficient_funds"
    assert (await hongqi.counter.find(f"/v1/cards/{gift['id']}/lots"))[0]["swept_fen"] == 30_000
    later = f"{end + timedelta(days=365):%Y-%m-%d}"
    extended = await hongqi.counter.make(f"/v1/cards/{gift['id']}/extend", expires_on=later)
    assert extended["returned_fen"] == 30_000
    await business.pay(gift, 30_000, hongqi.corner)
    assert await business.pockets(gift) == {"principal": 0, "bonus": 0}
    assert (await business.told(gift))[4:] == ["lot.expired", "lot.extended"]
    assert await business.story_of(gift) == [
        "issued", "activated", "number_revealed", "load", "pin_set", "purchase", "purchase",
        "purchase", "lot_expiry", "lot_extension", "extended", "purchase",
    ]  # fmt: skip
