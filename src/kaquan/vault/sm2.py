"""SM2 signatures over SM3 (GB/T 32918.2-2016, with the curve of GB/T 32918.5-2017), by the library gmalg.

The signer's identity is the default of GM/T 0009-2012, ``1234567812345678``. A public key is 65 bytes (``04 ‖ x ‖ y``),
a signature 64 (``r ‖ s``). The library is plain Python: some tens of milliseconds each, and not of constant time, so it
signs only what this process decides to sign, at its own pace.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from gmalg import SM2
from gmalg.errors import GMError

PUBLIC_BYTES = 65
SIGNATURE_BYTES = 64

_IDENTITY = b"1234567812345678"
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_HALF = 32


class Sm2Signer:
    """An SM2 key that signs checkpoints of the log's SM profile."""

    def __init__(self, id_: str, seed: bytes) -> None:
        self.id = id_
        drawn = HKDF(SHA256(), length=48, salt=None, info=b"kaquan/v1/sm2 signer").derive(seed)
        # from 1 to n - 2 (GB/T 32918.1, 6.1); of 48 bytes, so that the remainder favours no key
        private = (int.from_bytes(drawn, "big") % (_ORDER - 2) + 1).to_bytes(_HALF, "big")
        self.public = SM2(private).generate_pk(private)
        self._sm2 = SM2(private, _IDENTITY, self.public)

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of its signature; another one each time."""
        return b"".join(half.rjust(_HALF, b"\x00") for half in self._sm2.sign(text))

    def __repr__(self) -> str:
        return f"Sm2Signer({self.id!r})"


def sm2_verifies(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is of ``public`` over ``text``; False for what is no key or no signature, too."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    verifier = _verifier(public)
    return verifier is not None and verifier.verify(text, signature[:_HALF], signature[_HALF:])


@lru_cache(maxsize=64)
def _verifier(public: bytes) -> SM2 | None:
    """A key that lies on the curve; None otherwise."""
    if len(public) != PUBLIC_BYTES or public[:1] != b"\x04":
        return None
    try:
        return SM2(None, _IDENTITY, public) if SM2().verify_pk(public) else None
    except (GMError, ValueError):
        return None
