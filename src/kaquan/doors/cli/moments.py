"""Times as operators write them."""

from datetime import datetime

from kaquan.doors.cli.failures import CommandError


def read_moment(text: str, option: str, *, wanted: str = "not a time with its zone") -> datetime:
    """A time with its zone. Raises CommandError, which names the option and says that it is not what is ``wanted``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{option} {text!r} is {wanted}, such as 2026-03-01T17:30:00+08:00. / 时间须带时区。")
    return moment
