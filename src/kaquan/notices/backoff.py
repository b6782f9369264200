"""How long to wait before an endpoint is tried again."""

from datetime import timedelta
from uuid import UUID

DELAYS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first attempt, the second …: the schedule that Standard Webhooks recommends, some three days in all."""

MAX_ATTEMPTS = len(DELAYS_S) + 1
"""After so many in a row a delivery is dead, until somebody sends it again."""


def next_delay(round_count: int, *, notice_id: UUID) -> timedelta | None:
    """How long to wait after this many attempts; None: give up.

    Each notice waits up to a tenth longer, by a measure of its own, so that an endpoint that comes back is not met by
    all at once.
    """
    if round_count >= MAX_ATTEMPTS:
        return None
    delay_ms = DELAYS_S[round_count - 1] * 1_000
    return timedelta(milliseconds=delay_ms + delay_ms * (notice_id.int % 101) // 1_000)
