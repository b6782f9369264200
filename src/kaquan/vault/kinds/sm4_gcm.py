"""SM4-GCM: SM4 (GB/T 32907-2016) in the mode of NIST SP 800-38D, as RFC 8998 uses it."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from kaquan.vault.kinds import Cipher

_TAG_BYTES = 16


class Sm4Gcm:
    """SM4-GCM with the interface of the library's own AEADs, which do not include it."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        encryptor = BlockCipher(self._algorithm, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """What was sealed; nothing of it is given out before the tag was checked. Raises InvalidTag."""
        if len(data) < _TAG_BYTES:
            raise InvalidTag
        decryptor = BlockCipher(self._algorithm, GCM(nonce, data[-_TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(data[:-_TAG_BYTES]) + decryptor.finalize()


CIPHER = Cipher("sm4-gcm", code=2, key_bytes=16, nonce_bytes=12, tag_bytes=_TAG_BYTES, use=Sm4Gcm)
