#!/usr/bin/env python3
"""Verify a receipt of kaquan offline: one file, the Python standard library and the package `cryptography`.

    python kaquan_verify.py receipt.tlog-proof --key 'example.com/log+1a2b3c4d+AS…'

It shares no code with kaquan and asks nobody: what it needs is the receipt and the log's public key, which you should
have from somewhere else than the receipt (the contract, a regulator, another holder). It ends with 0 if, and only if,
the receipt proves that the entry which it prints is in the log. The receipt is the text file, or what a scanner reads in
its QR code (KQ1:…). A receipt of the SM profile (SM3, SM2) needs the package `gmalg` too.

What is checked, in this order:
  1. the checkpoint is signed by the key (C2SP signed-note), and cosigned by as many of the witnesses as asked for;
  2. the proof leads from the hash of the entry to the root in the checkpoint (RFC 9162, section 2.1.3.2);
  3. if the receipt opens private fields: they are what the entry commits to (SHA-256 over salt and fields).
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from collections import namedtuple
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SM3, Hash

MAX_BYTES = 1 << 20
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+\x00-\x1f]+")
DASH = "\u2014 "
ED25519, COSIGNATURE, SM2 = b"\x01", b"\x04", b"\xffkaquan/sm2-sm3/1"
LENGTHS = {ED25519: 32, COSIGNATURE: 32, SM2: 65}
FORMATS = {"c2sp.org/tlog-proof@v1": ED25519, "kaquan/sm-proof@v1": SM2}

Key = namedtuple("Key", "name id sort public")
Trust = namedtuple("Trust", "keys witnesses quorum")


class Invalid(Exception):
    """Nothing is proven; the message says why."""


def decode(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Invalid("something that should be base64 is not") from None
    if base64.b64encode(value).decode() != text:
        raise Invalid("base64 is not in its canonical spelling")
    return value


def make_key(name: str, sort: bytes, public: bytes) -> Key:
    return Key(name, hashlib.sha256(name.encode() + b"\n" + sort + public).digest()[:4], sort, public)


def read_key(text: str) -> Key:
    """The key in name+id+base64."""
    name, _, rest = text.strip().partition("+")
    key_id, _, value = rest.partition("+")
    raw = decode(value)
    for sort, length in LENGTHS.items():
        if raw.startswith(sort) and len(raw) == len(sort) + length and NAME.fullmatch(name):
            key = make_key(name, sort, raw[len(sort) :])
            if key.id.hex() == key_id:
                return key
    raise Invalid("this is no key of the form name+id+base64, or it does not have the id that stands in it")


def is_signed(key: Key, text: bytes, signature: bytes) -> bool:
    if key.sort == SM2:
        try:
            from gmalg import SM2 as Sm2
        except ImportError:
            raise Invalid("a receipt of the SM profile needs the package gmalg: pip install gmalg") from None
        known = Sm2(None, b"1234567812345678", key.public)  # the default identity of GM/T 0009-2012
        is_key = key.public[0] == 4 and known.verify_pk(key.public)
        return is_key and len(signature) == 64 and known.verify(text, signature[:32], signature[32:])
    if key.sort == COSIGNATURE:
        text = b"cosignature/v1\ntime %d\n%s" % (int.from_bytes(signature[:8], "big"), text)
        signature = signature[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_checkpoint(note: str, trust: Trust) -> tuple:
    """Origin, size and root of the tree, out of a checkpoint that a key has signed and enough witnesses have cosigned."""
    text, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or not tail or lines.pop() != "" or not 0 < len(lines) <= 16:
        raise Invalid("there is no signed checkpoint")
    if any(character < " " and character != "\n" for character in note):
        raise Invalid("the checkpoint holds control characters")
    text += "\n"
    signed = []
    for line in lines:
        signer, _, value = line[len(DASH) :].partition(" ")
        signature = decode(value)
        if not line.startswith(DASH) or not NAME.fullmatch(signer) or len(signature) < 5:
            raise Invalid("a signature line is damaged")
        for key in {*trust.keys, *trust.witnesses}:  # what others have signed is not for us to judge
            if (signer, signature[:4]) == (key.name, key.id):
                if key in signed or not is_signed(key, text.encode(), signature[4:]):
                    raise Invalid("a signature is not of its key over this checkpoint, or is there twice")
                signed.append(key)
    body = text.split("\n")
    if len(body) != 4 or body[3] != "" or not NUMBER.fullmatch(body[1]):
        raise Invalid("what is signed is not a checkpoint")
    if not any(key in signed and key.name == body[0] for key in trust.keys):
        raise Invalid("the checkpoint is not signed by this key")
    root = decode(body[2])
    if len(root) != 32:
        raise Invalid("the root is not a hash")
    if sum(witness in signed for witness in trust.witnesses) < trust.quorum:
        raise Invalid("the checkpoint is cosigned by fewer witnesses than asked for")
    return body[0], int(body[1]), root


def sm3(data: bytes) -> bytes:
    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


def root_by_proof(leaf: bytes, index: int, size: int, proof: list, digest: object) -> bytes:
    """The root that a proof leads to, from the leaf at an index of a tree of this size."""
    if index >= size:
        raise Invalid("the entry would stand behind the end of the log")
    found, place, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise Invalid("the proof is too long")
        if place % 2 == 1 or place == last:
            found = digest(b"\x01" + sibling + found)
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            found = digest(b"\x01" + found + sibling)
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
    opened = read_array(private)
    if fields[0] != "kaquan-leaf/1" or fields[9:10] != [commitment] or len(opened) != 2:
        raise Invalid("the private fields are not those that the entry commits to")
    return opened


def read_array(text: bytes) -> list:
    try:
        fields = json.loads(text.decode())
        if isinstance(fields, list) and fields:
            return fields
    except ValueError:
        pass
    raise Invalid("the entry is in the log, and is none of kaquan")


def unpack(compact: str) -> str:
    """The text of a receipt out of its QR code: base32 of format, extra data, index, hashes and checkpoint."""
    try:
        raw = base64.b32decode(compact[4:] + "=" * (-len(compact[4:]) % 8))
        start = 3 + int.from_bytes(raw[1:3], "big")
        end = start + 9 + 32 * raw[start + 8]
        parts = [raw[3:start], *(raw[place : place + 32] for place in range(start + 9, end, 32))]
        extra, *proof = [base64.b64encode(part).decode() for part in parts]
        index = int.from_bytes(raw[start : start + 8], "big")
        lines = [list(FORMATS)[raw[0]], f"extra {extra}", f"index {index}", *proof, "", raw[end:].decode()]
        if len(raw) >= end and base64.b32encode(raw).decode().rstrip("=") == compact[4:]:
            return "\n".join(lines)
    except (ValueError, IndexError):
        pass
    raise Invalid("the QR code is damaged")


def prove(receipt: bytes, trust: Trust) -> dict:
    try:
        text = receipt.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("the receipt is not UTF-8") from None
    head, blank, note = (unpack(text) if text.startswith("KQ1:") else text).partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] not in FORMATS or not lines[1].startswith("extra "):
        raise Invalid("this is no receipt")
    if not lines[2].startswith("index ") or not NUMBER.fullmatch(lines[2][len("index ") :]):
        raise Invalid("the index is not a number")
    index = int(lines[2][len("index ") :])
    proof = [decode(line) for line in lines[3:]]
    if len(proof) > 63 or any(len(node) != 32 for node in proof):
        raise Invalid("the proof is damaged")
    sort = FORMATS[lines[0]]
    of_sort = trust._replace(keys=[key for key in trust.keys if key.sort == sort])
    origin, size, root = open_checkpoint(note, of_sort)
    entry, newline, opening = decode(lines[1][len("extra ") :]).partition(b"\n")
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    if sort == SM2:
        leaf = sm3(b"\x00" + leaf)  # the entries of the SM tree are the leaves of the other
    digest = sm3 if sort == SM2 else lambda data: hashlib.sha256(data).digest()
    if root_by_proof(leaf, index, size, proof, digest) != root:
        raise Invalid("the proof does not lead from this entry to the signed root")
    fields = read_array(entry)
    reference, request_key = open_private(fields, opening) if newline else (None, None)
    found = {"origin": origin, "tree_size": size, "log_index": index, "entry": fields}
    return {**found, "opened": bool(newline), "reference": reference, "request_key": request_key}


def follow(trust: Trust, announcements: str) -> Trust:
    """With the keys that are announced: by receipts of the entries of keys, each under one that is trusted before."""
    first = "c2sp.org/tlog-proof@v1\n"
    for part in announcements.split(first)[1:]:
        found = prove((first + part).encode(), trust)
        origin, fields = found["origin"], found["entry"]
        known = [None, *(key.public.hex() for key in trust.keys)]
        if fields[0] != "kaquan-key/1" or fields[2] != origin or fields[4] not in known:
            raise Invalid("the announcement is of no key that follows a trusted one")
        is_sm = len(fields[3]) == 130
        key = make_key(origin + "/sm3" * is_sm, SM2 if is_sm else ED25519, bytes.fromhex(fields[3]))
        trust = trust._replace(keys=[*trust.keys, key])
    return trust


def verify(receipt: bytes, *keys: str, witnesses: tuple = (), quorum: int = -1, announcements: str = "") -> dict:
    """What a receipt proves, as a document. Raises Invalid if it proves nothing."""
    cosigners = {*map(read_key, witnesses)}
    if any(key.sort != COSIGNATURE for key in cosigners) or quorum > len(cosigners):
        raise Invalid("a witness has another key, or more witnesses are asked for than are named")
    logs = [key for key in map(read_key, keys) if key.sort != COSIGNATURE]
    trust = follow(Trust(logs, cosigners, len(cosigners) if quorum < 0 else quorum), announcements)
    return prove(receipt, trust)


def describe(found: dict) -> list:
    """What was proven, in lines for people."""
    lines = [f"valid: entry {found['log_index']:,} of {found['tree_size']:,} in the log {found['origin']}"]
    fields = found["entry"]
    if fields[0] != "kaquan-leaf/1":
        return [*lines, json.dumps(fields, ensure_ascii=False)]
    _, _, id_, _, kind, related, place, effective_us, recorded_us, _, entries = fields[:11]
    lines.append(f"transaction txn_{id_}: {kind}" + (f", of txn_{related}" if related else ""))
    lines += [f"at the terminal term_{place}"] if place else []
    moments = [
        datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=us) for us in (effective_us, recorded_us)
    ]
    lines.append(f"occurred {moments[0].isoformat()}, recorded {moments[1].isoformat()}")
    for leg, effect, debit, _, credit, _, amount_fen in entries:
        lines.append(f"{leg}. {effect} {amount_fen:,} fen from account {debit} to account {credit}")
    lines += [f"with details, such as how it was priced, whose SHA-256 is {detail}" for detail in fields[11:]]
    if found["opened"]:
        lines.append(f"reference {found['reference']!r}, request key {found['request_key']!r}")
    return lines


def read_file(path: str) -> bytes:
    with open(path, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Invalid(f"{path} is too large")
    return content


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify a receipt of kaquan offline.")
    parser.add_argument("receipt", help="the file")
    parser.add_argument("--key", action="append", required=True, help="public key of the log, name+id+base64")
    parser.add_argument("--witness", action="append", default=[], help="public key of a witness")
    parser.add_argument("--quorum", type=int, default=-1, help="how many witnesses must have cosigned; default: all")
    parser.add_argument("--announcements", help="file of receipts of newer keys, from /log/keys/announcements")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    try:
        newer = read_file(asked.announcements).decode() if asked.announcements else ""
        how = {"witnesses": asked.witness, "quorum": asked.quorum, "announcements": newer}
        found = verify(read_file(asked.receipt), *asked.key, **how)
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 1
    except Invalid as error:
        print(f"INVALID: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, ensure_ascii=False) if asked.json else "\n".join(describe(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
