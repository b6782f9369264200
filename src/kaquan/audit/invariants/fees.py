"""Fees against the ledger: what a card paid is what its fee says."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="fees",
    proves_en="Every fee of a card moved its amount to the issuer's account of fees; a load came with just the fee of "
    "its terms or of its sale; nothing else came there, and nothing left it but what went back with a sale.",
    proves_zh="每笔卡内手续费均向发卡方手续费账户划转一次且金额一致；充值所附手续费与条款或售卡单一致；"
    "该账户没有其他来源，除退售退还外没有支出。",
    reading_en="expected is what the fee says, actual what the ledger moved.",
    reading_zh="expected 为手续费记录所载，actual 为账本所记。",
    counts="fees",
    count_sql="SELECT count(*) FROM cards_fee",
    sql="""
WITH beside AS (
  SELECT p.slot, p.book_id, p.card_id, p.id, p.currency, sum(e.amount_fen) AS fee_fen
  FROM ledger_account AS c
  JOIN ledger_entry AS e ON e.slot = c.slot AND e.credit_account = c.id AND e.effect = 'post'
  JOIN payments_payment AS p ON p.slot = e.slot AND p.id = e.transaction_id AND p.kind = 'load'
  WHERE c.kind = 'issuer_fees'
  GROUP BY p.slot, p.id
)
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
SELECT p.slot, p.book_id, p.card_id, p.id, 'paid beside the load', v.due::text, coalesce(b.fee_fen, 0)::text
FROM payments_payment AS p
JOIN cards_card AS c ON c.slot = p.slot AND c.id = p.card_id
JOIN cards_programme_terms AS t ON t.programme_id = c.programme_id AND t.version = c.terms_version
LEFT JOIN sales_item AS i ON i.slot = p.slot AND i.card_id = p.card_id AND i.load_id = p.id
LEFT JOIN beside AS b ON b.slot = p.slot AND b.id = p.id
CROSS JOIN LATERAL (
  SELECT coalesce(i.fee_fen, (t.terms -> 'fees' ->> 'load_fen')::bigint, 0) AS due,
         coalesce((t.terms -> 'fees' ->> 'issue_fen')::bigint, 0) AS of_sale
) AS v
-- a load of a sale whose card is not marked yet is known by the other fee alone
WHERE p.kind = 'load' AND coalesce(b.fee_fen, 0) <> v.due AND (i.card_id IS NOT NULL OR b.fee_fen <> v.of_sale)
UNION ALL
SELECT a.slot, a.book_id, NULL, NULL, 'account of fees, in ' || a.currency, coalesce(f.fen, 0)::text,
       (a.credits_posted - a.debits_posted)::text
FROM ledger_account AS a
LEFT JOIN (
  SELECT f.slot, f.book_id, p.issuer_id, f.currency, sum(f.amount_fen) AS fen
  FROM (
    SELECT slot, book_id, card_id, currency, amount_fen FROM cards_fee
    UNION ALL
    SELECT slot, book_id, card_id, currency, fee_fen FROM beside
    UNION ALL
    SELECT i.slot, i.book_id, i.card_id, s.currency, -i.fee_fen
    FROM sales_item AS i JOIN sales_sale AS s ON s.book_id = i.book_id AND s.id = i.sale_id
    WHERE i.refund_id IS NOT NULL AND i.fee_fen > 0
  ) AS f
  JOIN cards_card AS c ON c.slot = f.slot AND c.id = f.card_id
  JOIN cards_programme AS p ON p.book_id = c.book_id AND p.id = c.programme_id
  GROUP BY f.slot, f.book_id, p.issuer_id, f.currency
) AS f ON f.slot = a.slot AND f.book_id = a.book_id AND f.issuer_id = a.owner_id AND f.currency = a.currency
WHERE a.kind = 'issuer_fees' AND coalesce(f.fen, 0) <> a.credits_posted - a.debits_posted
""",
)
