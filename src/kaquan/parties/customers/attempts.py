"""How many checks a customer or a bank card has left: decided before the provider is asked, written before that too."""

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.parties.identity import AttemptRules
from kaquan.parties.outcomes import IDENTITY_CHECK_RUNNING, IDENTITY_LOCKED


class Guard(msgspec.Struct, frozen=True):
    """What is known of the checks of one subject. ``pending`` ones run: each of them may still turn out a mismatch.

    ``version`` 0 is a subject that was never checked.
    """

    subject: UUID
    mismatches: int
    pending: int
    checks: int
    day: date
    claimed_at: datetime
    version: int


def fresh_guard(subject: UUID, now: datetime) -> Guard:
    """The guard of a subject that was never checked."""
    return Guard(subject, 0, 0, 0, date.min, now, 0)


def plan_claim(guard: Guard, rules: AttemptRules, now: datetime) -> Guard | Refusal:
    """The guard with one more check running, or why there may be none.

    Running checks count as mismatches until they end, so that guesses made at once are no more than guesses made one
    after the other. One that never ended, because its process died, counts until the lock would have ended.
    Refused: ``identity_locked``, ``identity_check_running``.
    """
    mismatches, pending = guard.mismatches, guard.pending
    if mismatches + pending >= rules.max_mismatches:
        locked_until = lock_end(guard, rules)
        if now >= locked_until:
            mismatches = pending = 0
        elif mismatches >= rules.max_mismatches:
            return IDENTITY_LOCKED.refuse(until=show_moment(locked_until))
        else:
            return IDENTITY_CHECK_RUNNING.refuse()
    today = rules.day_of(now).date()
    checks = guard.checks if guard.day == today else 0
    if checks >= rules.max_checks:
        return IDENTITY_LOCKED.refuse(until=show_moment(rules.next_day(now)))
    return Guard(guard.subject, mismatches, pending + 1, checks + 1, today, now, guard.version + 1)


def lock_end(guard: Guard, rules: AttemptRules) -> datetime:
    """Until when too many mismatches lock a subject."""
    if rules.mismatch_lock_s is None:
        return rules.next_day(guard.claimed_at)
    return guard.claimed_at + timedelta(seconds=rules.mismatch_lock_s)


def checks_left(guard: Guard, rules: AttemptRules) -> int:
    """How many more checks may fail, or may be made today, before the subject is locked."""
    return max(0, min(rules.max_mismatches - guard.mismatches - guard.pending, rules.max_checks - guard.checks))


def show_moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
