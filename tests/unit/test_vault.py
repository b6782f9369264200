"""The key ring, masking and API-key secrets."""

import base64
import json
import stat
from pathlib import Path
from uuid import UUID

import pytest

from kaquan.vault import (
    SECRET_LENGTH,
    Keyring,
    KeyringError,
    SealError,
    hash_secret,
    mask_number,
    new_secret,
    secret_matches,
)

NUMBER = "8888123456789012345"
CONTEXT = UUID(int=7).bytes


def ring(*names: str) -> Keyring:
    return Keyring({name: name[-1].encode() * 32 for name in names}, current=names[-1])


def test_mask_shows_four_digits_and_hides_the_length() -> None:
    assert mask_number(NUMBER) == "**** **** **** 2345"
    assert mask_number("888812341234") == "**** **** **** 1234"


def test_sealed_opens_with_its_context_only() -> None:
    keyring = ring("k1")
    sealed = keyring.seal(NUMBER.encode(), CONTEXT)
    assert keyring.open(sealed, CONTEXT) == NUMBER.encode()
    assert NUMBER.encode() not in sealed
    assert keyring.seal(NUMBER.encode(), CONTEXT) != sealed, "every seal has a nonce of its own"
    with pytest.raises(SealError):
        keyring.open(sealed, UUID(int=8).bytes)


def test_every_altered_bit_of_a_sealed_value_is_found() -> None:
    keyring = ring("k1")
    sealed = keyring.seal(NUMBER.encode(), CONTEXT)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealError):
            keyring.open(bytes(altered), CONTEXT)


@pytest.mark.parametrize("length", range(20))
def test_a_cut_sealed_value_is_refused(length: int) -> None:
    keyring = ring("k1")
    with pytest.raises(SealError):
        keyring.open(keyring.seal(b"x", CONTEXT)[:length], CONTEXT)


def test_rotation_opens_old_values_and_finds_old_numbers() -> None:
    old, rotated = ring("k1"), ring("k1", "k2")
    assert rotated.open(old.seal(b"old", CONTEXT), CONTEXT) == b"old"
    assert rotated.lookup(NUMBER) == old.lookup(NUMBER)
    with pytest.raises(SealError):
        old.open(rotated.seal(b"new", CONTEXT), CONTEXT)


def test_lookup_is_keyed() -> None:
    assert ring("k1").lookup(NUMBER) == ring("k1").lookup(NUMBER)
    assert ring("k1").lookup(NUMBER) != ring("k2").lookup(NUMBER)
    assert ring("k1").lookup(NUMBER) != ring("k1").lookup(NUMBER[:-1] + "6")


def test_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    created = Keyring.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.load(path).lookup(NUMBER) == created.lookup(NUMBER)
    content = path.read_bytes()
    with pytest.raises(KeyringError, match="already"):
        Keyring.create(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path], "no draft is left behind"


def test_create_says_why_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="No such file"):
        Keyring.create(tmp_path / "missing" / "keyring.json")


KEY = base64.b64encode(b"1" * 32).decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no key ring"),
        ("", "damaged"),
        ("{", "damaged"),
        ('{"current": "k1", "keys": {"k1": "SECRETÿ"}}', "damaged"),
        ('{"current": "k1", "keys": {"k1": "SECRET!!"}}', "damaged"),
        (json.dumps({"current": "k2", "keys": {"k1": KEY}}), "does not hold"),
        ('{"current": "k1", "keys": {"k1": "U0VDUkVU"}}', "32 bytes"),
        (json.dumps({"current": "é", "keys": {"é": KEY}}), "ASCII"),
    ],
)
def test_load_says_what_is_wrong_without_a_key(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "keyring.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KeyringError, match=says) as raised:
        Keyring.load(path)
    assert "SECRET" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_repr_shows_no_key() -> None:
    assert repr(ring("k1", "k2")) == "Keyring(current='k2', keys=['k1', 'k2'])"


def test_secrets() -> None:
    secret = new_secret()
    assert len(secret) == SECRET_LENGTH
    assert secret != new_secret()
    assert secret_matches(secret, hash_secret(secret))
    assert not secret_matches(secret, hash_secret(new_secret()))
    assert not secret_matches(secret, None)
    assert not secret_matches("no secret hashes to zeros", bytes(32))
