"""Offers of the businesses of the articles: from the file of a campaign to the sums that its funders owe.

The supermarket's 满500送30 with a monthly return (R4), the online shop's tiered rebate in vouchers that may be paid
into a card (X, C7, B), the bank's 满100减10 beside a joint 满300送50 of an alliance (J6, J14), and vouchers of a city
(C1, J16).
"""

from datetime import timedelta
from typing import Any, NamedTuple

from tests.stories.till import Business, Desk, Thing


class House(NamedTuple):
    """Who runs the offers, on which card, and where it pays."""

    wang: Desk
    li: Desk
    issuer: Any
    programme: Any
    shop: Any


async def open_house(business: Business, *, trade: str = "grocery", **place: Any) -> House:
    """An issuer with one programme and one shop, and a rule of the house: 8 % and 90 days at the most."""
    wang = await business.hire("wang", "王运营", "operator")
    li = await business.hire("li", "李复核", "approver")
    issuer = await wang.make("/v1/issuers", code="house", name="商家", time_zone="Asia/Shanghai")
    rule = {
        "jurisdiction": "CN", "action": "reject", "effective_from": f"{business.now:%Y-%m-%d}", "source": "营销制度",
    }  # fmt: skip
    rules = [
        {**rule, "id": "HOUSE-REBATE-8", "metric": "rebate_cap_bp", "value": 800, "title_zh": "返利最高 8%",
         "title_en": "Rebates reach 8 % at the most"},
        {**rule, "id": "HOUSE-DAYS-90", "metric": "voucher_validity_max_days", "value": 90, "title_zh": "券最长 90 天",
         "title_en": "Vouchers live for 90 days at the most"},
    ]  # fmt: skip
    change = await wang.make("/v1/policy/changes", issuer_id=issuer["id"], note="营销上限", add=rules)
    await li.make(f"/v1/policy/changes/{change['id']}/approve", reason="同意")
    programme = await wang.make(
        "/v1/programmes", issuer_id=issuer["id"], code="card", name="购物卡", currency="CNY", number_prefix="888801",
    )  # fmt: skip
    merchant = await wang.make("/v1/merchants", code="shop", name="总店", trade=trade)
    await wang.make(f"/v1/programmes/{programme['id']}/acceptance", add=[{"merchant_id": merchant["id"]}])
    shop = await business.open_shop(merchant, "shop", "总店", **place)
    return House(wang, li, issuer, programme, shop)


def file(business: Business, house: House, code: str, *offers: dict[str, Any], days: int = 60, **more: Any) -> Any:
    """A campaign file: from today's midnight on, nobody kept out of it."""
    today = business.now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return {
        "code": code, "name": code, "issuer_id": house.issuer["id"], "starts_at": today.isoformat(),
        "ends_at": (today + timedelta(days=days)).isoformat(), "offers": list(offers), "control_bp": 0, **more,
    }  # fmt: skip


def goods(*amounts_fen: int, sku: str = "") -> list[dict[str, Any]]:
    return [{"number": n, "sku": sku, "amount_fen": fen} for n, fen in enumerate(amounts_fen, start=1)]


class Accountant:
    """Adds up by funder what the answers say, refunds taken off."""

    def __init__(self) -> None:
        self.by_funder: dict[str, int] = {}
        self.discount_fen = 0

    def note(self, payment: Thing, *, back: bool = False) -> None:
        sign = -1 if back else 1
        for offer in payment["pricing"]["offers"]:
            for share in offer["funders"]:
                name = share["party_id"] or share["kind"]
                self.by_funder[name] = self.by_funder.get(name, 0) + sign * share["amount_fen"]
        self.discount_fen += sign * payment["pricing"]["discount_fen"]

    async def agrees(self, business: Business) -> None:
        """What everybody pays is in the books, an account for each, and together it is what was taken off."""
        books = await business.books_of("discount_expense")
        assert books["discount_expense"] == sorted((fen for fen in self.by_funder.values() if fen), reverse=True)
        assert sum(self.by_funder.values()) == self.discount_fen


