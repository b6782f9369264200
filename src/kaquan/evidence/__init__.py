"""Evidence: what makes a change of history visible to an outsider.

This room fixes the canonical bytes of a transaction and of an approved change of rules, and their RFC 9162 leaf hashes.
It never reads a clock and knows nothing of cards or money rules; the ledger writes a leaf in the commit of each
transaction, and policy in that of each approved change.
"""

from kaquan.evidence.leaf import LeafEntry, LeafFacts, canonical_bytes, commit_private, leaf_hash
from kaquan.evidence.policy_leaf import PolicyLeafFacts, PolicyLeafRule, policy_bytes, policy_leaf_hash

__all__ = [
    "LeafEntry",
    "LeafFacts",
    "PolicyLeafFacts",
    "PolicyLeafRule",
    "canonical_bytes",
    "commit_private",
    "leaf_hash",
    "policy_bytes",
    "policy_leaf_hash",
]
