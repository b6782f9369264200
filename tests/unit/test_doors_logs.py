"""What no log may hold."""

import pytest

from kaquan.doors.logs import hide_secrets


@pytest.mark.parametrize("number", ["8888000000000001230", "6222021234567890", "6222021234567"])
def test_card_numbers_of_every_length_are_cut_to_their_last_four(number: str) -> None:
    assert hide_secrets(f"card {number}, {number}") == f"card …{number[-4:]}, …{number[-4:]}"
    assert hide_secrets(f'{{"card_number": "{number}"}}') == f'{{"card_number": "…{number[-4:]}"}}'


def test_what_is_no_card_number_stays() -> None:
    for text in ("500000000000 fen", "txn_01234567890123456789012345678901", "2026-01-31T08:00:00.000000Z"):
        assert hide_secrets(text) == text


def test_the_secret_of_a_key_is_cut_off() -> None:
    token = f"kq_live_{'a' * 32}_{'x' * 43}"
    assert hide_secrets(f"Bearer {token}.") == f"Bearer kq_live_{'a' * 32}_…."
