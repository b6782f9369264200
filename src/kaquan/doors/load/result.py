"""What a load came to."""

from collections.abc import Sequence

import msgspec

NO_ANSWER = 0
"""The status that stands for a request of which no answer came, however often it was sent."""


class Latency(msgspec.Struct, frozen=True):
    """How long callers waited, in milliseconds: so many percent of them no longer than this."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class LoadResult(msgspec.Struct, frozen=True):
    """Answers that came in the measured time.

    ``resent`` counts requests sent again after a 503 or a lost connection; ``failures`` says, by reason, how
    often a connection was lost or could not be made. ``client_cpu_us`` is what one answer cost the client.
    """

    seconds: float
    answers: int
    rate_per_s: float
    by_status: dict[int, int]
    latency: Latency
    resent: int
    failures: dict[str, int]
    client_cpu_us: float


def latency_of(times_ns: Sequence[int]) -> Latency:
    """The percentiles of ``times_ns`` by nearest rank; all zero if there are none.

    >>> latency_of([3_000_000, 1_000_000, 2_000_000]).p50_ms
    2.0
    """
    ordered = sorted(times_ns)

    def at(per_mille: int) -> float:
        rank = -(-len(ordered) * per_mille // 1000)  # rounded up
        return ordered[max(rank, 1) - 1] / 1e6 if ordered else 0.0

    return Latency(p50_ms=at(500), p95_ms=at(950), p99_ms=at(990), p999_ms=at(999), max_ms=at(1000))
