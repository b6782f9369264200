"""What `make mutants` came to, as Markdown: the score of each module, and every survivor as the line that was changed.

``python -m tests.mutants [FOLDER]`` reads the folder that mutmut leaves (``mutants``). A survivor whose change is only
in words (a label, a message, the text of an assertion) is counted and not listed. Why others may live stands in
``tests/mutants_explained.toml``; a reason there that fits no survivor is an error.
"""

import ast
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

KILLED, SURVIVED, UNSEEN = {1, 3}, {0}, {5, 33}
"""mutmut's exit codes; what is in none of them timed out or was not run."""

COLUMNS = ("killed", "only words", "explained", "survived", "no test", "not run")
EXPLAINED = Path(__file__).with_name("mutants_explained.toml")


class Survivor(NamedTuple):
    """A change that no test noticed: the line before and after."""

    module: str
    function: str
    before: str
    after: str


class Reason(NamedTuple):
    """Why survivors may live that turn ``was`` into one of ``now``: in a module, in a function of it, or anywhere."""

    why: str
    was: str
    now: tuple[str, ...]
    module: str | None = None
    function: str | None = None

    def fits(self, one: Survivor) -> bool:
        if self.module not in (None, one.module) or self.function not in (None, one.function):
            return False
        before, was = one.before, self.was
        places = [at for at in range(len(before)) if before.startswith(was, at)]
        return any(before[:at] + now + before[at + len(was) :] == one.after for at in places for now in self.now)


class Elsewhere(NamedTuple):
    """What no unit test reaches, and where it is tested; ``function`` is the beginning of its name."""

    why: str
    module: str
    function: str


class Module(NamedTuple):
    """What became of a module's mutants, its survivors, and the functions of those that no test reaches."""

    name: str
    outcomes: Counter[str]
    survivors: list[Survivor]
    unseen: list[str]


def read_reasons() -> list[Reason]:
    """Those of the file."""
    told = tomllib.loads(EXPLAINED.read_text())["reason"]
    return [Reason(one["why"], one["was"], tuple(one["now"]), one.get("module"), one.get("function")) for one in told]


def read_elsewhere() -> list[Elsewhere]:
    """Those of the file."""
    told = tomllib.loads(EXPLAINED.read_text())["elsewhere"]
    return [Elsewhere(one["why"], one["module"], one["function"]) for one in told]


def read_module(meta: Path) -> Module:
    """One module, from mutmut's results and from its source with all mutants in it."""
    codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    source = meta.with_suffix("").read_text()
    module = str(meta).partition("src/kaquan/")[2].removesuffix(".meta")
    functions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    outcomes: Counter[str] = Counter()
    survivors, unseen = [], []
    for key, code in codes.items():
        outcome = _outcome(code)
        name = key.rpartition(".")[2]
        function = name.removeprefix("x_").removeprefix("xǁ").partition("__mutmut")[0].replace("ǁ", ".")
        if outcome == "no test":
            unseen.append(function)
        elif outcome == "survived":
            before, after = functions[name.rpartition("_")[0] + "_orig"], functions[name]
            if _without_words(before) == _without_words(after):
                outcome = "only words"
            else:
                survivors.append(Survivor(module, function, *_changed(before, after)))
        outcomes[outcome] += 1
    return Module(module, outcomes, survivors, unseen)


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
            return old.strip(), new.strip()
    return "", ""


def to_markdown(modules: Sequence[Module], reasons: Sequence[Reason], elsewhere: Sequence[Elsewhere]) -> str:
    """The score, why survivors may live, and those of which nobody said it. Raises ValueError if a reason fits none."""
    reached: Counter[Elsewhere] = Counter()
    lived: dict[Reason, Counter[str]] = {reason: Counter() for reason in reasons}
    unexplained: list[Survivor] = []
    total: Counter[str] = Counter()
    rows = []
    for module in modules:
        outcomes = Counter(module.outcomes)
        for one in module.survivors:
            reason = next((reason for reason in reasons if reason.fits(one)), None)
            if reason is None:
                unexplained.append(one)
            else:
                lived[reason][module.name] += 1
                outcomes["survived"] -= 1
                outcomes["explained"] += 1
        for function in module.unseen:
            where = next((x for x in elsewhere if x.module == module.name and function.startswith(x.function)), None)
            if where is not None:
                reached[where] += 1
                outcomes["no test"] -= 1
                outcomes["explained"] += 1
        total += outcomes
        rows.append(_row(module.name, outcomes))
    was_run = {module.name for module in modules}
    stale = [f"{one.was} → {one.now}" for one, lives in lived.items() if not lives and one.module in {None, *was_run}]
    stale += [f"{one.module} {one.function}" for one in elsewhere if not reached[one] and one.module in was_run]
    if stale:
        raise ValueError("nothing is explained by: " + "; ".join(stale))
    lines = [
        "# The score of the mutants",
        "",
        "<!-- made by `python -m tests.mutants`; see explanation/mutants.md -->",
        "",
        f"| module | mutants | {' | '.join(COLUMNS)} | score |",
        "|---|" + "---|" * (len(COLUMNS) + 2),
        *rows,
        _row("**all**", total),
        "",
        "The score leaves out changes of words, and what is explained.",
        "",
        "## Explained",
        "",
        *(_say(reason, lives) for reason, lives in lived.items() if lives),
        *(f"- no unit test of {one.module} `{one.function}` ({count}): {one.why}" for one, count in reached.items()),
        "",
        "## Survived",
        "",
        *(f"- `{one.module}` `{one.function}`: `{one.before}` → `{one.after}`" for one in unexplained),
        *([] if unexplained else ["None."]),
    ]
    return "\n".join([*lines, ""])


def _say(reason: Reason, found: Counter[str]) -> str:
    where = ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
    if reason.function is not None:
        where = f"{reason.module} `{reason.function}`"
    changes = ", ".join(f"`{now}`" if now else "nothing" for now in reason.now)
    return f"- `{reason.was}` → {changes} ({where}): {reason.why}"


def _row(name: str, outcomes: Counter[str]) -> str:
    run = outcomes["killed"] + outcomes["survived"] + outcomes["no test"]
    score = f"{100 * outcomes['killed'] / run:.1f} %" if run else "-"
    counts = (sum(outcomes.values()), *(outcomes[one] for one in COLUMNS))
    return f"| {name} | {' | '.join(map(str, counts))} | {score} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "mutants")
    found = [read_module(meta) for meta in sorted(folder.glob("src/**/*.meta"))]
    print(
        to_markdown([module for module in found if sum(module.outcomes.values())], read_reasons(), read_elsewhere()),
        end="",
    )
