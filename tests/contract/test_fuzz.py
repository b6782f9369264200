"""Whatever is sent to any address of the OpenAPI document: no 5xx, answers as the document says.

Half of the generated requests name real cards, terminals and payments, so that they also reach the desk.
``KAQUAN_SOAK=1`` sends many more.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.conftest import make_database
from tests.town import Told, Town, audits_hold, keyring_file

from kaquan import parties
from kaquan.doors.cli.serving import serving
from kaquan.doors.http.serve import free_port
from kaquan.kit.clock import SystemClock
from kaquan.kit.ids import Prefix, show_id
from kaquan.parties import IssuedKey, Mode, Scope
from kaquan.settings import Settings

SOAK = bool(os.environ.get("KAQUAN_SOAK"))


def wrong_data_is_refused(context: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """What breaks the document's rules is refused, be it for its size."""
    return True if response.status_code == 413 else negative_data_rejection(context, response, case)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    wrong_data_is_refused,
]


class Target(NamedTuple):
    """A server with something in its book."""

    url: str
    token: str
    ids: dict[str, str]
    """Real ids by the name of the field that takes them."""


async def furnish(conninfo: str) -> tuple[str, dict[str, str]]:
    town = await Town.found(conninfo, clock=SystemClock())
    card = await town.new_card(load_fen=10**12, bonus_fen=10**6)
    paid = await town.purchase(card, 10**6)
    held: Told = await town.authorize(card, 10**6)
    app, place = town.apps[0], town.places[0]
    key = await parties.issue_key(
        app.pool, app.clock, app.ids, book=town.books[Mode.LIVE], name="fuzz", scopes=list(Scope)
    )
    assert isinstance(key, IssuedKey)
    await town.close()
    return key.token, {
        "card_id": show_id(Prefix.CARD, card),
        "terminal_id": show_id(Prefix.TERMINAL, place.terminal_id),
        "store_id": show_id(Prefix.STORE, place.store_id),
        "merchant_id": show_id(Prefix.MERCHANT, place.merchant_id),
        "issuer_id": show_id(Prefix.ISSUER, town.issuer.id),
        "programme_id": show_id(Prefix.PROGRAMME, town.programme.id),
        "payment_id": paid.body["id"],
        "authorization_id": held.body["id"],
    }


@pytest.fixture(scope="module")
def conninfo(server: str) -> str:
    return make_database(server, f"test_fuzz_{os.getpid()}")


@pytest.fixture(scope="module")
def target(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("fuzz")
    keyring_file(home / "keyring.json")
    token, ids = asyncio.run(furnish(conninfo))
    served = Settings(home=home, port=free_port("127.0.0.1"), workers=1)
    with serving(served, conninfo, jobs=False):
        yield Target(f"http://127.0.0.1:{served.port}", token, ids)


def make_real(case: Case[Any], ids: dict[str, str]) -> None:
    """Put real ids where the case has well-formed ones."""
    body: Any = case.body
    if isinstance(body, dict):
        for name, real in ids.items():
            if isinstance(body.get(name), str) and len(body[name]) == len(real):
                body[name] = real
    path: Any = case.path_parameters or {}
    if isinstance(path.get("id"), str):
        noun = case.operation.path.split("/")[2]
        field = {"authorizations": "authorization_id", "purchases": "payment_id"}.get(noun, f"{noun.rstrip('s')}_id")
        if field in ids and len(path["id"]) == len(ids[field]):
            path["id"] = ids[field]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_brings_the_server_down(target: Target, conninfo: str, mode: GenerationMode) -> None:
    headers = {"Authorization": f"Bearer {target.token}"}
    document = requests.get(f"{target.url}/v1/openapi.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(with_security_parameters=False)  # the key is ours, and right
    seen = 0
    with requests.Session() as session:
        results: Any = schema.get_all_operations()
        for found in results:
            operation = found.ok()
            assert operation is not None, found

            @settings(
                max_examples=300 if SOAK else 2,
                derandomize=not SOAK,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode), st.booleans())
            def send(case: Case[Any], real: bool) -> None:
                if real:
                    make_real(case, target.ids)
                case.call_and_validate(base_url=target.url, session=session, headers=headers, checks=CHECKS, timeout=20)

            with suppress(Unsatisfiable):  # what takes nothing cannot be asked wrongly
                send()
            seen += 1
    assert seen > 30
    asyncio.run(audits_hold(conninfo))


def test_every_address_asks_for_a_key(target: Target) -> None:
    document: dict[str, Any] = requests.get(f"{target.url}/v1/openapi.json", timeout=10).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            url = target.url + path.replace("{id}", "x")
            answer = requests.request(method, url, timeout=10, json={})
            if operation.get("security"):
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
            else:
                assert answer.status_code < 500, (method, path)
