"""Private fields of transactions: opened for their holder and nobody else, erased with them, all proofs still valid."""

from typing import Any

import httpx
import psycopg
from tests.contract.api import Api, problem
from tests.contract.test_http_log import sequence
from tests.contract.test_http_payments_read import NOBODY, Shop, shop
from tests.contract.test_http_receipts import receipt_of

from kaquan.audit import run_audits
from kaquan.kit.db import open_pool
from kaquan.kit.ids import Prefix, read_id
from kaquan.parties import Mode, Scope
from kaquan.payments.erase import erase_openings

__all__ = ["shop"]


async def customer(shop: Shop, phone: str) -> str:
    response = await shop.client.post("/v1/customers", json={"phone": phone, "name": "王芳"})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def act(shop: Shop, verb: str, **body: Any) -> None:
    response = await shop.client.post(f"/v1/cards/{shop.card_id}/{verb}", json=body)
    assert response.status_code == 200, response.text


async def pay(shop: Shop, reference: str) -> str:
    body = {"card_id": shop.card_id, "terminal_id": shop.terminal_id, "amount_fen": 10, "reference": reference}
    response = await shop.client.post("/v1/purchases", json=body, headers={"idempotency-key": f"pay-{len(reference)}"})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def ask(client: httpx.AsyncClient, holder: str, payment: str) -> httpx.Response:
    return await client.post(f"/v1/customers/{holder}/receipts", json={"transaction_id": payment})


def private_rows(database: str, payment: str) -> tuple[Any, ...]:
    with psycopg.connect(database) as owner:
        row = owner.execute(
            "SELECT t.reference, t.request_key, t.request_hash, l.salt, l.commitment, p.reference"
            " FROM ledger_transaction t JOIN payments_payment p USING (slot, id)"
            " JOIN evidence_leaf l ON l.slot = t.slot AND l.transaction_id = t.id WHERE t.id = %s",
            (read_id(Prefix.TRANSACTION, payment),),
        ).fetchone()
    assert row is not None
    return row


async def test_a_holder_opens_their_own_and_nobody_elses(api: Api, shop: Shop) -> None:
    first, second = await customer(shop, "13800000001"), await customer(shop, "13800000002")
    await act(shop, "register", customer_id=first)
    of_first = await pay(shop, "first's")
    await act(shop, "unbind", reason="sold")
    await act(shop, "register", customer_id=second)
    of_second = await pay(shop, "second's")
    refused = await ask(shop.client, first, of_first)
    assert problem(refused, 409, "receipt_not_ready")["retryable"]
    await sequence(api)
    opened = await receipt_of(api, await ask(shop.client, first, of_first))
    assert (opened.opened, opened.reference, opened.request_key) == (True, "first's", "pay-7")
    assert (await receipt_of(api, await ask(shop.client, second, of_second))).reference == "second's"
    # what happened on the card before it was anybody's is the first holder's
    assert (await receipt_of(api, await ask(shop.client, first, shop.paid["purchases"]["id"]))).reference == "p1"
    for holder, payment in ((first, of_second), (second, of_first), (second, shop.paid["purchases"]["id"])):
        problem(await ask(shop.client, holder, payment), 404, "not_found", "transaction_id")
    actions = (await shop.get("/v1/audit-trail?kind=receipt.revealed"))["data"]
    assert [(action["subject"], action["after"]) for action in reversed(actions)] == [
        (of_first, {"customer_id": first}),
        (of_second, {"customer_id": second}),
        (shop.paid["purchases"]["id"], {"customer_id": first}),
    ]


async def test_who_may_ask_and_for_what(api: Api, shop: Shop) -> None:
    holder = await customer(shop, "13800000001")
    await act(shop, "register", customer_id=holder)
    payment = await pay(shop, "x")
    await sequence(api)
    books = await api.books()
    foreign = await api.client_of(books[Mode.LIVE])
    problem(await ask(foreign, holder, payment), 404, "not_found", "id")
    problem(await ask(await api.client_of(books[Mode.LIVE], Scope.LEDGER_READ), holder, payment), 403, "forbidden")
    problem(await ask(shop.client, f"cus_{NOBODY}", payment), 404, "not_found", "id")
    problem(await ask(shop.client, holder, f"txn_{NOBODY}"), 404, "not_found", "transaction_id")
    problem(await ask(shop.client, holder, "card_1"), 400, "invalid_field", "transaction_id")
    problem(await shop.client.post(f"/v1/customers/{holder}/receipts", json={}), 400, "invalid_field", "transaction_id")
    assert (await shop.get("/v1/audit-trail?kind=receipt.revealed"))["data"] == []


