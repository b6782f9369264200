"""Ciphers, key rings of format 2, rotation, and old values."""

import base64
import json
import os
import re
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kaquan import migrations
from kaquan.doors.cli import entry
from kaquan.vault import (
    MACS,
    Cipher,
    Keyring,
    KeyringError,
    LookupKey,
    Ring,
    SealedColumn,
    SealError,
    SealKey,
    add_lookup_key,
    add_seal_key,
    create_ring,
    declare_sealed,
    drop_old_lookup_keys,
    find_ciphers,
    key_id_of,
    mask_card_number,
    mask_identity,
    mask_name,
    mask_phone,
    new_key,
    only_writer,
    read_ring,
    replace_ring,
    retire_seal_key,
    seal_by,
    sealed_columns,
)

NUMBER = "8888123456789012345"
CONTEXT = UUID(int=7).bytes
OLD = Ring(
    "k1",
    (SealKey("k1", "aes-256-gcm", b"1" * 32),),
    (LookupKey("l1", "hmac-sha256", b"1" * 32),),
    LookupKey("p1", "hmac-sha256", b"1" * 32),
)
CHEAP = 1 << 4

CIPHERS = sorted(find_ciphers().values())


def by_hex(*texts: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


# Known answers: a cipher without one here fails

VECTORS = {
    # RFC 8998 appendix A.1 (rules.md section 8)
    "sm4-gcm": [
        by_hex(
            "0123456789ABCDEFFEDCBA9876543210",
            "00001234567800000000ABCD",
            "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2",
            "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
            "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA",
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
            "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
            "83de3541e4c2b58177e065a9bf7b62ec",
        )
    ],
    # McGrew and Viega, "The Galois/Counter Mode of Operation" (submitted to NIST), appendix B, test cases 13, 14, 16
    "aes-256-gcm": [
        by_hex("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        by_hex(
            "00" * 32, "00" * 12, "", "00" * 16, "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"
        ),
        by_hex(
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ],
}


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cast(Cipher, cipher).name)
def test_a_cipher_gives_the_known_answers(cipher: Cipher) -> None:
    for key, nonce, bound, plain, sealed, tag in VECTORS[cipher.name]:
        aead = cipher.use(key)
        assert (len(key), len(nonce), len(tag)) == (cipher.key_bytes, cipher.nonce_bytes, cipher.tag_bytes)
        assert aead.encrypt(nonce, plain, bound) == sealed + tag
        assert aead.decrypt(nonce, sealed + tag, bound) == plain
        for position in range(len(sealed) + len(tag)):
            altered = bytearray(sealed + tag)
            altered[position] ^= 1
            with pytest.raises(InvalidTag):
                aead.decrypt(nonce, bytes(altered), bound)
        with pytest.raises(InvalidTag):
            aead.decrypt(nonce, sealed + tag, bound + b"x")
        with pytest.raises(InvalidTag):
            aead.decrypt(nonce, tag[:8], bound)


def test_keyed_hashes_give_the_known_answers() -> None:
    # RFC 4231 test case 2; HMAC-SM3 of the same by OpenSSL 3.0.22 (openssl dgst -sm3 -mac HMAC)
    message = b"what do ya want for nothing?"
    assert MACS["hmac-sha256"](b"Jefe")(message).hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    assert MACS["hmac-sm3"](b"Jefe")(message).hex() == (
        "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882"
    )


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cast(Cipher, cipher).name)
def test_every_altered_bit_is_found_under_every_cipher(cipher: Cipher) -> None:
    keyring = Keyring.of(add_seal_key(OLD, key=b"2" * 32, cipher=cipher.name))
    sealed = keyring.seal(NUMBER.encode(), CONTEXT)
    assert (key_id_of(sealed), keyring.open(sealed, CONTEXT)) == ("k2", NUMBER.encode())
    assert sealed.startswith(keyring.current_header)
    for position in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[position] ^= 1 << bit
            with pytest.raises(SealError):
                keyring.open(bytes(altered), CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            keyring.open(sealed[:length], CONTEXT)
    with pytest.raises(SealError):
        keyring.open(sealed, UUID(int=8).bytes)


def test_values_of_the_first_format_are_opened_for_ever() -> None:
    master, nonce = b"1" * 32, bytes(12)
    key = HKDF(SHA256(), length=32, salt=None, info=b"kaquan/v1/card number seal").derive(master)
    sealed = b"\x02k1" + nonce + AESGCM(key).encrypt(nonce, b"old", CONTEXT)
    rotated = add_seal_key(OLD, key=b"2" * 32, cipher="sm4-gcm")
    assert Keyring.of(OLD).open(sealed, CONTEXT) == Keyring.of(rotated).open(sealed, CONTEXT) == b"old"
    assert key_id_of(sealed) == "k1"
    with pytest.raises(SealError):
        Keyring.of(OLD).open(sealed, UUID(int=8).bytes)
    # a key of another cipher never sealed in that format
    with pytest.raises(SealError):
        Keyring.of(rotated).open(b"\x02k2" + sealed[3:], CONTEXT)


def test_look_ups_of_the_first_format_stay() -> None:
    # computed with the release that knew only format 1
    assert Keyring.of(OLD).lookup(NUMBER) == UUID("3394f4a0-a0d9-5066-48f1-a449085261a4")


def test_a_new_sealing_key_is_current_and_old_values_open() -> None:
    old = Keyring.of(OLD)
    ring = add_seal_key(add_seal_key(OLD, key=b"2" * 32, cipher="sm4-gcm"), key=b"3" * 32, cipher="aes-256-gcm")
    new = Keyring.of(ring)
    assert (new.current_seal_id, new.seal_ids) == ("k3", ("k1", "k2", "k3"))
    assert new.open(old.seal(b"x", CONTEXT), CONTEXT) == b"x"
    assert new.lookup(NUMBER) == old.lookup(NUMBER)
    with pytest.raises(SealError):
        old.open(new.seal(b"x", CONTEXT), CONTEXT)


def test_a_look_up_key_is_changed_in_two_steps() -> None:
    ring = add_lookup_key(OLD, key=b"2" * 32, mac="hmac-sm3")
    both, old = Keyring.of(ring), Keyring.of(OLD)
    (first, second) = both.lookups(NUMBER)
    assert first == ("l1", old.lookup(NUMBER))
    assert second == ("l2", both.lookup(NUMBER))
    assert first[1] != second[1]
    with pytest.raises(KeyringError, match="already"):
        add_lookup_key(ring, key=b"3" * 32, mac="hmac-sha256")
    done = Keyring.of(drop_old_lookup_keys(ring))
    assert done.lookups(NUMBER) == [second]
    assert both.lookup(NUMBER, b"phone") != both.lookup(NUMBER), "a purpose has look-ups of its own"


def test_what_a_rotation_is_refused_for() -> None:
    ring = add_seal_key(OLD, key=b"2" * 32, cipher="aes-256-gcm")
    for wrong, in_use, says in (("k2", (), "current"), ("k9", (), "no sealing key"), ("k1", ("k1",), "still")):
        with pytest.raises(KeyringError, match=says):
            retire_seal_key(ring, wrong, in_use=in_use)
    assert retire_seal_key(ring, "k1", in_use={"k2"}).seals == ring.seals[1:]
    # an id is never given to another key
    assert add_seal_key(retire_seal_key(ring, "k1", in_use=()), key=b"3" * 32, cipher="sm4-gcm").current == "k3"
    with pytest.raises(KeyringError, match="no cipher"):
        add_seal_key(OLD, key=b"2" * 32, cipher="rot13")
    with pytest.raises(KeyringError, match="no keyed hash"):
        add_lookup_key(OLD, key=b"2" * 32, mac="md5")


# The file


def test_a_running_process_sees_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD)
    running, command = Keyring.load(path), Keyring.load(path)
    assert not running.refresh()
    replace_ring(path, add_seal_key(OLD, key=new_key(), cipher="sm4-gcm"))
    assert command.refresh()
    sealed = command.seal(b"x", CONTEXT)
    assert key_id_of(sealed) == "k2"
    assert running.open(sealed, CONTEXT) == b"x", "a key that is not known is looked for at once"
    assert not running.refresh()
    assert key_id_of(running.seal(b"y", CONTEXT)) == "k2"


