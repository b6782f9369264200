"""The two profiles of the log: SHA-256 with Ed25519, and SM3 with SM2."""

from collections.abc import Callable
from typing import NamedTuple

from kaquan.evidence.note import Algorithm
from kaquan.evidence.sm import SM_SUFFIX, hash_sm_children, hash_sm_leaf
from kaquan.evidence.tree import HashChildren, hash_children


class Profile(NamedTuple):
    """How a tree over the log is hashed and signed, and what its receipts begin with.

    ``hash_entry`` makes a leaf of the tree out of a leaf hash of the log. The name of the log has ``suffix`` behind it.
    """

    proof_format: str
    algorithm: Algorithm
    suffix: str
    hash_entry: Callable[[bytes], bytes]
    children: HashChildren


SHA256 = Profile("c2sp.org/tlog-proof@v1", Algorithm.ED25519, "", bytes, hash_children)
SM = Profile("kaquan/sm-proof@v1", Algorithm.SM2, SM_SUFFIX, hash_sm_leaf, hash_sm_children)

PROFILES = {profile.proof_format: profile for profile in (SHA256, SM)}


def key_algorithm(public: bytes) -> Algorithm:
    """How a key of the log signs, by its length: see the table ``evidence_key``."""
    return Algorithm.ED25519 if len(public) == 32 else Algorithm.SM2
