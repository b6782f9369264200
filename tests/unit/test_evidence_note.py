"""Signed notes and checkpoints: published examples, and nothing but what a signer writes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kaquan.evidence import Checkpoint, LogKey, NoteError, open_checkpoint, open_note, read_key, sign_note
from kaquan.vault import LogSigner

# golang.org/x/mod/sumdb/note, example of the package: what C2SP signed-note describes.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# C2SP tlog-checkpoint: the example's text; its key is not published.
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

SIGNER, OTHER = LogSigner("g1", b"1" * 32), LogSigner("g2", b"2" * 32)
NAME = "example.com/log"
KEY, OTHER_KEY = LogKey(NAME, SIGNER.public), LogKey(NAME, OTHER.public)
CHECKPOINT = Checkpoint(NAME, 70_000, b"r" * 32)
NOTE = sign_note(CHECKPOINT.text, NAME, [SIGNER])


def test_the_published_note_opens() -> None:
    key = read_key(NEUMANN)
    assert (key.name, key.id.hex(), key.text) == ("PeterNeumann", "c74f20a3", NEUMANN)
    text, signed_by = open_note(NEUMANN_NOTE, [key])
    assert text == NEUMANN_NOTE.partition("\n\n")[0] + "\n"
    assert signed_by == [key]


def test_the_published_checkpoint_is_written_so() -> None:
    root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    note = sign_note(SOFA, "example.com/behind-the-sofa", [SIGNER])
    found = open_checkpoint(note, [LogKey("example.com/behind-the-sofa", SIGNER.public)])
    assert (found.size, found.text) == (20_852_163, SOFA)
    assert root in found.text


def test_what_is_signed_opens_with_each_key() -> None:
    assert open_checkpoint(NOTE, [KEY]) == CHECKPOINT
    assert open_checkpoint(NOTE, [OTHER_KEY, KEY]) == CHECKPOINT
    both = sign_note(CHECKPOINT.text, NAME, [SIGNER, OTHER])
    assert open_note(both, [KEY, OTHER_KEY])[1] == [KEY, OTHER_KEY]
    assert open_checkpoint(both, [OTHER_KEY]) == CHECKPOINT
    assert read_key(KEY.text) == KEY


def test_an_unknown_key_opens_nothing() -> None:
    for keys in ([], [OTHER_KEY], [LogKey("example.com/other", SIGNER.public)]):
        with pytest.raises(NoteError, match="not signed by the key"):
            open_checkpoint(NOTE, keys)
    # signed with the right key under a name that is not the log's
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(sign_note(CHECKPOINT.text, "x", [SIGNER]), [LogKey("x", SIGNER.public)])


def test_every_changed_bit_is_refused() -> None:
    raw = NOTE.encode()
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            with pytest.raises((NoteError, UnicodeDecodeError)):
                open_checkpoint(changed.decode(), [KEY])


@pytest.mark.parametrize(
    "note",
    [
        "", "\n", "\n\n", NOTE[:-1], NOTE + "\n", NOTE + NOTE, NOTE.partition("\n\n")[0], "\n" + NOTE,
        NOTE.replace("— ", "- "), NOTE.replace("\n\n", "\n"), NOTE + NOTE.rpartition("\n\n")[2], NOTE + "— x\n",
        NOTE + "— x \n", NOTE + "— x AAAA=\n", NOTE + "— x AAAAAB==\n", NOTE.replace("\n", "\r\n"),
        NOTE + "— x AAAAAAA=\n" * 16,
    ],
)  # fmt: skip
def test_what_is_no_note(note: str) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(note, [KEY])


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}\n1\n", f"{NAME}\n01\n{'A' * 43}=\n", f"{NAME}\n-1\n{'A' * 43}=\n", f"{NAME}\n1\n{'A' * 42}==\n",
        f"{NAME}\n1\n{'A' * 43}=\nmore\n", f"{NAME}\n1\n{'A' * 42}B=\n", f"{NAME}\n1.0\n{'A' * 43}=\n",
    ],
)  # fmt: skip
def test_a_signed_text_that_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(sign_note(text, NAME, [SIGNER]), [KEY])


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "x+y", "x+00000000+AAAA", NEUMANN[:-1], NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("P", "Q"), NEUMANN.replace("PeterNeumann", "Peter Neumann"), "+" + NEUMANN,
        f"{NAME}+{KEY.id.hex()}+BA==",
    ],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(NoteError):
        read_key(text)


def test_signatures_are_those_of_rfc_8032() -> None:
    """Section 7.1, test 1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = LogSigner("g1", seed)
    assert signer.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b"
    )
    assert Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() == signer.public
