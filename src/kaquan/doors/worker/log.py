"""Keep the transparency log: a step every few hundred milliseconds, at once where more waits."""

import asyncio
import contextlib

import structlog

from kaquan.app import App
from kaquan.doors.worker.metrics import LOG_LEAVES, LOG_SIGNED_AT
from kaquan.evidence import LogError
from kaquan.kit.db import describe_failure, is_outage

EVERY_S = 0.2
AFTER_FAILURE_S = 5.0

_log = structlog.get_logger("kaquan.worker")


async def keep_log(app: App, stop: asyncio.Event) -> None:
    """Sequence leaves until ``stop``. What goes wrong is logged and tried again: the leaves wait where they are."""
    while not stop.is_set():
        try:
            taken = await app.sequencer.step(app.keyring.log_signers)
            pause_s = 0.0 if taken.more else EVERY_S
            if taken.leaves:
                LOG_LEAVES.inc(taken.leaves)
                LOG_SIGNED_AT.set(app.clock.now().timestamp())
        except (LogError, OSError) as error:
            _log.error("the log is not continued", error=str(error))
            pause_s = AFTER_FAILURE_S
        except Exception as error:
            if not is_outage(error):
                _log.error("the log failed", exc_info=error)
            else:
                _log.warning("the log failed", error=describe_failure(error))
            pause_s = AFTER_FAILURE_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)
