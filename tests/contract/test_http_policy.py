"""``/v1/policy`` as a client sees it."""

from typing import Any, NamedTuple

import httpx
import pytest
from tests.contract.api import Api, problem

from kaquan.parties import Mode, Scope
from kaquan.policy import Metric, house_template

RULE = {
    "id": "HOUSE-CAP",
    "jurisdiction": "CN",
    "scheme": ["single_purpose"],
    "card_class": ["unregistered"],
    "metric": "card_balance_cap_fen",
    "value": 80_000,
    "action": "reject",
    "effective_from": "2099-01-01",
    "source": "董事会 2026-3",
    "title_zh": "限额",
    "title_en": "cap",
}
ASKED = "metric=card_balance_cap_fen&jurisdiction=CN-SH&scheme=single_purpose&card_class=unregistered"


class Office(NamedTuple):
    """Two keys of one book, and an issuer of it."""

    first: httpx.AsyncClient
    second: httpx.AsyncClient
    issuer_id: str

    async def propose(self, *rules: dict[str, Any], **changed: Any) -> httpx.Response:
        body = {"issuer_id": self.issuer_id, "note": "自定规则", "add": list(rules), **changed}
        return await self.first.post("/v1/policy/changes", json=body)

    async def changes(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.first.get("/v1/policy/changes")).json()["data"]
        return listed


@pytest.fixture
async def office(api: Api) -> Office:
    book = (await api.books())[Mode.LIVE]
    first, second = await api.client_of(book), await api.client_of(book)
    made = await first.post("/v1/issuers", json={"code": "i1", "name": "发卡方", "time_zone": "Asia/Shanghai"})
    return Office(first, second, made.json()["id"])


async def fact(client: httpx.AsyncClient, query: str) -> Any:
    response = await client.get(f"/v1/policy/facts?{query}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_policy_is_asked_for_shanghai_beijing_and_jiangsu(live: httpx.AsyncClient) -> None:
    asked = "metric=cooling_off_days&scheme=single_purpose&on=2026-03-01&jurisdiction="
    found = await fact(live, asked + "CN-JS")
    assert (found["jurisdiction"], found["on"]) == ("CN-32", "2026-03-01")
    assert (found["fact"]["id"], found["fact"]["value"], found["fact"]["unit"]) == ("JS-15D-01", 15, "days")
    assert (found["fact"]["operator"], found["fact"]["confidence"], found["fact"]["standing"]) == (">=", "S", "law")
    assert found["fact"]["sources"][0]["title"].startswith("江苏省")
    assert [rule["id"] for rule in found["also"]] == ["CN-SPC-07D"]
    assert (await fact(live, asked + "CN-SH"))["fact"]["id"] == "CN-SPC-07D"
    beijing = await fact(live, asked + "CN-11&condition=unused_card,new_firm")
    assert beijing["fact"]["id"] == "BJ-7D-01"
    assert beijing["fact"]["sources"] == [
        {
            "key": "L5",
            "title": "北京市单用途预付卡管理条例",
            "where": "LawRefBook/Laws 北京地方法规",
            "article": "16",
        }
    ]
    nothing = await fact(live, "metric=cooling_off_days&jurisdiction=CN-32&scheme=single_purpose&on=2021-03-31")
    assert (nothing["fact"], nothing["also"]) == (None, [])


async def test_advice_is_marked_and_is_no_answer(live: httpx.AsyncClient) -> None:
    found = await fact(
        live, "metric=large_value_report_due_working_days&jurisdiction=CN&scheme=multi_purpose&on=2026-03-01"
    )
    assert found["fact"] is None
    (advice,) = found["advisory"]
    assert (advice["id"], advice["standing"], advice["confidence"]) == ("CN-AML-LVT-DUE", "advisory", "M")


async def test_flags_read_as_yes_and_no(live: httpx.AsyncClient) -> None:
    found = await fact(live, "metric=expiry_allowed&jurisdiction=CN&scheme=single_purpose&card_class=registered")
    assert (found["fact"]["value"], found["fact"]["unit"], found["fact"]["demand"]) == ("no", "flag", "allowed: no")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "metric"),
        ("metric=colour&jurisdiction=CN", "metric"),
        ("metric=cooling_off_days", "jurisdiction"),
        ("metric=cooling_off_days&jurisdiction=china", "jurisdiction"),
        ("metric=cooling_off_days&jurisdiction=CN-99", "jurisdiction"),
        ("metric=cooling_off_days&jurisdiction=CN&on=yesterday", "on"),
        ("metric=cooling_off_days&jurisdiction=CN&on=2026-02-30", "on"),
        ("metric=cooling_off_days&jurisdiction=CN&scheme=both", "scheme"),
        ("metric=cooling_off_days&jurisdiction=CN&condition=rain", "condition"),
        ("metric=cooling_off_days&jurisdiction=CN&condition=,", "condition"),
        ("metric=cooling_off_days&jurisdiction=CN&issuer_id=iss_1", "issuer_id"),
        ("metric=cooling_off_days&jurisdiction=CN&colour=red", "colour"),
    ],
)
async def test_bad_questions_name_their_field(live: httpx.AsyncClient, query: str, field: str) -> None:
    problem(await live.get(f"/v1/policy/facts?{query}"), 400, "invalid_field", field)


