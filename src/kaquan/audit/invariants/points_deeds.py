"""Adjustments, exchanges and benefits in points against the ledger and the approvals."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="points_deeds",
    proves_en="Every adjustment, exchange and benefit moved just its points between the member and who is on the other "
    "side, every adjustment as two operators wanted it, and every exchange moved the partner's units too.",
    proves_zh="每笔积分调整、兑换、权益均按所载数额在会员与对方之间划转；调整均经两人同意，兑换同时在伙伴方账户记账。",
    reading_en="expected is what the deed says, actual what the ledger moved or what was approved.",
    reading_zh="expected 为记录所载，actual 为账本所记或审批内容。",
    counts="deeds",
    count_sql="SELECT count(*) FROM points_deed",
    sql="""
WITH moved AS (
  SELECT t.slot, t.id,
         coalesce(sum(CASE WHEN e.currency = 'PTS' AND e.to_member THEN e.amount_fen END), 0)
           - coalesce(sum(CASE WHEN e.currency = 'PTS' AND e.from_member THEN e.amount_fen END), 0) AS gained,
         coalesce(sum(CASE WHEN e.currency <> 'PTS' THEN e.amount_fen END), 0) AS units
  FROM points_deed AS t
  JOIN (
    SELECT e.slot, e.transaction_id, e.amount_fen, d.currency, d.owner_id AS giver, c.owner_id AS taker,
           c.kind IN ('points', 'points_debt') AS to_member, d.kind IN ('points', 'points_debt') AS from_member
    FROM ledger_entry AS e
    JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
    JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account
    WHERE e.effect = 'post'
  ) AS e ON e.slot = t.slot AND e.transaction_id = t.id
  GROUP BY t.slot, t.id
)
SELECT t.slot, t.book_id, t.id AS transaction_id, v.what, v.expected, v.actual
FROM points_deed AS t
LEFT JOIN moved AS m ON m.slot = t.slot AND m.id = t.id
LEFT JOIN parties_approval AS p ON p.book_id = t.book_id AND p.id = t.approval_id AND p.status = 'executed'
  AND p.kind = 'points_adjustment' AND p.decided_by <> p.proposed_by
CROSS JOIN LATERAL (VALUES
  ('points', t.points::text, coalesce(m.gained, 0)::text),
  ('units', coalesce(t.units, 0)::text, coalesce(m.units, 0)::text),
  ('approved', CASE t.kind WHEN 'adjustment' THEN t.points::text END,
   CASE t.kind WHEN 'adjustment' THEN p.payload::jsonb ->> 'points' END)
) AS v (what, expected, actual)
WHERE v.expected IS DISTINCT FROM v.actual
""",
)