async def test_a_supermarket_gives_30_on_500_and_returns_by_months(business: Business) -> None:
    house = await open_house(business)
    brand = await house.wang.make("/v1/funders", code="brand", name="白酒厂家", kind="supplier")

    # 10 % is more than the house allows: the file is refused as a whole, and the rule is named.
    too_much = {"name": "满500送50", "kind": "load_bonus", "params": {"tiers": [[50_000, 5_000]]}}
    refused = file(business, house, "SPRING", too_much)
    assert (await house.wang.problem("/v1/campaigns", **refused))["rule"] == "HOUSE-REBATE-8"
    assert await house.wang.find("/v1/campaigns") == []

    bonus = {
        "name": "满500送30", "kind": "load_bonus", "params": {"tiers": [[50_000, 3_000]]}, "stacking": {"group": ""},
        "funders": [["issuer", None, 7_000], ["party", brand["id"], 3_000]],
    }  # fmt: skip
    monthly = {
        "name": "按月返还", "kind": "monthly_return", "params": {"from_fen": 50_000, "return_bp": 200, "months": 3},
        "stacking": {"group": ""},
    }  # fmt: skip
    budget = {"name": "两次", "metric": "count", "maximum": 2}
    campaign = await business.publish(
        house.wang, house.li, **file(business, house, "SPRING", bonus, monthly, budgets=[budget])
    )

    # The first two get 30 yuan now and 10 in three parts; the third comes too late, and that is told once.
    cards = [await business.issue_card(house.programme) for _ in range(3)]
    for card, given in zip(cards, (3_000, 3_000, 0), strict=True):
        loaded = await business.load(card, 50_000)
        assert (loaded["amount_fen"], loaded["bonus_fen"]) == (50_000, given)
        assert await business.pockets(card) == {"principal": 50_000, "bonus": given}
        if given:
            grants = {one["offer"]: (one["amount_fen"], len(one["due_on"])) for one in loaded["pricing"]["grants"]}
            assert grants == {"满500送30": (3_000, 0), "按月返还": (1_000, 3)}
    assert len(await house.wang.find("/v1/notices", event="budget.exhausted")) == 1

    # A purchase takes its part of the bonus, and a part refund puts it back where it came from.
    paid = await business.pay(cards[0], 53_000, house.shop)
    await business.make("/v1/refunds", payment_id=paid["id"], amount_fen=10_000)
    assert sum((await business.pockets(cards[0])).values()) == 10_000

    # It ends before its time; what was promised is kept.
    await business.end(house.wang, house.li, campaign)
    assert (await business.load(await business.issue_card(house.programme), 50_000))["bonus_fen"] == 0
    for month, given in ((1, 334), (2, 667), (3, 1_000)):
        await business.wait(days=31)
        held = await business.pockets(cards[1])
        assert (held["principal"], held["bonus"]) == (50_000, 3_000 + given), month

    # Two bonuses of 30 yuan, 7 to 3, and twice 10 yuan of the house: an account of the house and one of the brand.
    books = await business.books_of("bonus_expense")
    assert books["bonus_expense"] == [2 * 2_100 + 2 * 1_000, 2 * 900]


