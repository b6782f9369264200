-- name: load_cards
SELECT * FROM payments_load_cards_v1(%(slot)s::smallint, %(cards)s::uuid[], %(payments)s::uuid[]);

-- name: load_payments
SELECT slot, id, book_id, kind, status, card_id, merchant_id, store_id, terminal_id, original_id, currency,
       amount_fen, bonus_fen, captured_fen, refunded_fen, reference, expires_at, occurred_at, created_at, version
FROM payments_payment WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]);

-- name: load_legs
-- What each payment has moved so far, per lot of a pocket and other account, in the order of its first legs.
WITH part AS (
  SELECT t.id AS root, t.id FROM ledger_transaction t WHERE t.slot = %(slot)s AND t.id = ANY (%(ids)s::uuid[])
  UNION ALL
  SELECT t.related_id, t.id FROM ledger_transaction t
  WHERE t.slot = %(slot)s AND t.related_id = ANY (%(ids)s::uuid[])
), side AS (
  SELECT p.root, e.transaction_id, e.leg, e.effect, e.amount_fen, e.debit_lot IS NULL AS is_refund,
         CASE WHEN e.debit_lot IS NULL THEN e.credit_account ELSE e.debit_account END AS account_id,
         coalesce(e.debit_lot, e.credit_lot) AS lot,
         CASE WHEN e.debit_lot IS NULL THEN e.debit_account ELSE e.credit_account END AS other_account
  FROM part p JOIN ledger_entry e ON e.slot = %(slot)s AND e.transaction_id = p.id
)
SELECT root, account_id, lot, other_account,
       sum(CASE effect WHEN 'reserve' THEN amount_fen WHEN 'post' THEN 0 ELSE -amount_fen END)::bigint,
       coalesce(sum(amount_fen) FILTER (WHERE effect IN ('post', 'capture') AND NOT is_refund), 0)::bigint,
       coalesce(sum(amount_fen) FILTER (WHERE is_refund), 0)::bigint
FROM side
GROUP BY root, account_id, lot, other_account
ORDER BY root, min(transaction_id::text || to_char(leg, 'FM00000'));

-- name: post_batch
SELECT payments_post_batch_v1(
  %(slot)s::smallint, %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[], %(answers)b::bytea[],
  %(legs)s::ledger_leg_v1[], %(moves)s::ledger_move_v1[], %(guards)s::ledger_guard_v1[],
  %(lot_moves)s::ledger_lot_move_v1[], %(new_lots)s::ledger_new_lot_v1[], %(accounts)s::bigint[],
  %(guarded)s::bigint[], %(versions)s::bigint[], %(status)s::smallint[], %(new)s::payments_new_v1[],
  %(changes)s::payments_change_v1[]);

-- name: find_overdue
SELECT id, book_id FROM payments_payment
WHERE slot = %(slot)s AND status = 'open' AND expires_at <= %(now)s ORDER BY expires_at LIMIT %(limit)s;

-- name: read_payment
SELECT slot, id, book_id, kind, status, card_id, merchant_id, store_id, terminal_id, original_id, currency,
       amount_fen, bonus_fen, captured_fen, refunded_fen, reference, expires_at, occurred_at, created_at, version
FROM payments_payment
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s AND kind = %(kind)s::payments_kind;

-- name: list_payments
SELECT slot, id, book_id, kind, status, card_id, merchant_id, store_id, terminal_id, original_id, currency,
       amount_fen, bonus_fen, captured_fen, refunded_fen, reference, expires_at, occurred_at, created_at, version
FROM payments_payment
WHERE book_id = %(book_id)s AND kind = %(kind)s::payments_kind
  AND (%(status)s::payments_status IS NULL OR status = %(status)s::payments_status)
  AND (%(reference)s::text IS NULL OR reference = %(reference)s)
  AND (%(merchant_id)s::uuid IS NULL OR merchant_id = %(merchant_id)s)
  AND (%(store_id)s::uuid IS NULL OR store_id = %(store_id)s)
  AND (%(terminal_id)s::uuid IS NULL OR terminal_id = %(terminal_id)s)
  AND (%(original_id)s::uuid IS NULL OR original_id = %(original_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  AND (%(before_id)s::uuid IS NULL OR id < %(before_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: list_payments_of_card
-- By the entries of the card's pockets, which are indexed by account; payments are not indexed by card.
SELECT p.slot, p.id, p.book_id, p.kind, p.status, p.card_id, p.merchant_id, p.store_id, p.terminal_id,
       p.original_id, p.currency, p.amount_fen, p.bonus_fen, p.captured_fen, p.refunded_fen, p.reference,
       p.expires_at, p.occurred_at, p.created_at, p.version
FROM payments_payment p
WHERE p.slot = %(slot)s AND p.book_id = %(book_id)s AND p.kind = %(kind)s::payments_kind AND p.card_id = %(card_id)s
  AND p.id IN (
    SELECT e.transaction_id FROM ledger_account a
    JOIN ledger_entry e ON e.slot = %(slot)s AND (e.debit_account = a.id OR e.credit_account = a.id)
    WHERE a.slot = %(slot)s AND a.owner_id = %(card_id)s)
  AND (%(status)s::payments_status IS NULL OR p.status = %(status)s::payments_status)
  AND (%(reference)s::text IS NULL OR p.reference = %(reference)s)
  AND (%(merchant_id)s::uuid IS NULL OR p.merchant_id = %(merchant_id)s)
  AND (%(store_id)s::uuid IS NULL OR p.store_id = %(store_id)s)
  AND (%(terminal_id)s::uuid IS NULL OR p.terminal_id = %(terminal_id)s)
  AND (%(original_id)s::uuid IS NULL OR p.original_id = %(original_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR p.created_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR p.created_at < %(created_before)s)
  AND (%(before_id)s::uuid IS NULL OR p.id < %(before_id)s)
ORDER BY p.id DESC LIMIT %(limit)s;
