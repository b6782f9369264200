"""Which PINs may be chosen, and how they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaquan.cards.pin import check_pin
from kaquan.vault import Keyring, hash_pin, pin_matches

KEYRING = Keyring({"k1": bytes(range(32))}, current="k1")


@pytest.mark.parametrize("pin", ["", "12345", "1234567", "12345a", "１２３４５６", "135790\n"])
def test_a_pin_is_six_digits(pin: str) -> None:
    refused = check_pin(pin, number_last4="0000")
    assert refused is not None
    assert (refused.code, refused.field) == ("invalid_field", "pin")


@pytest.mark.parametrize(
    "pin",
    [
        "000000",
        "777777",
        "123456",
        "654321",
        "890123",
        "210987",
        "121212",
        "123123",
        "111222",
        "880515",
        "150588",
        "051588",
        "199007",
        "201912",
        "774913",
    ],
)
def test_a_pin_that_is_tried_first_is_refused(pin: str) -> None:
    refused = check_pin(pin, number_last4="4913")
    assert refused is not None
    assert (refused.code, refused.field) == ("pin_too_easy", "pin")
    assert refused.message("en")
    assert "密码" in refused.message("zh")


@given(st.integers(0, 999_999).map("{:06}".format))
def test_a_pin_is_allowed_or_refused_for_a_reason(pin: str) -> None:
    refused = check_pin(pin, number_last4="0000")
    assert refused is None or refused.code == "pin_too_easy"


def test_most_pins_are_left() -> None:
    allowed = sum(check_pin(f"{pin:06}", number_last4="4913") is None for pin in range(0, 1_000_000, 37))
    assert allowed > 0.85 * 1_000_000 / 37


async def test_a_kept_pin_is_bound_to_its_card_and_its_key() -> None:
    kept = await hash_pin(KEYRING, "135792", b"card one")
    assert kept.startswith("$argon2id$")
    assert await pin_matches(KEYRING, kept, "135792", b"card one")
    assert not await pin_matches(KEYRING, kept, "135793", b"card one")
    assert not await pin_matches(KEYRING, kept, "135792", b"card two")
    other = Keyring({"k1": bytes(32)}, current="k1")
    assert not await pin_matches(other, kept, "135792", b"card one")
    assert kept != await hash_pin(KEYRING, "135792", b"card one")
    assert KEYRING.hide_request(b"x" * 32) != other.hide_request(b"x" * 32)
