"""The pages of ``docs/reference``, made from the code: what they list is what there is."""

import ast
import doctest
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any

import msgspec
import typer.main
from tests.contract.api import Api
from tests.renewed import ROOT, check_renewed

from kaquan import settings
from kaquan.audit import find_audits
from kaquan.doors.cli.entry import app as command_line
from kaquan.kit.outcomes import OUTCOMES
from kaquan.promotions import find_kinds, kinds
from kaquan.promotions.kind import PurchaseKind
from kaquan.settings import Settings

FOLDER = ROOT / "docs/reference"
TEST = "tests/contract/test_reference.py"

# what any request may be refused for, said once above the table
COMMON = {
    "body_too_large",
    "forbidden",
    "internal_error",
    "invalid_field",
    "malformed_json",
    "unauthenticated",
    "unavailable",
}


def page(name: str, title: str, introduction: str, *parts: str) -> None:
    """Check a page, or renew it."""
    made = f"<!-- made from the code by {TEST} -->"
    text = "\n\n".join([f"# {title}", made, " ".join(introduction.split()), *parts]) + "\n"
    check_renewed(FOLDER / name, text, test=TEST)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def sentences(text: str) -> str:
    """A docstring as one line of Markdown."""
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`")


def test_outcomes(api: Api) -> None:
    found = sorted(OUTCOMES.values(), key=lambda outcome: outcome.code)
    rows = [
        [
            f"`{outcome.code}`",
            str(outcome.http_status),
            outcome.iso8583,
            "yes" if outcome.retryable else "",
            outcome.en.replace("{", "‹").replace("}", "›"),
            outcome.zh.replace("{", "‹").replace("}", "›"),
        ]
        for outcome in found
    ]
    page(
        "outcomes.md",
        "Outcomes",
        """Every refusal, as `code` of an RFC 9457 problem document. A code is never renamed nor given another meaning.
        *Retryable*: the same request with the same key may succeed later without being changed. ISO 8583 is the
        response code of field 39, for doors that speak it.""",
        table(["code", "HTTP", "ISO 8583", "retryable", "English", "中文"], rows),
    )


def test_settings() -> None:
    defined = next(node for node in ast.parse(inspect.getsource(Settings)).body if isinstance(node, ast.ClassDef))
    texts: dict[str, str] = {}
    for node, after in zip(defined.body, defined.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            texts[node.target.id] = sentences(ast.literal_eval(after.value))
    rows = []
    for field in msgspec.structs.fields(Settings):
        low_high = settings._BOUNDS.get(field.name)
        allowed = "" if low_high is None else f"{low_high[0]:,} to {low_high[1]:,}"
        default = "" if field.default is None else f"`{field.default}`"
        rows.append([f"`KAQUAN_{field.name.upper()}`", default, allowed, texts.get(field.name, "")])
    page(
        "settings.md",
        "Settings",
        """Read from the environment when a command starts. A value that is not allowed ends the command with a sentence
        that names it.""",
        table(["variable", "default", "allowed", "meaning"], rows),
    )


def test_command_line() -> None:
    page(
        "cli.md",
        "Command line",
        """`kaquan COMMAND --help` says the same. A command prints its result on standard output, as one JSON document
        with `--json`, and everything else on standard error; it ends with 0 only when it did what it says.""",
        *commands_below("kaquan", typer.main.get_command(command_line)),
    )


def commands_below(name: str, command: Any) -> Iterator[str]:
    for word, below in getattr(command, "commands", {}).items():
        yield from commands_below(f"{name} {word}", below)
    if not hasattr(command, "commands"):
        yield f"## {name}\n\n{command.help}"
        rows = [
            [f"`{value.metavar or value.name.upper()}`" if value.param_type_name == "argument" else option(value), says]
            for value in command.params
            if (says := value.help or "") and not getattr(value, "hidden", False)
        ]
        if rows:
            yield table(["option", "meaning"], rows)


def option(value: Any) -> str:
    written = ", ".join(f"`{name}`" for name in value.opts)
    return written if value.is_flag else f"{written} …"


def test_addresses(api: Api) -> None:
    document = msgspec.json.decode(api.litestar.state["openapi"])
    operations = sorted(
        (operation["tags"][0], path, method.upper(), operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )
    parts: list[str] = []
    for tag, of_tag in groupby(operations, key=lambda found: found[0]):
        rows = [
            [
                f"`{method} {path}`",
                sentences(operation["summary"]),
                scope_of(operation),
                ", ".join(sorted(codes_of(operation))),
            ]
            for _, path, method, operation in of_tag
        ]
        parts += [f"## {tag}", table(["address", "does", "scope", "may refuse with"], rows)]
    page(
        "api.md",
        "HTTP API",
        f"""Every address; bodies, fields and examples are in the OpenAPI document that a server gives at
        `/v1/openapi.json`. Besides what is listed, any request may be refused with
        {", ".join(f"`{code}`" for code in sorted(COMMON))} ([outcomes](outcomes.md)).""",
        *parts,
    )


def scope_of(operation: dict[str, Any]) -> str:
    found = re.search(r"`[a-z:]+`", operation.get("description", ""))
    return found[0] if found else ""


def codes_of(operation: dict[str, Any]) -> set[str]:
    codes: set[str] = set()
    for answer in operation["responses"].values():
        for content in answer["content"].values():
            for schema in content["schema"].get("allOf", []):
                codes.update(schema.get("properties", {}).get("code", {}).get("enum", []))
    return codes - COMMON


def test_offers() -> None:
    parts = []
    for name, kind in sorted(find_kinds().items()):
        told = inspect.getdoc(import_module(f"{kinds.__name__}.{name}")) or ""
        text, _, _ = told.partition(">>>")
        fields = [
            [f"`{field.name}`", f"`{shown(field.type)}`", "" if field.required else f"`{field.default!r}`"]
            for field in msgspec.structs.fields(kind.params)
        ]
        examples = [
            [
                f"`{code(one.source)}`",
                one.source.partition("#")[2].strip(),
                f"`{' '.join(one.want.split())}`" if one.want else "",
            ]
            for one in doctest.DocTestParser().get_examples(told)
            if not one.source.startswith("from ")
        ]
        parts += [
            f"## {kind.zh} · `{name}`",
            f"{kind.en}: for {'purchases' if isinstance(kind, PurchaseKind) else 'top-ups'}. {sentences(text)}",
            table(["parameter", "type", "if left out"], fields),
            table(["worked example", "", "gives"], examples),
        ]
    introduction = """Every kind of offer with its parameters and worked examples, which the tests run. Amounts are in
        fen, shares in basis points; `basket(…)` are goods at these prices, `top_up(…)` a load; `off` is the discount,
        `effects` everything that is given. Conditions, stacking, budgets: [run campaigns](../how-to/campaigns.md)."""
    page("offers.md", "Kinds of offers", introduction, *parts)


def code(source: str) -> str:
    return " ".join(source.partition("#")[0].split())


def shown(type_: Any) -> str:
    return re.sub(r"(?:\w+\.)+", "", str(type_)) if "[" in str(type_) or "|" in str(type_) else type_.__name__


def test_audits() -> None:
    rows = [[f"`{audit.name}`", audit.proves_en, audit.proves_zh] for audit in find_audits().values()]
    page(
        "audits.md",
        "Audits",
        """What `kaquan audit` checks, and the worker every hour: read-only, all audits of a run against one moment.""",
        table(["audit", "proves", "含义"], rows),
    )
