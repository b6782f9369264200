"""Receipts as a QR code carries them: the same bytes without the base64 of the text form.

    KQ1:<base32 (RFC 4648, section 6, without padding) of the packed receipt>

Packed, numbers in big-endian order: one byte of the format (0 SHA-256, 1 SM3), two of the length of the extra data and
the extra data, eight of the index, one of the number of hashes and the hashes, then the checkpoint as it is. Base32 is
text in the alphanumeric mode of a QR code: every scanner reads it. There is one way to write a receipt.
"""

import base64
import binascii

from kaquan.evidence.note import NoteError, decode, encode
from kaquan.evidence.profiles import SHA256, SM
from kaquan.evidence.tree import HASH_BYTES

COMPACT_PREFIX = "KQ1:"

_FORMATS = (SHA256.proof_format, SM.proof_format)


def pack_receipt(text: str) -> str:
    """The compact form of a receipt that ``write_receipt`` wrote."""
    head, _, note = text.partition("\n\n")
    format_, extra_line, index, *hashes = head.split("\n")
    extra = decode(extra_line.removeprefix("extra "))
    raw = bytes([_FORMATS.index(format_)]) + len(extra).to_bytes(2) + extra
    raw += int(index.removeprefix("index ")).to_bytes(8) + bytes([len(hashes)]) + b"".join(map(decode, hashes))
    return COMPACT_PREFIX + _base32(raw + note.encode())


def unpack_receipt(compact: str) -> str:
    """The text of a receipt that :func:`pack_receipt` packed. Raises NoteError for anything else."""
    damaged = NoteError("not a receipt in compact form")
    packed = compact.removeprefix(COMPACT_PREFIX)
    try:
        raw = base64.b32decode(packed + "=" * (-len(packed) % 8))
        start = 3 + int.from_bytes(raw[1:3])
        end = start + 9 + raw[start + 8] * HASH_BYTES
        hashes = [raw[place : place + HASH_BYTES] for place in range(start + 9, end, HASH_BYTES)]
        lines = [_FORMATS[raw[0]], f"extra {encode(raw[3:start])}", f"index {int.from_bytes(raw[start : start + 8])}"]
        text = "\n".join([*lines, *map(encode, hashes), "", raw[end:].decode()])
    except (binascii.Error, IndexError, ValueError):
        raise damaged from None
    if not compact.startswith(COMPACT_PREFIX) or len(raw) < end or _base32(raw) != packed:
        raise damaged
    return text


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")
