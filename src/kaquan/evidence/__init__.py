"""Evidence: what makes a change of history visible to an outsider.

This room fixes the canonical bytes of a transaction and their RFC 9162 leaf hash. It never reads a clock and knows
nothing of cards or money rules; the ledger writes a leaf in the commit of each transaction.
"""

from kaquan.evidence.leaf import LeafEntry, LeafFacts, canonical_bytes, commit_private, leaf_hash

__all__ = ["LeafEntry", "LeafFacts", "canonical_bytes", "commit_private", "leaf_hash"]
