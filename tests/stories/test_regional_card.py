"""江都 (J): one card that many independent merchants of a region take."""

from tests.stories.till import Business

TRADES = ("restaurant", "cinema", "pharmacy", "bookshop", "bakery")


async def test_a_regional_card_is_taken_by_many(business: Business) -> None:
    shops = [await business.open_shop(f"{trade}-{n}", f"{trade}{n}号", trade) for trade in TRADES for n in range(2)]
    outsider = await business.open_shop("outsider", "未签约商户", "grocery")
    # The last two joined with a single store each, not with the whole firm.
    accepts = [{"merchant_id": shop["merchant_id"]} for shop in shops[:-2]]
    accepts += [{"merchant_id": shop["merchant_id"], "store_id": shop["store_id"]} for shop in shops[-2:]]
    programme = await business.start_programme("jiangdu", "江都购物卡", prefix="888802", accepts=accepts)

    holders = [await business.issue_card(programme) for _ in range(3)]
    for holder in holders:
        await business.make("/v1/loads", card_number=holder["number"], amount_fen=100_000)

    # Everybody pays everywhere.
    for price, holder in enumerate(holders, start=1):
        for shop in shops:
            paid = {"card_number": holder["number"], "amount_fen": price * 1_000, "terminal_id": shop["terminal_id"]}
            await business.make("/v1/purchases", **paid)
    for price, holder in enumerate(holders, start=1):
        assert await business.pockets(holder) == {"principal": 100_000 - 10 * price * 1_000, "bonus": 0}

    # Each merchant finds its own payments, and only these.
    for shop in shops:
        page = await business.get("/v1/purchases", merchant_id=shop["merchant_id"])
        assert [one["amount_fen"] for one in page["data"]] == [3_000, 2_000, 1_000]

    # Who has not joined is not paid; a second store of a firm that joined with one is not either.
    basket = {"card_number": holders[0]["number"], "amount_fen": 100}
    assert await business.refused("/v1/purchases", **basket, terminal_id=outsider["terminal_id"]) == "not_accepted_here"
    second = await business.make("/v1/stores", merchant_id=shops[-1]["merchant_id"], code="second", name="二店")
    terminal = await business.make("/v1/terminals", store_id=second["id"], code="second-1")
    assert await business.refused("/v1/purchases", **basket, terminal_id=terminal["id"]) == "not_accepted_here"
    # A firm that joined as a whole may open stores as it likes.
    branch = await business.make("/v1/stores", merchant_id=shops[0]["merchant_id"], code="branch", name="分店")
    terminal = await business.make("/v1/terminals", store_id=branch["id"], code="branch-1")
    await business.make("/v1/purchases", **basket, terminal_id=terminal["id"])

    # More than there is, at any of them.
    assert (
        await business.refused(
            "/v1/purchases", card_number=holders[2]["number"], amount_fen=70_001, terminal_id=shops[0]["terminal_id"]
        )
        == "insufficient_funds"
    )
