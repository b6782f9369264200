"""Fees against the ledger: what a card paid is what its fee says."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="fees",
    proves_en="Every fee moved its amount from its card to the issuer's account of fees; nothing else came there.",
    proves_zh="每笔手续费均从该卡向发卡方手续费账户划转一次且金额一致；该账户没有其他来源。",
    reading_en="expected is what the fee says, actual what the ledger moved.",
    reading_zh="expected 为手续费记录所载，actual 为账本所记。",
    counts="fees",
    count_sql="SELECT count(*) FROM cards_fee",
    sql="""
SELECT f.slot, f.book_id, f.card_id, f.id AS transaction_id, 'paid by the card' AS what,
       f.amount_fen::text AS expected, m.paid::text AS actual
FROM cards_fee AS f
LEFT JOIN (
  SELECT t.slot, t.id, t.book_id, d.owner_id, d.currency, sum(e.amount_fen) AS paid
  FROM ledger_transaction AS t
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id AND e.effect = 'post'
  JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
  JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account AND c.kind = 'issuer_fees'
  WHERE t.kind = 'fee'
  GROUP BY t.slot, t.id, t.book_id, d.owner_id, d.currency
) AS m ON m.slot = f.slot AND m.id = f.id AND m.book_id = f.book_id AND m.owner_id = f.card_id
  AND m.currency = f.currency
WHERE m.paid IS DISTINCT FROM f.amount_fen
UNION ALL
SELECT t.slot, t.book_id, NULL, t.id, 'fee', 'one of its id', NULL
FROM ledger_transaction AS t
WHERE t.kind = 'fee' AND NOT EXISTS (SELECT FROM cards_fee AS f WHERE f.slot = t.slot AND f.id = t.id)
UNION ALL
SELECT a.slot, a.book_id, NULL, NULL, 'account of fees, in ' || a.currency, coalesce(f.fen, 0)::text,
       (a.credits_posted - a.debits_posted)::text
FROM ledger_account AS a
LEFT JOIN (
  SELECT f.slot, f.book_id, p.issuer_id, f.currency, sum(f.amount_fen) AS fen
  FROM cards_fee AS f
  JOIN cards_card AS c ON c.slot = f.slot AND c.id = f.card_id
  JOIN cards_programme AS p ON p.book_id = c.book_id AND p.id = c.programme_id
  GROUP BY f.slot, f.book_id, p.issuer_id, f.currency
) AS f ON f.slot = a.slot AND f.book_id = a.book_id AND f.issuer_id = a.owner_id AND f.currency = a.currency
WHERE a.kind = 'issuer_fees' AND coalesce(f.fen, 0) <> a.credits_posted - a.debits_posted
""",
)
