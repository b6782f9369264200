"""How long records are kept by the rules, and what that means for a person who asks to be forgotten."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.contract.api import Api, problem
from tests.contract.office import Office

from kaquan.parties.customers import PersonalField, Retention
from kaquan.parties.customers.forget import join_retentions

LICENCE = "Z2000133000019"
LAWFUL: dict[str, Any] = {"card_class": "registered", "max_balance_fen": 100_000}


@pytest.fixture
async def office(api: Api) -> Office:
    return await Office.open(api)


async def holder(office: Office, programme: dict[str, Any] | None) -> dict[str, Any]:
    """A person with a name and a phone, and a card of ``programme``."""
    customer = await office.make("/v1/customers", name="王敏", phone="13912345678")
    if programme is not None:
        card = await office.card(programme)
        await office.make(f"/v1/cards/{card}/register", customer_id=customer["id"])
        customer["card"] = card
    return customer


async def forget(office: Office, customer: dict[str, Any], **body: Any) -> dict[str, Any]:
    return await office.make(f"/v1/customers/{customer['id']}/forget", **body)


def years_from_now(forgotten: dict[str, Any]) -> int:
    until = datetime.fromisoformat(forgotten["retained_until"])
    return round((until - datetime.now(UTC)).days / 365.25)


async def test_the_retention_table_names_rule_and_source(office: Office) -> None:
    async def table(query: str) -> dict[str, Any]:
        rows = (await office.system.get(f"/v1/policy/retention?{query}")).json()["data"]
        return {row["metric"]: row["fact"] for row in rows}

    multi = await table("jurisdiction=CN&scheme=multi_purpose")
    assert {"purchaser_record_years", "customer_record_years", "transaction_record_years", "network_log_months"} <= set(
        multi
    )
    fact = multi["customer_record_years"]
    assert (fact["id"], fact["value"], fact["unit"]) == ("CN-AML-REC-01", 10, "years")
    assert fact["sources"][0]["article"] == "34"
    assert multi["purchaser_record_years"] is None
    single = await table("jurisdiction=CN-11&scheme=single_purpose")
    assert (single["purchaser_record_years"]["value"], single["customer_record_years"]) == (5, None)
    assert single["transaction_record_years"]["id"] == "BJ-REC-01"
    before = await table("jurisdiction=CN&scheme=multi_purpose&on=2006-01-01")
    assert before["customer_record_years"] is None
    for query, field in (("", "jurisdiction"), ("jurisdiction=Paris", "jurisdiction"), ("jurisdiction=CN&x=1", "x")):
        problem(await office.system.get(f"/v1/policy/retention?{query}"), 400, "invalid_field", field)


async def test_what_the_law_keeps_of_a_holder_is_kept_without_being_asked(office: Office) -> None:
    programme = await office.programme(operating_mode="closed_loop", **LAWFUL)
    forgotten = await forget(office, await holder(office, programme))
    assert (forgotten["retained_by"], years_from_now(forgotten)) == ("CN-SP-REC-01", 5)
    assert (forgotten["name_masked"], forgotten["phone_masked"]) != (None, None)
    assert forgotten["level"] == "none"
    (told,) = await office.trail("customer.forgotten")
    assert (told["after"]["kept"], told["after"]["kept_by"]) == (["document", "name", "phone"], "CN-SP-REC-01")


async def test_who_had_a_card_is_kept_as_who_has_one(office: Office) -> None:
    programme = await office.programme(operating_mode="closed_loop", **LAWFUL)
    customer = await holder(office, programme)
    await office.make(f"/v1/cards/{customer['card']}/unbind", reason="本人要求")
    forgotten = await forget(office, customer)
    assert (forgotten["retained_by"], years_from_now(forgotten)) == ("CN-SP-REC-01", 5)


async def test_nothing_is_kept_where_no_rule_speaks(office: Office) -> None:
    undeclared = await office.programme()
    for programme in (None, undeclared):
        customer = await holder(office, programme)
        forgotten = await forget(office, customer)
        assert (forgotten["name_masked"], forgotten["phone_masked"], forgotten["retained_by"]) == (None, None, None)


async def test_a_request_may_ask_for_more_and_never_for_less(office: Office) -> None:
    programme = await office.programme(operating_mode="closed_loop", **LAWFUL)
    soon = {"fields": ["name"], "rule": "HOUSE-1", "until": "2027-01-01T00:00:00+08:00"}
    forgotten = await forget(office, await holder(office, programme), retain=soon)
    assert (forgotten["retained_by"], years_from_now(forgotten)) == ("CN-SP-REC-01", 5)
    late = {**soon, "rule": "COURT-7", "until": "2099-01-01T00:00:00+08:00"}
    forgotten = await forget(office, await holder(office, programme), retain=late)
    assert (forgotten["retained_by"], forgotten["retained_until"]) == ("COURT-7", "2098-12-31T16:00:00Z")
    assert forgotten["phone_masked"] is not None
    customer = await holder(office, programme)
    past = {**soon, "until": "2001-01-01T00:00:00Z"}
    response = await office.system.post(f"/v1/customers/{customer['id']}/forget", json={"retain": past})
    problem(response, 400, "invalid_field", "retain.until")
    assert (await office.system.get(f"/v1/customers/{customer['id']}")).json()["forgotten_at"] is None


async def test_multi_purpose_cards_are_remembered_for_longer(office: Office) -> None:
    issuer = await office.make("/v1/issuers", code="lic", name="L", time_zone="Asia/Shanghai", payment_licence=LICENCE)
    shared = await office.programme(issuer_id=issuer["id"], operating_mode="open_alliance", **LAWFUL)
    forgotten = await forget(office, await holder(office, shared))
    assert (forgotten["retained_by"], years_from_now(forgotten)) == ("CN-AML-REC-01", 10)


def test_two_retentions_let_go_of_nothing_that_either_holds() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    short = Retention(frozenset({PersonalField.NAME}), "A", at)
    long = Retention(frozenset({PersonalField.PHONE}), "B", at.replace(year=2031))
    both = Retention(frozenset({PersonalField.NAME, PersonalField.PHONE}), "B", long.until)
    assert join_retentions(short, long) == join_retentions(long, short) == both
    assert join_retentions(None, short) == join_retentions(short, None) == short
    assert join_retentions(None, None) is None
