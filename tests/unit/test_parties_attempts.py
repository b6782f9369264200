"""How often an identity may be checked: guesses made at once are no more than guesses in a row."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kaquan.kit.outcomes import Refusal
from kaquan.parties.customers import Guard, plan_claim
from kaquan.parties.customers.attempts import checks_left, fresh_guard
from kaquan.parties.identity import AttemptRules

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
RULES = AttemptRules("test", max_mismatches=3, max_checks=10, mismatch_lock_s=43_200, time_zone="Asia/Shanghai")
SUBJECT = UUID(int=7)


def guard(**known: int) -> Guard:
    return replace(fresh_guard(SUBJECT, NOW), version=5, day=date(2026, 3, 1), **known)


def claimed(of: Guard, rules: AttemptRules = RULES, at: datetime = NOW) -> Guard:
    planned = plan_claim(of, rules, at)
    assert isinstance(planned, Guard), planned
    return planned


def code(of: Guard, rules: AttemptRules = RULES, at: datetime = NOW) -> str:
    planned = plan_claim(of, rules, at)
    assert isinstance(planned, Refusal)
    return planned.code


def test_a_claim_counts_before_anything_is_asked() -> None:
    assert claimed(fresh_guard(SUBJECT, NOW)) == Guard(SUBJECT, 0, 1, 1, date(2026, 3, 1), NOW, 1)
    assert claimed(guard(mismatches=1, pending=1, checks=4)) == Guard(SUBJECT, 1, 2, 5, date(2026, 3, 1), NOW, 6)


def test_running_checks_count_as_mismatches() -> None:
    assert code(guard(pending=3)) == "identity_check_running"
    assert code(guard(mismatches=2, pending=1)) == "identity_check_running"
    assert code(guard(mismatches=3)) == "identity_locked"


def test_a_lock_ends() -> None:
    locked = guard(mismatches=3, checks=3)
    assert code(locked, at=NOW + timedelta(seconds=43_199)) == "identity_locked"
    freed = claimed(locked, at=NOW + timedelta(seconds=43_200))
    assert (freed.mismatches, freed.pending, freed.checks) == (0, 1, 1)
    until_midnight = replace(RULES, mismatch_lock_s=None)
    midnight = datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert code(locked, until_midnight, midnight - timedelta(seconds=1)) == "identity_locked"
    assert claimed(locked, until_midnight, midnight).mismatches == 0


def test_a_check_that_never_ended_does_not_lock_for_ever() -> None:
    assert claimed(guard(pending=3), at=NOW + timedelta(hours=12)).pending == 1


def test_a_day_has_its_number_of_checks() -> None:
    assert code(guard(checks=10)) == "identity_locked"
    assert claimed(guard(checks=10), at=NOW + timedelta(days=1)).checks == 1
    assert checks_left(guard(checks=9, mismatches=1), RULES) == 1
    assert checks_left(guard(checks=2, mismatches=1), RULES) == 2


@given(results=st.lists(st.sampled_from(["claim", "mismatched", "error"]), max_size=60))
def test_no_order_of_events_lets_more_than_three_guesses_through(results: list[str]) -> None:
    rules = replace(RULES, max_checks=1_000)
    now, state, wrong = NOW, fresh_guard(SUBJECT, NOW), 0
    for result in results:
        now += timedelta(seconds=1)
        if result == "claim":
            planned = plan_claim(state, rules, now)
            state = state if isinstance(planned, Refusal) else planned
        elif state.pending:
            missed = result == "mismatched"
            wrong += missed
            state = replace(state, pending=state.pending - 1, mismatches=state.mismatches + missed)
    assert wrong + state.pending <= 3
