"""Which leaves the log has taken: a snapshot of PostgreSQL as a value, cut where a batch ends. See ADR 0025.

A snapshot sees the transactions that are numbered below ``xmax`` and were not running. In text: ``xmin:xmax:n,n,…``.
"""

from typing import NamedTuple


class Snapshot(NamedTuple):
    """The transactions that a snapshot sees: those numbered below ``xmax`` but for those that were ``running``."""

    xmax: int
    running: tuple[int, ...]

    @classmethod
    def read(cls, text: str) -> "Snapshot":
        """From what PostgreSQL writes for a ``pg_snapshot``."""
        _, xmax, running = text.split(":")
        return cls(int(xmax), tuple(int(number) for number in running.split(",") if number))

    @property
    def text(self) -> str:
        """As PostgreSQL reads it."""
        xmin = min(self.running, default=self.xmax)
        return f"{xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def until(self, last: int) -> "Snapshot":
        """The same, seeing nothing behind the transaction ``last``: where a batch ends that took all up to it."""
        return Snapshot(last + 1, tuple(number for number in self.running if number <= last))
