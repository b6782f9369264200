"""Lots against history, and pockets against their lots."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="lots",
    proves_en="What remains and is reserved in every lot is the sum of its entries; a pocket holds just what "
    "its lots do.",
    proves_zh="每个批次余额的剩余与冻结金额等于其分录之和；账户余额等于其各批次之和。",
    reading_en="With a lot: expected is the sum of its entries. Without: expected is the sum of the pocket's lots.",
    reading_zh="含批次号：expected 为该批次分录之和；不含：expected 为该账户各批次之和。",
    counts="lots",
    count_sql="SELECT count(*) FROM ledger_lot",
    sql="""
SELECT slot, account_id, lot, v.what, v.expected, v.actual
FROM (SELECT slot, account_id, lot, remaining_fen, reserved_fen FROM ledger_lot) AS o
FULL JOIN (
  SELECT slot, debit_account AS account_id, debit_lot AS lot,
         sum(CASE WHEN effect IN ('post', 'capture') THEN amount_fen ELSE 0 END) AS posted,
         sum(CASE effect WHEN 'post' THEN 0 WHEN 'reserve' THEN amount_fen ELSE -amount_fen END) AS pending
  FROM ledger_entry WHERE debit_lot IS NOT NULL GROUP BY slot, debit_account, debit_lot
) AS d USING (slot, account_id, lot)
FULL JOIN (
  SELECT slot, credit_account AS account_id, credit_lot AS lot,
         sum(CASE WHEN effect IN ('post', 'capture') THEN amount_fen ELSE 0 END) AS posted
  FROM ledger_entry WHERE credit_lot IS NOT NULL GROUP BY slot, credit_account, credit_lot
) AS c USING (slot, account_id, lot)
CROSS JOIN LATERAL (VALUES
  ('remaining_fen', coalesce(c.posted, 0) - coalesce(d.posted, 0), o.remaining_fen),
  ('reserved_fen', coalesce(d.pending, 0), o.reserved_fen)
) AS v (what, expected, actual)
WHERE v.actual IS DISTINCT FROM v.expected
UNION ALL
SELECT a.slot, a.id, NULL, v.what, coalesce(v.expected, 0), v.actual
FROM ledger_account AS a
LEFT JOIN (
  SELECT slot, account_id, sum(remaining_fen) AS remaining, sum(reserved_fen) AS reserved
  FROM ledger_lot GROUP BY slot, account_id
) AS o ON o.slot = a.slot AND o.account_id = a.id
CROSS JOIN LATERAL (VALUES ('posted_fen', o.remaining, a.credits_posted - a.debits_posted),
                           ('debits_pending', o.reserved, a.debits_pending)) AS v (what, expected, actual)
WHERE a.lotted AND v.actual <> coalesce(v.expected, 0)
""",
)