def test_a_file_that_is_broken_or_gone_leaves_the_known_keys(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD)
    running = Keyring.load(path)
    sealed = running.seal(b"x", CONTEXT)
    path.write_text("{")
    with pytest.raises(KeyringError, match="damaged"):
        running.refresh()
    assert running.open(sealed, CONTEXT) == b"x"
    with pytest.raises(SealError):
        running.open(b"\x00\x02\x01\x02k9" + sealed[6:], CONTEXT)
    path.unlink()
    with pytest.raises(KeyringError, match="no key ring"):
        running.refresh()
    assert running.open(sealed, CONTEXT) == b"x"
    create_ring(path, OLD)
    assert running.refresh()


def test_a_file_of_the_first_format_is_read_and_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    keys = {"k1": base64.b64encode(b"1" * 32).decode(), "k2": base64.b64encode(b"2" * 32).decode()}
    path.write_text(json.dumps({"current": "k2", "keys": keys}))
    path.chmod(0o600)
    before = Keyring.load(path)
    ring, protection = read_ring(path, None)
    assert protection is None
    replace_ring(path, add_seal_key(ring, key=b"3" * 32, cipher="sm4-gcm"))
    after = Keyring.load(path)
    assert json.loads(path.read_text())["format"] == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert after.lookup(NUMBER) == before.lookup(NUMBER) == Keyring.of(OLD).lookup(NUMBER)
    assert after.open(before.seal(b"x", CONTEXT), CONTEXT) == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_a_ring_under_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD, seal_by("correct horse", scrypt_n=CHEAP))
    text = path.read_text()
    assert base64.b64encode(b"1" * 32).decode() not in text
    for passphrase, says in ((None, "KAQUAN_KEYRING_PASSPHRASE"), ("wrong", "does not open")):
        with pytest.raises(KeyringError, match=says) as raised:
            Keyring.load(path, passphrase)
        assert "wrong" not in str(raised.value)
    keyring = Keyring.load(path, "correct horse")
    assert keyring.lookup(NUMBER) == Keyring.of(OLD).lookup(NUMBER)
    ring, protection = read_ring(path, "correct horse")
    assert ring == OLD
    replace_ring(path, add_seal_key(ring, key=b"2" * 32, cipher="sm4-gcm"), protection)
    assert keyring.refresh()
    assert keyring.current_seal_id == "k2"
    for cut in (0, 5, 40):
        document = json.loads(path.read_text())
        document["sealed"] = document["sealed"][:cut]
        path.write_text(json.dumps(document))
        with pytest.raises(KeyringError, match=r"does not open|damaged"):
            Keyring.load(path, "correct horse")


