#!/usr/bin/env python3
"""Verify a receipt of kaquan offline: one file, the Python standard library and the package `cryptography`.

    python kaquan_verify.py receipt.tlog-proof --key 'example.com/log+1a2b3c4d+AS…'

It shares no code with kaquan and asks nobody: what it needs is the receipt and the log's public key, which you should
have from somewhere else than the receipt (the contract, a regulator, another holder). It ends with 0 if, and only if,
the receipt proves that the entry which it prints is in the log.

What is checked, in this order:
  1. the checkpoint is signed by the key (C2SP signed-note, Ed25519);
  2. the proof leads from the hash of the entry to the root in the checkpoint (RFC 9162, section 2.1.3.2);
  3. if the receipt opens private fields: they are what the entry commits to (SHA-256 over salt and fields).
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_BYTES = 1 << 20
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+\x00-\x1f]+")
DASH = "\u2014 "


class Invalid(Exception):
    """The receipt proves nothing; the message says why."""


def decode(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Invalid("something that should be base64 is not") from None
    if base64.b64encode(value).decode() != text:
        raise Invalid("base64 is not in its canonical spelling")
    return value


def read_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, key id and Ed25519 public key out of name+id+base64."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not NAME.fullmatch(parts[0]):
        raise Invalid("the key is not of the form name+id+base64")
    name, key_id, raw = parts[0], parts[1], decode(parts[2])
    if len(raw) != 33 or raw[0] != 1:
        raise Invalid("the key is not an Ed25519 key of a log")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if expected.hex() != key_id:
        raise Invalid("the key does not have the id that stands in it")
    return name, expected, raw[1:]


def open_checkpoint(note: str, key: tuple[str, bytes, bytes]) -> tuple[int, bytes]:
    """Size and root of the tree, out of a checkpoint that the key has signed."""
    name, key_id, public = key
    text, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or not tail or lines.pop() != "" or not 0 < len(lines) <= 16:
        raise Invalid("there is no signed checkpoint")
    if any(character < " " and character != "\n" for character in note):
        raise Invalid("the checkpoint holds control characters")
    text += "\n"
    signed = 0
    for line in lines:
        signer, _, value = line[len(DASH) :].partition(" ")
        if not line.startswith(DASH) or not NAME.fullmatch(signer):
            raise Invalid("a signature line is damaged")
        signature = decode(value)
        if len(signature) < 5:
            raise Invalid("a signature is cut off")
        if (signer, signature[:4]) != (name, key_id):
            continue  # of a key that we do not know: another one of the log, or a witness
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
        except (InvalidSignature, ValueError):
            raise Invalid("the signature is not of this key over this checkpoint") from None
        signed += 1
    if signed != 1:
        raise Invalid("the checkpoint is not signed by this key" if not signed else "a signature is there twice")
    body = text.split("\n")
    if len(body) != 4 or body[3] != "" or not NUMBER.fullmatch(body[1]):
        raise Invalid("what is signed is not a checkpoint")
    if body[0] != name:
        raise Invalid("the checkpoint is of another log")
    root = decode(body[2])
    if len(root) != 32:
        raise Invalid("the root is not a SHA-256")
    return int(body[1]), root


def root_by_proof(entry: bytes, index: int, size: int, proof: list) -> bytes:
    """The root that a proof leads to, from the entry at an index of a tree of this size."""
    if index >= size:
        raise Invalid("the entry would stand behind the end of the log")
    found = hashlib.sha256(b"\x00" + entry).digest()
    place, last = index, size - 1
    for sibling in proof:
        if last == 0:
            raise Invalid("the proof is too long")
        if place % 2 == 1 or place == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        place, last = place // 2, last // 2
    if last != 0:
        raise Invalid("the proof is too short")
    return found


def open_private(fields: list, opening: bytes) -> list:
    """The private fields of a transaction, if they are what it commits to."""
    salt, space, private = opening.partition(b" ")
    if not space or not re.fullmatch(rb"[0-9a-f]{32}", salt):
        raise Invalid("the opening of the private fields is damaged")
    commitment = hashlib.sha256(bytes.fromhex(salt.decode()) + private).hexdigest()
    if fields[0] != "kaquan-leaf/1" or fields[9:10] != [commitment]:
        raise Invalid("the private fields are not those that the entry commits to")
    opened = read_array(private)
    if len(opened) != 2:
        raise Invalid("the private fields are none of a transaction")
    return opened


def read_array(text: bytes) -> list:
    try:
        fields = json.loads(text.decode())
    except ValueError:
        fields = None
    if not isinstance(fields, list) or not fields:
        raise Invalid("the entry is in the log, and is none of kaquan")
    return fields


def verify(receipt: bytes, key_text: str) -> dict:
    """What a receipt proves. Raises Invalid if it proves nothing."""
    key = read_key(key_text)
    try:
        text = receipt.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("the receipt is not UTF-8") from None
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Invalid("this is no receipt")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Invalid("this is no receipt")
    if not NUMBER.fullmatch(lines[2][len("index ") :]):
        raise Invalid("the index is not a number")
    index = int(lines[2][len("index ") :])
    proof = [decode(line) for line in lines[3:]]
    if len(proof) > 63 or any(len(node) != 32 for node in proof):
        raise Invalid("the proof is damaged")
    size, root = open_checkpoint(note, key)
    entry, newline, opening = decode(lines[1][len("extra ") :]).partition(b"\n")
    if root_by_proof(entry, index, size, proof) != root:
        raise Invalid("the proof does not lead from this entry to the signed root")
    fields = read_array(entry)
    opened = open_private(fields, opening) if newline else None
    return {
        "origin": key[0],
        "tree_size": size,
        "log_index": index,
        "entry": fields,
        "opened": opened is not None,
        "reference": opened[0] if opened else None,
        "request_key": opened[1] if opened else None,
    }


def describe(found: dict) -> list:
    """What was proven, in lines for people."""
    lines = [f"valid: entry {found['log_index']:,} of {found['tree_size']:,} in the log {found['origin']}"]
    fields = found["entry"]
    if fields[0] != "kaquan-leaf/1":
        return [*lines, json.dumps(fields, ensure_ascii=False)]
    _, _, id_, _, kind, related, place, effective_us, recorded_us, _, entries = fields
    lines.append(f"transaction txn_{id_}: {kind}" + (f", of txn_{related}" if related else ""))
    if place:
        lines.append(f"at the terminal term_{place}")
    lines.append(f"occurred {moment(effective_us)}, recorded {moment(recorded_us)}")
    for leg, effect, debit, _, credit, _, amount_fen in entries:
        lines.append(f"{leg}. {effect} {amount_fen:,} fen from account {debit} to account {credit}")
    if found["opened"]:
        lines.append(f"reference {found['reference']!r}, request key {found['request_key']!r}")
    return lines


def moment(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify a receipt of kaquan offline.")
    parser.add_argument("receipt", help="the file")
    parser.add_argument("--key", required=True, help="public key of the log: name+id+base64")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    try:
        with open(asked.receipt, "rb") as stream:
            receipt = stream.read(MAX_BYTES + 1)
        if len(receipt) > MAX_BYTES:
            raise Invalid("the file is too large for a receipt")
        found = verify(receipt, asked.key)
    except OSError as error:
        print(f"{asked.receipt}: {error.strerror}", file=sys.stderr)
        return 1
    except Invalid as error:
        print(f"INVALID: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, ensure_ascii=False) if asked.json else "\n".join(describe(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
