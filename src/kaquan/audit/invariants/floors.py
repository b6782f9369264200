"""Floors, now and at every step of history.

The schema refuses to break a floor too; this audit also holds on a restored or repaired database, and looks
back. Inside one transaction a balance may dip below zero between two legs: only the last leg on an account
counts.
"""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="floors",
    proves_en="No account that has a floor, and no lot, is below zero or was so after any transaction.",
    proves_zh="任何设有下限的账户与批次，现在以及每笔交易之后，都未曾低于零。",
    reading_en="More was taken than was there; with a transaction: the balance that this transaction left behind.",
    reading_zh="支出超过余额；带交易号者为该交易之后的余额。",
    counts="accounts",
    count_sql="SELECT count(*) FROM ledger_account WHERE floor_rule <> 'none'",
    sql="""
WITH step AS NOT MATERIALIZED (
  SELECT slot, transaction_id, leg, debit_account AS account_id, debit_balance_after AS balance
  FROM ledger_entry
  UNION ALL
  SELECT slot, transaction_id, leg, credit_account, credit_balance_after FROM ledger_entry
), below AS (
  SELECT s.slot, s.transaction_id, s.leg, s.account_id, s.balance
  FROM step AS s JOIN ledger_account AS a ON a.slot = s.slot AND a.id = s.account_id
  WHERE s.balance < 0 AND a.floor_rule = 'credit'
  UNION ALL
  SELECT s.slot, s.transaction_id, s.leg, s.account_id, -s.balance
  FROM step AS s JOIN ledger_account AS a ON a.slot = s.slot AND a.id = s.account_id
  WHERE s.balance > 0 AND a.floor_rule = 'debit'
)
SELECT slot, id AS account_id, NULL::integer AS lot, NULL::uuid AS transaction_id, 'available_fen' AS what,
       '>= 0' AS expected, v.available AS actual
FROM ledger_account
CROSS JOIN LATERAL (VALUES (
  CASE floor_rule WHEN 'credit' THEN credits_posted - debits_posted - debits_pending
                  WHEN 'debit' THEN debits_posted - credits_posted - credits_pending
                  ELSE 0 END)) AS v (available)
WHERE v.available < 0
UNION ALL
SELECT slot, account_id, lot, NULL, 'available_fen', '>= 0', remaining_fen - reserved_fen
FROM ledger_lot WHERE remaining_fen < reserved_fen
UNION ALL
SELECT slot, account_id, lot, NULL, 'reserved_fen', '>= 0', reserved_fen FROM ledger_lot
WHERE reserved_fen < 0
UNION ALL
SELECT b.slot, b.account_id, NULL, b.transaction_id, 'balance_after', '>= 0', b.balance
FROM below AS b
WHERE NOT EXISTS (
  SELECT FROM ledger_entry AS e
  WHERE e.slot = b.slot AND e.transaction_id = b.transaction_id AND e.leg > b.leg
    AND b.account_id IN (e.debit_account, e.credit_account))
""",
)
