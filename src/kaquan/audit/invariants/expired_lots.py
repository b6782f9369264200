"""What expired against the ledger: each sweep took exactly what remained, and none of it is anybody's income."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="expired_lots",
    proves_en="Every sweep of an expired lot came after its end and took exactly what remained of it; the account of "
    "expired value holds just what was swept and not given back.",
    proves_zh="每次到期转出都发生在批次到期之后，且恰好转出全部剩余金额；到期账户余额等于已转出且未返还的金额。",
    reading_en="expected is what the record of the sweep says, actual what the ledger has.",
    reading_zh="expected 为转出记录所载，actual 为账本实际所记。",
    counts="sweeps",
    count_sql="SELECT count(*) FROM closing_expired_lot",
    sql="""
SELECT s.slot, s.book_id, s.transaction_id, s.account_id, v.what, v.expected::text AS expected,
       v.actual::text AS actual
FROM closing_expired_lot AS s
LEFT JOIN ledger_transaction AS t ON t.slot = s.slot AND t.id = s.transaction_id AND t.book_id = s.book_id
  AND t.kind = 'lot_expiry'
LEFT JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id AND e.leg = 1 AND e.effect = 'post'
  AND e.debit_account = s.account_id AND e.debit_lot = s.lot AND e.credit_account = s.source_account_id
CROSS JOIN LATERAL (VALUES
  ('amount_fen', s.amount_fen, coalesce(e.amount_fen, 0)),
  ('legs', 1, (SELECT count(*) FROM ledger_entry AS l WHERE l.slot = s.slot AND l.transaction_id = s.transaction_id)),
  ('left of the lot', s.reserved_after_fen, s.remaining_after_fen)
) AS v (what, expected, actual)
WHERE v.expected <> v.actual
UNION ALL
SELECT s.slot, s.book_id, s.transaction_id, s.account_id, 'swept', 'after ' || s.expires_at, t.recorded_at::text
FROM closing_expired_lot AS s
JOIN ledger_transaction AS t ON t.slot = s.slot AND t.id = s.transaction_id
WHERE t.recorded_at < s.expires_at
UNION ALL
SELECT t.slot, t.book_id, t.id, NULL, 'record of the sweep', 'one', NULL
FROM ledger_transaction AS t
LEFT JOIN closing_expired_lot AS s ON s.slot = t.slot AND s.transaction_id = t.id
WHERE t.kind = 'lot_expiry' AND s.transaction_id IS NULL
UNION ALL
SELECT a.slot, a.book_id, NULL, a.id, 'expired value', coalesce(s.fen, 0)::text,
       (a.credits_posted - a.debits_posted)::text
FROM ledger_account AS a
LEFT JOIN (
  SELECT slot, source_account_id, sum(amount_fen - returned_fen) AS fen
  FROM closing_expired_lot GROUP BY slot, source_account_id
) AS s ON s.slot = a.slot AND s.source_account_id = a.id
WHERE a.kind = 'expired_value' AND a.credits_posted - a.debits_posted <> coalesce(s.fen, 0)
""",
)
