"""Evidence: what makes a change of history visible to an outsider.

This room fixes the canonical bytes of a transaction, of an approved change of rules, of an event of a card or a
voucher, of an issue of many of them and of a key of the log, and their RFC 9162 leaf hashes; the ledger writes a leaf
in the commit of each transaction, policy in that of each approved change, cards and vouchers in that of each event and
of each issue. The sequencer then gives every leaf
its place in one append-only log, and extends, signs and publishes its tree. It knows nothing of cards or money rules,
and no posting ever waits for it.
"""

from kaquan.evidence.card_leaf import CardLeafFacts, card_bytes, card_leaf_hash, card_private_bytes
from kaquan.evidence.check import Comparison, compare_checkpoint
from kaquan.evidence.compact import COMPACT_PREFIX, pack_receipt, unpack_receipt
from kaquan.evidence.errors import LogError
from kaquan.evidence.issue import Issued, record_issue
from kaquan.evidence.issue_leaf import (
    IssueLeafFacts,
    issue_bytes,
    issue_leaf_hash,
    issue_root,
    prove_record,
    record_bytes,
)
from kaquan.evidence.key_leaf import KeyLeafFacts, key_bytes, key_leaf_hash
from kaquan.evidence.leaf import (
    SALT_BYTES,
    LeafEntry,
    LeafFacts,
    canonical_bytes,
    commit_private,
    leaf_hash,
    microseconds,
    private_bytes,
)
from kaquan.evidence.note import (
    Algorithm,
    Checkpoint,
    LogKey,
    NoteError,
    Signer,
    encode,
    open_note,
    read_key,
    sign_note,
)
from kaquan.evidence.outcomes import RECEIPT_CONTRADICTED, RECEIPT_NOT_PRINTABLE, RECEIPT_NOT_READY
from kaquan.evidence.policy_leaf import PolicyLeafFacts, PolicyLeafRule, policy_bytes, policy_leaf_hash
from kaquan.evidence.profiles import SHA256, SM, Profile
from kaquan.evidence.read import (
    ProvenLeaf,
    WitnessView,
    get_checkpoint,
    get_head,
    get_key_receipts,
    get_keys,
    get_sm_head,
    get_tile,
    get_witnesses,
    key_of,
    prove_growth,
    prove_leaf,
    read_head,
    read_nodes,
)
from kaquan.evidence.receipt import (
    Inclusion,
    Opening,
    Read,
    Verified,
    follow_keys,
    read_receipt,
    split_announcements,
    verify_receipt,
    write_receipt,
)
from kaquan.evidence.sequence import Sequencer, Taken
from kaquan.evidence.sm import SM_SUFFIX
from kaquan.evidence.start_leaf import StartLeafFacts, start_bytes, start_leaf_hash
from kaquan.evidence.store import SEQUENCER_LOCK
from kaquan.evidence.tiles import Tile, read_path
from kaquan.evidence.tree import hash_leaf, split_range
from kaquan.evidence.voucher_leaf import (
    VoucherLeafFacts,
    voucher_bytes,
    voucher_leaf_hash,
    voucher_private_bytes,
)
from kaquan.evidence.witness import MAX_REQUEST_BYTES, Witness, WitnessError, create_witness
from kaquan.evidence.witness_policy import NO_WITNESSES, WitnessPolicy, open_checkpoint, read_policy

__all__ = [
    "COMPACT_PREFIX",
    "MAX_REQUEST_BYTES",
    "NO_WITNESSES",
    "RECEIPT_CONTRADICTED",
    "RECEIPT_NOT_PRINTABLE",
    "RECEIPT_NOT_READY",
    "SALT_BYTES",
    "SEQUENCER_LOCK",
    "SHA256",
    "SM",
    "SM_SUFFIX",
    "Algorithm",
    "CardLeafFacts",
    "Checkpoint",
    "Comparison",
    "Inclusion",
    "IssueLeafFacts",
    "Issued",
    "KeyLeafFacts",
    "LeafEntry",
    "LeafFacts",
    "LogError",
    "LogKey",
    "NoteError",
    "Opening",
    "PolicyLeafFacts",
    "PolicyLeafRule",
    "Profile",
    "ProvenLeaf",
    "Read",
    "Sequencer",
    "Signer",
    "StartLeafFacts",
    "Taken",
    "Tile",
    "Verified",
    "VoucherLeafFacts",
    "Witness",
    "WitnessError",
    "WitnessPolicy",
    "WitnessView",
    "canonical_bytes",
    "card_bytes",
    "card_leaf_hash",
    "card_private_bytes",
    "commit_private",
    "compare_checkpoint",
    "create_witness",
    "encode",
    "follow_keys",
    "get_checkpoint",
    "get_head",
    "get_key_receipts",
    "get_keys",
    "get_sm_head",
    "get_tile",
    "get_witnesses",
    "hash_leaf",
    "issue_bytes",
    "issue_leaf_hash",
    "issue_root",
    "key_bytes",
    "key_leaf_hash",
    "key_of",
    "leaf_hash",
    "microseconds",
    "open_checkpoint",
    "open_note",
    "pack_receipt",
    "policy_bytes",
    "policy_leaf_hash",
    "private_bytes",
    "prove_growth",
    "prove_leaf",
    "prove_record",
    "read_head",
    "read_key",
    "read_nodes",
    "read_path",
    "read_policy",
    "read_receipt",
    "record_bytes",
    "record_issue",
    "sign_note",
    "split_announcements",
    "split_range",
    "start_bytes",
    "start_leaf_hash",
    "unpack_receipt",
    "verify_receipt",
    "voucher_bytes",
    "voucher_leaf_hash",
    "voucher_private_bytes",
    "write_receipt",
]