async def test_an_online_shop_pays_rebates_in_vouchers_and_takes_them_back(business: Business) -> None:
    house = await open_house(business, trade="online")
    template = await house.wang.make(
        "/v1/voucher-templates", issuer_id=house.issuer["id"], code="ten", name="10元券", kind="value", currency="CNY",
        face_fen=1_000, offer_kind="amount_off", offer_params={"tiers": [[5_000, 1_000]]}, valid_days=90,
        funders=[{"kind": "issuer", "share_bp": 10_000}], load_pocket="bonus", transferable=True,
    )  # fmt: skip
    tiers = {"tiers": [[50_000, 500], [200_000, 800]], "template_id": template["id"], "face_fen": 1_000}
    rebate = {"name": "阶梯返券", "kind": "load_rebate", "params": {**tiers, "valid_days": 90, "most_fen": 20_000}}
    too_long = file(business, house, "REBATE", {**rebate, "params": {**tiers, "valid_days": 91, "most_fen": 20_000}})
    assert (await house.wang.problem("/v1/campaigns", **too_long))["rule"] == "HOUSE-DAYS-90"
    campaign = await business.publish(house.wang, house.li, **file(business, house, "REBATE", rebate))

    # 5 % of 500 yuan are two vouchers of 10 yuan, 8 % of 3,000 would be 24: 20 at the most.
    rich, card = await business.issue_card(house.programme), await business.issue_card(house.programme)
    loaded = await business.load(card, 50_000)
    assert (loaded["pricing"]["grants"][0]["count"], loaded["bonus_fen"]) == (2, 0)
    assert (await business.load(rich, 300_000))["pricing"]["grants"][0]["amount_fen"] == 20_000
    vouchers = await business.find("/v1/vouchers", card_id=card["id"])
    assert [one["status"] for one in vouchers] == ["held", "held"]
    one, two = (voucher["id"] for voucher in vouchers)

    # Both in one order of 60 yuan: the price is what was quoted; too small an order leaves them with their holder.
    order = {**_at(house, card), "amount_fen": 6_000, "lines": goods(4_000, 2_000), "vouchers": [one]}
    quoted = await business.make("/v1/quotes", **order)
    accountant = Accountant()
    bought = await business.make("/v1/purchases", **order)
    accountant.note(bought)
    assert (bought["amount_fen"], bought["pricing"]["payable_fen"]) == (5_000, quoted["pricing"]["payable_fen"])
    assert await business.refused("/v1/purchases", **order) == "voucher_not_usable"
    small = await business.make("/v1/purchases", **_at(house, card), amount_fen=4_999, vouchers=[two])
    assert (small["amount_fen"], (await business.get(f"/v1/vouchers/{two}"))["status"]) == (4_999, "held")

    # A part comes back: two thirds of the voucher with it, which is still used; then the rest, and it is held again.
    back = await business.make("/v1/refunds", payment_id=bought["id"], lines=[{"number": 1, "amount_fen": 4_000}])
    accountant.note(back, back=True)
    found = await business.get(f"/v1/vouchers/{one}")
    assert (back["amount_fen"], found["status"], found["returned_fen"]) == (3_333, "redeemed", 667)
    rest = await business.make("/v1/refunds", payment_id=bought["id"])
    accountant.note(rest, back=True)
    assert (rest["amount_fen"], (await business.get(f"/v1/vouchers/{one}"))["status"]) == (1_667, "held")
    assert await business.pockets(card) == {"principal": 50_000 - 4_999, "bonus": 0}

    # One is redeemed for good, the other bought into the card, in which it is spent like a bonus.
    last = await business.make("/v1/purchases", **order)
    accountant.note(last)
    assert (await business.make(f"/v1/vouchers/{two}/load", card_id=card["id"]))["amount_fen"] == 1_000
    assert await business.refused(f"/v1/vouchers/{two}/load", card_id=card["id"]) == "voucher_not_usable"
    assert await business.pockets(card) == {"principal": 50_000 - 4_999 - 5_000, "bonus": 1_000}

    # The campaign is over, and after ninety days so are its vouchers.
    await business.end(house.wang, house.li, campaign)
    assert "pricing" not in await business.load(card, 50_000)
    await business.wait(days=92)
    assert {one["status"] for one in await business.find("/v1/vouchers", card_id=rich["id"])} == {"expired"}
    (owed,) = await business.find("/v1/voucher-reports/funding")
    assert (owed["outstanding_fen"], owed["redeemed_fen"], owed["loaded_fen"], owed["expired_fen"]) == (
        0, 1_000, 1_000, 20_000,
    )  # fmt: skip
    assert accountant.by_funder == {"issuer": owed["redeemed_fen"]}
    await accountant.agrees(business)


def _at(house: House, card: Thing) -> dict[str, Any]:
    return {"card_id": card["id"], "terminal_id": house.shop["terminal_id"]}


