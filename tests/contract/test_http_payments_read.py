"""``GET`` of purchases, authorizations, refunds, loads, transactions, accounts and statements as a client sees them."""

from typing import Any, NamedTuple

import httpx
import pytest
from tests.contract.api import Api, problem

from kaquan.parties import Mode, Scope

NOBODY = "0" * 32
KINDS = ("purchases", "authorizations", "refunds", "loads")


class Shop(NamedTuple):
    """A client with a shop and a loaded card, and what it paid there: the answers to its POSTs by kind."""

    client: httpx.AsyncClient
    merchant_id: str
    store_id: str
    terminal_id: str
    card_id: str
    paid: dict[str, dict[str, Any]]

    async def get(self, path: str) -> Any:
        response = await self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body, headers={"idempotency-key": path})
    assert response.status_code in (200, 201), response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture
async def shop(live: httpx.AsyncClient) -> Shop:
    issuer = await made(live, "/v1/issuers", code="i", name="发卡方", time_zone="Asia/Shanghai")
    programme = await made(
        live,
        "/v1/programmes",
        issuer_id=issuer["id"],
        code="red",
        name="红卡",
        currency="CNY",
        number_prefix="888801",
    )
    merchant = await made(live, "/v1/merchants", code="m", name="红旗连锁")
    store = await made(live, "/v1/stores", merchant_id=merchant["id"], code="s", name="一号店")
    terminal = await made(live, "/v1/terminals", store_id=store["id"], code="t")
    await made(live, f"/v1/programmes/{programme['id']}/acceptance", add=[{"merchant_id": merchant["id"]}])
    card = await made(live, "/v1/cards", programme_id=programme["id"], form="digital")
    await live.post(f"/v1/cards/{card['id']}/activate")
    at_till = {"card_id": card["id"], "terminal_id": terminal["id"]}
    paid = {"loads": await made(live, "/v1/loads", amount_fen=10_000, bonus_fen=500, reference="l1", **at_till)}
    paid["purchases"] = await made(live, "/v1/purchases", amount_fen=700, reference="p1", **at_till)
    paid["authorizations"] = await made(live, "/v1/authorizations", amount_fen=300, **at_till)
    paid["refunds"] = await made(live, "/v1/refunds", payment_id=paid["purchases"]["id"], amount_fen=50, reference="r1")
    return Shop(live, merchant["id"], store["id"], terminal["id"], card["id"], paid)


async def pocket_ids(shop: Shop) -> dict[str, str]:
    accounts = await shop.get(f"/v1/cards/{shop.card_id}/accounts")
    return {account["pocket"]: account["id"] for account in accounts["data"]}


async def test_payments_are_read_back_as_they_stand(shop: Shop) -> None:
    for kind in KINDS:
        paid = shop.paid[kind]
        then = {"purchases": {"refunded_fen": 50}}.get(kind, {})
        as_it_stands = {**paid, **then, "pockets": None, "balance_fen": None}
        assert await shop.get(f"/v1/{kind}/{paid['id']}") == as_it_stands
        for query in (
            "",
            "?limit=1",
            f"?card_id={shop.card_id}",
            f"?merchant_id={shop.merchant_id}",
            f"?store_id={shop.store_id}",
            f"?terminal_id={shop.terminal_id}&card_id={shop.card_id}",
            f"?status={paid['status']}",
            "?created_after=2020-01-01T00:00:00%2B23:00&created_before=2200-01-01T00:00:00-23:00",
            *([f"?reference={paid['reference']}"] if paid["reference"] else []),
        ):
            assert await shop.get(f"/v1/{kind}{query}") == {"data": [as_it_stands], "next_cursor": None}, query
        for query in (
            f"?card_id=card_{NOBODY}",
            f"?merchant_id=mer_{NOBODY}",
            f"?store_id=sto_{NOBODY}",
            f"?terminal_id=term_{NOBODY}",
            "?status=expired",
            "?reference=other",
            f"?created_after={paid['created_at']}",
            f"?created_before={paid['created_at']}",
            "?created_before=0001-01-01T00:00:00%2B14:00",
        ):
            assert (await shop.get(f"/v1/{kind}{query}"))["data"] == [], query
        for other in KINDS:
            if other != kind:
                problem(await shop.client.get(f"/v1/{other}/{paid['id']}"), 404, "not_found", "id")


async def test_refunds_are_found_by_what_they_refund(shop: Shop) -> None:
    refund = shop.paid["refunds"]
    assert refund["payment_id"] == shop.paid["purchases"]["id"]
    found = await shop.get(f"/v1/refunds?payment_id={refund['payment_id']}")
    assert [one["id"] for one in found["data"]] == [refund["id"]]
    assert (await shop.get(f"/v1/refunds?payment_id=txn_{NOBODY}"))["data"] == []
    response = await shop.client.get(f"/v1/purchases?payment_id={refund['payment_id']}")
    problem(response, 400, "invalid_field", "payment_id")


