"""Payouts against the ledger: what is owed came from a closing or a release, and what was paid is not owed any more."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="payouts",
    proves_en="Every payout has the transaction of its closing or release, and a paid one the transaction that paid "
    "just its amount; none of these is paid out twice; nobody confirmed a payout of their own.",
    proves_zh="每笔打款都对应其注销或余额退还交易；已付打款另有金额一致的付款交易；同一交易不会重复打款；制单与复核不为同一人。",
    reading_en="expected is what the payout says, actual what the ledger has.",
    reading_zh="expected 为打款记录所载，actual 为账本实际所记。",
    counts="payouts",
    count_sql="SELECT count(*) FROM closing_payout",
    sql="""
WITH moved AS (
  SELECT p.slot, p.id,
         sum(e.amount_fen) FILTER (WHERE t.id = p.transaction_id AND t.kind IN ('closing', 'release')
                                     AND e.credit_account = p.payable_account_id) AS owed,
         sum(e.amount_fen) FILTER (WHERE t.id = p.paid_transaction_id AND t.kind = 'payout'
                                     AND t.related_id = p.transaction_id
                                     AND e.debit_account = p.payable_account_id) AS paid
  FROM closing_payout AS p
  JOIN ledger_transaction AS t ON t.slot = p.slot AND t.id IN (p.transaction_id, p.paid_transaction_id)
    AND t.book_id = p.book_id
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id
  GROUP BY p.slot, p.id
)
SELECT p.slot, p.book_id, p.card_id, v.what, v.expected::text AS expected, v.actual::text AS actual
FROM closing_payout AS p
LEFT JOIN moved AS m ON m.slot = p.slot AND m.id = p.id
CROSS JOIN LATERAL (VALUES
  ('owed by its closing', p.amount_fen, coalesce(m.owed, 0)),
  ('paid', CASE p.status WHEN 'paid' THEN p.amount_fen ELSE 0 END, coalesce(m.paid, 0))
) AS v (what, expected, actual)
WHERE v.expected <> v.actual
UNION ALL
SELECT slot, min(book_id), card_id, 'payouts that are paid or pending', '1', count(*)::text
FROM closing_payout WHERE status <> 'failed' GROUP BY slot, transaction_id, card_id HAVING count(*) > 1
UNION ALL
SELECT slot, book_id, card_id, 'checked_by', 'somebody else', checked_by::text
FROM closing_payout WHERE checked_by = made_by
UNION ALL
SELECT t.slot, t.book_id, NULL, 'payout', 'one that it paid', t.id::text
FROM ledger_transaction AS t
LEFT JOIN closing_payout AS p ON p.slot = t.slot AND p.paid_transaction_id = t.id
WHERE t.kind = 'payout' AND p.id IS NULL
""",
)
