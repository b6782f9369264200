-- name: terms
SELECT remind_days, dormant_months, refund_values FROM closing_terms
WHERE book_id = %(book_id)s AND programme_id = %(programme_id)s;

-- name: lock_terms
SELECT remind_days, dormant_months, refund_values FROM closing_terms
WHERE book_id = %(book_id)s AND programme_id = %(programme_id)s FOR UPDATE;

-- name: set_terms
INSERT INTO closing_terms (book_id, programme_id, remind_days, dormant_months, refund_values, changed_at)
VALUES (%(book_id)s, %(programme_id)s, %(remind_days)s, %(dormant_months)s, %(refund_values)s::jsonb, %(at)s)
ON CONFLICT ON CONSTRAINT closing_terms_pkey DO UPDATE
SET remind_days = excluded.remind_days, dormant_months = excluded.dormant_months,
    refund_values = excluded.refund_values, changed_at = excluded.changed_at;

-- name: holdings
-- Every pocket of some cards with every lot and what was swept of it: one statement, hence one moment, that of the
-- versions.
SELECT a.owner_id, a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending, l.lot, l.origin_transaction_id,
       t.effective_at, l.paid_fen, l.given_fen, l.expires_at, l.remaining_fen, l.reserved_fen,
       coalesce((SELECT json_agg(json_build_array(e.transaction_id, e.source_account_id, e.amount_fen, e.returned_fen)
                                 ORDER BY e.transaction_id)
                 FROM closing_expired_lot e
                 WHERE e.slot = a.slot AND e.card_id = a.owner_id AND e.account_id = a.id AND e.lot = l.lot), '[]')
FROM ledger_account a
LEFT JOIN ledger_lot l ON l.slot = a.slot AND l.account_id = a.id
LEFT JOIN ledger_transaction t ON t.slot = a.slot AND t.id = l.origin_transaction_id
WHERE a.slot = %(slot)s AND a.owner_id = ANY (%(cards)s::uuid[]) AND a.book_id = %(book_id)s AND a.lotted
ORDER BY a.id, l.lot;

-- name: effective_at
-- When loads of a slot happened.
SELECT id, effective_at FROM ledger_transaction WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]);

-- name: find_expired
SELECT l.expires_at, l.account_id, l.lot
FROM ledger_lot l
JOIN ledger_account a ON a.slot = l.slot AND a.id = l.account_id
JOIN cards_card c ON c.slot = a.slot AND c.id = a.owner_id
WHERE l.slot = %(slot)s AND l.expires_at <= %(now)s AND l.remaining_fen > l.reserved_fen AND c.status = 'active'
  AND l.expires_at >= %(since)s  -- if since
  AND (l.expires_at, l.account_id, l.lot) > (%(after_end)s, %(after_account)s, %(after_lot)s)  -- if after_end
ORDER BY l.expires_at, l.account_id, l.lot LIMIT %(limit)s;

-- name: load_expired
SELECT l.account_id, l.lot, a.version, a.book_id, a.currency, c.id, c.status, p.issuer_id, i.time_zone,
       l.origin_transaction_id, l.expires_at, l.remaining_fen - l.reserved_fen
FROM unnest(%(accounts)s::bigint[], %(lots)s::integer[]) AS k (account_id, lot)
JOIN ledger_lot l ON l.slot = %(slot)s AND l.account_id = k.account_id AND l.lot = k.lot
JOIN ledger_account a ON a.slot = %(slot)s AND a.id = l.account_id
JOIN cards_card c ON c.slot = %(slot)s AND c.id = a.owner_id
JOIN cards_programme p ON p.book_id = c.book_id AND p.id = c.programme_id
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
WHERE l.expires_at IS NOT NULL;

-- name: insert_expired
-- What the lot holds after the sweep is read in its commit: the constraint closing_expired_lot_whole judges it.
INSERT INTO closing_expired_lot
  (slot, transaction_id, book_id, card_id, account_id, lot, source_account_id, expires_at, amount_fen,
   remaining_after_fen, reserved_after_fen, swept_at)
SELECT %(slot)s, s.transaction_id, s.book_id, s.card_id, s.account_id, s.lot, s.source, l.expires_at, s.amount_fen,
       l.remaining_fen, l.reserved_fen, %(at)s
FROM unnest(%(transactions)s::uuid[], %(books)s::integer[], %(cards)s::uuid[], %(accounts)s::bigint[],
            %(lots)s::integer[], %(sources)s::bigint[], %(amounts)s::bigint[])
     AS s (transaction_id, book_id, card_id, account_id, lot, source, amount_fen)
