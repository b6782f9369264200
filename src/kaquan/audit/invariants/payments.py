"""Payments as clients see them against the ledger transactions that moved their value.

What a transaction moved for the holder is read from the legs that touch the card's own accounts, so further
legs (fees, subsidies) do not disturb it.
"""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="payments",
    proves_en="Every payment is a ledger transaction of its book that moved just its amount on its card, and back.",
    proves_zh="每笔付款都对应同一账套中的一笔账本交易，且卡上移动的金额与之相符；反之亦然。",
    reading_en="expected is what the payment says, actual what the ledger did.",
    reading_zh="expected 为付款记录所载，actual 为账本实际所记。",
    counts="payments",
    count_sql="SELECT count(*) FROM payments_payment",
    sql="""
WITH moved AS (
  SELECT p.slot, p.id, p.book_id, max(t.book_id) AS ledger_book,
         CASE p.kind WHEN 'purchase' THEN -p.amount_fen WHEN 'authorization' THEN 0
                     WHEN 'load' THEN p.amount_fen + p.bonus_fen ELSE p.amount_fen END AS to_gain,
         CASE p.kind WHEN 'authorization' THEN p.amount_fen ELSE 0 END AS to_reserve,
         sum(CASE WHEN e.effect <> 'post' OR c.owner_id = d.owner_id THEN 0
                  WHEN c.kind = 'points_expense' THEN 0  -- kept back for points that were spent
                  WHEN c.owner_id = p.card_id AND c.currency = p.currency THEN e.amount_fen
                  WHEN d.owner_id = p.card_id AND d.currency = p.currency THEN -e.amount_fen
                  ELSE 0 END) AS gained,
         sum(CASE WHEN e.effect = 'reserve' AND d.owner_id = p.card_id AND d.currency = p.currency
                  THEN e.amount_fen ELSE 0 END) AS reserved
  FROM payments_payment AS p
  LEFT JOIN ledger_transaction AS t ON t.slot = p.slot AND t.id = p.id
  LEFT JOIN ledger_entry AS e ON e.slot = p.slot AND e.transaction_id = p.id
  LEFT JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
  LEFT JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account
  GROUP BY p.slot, p.id
)
SELECT m.slot, m.book_id, m.id AS payment_id, v.what, v.expected, v.actual
FROM moved AS m
CROSS JOIN LATERAL (VALUES
  ('book of its transaction', m.book_id::text, m.ledger_book::text),
  ('gained by the card', m.to_gain::text, m.gained::text),
  ('reserved on the card', m.to_reserve::text, m.reserved::text)
) AS v (what, expected, actual)
WHERE (m.book_id = m.ledger_book AND m.to_gain = m.gained AND m.to_reserve = m.reserved) IS NOT TRUE
  AND v.expected IS DISTINCT FROM v.actual
UNION ALL
SELECT t.slot, t.book_id, t.id, 'payment', 'one of its id', NULL
FROM ledger_transaction AS t
WHERE t.kind IN ('purchase', 'authorization', 'refund', 'load')
  AND NOT EXISTS (SELECT FROM payments_payment AS p WHERE p.slot = t.slot AND p.id = t.id)
""",
)
