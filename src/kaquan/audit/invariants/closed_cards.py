"""Closed cards are empty, and how they were closed is what the ledger did."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="closed_cards",
    proves_en="A closed card has nothing in its pockets; its closing moved just what its quote says, or its sale was "
    "taken back.",
    proves_zh="已注销的卡账户内没有余额；注销时移动的金额与报价一致，或其售卡单已退售。",
    reading_en="expected is what the closing says or zero, actual what the ledger has.",
    reading_zh="expected 为注销记录所载（或零），actual 为账本实际所记。",
    counts="closed cards",
    count_sql="SELECT count(*) FROM cards_card WHERE status = 'closed'",
    sql="""
WITH held AS (
  SELECT c.slot, c.id, c.book_id, sum(a.credits_posted - a.debits_posted) AS posted, sum(a.debits_pending) AS pending
  FROM cards_card AS c
  JOIN ledger_account AS a ON a.slot = c.slot AND a.owner_id = c.id AND a.lotted
  WHERE c.status = 'closed' GROUP BY c.slot, c.id
), paid AS (
  SELECT o.slot, o.card_id, sum(e.amount_fen) AS fen
  FROM closing_closure AS o
  JOIN ledger_transaction AS t ON t.slot = o.slot AND t.id = o.transaction_id AND t.book_id = o.book_id
    AND t.kind = 'closing' AND t.reference = encode(o.quote_hash, 'hex')
  JOIN ledger_entry AS e ON e.slot = o.slot AND e.transaction_id = t.id
  JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.credit_account AND a.kind = 'refund_payable'
  GROUP BY o.slot, o.card_id
)
SELECT h.slot, h.book_id, h.id AS card_id, v.what, 0::text AS expected, v.actual::text AS actual
FROM held AS h
CROSS JOIN LATERAL (VALUES ('posted_fen', h.posted), ('debits_pending', h.pending)) AS v (what, actual)
WHERE v.actual <> 0
UNION ALL
SELECT c.slot, c.book_id, c.id, 'closing', 'one, or a sale taken back', NULL
FROM cards_card AS c
LEFT JOIN closing_closure AS o ON o.slot = c.slot AND o.card_id = c.id AND o.book_id = c.book_id
WHERE c.status = 'closed' AND o.card_id IS NULL
  AND NOT EXISTS (SELECT FROM sales_item AS i WHERE i.slot = c.slot AND i.card_id = c.id AND i.status = 'refunded')
UNION ALL
SELECT o.slot, o.book_id, o.card_id, 'status', 'closed', c.status
FROM closing_closure AS o LEFT JOIN cards_card AS c ON c.slot = o.slot AND c.id = o.card_id
WHERE c.status IS DISTINCT FROM 'closed'
UNION ALL
SELECT o.slot, o.book_id, o.card_id, 'refunded', o.amount_fen::text, coalesce(p.fen, 0)::text
FROM closing_closure AS o LEFT JOIN paid AS p ON p.slot = o.slot AND p.card_id = o.card_id
WHERE o.amount_fen <> coalesce(p.fen, 0)
UNION ALL
SELECT o.slot, o.book_id, o.card_id, 'quote_hash', encode(sha256(o.quote), 'hex'), encode(o.quote_hash, 'hex')
FROM closing_closure AS o WHERE sha256(o.quote) <> o.quote_hash
""",
)
