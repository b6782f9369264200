"""The guard: so many wrong answers at once, and then one now and then (the generic cell rate algorithm, ITU-T I.371).

Who is right pays one look into a dictionary: nothing is written and nothing is read from the database. Every wrong
answer is one statement, which counts for all processes at once and tells whether it may be given at all; so however
many processes and connections a guesser uses, no more are given than are allowed. Who has used them up is known to the
process that found out at once and to the others within a second (:meth:`Guard.refresh`), and is then told to wait
before anything is looked up: not even a right number is answered.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from kaquan.guesses import store
from kaquan.guesses.outcomes import TOO_MANY_WRONG_ANSWERS
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal

MAX_WAITING = 100_000
"""Callers that a process remembers as waiting; beyond that it asks the database about the one remembered longest."""


def caller_of(*parts: object) -> UUID:
    """The name under which somebody is counted: half of a SHA-256 over what tells them apart."""
    return UUID(bytes=sha256("\n".join(map(str, parts)).encode()).digest()[:16])


class Guard:
    """One per process. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool, clock: Clock, *, limit: int, window_s: int) -> None:
        """``limit`` wrong answers at once; all of them are forgiven ``window_s`` seconds after the last."""
        self._pool = pool
        self._clock = clock
        self._window = timedelta(seconds=window_s)
        self._share = self._window / limit
        self._waiting: dict[UUID, datetime] = {}

    def must_wait(self, *callers: UUID) -> Refusal | None:
        """Refused ``too_many_wrong_answers`` if one of them has to wait; without the database."""
        waiting = [until for caller in callers if (until := self._waiting.get(caller)) is not None]
        if not waiting:
            return None
        now = self._clock.now()
        for caller in callers:
            if self._waiting.get(caller, now) <= now:
                self._waiting.pop(caller, None)
        return self._wait(max(waiting), now) if max(waiting) > now else None

    async def note_failure(self, *callers: UUID) -> Refusal | None:
        """Count a wrong answer of each. None: it may be given. Refused ``too_many_wrong_answers``: say this instead."""
        now = self._clock.now()
        counted = await store.count_failures(
            self._pool, sorted(callers), now=now, share=self._share, window=self._window
        )
        refused = [caller for caller in callers if caller not in counted]
        if refused:
            counted.update(await store.load_full(self._pool, refused))
        for caller, full_at in counted.items():
            self._remember(caller, full_at, now)
        until = [self._until(counted.get(caller, now)) for caller in refused]
        return self._wait(max(until), now) if until else None

    async def refresh(self) -> None:
        """Learn who has to wait by what other processes counted; one small query."""
        now = self._clock.now()
        for caller, full_at in await store.load_waiting(self._pool, full_after=now + self._window - self._share):
            self._remember(caller, full_at, now)

    def _until(self, full_at: datetime) -> datetime:
        """When another wrong answer may be given."""
        return full_at + self._share - self._window

    def _remember(self, caller: UUID, full_at: datetime, now: datetime) -> None:
        until = self._until(full_at)
        if until > now:
            self._waiting.pop(caller, None)  # to the end of the dictionary, which forgets from its beginning
            self._waiting[caller] = until
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _wait(self, until: datetime, now: datetime) -> Refusal:
        seconds = -((now - until) // timedelta(seconds=1))
        return TOO_MANY_WRONG_ANSWERS.refuse(retry_after_s=max(1, seconds))


async def forget_guesses(pool: Pool, *, now: datetime) -> int:
    """Remove callers whose wrong answers are all forgiven; how many there were. For the worker."""
    return await store.forget(pool, full_before=now)
