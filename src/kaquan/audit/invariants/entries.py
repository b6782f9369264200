"""Entries and transactions belong together, and an entry stays within one book and one currency."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="entries",
    proves_en="Every entry has its transaction, every transaction an entry; an entry stays in one book and currency.",
    proves_zh="每条分录都属于一笔交易，每笔交易至少有一条分录；分录不跨账套、不跨币种。",
    reading_en="A row was removed or added outside the ledger, or points to an account where it must not.",
    reading_zh="有记录在账本之外被增删，或指向了不应指向的账户。",
    counts="entries",
    count_sql="SELECT count(*) FROM ledger_entry",
    sql="""
SELECT e.slot, e.transaction_id, e.leg, v.what, v.expected, v.actual
FROM ledger_entry AS e
LEFT JOIN ledger_transaction AS t ON t.slot = e.slot AND t.id = e.transaction_id
LEFT JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
LEFT JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account
CROSS JOIN LATERAL (VALUES
  ('transaction', e.transaction_id::text, t.id::text),
  ('debit account', e.debit_account::text, d.id::text),
  ('credit account', e.credit_account::text, c.id::text),
  ('book of the debit account', t.book_id::text,
   CASE WHEN t.id IS NULL OR d.id IS NULL THEN t.book_id ELSE d.book_id END::text),
  ('book of the credit account', t.book_id::text,
   CASE WHEN t.id IS NULL OR c.id IS NULL THEN t.book_id ELSE c.book_id END::text),
  ('currency of the credit account', d.currency,
   CASE WHEN d.id IS NULL OR c.id IS NULL THEN d.currency ELSE c.currency END)
) AS v (what, expected, actual)
WHERE (t.book_id = d.book_id AND t.book_id = c.book_id AND d.currency = c.currency) IS NOT TRUE
  AND v.expected IS DISTINCT FROM v.actual
UNION ALL
SELECT t.slot, t.id, NULL, 'entries', 'at least 1', '0'
FROM ledger_transaction AS t
WHERE NOT EXISTS (SELECT FROM ledger_entry AS e WHERE e.slot = t.slot AND e.transaction_id = t.id)
""",
)
