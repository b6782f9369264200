"""The command ``kaquan`` in a process of its own, which need not load it anew.

One process has loaded the command and does nothing but fork. Its child takes arguments, environment and streams, and
runs and ends as if it had been started. Loading takes several times as long as most commands; what must be seen of a
real start (servers, signals, the documents) is started for real.
"""

import atexit
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from select import select

TIMEOUT_S = 120

_FORKS = """
import json, os, sys
import kaquan.doors.http.application  # which some commands load
import kaquan.doors.http.money
from kaquan.doors.cli import main

while asked := json.loads(sys.stdin.readline() or "null"):
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, name in enumerate([os.devnull, asked["out"], asked["err"]]):
        os.dup2(os.open(name, os.O_RDWR), number)
    sys.stdin = open(os.devnull)
    sys.argv = ["kaquan", *asked["arguments"]]
    main()
    break
"""


@cache
def _forking() -> subprocess.Popen[str]:
    """It ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    atexit.register(process.communicate)
    return process


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command printed and how it ended."""
    process = _forking()
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        asked = {"arguments": arguments, "env": env, "out": str(out), "err": str(err)}
        print(json.dumps(asked), file=process.stdin, flush=True)
        if not select([process.stdout], [], [], TIMEOUT_S)[0]:
            process.kill()
            _forking.cache_clear()
            raise subprocess.TimeoutExpired(["kaquan", *arguments], TIMEOUT_S)
        code = int(process.stdout.readline())
        return subprocess.CompletedProcess(["kaquan", *arguments], code, out.read_text(), err.read_text())
