"""Every request that changes something is asked by a story of the simulator, or it is said why none can ask it."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from tests.contract.api import Api
from tests.renewed import ROOT

FOLDER = ROOT / "src/kaquan/doors/simulate"

NOT_ASKED: dict[str, str] = {}
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
        for method, path in asked_in(tree):
            yield f"{method} {path}"
            head, _, last = path.rpartition("/")
            if last == _HOLE:
                yield from (f"{method} {head}/{word}" for word in words)


def asked_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The method and the path of every call that has a path, and of every tuple of what is asked at once."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    given: dict[tuple[str, str], str] = {}
    for function in functions:
        given |= _given_by(function, functions, _named_in(function))
    for function in functions:
        known = {name: path for (called, name), path in given.items() if called == function.name}
        yield from _asked_in(function, _named_in(function, known))


def _named_in(function: ast.AST, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The paths that have names in a function, besides those that it is given."""
    named = dict(known or {})
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=True))
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.GeneratorExp):
                pairs = [(one, value.elt) for one in target.elts]
            for name, path in pairs:
                if isinstance(name, ast.Name) and (found := _path_of(path, named)) is not None:
                    named[name.id] = found
    return named


def _given_by(
    caller: ast.AST, functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef], named: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """The paths that a function gives to others of its file, by their names and those of their parameters."""
    parameters = {function.name: [one.arg for one in function.args.args] for function in functions}
    return {
        (node.func.id, name): path
        for node in ast.walk(caller)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in parameters
        for name, value in zip(parameters[node.func.id], node.args, strict=False)
        if (path := _path_of(value, named)) is not None
    }


def _asked_in(function: ast.AST, named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function):
        method: ast.expr = ast.Constant("POST")
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            arguments = [] if name in _READS else node.args
            method = next((one.value for one in node.keywords if one.arg == "method"), method)
        elif isinstance(node, ast.Tuple):
            arguments = node.elts
        else:
            continue
        for argument in arguments:
            if isinstance(method, ast.Constant) and (path := _path_of(argument, named)) is not None:
                yield str(method.value), re.split("[?&]", path)[0]


def _path_of(node: ast.expr, named: Mapping[str, str]) -> str | None:
    """The path that an expression is, its places as holes; None for everything else."""
    if isinstance(node, ast.Name):
        return named.get(node.id)
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = "".join(
        str(part.value) if isinstance(part, ast.Constant) else named.get(ast.unparse(part.value), _HOLE)
        for part in parts
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )
    return text if text.startswith("/v1/") else None


def test_every_request_that_changes_something_is_asked_or_it_is_said_why_not(api: Api) -> None:
    exist, asked = changing_addresses(api), set(asked_addresses())
    assert exist - asked == NOT_ASKED.keys(), "told of in the table: what is not asked, and nothing else"


def test_a_path_is_read_as_it_is_written() -> None:
    source = """
async def one(story):
    address = f"/v1/things/{thing}"
    upload = f"/v1/files?name={name}"
    await story.make("x", address, method="PUT")
    await story.make("x", f"{address}/end?a=1", method="DELETE", once=False)
    await story.tell("x", f"{upload}&more={more}", file="")
    await story.read(line, f"/v1/never/{thing}")
    await other(story, address, "pause")
    (rest,) = (f"/v1/rests/{one}" for one in told)
    await at_once(story, *[("x", rest, {})] * 3)


async def other(story, place, verb):
    await story.make(verb, f"{place}/{verb}")
"""
    assert {path for path in asked_in(ast.parse(source)) if path[1].startswith("/v1/")} == {
        ("PUT", "/v1/things/{}"), ("DELETE", "/v1/things/{}/end"), ("POST", "/v1/files"), ("POST", "/v1/rests/{}"),
        ("POST", "/v1/things/{}/{}"), ("POST", "/v1/things/{}"),
    }  # fmt: skip
