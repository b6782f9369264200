"""Keep the transparency log: a step every few hundred milliseconds, at once where more waits; and have it cosigned."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

import structlog

from kaquan.app import App
from kaquan.doors.worker.metrics import LOG_COSIGNED_AT, LOG_LEAVES, LOG_SIGNED_AT, LOG_WITNESS_TROUBLE
from kaquan.evidence import LogError
from kaquan.evidence.courier import Cosigning, Trouble, stop_cosigning
from kaquan.kit.db import describe_failure, is_outage

EVERY_S = 0.2
"""From the beginning of a step to that of the next one."""

REST_S = 0.02
"""So long the others get at least, between two steps."""

AFTER_FAILURE_S = 5.0
COSIGN_EVERY_S = 1.0

_log = structlog.get_logger("kaquan.worker")


async def keep_log(app: App, stop: asyncio.Event) -> None:
    """Sequence leaves until ``stop``. What goes wrong is logged and tried again: the leaves wait where they are."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            taken = await app.sequencer.step(app.keyring.log_signers, app.keyring.sm_signers)
            pause_s = 0.0 if taken.more else max(REST_S, began + EVERY_S - time.monotonic())
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


async def keep_cosigned(app: App, stop: asyncio.Event) -> None:
    """Have the witnesses cosign the log until ``stop``; without any, see that checkpoints are published as they are."""
    cosigning = None if app.witnesses is None else Cosigning(app.pool, app.clock, app.witnesses)
    troubles: dict[str, Trouble] = {}
    try:
        while not stop.is_set():
            pause_s = COSIGN_EVERY_S
            try:
                if cosigning is None:
                    await stop_cosigning(app.pool)
                    return
                shown = await cosigning.round()
                if shown.published:
                    LOG_COSIGNED_AT.set(app.clock.now().timestamp())
                _tell(troubles, shown.troubles)
                troubles = shown.troubles
            except Exception as error:
                if not is_outage(error):
                    _log.error("the log was not shown to its witnesses", exc_info=error)
                else:
                    _log.warning("the log was not shown to its witnesses", error=describe_failure(error))
                pause_s = AFTER_FAILURE_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
    finally:
        if cosigning is not None:
            await cosigning.close()


def _tell(before: Mapping[str, Trouble], now: Mapping[str, Trouble]) -> None:
    """Log what has changed with witnesses, once. A fork is an error, for somebody was shown another log."""
    for name in {*before, *now}:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is not None:
            LOG_WITNESS_TROUBLE.labels(name, old).set(0)
        if new is None:
            _log.info("a witness cosigns the log again", witness=name)
        else:
            LOG_WITNESS_TROUBLE.labels(name, new).set(1)
            tell = _log.error if new is Trouble.FORKED else _log.warning
            tell("a witness does not cosign the log", witness=name, trouble=str(new))
