"""Pending amounts in the ledger against authorizations that are open: three ways to the same sum."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="pending",
    proves_en="What the ledger reserves is what open authorizations have left: for each of them, each card, "
    "and in all.",
    proves_zh="账本冻结金额等于未完成预授权的剩余金额：逐笔、逐卡、合计均一致。",
    reading_en="expected is what open authorizations have left, actual what the ledger holds back for them.",
    reading_zh="expected 为未完成预授权的剩余金额，actual 为账本实际冻结金额。",
    counts="authorizations",
    count_sql="SELECT count(*) FROM payments_payment WHERE kind = 'authorization'",
    sql="""
WITH held AS (
  SELECT t.slot, coalesce(t.related_id, t.id) AS payment_id,
         sum(CASE e.effect WHEN 'reserve' THEN e.amount_fen ELSE -e.amount_fen END) AS fen
  FROM ledger_entry AS e
  JOIN ledger_transaction AS t ON t.slot = e.slot AND t.id = e.transaction_id
  JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.debit_account
  -- what funders set aside is the audit pricing's, what points pay that of points_tenders
  WHERE e.effect <> 'post' AND e.debit_lot IS NOT NULL AND a.currency <> 'PTS'
  GROUP BY t.slot, coalesce(t.related_id, t.id)
), authorization_left AS (
  SELECT slot, book_id, currency, card_id, id AS payment_id,
         CASE status WHEN 'open' THEN amount_fen - captured_fen ELSE 0 END AS fen
  FROM payments_payment WHERE kind = 'authorization' OR status = 'open'
), on_card AS (
  SELECT slot, book_id, currency, owner_id AS card_id,
         coalesce(sum(debits_pending) FILTER (WHERE kind NOT IN ('discount_expense', 'points_expense')), 0) AS debits,
         sum(credits_pending)
           - coalesce(sum(debits_pending) FILTER (WHERE kind IN ('discount_expense', 'points_expense')), 0) AS credits
  FROM ledger_account WHERE (debits_pending <> 0 OR credits_pending <> 0) AND currency <> 'PTS'
  GROUP BY slot, book_id, currency, owner_id
), card_left AS (
  SELECT slot, book_id, currency, card_id, sum(fen) AS fen FROM authorization_left
  GROUP BY slot, book_id, currency, card_id
), total AS (
  SELECT slot, book_id, currency, sum(debits) AS debits, sum(credits) AS credits FROM on_card
  GROUP BY slot, book_id, currency
), total_left AS (
  SELECT slot, book_id, currency, sum(fen) AS fen FROM card_left GROUP BY slot, book_id, currency
)
SELECT slot, p.book_id, p.currency, p.card_id, payment_id, 'reserved_fen' AS what,
       coalesce(p.fen, 0) AS expected, coalesce(h.fen, 0) AS actual
FROM held AS h FULL JOIN authorization_left AS p USING (slot, payment_id)
WHERE coalesce(p.fen, 0) <> coalesce(h.fen, 0)
UNION ALL
SELECT slot, book_id, currency, card_id, NULL, 'debits_pending of the card', coalesce(p.fen, 0),
  coalesce(h.debits, 0)
FROM on_card AS h FULL JOIN card_left AS p USING (slot, book_id, currency, card_id)
WHERE coalesce(p.fen, 0) <> coalesce(h.debits, 0)
UNION ALL
SELECT slot, book_id, currency, NULL, NULL, v.what, coalesce(p.fen, 0), v.actual
FROM total AS h FULL JOIN total_left AS p USING (slot, book_id, currency)
CROSS JOIN LATERAL (VALUES ('debits_pending in all', coalesce(h.debits, 0)),
                           ('credits_pending in all', coalesce(h.credits, 0))) AS v (what, actual)
WHERE coalesce(p.fen, 0) <> v.actual
""",
)