JOIN ledger_lot l ON l.slot = %(slot)s AND l.account_id = s.account_id AND l.lot = s.lot;

-- name: find_ending
SELECT l.account_id, l.lot, a.book_id, a.currency, c.id, i.time_zone, l.expires_at, l.remaining_fen - l.reserved_fen,
       due.days
FROM ledger_lot l
JOIN ledger_account a ON a.slot = l.slot AND a.id = l.account_id
JOIN cards_card c ON c.slot = a.slot AND c.id = a.owner_id
JOIN closing_terms t ON t.book_id = c.book_id AND t.programme_id = c.programme_id
JOIN cards_programme p ON p.book_id = c.book_id AND p.id = c.programme_id
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
CROSS JOIN LATERAL (
  SELECT min(d) AS days FROM unnest(t.remind_days) AS d
  WHERE ((l.expires_at AT TIME ZONE i.time_zone) - make_interval(days => d)) AT TIME ZONE i.time_zone <= %(now)s
) AS due
WHERE l.slot = %(slot)s AND l.expires_at > %(now)s AND l.expires_at < %(now)s::timestamptz + interval '368 days'
  AND l.remaining_fen > l.reserved_fen AND c.status = 'active' AND due.days IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM closing_reminder r
    WHERE r.slot = l.slot AND r.account_id = l.account_id AND r.lot = l.lot AND r.expires_at = l.expires_at
      AND r.threshold_days <= due.days)
ORDER BY l.expires_at, l.account_id, l.lot LIMIT %(limit)s;

-- name: insert_reminders
INSERT INTO closing_reminder (slot, account_id, lot, expires_at, threshold_days, notice_id, reminded_at)
SELECT %(slot)s, r.account_id, r.lot, r.expires_at, r.days, r.notice_id, %(at)s
FROM unnest(%(accounts)s::bigint[], %(lots)s::integer[], %(ends)s::timestamptz[], %(days)s::integer[],
            %(notices)s::uuid[]) AS r (account_id, lot, expires_at, days, notice_id)
ORDER BY r.account_id, r.lot, r.expires_at, r.days
ON CONFLICT ON CONSTRAINT closing_reminder_pkey DO NOTHING
RETURNING notice_id;

-- name: next_cards
-- The next active cards of programmes that know dormancy: the chunk of a walk.
SELECT c.id FROM cards_card c
JOIN closing_terms t ON t.book_id = c.book_id AND t.programme_id = c.programme_id AND t.dormant_months IS NOT NULL
WHERE c.slot = %(slot)s AND c.id > %(after)s AND c.status = 'active' ORDER BY c.id LIMIT %(limit)s;

-- name: dormant_cards
SELECT c.id, c.book_id, p.currency, i.time_zone, moved.at, held.fen
FROM cards_card c
JOIN closing_terms t ON t.book_id = c.book_id AND t.programme_id = c.programme_id
JOIN cards_programme p ON p.book_id = c.book_id AND p.id = c.programme_id
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
CROSS JOIN LATERAL (
  SELECT sum(a.credits_posted - a.debits_posted)::bigint AS fen, array_agg(a.id) AS accounts FROM ledger_account a
  WHERE a.slot = c.slot AND a.owner_id = c.id AND a.lotted
) AS held
CROSS JOIN LATERAL (
  SELECT greatest(c.activated_at, max(newest.at)) AS at
  FROM unnest(held.accounts) AS pocket (id)
  CROSS JOIN LATERAL (
    (SELECT x.recorded_at AS at FROM ledger_entry e JOIN ledger_transaction x ON x.slot = c.slot AND x.id = e.transaction_id
     WHERE e.slot = c.slot AND e.debit_account = pocket.id AND x.kind <> 'lot_expiry'
     ORDER BY e.transaction_id DESC LIMIT 1)
    UNION ALL
    (SELECT x.recorded_at FROM ledger_entry e JOIN ledger_transaction x ON x.slot = c.slot AND x.id = e.transaction_id
     WHERE e.slot = c.slot AND e.credit_account = pocket.id
     ORDER BY e.transaction_id DESC LIMIT 1)
  ) AS newest
) AS moved
WHERE c.slot = %(slot)s AND c.id = ANY (%(cards)s::uuid[]) AND held.fen > 0 AND moved.at IS NOT NULL
  AND ((moved.at AT TIME ZONE i.time_zone) + make_interval(months => t.dormant_months)) AT TIME ZONE i.time_zone
      <= %(now)s
  AND NOT EXISTS (SELECT FROM closing_dormancy d
                  WHERE d.slot = c.slot AND d.card_id = c.id AND d.last_moved_at = moved.at);

