"""The SM profile: the same log hashed with SM3 and signed with SM2, for whoever must not or will not rely on others.

Its tree is that of RFC 9162 with SM3 (GB/T 32905-2016) in the place of SHA-256, and as its entries the leaf hashes of
the log, in the order of the log: so it can be begun at any time, and is built from what the log keeps. Its checkpoints
are those of tlog-checkpoint under the log's name with ``/sm3`` behind, signed with SM2 over SM3 (GB/T 32918).
"""

from cryptography.hazmat.primitives.hashes import SM3, Hash

SM_SUFFIX = "/sm3"
"""What is behind the name of a log in that of its SM profile: no key signs two trees under one name."""


def sm3(*parts: bytes) -> bytes:
    """The 32 bytes of SM3 over the parts, one behind the other."""
    digest = Hash(SM3())
    for part in parts:
        digest.update(part)
    return digest.finalize()


def hash_sm_leaf(leaf: bytes) -> bytes:
    """The hash of an entry of the SM tree, which is the leaf hash of the log's."""
    return sm3(b"\x00", leaf)


def hash_sm_children(left: bytes, right: bytes) -> bytes:
    """The hash of a node of the SM tree over two others."""
    return sm3(b"\x01", left, right)
