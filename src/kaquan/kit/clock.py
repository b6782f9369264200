"""The clock, passed in wherever time matters, so that tests, replays and simulations own it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the present time."""

    def now(self) -> datetime:
        """The present, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftedClock:
    """The clock of this machine, off by as many seconds as a file says: for simulations, in which clocks jump.

    The file is looked at each time; where there is none the clock is right.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._offset = timedelta()

    def now(self) -> datetime:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._offset = stamp, timedelta(seconds=float(self._path.read_text()))
        except FileNotFoundError:
            self._stamp, self._offset = 0, timedelta()
        return datetime.now(UTC) + self._offset
