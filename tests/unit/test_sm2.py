"""SM3 and SM2 as the standards have them, whatever library computes them.

SM3: GB/T 32905-2016, appendix A (the same values stand in draft-sca-cfrg-sm3-02, appendix A.1 and A.2). SM2:
GB/T 32918.5-2017, appendix A.2, the example of a signature on the recommended curve (message and key there; identity
``1234567812345678``). The signature has its nonce, so we verify the published one, and sign with keys of our own.
"""

import pytest

from kaquan.evidence.sm import hash_sm_children, hash_sm_leaf, sm3
from kaquan.vault import Sm2Signer, sm2_verifies

PUBLIC = bytes.fromhex(
    "04"
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
MESSAGE = b"message digest"


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_sm3_is_the_standards(message: bytes, digest: str) -> None:
    assert sm3(message).hex() == digest
    assert sm3(message[:1], message[1:]).hex() == digest


def test_nodes_of_the_sm_tree_are_those_of_rfc_9162_with_sm3() -> None:
    assert hash_sm_leaf(b"l" * 32) == sm3(b"\x00" + b"l" * 32)
    assert hash_sm_children(b"l" * 32, b"r" * 32) == sm3(b"\x01" + b"l" * 32 + b"r" * 32)


def test_the_published_signature_verifies() -> None:
    assert sm2_verifies(PUBLIC, MESSAGE, SIGNATURE)
    assert not sm2_verifies(PUBLIC, MESSAGE + b"!", SIGNATURE)
    for place in range(0, 64, 7):
        changed = bytearray(SIGNATURE)
        changed[place] ^= 1 << place % 8
        assert not sm2_verifies(PUBLIC, MESSAGE, bytes(changed))


def test_what_is_no_key_or_signature_verifies_nothing() -> None:
    off_the_curve = PUBLIC[:-1] + bytes([PUBLIC[-1] ^ 1])
    for public in (
        b"",
        b"\x00",
        PUBLIC[:-1],
        PUBLIC + b"\x00",
        b"\x05" + PUBLIC[1:],
        off_the_curve,
        b"\x04" + bytes(64),
    ):
        assert not sm2_verifies(public, MESSAGE, SIGNATURE)
    order = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"
    for signature in (b"", bytes(64), SIGNATURE[:-1], SIGNATURE + b"\x00", SIGNATURE[:32] + bytes.fromhex(order)):
        assert not sm2_verifies(PUBLIC, MESSAGE, signature)


def test_a_signer_signs_what_its_key_verifies() -> None:
    signer, other = Sm2Signer("s1", b"1" * 32), Sm2Signer("s2", b"2" * 32)
    assert signer.public == Sm2Signer("s1", b"1" * 32).public != other.public
    first, second = signer.sign(b"text"), signer.sign(b"text")
    assert first != second
    for signature in (first, second):
        assert sm2_verifies(signer.public, b"text", signature)
        assert not sm2_verifies(other.public, b"text", signature)
    assert "1111" not in repr(signer)
