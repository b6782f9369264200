"""江都 (J): one card that many independent merchants of a region take, from the licence to the end of a card.

Merchants that have nothing to do with each other make it a payment business (CN-SCHEME-03): the issuer needs a
licence, all of the money lies in custody, and what a refund is stands in the agreement, since the court's rules for
single-purpose cards are not for these (CN-SCHEME-07).
"""

from datetime import timedelta
from typing import Any, NamedTuple

from tests.stories.till import Business, Desk, account_of, agreement, company, resident

TRADES = ("超市", "餐饮", "加油站", "药店", "影院", "书店", "咖啡", "面包房", "理发", "洗衣")
YANGZHOU = 321_000
JIANGDU = {"latitude_udeg": 32_426_000, "longitude_udeg": 119_567_000}
NANJING = {"latitude_udeg": 32_060_000, "longitude_udeg": 118_797_000}

ALLIANCE = {
    "code": "jiangdu", "name": "江都购物卡", "currency": "CNY", "number_prefix": "888803", "card_class": "registered",
    "operating_mode": "open_alliance", "max_balance_fen": 500_000,
}  # fmt: skip
LAWFUL = {
    "custody_share_bp": 10_000, "interest_to_holders_allowed": False, "credit_card_allowed": False,
    "terms_change_notice_days": 30, "loss_report_required": True,
}  # fmt: skip

_DAY = timedelta(days=1)


class Jiangdu(NamedTuple):
    """What the story is about."""

    chen: Desk
    wu: Desk
    desk: Desk
    programme: Any
    shops: list[Any]
    nanjing: Any


async def test_many_merchants_take_one_card(business: Business) -> None:
    jiangdu = await set_up(business)
    await pay_everywhere(business, jiangdu)
    worker, wallet, second = await hold_two_cards(business, jiangdu)
    await turn_up_too_far_away(business, jiangdu, wallet)
    await lose_a_phone(business, jiangdu, wallet)
    await give_to_a_student(business, jiangdu, second)
    await close(business, jiangdu, worker, wallet)


async def set_up(business: Business) -> Jiangdu:
    """The licence, the terms, ten trades and the limits."""
    chen = await business.hire("chen", "陈运营", "operator")
    wu = await business.hire("wu", "吴复核", "approver")
    desk = await business.hire("sun", "孙客服", "service_desk")

    issuer = await chen.make(
        "/v1/issuers", code="jiangdu", name="江都商业联合会", time_zone="Asia/Shanghai", province="CN-JS",
        legal_name="江都商联支付有限公司", legal_code=company(10, YANGZHOU),
    )  # fmt: skip
    sold = {**ALLIANCE, "issuer_id": issuer["id"]}
    assert await chen.broken_rule("/v1/programmes", **sold, clauses=LAWFUL) == "CN-SCHEME-03"
    await chen.change(f"/v1/issuers/{issuer['id']}", payment_licence="Z2000732000010")
    for terms, broken in (
        ({"custody_share_bp": 9_000}, "CN-MP-FUND-01"),
        ({"interest_to_holders_allowed": True}, "CN-MP-FUND-02"),
        ({"credit_card_allowed": True}, "CN-MP-CC-01"),
        ({"terms_change_notice_days": 7}, "CN-MP-TERMS"),
        ({"loss_report_required": False}, "CN-MP-EXP-01.loss"),
    ):
        assert await chen.broken_rule("/v1/programmes", **sold, clauses={**LAWFUL, **terms}) == broken
    assert await chen.broken_rule("/v1/programmes", **{**sold, "principal_valid_days": 366}, clauses=LAWFUL) == (
        "CN-MP-EXP-01"
    )
    assert await chen.find("/v1/programmes") == []
    programme = await chen.make("/v1/programmes", **sold, clauses=LAWFUL, loss_effective_within_s=48 * 3_600)

    # Who may join is who is known: independent firms, each with its legal entity.
    shops = []
    for serial, trade in enumerate(TRADES, start=20):
        legal_code = company(serial, YANGZHOU)
        firm = await chen.make("/v1/merchants", code=f"firm-{serial}", name=trade, trade=trade, legal_code=legal_code)
        shops.append(await business.open_shop(firm, f"store-{serial}", f"{trade}江都店", **JIANGDU))
    acceptance = f"/v1/programmes/{programme['id']}/acceptance"
    nobody = await chen.make("/v1/merchants", code="nobody", name="无照摊位", trade="小吃")
    assert await chen.broken_rule(acceptance, add=[{"merchant_id": nobody["id"]}]) == "CN-SCHEME-03"
    # Two join as a whole trade, seven with all their stores, the last with one store only.
    whole, (last,) = [{"merchant_id": shop["merchant_id"]} for shop in shops[2:-1]], shops[-1:]
    single = {"merchant_id": last["merchant_id"], "store_id": last["store_id"]}
    taken = await chen.make(acceptance, add=[*whole, single], add_trades=list(TRADES[:2]))
    assert (taken["accepted_places"], taken["accepted_trades"]) == (8, sorted(TRADES[:2]))
    petrol = await chen.get(f"/v1/merchants/{shops[2]['merchant_id']}")
    nanjing = await business.open_shop(petrol, "nanjing", "加油站南京店", **NANJING)

    # A person may spend so much a day with all of their cards; nobody is in two towns at once.
    of = {"programme_id": programme["id"]}
    limit = {**of, "name": "每人每日", "movement": "spend", "scope": "person", "metric": "amount", "period": "day",
             "maximum": 300_000}  # fmt: skip
    fence = {**of, "name": "不记名卡限江都", "kind": "within", "holder": "unregistered", "radius_m": 30_000, **JIANGDU}
    travel = {**of, "name": "异地盗刷", "kind": "travel", "max_speed_kmh": 120, "grace_m": 5_000}
    for path, terms in (("/v1/limits", limit), ("/v1/place-rules", fence), ("/v1/place-rules", travel)):
        assert await chen.refused(path, **terms) == "approval_required"
        approval_id = await business.approval("limit_change", chen, wu, programme, **terms)
        await chen.make(path, **terms, approval_id=approval_id)
    return Jiangdu(chen, wu, desk, programme, shops, nanjing)