-- name: insert_dormancies
INSERT INTO closing_dormancy (slot, card_id, last_moved_at, book_id, notice_id, found_at)
SELECT %(slot)s, d.card_id, d.last_moved_at, d.book_id, d.notice_id, %(at)s
FROM unnest(%(cards)s::uuid[], %(moved)s::timestamptz[], %(books)s::integer[], %(notices)s::uuid[])
     AS d (card_id, last_moved_at, book_id, notice_id)
ORDER BY d.card_id
ON CONFLICT ON CONSTRAINT closing_dormancy_pkey DO NOTHING
RETURNING notice_id;

-- name: fee_programmes
-- Programmes of which some version of the terms lets cards pay for not being used.
SELECT DISTINCT programme_id FROM cards_programme_terms
WHERE coalesce((terms -> 'fees' ->> 'dormancy_fen')::bigint, 0) > 0;

-- name: next_fee_cards
SELECT id FROM cards_card
WHERE slot = %(slot)s AND id > %(after)s AND status = 'active' AND programme_id = ANY (%(programmes)s::uuid[])
ORDER BY id LIMIT %(limit)s;

-- name: fee_cards
-- Of these cards those that have not moved for the months of their terms. Neither the sweep of a lot nor a fee moves one.
SELECT c.id, c.book_id, c.programme_id, c.terms_version, c.customer_id IS NOT NULL, i.time_zone, p.currency, f.fen
FROM cards_card c
JOIN cards_programme_terms t ON t.programme_id = c.programme_id AND t.version = c.terms_version
JOIN cards_programme p ON p.book_id = c.book_id AND p.id = c.programme_id
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
CROSS JOIN LATERAL (
  SELECT coalesce((t.terms -> 'fees' ->> 'dormancy_fen')::bigint, 0) AS fen,
         coalesce((t.terms -> 'fees' ->> 'dormancy_after_months')::integer, 0) AS months
) AS f
CROSS JOIN LATERAL (
  SELECT sum(a.credits_posted - a.debits_posted)::bigint AS fen, array_agg(a.id) AS accounts FROM ledger_account a
  WHERE a.slot = c.slot AND a.owner_id = c.id AND a.lotted
) AS held
CROSS JOIN LATERAL (
  SELECT greatest(c.activated_at, max(newest.at)) AS at
  FROM unnest(held.accounts) AS pocket (id)
  CROSS JOIN LATERAL (
    (SELECT x.recorded_at AS at FROM ledger_entry e JOIN ledger_transaction x ON x.slot = c.slot AND x.id = e.transaction_id
     WHERE e.slot = c.slot AND e.debit_account = pocket.id AND x.kind NOT IN ('lot_expiry', 'fee')
     ORDER BY e.transaction_id DESC LIMIT 1)
    UNION ALL
    (SELECT x.recorded_at FROM ledger_entry e JOIN ledger_transaction x ON x.slot = c.slot AND x.id = e.transaction_id
     WHERE e.slot = c.slot AND e.credit_account = pocket.id
     ORDER BY e.transaction_id DESC LIMIT 1)
  ) AS newest
) AS moved
WHERE c.slot = %(slot)s AND c.id = ANY (%(cards)s::uuid[]) AND f.fen > 0 AND held.fen > 0 AND moved.at IS NOT NULL
  AND ((moved.at AT TIME ZONE i.time_zone) + make_interval(months => f.months)) AT TIME ZONE i.time_zone <= %(now)s;

-- name: fee_months
SELECT card_id, month, amount_fen, settled_at FROM closing_dormancy_fee
WHERE slot = %(slot)s AND card_id = ANY (%(cards)s::uuid[]) AND month >= %(since)s;

-- name: insert_fee_month
INSERT INTO closing_dormancy_fee (slot, card_id, month, book_id, amount_fen, notice_id, told_at)
VALUES (%(slot)s, %(card_id)s, %(month)s, %(book_id)s, %(amount_fen)s, %(notice_id)s, %(at)s)
ON CONFLICT ON CONSTRAINT closing_dormancy_fee_pkey DO NOTHING;

-- name: settle_fee_month
UPDATE closing_dormancy_fee SET fee_id = %(fee_id)s, failure = %(failure)s, settled_at = %(at)s
WHERE slot = %(slot)s AND card_id = %(card_id)s AND month = %(month)s AND settled_at IS NULL;

