"""``/v1/customers``, ``/v1/operators``, ``/v1/approvals``, ``/v1/audit-trail`` as a client sees them."""

from typing import Any

import httpx
import pytest
from tests.contract.api import Api, problem
from tests.contract.test_http_parties import made

from kaquan.kit.ids import Prefix, read_id
from kaquan.parties import Book, IssuedKey, Mode, Scope, issue_key
from kaquan.parties.identity import DocumentKind
from kaquan.parties.kinds.sandbox import index_of_document, person

RESIDENT = {"kind": "resident_id", "number": "11010519491231002X"}
KNOWN = person(index_of_document(DocumentKind.RESIDENT_ID, RESIDENT["number"]))
NOBODY = "cus_" + "0" * 32
CARD = "card_" + "0" * 32
PROPOSAL = {"kind": "adjustment", "subject": CARD, "payload": {"b": [1], "a": "红"}, "reason": "多扣一次"}


class Staff:
    """A test book whose operators have clients of their own."""

    def __init__(self, api: Api, book: Book, client: httpx.AsyncClient) -> None:
        self.api, self.book, self.client = api, book, client

    async def hire(self, code: str, *roles: str, **more: Any) -> tuple[dict[str, Any], httpx.AsyncClient]:
        operator = await made(self.client, "/v1/operators", code=code, name=code, roles=list(roles), **more)
        id_ = read_id(Prefix.OPERATOR, operator["id"])
        app = self.api.app
        issued = await issue_key(app.pool, app.clock, app.ids, book=self.book, name=code, scopes=Scope, operator_id=id_)
        assert isinstance(issued, IssuedKey)
        return operator, self.api.client(issued.token)


@pytest.fixture
async def staff(api: Api) -> Staff:
    book = (await api.books())[Mode.TEST]
    return Staff(api, book, await api.client_of(book))


@pytest.fixture
def client(staff: Staff) -> httpx.AsyncClient:
    """Every scope in a test book."""
    return staff.client


# Customers


async def test_numbers_of_counties_that_are_younger_than_the_person_are_real(client: httpx.AsyncClient) -> None:
    """Numbers were given out decades after birth, by the county of then: 锦江区 has its code since 1990."""
    born_1948 = {"kind": "resident_id", "number": "510104194803120022"}
    assert (await made(client, "/v1/customers", name="王奶奶", document=born_1948))["document_kind"] == "resident_id"
    for wrong in ("510104194803120023", "990104194803120020", "510104194813120028"):
        answer = await client.post("/v1/customers", json={"document": {**born_1948, "number": wrong}})
        problem(answer, 400, "invalid_field", "document.number")


async def test_a_customer_is_taken_in_checked_corrected_and_found(client: httpx.AsyncClient) -> None:
    customer = await made(
        client,
        "/v1/customers",
        name=KNOWN.name,
        phone=KNOWN.phone[3:],
        document={**RESIDENT, "number": "11010519491231002x"},
    )
    assert set(customer) == {
        "id", "name_masked", "phone_masked", "document_kind", "document_masked", "level", "created_at",
        "forgotten_at", "retained_until", "retained_by", "birthday_masked", "segments",
    }  # fmt: skip
    assert (customer["level"], customer["document_masked"]) == ("none", "110***********002X")
    address = f"/v1/customers/{customer['id']}"
    checked = (await client.post(f"{address}/verify", json={"level": "document"})).json()
    assert checked == {
        "customer_id": customer["id"],
        "checked_level": "document",
        "provider": "sandbox",
        "result": "matched",
        "code": "0",
        "level": "document",
        "checks_left": 3,
    }
    four = {"level": "four_factors_face", "bank_card_number": KNOWN.bank_card_number, "face_token": KNOWN.face_token}
    assert (await client.post(f"{address}/verify", json=four)).json()["level"] == "four_factors_face"
    verified = (await client.get(address)).json()
    assert verified == {**customer, "level": "four_factors_face"}
    for found in (
        await client.post("/v1/customers/search", json={"phone": KNOWN.phone}),
        await client.post("/v1/customers/search", json={"document_number": RESIDENT["number"]}),
        await client.get("/v1/customers?last4=002X&level=four_factors_face"),
        await client.get(f"/v1/customers?last4={KNOWN.phone[-4:]}"),
    ):
        assert (found.status_code, found.json()) == (200, {"data": [verified], "next_cursor": None})
    corrected = (await client.patch(address, json={"phone": None})).json()
    assert corrected == {**verified, "phone_masked": None, "level": "document"}
    assert (await client.get("/v1/customers")).json()["data"] == [corrected]


