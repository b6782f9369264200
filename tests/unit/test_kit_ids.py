"""Ids: in order, never twice, in the slot of what they belong to; shown and read back."""

import time
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.ids import Prefix, SystemIds, read_id, show_id
from kaquan.ledger import slot_of


def test_ids_are_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = SystemIds().new()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_later_ids_sort_later_and_none_comes_twice() -> None:
    ids = SystemIds()
    made = [ids.new() for _ in range(20_000)]  # more than the counter of one millisecond holds
    assert all(earlier < later for earlier, later in pairwise(made))
    assert all(one.version == 7 for one in made)


def test_order_holds_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = SystemIds()
    first = ids.new()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    made = [first, *(ids.new() for _ in range(5_000))]
    assert all(earlier < later for earlier, later in pairwise(made))


def test_two_processes_never_make_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    one, other = SystemIds(), SystemIds()
    assert len({*(one.new() for _ in range(3_000)), *(other.new() for _ in range(3_000))}) == 6_000


@given(st.uuids(), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
def test_a_near_id_has_the_slot_of_the_other(near: UUID, count: int) -> None:
    ids, slots = SystemIds(), tuple(range(count))
    made = [ids.new_near(near) for _ in range(5)]
    assert {slot_of(one, slots) for one in made} == {slot_of(near, slots)}
    assert all(earlier < later for earlier, later in pairwise(made))
    assert all(one.version == 7 for one in made)


@given(st.uuids(), st.sampled_from(Prefix))
def test_an_id_is_shown_and_read_back(value: UUID, prefix: Prefix) -> None:
    shown = show_id(prefix, value)
    assert read_id(prefix, shown) == value
    for other in Prefix:
        assert (read_id(other, shown) is None) == (other is not prefix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "card",
        "card_",
        "card_" + "0" * 31,
        "card_" + "0" * 33,
        "card_" + "A" * 32,
        "card_" + "g" * 32,
        "card_{" + "0" * 30 + "}",
        "card_" + "0" * 31 + "\n",
        "card_" + "０" * 32,
        "card_" + "0" * 15 + "_" + "0" * 16,
        "card_0x" + "0" * 30,
        " card_" + "0" * 32,
        "CARD_" + "0" * 32,
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert read_id(Prefix.CARD, text) is None


@given(st.text(max_size=60))
def test_reading_never_fails(text: str) -> None:
    found = read_id(Prefix.CARD, text)
    assert found is None or show_id(Prefix.CARD, found) == text
