"""The worker process: ``python -m kaquan.doors.worker.process``, started by :mod:`kaquan.doors.http.serve`.

It ends on SIGTERM, SIGINT or when its parent is gone: it begins nothing more, gives what runs a short time, and then
lets go of the database. What was cut off is done again by the next worker.
"""

import asyncio
import contextlib
import os
import signal
import sys

import structlog
import uvloop

from kaquan.app import App
from kaquan.doors.http.serve import CONNINFO_VARIABLE, PARENT_VARIABLE, when_gone
from kaquan.doors.logs import configure_logs
from kaquan.doors.worker.jobs import connector, jobs_of
from kaquan.doors.worker.log import keep_cosigned, keep_log
from kaquan.kit.db import UnsafeServerError, describe_failure, is_outage
from kaquan.migrations import SchemaError
from kaquan.settings import Settings, read_settings
from kaquan.vault import KeyringError

CONCURRENCY = 4
"""Jobs at once, so that a long batch delays no expiry."""

GRACE_S = 5.0

_log = structlog.get_logger("kaquan.worker")


async def run(settings: Settings, conninfo: str, parent: int | None = None) -> None:
    """Work until told to stop. Raises what :meth:`kaquan.app.App.open` raises."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent is not None:
        when_gone(parent, stop.set)
    app = await App.open(settings, conninfo)
    try:
        await work(app, conninfo, stop)
    finally:
        await app.close()


async def work(app: App, conninfo: str, stop: asyncio.Event) -> None:
    """Do jobs and keep the log until ``stop``."""
    async with jobs_of(app, connector(conninfo)).open_async() as jobs:
        working = asyncio.create_task(
            jobs.run_worker_async(
                concurrency=CONCURRENCY,
                delete_jobs="successful",
                shutdown_graceful_timeout=GRACE_S,
                install_signal_handlers=False,
            ),
            name="worker",
        )
        keeping = asyncio.create_task(keep_log(app, stop), name="log")
        cosigning = asyncio.create_task(keep_cosigned(app, stop), name="witnesses")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([working, stopping, keeping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        cosigning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        with contextlib.suppress(asyncio.CancelledError):
            await cosigning


def main() -> int:
    """The exit code: 0 after a clean stop, 1 with one sentence on standard error otherwise."""
    configure_logs(as_json=True)
    parent = os.environ.pop(PARENT_VARIABLE, None)
    try:
        uvloop.run(run(read_settings(), os.environ.pop(CONNINFO_VARIABLE), None if parent is None else int(parent)))
    except (UnsafeServerError, SchemaError, KeyringError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  (this process has no other voice before it works)
        return 1
    except Exception as error:
        if not is_outage(error):
            raise
        print(describe_failure(error), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
