"""Every refusal of the product can be said in both languages, and every code has one meaning."""

import ast
import importlib
import string
from pathlib import Path
from pkgutil import walk_packages

import pytest

import kaquan
from kaquan.kit.outcomes import OUTCOMES, Outcome, outcome

for found in walk_packages(kaquan.__path__, "kaquan."):
    if found.name.endswith(".outcomes"):
        importlib.import_module(found.name)

DETAILS_OF_EVERY = {"field"}


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_a_refusal_cites_a_rule_that_has_a_source() -> None:
    of = OUTCOMES["not_found"]
    cited = of.refuse("id", what="x", rule="CN-1", source="a law")
    assert (cited.rule, cited.source) == ("CN-1", "a law")
    assert (of.refuse("id", what="x").rule, of.refuse("id", what="x", rule="night").rule) == (None, None)


@pytest.mark.parametrize("of", OUTCOMES.values(), ids=OUTCOMES)
def test_an_outcome_is_said_in_both_languages(of: Outcome) -> None:
    assert of.en.isascii() or "…" in of.en
    assert any("一" <= character <= "鿿" for character in of.zh)
    assert names_in(of.en) - DETAILS_OF_EVERY == names_in(of.zh) - DETAILS_OF_EVERY
    assert of.code.isidentifier()
    assert of.code.islower()
    assert 400 <= of.http_status < 600
    assert len(of.iso8583) == 2
    refusal = of.refuse("some_field", **dict.fromkeys(names_in(of.en) - {"field"}, "X"))
    for language in ("en", "zh"):
        said = refusal.message(language)
        assert said
        assert "{" not in said
        assert ("X" in said) == bool(names_in(of.en) - {"field"})


def test_a_detail_may_read_differently_in_chinese() -> None:
    refusal = OUTCOMES["invalid_field"].refuse("amount_fen", allowed="must be 1", allowed_zh="应为 1")
    assert refusal.message("en") == "amount_fen: must be 1"
    assert "应为 1" in refusal.message("zh")


def test_a_code_has_one_meaning() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        outcome("not_found", http=404, iso="25", en="x", zh="无")
    assert OUTCOMES["not_found"].en != "x"


def test_what_is_retryable_is_what_a_client_may_send_again() -> None:
    retryable = {code: of.http_status for code, of in OUTCOMES.items() if of.retryable}
    assert {"busy", "unavailable", "request_in_progress"} <= retryable.keys()
    assert set(retryable.values()) == {409, 429, 503}


def test_every_refusal_gives_the_details_that_its_messages_name() -> None:
    """Each ``NAME.refuse(…)`` in the source names what the texts of NAME name: a message never fails at the till."""
    by_name = {
        name: value
        for module in [
            importlib.import_module(found.name)
            for found in walk_packages(kaquan.__path__, "kaquan.")
            if found.name.endswith(".outcomes")
        ]
        for name, value in vars(module).items()
        if isinstance(value, Outcome)
    }
    checked = 0
    for path in Path(kaquan.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "refuse"):
                continue
            target = node.func.value
            name = (
                target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
            )
            if name not in by_name or any(keyword.arg is None for keyword in node.keywords):
                continue
            given = {keyword.arg for keyword in node.keywords} | ({"field"} if node.args else set())
            needed = names_in(by_name[name].en) | names_in(by_name[name].zh)
            assert needed <= given, f"{path.name}:{node.lineno} {name} needs {needed - given}"
            checked += 1
    assert checked > 30
