"""What a client is told about a field that is wrong."""

from typing import Annotated, Any

import msgspec
import pytest
from litestar.testing import RequestFactory
from litestar.types import Empty

from kaquan.doors.http.fields import AccountId, AmountFen, MerchantId, account_of
from kaquan.doors.http.paging import Moment
from kaquan.doors.http.problems import RefusedError
from kaquan.doors.http.reading import explain, read_file
from kaquan.doors.http.request import ApiRequest
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Mode


class Place(msgspec.Struct, forbid_unknown_fields=True):
    merchant_id: MerchantId


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    amount_fen: AmountFen
    places: list[Place] = []
    mode: Mode | None = None
    at: Moment | None = None
    final: bool = True
    note: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    tags: dict[str, int] = {}


def told(body: dict[str, Any]) -> Refusal:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(msgspec.json.encode(body), type=Request)
    return explain(raised.value, Request)


@pytest.mark.parametrize(
    ("body", "field", "allowed"),
    [
        ({}, "amount_fen", f"is required: an integer from 1 to {MAX_FEN}"),
        ({"amount_fen": "1"}, "amount_fen", f"must be an integer from 1 to {MAX_FEN}"),
        ({"amount_fen": -1}, "amount_fen", f"must be an integer from 1 to {MAX_FEN}"),
        ({"amount_fen": 10**18}, "amount_fen", f"must be an integer from 1 to {MAX_FEN}"),
        ({"amount_fen": True}, "amount_fen", f"must be an integer from 1 to {MAX_FEN}"),
        ({"amount_fen": 1, "places": {}}, "places", "must be a list, each an object"),
        ({"amount_fen": 1, "places": [1]}, "places[0]", "must be an object"),
        (
            {"amount_fen": 1, "places": [{}]},
            "places[0].merchant_id",
            "is required: an id: mer_ and 32 lower-case hexadecimal digits",
        ),
        (
            {"amount_fen": 1, "places": [{"merchant_id": "x"}]},
            "places[0].merchant_id",
            "must be an id: mer_ and 32 lower-case hexadecimal digits",
        ),
        (
            {"amount_fen": 1, "places": [{"merchant": 1}]},
            "places[0].merchant",
            "is not a field here; the fields are: merchant_id",
        ),
        ({"amount_fen": 1, "mode": "fast"}, "mode", "must be one of: live, test or null"),
        ({"amount_fen": 1, "final": 1}, "final", "must be true or false"),
        ({"amount_fen": 1, "note": "long"}, "note", "must be a text or null"),
        (
            {"amount_fen": 1, "at": "2026-01-31T08:00:00"},
            "at",
            "must be an RFC 3339 time with its offset, such as 2026-01-31T08:00:00Z or null",
        ),
        ({"amount_fen": 1, "tags": {"a": "b"}}, "tags[...]", "must be something else"),
    ],
)
def test_the_field_and_what_it_allows(body: dict[str, Any], field: str, allowed: str) -> None:
    refusal = told(body)
    assert (refusal.code, refusal.field) == ("invalid_field", field)
    assert refusal.message("en") == f"{field}: {allowed}"
    assert field in refusal.message("zh")


def test_a_hostile_field_name_stays_a_name() -> None:
    name = "x` - at `$.amount_fen{0.__class__}" + "y" * 1_000
    refusal = told({"amount_fen": 1, name: 1})
    assert refusal.code == "invalid_field"
    assert len(refusal.message("en")) < 300
    assert "__class__" not in refusal.message("en").replace("{0.__class__}", "")


def test_an_account_id_reads_back() -> None:
    assert account_of(msgspec.convert("acc_3_17", AccountId)) == (3, 17)
    for wrong in ("acc_3", "acc_300_1", "acc_0_0", "acc_0_-1", "acc_0_1\n", f"acc_0_{'9' * 19}"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, AccountId)


async def test_a_client_that_breaks_off_is_no_failure_of_ours() -> None:
    parts: list[Any] = [
        {"type": "http.request", "body": b'{"amount_fen"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return parts.pop(0)

    request: ApiRequest = ApiRequest(RequestFactory().post("/v1/cards").scope, receive)
    request._body = Empty  # nothing of it was read
    with pytest.raises(RefusedError) as raised:
        await read_file(request, limit=1_000)
    assert (raised.value.refusal.code, raised.value.refusal.field) == ("invalid_field", "request")
