"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), with Ed25519, witnesses' cosignatures
(C2SP tlog-cosignature, v1), and SM2 for the SM profile.

Read strictly: what a signer of ours would not have written is refused, so that no byte of a note can be changed unseen
but those of signatures by keys that the reader does not know, which the specification asks to ignore.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kaquan.evidence.tree import HASH_BYTES
from kaquan.vault import sm2_verifies

MAX_SIGNATURES = 16

_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "— "
_ID_BYTES = 4
_TIME_BYTES = 8


class NoteError(Exception):
    """A text is not a signed note or checkpoint, or is not signed by the key in question; the message says which."""


class Algorithm(Enum):
    """How a key signs; the value is what key ids and texts of keys name it by (signed-note, signature types)."""

    ED25519 = b"\x01"
    COSIGNATURE = b"\x04"
    SM2 = b"\xffkaquan/sm2-sm3/1"


_PUBLIC_BYTES = {Algorithm.ED25519: 32, Algorithm.COSIGNATURE: 32, Algorithm.SM2: 65}


class LogKey(NamedTuple):
    """A public key that signs checkpoints, of a log (its name is the log's origin) or of a witness."""

    name: str
    public: bytes
    algorithm: Algorithm = Algorithm.ED25519

    @property
    def id(self) -> bytes:
        """What signatures name it by."""
        return sha256(self.name.encode() + b"\n" + self.algorithm.value + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as people carry it: ``name+id+base64``."""
        return f"{self.name}+{self.id.hex()}+{encode(self.algorithm.value + self.public)}"


class Signer(Protocol):
    """Who signs: a private key that stays where it is."""

    @property
    def public(self) -> bytes:
        """Its public key: 32 bytes of Ed25519, 65 of SM2."""
        ...

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of its signature."""
        ...


class Checkpoint(NamedTuple):
    """What a log says of itself: who it is, how many leaves it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\n"


def encode(value: bytes) -> str:
    """Base64 as all these formats write it (RFC 4648, section 4)."""
    return base64.b64encode(value).decode()


def decode(text: str) -> bytes:
    """What :func:`encode` wrote. Raises NoteError for anything else, also for another spelling of the same bytes."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise NoteError("not base64") from None
    if encode(value) != text:
        raise NoteError("base64 in another spelling than it is written")
    return value


def is_key_name(text: str) -> bool:
    """Whether a log may be called so: not empty, without spaces, control characters and plus signs."""
    return _NAME.fullmatch(text) is not None


def read_key(text: str) -> LogKey:
    """The key that :attr:`LogKey.text` wrote. Raises NoteError."""
    name, _, rest = text.strip().partition("+")
    key_id, _, value = rest.partition("+")
    if not is_key_name(name):
        raise NoteError("not a key: expected name+id+base64")
    raw = decode(value)
    algorithm = next((known for known in Algorithm if raw.startswith(known.value)), None)
    if algorithm is None or len(raw) != len(algorithm.value) + _PUBLIC_BYTES[algorithm]:
        raise NoteError("not an Ed25519 or SM2 key of a log, nor of a witness")
    key = LogKey(name, raw[len(algorithm.value) :], algorithm)
    if key.id.hex() != key_id:
        raise NoteError("the key does not have the id that stands beside it")
    return key


def signature_line(key: LogKey, signature: bytes) -> str:
    """The line by which a note carries a signature."""
    return f"{_DASH}{key.name} {encode(key.id + signature)}\n"


def sign_note(text: str, name: str, signers: Sequence[Signer], algorithm: Algorithm = Algorithm.ED25519) -> str:
    """The note with a signature of each signer, all under one name. ``text`` ends with a newline."""
    lines = [signature_line(LogKey(name, signer.public, algorithm), signer.sign(text.encode())) for signer in signers]
    return text + "\n" + "".join(lines)


def cosign(text: str, key: LogKey, signer: Signer, *, at_s: int) -> str:
    """The line by which a witness says that it saw the checkpoint ``text`` at ``at_s`` (seconds since 1970), and that
    it extends all that it saw before."""
    return signature_line(key, at_s.to_bytes(_TIME_BYTES) + signer.sign(_cosigned(text, at_s)))


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _is_signed_by(key: LogKey, text: str, signature: bytes) -> bool:
    if key.algorithm is Algorithm.SM2:
        return sm2_verifies(key.public, text.encode(), signature)
    signed = text.encode()
    if key.algorithm is Algorithm.COSIGNATURE:
        at_s, signature = int.from_bytes(signature[:_TIME_BYTES]), signature[_TIME_BYTES:]
        signed = _cosigned(text, at_s)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_note(note: str, keys: Sequence[LogKey]) -> tuple[str, list[LogKey]]:
    """The text of a note, and which of ``keys`` signed it. Raises NoteError if none did, or one is forged."""
    text, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or not tail or lines.pop() != "" or not 0 < len(lines) <= MAX_SIGNATURES:
        raise NoteError("not a signed note")
    text += "\n"
    if any(character < " " and character != "\n" for character in note):
        raise NoteError("not a signed note: it holds control characters")
    known = {(key.name, key.id): key for key in keys}
    signed_by: list[LogKey] = []
    for line in lines:
        name, _, value = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not is_key_name(name):
            raise NoteError("not a signed note: a line of a signature is damaged")
        signature = decode(value)
        if len(signature) <= _ID_BYTES:
            raise NoteError("not a signed note: a signature is cut off")
        key = known.get((name, signature[:_ID_BYTES]))
        if key is None:
            continue
        if not _is_signed_by(key, text, signature[_ID_BYTES:]):
            raise NoteError("the signature is not of this key over this text")
        if key in signed_by:
            raise NoteError("a signature is there twice")
        signed_by.append(key)
    if not signed_by:
        raise NoteError("not signed by the key that was given")
    return text, signed_by


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of an opened note. Raises NoteError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "" or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise NoteError("not a checkpoint")
    root = decode(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("not a checkpoint: the root is not a hash")
    return Checkpoint(lines[0], int(lines[1]), root)