async def pay_everywhere(business: Business, jiangdu: Jiangdu) -> None:
    """Everybody pays everywhere; each merchant finds its own payments, and only these."""
    holders = [await business.issue_card(jiangdu.programme) for _ in range(3)]
    for price, holder in enumerate(holders, start=1):
        await business.load(holder, 100_000)
        for shop in jiangdu.shops:
            await business.pay(holder, price * 1_000, shop)
        assert await business.pockets(holder) == {"principal": 100_000 - 10 * price * 1_000, "bonus": 0}
    for shop in jiangdu.shops:
        paid = await business.find("/v1/purchases", merchant_id=shop["merchant_id"])
        assert [one["amount_fen"] for one in paid] == [3_000, 2_000, 1_000]

    # A firm that joined with one store has not joined with the others; one that joined whole may open more.
    last, first = jiangdu.shops[-1], jiangdu.shops[3]
    second = await business.open_shop({"id": last["merchant_id"], "trade": TRADES[-1]}, "second", "二店", **JIANGDU)
    assert await business.pay_refused(holders[0], 100, second) == "not_accepted_here"
    branch = await business.open_shop({"id": first["merchant_id"], "trade": TRADES[3]}, "branch", "分店", **JIANGDU)
    await business.pay(holders[0], 100, branch)
    # An unregistered card stays in the region.
    assert await business.pay_refused(holders[0], 100, jiangdu.nanjing) == "outside_area"


