"""Floor 0: keys, look-up and sealing of card numbers, API-key secrets, masking.

It keeps nothing itself: rooms store what it returns. It never logs, and no exception or ``repr`` of it holds
a number, a secret or a key.
"""

from kaquan.vault.keyring import Keyring, KeyringError, SealError
from kaquan.vault.mask import mask_number
from kaquan.vault.pin import hash_pin, pin_matches
from kaquan.vault.token import (
    SECRET_LENGTH,
    hash_secret,
    new_secret,
    secret_matches,
)

__all__ = [
    "SECRET_LENGTH",
    "Keyring",
    "KeyringError",
    "SealError",
    "hash_pin",
    "hash_secret",
    "mask_number",
    "new_secret",
    "pin_matches",
    "secret_matches",
]