async def test_forgetting_somebody_erases_their_openings_and_no_proof(api: Api, shop: Shop, database: str) -> None:
    gone, stays = await customer(shop, "13800000001"), await customer(shop, "13800000002")
    await act(shop, "register", customer_id=gone)
    before = await pay(shop, "of the first")
    await act(shop, "unbind", reason="sold")
    await act(shop, "register", customer_id=stays)
    after = await pay(shop, "of the second")
    await sequence(api)
    true = await receipt_of(api, await ask(shop.client, gone, before))
    path = f"/v1/customers/{gone}/forget"
    until = "2027-12-01T00:00:00Z"
    kept = {"retain": {"fields": ["name"], "rule": "CASE-7", "until": until}}
    kept_for_now = await customer(shop, "13800000003")
    assert (await shop.client.post(f"/v1/customers/{kept_for_now}/forget", json=kept)).status_code == 200
    assert (await shop.client.post(path, json={})).status_code == 200
    reference, key, request_hash, salt, commitment, paid_for = private_rows(database, before)
    assert (reference, key, request_hash, salt, paid_for) == (None, None, None, None, None)
    assert commitment.hex() == true.entry[9]
    closed = await receipt_of(api, await ask(shop.client, gone, before))
    assert (closed.opened, closed.reference, closed.request_key) == (False, None, None)
    assert closed.entry == true.entry
    revealed = await receipt_of(api, await shop.client.post(f"/v1/transactions/{before}/receipt/reveal"))
    assert (revealed.opened, revealed.entry) == (False, true.entry)
    assert (await receipt_of(api, await ask(shop.client, stays, after))).reference == "of the second"
    report = await run_audits(database)
    assert [(found.name, found.findings) for found in report.audits if not found.holds] == []
    async with open_pool(database) as pool:  # nothing is left to do
        assert await erase_openings(pool, api.app.clock, slots=api.app.slots) == 0


def reasons(database: str, card: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as owner:
        return owner.execute(
            "SELECT e.kind, e.reason, l.salt IS NULL, l.commitment IS NULL FROM cards_event e"
            " JOIN evidence_leaf l ON l.slot = e.slot AND l.transaction_id = e.id WHERE e.card_id = %s ORDER BY e.id",
            (read_id(Prefix.CARD, card),),
        ).fetchall()


async def test_forgetting_somebody_erases_why_what_happened_to_their_card(api: Api, shop: Shop, database: str) -> None:
    """The reasons that were given, to the one with which the card ceased to be theirs; those of the next one stay."""
    gone, stays = await customer(shop, "13800000001"), await customer(shop, "13800000002")
    await act(shop, "register", customer_id=gone)
    await act(shop, "unbind", reason="王芳 moved to her sister's")
    await act(shop, "register", customer_id=stays)
    await act(shop, "block", reason="operator", note="the second rang")
    await sequence(api)
    before = reasons(database, shop.card_id)
    of_first, of_second = before[-3], before[-1]
    assert of_first == ("unbound", "王芳 moved to her sister's", False, True)
    assert of_second == ("blocked", "the second rang", False, True)
    assert (await shop.client.post(f"/v1/customers/{gone}/forget", json={})).status_code == 200
    after = reasons(database, shop.card_id)
    assert after == [*before[:-3], ("unbound", None, True, False), *before[-2:]]
    report = await run_audits(database)
    assert [(found.name, found.findings) for found in report.audits if not found.holds] == []
    async with open_pool(database) as pool:
        assert await erase_openings(pool, api.app.clock, slots=api.app.slots) == 0


async def test_an_altered_event_keeps_what_shows_it(api: Api, shop: Shop, database: str) -> None:
    holder = await customer(shop, "13800000001")
    await act(shop, "register", customer_id=holder)
    await act(shop, "unbind", reason="true")
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE cards_event SET reason = 'false' WHERE reason = 'true'")
    assert (await shop.client.post(f"/v1/customers/{holder}/forget", json={})).status_code == 200
    assert reasons(database, shop.card_id)[-1] == ("unbound", "false", False, True)
    (events,) = (await run_audits(database, names=["card_events"])).audits
    assert [finding.what for finding in events.findings] == ["leaf_hash"]
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE cards_event SET reason = 'true' WHERE reason = 'false'")


async def test_what_must_be_kept_is_erased_when_that_is_over(api: Api, shop: Shop, database: str) -> None:
    holder = await customer(shop, "13800000001")
    await act(shop, "register", customer_id=holder)
    payment = await pay(shop, "kept")
    kept = {"fields": ["name"], "rule": "CASE-7", "until": "2127-12-01T00:00:00Z"}
    response = await shop.client.post(f"/v1/customers/{holder}/forget", json={"retain": kept})
    assert response.json()["retained_until"] is not None
    async with open_pool(database) as pool:
        assert await erase_openings(pool, api.app.clock, slots=api.app.slots) == 0
        assert private_rows(database, payment)[0] == "kept"
        with psycopg.connect(database) as owner:
            owner.execute(
                "UPDATE parties_customer SET retained_until = NULL, retained_by = NULL, name = NULL WHERE id = %s",
                (read_id(Prefix.CUSTOMER, holder),),
            )
        assert await erase_openings(pool, api.app.clock, slots=api.app.slots) > 0
    assert private_rows(database, payment)[:4] == (None, None, None, None)


async def test_an_altered_transaction_keeps_what_shows_it(api: Api, shop: Shop, database: str) -> None:
    """Erasing would hide that the reference was changed; it is left, and named by the audit."""
    holder = await customer(shop, "13800000001")
    await act(shop, "register", customer_id=holder)
    payment = await pay(shop, "true")
    id_ = read_id(Prefix.TRANSACTION, payment)
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE ledger_transaction SET reference = 'false' WHERE id = %s", (id_,))
    assert (await shop.client.post(f"/v1/customers/{holder}/forget", json={})).status_code == 200
    assert private_rows(database, payment)[0] == "false"
    (leaves,) = (await run_audits(database, names=["leaves"])).audits
    assert payment in [finding.ids["transaction_id"] for finding in leaves.findings]
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE ledger_transaction SET reference = 'true' WHERE id = %s", (id_,))