async def hold_two_cards(business: Business, jiangdu: Jiangdu) -> tuple[Any, dict[str, str], dict[str, str]]:
    """An office worker applies online: four factors and a face; what she may spend a day holds over both cards."""
    worker = await business.take_in("1992-06-18")
    known, _ = resident("1992-06-18")
    verify = f"/v1/customers/{worker['id']}/verify"
    bank = {"bank_card_number": known.bank_card_number}
    assert (await jiangdu.desk.make(verify, level="contact"))["level"] == "contact"
    assert await jiangdu.desk.refused(verify, level="four_factors") == "identity_evidence_missing"
    wrong = await jiangdu.desk.make(verify, level="four_factors_face", **bank, face_token="face_00000001")
    assert (wrong["result"], wrong["level"]) == ("mismatched", "contact")
    checked = await jiangdu.desk.make(verify, level="four_factors_face", **bank, face_token=known.face_token)
    assert (checked["result"], checked["level"]) == ("matched", "four_factors_face")

    cards = []
    for _ in range(2):
        card = await business.issue_card(jiangdu.programme)
        await jiangdu.desk.make(f"/v1/cards/{card['id']}/register", customer_id=worker["id"])
        await business.load(card, 250_000)
        cards.append(card)
    wallet, second = cards
    await business.pay(wallet, 200_000, jiangdu.shops[0])
    assert await business.pay_refused(second, 100_001, jiangdu.shops[1]) == "limit_exceeded"
    await business.pay(second, 100_000, jiangdu.shops[1])
    assert await business.pay_refused(wallet, 1, jiangdu.shops[0]) == "limit_exceeded"
    (standing,) = (await business.get(f"/v1/cards/{wallet['id']}/limits"))["data"]
    assert (standing["used"], standing["left"], standing["limit"]["scope"]) == (300_000, 0, "person")

    # The next day is a new one. She puts her money together on one card.
    await business.wait_until(business.now.replace(hour=0, minute=0, second=1) + _DAY)
    moved = await jiangdu.desk.make(f"/v1/cards/{second['id']}/transfer", to_card_id=wallet["id"])
    assert (moved["status"], moved["amount_fen"]) == ("completed", 150_000)
    assert await jiangdu.desk.refused(f"/v1/cards/{second['id']}/transfer", to_card_id=wallet["id"]) == (
        "nothing_to_transfer"
    )
    assert await business.pockets(wallet) == {"principal": 200_000, "bonus": 0}
    return worker, wallet, second


async def turn_up_too_far_away(business: Business, jiangdu: Jiangdu, wallet: dict[str, str]) -> None:
    """Nanjing is 83 km away: ten minutes later it is somebody else, an hour later it may be her."""
    await business.wait(hours=8)
    await business.pay(wallet, 5_000, jiangdu.shops[0])
    await business.wait(minutes=10)
    assert await business.pay_refused(wallet, 100, jiangdu.nanjing) == "impossible_travel"
    await business.wait(minutes=50)
    await business.pay(wallet, 20_000, jiangdu.nanjing)
    assert await business.pockets(wallet) == {"principal": 175_000, "bonus": 0}


async def lose_a_phone(business: Business, jiangdu: Jiangdu, wallet: dict[str, str]) -> None:
    """An e-card is refused from the next request on, whatever plastic is given; with her PIN she takes it back."""
    await jiangdu.desk.make(f"/v1/cards/{wallet['id']}/pin", pin="582046")
    told = await jiangdu.desk.make(f"/v1/cards/{wallet['id']}/report-loss", cause="stolen")
    assert (told["status"], told["loss_effective_at"]) == ("lost", told["loss_reported_at"])
    assert await business.pay_refused(wallet, 100, jiangdu.nanjing) == "card_lost"
    assert await business.refused("/v1/loads", card_id=wallet["id"], amount_fen=100) == "card_lost"
    assert await jiangdu.desk.refused(f"/v1/cards/{wallet['id']}/found", pin="582047") == "pin_wrong"
    await jiangdu.desk.make(f"/v1/cards/{wallet['id']}/found", pin="582046")
    await business.pay(wallet, 100, jiangdu.nanjing)


