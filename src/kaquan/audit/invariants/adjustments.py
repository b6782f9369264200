"""Adjustments against the ledger and the approvals: two persons wanted just what moved."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="adjustments",
    proves_en="Every adjustment moved its amount between its card and the issuer's account of adjustments, as one "
    "operator proposed and another approved, once; nothing else moved as an adjustment.",
    proves_zh="每笔调账均按一人提议、另一人批准的金额，在该卡与发卡方调账户之间划转一次；此外没有以调账名义发生的划转。",
    reading_en="expected is what the adjustment says, actual what the ledger moved or what was approved.",
    reading_zh="expected 为调账记录所载，actual 为账本所记或审批内容。",
    counts="adjustments",
    count_sql="SELECT count(*) FROM cards_adjustment",
    sql="""
WITH moved AS (
  SELECT j.slot, j.id,
         sum(CASE WHEN c.owner_id = j.card_id AND d.kind = 'adjustments' THEN e.amount_fen
                  WHEN d.owner_id = j.card_id AND c.kind = 'adjustments' THEN -e.amount_fen END) AS gained
  FROM cards_adjustment AS j
  JOIN ledger_transaction AS t ON t.slot = j.slot AND t.id = j.id AND t.book_id = j.book_id AND t.kind = 'adjustment'
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id AND e.effect = 'post'
  JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account AND d.currency = j.currency
  JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account AND c.currency = j.currency
  GROUP BY j.slot, j.id
), side AS (
  SELECT j.slot, j.book_id, j.card_id, j.id, m.gained,
         CASE j.direction WHEN 'credit' THEN j.amount_fen ELSE -j.amount_fen END AS to_gain,
         json_build_array(j.direction, j.amount_fen, j.pocket, j.reason)::text AS deed,
         CASE WHEN p.status = 'executed' AND p.kind = 'adjustment' AND p.decided_by <> p.proposed_by
               AND p.subject = 'card_' || replace(j.card_id::text, '-', '')
              THEN json_build_array(p.payload::jsonb -> 'direction', p.payload::jsonb -> 'amount_fen',
                                    p.payload::jsonb -> 'pocket', p.payload::jsonb -> 'reason')::text END AS approved
  FROM cards_adjustment AS j
  LEFT JOIN moved AS m ON m.slot = j.slot AND m.id = j.id
  LEFT JOIN parties_approval AS p ON p.book_id = j.book_id AND p.id = j.approval_id
)
SELECT s.slot, s.book_id, s.card_id, s.id AS transaction_id, v.what, v.expected, v.actual
FROM side AS s
CROSS JOIN LATERAL (VALUES
  ('gained by the card', s.to_gain::text, s.gained::text),
  ('approved', s.deed, s.approved)
) AS v (what, expected, actual)
WHERE v.expected IS DISTINCT FROM v.actual
UNION ALL
SELECT t.slot, t.book_id, NULL, t.id, 'adjustment', 'one of its id', NULL
FROM ledger_transaction AS t
WHERE t.kind = 'adjustment' AND NOT EXISTS (SELECT FROM cards_adjustment AS j WHERE j.slot = t.slot AND j.id = t.id)
UNION ALL
SELECT min(slot), book_id, NULL, NULL, 'adjustments of one approval', '1', count(*)::text
FROM cards_adjustment GROUP BY book_id, approval_id HAVING count(*) > 1
""",
)
