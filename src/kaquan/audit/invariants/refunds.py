"""Refunds and captures against what they refund and capture.

Which part of a transaction concerns the holder is read from the legs that touch the card's own accounts, so
further legs (fees, subsidies) do not disturb it.
"""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="refunds",
    proves_en="No refund exceeds what it refunds; what a payment says was captured and refunded is what the "
    "ledger moved.",
    proves_zh="退款从不超过原交易；付款记录的请款与退款金额和账本实际移动的金额一致。",
    reading_en="expected is what the ledger moved or the most allowed, actual what the payment says.",
    reading_zh="expected 为账本实际移动金额或允许的上限，actual 为付款记录所载。",
    counts="payments",
    count_sql="SELECT count(*) FROM payments_payment",
    sql="""
WITH moved AS (
  SELECT p.slot, p.id,
         sum(CASE WHEN e.effect = 'capture' AND d.owner_id = p.card_id THEN e.amount_fen
                  ELSE 0 END) AS captured,
         sum(CASE WHEN e.effect <> 'post' OR c.owner_id = d.owner_id THEN 0
                  WHEN c.kind = 'points_expense' THEN 0  -- kept back for points that were spent
                  WHEN c.owner_id = p.card_id THEN e.amount_fen
                  WHEN d.owner_id = p.card_id THEN -e.amount_fen ELSE 0 END) AS refunded
  FROM ledger_transaction AS t
  JOIN payments_payment AS p ON p.slot = t.slot AND p.id = t.related_id AND p.kind <> 'load'  -- whose lots may end
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id
  LEFT JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
  LEFT JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account
  GROUP BY p.slot, p.id
), refund AS (
  SELECT slot, original_id AS id, sum(amount_fen) AS fen FROM payments_payment
  WHERE kind = 'refund' GROUP BY slot, original_id
)
SELECT p.slot, p.book_id, p.id AS payment_id, v.what, v.expected::text AS expected, v.actual
FROM payments_payment AS p
LEFT JOIN moved AS m ON m.slot = p.slot AND m.id = p.id
LEFT JOIN refund AS r ON r.slot = p.slot AND r.id = p.id
CROSS JOIN LATERAL (VALUES
  ('captured_fen', coalesce(m.captured, 0), p.captured_fen, p.kind = 'authorization'),
  ('captured_fen', p.amount_fen, p.captured_fen, p.kind <> 'authorization'),
  ('refunded_fen', coalesce(m.refunded, 0), p.refunded_fen, true),
  ('sum of its refunds', p.refunded_fen, coalesce(r.fen, 0), true)
) AS v (what, expected, actual, applies)
WHERE (p.captured_fen = CASE p.kind WHEN 'authorization' THEN coalesce(m.captured, 0)
                                   ELSE p.amount_fen END
       AND p.refunded_fen = coalesce(m.refunded, 0) AND p.refunded_fen = coalesce(r.fen, 0)) IS NOT TRUE
  AND v.applies AND v.expected <> v.actual
UNION ALL
SELECT slot, book_id, id, 'refunded_fen', '<= ' || captured_fen, refunded_fen
FROM payments_payment WHERE refunded_fen > captured_fen
UNION ALL
SELECT r.slot, r.book_id, r.id, 'payment that it refunds', 'one of the same book, card and currency', NULL
FROM payments_payment AS r
LEFT JOIN payments_payment AS o ON o.slot = r.slot AND o.id = r.original_id AND o.book_id = r.book_id
  AND o.card_id = r.card_id AND o.currency = r.currency
WHERE r.kind = 'refund' AND o.id IS NULL
""",
)
