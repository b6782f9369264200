"""A known list of requests, sent through many connections, with all of their answers kept."""

from collections.abc import Sequence

from kaquan.doors.load.client import run_load
from kaquan.doors.load.request import Address


class AnswerError(Exception):
    """A request was not answered with success; the message is the status and the body."""


async def call_all(address: Address, requests: Sequence[bytes], *, lanes: int = 32, resends: int = 10) -> list[bytes]:
    """The bodies that ``requests`` were answered with, in their order; they are sent in no particular one.

    Raises AnswerError at the first answer that is no success, and LoadError if nobody answers.
    """
    if not requests:
        return []  # a load of nothing would wait for its first answer
    series = _Series(requests)
    await run_load(address, series, lanes=min(lanes, len(requests)), resends=resends)
    if series.refusal is not None:
        raise AnswerError(series.refusal)
    return series.bodies


class _Series:
    """Hands out the list, and stops at the first answer that is no success."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self._next = 0
        self._of_lane: dict[int, int] = {}
        self.bodies = [b""] * len(requests)
        self.refusal: str | None = None

    def next(self, lane: int) -> bytes | None:
        if self.refusal is not None or self._next == len(self._requests):
            return None
        self._of_lane[lane] = self._next
        self._next += 1
        return self._requests[self._of_lane[lane]]

    def answered(self, lane: int, status: int, body: bytes, latency_ns: int) -> None:
        if not 200 <= status < 300:
            self.refusal = f"{status} {body.decode(errors='replace')}"
        self.bodies[self._of_lane[lane]] = body
