"""Evidence: what makes a change of history visible to an outsider.

This room fixes the canonical bytes of a transaction, of an approved change of rules and of a key of the log, and their
RFC 9162 leaf hashes; the ledger writes a leaf in the commit of each transaction, and policy in that of each approved
change. The sequencer then gives every leaf its place in one append-only log, and extends, signs and publishes its tree.
It knows nothing of cards or money rules, and no posting ever waits for it.
"""

from kaquan.evidence.check import Comparison, compare_checkpoint
from kaquan.evidence.key_leaf import KeyLeafFacts, key_bytes, key_leaf_hash
from kaquan.evidence.leaf import LeafEntry, LeafFacts, canonical_bytes, commit_private, leaf_hash, private_bytes
from kaquan.evidence.note import (
    Checkpoint,
    LogKey,
    NoteError,
    Signer,
    encode,
    open_checkpoint,
    open_note,
    read_key,
    sign_note,
)
from kaquan.evidence.outcomes import RECEIPT_CONTRADICTED, RECEIPT_NOT_READY
from kaquan.evidence.policy_leaf import PolicyLeafFacts, PolicyLeafRule, policy_bytes, policy_leaf_hash
from kaquan.evidence.read import (
    Inclusion,
    StoredLeaf,
    get_checkpoint,
    get_head,
    get_keys,
    get_tile,
    prove_growth,
    prove_leaf,
    read_head,
    read_leaf,
    read_nodes,
)
from kaquan.evidence.receipt import Opening, Verified, verify_receipt, write_receipt
from kaquan.evidence.sequence import LogError, Sequencer, Taken
from kaquan.evidence.store import SEQUENCER_LOCK
from kaquan.evidence.tiles import Tile, read_path
from kaquan.evidence.tree import hash_leaf, split_range

__all__ = [
    "RECEIPT_CONTRADICTED",
    "RECEIPT_NOT_READY",
    "SEQUENCER_LOCK",
    "Checkpoint",
    "Comparison",
    "Inclusion",
    "KeyLeafFacts",
    "LeafEntry",
    "LeafFacts",
    "LogError",
    "LogKey",
    "NoteError",
    "Opening",
    "PolicyLeafFacts",
    "PolicyLeafRule",
    "Sequencer",
    "Signer",
    "StoredLeaf",
    "Taken",
    "Tile",
    "Verified",
    "canonical_bytes",
    "commit_private",
    "compare_checkpoint",
    "encode",
    "get_checkpoint",
    "get_head",
    "get_keys",
    "get_tile",
    "hash_leaf",
    "key_bytes",
    "key_leaf_hash",
    "leaf_hash",
    "open_checkpoint",
    "open_note",
    "policy_bytes",
    "policy_leaf_hash",
    "private_bytes",
    "prove_growth",
    "prove_leaf",
    "read_head",
    "read_key",
    "read_leaf",
    "read_nodes",
    "read_path",
    "sign_note",
    "split_range",
    "verify_receipt",
    "write_receipt",
]
