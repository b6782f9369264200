"""Evidence leaves against the transactions they speak for, recomputed from every column that is in them.

Those of approved changes of rules are the audit ``policy``'s, those of keys of the log the audit ``log``'s, those of
events the audits ``card_events``' and ``voucher_events``', those of issues and starts the audits of that name.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from kaquan.audit.types import Audit, Row
from kaquan.evidence import commit_private


def judge_leaves(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with leaves: missing, of no transaction, or not the hash of the transaction as it is. For some of
    them, read by :data:`ENTRY_RECORDS`; the audit of all says the same in SQL.

    ``before`` and ``after`` are the canonical bytes on both sides of the commitment: PostgreSQL writes them at half of
    what it costs to write them here.
    """
    wrong: list[Row] = []
    for slot, leaf_of, found, salt, commitment, id_, reference, request_key, before, after in rows:
        if salt is not None:
            commitment = commit_private(salt, reference=reference, request_key=request_key)
        if id_ is None:
            wrong.append(_row(slot, leaf_of, "transaction of the leaf", "one of its id", None))
        elif found is None:
            wrong.append(_row(slot, id_, "leaf", "one of its id", None))
        else:
            committed = b"null" if commitment is None else b'"%b"' % commitment.hex().encode()
            expected = sha256(b"\x00" + before + committed + after).digest()
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


_BEFORE = """
( '["kaquan-leaf/1",' || t.slot || ',"' || encode(uuid_send(t.id), 'hex') || '",' || t.book_id || ',"' || t.kind
  || '",' || coalesce('"' || encode(uuid_send(t.related_id), 'hex') || '"', 'null')
  || ',' || coalesce('"' || encode(uuid_send(t.place_id), 'hex') || '"', 'null')
  || ',' || (extract(epoch FROM t.effective_at) * 1000000)::bigint
  || ',' || (extract(epoch FROM t.recorded_at) * 1000000)::bigint || ',')
"""
"""The canonical bytes of a transaction before its commitment; see ``kaquan.evidence.leaf``."""

_ENTRIES = """
string_agg(
  '[' || leg || ',"' || effect || '",' || debit_account || ',' || coalesce(debit_lot::text, 'null')
  || ',' || credit_account || ',' || coalesce(credit_lot::text, 'null') || ',' || amount_fen || ']', ',' ORDER BY leg)
"""
"""Its entries, as they stand behind the commitment."""

_DETAIL = """coalesce(',"' || encode({0}.hash, 'hex') || '"', '')"""
"""The hash of what a room above keeps about it, if one does."""

_COMMITTED = """
coalesce('"' || encode(CASE WHEN l.salt IS NULL THEN l.commitment ELSE sha256(l.salt || convert_to(concat(
  '[', coalesce(to_json(t.reference)::text, 'null'), ',', coalesce(to_json(t.request_key)::text, 'null'), ']'),
  'UTF8')) END, 'hex') || '"', 'null')
"""
"""Its commitment to what a person could be known by. PostgreSQL writes JSON strings as every writer here does."""

ENTRY_RECORDS = f"""
SELECT n.log_index, n.slot, n.transaction_id, l.leaf_hash, l.salt, l.commitment, t.id, t.reference, t.request_key,
       convert_to({_BEFORE}, 'UTF8'),
       convert_to(',[' || coalesce((
         SELECT {_ENTRIES} FROM ledger_entry AS e WHERE e.slot = n.slot AND e.transaction_id = n.transaction_id
       ), '') || ']' || {_DETAIL.format("d")} || ']', 'UTF8')
FROM evidence_entry AS n
LEFT JOIN evidence_leaf AS l ON l.slot = n.slot AND l.transaction_id = n.transaction_id
LEFT JOIN ledger_transaction AS t ON t.slot = n.slot AND t.id = n.transaction_id
LEFT JOIN ledger_detail AS d ON d.slot = n.slot AND d.transaction_id = n.transaction_id
WHERE n.log_index >= %(begin)s AND n.log_index < %(end)s
ORDER BY n.log_index
"""
"""Entries of the log in its order: index, and a row for :func:`judge_leaves`."""

