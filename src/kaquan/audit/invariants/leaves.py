"""Evidence leaves against the transactions they speak for, recomputed by the code that writes receipts.

Those of approved changes of rules are the audit ``policy``'s, those of keys of the log the audit ``log``'s.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from kaquan.audit.types import Audit, Row
from kaquan.evidence import LeafEntry, LeafFacts, commit_private, leaf_hash

_read_entries = msgspec.json.Decoder(list[LeafEntry]).decode


def judge_leaves(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with leaves: missing, of no transaction, or not the hash of the transaction as it is."""
    wrong: list[Row] = []
    for (
        slot, leaf_of, found, salt, commitment, id_, book_id, kind, related_id, place_id, effective_at, recorded_at,
        reference, request_key, entries,
    ) in rows:  # fmt: skip
        if id_ is None:
            wrong.append(_row(slot, leaf_of, "transaction of the leaf", "one of its id", None))
        elif found is None:
            wrong.append(_row(slot, id_, "leaf", "one of its id", None))
        else:
            if salt is not None:
                commitment = commit_private(salt, reference=reference, request_key=request_key)
            legs = _read_entries(entries) if entries is not None else []
            expected = leaf_hash(
                LeafFacts(
                    slot, id_, book_id, kind, related_id, place_id, effective_at, recorded_at, commitment,
                    legs,
                )
            )  # fmt: skip
            if expected != found:
                wrong.append(_row(slot, id_, "leaf_hash", expected, found))
    return wrong


def _row(slot: int, transaction_id: object, what: str, expected: object, actual: object) -> Row:
    return {
        "slot": slot,
        "transaction_id": transaction_id,
        "what": what,
        "expected": expected,
        "actual": actual,
    }


AUDIT = Audit(
    name="leaves",
    proves_en="Every transaction has its evidence leaf, the leaf is the hash of the transaction, and there "
    "are no others.",
    proves_zh="每笔交易都有其存证叶，叶值与交易内容的哈希一致，且没有多余的叶。",
    reading_en="expected is the hash of the transaction as it is now, actual the leaf: the transaction, an "
    "entry of it, its private fields or the leaf was changed after the fact.",
    reading_zh="expected 为按交易现状重算的哈希，actual 为存证叶：交易、分录、私有字段或叶在事后被改动。",
    counts="leaves",
    count_sql="SELECT count(*) FROM evidence_leaf",
    # In the order of the keys, which lets PostgreSQL merge three indexes as the rows are fetched.
    sql="""
(SELECT t.slot, l.transaction_id, l.leaf_hash, l.salt, l.commitment, t.id, t.book_id, t.kind::text, t.related_id,
        t.place_id, t.effective_at, t.recorded_at, t.reference, t.request_key, e.entries
 FROM ledger_transaction AS t
 LEFT JOIN evidence_leaf AS l ON l.slot = t.slot AND l.transaction_id = t.id
 LEFT JOIN (
   SELECT slot, transaction_id,
          '[' || string_agg(
            '[' || leg || ',"' || effect || '",' || debit_account || ',' || coalesce(debit_lot::text, 'null')
            || ',' || credit_account || ',' || coalesce(credit_lot::text, 'null') || ',' || amount_fen || ']',
            ',' ORDER BY leg) || ']' AS entries
   FROM ledger_entry GROUP BY slot, transaction_id
 ) AS e ON e.slot = t.slot AND e.transaction_id = t.id
 ORDER BY t.slot, t.id)
UNION ALL
SELECT l.slot, l.transaction_id, l.leaf_hash, l.salt, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL
FROM evidence_leaf AS l
WHERE NOT EXISTS (SELECT FROM ledger_transaction AS t WHERE t.slot = l.slot AND t.id = l.transaction_id)
  AND NOT EXISTS (SELECT FROM policy_decision AS d WHERE d.slot = l.slot AND d.change_id = l.transaction_id)
  AND NOT EXISTS (SELECT FROM evidence_key AS k WHERE k.slot = l.slot AND k.id = l.transaction_id)
""",
    judge=judge_leaves,
)
