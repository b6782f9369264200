"""Receipts: what proves, offline and with the log's public key alone, that a transaction is in the log as it is stated.

A receipt is a C2SP tlog-proof text, whose extra data holds the entry itself:

    c2sp.org/tlog-proof@v1
    extra <base64 of the entry, and perhaps of its opening>
    index <where the entry stands in the log>
    <base64 of a hash> …

    <signed checkpoint>

The extra data is the canonical bytes of the entry (``leaf.py``, ``policy_leaf.py``, ``key_leaf.py``). A newline and an
opening may follow: the salt in hex, a space, and the private bytes that the entry's commitment stands for. The entry is
authenticated by being the leaf that the proof leads from, the opening by the commitment in the entry. Read strictly:
there is one way to write a receipt, and nothing in it can be changed unseen but signatures of keys that the reader does
not know. Receipts of the SM profile begin with ``kaquan/sm-proof@v1``; a QR code carries ``compact.py``'s form.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from kaquan.evidence.compact import COMPACT_PREFIX, unpack_receipt
from kaquan.evidence.key_leaf import KEY_FORMAT
from kaquan.evidence.leaf import FORMAT, SALT_BYTES
from kaquan.evidence.note import Checkpoint, LogKey, NoteError, decode, encode, read_checkpoint
from kaquan.evidence.profiles import PROFILES, SHA256, Profile, key_algorithm
from kaquan.evidence.tree import HASH_BYTES, hash_leaf, includes
from kaquan.evidence.witness_policy import NO_WITNESSES, WitnessPolicy, open_checkpoint

MAX_PROOF = 63
"""A tree of more leaves than its index can count has no more levels."""

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_COMMITMENT = 9
"""Where the commitment stands in the canonical bytes of a transaction."""


class Inclusion(NamedTuple):
    """That a leaf is in the log: where, the hashes that lead from it to the root, and the signed checkpoint of that."""

    log_index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    profile: Profile = SHA256


class Opening(NamedTuple):
    """What opens the commitment of a transaction: its salt, and the private bytes that were salted."""

    salt: bytes
    private: bytes

    @property
    def commitment(self) -> bytes:
        """The commitment that it opens."""
        return sha256(self.salt + self.private).digest()


class Verified(NamedTuple):
    """What a receipt proves: the entry as it stands in the log, where, and in which checkpoint.

    ``reference`` and ``request_key`` are what the opening opens; None without one.
    """

    entry: list[Any]
    log_index: int
    checkpoint: Checkpoint
    opened: bool
    reference: str | None
    request_key: str | None


def write_receipt(entry: bytes, opening: Opening | None, inclusion: Inclusion) -> str:
    """The receipt of an entry that is in the log."""
    extra = entry if opening is None else entry + b"\n" + opening.salt.hex().encode() + b" " + opening.private
    head = [inclusion.profile.proof_format, f"extra {encode(extra)}", f"index {inclusion.log_index}"]
    lines = [*head, *map(encode, inclusion.proof), ""]
    return "\n".join(lines) + "\n" + inclusion.checkpoint


class _Parts(NamedTuple):
    text: str
    profile: Profile
    entry: bytes
    opening: bytes | None
    log_index: int
    proof: list[bytes]
    note: str


def _split(text: str) -> _Parts:
    """The parts of a receipt. Raises NoteError."""
    if text.startswith(COMPACT_PREFIX):
        text = unpack_receipt(text)
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    profile = PROFILES.get(lines[0])
    if not blank or len(lines) < 3 or profile is None or not lines[1].startswith("extra "):
        raise NoteError("not a receipt")
    found = _INDEX.fullmatch(lines[2])
    proof = [decode(line) for line in lines[3:]]
    if found is None or len(proof) > MAX_PROOF or any(len(node) != HASH_BYTES for node in proof):
        raise NoteError("not a receipt")
    entry, newline, opening = decode(lines[1].removeprefix("extra ")).partition(b"\n")
    return _Parts(text, profile, entry, opening if newline else None, int(found[1]), proof, note)


def verify_receipt(text: str, keys: Sequence[LogKey], witnesses: WitnessPolicy = NO_WITNESSES) -> Verified:
    """What a receipt, as text or in its compact form, proves to somebody who trusts ``keys`` and the logs of
    ``witnesses``, and wants as many cosignatures as that says. Raises NoteError if it proves nothing."""
    parts = _split(text)
    profile = parts.profile
    trusted = [key for key in (*keys, *witnesses.logs) if key.algorithm is profile.algorithm]
    checkpoint = open_checkpoint(parts.note, trusted, witnesses)
    leaf = profile.hash_entry(hash_leaf(parts.entry))
    if not includes(checkpoint.root, checkpoint.size, parts.log_index, leaf, parts.proof, profile.children):
        raise NoteError("the proof does not lead from this entry to the signed root")
    fields = _read_array(parts.entry)
    is_opened = parts.opening is not None
    reference, request_key = (None, None) if parts.opening is None else _open(fields, parts.opening)
    return Verified(fields, parts.log_index, checkpoint, is_opened, reference, request_key)


def split_announcements(text: str) -> list[str]:
    """The receipts in what lists them one behind the other."""
    first = SHA256.proof_format + "\n"
    return [first + part for part in text.split(first)[1:]]


class Read(NamedTuple):
    """What a receipt says, unproven: to be shown, not to be relied on."""

    entry: list[Any]
    log_index: int
    checkpoint: Checkpoint
    reference: str | None
    request_key: str | None
    text: str


def read_receipt(text: str) -> Read:
    """What a receipt, as text or in its compact form, says, without a key to verify it. Raises NoteError."""
    parts = _split(text)
    fields = _read_array(parts.entry)
    reference, request_key = (None, None) if parts.opening is None else _open(fields, parts.opening)
    checkpoint = read_checkpoint(parts.note.rpartition("\n\n")[0] + "\n")
    return Read(fields, parts.log_index, checkpoint, reference, request_key, parts.text)


def follow_keys(
    keys: Sequence[LogKey], announcements: Sequence[str], witnesses: WitnessPolicy = NO_WITNESSES
) -> list[LogKey]:
    """``keys`` and those that they announce: each announcement is the receipt of a key's own entry, under a key that is
    trusted already, which the new one names as the one it replaces. Raises NoteError for one that announces nothing."""
    trusted = list(keys)
    for text in announcements:
        found = verify_receipt(text, trusted, witnesses)
        match found.entry:
            case [format_, _, origin, str(public), replaces, _] if (
                format_ == KEY_FORMAT and origin == found.checkpoint.origin
            ):
                raw = bytes.fromhex(public)
                profile = next(known for known in PROFILES.values() if known.algorithm is key_algorithm(raw))
                if replaces is not None and replaces not in [key.public.hex() for key in trusted]:
                    raise NoteError("the key replaces one that is not trusted")
                trusted.append(LogKey(origin + profile.suffix, raw, profile.algorithm))
            case _:
                raise NoteError("the receipt is of no key of this log")
    return trusted


def _open(fields: list[Any], opening: bytes) -> tuple[str | None, str | None]:
    """What an opening opens, if it opens the commitment of this entry."""
    salt_hex, _, private = opening.partition(b" ")
    if len(salt_hex) != 2 * SALT_BYTES or salt_hex.strip(b"0123456789abcdef"):
        raise NoteError("the opening is damaged")
    commitment = sha256(bytes.fromhex(salt_hex.decode()) + private).hexdigest()
    if fields[0] != FORMAT or fields[_COMMITMENT : _COMMITMENT + 1] != [commitment]:
        raise NoteError("the opening does not open what this entry commits to")
    opened = _read_array(private)
    if len(opened) != 2:
        raise NoteError("the opening opens something else than a reference and a request key")
    return opened[0], opened[1]


def _read_array(text: bytes) -> list[Any]:
    try:
        fields = msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        fields = []
    if not fields:
        raise NoteError("the entry is in the log, and is none of kaquan")
    return fields