-- name: return_swept
UPDATE closing_expired_lot e SET returned_fen = e.returned_fen + r.part_fen
FROM unnest(%(transactions)s::uuid[], %(before)s::bigint[], %(parts)s::bigint[]) AS r (transaction_id, before, part_fen)
WHERE e.slot = %(slot)s AND e.transaction_id = r.transaction_id AND e.returned_fen = r.before;

-- name: swept_behind
SELECT e.book_id, e.card_id, a.version, e.transaction_id, e.account_id, e.lot, e.source_account_id, e.amount_fen,
       e.returned_fen
FROM closing_expired_lot e
JOIN cards_card c ON c.slot = e.slot AND c.id = e.card_id
JOIN ledger_account a ON a.slot = e.slot AND a.id = e.account_id
WHERE e.slot = %(slot)s AND e.returned_fen < e.amount_fen AND c.status = 'replaced'
  AND e.card_id > %(after)s  -- if after
ORDER BY e.card_id, e.transaction_id LIMIT %(limit)s;

-- name: insert_release
INSERT INTO closing_release
  (slot, transaction_id, book_id, card_id, amount_fen, given_fen, reason, approval_id, released_by, released_at)
VALUES (%(slot)s, %(transaction_id)s, %(book_id)s, %(card_id)s, %(amount_fen)s, %(given_fen)s, %(reason)s,
        %(approval_id)s, %(released_by)s, %(at)s);

-- name: swept_of_lots
SELECT (SELECT coalesce(sum(e.amount_fen - e.returned_fen), 0)::bigint
        FROM unnest(%(accounts)s::bigint[], %(lots)s::integer[]) AS l (account_id, lot)
        JOIN closing_expired_lot e ON e.slot = %(slot)s AND e.card_id = %(card_id)s AND e.account_id = l.account_id
          AND e.lot = l.lot),
       c.status
FROM cards_card c WHERE c.slot = %(slot)s AND c.id = %(card_id)s;

-- name: insert_extension
INSERT INTO closing_extension
  (slot, id, book_id, card_id, account_id, lot, before, after, returned_fen, transaction_id, made_by, made_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(account_id)s, %(lot)s, %(before)s, %(after)s, %(returned_fen)s,
        %(transaction_id)s, %(made_by)s, %(at)s);

-- name: held_by_card
SELECT coalesce(sum(credits_posted - debits_posted + debits_pending + credits_pending), 0)::bigint
FROM ledger_account WHERE slot = %(slot)s AND owner_id = %(card_id)s AND lotted;

-- name: insert_closure
INSERT INTO closing_closure
  (slot, card_id, book_id, transaction_id, cause, amount_fen, interest_fen, quote_hash, quote, closed_by, closed_at)
VALUES (%(slot)s, %(card_id)s, %(book_id)s, %(transaction_id)s, %(cause)s, %(amount_fen)s, %(interest_fen)s,
        %(quote_hash)s, %(quote)s, %(closed_by)s, %(closed_at)s);

-- name: closure
SELECT transaction_id, quote, quote_hash, closed_by, closed_at FROM closing_closure
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s;

-- name: insert_payout
INSERT INTO closing_payout
  (slot, id, book_id, card_id, transaction_id, method, currency, amount_fen, payee_sealed, account_last4,
   payable_account_id, due_on, status, made_by, created_at, changed_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(transaction_id)s, %(method)s, %(currency)s, %(amount_fen)s,
        %(payee_sealed)s, %(account_last4)s, %(payable_account_id)s, %(due_on)s, %(status)s, %(made_by)s,
        %(created_at)s, %(changed_at)s);

-- name: payouts
SELECT slot, id, book_id, card_id, transaction_id, method, currency, amount_fen, payee_sealed, account_last4,
       payable_account_id, due_on, status, made_by, checked_by, payment_reference, failure, paid_transaction_id,
       created_at, changed_at, version
FROM closing_payout
WHERE slot = %(slot)s AND book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND card_id = %(card_id)s  -- if card_id
  AND status = %(status)s  -- if status
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: change_payout
UPDATE closing_payout
SET status = %(status)s, checked_by = %(checked_by)s, payment_reference = %(payment_reference)s,
    failure = %(failure)s, paid_transaction_id = %(paid_transaction_id)s, changed_at = %(changed_at)s,
    version = %(version)s
WHERE slot = %(slot)s AND id = %(id)s AND version = %(version)s - 1;

-- name: issuer
SELECT p.issuer_id FROM cards_card c JOIN cards_programme p ON p.book_id = c.book_id AND p.id = c.programme_id
WHERE c.slot = %(slot)s AND c.id = %(card_id)s;
