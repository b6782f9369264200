"""The format of a bundle, version 1: lines of UTF-8, each ended by a newline, written and read once from the front.

    kaquan-bundle/1
    head <JSON: what it is about, the log, the sizes of the tree it begins and ends with>
    node <height> <base64>
    entry <after> <index> <check> <canonical bytes of an entry of the log>
    opening <salt in hex> <private bytes>
    member <place> <hashes in base64, one behind the other> <record>
    fact <after> <check> <JSON array>
    checkpoint <after> <base64 of a signed checkpoint>
    end <JSON: how many entries, facts, and hidden leaves, and the last event>

    kaquan-bundle/1
    <origin of the log>
    <base64 of the SHA-256 of all that stands above the empty line>

    — <name of the key> <signature>

*The tree.* ``entry`` and ``node`` lines lay the leaves of the log side by side from the first: an entry is the leaf
SHA-256(0x00 ‖ its bytes), a node stands over 2**height leaves that are not shown. A ``checkpoint`` line is signed by
the log, and its size and root are those of the tree that was laid so far (RFC 9162, section 2.1.1). So each entry is
proven to be in the log at its index, each later tree to extend the earlier one, and no leaf between to be left out.

*The events.* Entries and facts are events, facts first. ``after`` names the event before (``-`` for the first), so a
reader can name one that was removed; ``check`` is the first 16 hex digits of SHA-256(check of the event before ‖ the
event's bytes), so a reader can name one that was altered. An entry is called by the id in it, a fact by its second
field.

*What an entry stands for.* Behind an event of a card or a voucher an ``opening`` may show its private fields:
SHA-256(salt ‖ private bytes) is the commitment in the entry. Behind an issue a ``member`` may show the record of one
card or voucher that was issued with it: the hashes lead from it to the root in the entry (RFC 9162, section 2.1.3.2;
``-`` for none).

*Facts* are no entries of the log: ``["kaquan-fact/1", id, about, kind, at_us, …]``. Nothing but the last signature,
which is that of the log's keys over the whole bundle, speaks for them, and for their being all there are.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from kaquan.evidence import Opening, Signer, encode, sign_note

FORMAT = "kaquan-bundle/1"
FACT_FORMAT = "kaquan-fact/1"
CHECK_DIGITS = 16
_NONE = "-"

_encode = msgspec.json.Encoder().encode


class Bundle:
    """Writes a bundle line by line: each call gives the bytes that come next."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._whole = sha256()
        self._last, self._check = _NONE, ""
        self.entries = self.facts = 0

    def begin(self, head: Mapping[str, Any]) -> bytes:
        """The first lines."""
        return self._line(FORMAT.encode()) + self._line(b"head " + _encode(head))

    def node(self, height: int, hash_: bytes) -> bytes:
        """Leaves that are not shown."""
        return self._line(f"node {height} {encode(hash_)}".encode())

    def entry(self, name: str, index: int, content: bytes) -> bytes:
        """The entry of the log at ``index``."""
        self.entries += 1
        return self._event(name, content, b"entry %b %d %b %b", index)

    def opening(self, opening: Opening) -> bytes:
        """The private fields that the entry before commits to."""
        return self._line(b"opening %b %b" % (opening.salt.hex().encode(), opening.private))

    def member(self, place: int, record: bytes, proof: Sequence[bytes]) -> bytes:
        """A record of the issue that is the entry before."""
        path = encode(b"".join(proof)) or _NONE
        return self._line(b"member %d %b %b" % (place, path.encode(), record))

    def fact(self, name: str, content: Sequence[Any]) -> bytes:
        """Something that is no entry of the log. ``content`` begins with FACT_FORMAT and ``name``."""
        self.facts += 1
        return self._event(name, _encode(content), b"fact %b %b %b")

    def checkpoint(self, note: str) -> bytes:
        """A checkpoint of the tree so far."""
        return self._line(f"checkpoint {self._last} {encode(note.encode())}".encode())

    def end(self, *, hidden: int, signers: Sequence[Signer]) -> bytes:
        """The last lines. ``hidden``: how many leaves behind the beginning are not shown."""
        told = {"entries": self.entries, "facts": self.facts, "hidden": hidden, "last": self._last}
        last = self._line(b"end " + _encode(told))
        text = f"{FORMAT}\n{self._origin}\n{encode(self._whole.digest())}\n"
        return last + b"\n" + sign_note(text, self._origin, signers).encode()

    def _event(self, name: str, content: bytes, form: bytes, *numbers: int) -> bytes:
        after = self._last.encode()
        self._check = sha256(self._check.encode() + content).hexdigest()[:CHECK_DIGITS]
        self._last = name
        return self._line(form % (after, *numbers, self._check.encode(), content))

    def _line(self, content: bytes) -> bytes:
        line = content + b"\n"
        self._whole.update(line)
        return line