async def test_four_mismatches_are_one_too_many(client: httpx.AsyncClient) -> None:
    customer = await made(client, "/v1/customers", name="不是他", document=RESIDENT)
    address = f"/v1/customers/{customer['id']}/verify"
    for _ in range(3):
        assert (await client.post(address, json={"level": "document"})).json()["result"] == "mismatched"
    problem(await client.post(address, json={"level": "document"}), 429, "identity_locked")
    assert (await client.get(f"/v1/customers/{customer['id']}")).json() == customer


async def test_a_live_book_has_no_sandbox(live: httpx.AsyncClient) -> None:
    customer = await made(live, "/v1/customers", name=KNOWN.name, document=RESIDENT)
    answer = await live.post(f"/v1/customers/{customer['id']}/verify", json={"level": "document"})
    problem(answer, 409, "identity_provider_missing", "level")
    assert (await live.get(f"/v1/customers/{customer['id']}")).json() == customer


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", {"name": ""}, "name"),
        ("", {"name": "\u3000"}, "name"),
        ("", {"phone": "x"}, "phone"),
        ("", {"phone": "12345"}, "phone"),
        ("", {"document": {"kind": "passport", "number": RESIDENT["number"]}}, "document.kind"),
        ("", {"document": {"kind": "resident_id", "number": "1"}}, "document.number"),
        ("", {"document": {"kind": "resident_id", "number": "110105194912310021"}}, "document.number"),
        ("", {"document": {"kind": "social_credit_code", "number": RESIDENT["number"]}}, "document.number"),
        ("", {"level": "document"}, "level"),
        ("/search", {}, "phone"),
        ("/search", {"phone": "1234"}, "phone"),
        ("/search", {"last4": "1234"}, "last4"),
        (f"/{NOBODY}/verify", {}, "level"),
        (f"/{NOBODY}/verify", {"level": "best"}, "level"),
        (f"/{NOBODY}/verify", {"level": "contact", "bank_card_number": "1"}, "bank_card_number"),
        (f"/{NOBODY}/reveal", {"fields": [], "reason": "x"}, "fields"),
        (f"/{NOBODY}/reveal", {"fields": ["name"]}, "reason"),
        (f"/{NOBODY}/reveal", {"fields": ["secret"], "reason": "x"}, "fields[0]"),
        (f"/{NOBODY}/forget", {"retain": {"fields": ["name"], "rule": "x"}}, "retain.until"),
        (f"/{NOBODY}/forget", {"retain": {"fields": ["name"], "rule": "x", "until": "2030-01-01"}}, "retain.until"),
    ],
)
async def test_a_wrong_field_of_a_customer_is_named(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    problem(await client.post(f"/v1/customers{path}", json=body), 400, "invalid_field", field)
    assert (await client.get("/v1/customers")).json()["data"] == []


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for verb, body in (
        ("verify", {"level": "contact"}),
        ("reveal", {"fields": ["name"], "reason": "x"}),
        ("export", None),
        ("forget", {}),
    ):
        problem(await client.post(f"/v1/customers/{NOBODY}/{verb}", json=body), 404, "not_found", "id")
    problem(await client.get(f"/v1/customers/{NOBODY}"), 404, "not_found", "id")
    problem(await client.patch(f"/v1/customers/{NOBODY}", json={"name": "x"}), 404, "not_found", "id")
    assert (await client.get("/v1/audit-trail?kind=customer.revealed")).json()["data"] == []


async def test_a_document_is_taken_once(client: httpx.AsyncClient) -> None:
    first = await made(client, "/v1/customers", document=RESIDENT)
    answer = await client.post("/v1/customers", json={"name": "李", "document": RESIDENT})
    told = problem(answer, 409, "already_exists", "document.number")
    assert first["id"] in told["detail"]
    assert RESIDENT["number"] not in answer.text
    assert (await client.get("/v1/customers")).json()["data"] == [first]


async def test_what_is_known_is_revealed_exported_and_forgotten_with_a_trace(staff: Staff) -> None:
    client = staff.client
    customer = await made(client, "/v1/customers", name=KNOWN.name, phone=KNOWN.phone, document=RESIDENT)
    address = f"/v1/customers/{customer['id']}"
    for scope, verb, body in (
        (Scope.CUSTOMERS_WRITE, "reveal", {"fields": ["name"], "reason": "x"}),
        (Scope.CUSTOMERS_READ, "export", {}),
        (Scope.CUSTOMERS_REVEAL, "forget", {}),
    ):
        weak = await staff.api.client_of(staff.book, scope)
        problem(await weak.post(f"{address}/{verb}", json=body), 403, "forbidden")
    revealed = await client.post(f"{address}/reveal", json={"fields": ["name", "document"], "reason": "核对"})
    assert revealed.json() == {"name": KNOWN.name, "phone": None, "document": RESIDENT}
    exported = (await client.post(f"{address}/export")).json()
    assert exported["personal"] == {"name": KNOWN.name, "phone": KNOWN.phone, "document": RESIDENT}
    assert [action["kind"] for action in exported["actions"]] == [
        "customer.created", "customer.revealed", "customer.exported",
    ]  # fmt: skip
    retain = {"fields": ["name"], "rule": "CN-SP-REC-01", "until": "2099-01-01T00:00:00+08:00"}
    past = {**retain, "until": "2001-01-01T00:00:00Z"}
    problem(await client.post(f"{address}/forget", json={"retain": past}), 400, "invalid_field", "retain.until")
    assert (await client.get(address)).json() == customer
    forgotten = (await client.post(f"{address}/forget", json={"retain": retain})).json()
    assert (forgotten["phone_masked"], forgotten["retained_by"]) == (None, "CN-SP-REC-01")
    assert (forgotten["name_masked"], forgotten["retained_until"]) == (customer["name_masked"], "2098-12-31T16:00:00Z")
    problem(await client.patch(address, json={"name": "x"}), 409, "customer_forgotten")
    assert (await client.post(f"{address}/forget", json={})).json() == forgotten
    trail = (await client.get(f"/v1/audit-trail?subject={customer['id']}")).json()["data"]
    assert [action["kind"] for action in trail][:2] == ["customer.forgotten", "customer.exported"]
    for secret in (KNOWN.name, KNOWN.phone, RESIDENT["number"]):
        assert secret not in str(trail)


async def test_a_customer_has_a_birthday_and_segments(staff: Staff) -> None:
    client = staff.client
    one = await made(client, "/v1/customers", name="王敏", birthday="02-29", document={
        "kind": "social_credit_code", "number": "91350100M000100Y43",
    })  # fmt: skip
    two = await made(client, "/v1/customers", name="李四", document=RESIDENT)
    assert [(each["birthday_masked"], each["segments"]) for each in (one, two)] == [("02-**", []), ("12-**", [])]
    address = f"/v1/customers/{one['id']}"
    answer = await client.put(f"{address}/segments", json={"segments": ["邻居", "会员", "会员"]})
    assert answer.json() == {**one, "segments": ["会员", "邻居"]}
    both = {"customer_ids": [one["id"], two["id"]], "add": ["老人"], "remove": ["邻居"]}
    assert (await client.post("/v1/customers/segments", json=both)).json() == {"changed": 2}
    assert (await client.post("/v1/customers/segments", json=both)).json() == {"changed": 0}
    listed = (await client.get("/v1/customers", params={"segment": "老人"})).json()["data"]
    assert [each["id"] for each in listed] == [two["id"], one["id"]]
    assert (await client.get("/v1/customers", params={"segment": "邻居"})).json()["data"] == []
    assert (await client.get("/v1/customers/segments")).json() == {
        "data": [{"name": "会员", "customers": 1}, {"name": "老人", "customers": 2}],
        "next_cursor": None,
    }
    corrected = (await client.patch(address, json={"birthday": "03-01"})).json()
    assert (corrected["birthday_masked"], corrected["segments"]) == ("03-**", ["会员", "老人"])
    exported = (await client.post(f"{address}/export")).json()
    assert (exported["birthday"], exported["segments"]) == ("03-01", ["会员", "老人"])
    trail = (await client.get(f"/v1/audit-trail?subject={one['id']}&kind=customer.labelled")).json()["data"]
    assert [(line["before"], line["after"]) for line in trail] == [
        ({"segments": ["会员", "邻居"]}, {"segments": ["会员", "老人"]}),
        ({"segments": []}, {"segments": ["会员", "邻居"]}),
    ]
    forgotten = (await client.post(f"{address}/forget", json={})).json()
    assert (forgotten["birthday_masked"], forgotten["segments"]) == (None, [])
    problem(await client.put(f"{address}/segments", json={"segments": ["会员"]}), 409, "customer_forgotten", "id")
    weak = await staff.api.client_of(staff.book, Scope.CUSTOMERS_READ)
    problem(await weak.post("/v1/customers/segments", json=both), 403, "forbidden")
    problem(await weak.put(f"{address}/segments", json={"segments": []}), 403, "forbidden")


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("post", "", {"birthday": "2-29"}, "birthday"),
        ("post", "", {"birthday": "02-30"}, "birthday"),
        ("post", "", {"birthday": "1990-02-28"}, "birthday"),
        ("post", "", {"birthday": "12-30", "document": RESIDENT}, "birthday"),
        ("put", f"/{NOBODY}/segments", {}, "segments"),
        ("put", f"/{NOBODY}/segments", {"segments": [" 会员"]}, "segments[0]"),
        ("put", f"/{NOBODY}/segments", {"segments": ["x" * 65]}, "segments[0]"),
        ("put", f"/{NOBODY}/segments", {"segments": ["a\u0000"]}, "segments[0]"),
        ("put", f"/{NOBODY}/segments", {"segments": [f"s{n}" for n in range(51)]}, "segments"),
        ("post", "/segments", {"customer_ids": []}, "customer_ids"),
        ("post", "/segments", {"customer_ids": ["x"]}, "customer_ids[0]"),
        ("post", "/segments", {"customer_ids": [NOBODY], "add": ["a"], "remove": ["a"]}, "remove"),
    ],
)
async def test_a_wrong_birthday_or_segment_is_named(
    client: httpx.AsyncClient, verb: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await client.request(verb.upper(), f"/v1/customers{path}", json=body)
    problem(answer, 400, "invalid_field", field)
    assert (await client.get("/v1/customers")).json()["data"] == []


async def test_nobody_is_labelled_who_is_not_there(client: httpx.AsyncClient) -> None:
    one = await made(client, "/v1/customers", name="王敏")
    problem(await client.put(f"/v1/customers/{NOBODY}/segments", json={"segments": []}), 404, "not_found", "id")
    both = {"customer_ids": [one["id"], NOBODY], "add": ["会员"]}
    problem(await client.post("/v1/customers/segments", json=both), 404, "not_found", "customer_ids[1]")
    assert (await client.get(f"/v1/customers/{one['id']}")).json() == one


# Operators, approvals


async def test_an_operator_is_built_and_changed(client: httpx.AsyncClient) -> None:
    operator = await made(client, "/v1/operators", code="wang", name="王", roles=["cashier", "store_manager"])
    assert set(operator) == {"id", "code", "name", "roles", "store_ids", "status", "created_at"}
    address = f"/v1/operators/{operator['id']}"
    assert (await client.get(address)).json() == operator
    assert (await client.get("/v1/operators?role=cashier&code=wang&status=active")).json()["data"] == [operator]
    assert (await client.get("/v1/operators?role=admin")).json()["data"] == []
    changed = (await client.patch(address, json={"status": "suspended", "store_ids": []})).json()
    assert changed == {**operator, "status": "suspended", "store_ids": []}
    assert (await client.patch(address, json={})).json() == changed
    nowhere = [f"sto_{'0' * 32}"]
    for body, status, code, field in (
        ({"code": "wang", "name": "x", "roles": ["admin"]}, 409, "already_exists", "code"),
        ({"code": "x", "name": "x", "roles": []}, 400, "invalid_field", "roles"),
        ({"code": "x", "name": "x", "roles": ["king"]}, 400, "invalid_field", "roles[0]"),
        ({"code": "x", "name": "x", "roles": ["admin"], "store_ids": nowhere}, 404, "not_found", "store_ids"),
    ):
        problem(await client.post("/v1/operators", json=body), status, code, field)
    assert (await client.get("/v1/operators")).json()["data"] == [changed]


async def test_a_key_of_a_cashier_is_a_cashiers(staff: Staff) -> None:
    operator, cashier = await staff.hire("wang", "cashier")
    assert (await cashier.get("/v1/cards")).status_code == 200
    problem(await cashier.get("/v1/customers"), 403, "forbidden")
    await staff.client.patch(f"/v1/operators/{operator['id']}", json={"status": "suspended"})
    await staff.api.app.refresh()
    problem(await cashier.get("/v1/cards"), 401, "unauthenticated")


async def test_an_operator_acts_at_their_stores(staff: Staff) -> None:
    merchant = await made(staff.client, "/v1/merchants", code="m", name="m")
    stores = [
        await made(staff.client, "/v1/stores", merchant_id=merchant["id"], code=code, name=code) for code in ("a", "b")
    ]
    terminals = [
        await made(staff.client, "/v1/terminals", store_id=store["id"], code=store["code"]) for store in stores
    ]
    _, manager = await staff.hire("li", "operator", "cashier", store_ids=[stores[0]["id"]])
    assert (await manager.patch(f"/v1/stores/{stores[0]['id']}", json={"name": "A"})).json()["name"] == "A"
    problem(await manager.patch(f"/v1/stores/{stores[1]['id']}", json={"name": "B"}), 403, "store_out_of_scope")
    assert (await manager.get(f"/v1/stores/{stores[1]['id']}")).json() == stores[1]
    for terminal, status, code in ((terminals[1], 403, "store_out_of_scope"), (terminals[0], 404, "not_found")):
        answer = await manager.post(
            "/v1/purchases",
            json={"card_id": CARD, "amount_fen": 100, "terminal_id": terminal["id"]},
            headers={"idempotency-key": terminal["id"]},
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await staff.client.get("/v1/transactions")).json()["data"] == []


async def test_two_people_agree(staff: Staff) -> None:
    wang, desk = await staff.hire("wang", "service_desk")
    li, approver = await staff.hire("li", "approver")
    proposed = await made(desk, "/v1/approvals", **PROPOSAL)
    assert (proposed["status"], proposed["proposed_by"]) == ("proposed", wang["id"])
    assert proposed["payload"] == PROPOSAL["payload"]
    address = f"/v1/approvals/{proposed['id']}"
    problem(await staff.client.post(f"{address}/approve", json={}), 403, "operator_required")
    problem(await desk.post(f"{address}/approve", json={}), 403, "forbidden")
    problem(await approver.post("/v1/approvals", json=PROPOSAL), 403, "forbidden")
    assert (await approver.get("/v1/approvals?status=proposed")).json()["data"] == [proposed]
    approved = (await approver.post(f"{address}/approve", json={"reason": "属实"})).json()
    assert (approved["status"], approved["decided_by"], approved["decision_reason"]) == ("approved", li["id"], "属实")
    problem(await approver.post(f"{address}/reject", json={}), 409, "approval_not_open")
    withdrawn = (await desk.post(f"{address}/withdraw", json={})).json()
    assert withdrawn["status"] == "withdrawn"
    assert (await desk.get(address)).json() == withdrawn
    assert (await approver.get(f"/v1/approvals?subject={CARD}&kind=adjustment")).json()["data"] == [withdrawn]
    trail = (await staff.client.get(f"/v1/audit-trail?operator_id={li['id']}")).json()["data"]
    assert [(action["kind"], action["subject"]) for action in trail] == [("approval.approved", proposed["id"])]


async def test_nobody_approves_their_own_over_http(staff: Staff) -> None:
    _, admin = await staff.hire("boss", "admin")
    proposed = await made(admin, "/v1/approvals", **PROPOSAL)
    for verb in ("approve", "reject"):
        problem(await admin.post(f"/v1/approvals/{proposed['id']}/{verb}", json={}), 403, "four_eyes")
    problem(await staff.client.post("/v1/approvals", json=PROPOSAL), 403, "operator_required")
    assert (await admin.get("/v1/approvals")).json()["data"] == [proposed]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "murder"}, "kind"),
        ({"subject": "card 1"}, "subject"),
        ({"payload": None}, "payload"),
        ({"payload": []}, "payload"),
        ({"payload": {"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}, "payload"),
        ({"reason": ""}, "reason"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"status": "approved"}, "status"),
    ],
)
async def test_a_wrong_field_of_a_proposal_is_named(staff: Staff, change: dict[str, Any], field: str) -> None:
    _, admin = await staff.hire("boss", "admin")
    problem(await admin.post("/v1/approvals", json={**PROPOSAL, **change}), 400, "invalid_field", field)
    assert (await admin.get("/v1/approvals")).json()["data"] == []


