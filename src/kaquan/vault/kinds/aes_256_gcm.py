"""AES-256-GCM (NIST SP 800-38D), the default."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaquan.vault.kinds import Cipher

CIPHER = Cipher("aes-256-gcm", code=1, key_bytes=32, nonce_bytes=12, tag_bytes=16, use=AESGCM)