def test_a_cost_that_would_stop_the_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD, seal_by("x", scrypt_n=CHEAP))
    document = json.loads(path.read_text())
    document["scrypt"]["n"] = 1 << 30
    path.write_text(json.dumps(document))
    with pytest.raises(KeyringError, match="damaged"):
        Keyring.load(path, "x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 3}, "damaged"),
        ({"lookups": []}, "damaged"),
        ({"current": "l1"}, "does not hold"),
        ({"seals": [{"id": "k1", "cipher": "rot13", "key": base64.b64encode(b"1" * 32).decode()}]}, "rot13"),
        ({"lookups": [{"id": "k1", "mac": "hmac-sha256", "key": base64.b64encode(b"1" * 32).decode()}]}, "two keys"),
        ({"lookups": [{"id": "l1", "mac": "hmac-sha256", "key": "MTEx"}]}, "32 bytes"),
        ({"unknown": 1}, "damaged"),
    ],
)
def test_a_wrong_ring_is_refused_with_the_reason(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(KeyringError, match=says):
        Keyring.load(path)


def test_a_ring_that_others_can_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_ring(path, OLD)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(KeyringError, match="chmod 600"):
            Keyring.load(path)


def test_two_commands_do_not_change_a_ring_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    with only_writer(path), pytest.raises(KeyringError, match="Another command"), only_writer(path):
        pass
    with only_writer(path):
        pass


def test_nothing_shows_a_key(tmp_path: Path) -> None:
    ring = add_lookup_key(OLD, key=b"2" * 32, mac="hmac-sha256")
    shown = repr(ring) + repr(Keyring.of(ring)) + repr(seal_by("passphrase", scrypt_n=CHEAP))
    assert "111" not in shown
    assert "222" not in shown
    assert "key=" not in shown
    assert os.listdir(tmp_path) == []


# Columns and masks


def test_every_sealed_column_of_the_schema_can_be_sealed_anew() -> None:
    """What a room seals and does not declare would be lost with the key that it is sealed under."""
    schema = (Path(migrations.__file__).parent / "schema.sql").read_text("utf-8")
    tables = re.findall(r"^CREATE TABLE (\w+) \((.*?)^\)", schema, re.MULTILINE | re.DOTALL)
    there = {f"{table}.{name}" for table, body in tables for name in re.findall(r"^ +(\w+_sealed) bytea", body, re.M)}
    assert len(there) > 10
    assert entry.app.registered_groups, "the rooms that the command knows have declared theirs"
    assert there <= {column.name for column in sealed_columns()}


def test_a_column_is_declared_once() -> None:
    known = {column.name for column in sealed_columns()}
    column = SealedColumn("test_table", key=(("id", "uuid"),), column="sealed", context="id")
    assert declare_sealed(column) is declare_sealed(column)
    with pytest.raises(ValueError, match=r"test_table\.sealed"):
        declare_sealed(column._replace(context="other"))
    from kaquan.vault import columns

    del columns._declared[column.name]
    assert {column.name for column in sealed_columns()} == known


@pytest.mark.parametrize(
    ("mask", "text", "masked"),
    [
        (mask_card_number, "8888010000000001234", "888801*********1234"),
        (mask_card_number, "12345678", "****5678"),
        (mask_card_number, "1234", "****"),
        (mask_phone, "13912345678", "139****5678"),
        (mask_phone, "12", "**"),
        (mask_identity, "110101199003071233", "110***********1233"),
        (mask_identity, "110101900307123", "110********7123"),
        (mask_identity, "E12345678", "*******78"),
        (mask_name, "王小明", "王**"),
        (mask_name, "王明", "王*"),
        (mask_name, "欧阳修", "欧阳*"),
        (mask_name, "欧阳", "欧*"),
        (mask_name, "李", "*"),
        (mask_name, "", ""),
        (mask_name, "Jane Q Doe", "J*** * D**"),
    ],
)
def test_masks(mask: object, text: str, masked: str) -> None:
    assert mask(text) == masked  # type: ignore[operator]