async def test_a_payload_too_deep_to_read_is_refused(staff: Staff) -> None:
    _, admin = await staff.hire("boss", "admin")
    deep = b'{"payload":{"a":' + b"[" * 1_500 + b"]" * 1_500 + b"}}"
    problem(await admin.post("/v1/approvals", content=deep), 400, "malformed_json")


# The trail


async def test_the_trail_tells_who_did_what_in_which_request(staff: Staff) -> None:
    client = staff.client
    merchant = await made(client, "/v1/merchants", code="m", name="m")
    answer = await client.patch(
        f"/v1/merchants/{merchant['id']}", json={"name": "n"}, headers={"x-request-id": "ticket-7"}
    )
    assert answer.headers["x-request-id"] == "ticket-7"
    changed, created = (await client.get(f"/v1/audit-trail?subject={merchant['id']}")).json()["data"]
    assert (changed["kind"], changed["before"], changed["after"]) == ("merchant.changed", {"name": "m"}, {"name": "n"})
    assert (changed["request_id"], changed["operator_id"]) == ("ticket-7", None)
    assert created["kind"] == "merchant.created"
    assert len(created["request_id"]) == 32
    assert changed["key_id"] == created["key_id"]
    assert (await client.get(f"/v1/audit-trail?key_id={changed['key_id']}")).json()["data"] == [changed, created]
    assert (await client.get("/v1/audit-trail?kind=merchant.created")).json()["data"] == [created]
    assert (await client.get(f"/v1/audit-trail?created_after={created['at']}")).json()["data"] == [changed]
    issued = (await client.get("/v1/audit-trail?kind=key.issued")).json()["data"]
    assert [action["subject"] for action in issued] == [changed["key_id"]]
    assert "token" not in str(issued)
    assert "secret" not in str(issued)
    page = (await client.get("/v1/audit-trail?limit=1")).json()
    rest = (await client.get(f"/v1/audit-trail?cursor={page['next_cursor']}")).json()["data"]
    assert [*page["data"], *rest] == [changed, created, *issued]
    for query, field in (("kind=x", "kind"), ("subject=%25", "subject"), ("key_id=opr_1", "key_id")):
        problem(await client.get(f"/v1/audit-trail?{query}"), 400, "invalid_field", field)


