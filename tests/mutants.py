"""What `make mutants` came to, as Markdown: the score of each module, and every survivor as the line that was changed.

``python -m tests.mutants [FOLDER]`` reads the folder that mutmut leaves (``mutants``). A survivor whose change is only
in words (a label, a message, the text of an assertion) is counted and not listed.
"""

import ast
import json
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

KILLED, SURVIVED, UNSEEN = {1, 3}, {0}, {5, 33}
"""mutmut's exit codes; what is in none of them timed out or was not run."""


class Module(NamedTuple):
    """What became of a module's mutants, and its survivors: function, number, the line before and after."""

    name: str
    outcomes: Counter[str]
    survivors: list[tuple[str, str, str]]


def read_module(meta: Path) -> Module:
    """One module, from mutmut's results and from its source with all mutants in it."""
    codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    source = meta.with_suffix("").read_text()
    functions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    outcomes: Counter[str] = Counter()
    survivors = []
    for key, code in codes.items():
        outcome = _outcome(code)
        if outcome == "survived":
            name = key.rpartition(".")[2]
            before, after = functions[name.rpartition("_")[0] + "_orig"], functions[name]
            if _without_words(before) == _without_words(after):
                outcome = "words"
            else:
                old, new = _changed(before, after)
                survivors.append((name.removeprefix("x_").partition("__mutmut")[0], old, new))
        outcomes[outcome] += 1
    return Module(str(meta).partition("src/kaquan/")[2].removesuffix(".meta"), outcomes, survivors)


def _outcome(code: int | None) -> str:
    if code is None:
        return "not run"
    for outcome, known in (("killed", KILLED), ("survived", SURVIVED), ("no test", UNSEEN)):
        if code in known:
            return outcome
    return "killed"  # it hung


def _without_words(function: ast.FunctionDef) -> str:
    class Forget(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("") if isinstance(node.value, str) else node

    copy = ast.parse(_text(function))
    return ast.dump(Forget().visit(copy))


def _text(function: ast.FunctionDef) -> str:
    """Its code under the name that it has in the module, a statement or its head on each line."""
    original = function.name.partition("__mutmut")[0]
    return ast.unparse(function).replace(function.name, original, 1)


def _changed(before: ast.FunctionDef, after: ast.FunctionDef) -> tuple[str, str]:
    """The first line that differs."""
    for old, new in zip(_text(before).splitlines(), _text(after).splitlines(), strict=False):
        if old != new:
            return old, new
    return "", ""


def to_markdown(modules: list[Module]) -> str:
    """The score and the survivors."""
    lines = [
        "# The score of the mutants",
        "",
        "<!-- made by `python -m tests.mutants`; see explanation/mutants.md -->",
        "",
        "| module | mutants | killed | only words | survived | no test | not run | score |",
        "|---|---|---|---|---|---|---|---|",
    ]
    total: Counter[str] = Counter()
    for module in modules:
        total += module.outcomes
        lines.append(_row(module.name, module.outcomes))
    lines.append(_row("**all**", total))
    lines += ["", "The score leaves out changes of words. Survivors:", ""]
    for module in modules:
        for function, old, new in module.survivors:
            lines.append(f"- `{module.name}` `{function}`: `{old.strip()}` → `{new.strip()}`")
    return "\n".join([*lines, ""])


def _row(name: str, outcomes: Counter[str]) -> str:
    run = outcomes["killed"] + outcomes["survived"] + outcomes["no test"]
    score = f"{100 * outcomes['killed'] / run:.1f} %" if run else "-"
    counts = (sum(outcomes.values()), *(outcomes[one] for one in ("killed", "words", "survived", "no test", "not run")))
    return f"| {name} | {' | '.join(map(str, counts))} | {score} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "mutants")
    found = [read_module(meta) for meta in sorted(folder.glob("src/**/*.meta"))]
    print(to_markdown([module for module in found if sum(module.outcomes.values())]), end="")
