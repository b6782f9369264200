#!/usr/bin/env python3
"""Verify a bundle of kaquan offline: one file, the Python standard library and the package `cryptography`.

    python kaquan_verify_bundle.py card.bundle --key 'example.com/log+1a2b3c4d+AS…'

It shares no code with kaquan and asks nobody: what it needs is the bundle and the log's public key, which you should
have from somewhere else than the bundle. It reads the file once, line by line, whatever its size, and ends with 0 if,
and only if, all that is in it is proven. What is wrong first is named: an event altered, removed, added or moved.

What is checked:
  1. the leaves of the log are laid side by side, entries and hashes over what is not shown, without a gap; private
     fields that are shown are those that their entry commits to, and a card or voucher is in its issue;
  2. each checkpoint is signed by the key, or by one of several, and has the size and the root of the tree laid so far;
  3. the events follow each other as they were written;
  4. the whole file is signed by the key.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "kaquan-bundle/1"
ENTRIES = {"kaquan-leaf/1": ("txn", 2), "kaquan-policy/1": ("pol", 2), "kaquan-key/1": ("key", 1),
           "kaquan-voucher/1": ("evt", 2), "kaquan-voucher/2": ("evt", 2), "kaquan-card/1": ("evt", 2),
           "kaquan-issue/1": ("issue", 2), "kaquan-start/1": ("start", 2)}  # where the id is
MAX_LINE = 1 << 20
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+\x00-\x1f]+")
DASH = "\u2014 "


class Invalid(Exception):
    """The bundle proves nothing; the message says why."""


def refuse_if(wrong: bool, why: str) -> None:
    if wrong:
        raise Invalid(why)


def decode(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        value = b""
    if base64.b64encode(value).decode() != text:
        raise Invalid("something that should be base64, in its canonical spelling, is not")
    return value


def number(text: str) -> int:
    refuse_if(not NUMBER.fullmatch(text), "something that should be a number is not")
    return int(text)


def read_key(text: str) -> tuple:
    """Name, key id and Ed25519 public key out of name+id+base64."""
    name, key_id, raw = [*text.strip().split("+", 2), "", ""][:3]
    raw = decode(raw)
    if not NAME.fullmatch(name) or len(raw) != 33 or raw[0] != 1:
        raise Invalid("the key is no Ed25519 key of a log in the form name+id+base64")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    refuse_if(expected.hex() != key_id, "the key does not have the id that stands in it")
    return name, expected, raw[1:]


def open_note(note: str, keys: list) -> list:
    """The lines of the text that one of the keys, or more, have signed (C2SP signed-note)."""
    known = {(name, key_id): public for name, key_id, public in keys}
    text, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    odd = any(character < " " and character != "\n" for character in note)
    refuse_if(odd or not blank or not tail or lines.pop() != "" or not 0 < len(lines) <= 16, "a signed note is damaged")
    text += "\n"
    signed = 0
    for line in lines:
        signer, _, value = line[len(DASH) :].partition(" ")
        signature = decode(value)
        if not line.startswith(DASH) or not NAME.fullmatch(signer) or len(signature) < 5:
            raise Invalid("a signature line is damaged")
        public = known.pop((signer, signature[:4]), None)
        if public is None:
            continue  # of a key that we do not know, or have seen
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
        except (InvalidSignature, ValueError):
            raise Invalid("a signature is not of this key") from None
        signed += 1
    refuse_if(not signed, "a note is not signed by this key")
    return text.split("\n")[:-1]


class Tree:
    """Leaves laid from the left, remembered as the roots of the perfect trees that they make."""

    def __init__(self) -> None:
        self.size = 0
        self.roots: list = []

    def lay(self, height: int, found: bytes) -> None:
        if height > 62 or self.size % (1 << height):
            raise Invalid(f"no hash of this height has its place behind {self.size} leaves of the log")
        self.size += 1 << height
        while self.roots and self.roots[-1][0] == height:
            found = hashlib.sha256(b"\x01" + self.roots.pop()[1] + found).digest()
            height += 1
        self.roots.append((height, found))

    def root(self) -> bytes:
        found = self.roots[-1][1] if self.roots else hashlib.sha256(b"").digest()
        for _, left in reversed(self.roots[:-1]):
            found = hashlib.sha256(b"\x01" + left + found).digest()
        return found


class Reader:
    """Reads a bundle from the front."""

    def __init__(self, stream, keys: list, show) -> None:
        self.stream, self.keys, self.log, self.show = stream, keys, keys[0][0], show
        self.whole = hashlib.sha256()
        self.tree = Tree()
        self.last, self.check, self.hidden = "-", "", 0
        self.entries = self.facts = self.checkpoints = 0
        self.old_size = self.signed = 0
        self.shown: list = ["nothing"]

    def line(self) -> tuple:
        """The first word of the next line, and the rest."""
        raw = self.stream.readline(MAX_LINE + 1)
        if not raw.endswith(b"\n"):
            where = f"behind {self.last}" if self.last != "-" else "before its first event"
            raise Invalid(f"the bundle is cut off {where}" if len(raw) <= MAX_LINE else "a line is too long")
        self.whole.update(raw)
        return raw[:-1].decode().partition(" ")[::2]

    def read(self) -> dict:
        refuse_if(self.line() != (FORMAT, ""), "this is no bundle")
        word, rest = self.line()
        head = read_json(rest, dict)
        refuse_if(word != "head" or head.get("log") != self.log, "the bundle is of another log")
        self.old_size = head["old_size"]
        lines = {"node": (self.node, 1), "entry": (self.entry, 3), "opening": (self.opening, 1),
                 "member": (self.member, 2), "fact": (self.fact, 2), "checkpoint": (self.checkpoint, 1)}
        while True:
            word, rest = self.line()
            if word == "end":
                return self.end(head, read_json(rest, dict))
            refuse_if(word not in lines, f"there is a line of another sort behind {self.last}")
            take, spaces = lines[word]
            take(*rest.split(" ", spaces))

    def node(self, height: str, text: str) -> None:
        value, before = decode(text), self.tree.size
        refuse_if(len(value) != 32, f"a hash behind {self.last} is damaged")
        self.tree.lay(number(height), value)
        self.hidden += max(0, self.tree.size - max(before, self.old_size))

    def fact(self, after: str, check: str, content: str) -> None:
        found = read_json(content, list)
        if len(found) < 5 or found[0] != "kaquan-fact/1" or not isinstance(found[1], str):
            raise Invalid(f"the event behind {self.last} is no fact")
        self.follow(found[1], after, check, content)
        self.facts += 1
        self.show(found)

    def entry(self, after: str, place: str, check: str, content: str) -> None:
        index, found = number(place), read_json(content, list)
        name = f"{ENTRIES[found[0]][0]}_{found[ENTRIES[found[0]][1]]}"
        self.follow(name, after, check, content)
        if index != self.tree.size:
            raise Invalid(f"{name} is entry {index} of the log, and {self.tree.size} leaves are laid before it")
        self.tree.lay(0, hashlib.sha256(b"\x00" + content.encode()).digest())
        self.entries, self.shown = self.entries + 1, found
        self.show(found)

    def opening(self, salt: str, private: str) -> None:
        """The private fields that the entry before commits to."""
        found = hashlib.sha256(bytes.fromhex(salt) + private.encode()).hexdigest()
        if self.shown[0] not in ("kaquan-card/1", "kaquan-voucher/2") or self.shown[-1] != found:
            raise Invalid(f"{self.last} does not commit to what is shown with it")
        self.show(["opening", *read_json(private, list)])

    def member(self, place: str, path: str, record: str) -> None:
        """A card or voucher that was issued with the entry before (RFC 9162, section 2.1.3.2)."""
        index, last, hashes = number(place), self.shown[9] - 1, decode(path.strip("-"))
        steps = [hashes[start : start + 32] for start in range(0, len(hashes), 32)]
        found = hashlib.sha256(b"\x00" + record.encode()).digest()
        is_there = self.shown[0] == "kaquan-issue/1" and index <= last
        while is_there and last:
            if index & 1:
                found = hashlib.sha256(b"\x01" + steps.pop(0) + found).digest()
            elif index < last:
                found = hashlib.sha256(b"\x01" + found + steps.pop(0)).digest()
            index, last = index >> 1, last >> 1
        refuse_if(not is_there or steps or found.hex() != self.shown[10], f"{record} was not issued with {self.last}")
        self.show(["issued with it", *read_json(record, list)])

    def stand_behind(self, after: str, name: str) -> None:
        if after != self.last:
            raise Invalid(f"behind {after} comes {name}, and here stands {self.last}: one is missing, added or moved")

    def follow(self, name: str, after: str, check: str, content: str) -> None:
        """An event stands behind the one that it was written behind, and is as it was written."""
        self.stand_behind(after, name)
        self.check = hashlib.sha256(self.check.encode() + content.encode()).hexdigest()[:16]
        refuse_if(check != self.check, f"{name} was altered")
        self.last = name

    def checkpoint(self, after: str, note: str) -> None:
        self.stand_behind(after, "a checkpoint")
        lines = open_note(decode(note).decode(), self.keys)
        refuse_if(len(lines) != 3 or lines[0] != self.log, "what is signed is no checkpoint of this log")
        size, root = number(lines[1]), decode(lines[2])
        if size != self.tree.size:
            raise Invalid(f"a checkpoint of {size} leaves stands behind {self.tree.size}: one is missing or added")
        if root != self.tree.root():
            raise Invalid(f"the first {size} leaves are not those that were signed: up to {self.last} one was altered")
        self.checkpoints, self.signed = self.checkpoints + 1, size

    def end(self, head: dict, told: dict) -> dict:
        digest = self.whole.digest()
        if told.get("last") != self.last:
            raise Invalid(f"the last event is {told.get('last')}, and here {self.last} is: one is missing or added")
        if (told["entries"], told["facts"], told["hidden"]) != (self.entries, self.facts, self.hidden):
            raise Invalid("the bundle does not hold as many events as it says")
        if not self.checkpoints or not self.tree.size == self.signed == head["size"]:
            raise Invalid("the bundle does not end with the checkpoint that it is about")
        text = self.stream.read(MAX_LINE).decode()
        refuse_if(not text.startswith("\n") or self.stream.read(1), "there is no last signature")
        lines = open_note(text[1:], self.keys)
        if lines != [FORMAT, self.log, base64.b64encode(digest).decode()]:
            raise Invalid("the bundle is not the one that was signed")
        return {**head, **told, "checkpoints": self.checkpoints}


def read_json(text: str, kind: type):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    refuse_if(not isinstance(found, kind) or not found, "a line is damaged")
    return found


def describe(event: list) -> str:
    """An event in a line for people."""
    if event[0] == "kaquan-leaf/1":
        moved = ", ".join(f"{leg[1]} {leg[6]:,} fen {leg[2]} to {leg[4]}" for leg in event[10])
        return f"{moment(event[8])} txn_{event[2]} {event[4]}: {moved}"
    if event[0] == "kaquan-card/1":
        return f"{moment(event[8])} card_{event[3]} {event[5]}: {event[6] or 'as it was'}"
    if event[0] == "kaquan-issue/1":
        return f"{moment(event[8])} {event[9]:,} issued: {event[4]}"
    if event[0] == "kaquan-fact/1":
        return f"{moment(event[4])} {event[2]} {event[3]} (signed, not in the log)"
    return json.dumps(event, ensure_ascii=False)


def moment(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify a bundle of kaquan offline.")
    parser.add_argument("bundle", help="the file")
    parser.add_argument("--key", required=True, action="append", help="public key of the log; may be given again")
    parser.add_argument("--list", action="store_true", help="print every event: proven once the end is reached")
    parser.add_argument("--json", action="store_true", help="print what was proven as one JSON document")
    asked = parser.parse_args()
    show = (lambda event: print(describe(event))) if asked.list and not asked.json else (lambda event: None)
    try:
        keys = [read_key(text) for text in asked.key]
        with open(asked.bundle, "rb") as stream:
            found = Reader(stream, keys, show).read()
    except OSError as error:
        print(f"{asked.bundle}: {error.strerror}", file=sys.stderr)
        return 1
    except (Invalid, KeyError, IndexError, TypeError, ValueError) as error:
        print(f"INVALID: {error if isinstance(error, Invalid) else 'a line is damaged'}", file=sys.stderr)
        return 1
    if asked.json:
        return print(json.dumps(found, ensure_ascii=False)) or 0
    gaps = "no gaps" if not found["hidden"] else f"{found['hidden']:,} leaves hidden"
    print(f"valid: {found.get('object') or found.get('from') + ' to ' + found.get('to')} in the log {found['log']}")
    print(f"leaves {found['old_size']:,} to {found['size']:,}: {found['entries']:,} entries shown, {gaps}\n"
          f"{found['facts']:,} facts signed besides, {found['checkpoints']:,} checkpoints")
    return 0


if __name__ == "__main__":
    sys.exit(main())
