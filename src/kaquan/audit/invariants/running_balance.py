"""The balances written on entries, checked without their order.

Entries of one account are posted one after the other under its lock, but by processes whose clocks, and so
whose ids, may be a few milliseconds apart: the order of ids is not the order of posting, and sorting by it
would raise false alarms. What holds in any order: each step leads from a balance (after less what it moved)
to a balance (after); the steps form one way from 0 to the balance of today, so every balance is left exactly
as often as it is reached, when the start is counted as reached and today as left. Both sides are compared as
sums of 64-bit hashes per account, in one pass without a sort; only accounts that differ are looked at in
detail.

Pockets (accounts with lots) state a balance on every leg. Another account with a floor states one only where
a posting was guarded by its version: it is checked when all its legs do. An account without a floor never
states one. The check never alarms falsely; what it cannot see is a closed round trip of steps that is missing
as a whole, which the audit counters does not allow to hide a fen.
"""

from kaquan.audit.types import Audit

_STEPS = """
    SELECT slot, transaction_id, leg, debit_account AS account_id, debit_balance_after AS after_fen,
           CASE WHEN effect IN ('post', 'capture') THEN -amount_fen ELSE 0 END AS credit_fen
    FROM ledger_entry
    UNION ALL
    SELECT slot, transaction_id, leg, credit_account, credit_balance_after,
           CASE WHEN effect IN ('post', 'capture') THEN amount_fen ELSE 0 END
    FROM ledger_entry
"""

AUDIT = Audit(
    name="running_balance",
    proves_en="The balances on the entries of a card pocket form one way from zero to its balance of today.",
    proves_zh="卡账户各分录所载余额首尾相接，从零走到当前余额。",
    reading_en="expected: how often this balance was reached; actual: how often it was left; the transaction "
    "is one that reached or left it. Or a balance is missing where it must be, or stated where none may be.",
    reading_zh="expected 为到达该余额的次数，actual 为离开的次数，所列交易为其中之一；或应有余额而缺失，"
    "或不应有而出现。",
    counts="entries",
    count_sql="SELECT count(*) FROM ledger_entry",
    sql=f"""
WITH side AS (
  SELECT slot, account_id, count(*) AS legs, count(after_fen) AS stated,
         sum(hashint8extended(after_fen, 0)) AS reached,
         sum(hashint8extended(after_fen - credit_fen, 0)) AS departed
  FROM ({_STEPS}) AS step GROUP BY slot, account_id
), suspect AS MATERIALIZED (
  SELECT a.slot, a.id AS account_id, a.credits_posted - a.debits_posted AS today,
         CASE WHEN a.lotted THEN 'stated' WHEN a.floor_rule = 'none' THEN 'unstated' ELSE 'either' END AS rule
  FROM ledger_account AS a LEFT JOIN side AS s ON s.slot = a.slot AND s.account_id = a.id
  WHERE CASE
    WHEN a.lotted AND s.stated < s.legs THEN true
    WHEN NOT a.lotted AND a.floor_rule = 'none' THEN s.stated > 0
    WHEN NOT a.lotted AND (s.stated < s.legs OR s.legs IS NULL) THEN false
    ELSE coalesce(s.reached, 0) + hashint8extended(0, 0)
         <> coalesce(s.departed, 0) + hashint8extended(a.credits_posted - a.debits_posted, 0)
    END
), step AS MATERIALIZED (
  SELECT slot, account_id, rule, transaction_id, leg, after_fen, after_fen - credit_fen AS before_fen
  FROM ({_STEPS}) AS s JOIN suspect AS a USING (slot, account_id)
), visit AS (
  SELECT slot, account_id, transaction_id, after_fen AS balance, 1 AS reached, 0 AS departed FROM step
  WHERE rule <> 'unstated'
  UNION ALL
  SELECT slot, account_id, transaction_id, before_fen, 0, 1 FROM step WHERE rule <> 'unstated'
  UNION ALL
  SELECT slot, account_id, NULL, 0, 1, 0 FROM suspect WHERE rule <> 'unstated'
  UNION ALL
  SELECT slot, account_id, NULL, today, 0, 1 FROM suspect WHERE rule <> 'unstated'
)
SELECT slot, account_id, max(transaction_id::text)::uuid AS transaction_id, 'balance ' || balance AS what,
       sum(reached)::text AS expected, sum(departed)::text AS actual
FROM visit WHERE balance IS NOT NULL
GROUP BY slot, account_id, balance HAVING sum(reached) <> sum(departed)
UNION ALL
SELECT slot, account_id, transaction_id, 'balance after leg ' || leg,
       CASE rule WHEN 'stated' THEN 'a balance' ELSE 'none' END, after_fen::text
FROM step WHERE rule <> 'either' AND (after_fen IS NULL) = (rule = 'stated')
""",
)