async def give_to_a_student(business: Business, jiangdu: Jiangdu, card: dict[str, str]) -> None:
    """The other card goes to her niece by a link; nobody can spend it until it is claimed, and then only the niece."""
    await business.load(card, 20_000)
    gifts = f"/v1/cards/{card['id']}/gifts"
    regretted = (await jiangdu.desk.make(gifts))["gift"]
    assert (await jiangdu.desk.make(f"/v1/gifts/{regretted['id']}/cancel"))["status"] == "cancelled"
    given = await jiangdu.desk.make(gifts, message="生日快乐", expires_in_s=86_400)
    assert await business.pay_refused(card, 100, jiangdu.shops[5]) == "card_in_gift"
    niece = await business.take_in("2004-11-02", level="document")
    claim = {"token": given["token"], "customer_id": niece["id"]}
    assert await jiangdu.desk.refused("/v1/gifts/claim", **{**claim, "token": given["token"][:-1] + "-"}) == "not_found"
    claimed = await jiangdu.desk.make("/v1/gifts/claim", **claim)
    hers = claimed["card"]
    assert (claimed["message"], hers["customer_id"]) == ("生日快乐", niece["id"])
    assert hers["replaces_card_id"] == card["id"]
    assert (await jiangdu.desk.make("/v1/gifts/claim", **claim))["card"] == hers
    assert await business.pay_refused(card, 100, jiangdu.shops[5]) == "card_replaced"
    await business.pay(hers, 6_800, jiangdu.shops[5])
    assert await business.pockets(hers) == {"principal": 13_200, "bonus": 0}
    assert await business.story_of(hers) == [
        "issued", "activated", "gift_claimed", "transfer", "transferred_in", "purchase",
    ]  # fmt: skip

    # A link that nobody opens ends, and the card is its holder's again.
    await jiangdu.desk.make(f"/v1/cards/{hers['id']}/gifts", expires_in_s=3_600)
    await business.wait(hours=1, seconds=1)
    await business.pay(hers, 200, jiangdu.shops[5])


async def close(business: Business, jiangdu: Jiangdu, worker: Any, card: dict[str, str]) -> None:
    """The refund is what the agreement says; the bank sends the money back once, and a second account gets it."""
    address = f"/v1/cards/{card['id']}"
    assert await jiangdu.desk.refused(f"{address}/refund-quote", cause="holder") == "refund_rule_missing"
    agreed = agreement("JIANGDU-21", "江都购物卡用户协议 第21条", deadline_days=10)
    await business.settle_the_end(jiangdu.chen, jiangdu.wu, jiangdu.programme, refund_values=agreed)
    # nobody is given back what they paid three months ago or less because they wish it (CN-MP-RED-01)
    assert await jiangdu.desk.refused(f"{address}/refund-quote", cause="holder") == "redemption_too_early"
    await business.wait(days=92)
    quote = await jiangdu.desk.make(f"{address}/refund-quote", cause="holder")
    assert (quote["amount_fen"], len(quote["loads"])) == (174_900, 2)
    assert quote["formula_zh"].splitlines()[-1] == (
        "应退金额: 1749.00 + 0.00 = 1749.00  [JIANGDU-21; 江都购物卡用户协议 第21条]"
    )
    payee = account_of(worker, "江都农商行")
    body = {"cause": "holder", "quote_hash": quote["quote_hash"]}
    cash = {"method": "cash", "holder_name": worker["name"]}
    assert await jiangdu.desk.refused(f"{address}/close", **body, payee=cash) == "cash_not_allowed"
    payout = (await jiangdu.desk.make(f"{address}/close", **body, payee=payee))["payout"]
    assert payout["due_on"] == f"{business.now + 10 * _DAY:%Y-%m-%d}"

    failed = await jiangdu.chen.make(f"/v1/payouts/{payout['id']}/mark-failed", failure="账户已销户")
    assert failed["status"] == "failed"
    again = {**payee, "account_number": "6222020200011111111"}
    other = {**again, "account_name": "陈先生"}
    assert await jiangdu.desk.refused(f"/v1/payouts/{payout['id']}/replace", payee=other) == "payee_not_holder"
    second = await jiangdu.desk.make(f"/v1/payouts/{payout['id']}/replace", payee=again)
    assert (second["amount_fen"], second["account_masked"]) == (174_900, "**** 1111")
    assert (await jiangdu.chen.get(f"/v1/payouts/{second['id']}/payee"))["account_number"] == "6222020200011111111"
    await jiangdu.chen.make(f"/v1/payouts/{second['id']}/mark-paid", payment_reference="回单 0918")
    assert await business.refused("/v1/loads", card_id=card["id"], amount_fen=100) == "card_closed"
    assert await business.told(card) == ["card.closed", "payout.failed", "payout.paid"]
    assert await business.story_of(card) == [
        "issued", "activated", "number_revealed", "registered", "load", "purchase", "transfer", "transferred_in",
        "purchase", "purchase", "pin_set", "loss_reported", "found", "purchase", "closing", "closed",
    ]  # fmt: skip