async def test_a_bank_pays_10_on_100_and_merchants_give_50_on_300(business: Business) -> None:
    house = await open_house(business, trade="catering")
    bank = await house.wang.make("/v1/funders", code="bank", name="江都农商行", kind="bank")
    template = await house.wang.make(
        "/v1/voucher-templates", issuer_id=house.issuer["id"], code="fifty", name="50元券", kind="value",
        currency="CNY", face_fen=5_000, offer_kind="amount_off", offer_params={"tiers": [[10_000, 5_000]]},
        valid_days=30, funders=[{"kind": "merchant", "share_bp": 10_000}],
    )  # fmt: skip
    off = {
        "name": "满100减10", "kind": "amount_off", "params": {"tiers": [[10_000, 1_000]]},
        "funders": [["party", bank["id"], 8_000], ["issuer", None, 2_000]],
    }  # fmt: skip
    overlapping = {**off, "params": {"tiers": [[10_000, 1_000], [10_000, 2_000]]}}
    fault = (await house.wang.make("/v1/campaigns/check", **file(business, house, "BANK", overlapping)))["faults"]
    assert [one["field"] for one in fault] == ["offers[0].params.tiers[1].from_fen"]
    budgets = [
        {"name": "总额", "metric": "amount", "maximum": 3_500},
        {"name": "每卡每日", "metric": "count", "maximum": 1, "scope": "card", "period": "day"},
    ]
    campaign = await business.publish(house.wang, house.li, **file(business, house, "BANK", off, budgets=budgets))
    gift = {"template_id": template["id"], "face_fen": 5_000, "valid_days": 30}
    fifty = {"name": "满300送50", "kind": "gift_vouchers", "params": {"tiers": [[30_000, gift]]},
             "stacking": {"group": "", "base": "list"}}  # fmt: skip
    await business.publish(house.wang, house.li, **file(business, house, "JOINT", fifty))

    cards = [await business.issue_card(house.programme) for _ in range(4)]
    for card in cards:
        await business.load(card, 100_000)
    accountant = Accountant()

    # Dinner for 320 yuan, of which the restaurant takes 20 off itself: 10 of the bank, and a voucher for the next time.
    dinner = {"amount_fen": 32_000, "outside_offers": [{"name": "店庆", "amount_fen": 2_000, "group": "shop"}]}
    bought = await business.make("/v1/purchases", **_at(house, cards[0]), **dinner)
    accountant.note(bought)
    assert (bought["amount_fen"], bought["pricing"]["outside_fen"], bought["pricing"]["discount_fen"]) == (
        29_000, 2_000, 1_000,
    )  # fmt: skip
    assert bought["pricing"]["grants"][0]["amount_fen"] == 5_000
    (voucher,) = await business.find("/v1/vouchers", card_id=cards[0]["id"])

    # Once a day for each card; why, the quote says. The voucher goes with it, and is the restaurant's own.
    lunch = {**_at(house, cards[0]), "amount_fen": 12_000, "lines": goods(7_000, 5_000), "vouchers": [voucher["id"]]}
    skipped = {one["offer"]: one["why"]["code"] for one in (await business.make("/v1/quotes", **lunch))["skipped"]}
    assert skipped["满100减10"] == "offer_budget_exhausted"
    eaten = await business.make("/v1/purchases", **lunch)
    accountant.note(eaten)
    assert (eaten["amount_fen"], eaten["pricing"]["discount_fen"]) == (7_000, 5_000)
    back = await business.make("/v1/refunds", payment_id=eaten["id"], lines=[{"number": 2, "amount_fen": 5_000}])
    accountant.note(back, back=True)
    assert (back["amount_fen"], back["pricing"]["discount_fen"]) == (2_917, 2_083)

    # Three more come: for the last there is not enough left, and nobody gets a part of an offer.
    for card, off_fen in zip(cards[1:], (1_000, 1_000, 0), strict=True):
        paid = await business.pay(card, 10_000, house.shop)
        assert paid["amount_fen"] == 10_000 - off_fen
        if off_fen:
            accountant.note(paid)
    assert len(await house.wang.find("/v1/notices", event="budget.exhausted")) >= 1

    # What comes back can be given again.
    returned = await business.make("/v1/refunds", payment_id=bought["id"])
    accountant.note(returned, back=True)
    assert returned["amount_fen"] == 29_000

    await business.end(house.wang, house.li, campaign)
    await business.wait(days=1)
    assert (await business.pay(cards[1], 10_000, house.shop))["amount_fen"] == 10_000
    assert accountant.by_funder == {bank["id"]: 1_600, "issuer": 400, "merchant": 5_000 - 2_083}
    await accountant.agrees(business)


