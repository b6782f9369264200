"""The end of a card, payouts, webhook endpoints and notices as a client sees them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import asdict
from tests.contract.api import Api, problem
from tests.town import audits_hold
from tests.unit.test_refund_quote import VALUES

from kaquan.parties import Mode, Scope

UNKNOWN = "0" * 32
TERMS: dict[str, Any] = {
    "remind_days": [30, 7],
    "dormant_months": 12,
    "refund_values": [asdict(value) for value in VALUES],
}
PAYEE = {
    "method": "bank_transfer",
    "holder_name": "王敏",
    "account_name": "王敏",
    "account_number": "6222020200012345678",
    "bank_name": "某银行",
}


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body, headers={"idempotency-key": datetime.now(UTC).isoformat()})
    assert response.status_code in (200, 201), response.text
    answer: dict[str, Any] = response.json()
    return answer


async def furnish(client: httpx.AsyncClient, **terms: Any) -> dict[str, Any]:
    """A programme with closing terms and an active card with 1,000.00 paid and 200.00 given."""
    issuer = await made(client, "/v1/issuers", code="i", name="发卡方", time_zone="Asia/Shanghai")
    programme = await made(
        client, "/v1/programmes", issuer_id=issuer["id"], code="red", name="红卡", currency="CNY",
        number_prefix="888801", principal_valid_days=90, **terms,
    )  # fmt: skip
    answer = await client.put(f"/v1/programmes/{programme['id']}/closing-terms", json=TERMS)
    assert answer.status_code == 200, answer.text
    card = await made(client, "/v1/cards", programme_id=programme["id"], form="digital")
    await made(client, f"/v1/cards/{card['id']}/activate")
    load = await made(client, "/v1/loads", card_id=card["id"], amount_fen=100_000, bonus_fen=20_000)
    return {"programme": programme["id"], "card": card["id"], "load": load["id"]}


async def test_terms_are_set_and_read_back(live: httpx.AsyncClient) -> None:
    town = await furnish(live)
    address = f"/v1/programmes/{town['programme']}/closing-terms"
    assert (await live.get(address)).json() == TERMS
    for change, field in (
        ({"remind_days": [7, 7]}, "remind_days"),
        ({"remind_days": [0]}, "remind_days[0]"),
        ({"dormant_months": 0}, "dormant_months"),
        ({"refund_values": [{**TERMS["refund_values"][0], "name": "unheard"}]}, "refund_values"),
        ({"refund_values": [{"name": "cooling_off_days", "value": 6, "rule_id": "H", "source": "h"}]}, "refund_values"),
        ({"refund_values": [{"name": "base"}]}, "refund_values[0].value"),
        ({"days": 1}, "days"),
    ):
        problem(await live.put(address, json=change), 400, "invalid_field", field)
    assert (await live.get(address)).json() == TERMS
    problem(await live.get(f"/v1/programmes/prog_{UNKNOWN}/closing-terms"), 404, "not_found", "id")
    problem(await live.put(f"/v1/programmes/prog_{UNKNOWN}/closing-terms", json={}), 404, "not_found", "id")
    assert (await live.put(address, json={})).json() == {
        "remind_days": [], "dormant_months": None, "refund_values": [],
    }  # fmt: skip
    by_law = await live.post(f"/v1/cards/{town['card']}/refund-quote", json={"cause": "holder"})
    assert (by_law.status_code, by_law.json()["amount_fen"]) == (200, 100_000)
    problem(
        await live.post(f"/v1/cards/{town['card']}/refund-quote", json={"cause": "void"}),
        409, "refund_rule_missing", "cause",
    )  # fmt: skip


async def test_a_card_is_quoted_closed_and_paid_out_by_two(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    maker, checker = await api.client_of(book), await api.client_of(book)
    town = await furnish(maker)
    card = f"/v1/cards/{town['card']}"
    quote = (await maker.post(f"{card}/refund-quote", json={"cause": "holder"})).json()
    assert (quote["amount_fen"], quote["principal_fen"], quote["interest_fen"]) == (100_000, 100_000, 0)
    assert quote["loads"] == [{"load_id": town["load"], "cause": "holder", "refund_fen": 100_000, "interest_fen": 0}]
    assert "Paid: 1000.00 = 1000.00  [CN-SPC-REF-BASE" in quote["formula"]
    assert "已付本金" in quote["formula_zh"]
    assert {line["rule_id"] for line in quote["lines"]} >= {"CN-SPC-REF-BASE", "CN-SPC-REF-CONS"}
    body = {"cause": "holder", "quote_hash": quote["quote_hash"], "payee": PAYEE}
    problem(await maker.post(f"{card}/close", json=body), 400, "idempotency_key_missing", "Idempotency-Key")
    key = {"idempotency-key": "close-1"}
    closed = await maker.post(f"{card}/close", json=body, headers=key)
    assert closed.status_code == 200, closed.text
    again = await maker.post(f"{card}/close", json=body, headers=key)
    assert (again.status_code, again.content) == (200, closed.content), "byte for byte"
    other = {**body, "payee": {**PAYEE, "bank_name": "另一银行"}}
    problem(
        await maker.post(f"{card}/close", json=other, headers=key), 422, "idempotency_key_reused", "Idempotency-Key"
    )
    problem(await maker.post(f"{card}/close", json=body, headers={"idempotency-key": "2"}), 409, "card_closed", "id")
    problem(await maker.post(f"{card}/refund-quote", json={"cause": "holder"}), 409, "card_closed", "id")
    assert (await maker.get(card)).json()["status"] == "closed"
    assert [one["posted_fen"] for one in (await maker.get(f"{card}/accounts")).json()["data"]] == [0, 0]
    closure = (await maker.get(f"{card}/closure")).json()
    assert closure == closed.json()
    assert closure["quote"] == quote

    payout = closure["payout"]
    assert (payout["status"], payout["amount_fen"], payout["account_masked"]) == ("pending", 100_000, "**** 5678")
    address = f"/v1/payouts/{payout['id']}"
    assert (await maker.get(address)).json() == payout
    for query in ("", f"?card_id={town['card']}", "?status=pending"):
        assert (await maker.get(f"/v1/payouts{query}")).json()["data"] == [payout]
    assert (await maker.get("/v1/payouts?status=paid")).json()["data"] == []
    assert (await checker.get(f"{address}/payee")).json() == PAYEE
    paid = {"payment_reference": "bank 2026-1"}
    own = await maker.post(f"{address}/mark-paid", json=paid, headers={"idempotency-key": "p1"})
    problem(own, 403, "four_eyes", "id")
    done = await checker.post(f"{address}/mark-paid", json=paid, headers={"idempotency-key": "p2"})
    assert (done.status_code, done.json()["status"]) == (200, "paid")
    assert (await checker.post(f"{address}/mark-paid", json=paid, headers={"idempotency-key": "p2"})).content == (
        done.content
    )
    late = await checker.post(f"{address}/mark-failed", json={"failure": "x"}, headers={"idempotency-key": "p3"})
    problem(late, 409, "payout_not_pending", "id")
    transaction = (await maker.get(f"/v1/transactions/{done.json()['paid_transaction_id']}")).json()
    assert (transaction["kind"], transaction["payment_id"]) == ("payout", closure["transaction_id"])


async def test_lots_are_shown_and_extended(live: httpx.AsyncClient) -> None:
    town = await furnish(live)
    card = f"/v1/cards/{town['card']}"
    lots = (await live.get(f"{card}/lots")).json()["data"]
    assert [(one["pocket"], one["available_fen"], one["is_expired"], one["swept_fen"]) for one in lots] == [
        ("principal", 100_000, False, 0),
        ("bonus", 20_000, False, 0),
    ]
    until = (datetime.now(UTC) + timedelta(days=400)).date().isoformat()
    body = {"expires_on": until, "lots": [{"pocket": "principal", "lot": lots[0]["lot"]}]}
    key = {"idempotency-key": "e1"}
    done = await live.post(f"{card}/extend", json=body, headers=key)
    assert (done.status_code, done.json()["lot_count"], done.json()["returned_fen"]) == (200, 1, 0)
    assert (await live.post(f"{card}/extend", json=body, headers=key)).content == done.content
    assert (await live.get(f"{card}/lots")).json()["data"][0]["expires_at"] == done.json()["expires_at"]
    again = await live.post(f"{card}/extend", json=body, headers={"idempotency-key": "e2"})
    problem(again, 409, "nothing_to_extend", "expires_on")
    problem(await live.get(f"{card}/closure"), 404, "card_not_closed", "id")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("refund-quote", {"cause": "whim"}, "cause"),
        ("refund-quote", {}, "cause"),
        ("refund-quote", {"cause": "holder", "requested_on": "31.1.2026"}, "requested_on"),
        ("refund-quote", {"cause": "holder", "requested_on": "2999-01-01"}, "requested_on"),
        ("refund-quote", {"cause": "holder", "costs_fen": -1}, "costs_fen"),
        ("refund-quote", {"cause": "holder", "discounts": [{"load_id": f"txn_{UNKNOWN}", "discount_fen": 1}]},
         "discounts"),
        ("close", {"cause": "holder"}, "quote_hash"),
        ("close", {"cause": "holder", "quote_hash": "x"}, "quote_hash"),
        ("close", {"cause": "holder", "quote_hash": "0" * 64, "payee": {"method": "gold"}}, "payee.method"),
        ("close", {"cause": "holder", "quote_hash": "0" * 64, "payee": {**PAYEE, "account_number": "6 2"}},
         "payee.account_number"),
        ("extend", {"expires_on": "0001-01-01"}, "expires_on"),
        ("extend", {"expires_on": "9999-12-31"}, "expires_on"),
        ("extend", {"expires_on": 5}, "expires_on"),
        ("extend", {"expires_on": "2999-01-01", "lots": [{"pocket": "secret", "lot": 1}]}, "lots[0].pocket"),
    ],
)  # fmt: skip
async def test_a_bad_field_is_named_and_moves_nothing(
    live: httpx.AsyncClient, verb: str, body: dict[str, Any], field: str
) -> None:
    town = await furnish(live)
    card = f"/v1/cards/{town['card']}"
    before = (await live.get("/v1/transactions")).json()["data"]
    answer = await live.post(f"{card}/{verb}", json=body, headers={"idempotency-key": "k"})
    problem(answer, 400, "invalid_field", field)
    assert (await live.get("/v1/transactions")).json()["data"] == before
    assert (await live.get(card)).json()["status"] == "active"


async def test_restricted_value_was_paid_for_and_is_refunded(live: httpx.AsyncClient, database: str) -> None:
    town = await furnish(live, restricted_to={"trades": ["canteen"]})
    await made(live, "/v1/loads", card_id=town["card"], amount_fen=5_000, pocket="restricted")
    card = f"/v1/cards/{town['card']}"
    quote = (await live.post(f"{card}/refund-quote", json={"cause": "holder"})).json()
    assert quote["amount_fen"] == 105_000
    closed = await made(live, f"{card}/close", cause="holder", quote_hash=quote["quote_hash"], payee=PAYEE)
    assert closed["payout"]["amount_fen"] == 105_000
    pockets = (await live.get(f"{card}/accounts")).json()["data"]
    assert {one["pocket"]: one["posted_fen"] for one in pockets} == {"principal": 0, "bonus": 0, "restricted": 0}
    await audits_hold(database)


async def test_the_timeline_tells_of_an_extension_and_of_the_end(live: httpx.AsyncClient) -> None:
    town = await furnish(live)
    card = f"/v1/cards/{town['card']}"
    until = (datetime.now(UTC) + timedelta(days=400)).date().isoformat()
    await made(live, f"{card}/extend", expires_on=until)
    quote = (await live.post(f"{card}/refund-quote", json={"cause": "holder"})).json()
    await made(live, f"{card}/close", cause="holder", quote_hash=quote["quote_hash"], payee=PAYEE)
    timeline = (await live.get(f"{card}/timeline")).json()["data"]
    assert [(item["kind"], item["title"]) for item in reversed(timeline)] == [
        ("issued", "Card issued"),
        ("activated", "Card activated"),
        ("load", "Loaded"),
        ("extended", "Validity extended"),
        ("closing", "Balance left at the closing"),
        ("closed", "Card closed"),
    ]
    extended = timeline[2]
    assert extended["actor"].startswith("key_")
    assert extended["details"] == {"last_day": until, "returned_fen": 0}


async def test_a_lot_is_extended_before_and_after_it_moves(live: httpx.AsyncClient, database: str) -> None:
    """The audit of transfers knows which end a lot had when it moved."""
    town = await furnish(live)
    holder = await made(live, "/v1/customers", name="王敏")
    second = await made(live, "/v1/cards", programme_id=town["programme"], form="digital")
    await made(live, f"/v1/cards/{second['id']}/activate")
    for card_id in (town["card"], second["id"]):
        await made(live, f"/v1/cards/{card_id}/register", customer_id=holder["id"])
    days = [(datetime.now(UTC) + timedelta(days=days)).date().isoformat() for days in (300, 400, 500)]
    await made(live, f"/v1/cards/{town['card']}/extend", expires_on=days[0])
    await made(live, f"/v1/cards/{town['card']}/transfer", to_card_id=second["id"])
    await audits_hold(database)
    for day in days[1:]:
        await made(live, f"/v1/cards/{second['id']}/extend", expires_on=day)
    await audits_hold(database)
    await made(live, f"/v1/cards/{second['id']}/transfer", to_card_id=town["card"])
    await audits_hold(database)


async def test_a_holder_who_is_not_the_payee_and_too_much_cash(live: httpx.AsyncClient) -> None:
    town = await furnish(live)
    card = f"/v1/cards/{town['card']}"
    quote = (await live.post(f"{card}/refund-quote", json={"cause": "issuer"})).json()
    body = {"cause": "issuer", "quote_hash": quote["quote_hash"]}
    for n, (payee, status, code, field) in enumerate(
        (
            ({**PAYEE, "account_name": "李雷"}, 409, "payee_not_holder", "payee.account_name"),
            ({"method": "cash", "holder_name": "王敏"}, 409, "cash_not_allowed", "payee.method"),
            (None, 400, "invalid_field", "payee"),
        )
    ):
        answer = await live.post(f"{card}/close", json={**body, "payee": payee}, headers={"idempotency-key": f"k{n}"})
        problem(answer, status, code, field)
    assert (await live.get(card)).json()["status"] == "active"
    assert (await live.get("/v1/payouts")).json()["data"] == []


async def test_endpoints_and_notices(live: httpx.AsyncClient) -> None:
    endpoint = await made(live, "/v1/webhook-endpoints", address="https://example.com/hook", events=["card.closed"])
    assert endpoint["secret"].startswith("whsec_")
    address = f"/v1/webhook-endpoints/{endpoint['id']}"
    shown = {**endpoint, "secret": None}
    assert (await live.get(address)).json() == shown
    assert (await live.get("/v1/webhook-endpoints")).json()["data"] == [shown]
    town = await furnish(live)
    quote = (await live.post(f"/v1/cards/{town['card']}/refund-quote", json={"cause": "holder"})).json()
    await made(
        live, f"/v1/cards/{town['card']}/close", cause="holder", quote_hash=quote["quote_hash"], payee=PAYEE
    )  # fmt: skip
    (notice,) = (await live.get(f"/v1/notices?card_id={town['card']}")).json()["data"]
    assert (notice["event"], notice["message"]) == ("card.closed", "The card is closed; 100000 is refunded.")
    assert notice["body"]["data"]["card_id"] == town["card"]
    assert (await live.get("/v1/notices?event=lot.expired")).json()["data"] == []
    full = (await live.get(f"/v1/notices/{notice['id']}")).json()
    assert sorted((one["kind"], one["status"]) for one in full["deliveries"]) == [
        ("console", "delivered"),
        ("webhook", "pending"),
    ]
    assert (await live.post(f"/v1/notices/{notice['id']}/resend")).json()["notice"] == notice
    changed = await live.patch(address, json={"active": False, "events": []})
    assert (changed.json()["status"], changed.json()["events"]) == ("disabled", [])
    rotated = (await live.post(f"{address}/rotate-secret", json={})).json()
    assert rotated["secret"] != endpoint["secret"]
    assert rotated["old_secret_until"] is not None
    hour = timedelta(hours=1)
    period = {
        "created_after": (datetime.now(UTC) - hour).isoformat(),
        "created_before": (datetime.now(UTC) + hour).isoformat(),
    }
    assert (await live.post(f"{address}/replay", json=period)).json() == {"notice_count": 0}
    assert (await live.delete(address)).json()["status"] == "removed"
    for answer in (await live.get(address), await live.delete(address), await live.patch(address, json={})):
        problem(answer, 404, "not_found", "id")
    assert (await live.get("/v1/webhook-endpoints")).json()["data"] == []
    problem(await live.post(f"/v1/notices/ntc_{UNKNOWN}/resend"), 404, "not_found", "id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"address": "http://example.com/"}, "address"),
        ({"address": "https://user@example.com/"}, "address"),
        ({"address": "https://e.com/ x"}, "address"),
        ({"address": "https://example.com/", "events": ["card.eaten"]}, "events[0]"),
        ({"address": "https://example.com/", "secret": "mine"}, "secret"),
        ({}, "address"),
    ],
)
async def test_a_bad_endpoint_is_not_made(live: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    problem(await live.post("/v1/webhook-endpoints", json=body), 400, "invalid_field", field)
    assert (await live.get("/v1/webhook-endpoints")).json()["data"] == []


async def test_scopes_and_books_are_kept_apart(api: Api) -> None:
    books = await api.books()
    live, test = await api.client_of(books[Mode.LIVE]), await api.client_of(books[Mode.TEST])
    town = await furnish(live)
    card = f"/v1/cards/{town['card']}"
    quote = (await live.post(f"{card}/refund-quote", json={"cause": "holder"})).json()
    body = {"cause": "holder", "quote_hash": quote["quote_hash"], "payee": PAYEE}
    closed = await made(live, f"{card}/close", **body)
    payout, key = f"/v1/payouts/{closed['payout']['id']}", {"idempotency-key": "k"}
    (notice,) = (await live.get("/v1/notices")).json()["data"]
    for path in (f"{card}/lots", f"{card}/closure", payout, f"{payout}/payee", f"/v1/notices/{notice['id']}"):
        problem(await test.get(path), 404, "not_found", "id")
    for path, sent in (
        (f"{card}/close", body),
        (f"{card}/extend", {"expires_on": "2999-01-01"}),
        (f"{payout}/mark-paid", {"payment_reference": "r"}),
        (f"{payout}/mark-failed", {"failure": "f"}),
    ):
        problem(await test.post(path, json=sent, headers={"idempotency-key": path}), 404, "not_found", "id")
    assert (await test.get("/v1/payouts")).json()["data"] == (await test.get("/v1/notices")).json()["data"] == []
    reader = await api.client_of(books[Mode.LIVE], Scope.CARDS_READ, Scope.PAYOUTS_READ, Scope.NOTICES_READ)
    for method, path in (
        ("POST", f"{card}/close"),
        ("POST", f"{card}/extend"),
        ("GET", f"{payout}/payee"),
        ("POST", f"{payout}/mark-paid"),
        ("POST", "/v1/webhook-endpoints"),
        ("POST", f"/v1/notices/{notice['id']}/resend"),
        ("PUT", f"/v1/programmes/{town['programme']}/closing-terms"),
    ):
        problem(await reader.request(method, path, json={}, headers=key), 403, "forbidden")
    assert (await live.get(payout)).json()["status"] == "pending"


async def test_a_card_of_independent_merchants_is_redeemed_as_the_law_says(live: httpx.AsyncClient) -> None:
    issuer = await made(
        live, "/v1/issuers", code="i", name="发卡方", time_zone="Asia/Shanghai", payment_licence="Z2000000000001"
    )
    programme = await made(
        live, "/v1/programmes", issuer_id=issuer["id"], code="red", name="红卡", currency="CNY", number_prefix="888801"
    )
    terms = await live.put(f"/v1/programmes/{programme['id']}/closing-terms", json=TERMS)
    assert terms.status_code == 200, terms.text
    card = await made(live, "/v1/cards", programme_id=programme["id"], form="digital")
    address = f"/v1/cards/{card['id']}"
    await made(live, f"{address}/activate")
    await made(live, "/v1/loads", card_id=card["id"], amount_fen=10_000)
    asked = {"cause": "holder"}
    barred = problem(await live.post(f"{address}/refund-quote", json=asked), 409, "redemption_not_allowed", "cause")
    assert "CN-MP-EXP-02.redeem" in barred["detail"]
    person = await made(live, "/v1/customers", name="王敏", phone="13800138000")
    await made(live, f"{address}/register", customer_id=person["id"])
    early = problem(await live.post(f"{address}/refund-quote", json=asked), 409, "redemption_too_early", "cause")
    assert "CN-MP-RED-01" in early["detail"]
    # what its issuer caused is not the holder's wish
    quote = await live.post(f"{address}/refund-quote", json={"cause": "issuer"})
    assert (quote.status_code, quote.json()["amount_fen"]) == (200, 10_000)
