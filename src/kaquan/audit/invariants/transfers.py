"""Transfers between cards against the ledger: what left one card came to the other, or is still between."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="transfers",
    proves_en="What a transfer took from one card, lot by lot, came to the other card with the same origin, terms and "
    "expiry, or back to the lots that it left; what is between two slots is just what is under way.",
    proves_zh="余额转移从一卡转出的每个批次，均以相同来源、条件和有效期转入另一卡，或原路退回；分片之间的过渡金额恰为在途金额。",
    reading_en="expected is what the transfer says or what left, actual what the ledger moved or what arrived.",
    reading_zh="expected 为转移记录所载或转出，actual 为账本所记或转入。",
    counts="transfers",
    count_sql="SELECT count(*) FROM cards_transfer",
    sql="""
WITH side AS (
  SELECT t.slot, t.id, t.status, t.book_id, t.amount_fen, out.fen AS gone, came.fen AS come, out.lots AS lots_gone,
         came.lots AS lots_come, back.fen AS back, back.lots AS lots_back
  FROM cards_transfer AS t
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_fen), 0) AS fen,
           array_agg(l.terms ORDER BY l.terms) AS lots
    FROM ledger_entry AS e
    JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.debit_account AND a.owner_id = t.from_card_id
    JOIN ledger_transaction AS m ON m.slot = e.slot AND m.id = e.transaction_id
    JOIN ledger_lot AS k ON k.slot = e.slot AND k.account_id = a.id AND k.lot = e.debit_lot
    CROSS JOIN LATERAL (
      SELECT (k.origin_transaction_id, k.paid_fen, k.given_fen, CASE
        -- a lot that was extended since had another end when it moved; the list is hashed once
        WHEN (k.slot, k.account_id, k.lot) IN (SELECT slot, account_id, lot FROM closing_extension) THEN coalesce((
          SELECT x.before FROM closing_extension AS x
          WHERE x.slot = k.slot AND x.account_id = k.account_id AND x.lot = k.lot AND x.made_at > m.recorded_at
          ORDER BY x.made_at LIMIT 1), k.expires_at)
        ELSE k.expires_at END, e.amount_fen)::text AS terms
    ) AS l
    WHERE e.slot = t.slot AND e.transaction_id = t.out_id
  ) AS out
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_fen), 0) AS fen,
           array_agg(l.terms ORDER BY l.terms) AS lots
    FROM ledger_entry AS e
    JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.credit_account AND a.owner_id = t.to_card_id
    JOIN ledger_transaction AS m ON m.slot = e.slot AND m.id = e.transaction_id
    JOIN ledger_lot AS k ON k.slot = e.slot AND k.account_id = a.id AND k.lot = e.credit_lot
    CROSS JOIN LATERAL (
      SELECT (k.origin_transaction_id, k.paid_fen, k.given_fen, CASE
        -- a lot that was extended since had another end when it moved; the list is hashed once
        WHEN (k.slot, k.account_id, k.lot) IN (SELECT slot, account_id, lot FROM closing_extension) THEN coalesce((
          SELECT x.before FROM closing_extension AS x
          WHERE x.slot = k.slot AND x.account_id = k.account_id AND x.lot = k.lot AND x.made_at > m.recorded_at
          ORDER BY x.made_at LIMIT 1), k.expires_at)
        ELSE k.expires_at END, e.amount_fen)::text AS terms
    ) AS l
    WHERE e.transaction_id = coalesce(t.in_id, t.out_id)
  ) AS came
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_fen), 0) AS fen,
           array_agg((l.origin_transaction_id, l.paid_fen, l.given_fen, l.expires_at, e.amount_fen)::text ORDER BY
             (l.origin_transaction_id, l.paid_fen, l.given_fen, l.expires_at, e.amount_fen)::text) AS lots
    FROM ledger_entry AS e
    JOIN ledger_account AS a ON a.slot = e.slot AND a.id = e.credit_account AND a.owner_id = t.from_card_id
    JOIN ledger_lot AS l ON l.slot = e.slot AND l.account_id = a.id AND l.lot = e.credit_lot
    WHERE e.slot = t.slot AND e.transaction_id = t.in_id
  ) AS back
)
SELECT slot, book_id, id AS transfer_id, v.what, v.expected, v.actual
FROM side
CROSS JOIN LATERAL (VALUES
  ('amount that left', amount_fen::text, gone::text),
  ('amount that arrived', CASE status WHEN 'completed' THEN amount_fen WHEN 'out' THEN come ELSE 0 END::text,
   come::text),
  ('amount that came back', CASE status WHEN 'abandoned' THEN amount_fen ELSE 0 END::text, back::text),
  ('lots that came back', CASE WHEN back = 0 THEN NULL ELSE lots_gone::text END, lots_back::text),
  ('lots that arrived', CASE WHEN come = 0 THEN NULL ELSE lots_gone::text END, lots_come::text)
) AS v (what, expected, actual)
WHERE v.expected IS DISTINCT FROM v.actual
UNION ALL
SELECT NULL, coalesce(b.book_id, u.book_id), NULL, 'between slots, in ' || coalesce(b.currency, u.currency),
       coalesce(u.fen, 0)::text, coalesce(b.fen, 0)::text
FROM (
  SELECT book_id, currency, sum(credits_posted - debits_posted) AS fen
  FROM ledger_account WHERE kind = 'transfer_clearing' GROUP BY book_id, currency
) AS b
FULL JOIN (
  SELECT t.book_id, p.currency, sum(t.amount_fen) AS fen
  FROM cards_transfer AS t
  JOIN cards_card AS c ON c.slot = t.slot AND c.id = t.from_card_id
  JOIN cards_programme AS p ON p.id = c.programme_id
  WHERE t.status = 'out' AND NOT EXISTS (SELECT FROM ledger_transaction AS l WHERE l.id = t.in_id)
  GROUP BY t.book_id, p.currency
) AS u ON u.book_id = b.book_id AND u.currency = b.currency
WHERE coalesce(b.fen, 0) <> coalesce(u.fen, 0)
""",
)