async def test_an_unknown_issuer_is_refused(live: httpx.AsyncClient) -> None:
    nobody = f"iss_{'0' * 32}"
    for path in (f"facts?{ASKED}&issuer_id={nobody}", f"rules?issuer_id={nobody}", f"rule-sets?issuer_id={nobody}"):
        problem(await live.get(f"/v1/policy/{path}"), 404, "not_found", "issuer_id")


async def test_rules_are_listed_and_narrowed(live: httpx.AsyncClient) -> None:
    async def ids(query: str) -> list[str]:
        page = (await live.get(f"/v1/policy/rules?limit=200&{query}")).json()
        assert page["next_cursor"] is None
        return [rule["id"] for rule in page["data"]]

    everything = await ids("")
    assert len(everything) > 150
    assert await ids("id=CN-SP-CAP-01") == ["CN-SP-CAP-01"]
    assert await ids("metric=card_balance_cap_fen&jurisdiction=CN-31&standing=law&on=2026-01-01") == [
        "CN-MP-CAP-01.registered", "CN-MP-CAP-01.unregistered", "CN-SP-CAP-01", "CN-SP-CAP-02",
    ]  # fmt: skip
    shanghai = await ids("subject=report&jurisdiction=CN-SH&standing=law")
    assert shanghai == ["CN-SP-RPT-01", "SH-INFO-01", "SH-RPT-01"]
    assert await ids("subject=report&standing=advisory") == ["CN-SP-RPT-02", "CN-SP-RPT-03"]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await live.get(f"/v1/policy/rules?limit=50{cursor}")).json()
        seen += [rule["id"] for rule in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == everything
    beyond = await live.get("/v1/policy/rules?cursor=_____________________w")
    assert beyond.json() == {"data": [], "next_cursor": None}


async def test_every_metric_is_listed(live: httpx.AsyncClient) -> None:
    listed = (await live.get("/v1/policy/metrics")).json()["data"]
    assert [metric["metric"] for metric in listed] == list(Metric)
    assert all(metric["zh"] and metric["en"] and metric["operator"] and metric["unit"] for metric in listed)


async def test_terms_are_checked(office: Office) -> None:
    terms = {
        "jurisdiction": "CN-SH",
        "on": "2026-03-01",
        "scheme": "single_purpose",
        "card_class": "registered",
        "cap_fen": 600_000,
        "validity_days": 1_825,
    }
    response = await office.first.post("/v1/policy/terms/check", json=terms)
    assert response.status_code == 200
    told = response.json()
    assert [(term["field"], term["rule"]) for term in told["broken"]] == [
        ("cap_fen", "CN-SP-CAP-01"),
        ("validity_days", "CN-SP-EXP-01"),
    ]
    assert all("国办发〔2011〕25号" in term["source"] for term in told["broken"])
    lawful = {**terms, "cap_fen": 500_000, "validity_days": None, "issuer_id": office.issuer_id}
    assert (await office.first.post("/v1/policy/terms/check", json=lawful)).json() == {"on": "2026-03-01", "broken": []}
    for field, wrong in (("cap_fen", -1), ("scheme", "x"), ("jurisdiction", "CN-00"), ("on", "soon"), ("more", 1)):
        response = await office.first.post("/v1/policy/terms/check", json={**terms, field: wrong})
        problem(response, 400, "invalid_field", field)


async def test_a_change_needs_two_keys(office: Office) -> None:
    response = await office.propose(RULE)
    assert response.status_code == 201, response.text
    change = response.json()
    assert (change["status"], change["version"], change["issuer_id"]) == ("proposed", None, office.issuer_id)
    assert change["add"][0]["demand_zh"] == "不超过 800 元"
    address = f"/v1/policy/changes/{change['id']}"
    assert (await office.first.get(address)).json() == change
    asked = f"{ASKED}&issuer_id={office.issuer_id}&on=2099-01-01"
    assert (await fact(office.first, asked))["fact"]["id"] == "CN-SP-CAP-02"
    reason = {"reason": "ok"}
    problem(await office.first.post(f"{address}/approve", json=reason), 403, "second_person_required")
    assert (await office.first.get(address)).json() == change
    approved = (await office.second.post(f"{address}/approve", json=reason)).json()
    assert (approved["status"], approved["version"], approved["reason"]) == ("approved", 1, "ok")
    assert approved["proposed_by"] != approved["decided_by"]
    found = (await fact(office.first, asked))["fact"]
    assert (found["id"], found["value"], found["standing"]) == ("HOUSE-CAP", 80_000, "house")
    assert (found["source"], found["sources"]) == ("董事会 2026-3", [])
    assert (await fact(office.first, f"{ASKED}&on=2099-01-01"))["fact"]["id"] == "CN-SP-CAP-02"
    problem(await office.second.post(f"{address}/approve", json=reason), 409, "change_already_decided")
    problem(await office.second.post(f"{address}/reject", json=reason), 409, "change_already_decided")
    assert await office.changes() == [approved]
    house = await office.first.get(f"/v1/policy/rules?standing=house&issuer_id={office.issuer_id}")
    assert [rule["id"] for rule in house.json()["data"]] == ["HOUSE-CAP"]
    for version, count in ((0, 0), (1, 1)):
        listed = await office.first.get(f"/v1/policy/rule-sets?issuer_id={office.issuer_id}&version={version}")
        assert (listed.json()["version"], len(listed.json()["rules"])) == (version, count)
    problem(await office.first.get("/v1/policy/rule-sets?version=7"), 404, "not_found", "version")


async def test_a_change_is_rejected(office: Office) -> None:
    change = (await office.propose(RULE)).json()
    address = f"/v1/policy/changes/{change['id']}"
    rejected = (await office.second.post(f"{address}/reject", json={"reason": "too low"})).json()
    assert (rejected["status"], rejected["version"], rejected["reason"]) == ("rejected", None, "too low")
    problem(await office.second.post(f"{address}/approve", json={"reason": "x"}), 409, "change_already_decided")
    for query, found in (("status=rejected", [rejected]), ("status=approved", []), ("status=proposed", [])):
        assert (await office.first.get(f"/v1/policy/changes?{query}")).json()["data"] == found


@pytest.mark.parametrize(
    ("changed", "status", "code", "field"),
    [
        ({"value": 100_001}, 422, "house_rule_weaker_than_law", "add[0].value"),
        ({"effective_from": "2020-01-01"}, 422, "rule_in_the_past", "add[0].effective_from"),
        ({"effective_to": "2098-01-01"}, 400, "invalid_field", "add[0].effective_to"),
        ({"jurisdiction": "CN-00"}, 400, "invalid_field", "add[0].jurisdiction"),
        ({"metric": "expiry_allowed", "value": 1}, 400, "invalid_field", "add[0].value"),
        ({"value": -1}, 400, "invalid_field", "add[0].value"),
        ({"value": None}, 400, "invalid_field", "add[0].value"),
        ({"metric": "x"}, 400, "invalid_field", "add[].metric"),
        ({"scheme": ["x"]}, 400, "invalid_field", "add[].scheme[]"),
        ({"confidence": "P"}, 400, "invalid_field", "add[0].confidence"),
        ({"id": "CN-SP-CAP-02"}, 400, "invalid_field", "add[0].id"),
        ({"id": "x"}, 400, "invalid_field", "add[].id"),
        ({"more": 1}, 400, "invalid_field", "add[].more"),
    ],
)
async def test_bad_rules_name_their_field(
    office: Office, changed: dict[str, Any], status: int, code: str, field: str
) -> None:
    response = await office.propose({**RULE, **changed})
    body = response.json()
    # what the decoder refuses names the place without its number
    assert (response.status_code, body["code"]) == (status, code), body
    assert body["field"].replace("[...]", "[]") in (field, field.replace("[]", "[0]")), body
    assert await office.changes() == []


async def test_a_weaker_rule_is_refused_with_the_law_row_and_its_source(office: Office) -> None:
    body = problem(await office.propose({**RULE, "value": 600_000}), 422, "house_rule_weaker_than_law", "add[0].value")
    for text in (body["detail"], body["detail_zh"]):
        assert "CN-SP-CAP-02" in text
        assert "国办发〔2011〕25号" in text


async def test_ends_are_refused_for_what_is_not_there(office: Office) -> None:
    ending = {"rule_id": "HOUSE-CAP", "effective_from": "2099-01-01", "effective_to": "2099-02-01"}
    problem(await office.propose(end=[ending]), 422, "unknown_rule", "end[0].rule_id")
    problem(await office.propose(), 400, "invalid_field", "add")
    assert await office.changes() == []


async def test_a_book_changes_its_law(office: Office) -> None:
    response = await office.propose(
        {**RULE, "confidence": "P", "jurisdiction": "CN-SH", "id": "SH-NEW-01"}, issuer_id=None
    )
    assert response.status_code == 201, response.text
    change = response.json()
    assert (change["issuer_id"], change["add"][0]["standing"]) == (None, "law")
    await office.second.post(f"/v1/policy/changes/{change['id']}/approve", json={"reason": "new law"})
    assert (await fact(office.first, f"{ASKED}&on=2099-01-01"))["fact"]["id"] == "SH-NEW-01"
    assert (await fact(office.first, f"{ASKED}&on=2098-12-31"))["fact"]["id"] == "CN-SP-CAP-02"


async def test_a_file_is_imported_whole_or_not_at_all(office: Office) -> None:
    good = "\n".join(house_template().replace("2026-01-01", "2099-01-01").splitlines()[:4]) + "\n"
    bad = good.replace(",90,", ",ninety,") + "x\n"
    body = {"issuer_id": office.issuer_id, "note": "模板", "format": "csv", "content": bad}
    told = problem(await office.first.post("/v1/policy/imports", json=body), 422, "rule_file_invalid", "content")
    assert all(f"line {number}: " in told["detail"] for number in (3, 5))
    assert all(f"第 {number} 行：" in told["detail_zh"] for number in (3, 5))
    assert await office.changes() == []
    asked = {name: value for name, value in body.items() if name != "note"}
    report = (await office.first.post("/v1/policy/imports/check", json=asked)).json()
    assert [(line["line"], line["field"], line["code"]) for line in report["problems"]] == [
        (3, "value", "invalid_field"),
        (5, "line", "invalid_field"),
    ]
    assert report["rule_count"] == 2
    clean = (await office.first.post("/v1/policy/imports/check", json={**asked, "content": good})).json()
    assert clean == {"rule_count": 3, "problems": []}
    assert await office.changes() == []
    made = await office.first.post("/v1/policy/imports", json={**body, "content": good})
    assert made.status_code == 201, made.text
    assert [rule["id"] for rule in made.json()["add"]] == ["HOUSE-GUARANTEE-30", "HOUSE-VOUCHER-90", "HOUSE-REBATE-8"]
    problem(
        await office.first.post("/v1/policy/imports", json={**body, "issuer_id": f"iss_{'0' * 32}"}),
        404,
        "not_found",
        "issuer_id",
    )


async def test_each_scope_opens_its_own_addresses(api: Api) -> None:
    book = (await api.books())[Mode.LIVE]
    reader = await api.client_of(book, Scope.POLICY_READ)
    writer = await api.client_of(book, Scope.POLICY_WRITE)
    approver = await api.client_of(book, Scope.POLICY_APPROVE)
    change = f"/v1/policy/changes/pol_{'0' * 32}"
    for client, scope in ((writer, "policy:read"), (approver, "policy:read")):
        for path in ("rules", f"facts?{ASKED}", "metrics", "changes", "rule-sets"):
            assert scope in problem(await client.get(f"/v1/policy/{path}"), 403, "forbidden")["detail"]
    for client in (reader, approver):
        for path in ("changes", "imports", "imports/check"):
            problem(await client.post(f"/v1/policy/{path}", json={}), 403, "forbidden")
    for client in (reader, writer):
        for verb in ("approve", "reject"):
            problem(await client.post(f"{change}/{verb}", json={"reason": "x"}), 403, "forbidden")
    for verb in ("approve", "reject"):
        problem(await approver.post(f"{change}/{verb}", json={"reason": "x"}), 404, "not_found", "id")


async def test_books_never_meet(api: Api, office: Office) -> None:
    change = (await office.propose(RULE)).json()
    books = await api.books()
    stranger = await api.client_of(books[Mode.LIVE])
    address = f"/v1/policy/changes/{change['id']}"
    problem(await stranger.get(address), 404, "not_found", "id")
    for verb in ("approve", "reject"):
        problem(await stranger.post(f"{address}/{verb}", json={"reason": "x"}), 404, "not_found", "id")
    problem(
        await stranger.post("/v1/policy/changes", json={"issuer_id": office.issuer_id, "note": "x", "add": [RULE]}),
        404,
        "not_found",
        "issuer_id",
    )
    assert (await stranger.get("/v1/policy/changes")).json()["data"] == []
    assert await office.changes() == [change]
