"""Receipts over HTTP: of one's own transactions, once they are signed, and opened only for whoever may."""

import httpx
import psycopg
import pypdfium2
import zxingcpp
from tests.contract.api import Api, problem
from tests.contract.test_http_log import sequence
from tests.contract.test_http_payments_read import NOBODY, Shop, shop

from kaquan.evidence import (
    Algorithm,
    NoteError,
    Sequencer,
    Verified,
    follow_keys,
    open_checkpoint,
    read_key,
    split_announcements,
    unpack_receipt,
    verify_receipt,
)
from kaquan.kit.ids import Prefix, read_id
from kaquan.parties import Mode, Scope
from kaquan.vault import Sm2Signer

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


def read_code(pdf: bytes) -> str:
    """What a scanner reads from a page."""
    (page,) = pypdfium2.PdfDocument(pdf)
    picture = page.render(scale=3, grayscale=True)  # 216 dots an inch: worse than any printer
    pixels = memoryview(bytes(picture.buffer)).cast("B", (picture.height, picture.stride))
    (found,) = zxingcpp.read_barcodes(pixels)
    return str(found.text)


async def test_a_receipt_as_a_page_carries_itself(api: Api, shop: Shop) -> None:
    await sequence(api)
    path = f"/v1/transactions/{shop.paid['purchases']['id']}/receipt"
    text = (await shop.client.get(path)).text
    page = await shop.client.get(path, headers={"accept": "application/pdf"})
    assert (page.status_code, page.headers["content-type"]) == (200, "application/pdf")
    assert page.headers["cache-control"] == "no-store"
    compact = await shop.client.get(f"{path}?format=compact")
    assert compact.headers["content-type"] == "text/plain; charset=utf-8"
    assert read_code(page.content) == compact.text
    assert unpack_receipt(compact.text) == text
    keys = [read_key(key) for key in (await api.client().get("/log/keys")).text.split()]
    assert verify_receipt(compact.text, keys) == verify_receipt(text, keys)
    shown = pypdfium2.PdfDocument(page.content)[0].get_textpage().get_text_range()
    for word in ("交易凭证", shop.paid["purchases"]["id"], "消费 purchase", "入账 post", "如何验证"):
        assert word in shown

    # the format that is named wins; others than PDF are text
    assert (await shop.client.get(f"{path}?format=pdf")).content[:5] == b"%PDF-"
    for accept in ("*/*", "text/plain, application/pdf", "text/html"):
        assert (await shop.client.get(path, headers={"accept": accept})).text == text
    assert (await shop.client.get(f"{path}?format=text", headers={"accept": "application/pdf"})).text == text
    for query, field in (("format=png", "format"), ("profile=x", "profile"), ("x=1", "x")):
        problem(await shop.client.get(f"{path}?{query}"), 400, "invalid_field", field)
    opened = await shop.client.post(f"{path}/reveal?format=pdf")
    assert verify_receipt(read_code(opened.content), keys).reference == "p1"
    trail = len((await shop.get("/v1/audit-trail?kind=receipt.revealed"))["data"])
    problem(await shop.client.post(f"{path}/reveal?format=png"), 400, "invalid_field", "format")
    assert len((await shop.get("/v1/audit-trail?kind=receipt.revealed"))["data"]) == trail


async def test_the_sm_profile_where_there_is_one(api: Api, shop: Shop) -> None:
    path = f"/v1/transactions/{shop.paid['loads']['id']}/receipt?profile=sm"
    await sequence(api)
    problem(await shop.client.get(path), 409, "receipt_not_ready")
    problem(await api.client().get("/log/sm/checkpoint"), 404, "not_found")
    problem(await api.client().get("/log/sm/tile/0/000.p/1"), 404, "not_found")
    sequencer = Sequencer(api.app.pool, api.app.clock, api.app.ids, api.app.slots)
    while (step := await sequencer.step(api.app.keyring.log_signers, [Sm2Signer("s1", b"s" * 32)])).leaves or step.more:
        pass
    anybody = api.client()
    keys = [read_key(key) for key in (await anybody.get("/log/keys")).text.split()]
    assert [key.algorithm for key in keys] == [Algorithm.ED25519, Algorithm.SM2]
    receipt = await shop.client.get(path)
    assert receipt.text.startswith("kaquan/sm-proof@v1\n")
    found = verify_receipt(receipt.text, keys[1:])
    assert f"txn_{found.entry[2]}" == shop.paid["loads"]["id"]
    checkpoint = await anybody.get("/log/sm/checkpoint")
    assert open_checkpoint(checkpoint.text, keys[1:]) == found.checkpoint
    first = await anybody.get("/log/sm/tile/0/000.p/1")
    assert (first.status_code, len(first.content)) == (200, 32)
    announced = (await anybody.get("/log/keys/announcements")).text
    assert follow_keys(keys[:1], split_announcements(announced)) == keys
