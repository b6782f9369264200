"""Keyed hashes by which values are looked up without being held.

HMAC (RFC 2104) with SHA-256, or with SM3 (GB/T 32905-2016).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC

Mac = Callable[[bytes], bytes]
"""The 32 bytes of the hash of a message."""


def _hmac_sha256(key: bytes) -> Mac:
    begun = hmac.new(key, digestmod=hashlib.sha256)

    def mac(message: bytes) -> bytes:
        copy = begun.copy()  # the key is hashed in once, not for each message
        copy.update(message)
        return copy.digest()

    return mac


def _hmac_sm3(key: bytes) -> Mac:
    begun = HMAC(key, SM3())

    def mac(message: bytes) -> bytes:
        copy = begun.copy()
        copy.update(message)
        return copy.finalize()

    return mac


DEFAULT_MAC = "hmac-sha256"
MACS: Mapping[str, Callable[[bytes], Mac]] = {DEFAULT_MAC: _hmac_sha256, "hmac-sm3": _hmac_sm3}
"""By the name that key rings use."""
