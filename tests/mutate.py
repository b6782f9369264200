"""Run the mutants that mutmut makes: the tests are collected once, and each mutant is a fork that ends with the first
test that fails. (mutmut starts pytest anew for each, which takes fifty times as long.)

``python tests/mutate.py [--quick] [NAME…]`` runs those that have no verdict yet, and of those whose names are given
(``kaquan.payments.spend*``) all that no test killed. ``--quick`` leaves the tests of Hypothesis out. Verdicts are kept
in ``mutants``, where :mod:`tests.mutants` finds them. While the file of ``KAQUAN_WAIT_WHILE`` exists, it waits.
"""

import contextlib
import gc
import mmap
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import mutmut.__main__ as mutmut
import pytest
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths
from mutmut.utils.format_utils import mangled_name_from_mutant_name
from mutmut.workers.isolation import get_mutant_runner

SURVIVED, KILLED, HUNG, UNSEEN = 0, 1, 36, 33
"""mutmut's exit codes."""
SLOW_S = 0.3
SAVE_EVERY = 50


def main(arguments: Sequence[str]) -> None:
    is_quick, names = "--quick" in arguments, [one for one in arguments if not one.startswith("--")]
    set_mutant_under_test("mutant_generation")
    with mutmut.CatchOutput():
        copy_src_dir()
        copy_also_copy_files()
        setup_source_paths()
        mutmut.create_mutants(1)
    mutmut.collect_or_load_stats(get_mutant_runner(1))
    set_mutant_under_test("")
    every, _ = mutmut.collect_source_file_mutation_data(mutant_names=[])
    wanted = [
        (data, name)
        for data, name, verdict in every
        if verdict is None or (verdict != KILLED and any(fnmatch(name, one) for one in names))
    ]
    told = config().pytest_add_cli_args_test_selection
    os.chdir("mutants")
    sys.exit(pytest.main(["--rootdir=.", "-q", "-p", "no:cacheprovider", *told], plugins=[_Loop(wanted, is_quick)]))


class _Loop:
    """Instead of pytest's own: not every test once, but some of them for every mutant."""

    def __init__(self, wanted: Sequence[tuple[Any, str]], is_quick: bool) -> None:
        self._wanted, self._is_quick = wanted, is_quick
        self._kills: dict[str, Counter[str]] = {}
        """Of each function, which tests killed its mutants: they are asked first."""
        self._shared = mmap.mmap(-1, 4)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """How long an example takes where much else runs says nothing about a change."""
        from hypothesis import HealthCheck, settings  # pytest wants to load it first

        settings.register_profile("mutants", deadline=None, database=None, suppress_health_check=list(HealthCheck))
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests = {item.nodeid.removeprefix("mutants/"): item for item in session.items}
        quick = [item for item in tests.values() if self._rank(item) == 0]
        _warm_up(quick)
        if self._fork("", quick, limit_s=600) != SURVIVED:
            raise SystemExit("some fail in a fork without a change")
        counts: Counter[int] = Counter()
        changed: dict[int, Any] = {}
        began = time.monotonic()
        for done, (data, name) in enumerate(self._wanted, start=1):
            while os.path.exists(os.environ.get("KAQUAN_WAIT_WHILE", "")):
                time.sleep(1)
            verdict = self._run(name, tests)
            data.exit_code_by_key[name] = verdict
            changed[id(data)] = data
            counts[verdict] += 1
            if done % SAVE_EVERY == 0 or done == len(self._wanted):
                with contextlib.chdir(".."):
                    for one in changed.values():
                        one.save()
                changed.clear()
                rate = done / (time.monotonic() - began)
                print(f"{done} of {len(self._wanted)}: {counts[KILLED]} killed, {rate:.1f}/s", file=sys.__stderr__)
        return True

    def _rank(self, item: pytest.Item) -> int:
        is_property = item.get_closest_marker("hypothesis") is not None
        return int(is_property or state().duration_by_test.get(item.nodeid.removeprefix("mutants/"), 0) > SLOW_S)

    def _run(self, name: str, tests: dict[str, pytest.Item]) -> int:
        function = mangled_name_from_mutant_name(name.replace("__init__.", ""))
        kills, durations = self._kills.setdefault(function, Counter()), state().duration_by_test
        seen = [one for one in state().tests_by_mangled_function_name.get(function, ()) if one in tests]
        if self._is_quick:
            seen = [one for one in seen if self._rank(tests[one]) == 0]
        if not seen:
            return UNSEEN
        seen.sort(key=lambda one: (-kills[one], self._rank(tests[one]), durations.get(one, 0)))
        limit_s = 5 + 10 * sum(durations.get(one, 0) for one in seen)
        verdict = self._fork(name, [tests[one] for one in seen], limit_s=limit_s)
        if verdict == KILLED:
            kills[seen[int.from_bytes(self._shared[:4], "big")]] += 1
        return verdict

    def _fork(self, name: str, items: Sequence[pytest.Item], *, limit_s: float) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(self._judge(name, items, limit_s))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _judge(self, name: str, items: Sequence[pytest.Item], limit_s: float) -> int:
        """In the fork: which place in the list the test has that fails stands in the shared memory."""
        set_mutant_under_test(name)
        signal.signal(signal.SIGVTALRM, lambda *_: os._exit(HUNG))
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
        for place, is_passed in enumerate(_passes(items)):
            if not is_passed:
                self._shared[:4] = place.to_bytes(4, "big")
                return KILLED
        return SURVIVED


def _passes(items: Sequence[pytest.Item]) -> Iterator[bool]:
    """Whether each test passes; fixtures of the session stay."""
    for item in items:
        setup: Any = item.session._setupstate
        setup.teardown_exact(item)  # of the module that was before, which may be one of another list
        item._initrequest()  # type: ignore[attr-defined]
        try:
            setup.setup(item)
            item.runtest()
        except BaseException:
            yield False
        else:
            yield True
        setup.teardown_exact(item.parent)


def _warm_up(items: Sequence[pytest.Item]) -> None:
    """What is read and made once is read here and not in every fork; and without a change every test passes, also in
    another order."""
    for one in (items, random.Random(1).sample(list(items), len(items))):
        wrong = [item.nodeid for item, is_passed in zip(one, _passes(one), strict=True) if not is_passed]
        if wrong:
            raise SystemExit(f"these fail without a change: {wrong}")
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    assert Path("pyproject.toml").exists(), "run it where the project is"
    main(sys.argv[1:])
