"""Counters against history: one pass over the entries per side, added up in a hash table by account."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="counters",
    proves_en="The four counters of every account are the sums of its entries.",
    proves_zh="每个账户的四个计数都等于其分录之和。",
    reading_en="expected is the sum of the entries, actual the counter: one of the two was changed outside the ledger.",
    reading_zh="expected 为分录之和，actual 为账户计数：两者之一在账本之外被改动。",
    counts="entries",
    count_sql="SELECT count(*) FROM ledger_entry",
    sql="""
SELECT slot, account_id, v.what, coalesce(v.expected, 0) AS expected, v.actual
FROM (
  SELECT slot, id AS account_id, debits_posted, credits_posted, debits_pending, credits_pending
  FROM ledger_account
) AS a
FULL JOIN (
  SELECT slot, debit_account AS account_id,
         sum(CASE WHEN effect IN ('post', 'capture') THEN amount_fen ELSE 0 END) AS posted,
         sum(CASE effect WHEN 'post' THEN 0 WHEN 'reserve' THEN amount_fen ELSE -amount_fen END) AS pending
  FROM ledger_entry GROUP BY slot, debit_account
) AS d USING (slot, account_id)
FULL JOIN (
  SELECT slot, credit_account AS account_id,
         sum(CASE WHEN effect IN ('post', 'capture') THEN amount_fen ELSE 0 END) AS posted,
         sum(CASE effect WHEN 'post' THEN 0 WHEN 'reserve' THEN amount_fen ELSE -amount_fen END) AS pending
  FROM ledger_entry GROUP BY slot, credit_account
) AS c USING (slot, account_id)
CROSS JOIN LATERAL (VALUES
  ('debits_posted', d.posted, a.debits_posted), ('credits_posted', c.posted, a.credits_posted),
  ('debits_pending', d.pending, a.debits_pending), ('credits_pending', c.pending, a.credits_pending)
) AS v (what, expected, actual)
WHERE v.actual IS DISTINCT FROM coalesce(v.expected, 0)
""",
)
