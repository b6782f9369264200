"""What lists are made of: optional lines of a statement, and where a time begins in an index by id."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from kaquan.doors.http.paging import in_utc
from kaquan.kit.db import given
from kaquan.kit.ids import LAST_ID, SystemIds, first_id

QUERY = """SELECT a FROM t
WHERE b = %(b)s
  AND c = %(c)s  -- if c
  AND (d = %(d)s  -- if d
       OR e = %(d)s)  -- if d
ORDER BY a"""


def test_lines_stay_when_their_parameter_is_given() -> None:
    assert given(QUERY, {"b": 1, "c": None, "d": None}) == "SELECT a FROM t\nWHERE b = %(b)s\nORDER BY a"
    assert "c = " in given(QUERY, {"b": 1, "c": 0, "d": None})
    assert given(QUERY, {"b": 1, "c": "", "d": False}) == QUERY
    with pytest.raises(KeyError):
        given(QUERY, {"b": 1})


def test_a_time_begins_where_its_ids_do() -> None:
    before = datetime.now(UTC)
    made = SystemIds().new()
    after = datetime.now(UTC) + timedelta(milliseconds=1)
    assert first_id(before) <= made < first_id(after)
    assert first_id(before, margin=timedelta(seconds=1)) > made
    assert first_id(datetime.min.replace(tzinfo=UTC), margin=-timedelta(minutes=1)) == UUID(int=0)
    assert first_id(datetime.max.replace(tzinfo=UTC), margin=timedelta(minutes=1)) < LAST_ID


def test_times_are_brought_to_utc_and_into_the_calendar() -> None:
    east, west = timezone(timedelta(hours=23)), timezone(-timedelta(hours=23))
    assert in_utc(None) is None
    assert in_utc(datetime(2026, 1, 2, tzinfo=east)) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert in_utc(datetime(1, 1, 1, tzinfo=east)) == datetime.min.replace(tzinfo=UTC)
    assert in_utc(datetime(9999, 12, 31, 23, tzinfo=west)) == datetime.max.replace(tzinfo=UTC)
