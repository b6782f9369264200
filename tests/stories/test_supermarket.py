"""红旗 (R): a supermarket's own card, taken in its own stores only."""

from tests.stories.till import Business


async def test_a_supermarket_sells_its_own_card(business: Business) -> None:
    market = await business.open_shop("hongqi", "红旗超市", "grocery")
    rival = await business.open_shop("rival", "隔壁超市", "grocery")
    programme = await business.start_programme(
        "red", "红色购物卡", prefix="888801", accepts=[{"merchant_id": market["merchant_id"]}],
        max_balance_fen=100_000, bonus_valid_days=90,
    )  # fmt: skip
    till, elsewhere = market["terminal_id"], rival["terminal_id"]

    # A card is worth nothing before it is activated.
    plain = await business.make("/v1/cards", programme_id=programme["id"], form="physical")
    assert await business.refused("/v1/loads", card_id=plain["id"], amount_fen=1) == "card_not_active"
    card = await business.issue_card(programme, "physical")

    # 满500送30: pay 500 yuan, get 30 on top.
    loaded = await business.make(
        "/v1/loads", card_number=card["number"], amount_fen=50_000, bonus_fen=3_000, terminal_id=till
    )
    assert loaded["balance_fen"] == 53_000
    assert await business.pockets(card) == {"principal": 50_000, "bonus": 3_000}

    # The bonus goes first; it expires.
    bought = await business.make(
        "/v1/purchases", card_number=card["number"], amount_fen=10_000, terminal_id=till, reference="小票 0001"
    )
    assert {one["pocket"]: one["amount_fen"] for one in bought["pockets"]} == {"bonus": 3_000, "principal": 7_000}
    assert await business.pockets(card) == {"principal": 43_000, "bonus": 0}

    # One article comes back: its value returns to both pockets, in the ratio in which it was paid.
    returned = await business.make("/v1/refunds", payment_id=bought["id"], amount_fen=5_000, reference="退货 0001")
    assert {one["pocket"]: one["amount_fen"] for one in returned["pockets"]} == {"bonus": 1_500, "principal": 3_500}
    assert await business.pockets(card) == {"principal": 46_500, "bonus": 1_500}
    again = {"payment_id": bought["id"], "amount_fen": 5_001}
    assert await business.refused("/v1/refunds", **again) == "refund_exceeds_payment"

    # It is the supermarket's own card, of a limited balance.
    basket = {"card_number": card["number"], "amount_fen": 100}
    assert await business.refused("/v1/purchases", **basket, terminal_id=elsewhere) == "not_accepted_here"
    assert await business.refused("/v1/loads", card_id=card["id"], amount_fen=52_001) == "balance_cap_exceeded"

    # Lost: blocked at once, and found again.
    await business.make(f"/v1/cards/{card['id']}/block", reason="operator")
    assert await business.refused("/v1/purchases", **basket, terminal_id=till) == "card_blocked"
    await business.make(f"/v1/cards/{card['id']}/unblock")
    await business.make("/v1/purchases", **basket, terminal_id=till)

    # The office sees the same.
    seen = await business.get(f"/v1/purchases/{bought['id']}")
    assert (seen["refunded_fen"], seen["captured_fen"], seen["reference"]) == (5_000, 10_000, "小票 0001")
    assert sum((await business.pockets(card)).values()) == 53_000 - 10_000 + 5_000 - 100
