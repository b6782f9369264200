"""The form of API-key tokens."""

from uuid import UUID

import pytest

from kaquan.parties.keys import read_token, show_token
from kaquan.parties.types import Mode

KEY_ID = UUID(int=0x0198_0000_0000_7000_8000_0000_0000_0001)
SECRET = "a_-" * 14 + "z"  # underscores are base64url characters too


def test_a_token_reads_back() -> None:
    assert read_token(show_token(Mode.LIVE, KEY_ID, SECRET)) == ("live", KEY_ID, SECRET)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "kq",
        "kq_live",
        f"kq_live_{KEY_ID.hex}",
        f"kq_live_{KEY_ID.hex}_{SECRET}x",
        f"kq_live_{KEY_ID.hex}_{SECRET[:-1]}",
        f"sk_live_{KEY_ID.hex}_{SECRET}",
        f"kq_live_{KEY_ID}_{SECRET}",
        f"kq_live_{'g' * 32}_{SECRET}",
        f"kq_live_{KEY_ID.hex}_{SECRET[:-1]}é",
        f"kq_live_{KEY_ID.hex}_{SECRET[:-1]}\ud800",
    ],
)
def test_what_cannot_be_a_token_is_none(token: str) -> None:
    assert read_token(token) is None
