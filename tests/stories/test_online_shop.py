"""瑞祥 (X): an online shop sets the price aside when the order comes, and takes it when the parcel leaves."""

from tests.stories.till import Business


async def test_an_online_order_is_authorized_and_captured_as_it_ships(business: Business) -> None:
    merchant = await business.make("/v1/merchants", code="ruixiang", name="瑞祥商城", trade="online")
    shop = await business.open_shop(merchant, "ruixiang", "瑞祥商城")
    issuer = await business.make("/v1/issuers", code="ruixiang", name="瑞祥购物卡", time_zone="Asia/Shanghai")
    programme = await business.make(
        "/v1/programmes", issuer_id=issuer["id"], code="ruixiang", name="瑞祥购物卡", currency="CNY",
        number_prefix="888803",
    )  # fmt: skip
    await business.make(f"/v1/programmes/{programme['id']}/acceptance", add=[{"merchant_id": merchant["id"]}])
    card = await business.issue_card(programme)
    await business.make("/v1/loads", card_id=card["id"], amount_fen=30_000)
    order = {"card_id": card["id"], "terminal_id": shop["terminal_id"]}

    # Two articles, 120 and 80 yuan: the whole is set aside and cannot be spent twice.
    held = await business.make("/v1/authorizations", **order, amount_fen=20_000, reference="order 1")
    assert (held["status"], held["captured_fen"], held["balance_fen"]) == ("open", 0, 10_000)
    assert await business.refused("/v1/purchases", **order, amount_fen=10_001) == "insufficient_funds"

    # The first parcel leaves, then the second, which turned out cheaper: the rest goes back.
    capture = f"/v1/authorizations/{held['id']}/capture"
    first = await business.make(capture, amount_fen=12_000, final=False)
    assert (first["status"], first["captured_fen"], first["balance_fen"]) == ("open", 12_000, 10_000)
    assert await business.refused(capture, amount_fen=8_001) == "capture_exceeds_authorization"
    last = await business.make(capture, amount_fen=7_500)
    assert (last["status"], last["captured_fen"], last["balance_fen"]) == ("completed", 19_500, 10_500)
    assert await business.refused(capture, amount_fen=1) == "authorization_not_open"

    # The first article is sent back.
    refund = await business.make("/v1/refunds", payment_id=held["id"], amount_fen=12_000, reference="return 1")
    assert refund["payment_id"] == held["id"]
    assert await business.pockets(card) == {"principal": 22_500, "bonus": 0}
    assert await business.refused("/v1/refunds", payment_id=held["id"], amount_fen=7_501) == "refund_exceeds_payment"

    # Another order is cancelled before anything leaves.
    held = await business.make("/v1/authorizations", **order, amount_fen=22_500, expires_in_s=600)
    assert held["balance_fen"] == 0
    gone = await business.make(f"/v1/authorizations/{held['id']}/void")
    assert (gone["status"], gone["balance_fen"]) == ("voided", 22_500)
    assert await business.refused(f"/v1/authorizations/{held['id']}/capture") == "authorization_not_open"
    assert await business.refused("/v1/refunds", payment_id=held["id"]) == "not_refundable"

    # A connection breaks and the shop asks again: the same order is one order.
    headers = {"idempotency-key": "order-3"}
    body = {**order, "amount_fen": 2_500}
    answers = [await business.client.post("/v1/purchases", json=body, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await business.pockets(card) == {"principal": 20_000, "bonus": 0}
