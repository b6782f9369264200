"""One server process: ``python -m kaquan.doors.http.process``, started by :mod:`kaquan.doors.http.serve`.

It has its own event loop, batcher and database sessions, and shares only the port. It ends on SIGTERM, SIGINT or when
its parent is gone: it stops accepting, answers what it accepted, and then lets go of the database.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from kaquan.app import App
from kaquan.doors.http.application import create_litestar
from kaquan.doors.http.money import MoneyFront, describe_money
from kaquan.doors.http.serve import CONNINFO_VARIABLE, GRACE_S, PARENT_VARIABLE, when_gone
from kaquan.doors.logs import configure_logs
from kaquan.kit.db import UnsafeServerError, describe_failure, is_outage
from kaquan.migrations import SchemaError
from kaquan.settings import Settings, read_settings
from kaquan.vault import KeyringError

KEEP_ALIVE_S = 75
BACKLOG = 2048

_log = structlog.get_logger("kaquan.http")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that shares its port with the other processes of this server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to :func:`run`: uvicorn raises them again when it is done, which would end us before we are."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(settings: Settings, conninfo: str, parent: int | None = None) -> None:
    """Serve until told to stop. Raises what :meth:`kaquan.app.App.open` raises, before anything is accepted."""
    app = await App.open(settings, conninfo)
    # What is here now stays; and requests leave no cycles, so that the collector need not look for them so often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    paths, schemas = describe_money()
    server = _Server(
        uvicorn.Config(
            MoneyFront(app, create_litestar(app, paths, schemas)),
            lifespan="off",
            http="httptools",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    if parent is not None:
        when_gone(parent, stop)
    try:
        await server.serve(sockets=[listen(settings.host, settings.port)])
    finally:
        await app.close()


def main() -> int:
    """The exit code: 0 after a clean stop, 1 with one sentence on standard error otherwise."""
    configure_logs(as_json=True)
    parent = os.environ.pop(PARENT_VARIABLE, None)
    try:
        uvloop.run(run(read_settings(), os.environ.pop(CONNINFO_VARIABLE), None if parent is None else int(parent)))
    except (UnsafeServerError, SchemaError, KeyringError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  (this process has no other voice before it serves)
        return 1
    except Exception as error:
        if not is_outage(error):
            raise
        print(describe_failure(error), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
