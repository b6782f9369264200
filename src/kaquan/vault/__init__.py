"""Floor 0: keys and their rotation, look-up and sealing, card secrets, sealed files, API-key secrets, masking.

It keeps nothing itself but the key ring's file: rooms store what it returns, and declare which of their columns are
sealed. It never logs, and no exception or ``repr`` of it holds a number, a secret or a key.
"""

from kaquan.vault.columns import RowLookup, SealedColumn, declare_sealed, sealed_columns
from kaquan.vault.envelope import (
    EnvelopeError,
    EnvelopeWriter,
    fingerprint,
    read_envelope,
    read_envelope_header,
    read_public_key,
)
from kaquan.vault.keyring import CARD_NUMBER, Keyring, LogSigner, SealError, key_id_of
from kaquan.vault.kinds import Cipher, find_ciphers
from kaquan.vault.macs import DEFAULT_MAC, MACS
from kaquan.vault.mask import mask_card_number, mask_identity, mask_name, mask_number, mask_phone
from kaquan.vault.pin import hash_pin, pin_matches
from kaquan.vault.ring_file import (
    DEFAULT_CIPHER,
    KeyringError,
    LookupKey,
    Ring,
    SealKey,
    create_ring,
    new_key,
    new_ring,
    only_writer,
    read_ring,
    replace_ring,
    seal_by,
)
from kaquan.vault.rotate import (
    add_lookup_key,
    add_seal_key,
    add_signer,
    drop_old_lookup_keys,
    retire_seal_key,
    retire_signer,
)
from kaquan.vault.secrets import CARD_SECRET_LENGTH, PIN_LENGTH, draw_card_secret, draw_pin, same_secret
from kaquan.vault.sm2 import Sm2Signer, sm2_verifies
from kaquan.vault.token import (
    SECRET_LENGTH,
    hash_secret,
    new_secret,
    secret_matches,
)

__all__ = [
    "CARD_NUMBER",
    "CARD_SECRET_LENGTH",
    "DEFAULT_CIPHER",
    "DEFAULT_MAC",
    "MACS",
    "PIN_LENGTH",
    "SECRET_LENGTH",
    "Cipher",
    "EnvelopeError",
    "EnvelopeWriter",
    "Keyring",
    "KeyringError",
    "LogSigner",
    "LookupKey",
    "Ring",
    "RowLookup",
    "SealError",
    "SealKey",
    "SealedColumn",
    "Sm2Signer",
    "add_lookup_key",
    "add_seal_key",
    "add_signer",
    "create_ring",
    "declare_sealed",
    "draw_card_secret",
    "draw_pin",
    "drop_old_lookup_keys",
    "find_ciphers",
    "fingerprint",
    "hash_pin",
    "hash_secret",
    "key_id_of",
    "mask_card_number",
    "mask_identity",
    "mask_name",
    "mask_number",
    "mask_phone",
    "new_key",
    "new_ring",
    "new_secret",
    "only_writer",
    "pin_matches",
    "read_envelope",
    "read_envelope_header",
    "read_public_key",
    "read_ring",
    "replace_ring",
    "retire_seal_key",
    "retire_signer",
    "same_secret",
    "seal_by",
    "sealed_columns",
    "secret_matches",
    "sm2_verifies",
]
