"""Pages end with a cursor that leads to the next one, and only ours is one."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.kit.paging import cut_page, read_cursor, show_cursor


@given(st.uuids())
def test_a_cursor_is_read_back(value: UUID) -> None:
    shown = show_cursor(value)
    assert read_cursor(shown) == value
    assert shown.isascii()
    assert len(shown) == 22


@given(st.text(max_size=40))
def test_reading_never_fails(text: str) -> None:
    found = read_cursor(text)
    assert found is None or isinstance(found, UUID)


@pytest.mark.parametrize("text", ["", "x", "é" * 22, "=" * 22, base64.b64encode(b"x" * 15).decode(), "A" * 21 + "!"])
def test_what_is_no_cursor(text: str) -> None:
    assert read_cursor(text) is None


@given(st.integers(0, 30), st.integers(1, 10))
def test_the_pages_of_a_list_are_the_list(length: int, limit: int) -> None:
    rows = [UUID(int=number) for number in range(length, 0, -1)]
    seen: list[UUID] = []
    after: UUID | None = None
    while True:
        below = [row for row in rows if after is None or row < after][: limit + 1]
        page = cut_page(below, limit=limit, last_id=below[limit - 1] if len(below) > limit else None)
        assert len(page.data) <= limit
        seen += page.data
        if page.next_cursor is None:
            break
        after = read_cursor(page.next_cursor)
    assert seen == rows
