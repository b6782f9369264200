"""Idempotency keys against transactions.

The key's hash is computed again from the transaction (``kaquan.ledger.hash_key``), so a row that was moved to
another key is seen. Answers are forgotten after a published time (``ledger_forgotten`` says up to when); every
key since then must still be there.
"""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="idempotency",
    proves_en="Each request key of a book leads to one transaction, and its remembered answer names that transaction.",
    proves_zh="同一账套的每个幂等键只对应一笔交易，其留存的应答正指向该交易。",
    reading_en="expected is what the transaction says, actual what is remembered under its key.",
    reading_zh="expected 为交易所载，actual 为该幂等键下留存的内容。",
    counts="keys",
    count_sql="SELECT count(*) FROM ledger_idempotency",
    sql="""
WITH forgotten AS (
  SELECT s.slot, coalesce(f.before, '-infinity') AS before
  FROM ledger_slot AS s LEFT JOIN ledger_forgotten AS f ON f.slot = s.slot
), remembered AS (
  SELECT k.slot, t.book_id, k.key_hash, k.transaction_id, t.id, k.request_hash, t.request_hash AS given_hash,
         substring(sha256(convert_to(t.book_id || E'\\n' || t.request_key, 'UTF8')) FOR 16) AS given_key_hash
  FROM ledger_idempotency AS k
  LEFT JOIN ledger_transaction AS t ON t.slot = k.slot AND t.id = k.transaction_id
  WHERE k.transaction_id IS NOT NULL AND NOT EXISTS (
    -- its key is erased, as its holder asked
    SELECT FROM evidence_leaf AS l
    WHERE l.slot = k.slot AND l.transaction_id = k.transaction_id AND l.commitment IS NOT NULL
      AND t.request_key IS NULL)
)
SELECT k.slot, k.book_id, k.key_hash, k.transaction_id, v.what, v.expected, v.actual
FROM remembered AS k
CROSS JOIN LATERAL (VALUES
  ('transaction that the key names', k.transaction_id::text, k.id::text),
  ('request_hash', encode(k.given_hash, 'hex'), encode(k.request_hash, 'hex')),
  ('key_hash', encode(k.given_key_hash, 'hex'), encode(uuid_send(k.key_hash), 'hex'))
) AS v (what, expected, actual)
WHERE (k.given_hash = k.request_hash AND k.given_key_hash = uuid_send(k.key_hash)) IS NOT TRUE
  AND v.expected IS DISTINCT FROM v.actual AND (k.id IS NOT NULL OR v.what = 'transaction that the key names')
UNION ALL
SELECT t.slot, t.book_id, NULL, t.id, 'remembered answer', t.request_key, NULL
FROM ledger_transaction AS t JOIN forgotten AS f ON f.slot = t.slot AND t.recorded_at >= f.before
WHERE t.request_key IS NOT NULL AND NOT EXISTS (
  SELECT FROM ledger_idempotency AS k WHERE k.slot = t.slot AND k.transaction_id = t.id)
UNION ALL
SELECT NULL, book_id, NULL, max(id::text)::uuid, 'transactions under key ' || request_key, '1', count(*)::text
FROM ledger_transaction AS t JOIN forgotten AS f ON f.slot = t.slot AND t.recorded_at >= f.before
WHERE request_key IS NOT NULL
GROUP BY book_id, request_key HAVING count(*) > 1
""",
)