_PIECE = "({0}) > (%(begin_slot)s, %(begin_id)s) AND ({0}) <= (%(end_slot)s, %(end_id)s)"
"""The keys of a piece, for the columns of a table: each scan is bounded by its own, since a join hands on no range."""

AUDIT = Audit(
    name="leaves",
    proves_en="Every transaction has its evidence leaf, the leaf is the hash of the transaction, and there "
    "are no others.",
    proves_zh="每笔交易都有其存证叶，叶值与交易内容的哈希一致，且没有多余的叶。",
    reading_en="expected is the hash of the transaction as it is now, actual the leaf: the transaction, an "
    "entry of it, its private fields or the leaf was changed after the fact.",
    reading_zh="expected 为按交易现状重算的哈希，actual 为存证叶：交易、分录、私有字段或叶在事后被改动。",
    counts="leaves",
    count_sql=f"SELECT count(*) FROM evidence_leaf WHERE {_PIECE.format('slot, transaction_id')}",
    # PostgreSQL hashes them itself: a row for each transaction would cost more to be told of.
    in_pieces=True,
    sql=f"""
SELECT slot, transaction_id,
       CASE WHEN id IS NULL THEN 'transaction of the leaf' WHEN actual IS NULL THEN 'leaf' ELSE 'leaf_hash' END AS what,
       CASE WHEN id IS NULL OR actual IS NULL THEN 'one of its id' ELSE encode(expected, 'hex') END AS expected,
       CASE WHEN id IS NOT NULL THEN encode(actual, 'hex') END AS actual
FROM (
  SELECT coalesce(t.slot, l.slot) AS slot, coalesce(t.id, l.transaction_id) AS transaction_id, t.id,
         l.leaf_hash AS actual,
         CASE WHEN t.id IS NOT NULL THEN sha256('\\x00'::bytea || convert_to(
           {_BEFORE} || {_COMMITTED} || ',[' || coalesce(t.entries, '') || ']' || {_DETAIL.format("t")} || ']', 'UTF8'))
         END AS expected
  FROM (
    SELECT t.*, d.hash, e.entries
    FROM ledger_transaction AS t
    LEFT JOIN (
      SELECT * FROM ledger_detail AS d WHERE {_PIECE.format("d.slot, d.transaction_id")}
    ) AS d ON d.slot = t.slot AND d.transaction_id = t.id
    LEFT JOIN (
      SELECT slot, transaction_id,
             {_ENTRIES} AS entries
      FROM ledger_entry AS e WHERE {_PIECE.format("e.slot, e.transaction_id")} GROUP BY slot, transaction_id
    ) AS e ON e.slot = t.slot AND e.transaction_id = t.id
    WHERE {_PIECE.format("t.slot, t.id")}
  ) AS t
  FULL JOIN (
    SELECT * FROM evidence_leaf AS l WHERE {_PIECE.format("l.slot, l.transaction_id")}
  ) AS l ON l.slot = t.slot AND l.transaction_id = t.id
) AS leaf
WHERE CASE WHEN id IS NOT NULL THEN actual IS DISTINCT FROM expected ELSE
      NOT EXISTS (SELECT FROM cards_event AS c WHERE c.slot = leaf.slot AND c.id = leaf.transaction_id)
  AND NOT EXISTS (SELECT FROM vouchers_event AS v WHERE v.slot = leaf.slot AND v.id = leaf.transaction_id)
  AND NOT EXISTS (SELECT FROM evidence_issue AS i WHERE i.slot = leaf.slot AND i.id = leaf.transaction_id)
  AND NOT EXISTS (SELECT FROM policy_decision AS d WHERE d.slot = leaf.slot AND d.change_id = leaf.transaction_id)
  AND NOT EXISTS (SELECT FROM evidence_start AS s WHERE s.slot = leaf.slot AND s.id = leaf.transaction_id)
  AND NOT EXISTS (SELECT FROM evidence_key AS k WHERE k.slot = leaf.slot AND k.id = leaf.transaction_id) END
""",
)
