"""The parent of the server processes: starts them, starts again what dies, stops all together."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import structlog

from kaquan.settings import Settings

CONNINFO_VARIABLE = "KAQUAN_SERVE_CONNINFO"
PARENT_VARIABLE = "KAQUAN_SERVE_PARENT_FD"

GRACE_S = 30
"""How long a stopping process waits for requests that it has accepted."""

END_S = 2 * GRACE_S
"""A process whose parent is gone has ended after this time, whatever it waits for: nobody else is there to end it."""

RESTART_PAUSE_S = 0.5
FAST_DEATH_S = 3.0
"""A process that ends sooner after its start could not begin to serve: starting it again would not help."""

_log = structlog.get_logger("kaquan.serve")


class ServeError(Exception):
    """The server could not be started; the message says why."""


def check_port(host: str, port: int) -> None:
    """Raise ServeError if the port is taken or the host is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"Cannot listen on {host} port {port} ({error.strerror}); name another one with KAQUAN_PORT."
            ) from None


def free_port(host: str) -> int:
    """A port that nobody listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def when_gone(parent: int, stop: Callable[[], None]) -> None:
    """Call ``stop`` once when the other end of the pipe ``parent`` is closed; for a process on its event loop."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent)  # the end of a file can be read for ever, and the loop would do nothing else
        stop()
        last = threading.Timer(END_S, os._exit, (1,))
        last.daemon = True
        last.start()

    loop.add_reader(parent, gone)


class Processes:
    """The processes of one server: ``settings.processes`` for HTTP, and one for jobs unless that is left out.

    They log to standard error, or to the end of the file ``log``. ``environment`` is what those have that start from
    now on.
    """

    def __init__(self, settings: Settings, conninfo: str, *, jobs: bool = True, log: Path | None = None) -> None:
        self._modules = ["kaquan.doors.http.process"] * settings.processes
        if jobs:
            self._modules.append("kaquan.doors.worker.process")
        # the children's end of this pipe reaches its end of file when this process is gone, however it ends
        self._read_end, self._write_end = os.pipe()
        self._log = log
        self._metrics = settings.home / "metrics" / str(settings.port)
        self.environment = {
            **os.environ,
            CONNINFO_VARIABLE: conninfo,
            PARENT_VARIABLE: str(self._read_end),
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
            "KAQUAN_HOME": str(settings.home),
            "KAQUAN_HOST": settings.host,
            "KAQUAN_PORT": str(settings.port),
            **({} if settings.clock_offset is None else {"KAQUAN_CLOCK_OFFSET": str(settings.clock_offset)}),
        }
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stopping = False
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start every process."""
        _empty(self._metrics)
        for index in range(len(self._modules)):
            self._start(index)

    def _start(self, index: int) -> None:
        with contextlib.nullcontext() if self._log is None else self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  (our own module, our own interpreter)
                [sys.executable, "-m", self._modules[index]],
                env=self.environment,
                pass_fds=[self._read_end],
                # a Ctrl-C reaches the parent, which stops the children in order
                process_group=0,
                stdout=log,
                stderr=log,
            )
        self._running[index] = (process, time.monotonic())

    @property
    def pids(self) -> Sequence[int]:
        """The process ids, HTTP first."""
        return [self._running[index][0].pid for index in sorted(self._running)]

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Start again what dies, until ``until`` says so or :meth:`stop` is called.

        Raises ServeError when a process cannot begin at all; it has said why on standard error.
        """
        while not self._stopping and not until():
            time.sleep(0.1)
            for index, (process, started) in list(self._running.items()):
                if process.poll() is None or self._stopping:
                    continue
                if time.monotonic() - started < FAST_DEATH_S and process.returncode > 0:
                    self.stop()
                    raise ServeError(f"A server process could not start; see {self._log or 'the line above'}.")
                _log.warning("a server process died", module=self._modules[index], code=process.returncode)
                time.sleep(RESTART_PAUSE_S)
                with self._starting:  # another thread may have stopped all of them in the pause
                    if not self._stopping:
                        self._start(index)

    def stop(self) -> None:
        """Stop every process: each answers what it accepted. Killed after a grace."""
        with self._starting:
            self._stopping = True
        for process, _ in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + GRACE_S + 5
        for process, _ in self._running.values():
            try:
                process.wait(max(0.1, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT end :meth:`watch`."""

        def end(_: int, __: FrameType | None) -> None:
            self._stopping = True

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
