"""Every request that changes something is asked by a story of the simulator, or it is said why none can ask it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tests.contract.api import Api
from tests.renewed import ROOT

FOLDER = ROOT / "src/kaquan/doors/simulate"

OTHER_BRANCH = "taken by the other branch"

NOT_ASKED = dict.fromkeys([
    "PATCH /v1/customers/{}",
    "POST /v1/batches/{}/production-file",
    "POST /v1/buyer-lists",
    "POST /v1/buyer-lists/{}/apply",
    "POST /v1/buyer-lists/{}/end",
    "POST /v1/card-enquiries",
    "POST /v1/cards/{}/extend",
    "POST /v1/cards/{}/release",
    "POST /v1/cards/{}/unbind",
    "POST /v1/customers/search",
    "POST /v1/customers/segments",
    "POST /v1/customers/{}/export",
    "POST /v1/customers/{}/forget",
    "POST /v1/customers/{}/receipts",
    "POST /v1/customers/{}/reveal",
    "POST /v1/customers/{}/verify",
    "POST /v1/payouts/{}/mark-failed",
    "POST /v1/payouts/{}/replace",
    "POST /v1/points/adjustments",
    "POST /v1/points/benefits",
    "POST /v1/points/benefits/{}/take",
    "POST /v1/programme-ends",
    "POST /v1/programme-ends/{}/payees",
    "POST /v1/programme-ends/{}/publications",
    "POST /v1/programme-ends/{}/withdraw",
    "POST /v1/sales/{}/clear",
    "POST /v1/sales/{}/purchaser",
    "POST /v1/top-ups/{}/purchaser",
    "POST /v1/transactions/{}/receipt/reveal",
    "POST /v1/voucher-batches/import",
    "POST /v1/voucher-batches/{}/cancel",
    "POST /v1/voucher-templates/{}/end",
    "POST /v1/vouchers/claim",
    "POST /v1/vouchers/search",
    "POST /v1/vouchers/{}/cancel",
    "POST /v1/vouchers/{}/reveal",
    "PUT /v1/customers/{}/segments",
], OTHER_BRANCH)  # fmt: skip
"""By address, why no story asks for it."""

_READS = {"read", "until", "stays", "check_fields", "only_row"}
"""What asks with GET."""

_HOLE = "{}"


def changing_addresses(api: Api) -> set[str]:
    """Every address with a method that changes something, its places as holes."""
    document = msgspec.json.decode(api.litestar.state["openapi"])
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', _HOLE, path)}"
        for path, item in document["paths"].items()
        for method in item
        if method != "get"
    }


def asked_addresses() -> Iterator[str]:
    """What the simulator asks, as its source says it; a hole that ends a path may be any word of its file."""
    for file in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(file.read_text())
        words = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[a-z-]+", node.value)
        }
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                for method, path in _asked_in(scope):
                    yield f"{method} {path}"
                    head, _, last = path.rpartition("/")
                    if last == _HOLE:
                        yield from (f"{method} {head}/{word}" for word in words)


def _asked_in(function: ast.AST) -> Iterator[tuple[str, str]]:
    """The method and the path of every call that has a path, and of every tuple of what is asked at once."""
    known: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets = node.targets[0]
            pairs = (
                zip(targets.elts, node.value.elts, strict=True)
                if isinstance(targets, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(targets, node.value)]
            )
            for target, value in pairs:
                if isinstance(target, ast.Name) and (path := _path_of(value, known)) is not None:
                    known[target.id] = path
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _READS:
                continue
            method = next((one.value for one in node.keywords if one.arg == "method"), ast.Constant("POST"))
            assert isinstance(method, ast.Constant | ast.Name), ast.unparse(node)
            arguments = node.args
        elif isinstance(node, ast.Tuple):
            method, arguments = ast.Constant("POST"), node.elts
        else:
            continue
        for argument in arguments:
            if isinstance(method, ast.Constant) and (path := _path_of(argument, known)) is not None:
                yield str(method.value), path


def _path_of(node: ast.expr, known: dict[str, str]) -> str | None:
    """The path that an expression is, its places as holes and without its query; None for everything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
    elif isinstance(node, ast.JoinedStr):
        text = "".join(
            str(part.value)
            if isinstance(part, ast.Constant)
            else known.get(ast.unparse(part.value), _HOLE)
            if isinstance(part, ast.FormattedValue)
            else ""
            for part in node.values
        )
    else:
        return None
    return text.partition("?")[0] if text.startswith("/v1/") else None


def test_every_request_that_changes_something_is_asked_or_it_is_said_why_not(api: Api) -> None:
    exist, asked = changing_addresses(api), set(asked_addresses())
    assert exist - asked == NOT_ASKED.keys(), "told of in the table: what is not asked, and nothing else"


def test_the_table_says_why() -> None:
    assert all(NOT_ASKED.values())


def test_a_path_is_read_as_it_is_written(tmp_path: Path) -> None:
    source = """
async def one(story):
    address = f"/v1/things/{thing}"
    await story.make("x", address, method="PUT")
    await story.make("x", f"{address}/end?a=1", method="DELETE", once=False)
    await story.read(line, f"/v1/never/{thing}")
    await at_once(story, *[("x", "/v1/others", {})] * 3)
"""
    (function,) = ast.parse(source).body
    assert set(_asked_in(function)) == {
        ("PUT", "/v1/things/{}"), ("DELETE", "/v1/things/{}/end"), ("POST", "/v1/others"),
    }  # fmt: skip