async def test_what_is_refused_leaves_no_line(staff: Staff) -> None:
    client = staff.client
    merchant = await made(client, "/v1/merchants", code="m", name="m")
    address = f"/v1/merchants/{merchant['id']}"
    problem(await client.post("/v1/merchants", json={"code": "m", "name": "x"}), 409, "already_exists", "code")
    wrong = "91350100M000100Y44"
    problem(await client.patch(address, json={"legal_code": wrong}), 400, "invalid_field", "legal_code")
    assert (await client.patch(address, json={"name": "m"})).json() == merchant
    trail = (await client.get("/v1/audit-trail")).json()["data"]
    assert [action["kind"] for action in trail] == ["merchant.created", "key.issued"]


# What the law asks of parties


async def test_issuers_merchants_and_stores_are_filled_in(client: httpx.AsyncClient) -> None:
    issuer = await made(client, "/v1/issuers", code="i", name="i", time_zone="Asia/Shanghai", brand="红旗")
    filed = {
        "issuer_class": "group",
        "legal_name": "红旗连锁股份有限公司",
        "legal_code": "91350100M000100Y43",
        "province": "CN-SC",
        "filing_number": "510100AAB0001",
        "filed_on": "2026-01-31",
        "business_started_on": "2026-01-01",
        "calendar": "CN",
        "payment_licence": None,
    }
    changed = (await client.patch(f"/v1/issuers/{issuer['id']}", json=filed)).json()
    assert changed == {**issuer, **filed}
    assert (await client.patch(f"/v1/issuers/{issuer['id']}", json={"brand": None})).json()["brand"] is None
    merchant = await made(client, "/v1/merchants", code="m", name="m", group_code="91350100M000100Y43")
    assert merchant["group_code"] == "91350100M000100Y43"
    store = await made(
        client, "/v1/stores", merchant_id=merchant["id"], code="s", name="s", latitude_udeg=30_572_815,
        longitude_udeg=104_066_801, trade="grocery", district="锦江区",
    )  # fmt: skip
    assert store["district"] == "锦江区"
    address = f"/v1/stores/{store['id']}"
    problem(await client.patch(address, json={"latitude_udeg": None}), 400, "invalid_field", "latitude_udeg")
    problem(await client.patch(address, json={"latitude_udeg": 90_000_001}), 400, "invalid_field", "latitude_udeg")
    problem(await client.patch(address, json={"latitude_udeg": 30.5}), 400, "invalid_field", "latitude_udeg")
    for district in ("", " 锦江区", "x" * 65, "a\n", 5):
        problem(await client.patch(address, json={"district": district}), 400, "invalid_field", "district")
    problem(
        await client.patch(f"/v1/issuers/{issuer['id']}", json={"filed_on": "31.1.2026"}),
        400,
        "invalid_field",
        "filed_on",
    )
    assert (await client.get(address)).json() == store
    nowhere = {"latitude_udeg": None, "longitude_udeg": None, "trade": None, "district": None}
    assert (await client.patch(address, json=nowhere)).json() == {**store, **nowhere}