async def test_a_city_gives_vouchers_for_its_districts(business: Business) -> None:
    house = await open_house(business, trade="retail", district="黄浦区")
    other = await house.wang.make("/v1/merchants", code="far", name="分店", trade="retail")
    await house.wang.make(f"/v1/programmes/{house.programme['id']}/acceptance", add=[{"merchant_id": other["id"]}])
    far = await business.open_shop(other, "far", "分店", district="静安区")
    city = await house.wang.make("/v1/funders", code="city", name="市商务局", kind="government")
    template = await house.wang.make(
        "/v1/voucher-templates", issuer_id=house.issuer["id"], code="city-20", name="满100减20", kind="value",
        currency="CNY", face_fen=2_000, offer_kind="amount_off", offer_params={"tiers": [[10_000, 2_000]]},
        district="黄浦区", valid_days=30, max_per_holder=2,
        funders=[{"kind": "party", "funder_id": city["id"], "share_bp": 10_000}], load_pocket="bonus",
        eligibility={"min_level": "document"},
    )  # fmt: skip
    batch = {"template_id": template["id"], "name": "第一轮", "voucher_count": 5, "code_length": None}
    assert await house.wang.refused("/v1/voucher-batches", **batch) == "approval_required"
    approval_id = await business.approval("voucher_issue", house.wang, house.li, template, **batch)
    made = await house.wang.make("/v1/voucher-batches", **batch, approval_id=approval_id)
    await business.work()

    # For who has shown a document, two each, whoever asks first.
    stranger, anna = await business.take_in("1990-01-01"), await business.take_in("1985-05-05", level="document")
    claim = f"/v1/voucher-templates/{template['id']}/claim"
    assert await business.refused(claim, customer_id=stranger["id"]) == "voucher_not_eligible"
    hers = (await business.make(claim, customer_id=anna["id"], voucher_count=2))["data"]
    assert await business.refused(claim, customer_id=anna["id"]) == "voucher_limit_reached"
    ben = await business.take_in("1970-07-07", level="document")
    (his,) = (await business.make(claim, customer_id=ben["id"]))["data"]
    card = await business.issue_card(house.programme)
    await business.make(f"/v1/cards/{card['id']}/register", customer_id=anna["id"])
    await business.load(card, 50_000)

    # It is taken in the shops of its district alone; elsewhere it is left with its holder, and nothing is paid.
    one, two = (voucher["id"] for voucher in hers)
    elsewhere = {"card_id": card["id"], "terminal_id": far["terminal_id"], "amount_fen": 10_000, "vouchers": [one]}
    away = await business.make("/v1/quotes", **elsewhere)
    assert (away["pricing"]["discount_fen"], away["vouchers"][0]["why"]["code"]) == (0, "voucher_elsewhere")
    assert await business.refused("/v1/purchases", **elsewhere) == "voucher_elsewhere"
    assert await business.pockets(card) == {"principal": 50_000, "bonus": 0}
    assert (await business.get(f"/v1/vouchers/{one}"))["status"] == "held"
    accountant = Accountant()
    at_home = {**_at(house, card), "amount_fen": 10_000, "lines": goods(6_000, 4_000), "vouchers": [one]}
    bought = await business.make("/v1/purchases", **at_home)
    accountant.note(bought)
    assert bought["amount_fen"] == 8_000
    back = await business.make("/v1/refunds", payment_id=bought["id"], lines=[{"number": 2, "amount_fen": 4_000}])
    accountant.note(back, back=True)
    assert (back["amount_fen"], back["pricing"]["discount_fen"]) == (3_200, 800)

    # Somebody else's is nobody's here; the second one is paid into the card.
    stolen = {**at_home, "vouchers": [his["id"]]}
    assert await business.refused("/v1/purchases", **stolen) == "voucher_not_held"
    await business.make(f"/v1/vouchers/{two}/load", card_id=card["id"])
    assert await business.pockets(card) == {"principal": 50_000 - 8_000 + 3_200, "bonus": 2_000}

    # After thirty days his ends unused; what nobody claimed is made void by two; the city pays what its report says.
    await business.wait(days=32)
    assert (await business.get(f"/v1/vouchers/{his['id']}"))["status"] == "expired"
    void = {"reason": "活动结束"}
    approval_id = await business.approval("voucher_cancelling", house.wang, house.li, made, **void)
    cancelled = await house.wang.make(f"/v1/voucher-batches/{made['id']}/cancel", **void, approval_id=approval_id)
    assert cancelled["cancelled_count"] == 2
    (owed,) = await business.find("/v1/voucher-reports/funding")
    assert (owed["funder_id"], owed["district"]) == (city["id"], "黄浦区")
    assert (owed["outstanding_count"], owed["redeemed_count"], owed["loaded_fen"], owed["expired_fen"]) == (
        0, 1, 2_000, 2_000,
    )  # fmt: skip
    assert accountant.by_funder == {city["id"]: 1_200}
    assert owed["redeemed_fen"] == 1_200
    await accountant.agrees(business)
