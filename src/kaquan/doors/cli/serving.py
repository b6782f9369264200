"""Server processes for the length of a command."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kaquan.doors.http.serve import Processes, ServeError
from kaquan.settings import Settings

READY_S = 60.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (looked up, not bound)


def address_of(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


@contextmanager
def serving(
    settings: Settings, conninfo: str, *, jobs: bool = True, until_signal: bool = False, log: Path | None = None
) -> Iterator[Processes]:
    """Server processes that answer, stopped at the end.

    With ``until_signal`` SIGTERM and SIGINT end :meth:`Processes.watch` from the start on. Raises ServeError.
    """
    processes = Processes(settings, conninfo, jobs=jobs, log=log)
    if until_signal:
        processes.stop_on_signals()
    processes.start()
    try:
        _await_ready(processes, settings, log)
        yield processes
    finally:
        processes.stop()


def _await_ready(processes: Processes, settings: Settings, log: Path | None) -> None:
    give_up = time.monotonic() + READY_S
    late = False

    def done() -> bool:
        nonlocal late
        late = time.monotonic() > give_up
        return late or _is_ready(settings)

    processes.watch(until=done)
    if late:
        raise ServeError(f"The server was not ready after {READY_S:.0f} seconds; see {log or 'the lines above'}.")


def _is_ready(settings: Settings) -> bool:
    host = _EVERYWHERE.get(settings.host, settings.host)
    with closing(http.client.HTTPConnection(host, settings.port, timeout=2)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
