"""Receipts over HTTP: of one's own transactions, once they are signed, and opened only for whoever may."""

import httpx
import psycopg
from tests.contract.api import Api, problem
from tests.contract.test_http_log import sequence
from tests.contract.test_http_payments_read import NOBODY, Shop, shop

from kaquan.evidence import NoteError, Verified, read_key, verify_receipt
from kaquan.kit.ids import Prefix, read_id
from kaquan.parties import Mode, Scope

__all__ = ["shop"]


async def receipt_of(api: Api, response: httpx.Response) -> Verified:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    keys = (await api.client().get("/log/keys")).text.split()
    return verify_receipt(response.text, [read_key(key) for key in keys])


async def test_a_receipt_is_there_once_it_is_signed(api: Api, shop: Shop) -> None:
    payment_id = shop.paid["purchases"]["id"]
    refused = problem(await shop.client.get(f"/v1/transactions/{payment_id}/receipt"), 409, "receipt_not_ready")
    assert refused["retryable"]
    problem(await shop.client.post(f"/v1/transactions/{payment_id}/receipt/reveal"), 409, "receipt_not_ready")
    await sequence(api)
    transaction = await shop.get(f"/v1/transactions/{payment_id}")
    found = await receipt_of(api, await shop.client.get(f"/v1/transactions/{payment_id}/receipt"))
    format_, slot, id_, _, kind, related, place, _, _, commitment, entries = found.entry
    assert (format_, slot, f"txn_{id_}", kind, related) == ("kaquan-leaf/1", 0, payment_id, "purchase", None)
    assert f"term_{place}" == shop.terminal_id
    assert [entry[6] for entry in entries] == [entry["amount_fen"] for entry in transaction["entries"]]
    assert len(commitment) == 64
    assert (found.opened, found.reference, found.request_key) == (False, None, None)
    for kind in ("loads", "authorizations", "refunds"):
        await receipt_of(api, await shop.client.get(f"/v1/transactions/{shop.paid[kind]['id']}/receipt"))


async def test_private_fields_are_opened_with_a_trace(api: Api, shop: Shop) -> None:
    await sequence(api)
    payment_id = shop.paid["purchases"]["id"]
    closed = await receipt_of(api, await shop.client.get(f"/v1/transactions/{payment_id}/receipt"))
    opened = await receipt_of(api, await shop.client.post(f"/v1/transactions/{payment_id}/receipt/reveal"))
    assert (opened.opened, opened.reference, opened.request_key) == (True, "p1", "/v1/purchases")
    assert opened.entry == closed.entry
    actions = (await shop.get("/v1/audit-trail?kind=receipt.revealed"))["data"]
    assert [action["subject"] for action in actions] == [payment_id]


async def test_whose_receipts_they_are(api: Api, shop: Shop) -> None:
    await sequence(api)
    path = f"/v1/transactions/{shop.paid['purchases']['id']}/receipt"
    books = await api.books()
    for foreign in (await api.client_of(books[Mode.LIVE]), await api.client_of(books[Mode.TEST])):
        problem(await foreign.get(path), 404, "not_found", "id")
        problem(await foreign.post(f"{path}/reveal"), 404, "not_found", "id")
    problem(await shop.client.get(f"/v1/transactions/txn_{NOBODY}/receipt"), 404, "not_found", "id")
    problem(await shop.client.get("/v1/transactions/card_1/receipt"), 400, "invalid_field", "id")
    reader = await api.client_of(books[Mode.LIVE], Scope.LEDGER_READ)
    problem(await reader.post(f"{path}/reveal"), 403, "forbidden")
    problem(await (await api.client_of(books[Mode.LIVE], Scope.CUSTOMERS_REVEAL)).get(path), 403, "forbidden")
    problem(await api.client().get(path), 401, "unauthenticated")


async def test_nothing_is_proven_of_what_was_altered(api: Api, shop: Shop, database: str) -> None:
    await sequence(api)
    payment_id = shop.paid["purchases"]["id"]
    path = f"/v1/transactions/{payment_id}/receipt"
    id_ = read_id(Prefix.TRANSACTION, payment_id)
    true = await receipt_of(api, await shop.client.get(path))
    changes: list[tuple[str, str]] = [
        ("UPDATE ledger_entry SET amount_fen = amount_fen + %s WHERE transaction_id = %s", "amount_fen"),
        (
            "UPDATE ledger_transaction SET recorded_at = recorded_at + %s * interval '1 day' WHERE id = %s",
            "recorded_at",
        ),
    ]
    for statement, _ in changes:
        with psycopg.connect(database) as owner:
            owner.execute(statement, (1, id_))
        problem(await shop.client.get(path), 409, "receipt_contradicted")
        with psycopg.connect(database) as owner:
            owner.execute(statement, (-1, id_))
    assert await receipt_of(api, await shop.client.get(path)) == true


async def test_a_forged_log_gives_receipts_that_prove_nothing(api: Api, shop: Shop, database: str) -> None:
    await sequence(api)
    path = f"/v1/transactions/{shop.paid['purchases']['id']}/receipt"
    true = await shop.client.get(path)
    with psycopg.connect(database) as owner:
        before = owner.execute("SELECT note FROM evidence_log").fetchone()
        owner.execute("UPDATE evidence_log SET note = replace(note, E'\\n— ', E'\\n— x')")
    try:
        await receipt_of(api, await shop.client.get(path))
    except NoteError:
        pass
    else:
        raise AssertionError("a forged checkpoint was believed")
    finally:
        with psycopg.connect(database) as owner:
            owner.execute("UPDATE evidence_log SET note = %s", before)
    assert (await shop.client.get(path)).text == true.text
