"""What came back to replaced cards: it has a way to its holder, and what was released is what the ledger did."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="left_behind",
    proves_en="No value lies on a replaced card that no living card follows; every release moved just what it says, "
    "with another person's approval that was executed.",
    proves_zh="换卡链末端已注销的旧卡上没有滞留余额；每次余额退还的金额与账本一致，且有已执行的他人审批。",
    reading_en="free balance: release it to its holder (POST /v1/cards/{id}/release); else expected is what the "
    "release says, actual what the ledger or the approval has.",
    reading_zh="free balance：请向持卡人退还（POST /v1/cards/{id}/release）；其余 expected 为退还记录所载，"
    "actual 为账本或审批所记。",
    counts="releases",
    count_sql="SELECT count(*) FROM closing_release",
    sql="""
WITH RECURSIVE held AS (
  SELECT c.slot, c.book_id, c.id, c.replaced_by_id, sum(a.credits_posted - a.debits_posted - a.debits_pending) AS fen
  FROM cards_card AS c
  JOIN ledger_account AS a ON a.slot = c.slot AND a.owner_id = c.id AND a.lotted
  WHERE c.status = 'replaced'
  GROUP BY c.slot, c.book_id, c.id, c.replaced_by_id
  HAVING sum(a.credits_posted - a.debits_posted - a.debits_pending) > 0
), follows AS (
  SELECT h.id, h.replaced_by_id AS next_id FROM held AS h
  UNION
  SELECT f.id, c.replaced_by_id FROM follows AS f JOIN cards_card AS c ON c.id = f.next_id AND c.status = 'replaced'
), moved AS (
  SELECT r.slot, r.transaction_id,
         sum(e.amount_fen) FILTER (WHERE a.kind = 'refund_payable') AS owed,
         sum(e.amount_fen) FILTER (WHERE a.kind = 'bonus_expense') AS given
  FROM closing_release AS r
  JOIN ledger_transaction AS t ON t.slot = r.slot AND t.id = r.transaction_id AND t.book_id = r.book_id
    AND t.kind = 'release'
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id AND e.effect = 'post'
  JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account AND d.owner_id = r.card_id
  JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.credit_account
  GROUP BY r.slot, r.transaction_id
)
SELECT h.slot, h.book_id, h.id AS card_id, 'free balance' AS what, '0' AS expected, h.fen::text AS actual
FROM held AS h
JOIN follows AS f ON f.id = h.id
JOIN cards_card AS l ON l.id = f.next_id AND l.status = 'closed'
UNION ALL
SELECT r.slot, r.book_id, r.card_id, v.what, v.expected::text, v.actual::text
FROM closing_release AS r
LEFT JOIN moved AS m ON m.slot = r.slot AND m.transaction_id = r.transaction_id
CROSS JOIN LATERAL (VALUES
  ('owed to the holder', r.amount_fen, coalesce(m.owed, 0)), ('given', r.given_fen, coalesce(m.given, 0))
) AS v (what, expected, actual)
WHERE v.expected <> v.actual
UNION ALL
SELECT r.slot, r.book_id, r.card_id, 'approval', 'executed', p.status
FROM closing_release AS r
LEFT JOIN parties_approval AS p ON p.book_id = r.book_id AND p.id = r.approval_id AND p.kind = 'value_release'
WHERE p.status IS DISTINCT FROM 'executed'
UNION ALL
SELECT t.slot, t.book_id, NULL, 'release', 'one that it belongs to', t.id::text
FROM ledger_transaction AS t
LEFT JOIN closing_release AS r ON r.slot = t.slot AND r.transaction_id = t.id
WHERE t.kind = 'release' AND r.transaction_id IS NULL
""",
)
