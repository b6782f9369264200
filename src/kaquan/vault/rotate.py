"""Change which keys a ring holds: pure, each giving the ring as it shall be. None changes the pepper.

A new sealing key is current at once. A new look-up key stands beside the old one until every look-up has moved to it. A
new signer signs beside the old ones, until those whose keys nobody relies on any more are retired.
"""

from collections.abc import Collection

from msgspec.structs import replace

from kaquan.vault.kinds import find_ciphers
from kaquan.vault.macs import MACS
from kaquan.vault.ring_file import KeyringError, LookupKey, Ring, SealKey, SignKey

MAX_SIGNERS = 4
"""More would only make every checkpoint longer."""


def add_seal_key(ring: Ring, *, key: bytes, cipher: str) -> Ring:
    """With a new current sealing key. Raises KeyringError for a cipher that there is not."""
    if cipher not in find_ciphers():
        raise KeyringError(f"There is no cipher {cipher}; there are: {', '.join(sorted(find_ciphers()))}.")
    made = SealKey(_next_id("k", [known.id for known in ring.seals]), cipher, key)
    return replace(ring, current=made.id, seals=(*ring.seals, made))


def add_lookup_key(ring: Ring, *, key: bytes, mac: str) -> Ring:
    """With a new look-up key beside the old one. Raises KeyringError while a rotation runs already."""
    if mac not in MACS:
        raise KeyringError(f"There is no keyed hash {mac}; there are: {', '.join(sorted(MACS))}.")
    if len(ring.lookups) > 1:
        raise KeyringError(
            "The look-up key is being changed already; finish it with: kaquan vault reseal / 查找密钥更换尚未完成。"
        )
    made = LookupKey(_next_id("l", [known.id for known in ring.lookups]), mac, key)
    return replace(ring, lookups=(*ring.lookups, made))


def drop_old_lookup_keys(ring: Ring) -> Ring:
    """With the current look-up key alone. Only when nothing is found under the others any more."""
    return replace(ring, lookups=ring.lookups[-1:])


def retire_seal_key(ring: Ring, key_id: str, *, in_use: Collection[str]) -> Ring:
    """Without a sealing key. Raises KeyringError if it is current, unknown, or one of those ``in_use``."""
    if key_id not in [known.id for known in ring.seals]:
        raise KeyringError(f"There is no sealing key {key_id} in this ring. / 没有该密钥。")
    if key_id == ring.current:
        raise KeyringError(f"{key_id} is the current key; rotate first. / 该密钥正在使用。")
    if key_id in in_use:
        raise KeyringError(
            f"Values are still sealed under {key_id}: run kaquan vault reseal first. / 仍有数据由该密钥加密。"
        )
    return replace(ring, seals=tuple(known for known in ring.seals if known.id != key_id))


def add_signer(ring: Ring, *, key: bytes, sm: bool = False) -> Ring:
    """With a new key that signs checkpoints beside those that are there; ``sm``: those of the SM profile, which the
    first such key begins. Raises KeyringError beyond ``MAX_SIGNERS``."""
    signers = ring.sm_signers if sm else ring.signers
    if len(signers) >= MAX_SIGNERS:
        raise KeyringError(
            f"{MAX_SIGNERS} keys sign the log already; retire the oldest first: kaquan log retire / 请先移除旧密钥。"
        )
    made = SignKey(_next_id("s" if sm else "g", [known.id for known in signers]), key)
    return replace(ring, sm_signers=(*signers, made)) if sm else replace(ring, signers=(*signers, made))


def retire_signer(ring: Ring, key_id: str) -> Ring:
    """Without a key that signs. Raises KeyringError if it is unknown or the newest of its sort."""
    if key_id not in [known.id for known in (*ring.signers, *ring.sm_signers)]:
        raise KeyringError(f"There is no signing key {key_id} in this ring. / 没有该密钥。")
    if key_id in [known.id for known in (*ring.signers[-1:], *ring.sm_signers[-1:])]:
        raise KeyringError(f"{key_id} is the current key; rotate first. / 该密钥正在使用。")
    return replace(
        ring,
        signers=tuple(known for known in ring.signers if known.id != key_id),
        sm_signers=tuple(known for known in ring.sm_signers if known.id != key_id),
    )


def _next_id(letter: str, known: list[str]) -> str:
    """An id that no key of this ring had: ids only grow, and the newest stays in the ring."""
    numbers = [int(key_id[1:]) for key_id in known if key_id[:1] == letter and key_id[1:].isdigit()]
    return f"{letter}{max(numbers, default=0) + 1}"
