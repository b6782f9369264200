"""Purchases against what was paid for them, and their cards against the loads that they became."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="sales",
    proves_en="What a purchase says was paid is the sum of its payments; its cards add up to it; every delivered card "
    "has one load, of just what was paid and given; what was taken back left its card whole; no card is in two "
    "sales, and just the cards of sales that are not delivered are set aside.",
    proves_zh="售卡单已付金额等于各笔付款之和，卡片合计与单据一致；每张已交付的卡恰有一笔与实付、赠送金额一致的入账；"
    "退售的卡金额已全部转出；同一张卡不会在两张售卡单中；"
    "仅未交付的售卡单的卡处于预留状态。",
    reading_en="expected is what the purchase says, actual what its payments, its cards or the ledger have.",
    reading_zh="expected 为售卡单所载，actual 为付款、卡片或账本实际所记。",
    counts="purchases",
    count_sql="SELECT count(*) FROM sales_sale",
    sql="""
WITH paid AS (
  SELECT book_id, sale_id, sum(amount_fen) AS fen FROM sales_payment GROUP BY book_id, sale_id
), card AS (
  SELECT book_id, sale_id, count(*) AS cards, sum(face_fen) AS face, sum(price_fen) AS price,
         sum(fee_fen) AS fee,
         count(*) FILTER (WHERE status = 'delivered') AS delivered, count(*) FILTER (WHERE status = 'refunded') AS back
  FROM sales_item GROUP BY book_id, sale_id
), moved AS (
  SELECT i.slot, i.card_id, i.sale_id, count(*) AS loads, sum(p.amount_fen) AS paid, sum(p.bonus_fen) AS given
  FROM sales_item AS i
  JOIN sales_sale AS s ON s.book_id = i.book_id AND s.id = i.sale_id
  JOIN payments_payment AS p ON p.slot = i.slot AND p.card_id = i.card_id AND p.book_id = i.book_id AND p.kind = 'load'
    AND p.reference = CASE s.kind WHEN 'sale' THEN 'sale_' ELSE 'top_' END || replace(s.id::text, '-', '')
  GROUP BY i.slot, i.card_id, i.sale_id
), back AS (
  SELECT i.slot, i.card_id, i.sale_id, sum(e.amount_fen) AS fen
  FROM sales_item AS i
  JOIN ledger_transaction AS t ON t.slot = i.slot AND t.id = i.refund_id AND t.kind = 'sale_refund'
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id
  JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.debit_account AND a.owner_id = i.card_id
  GROUP BY i.slot, i.card_id, i.sale_id
)
SELECT NULL::smallint AS slot, s.book_id, NULL::uuid AS card_id, s.id AS sale_id, v.what, v.expected::text AS expected,
       v.actual::text AS actual
FROM sales_sale AS s
LEFT JOIN paid AS p ON p.book_id = s.book_id AND p.sale_id = s.id
LEFT JOIN card AS c ON c.book_id = s.book_id AND c.sale_id = s.id
CROSS JOIN LATERAL (VALUES
  ('paid_fen', s.paid_fen, coalesce(p.fen, 0)),
  ('card_count', s.card_count, coalesce(c.cards, 0)),
  ('face_fen', s.face_fen, coalesce(c.face, 0)),
  ('price_fen', s.price_fen, coalesce(c.price, 0)),
  ('fee_fen', s.fee_fen, coalesce(c.fee, 0)),
  ('delivered cards', CASE s.status WHEN 'delivered' THEN s.card_count ELSE coalesce(c.delivered, 0) END,
   coalesce(c.delivered, 0)),
  ('cards taken back', CASE s.status WHEN 'refunded' THEN s.card_count ELSE 0 END, coalesce(c.back, 0))
) AS v (what, expected, actual)
WHERE v.expected <> v.actual
UNION ALL
SELECT i.slot, i.book_id, i.card_id, i.sale_id, v.what, v.expected::text, v.actual::text
FROM sales_item AS i
LEFT JOIN moved AS m ON m.slot = i.slot AND m.card_id = i.card_id AND m.sale_id = i.sale_id
LEFT JOIN back AS b ON b.slot = i.slot AND b.card_id = i.card_id AND b.sale_id = i.sale_id
CROSS JOIN LATERAL (VALUES
  ('loads', CASE WHEN i.status = 'delivered' OR m.loads > 1 THEN 1 ELSE coalesce(m.loads, 0) END,
   coalesce(m.loads, 0)),
  ('loaded and paid for', CASE WHEN m.loads IS NULL THEN 0 ELSE i.price_fen END, coalesce(m.paid, 0)),
  ('given', CASE WHEN m.loads IS NULL THEN 0 ELSE i.face_fen - i.price_fen END, coalesce(m.given, 0)),
  ('taken back', CASE WHEN i.status = 'refunded' THEN coalesce(m.paid + m.given, 0) ELSE 0 END, coalesce(b.fen, 0))
) AS v (what, expected, actual)
WHERE v.expected <> v.actual
UNION ALL
SELECT i.slot, i.book_id, i.card_id, i.sale_id, 'set aside for', i.sale_id::text, c.sale_id::text
FROM sales_item AS i LEFT JOIN cards_card AS c ON c.slot = i.slot AND c.id = i.card_id
WHERE i.kind = 'sale' AND i.status IN ('reserved', 'failed') AND c.sale_id IS DISTINCT FROM i.sale_id
UNION ALL
SELECT c.slot, c.book_id, c.id, c.sale_id, 'set aside for', NULL, c.sale_id::text
FROM cards_card AS c
WHERE c.sale_id IS NOT NULL AND NOT EXISTS (
  SELECT FROM sales_item AS i WHERE i.slot = c.slot AND i.card_id = c.id AND i.sale_id = c.sale_id AND i.kind = 'sale'
    AND i.status IN ('reserved', 'failed'))
UNION ALL
SELECT slot, min(book_id), card_id, NULL, 'sales', '1', count(*)::text
FROM sales_item WHERE kind = 'sale' AND status <> 'released' GROUP BY slot, card_id HAVING count(*) > 1
""",
)
