"""The ciphers that values are sealed under: one file each, found by itself.

A file defines ``CIPHER``. Its ``code`` stands in every value that it sealed, so it is never given to another one.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple, Protocol


class Aead(Protocol):
    """Authenticated encryption under one key (RFC 5116): the tag follows the ciphertext."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """``data`` sealed; a nonce is used once."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """What was sealed. Raises InvalidTag if it is not that."""
        ...


class Cipher(NamedTuple):
    """One way of sealing: its name in key rings, its code in sealed values, what its keys and nonces are."""

    name: str
    code: int
    key_bytes: int
    nonce_bytes: int
    tag_bytes: int
    use: Callable[[bytes], Aead]
    """Makes the cipher with a key of ``key_bytes``."""


@cache
def find_ciphers() -> Mapping[str, Cipher]:
    """Every cipher by name. Raises ValueError if two share a code."""
    found = [import_module(f"{__name__}.{module.name}").CIPHER for module in iter_modules(__path__)]
    if len({cipher.code for cipher in found}) != len(found):
        raise ValueError("two ciphers share a code")
    return {cipher.name: cipher for cipher in found}