async def test_a_transaction_shows_its_entries(shop: Shop) -> None:
    pockets = await pocket_ids(shop)
    purchase = shop.paid["purchases"]
    transaction = await shop.get(f"/v1/transactions/{purchase['id']}")
    entries = transaction.pop("entries")
    assert transaction == {
        "id": purchase["id"],
        "kind": "purchase",
        "payment_id": None,
        "terminal_id": shop.terminal_id,
        "reference": "p1",
        "occurred_at": purchase["occurred_at"],
        "created_at": purchase["created_at"],
    }
    payable = {"kind": "merchant_payable", "owner_id": shop.merchant_id, "lot": None, "balance_after_fen": None}
    card = {"owner_id": shop.card_id, "lot": 1}
    account_id = entries[0]["credit"]["account_id"]
    assert entries == [
        {
            "leg": leg,
            "effect": "post",
            "amount_fen": amount_fen,
            "currency": "CNY",
            "debit": {
                **card,
                "account_id": pockets[pocket],
                "kind": f"card_{pocket}",
                "balance_after_fen": balance_after_fen,
            },
            "credit": {**payable, "account_id": account_id},
        }
        for leg, pocket, amount_fen, balance_after_fen in ((1, "bonus", 500, 0), (2, "principal", 200, 9_800))
    ]
    refund = await shop.get(f"/v1/transactions/{shop.paid['refunds']['id']}")
    assert (refund["payment_id"], refund["entries"][0]["debit"]["account_id"]) == (purchase["id"], account_id)
    load = await shop.get(f"/v1/transactions/{shop.paid['loads']['id']}")
    assert {entry["debit"]["owner_id"][:4] for entry in load["entries"]} == {"iss_"}


async def test_transactions_are_narrowed(shop: Shop) -> None:
    ids = {kind: paid["id"] for kind, paid in shop.paid.items()}
    newest_first = [ids[kind] for kind in ("refunds", "authorizations", "purchases", "loads")]

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await shop.get(f"/v1/transactions{query}"))["data"]]

    assert await found("") == newest_first
    assert await found("?kind=authorization") == [ids["authorizations"]]
    assert await found("?reference=l1") == [ids["loads"]]
    assert await found(f"?card_id={shop.card_id}") == newest_first
    assert await found(f"?merchant_id={shop.merchant_id}") == newest_first[:3]
    assert await found(f"?merchant_id={shop.merchant_id}&card_id={shop.card_id}&kind=refund") == [ids["refunds"]]
    assert await found(f"?payment_id={ids['purchases']}") == [ids["refunds"], ids["purchases"]]
    assert await found(f"?created_after={shop.paid['purchases']['created_at']}") == newest_first[:2]
    page = await shop.get("/v1/transactions?limit=3")
    assert await found(f"?limit=3&cursor={page['next_cursor']}") == newest_first[3:]


