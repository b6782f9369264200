"""How the doors write logs: to standard error, as JSON lines from servers and as text from commands.

No card number, no API key and no bearer token reaches a log, whatever a message was made of.
"""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# card numbers have 19 digits, imported ones 13 to 19
_SECRETS = re.compile(r"\b(kq_(?:live|test)_[0-9a-f]{32})_[\w-]{43}|\b\d{9,15}(\d{4})\b")


def configure_logs(*, as_json: bool) -> None:
    """Send structlog and the warnings of the standard library's loggers through one formatter."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if not as_json:
        # plain traces: the rich ones show the values of variables, and a value can be a card number
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer, _hide_secrets],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("kaquan").setLevel(logging.INFO)


def hide_secrets(text: str) -> str:
    """``text`` without the secret of an API key and with card numbers cut to their last four digits."""
    return _SECRETS.sub(lambda found: f"{found[1]}_…" if found[1] else f"…{found[2]}", text)


def _hide_secrets(_: WrappedLogger, __: str, event: EventDict | str) -> str:
    return hide_secrets(str(event))