async def test_an_account_shows_its_balance_at_any_time(shop: Shop) -> None:
    account_id = (await pocket_ids(shop))["principal"]
    loaded_at = shop.paid["loads"]["created_at"]
    now = await shop.get(f"/v1/accounts/{account_id}")
    assert now == {
        "id": account_id,
        "kind": "card_principal",
        "owner_id": shop.card_id,
        "currency": "CNY",
        "floor_rule": "credit",
        "posted_fen": 9_814,
        "available_fen": 9_514,
        "debits_posted_fen": 200,
        "credits_posted_fen": 10_014,
        "debits_pending_fen": 300,
        "credits_pending_fen": 0,
        "true_at": now["true_at"],
    }
    then = await shop.get(f"/v1/accounts/{account_id}?at={loaded_at}")
    assert (then["posted_fen"], then["available_fen"], then["true_at"]) == (10_000, 10_000, loaded_at)
    for at in ("2020-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "1969-12-31T23:59:59Z"):
        before = await shop.get(f"/v1/accounts/{account_id}?at={at}")
        assert (before["posted_fen"], before["credits_posted_fen"]) == (0, 0)
    later = await shop.get(f"/v1/accounts/{account_id}?at=9999-12-31T23:59:59-23:59")
    assert later["true_at"] < "2200"
    assert {**later, "true_at": now["true_at"]} == now


async def test_a_statement_lists_what_moved(shop: Shop) -> None:
    account_id = (await pocket_ids(shop))["principal"]
    statement = await shop.get(f"/v1/accounts/{account_id}/statement")
    assert {name: statement[name] for name in statement if name != "data"} == {
        "account_id": account_id,
        "currency": "CNY",
        "opening_fen": None,
        "closing_fen": None,
        "next_cursor": None,
    }
    lines = statement["data"]
    assert [(line["kind"], line["effect"], line["amount_fen"], line["balance_after_fen"]) for line in lines] == [
        ("refund", "post", 14, 9_814),
        ("authorization", "reserve", -300, 9_800),
        ("purchase", "post", -200, 9_800),
        ("load", "post", 10_000, 10_000),
    ]
    refund = shop.paid["refunds"]
    assert lines[0] == {
        "transaction_id": refund["id"],
        "leg": 2,
        "kind": "refund",
        "payment_id": shop.paid["purchases"]["id"],
        "terminal_id": shop.terminal_id,
        "reference": "r1",
        "occurred_at": refund["occurred_at"],
        "created_at": refund["created_at"],
        "effect": "post",
        "amount_fen": 14,
        "lot": 1,
        "balance_after_fen": 9_814,
    }
    address = f"/v1/accounts/{account_id}/statement"
    period = await shop.get(f"{address}?created_after={shop.paid['loads']['created_at']}&limit=2")
    assert (period["opening_fen"], period["closing_fen"], period["data"]) == (10_000, 9_814, lines[:2])
    rest = await shop.get(f"{address}?cursor={period['next_cursor']}")
    assert rest["data"] == lines[2:]
    nothing = await shop.get(f"{address}?created_before=0001-01-01T00:00:00Z")
    assert (nothing["opening_fen"], nothing["closing_fen"], nothing["data"]) == (0, 0, [])
    void = await made(shop.client, f"/v1/authorizations/{shop.paid['authorizations']['id']}/void")
    assert void["status"] == "voided"
    newest = (await shop.get(address))["data"][0]
    assert (newest["kind"], newest["effect"], newest["amount_fen"]) == ("void", "release", 300)


async def test_another_book_finds_nothing(api: Api, shop: Shop) -> None:
    other = await api.client_of((await api.books())[Mode.LIVE])
    account_id = (await pocket_ids(shop))["principal"]
    for path in (
        *(f"/v1/{kind}/{shop.paid[kind]['id']}" for kind in KINDS),
        f"/v1/transactions/{shop.paid['loads']['id']}",
        f"/v1/accounts/{account_id}",
        f"/v1/accounts/{account_id}?at=2026-01-01T00:00:00Z",
        f"/v1/accounts/{account_id}/statement",
    ):
        problem(await other.get(path), 404, "not_found", "id")
    for path in (*KINDS, "transactions"):
        for query in ("", f"?card_id={shop.card_id}", f"?merchant_id={shop.merchant_id}"):
            page = (await other.get(f"/v1/{path}{query}")).json()
            assert page == {"data": [], "next_cursor": None}


async def test_scopes_are_asked_for(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    payments_key = await api.client_of(book, Scope.PAYMENTS_READ)
    ledger_key = await api.client_of(book, Scope.LEDGER_READ)
    for path in KINDS:
        problem(await ledger_key.get(f"/v1/{path}"), 403, "forbidden")
        problem(await ledger_key.get(f"/v1/{path}/txn_{NOBODY}"), 403, "forbidden")
        assert (await payments_key.get(f"/v1/{path}")).status_code == 200
    for path in ("transactions", f"transactions/txn_{NOBODY}", "accounts/acc_0_1", "accounts/acc_0_1/statement"):
        problem(await payments_key.get(f"/v1/{path}"), 403, "forbidden")
    assert (await ledger_key.get("/v1/transactions")).status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("purchases/pay_1", "id"),
        ("purchases?status=done", "status"),
        ("purchases?card_id=mer_1", "card_id"),
        ("loads?cursor=abc", "cursor"),
        ("refunds?limit=0", "limit"),
        ("authorizations?order=asc", "order"),
        ("transactions/acc_0_1", "id"),
        ("transactions?kind=two%20words", "kind"),
        ("transactions?created_after=2026-01-01", "created_after"),
        ("accounts/acc_0_0", "id"),
        ("accounts/acc_100_1", "id"),
        ("accounts/acc_0_1?at=yesterday", "at"),
        ("accounts/acc_0_1?at=2026-01-01T00:00:00", "at"),
        ("accounts/acc_0_1?limit=1", "limit"),
        ("accounts/acc_0_1/statement?cursor=" + "A" * 22, "cursor"),
        ("accounts/acc_0_1/statement?limit=201", "limit"),
    ],
)
async def test_a_bad_question_names_its_field(live: httpx.AsyncClient, path: str, field: str) -> None:
    problem(await live.get(f"/v1/{path}"), 400, "invalid_field", field)


async def test_what_is_not_there_is_not_found(live: httpx.AsyncClient) -> None:
    for path in (
        f"purchases/txn_{NOBODY}",
        f"transactions/txn_{'f' * 32}",
        "accounts/acc_99_1",
        f"accounts/acc_0_{'9' * 18}",
        f"accounts/acc_0_{'9' * 18}?at=2026-01-01T00:00:00Z",
        f"accounts/acc_7_5/statement?cursor={'_' * 24}",
    ):
        problem(await live.get(f"/v1/{path}"), 404, "not_found", "id")
