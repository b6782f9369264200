-- name: load_cards
SELECT * FROM payments_load_cards_v3(
  %(slot)s::smallint, %(cards)s::uuid[], %(payments)s::uuid[], %(every_pocket)s::boolean, %(places)s::boolean);

-- name: load_payments
-- Each payment with what it has moved so far, per lot of a pocket and other account, in the order of its first legs: one
-- statement, hence one moment.
SELECT p.slot, p.id, p.book_id, p.kind, p.status, p.card_id, p.merchant_id, p.store_id, p.terminal_id, p.original_id,
       p.currency, p.amount_fen, p.bonus_fen, p.captured_fen, p.refunded_fen, p.reference, p.expires_at, p.occurred_at,
       p.created_at, p.version, moved.legs,
       (SELECT k.kept FROM payments_pricing AS k WHERE k.slot = p.slot AND k.transaction_id = p.id),
       ARRAY (SELECT k.kept FROM payments_pricing AS k WHERE k.slot = p.slot AND k.original_id = p.id
              ORDER BY k.transaction_id)
FROM payments_payment p
CROSS JOIN LATERAL (
  SELECT coalesce(json_agg(json_build_array(l.account_id, l.lot, l.other_account, l.reserved, l.captured, l.refunded,
                                                    coalesce(o.expires_at <= %(now)s, false))
                           ORDER BY l.first), '[]') AS legs
  FROM (
    SELECT s.account_id, s.lot, s.other_account, min(s.transaction_id::text || to_char(s.leg, 'FM00000')) AS first,
           sum(CASE s.effect WHEN 'reserve' THEN s.amount_fen WHEN 'post' THEN 0 ELSE -s.amount_fen END) AS reserved,
           coalesce(sum(s.amount_fen) FILTER (WHERE s.effect IN ('post', 'capture') AND NOT s.is_refund), 0) AS captured,
           coalesce(sum(s.amount_fen) FILTER (WHERE s.is_refund), 0) AS refunded
    FROM (
      SELECT e.transaction_id, e.leg, e.effect, e.amount_fen, e.debit_lot IS NULL AS is_refund,
             CASE WHEN e.debit_lot IS NULL THEN e.credit_account ELSE e.debit_account END AS account_id,
             coalesce(e.debit_lot, e.credit_lot) AS lot,
             CASE WHEN e.debit_lot IS NULL THEN e.debit_account ELSE e.credit_account END AS other_account
      FROM (
        SELECT p.id
        UNION ALL
        SELECT t.id FROM ledger_transaction t WHERE t.slot = p.slot AND t.related_id = p.id
      ) AS part (id)
      JOIN ledger_entry e ON e.slot = p.slot AND e.transaction_id = part.id
      WHERE coalesce(e.debit_lot, e.credit_lot) IS NOT NULL  -- the card's: what funders pay is in the pricing
        AND NOT (part.id <> p.id AND e.effect = 'post' AND e.debit_lot IS NOT NULL)  -- kept back of a refund
    ) AS s
    GROUP BY s.account_id, s.lot, s.other_account
  ) AS l
  LEFT JOIN ledger_lot o ON o.slot = p.slot AND o.account_id = l.account_id AND o.lot = l.lot
) AS moved
WHERE p.slot = %(slot)s AND p.id = ANY (%(ids)s::uuid[]);

-- name: post_batch
SELECT payments_post_batch_v2(
  %(slot)s::smallint, %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[], %(answers)b::bytea[],
  %(legs)s::ledger_leg_v1[], %(new_lots)s::ledger_new_lot_v1[], %(versioned)s::integer, %(lots)s::integer,
  %(others)s::integer, %(limited)s::bigint[], %(status)s::smallint[], %(new)s::payments_new_v1[],
  %(changes)s::payments_change_v1[], %(uses)s::payments_use_v1[], %(use_keys)s::integer,
  %(trail_uses)s::payments_trail_use_v1[], %(last)s::payments_last_v1[]);

-- name: post_reserved
SELECT payments_post_reserved_v1(
  %(reserved)s::uuid[], %(slot)s::smallint, %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[],
  %(answers)b::bytea[], %(legs)s::ledger_leg_v1[], %(new_lots)s::ledger_new_lot_v1[], %(versioned)s::integer,
  %(lots)s::integer, %(others)s::integer, %(limited)s::bigint[], %(status)s::smallint[], %(new)s::payments_new_v1[],
  %(changes)s::payments_change_v1[], %(uses)s::payments_use_v1[], %(use_keys)s::integer,
  %(trail_uses)s::payments_trail_use_v1[], %(last)s::payments_last_v1[]);

-- name: post_priced
SELECT payments_post_priced_v1(
  %(pricings)s::payments_pricing_v1[], %(back)s::payments_use_v1[], %(reserved)s::uuid[], %(slot)s::smallint,
  %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[], %(answers)b::bytea[], %(legs)s::ledger_leg_v1[],
  %(new_lots)s::ledger_new_lot_v1[], %(versioned)s::integer, %(lots)s::integer, %(others)s::integer,
  %(limited)s::bigint[], %(status)s::smallint[], %(new)s::payments_new_v1[], %(changes)s::payments_change_v1[],
  %(uses)s::payments_use_v1[], %(use_keys)s::integer, %(trail_uses)s::payments_trail_use_v1[],
  %(last)s::payments_last_v1[]);

-- name: reserve
SELECT payments_reserve_v1(
  %(slot)s::smallint, %(paid_in)s::smallint, %(at)s::timestamptz, %(ids)s::uuid[], %(uses)s::payments_use_v1[],
  %(use_keys)s::integer, %(trail_uses)s::payments_trail_use_v1[]);

-- name: reserve_back
SELECT payments_reserve_back_v1(
  %(slot)s::smallint, %(paid_in)s::smallint, %(at)s::timestamptz, %(ids)s::uuid[], %(uses)s::payments_use_v1[]);

-- name: settle
SELECT payments_settle_v1(%(slot)s::smallint, %(paid)s::uuid[], %(unpaid)s::uuid[]);

-- name: give_up
SELECT payments_give_up_v1(%(slot)s::smallint, %(id)s::uuid, %(at)s::timestamptz);

-- name: old_reservations
SELECT id, paid_in, gives_back FROM payments_reservation
WHERE slot = %(slot)s AND created_at <= %(until)s ORDER BY created_at LIMIT %(limit)s;

-- name: read_usage
SELECT key, day, day_fen, day_count, month, month_fen, month_count, year, year_fen, year_count
FROM payments_usage WHERE slot = %(slot)s AND key = ANY (%(keys)s::uuid[]);

-- name: read_trails
SELECT key, step, fen, count FROM payments_trail WHERE slot = %(slot)s AND key = ANY (%(keys)s::uuid[]);

-- name: read_pricing
SELECT kept, original_id FROM payments_pricing
WHERE slot = %(slot)s AND (transaction_id = %(id)s OR original_id = %(id)s) ORDER BY transaction_id;

-- name: insert_funders
INSERT INTO payments_funder (id, book_id, campaign_id, kind, party_id)
SELECT id, %(book_id)s, campaign_id, kind, party_id
FROM unnest(%(ids)s::uuid[], %(campaigns)s::uuid[], %(kinds)s::text[], %(parties)s::uuid[])
  AS f (id, campaign_id, kind, party_id)
ON CONFLICT (id) DO NOTHING;

-- name: insert_exhausted
INSERT INTO payments_exhausted (budget_id, period, book_id, at)
VALUES (%(budget_id)s, %(period)s, %(book_id)s, %(at)s)
ON CONFLICT (budget_id, period) DO NOTHING;

-- name: holders
-- Nobody who is forgotten has a birthday or segments.
SELECT asked.id, c.birthday, c.segments, m.tier
FROM unnest(%(cards)s::uuid[], %(books)s::integer[], %(customers)s::uuid[], %(members)s::uuid[])
  AS asked (id, book_id, customer_id, member_id)
LEFT JOIN parties_customer AS c ON c.book_id = asked.book_id AND c.id = asked.customer_id
LEFT JOIN points_member AS m ON m.slot = %(slot)s AND m.id = asked.member_id;

-- name: bought_before
-- Which of these cards were spent from before, and which of these customers have a card that was. What offers paid for
-- whole moved nothing on its card. Every LIMIT keeps the planner at the cards that are asked for.
SELECT asked.id
FROM unnest(%(holders)s::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
  SELECT 1
  FROM (
    SELECT asked.id
    UNION ALL
    SELECT c.id FROM cards_card AS c WHERE c.slot = %(slot)s AND c.customer_id = asked.id
  ) AS card (id)
  CROSS JOIN LATERAL (
    (
      SELECT 1
      FROM ledger_account AS a
      JOIN ledger_entry AS e ON e.slot = %(slot)s AND e.debit_account = a.id
      JOIN payments_payment AS p ON p.slot = %(slot)s AND p.id = e.transaction_id
      WHERE a.slot = %(slot)s AND a.owner_id = card.id AND a.floor_rule = 'credit'
        AND p.kind IN ('purchase', 'authorization') AND p.status IN ('open', 'completed') AND p.id < %(before_id)s
      LIMIT 1
    )
    UNION ALL
    (
      SELECT 1
      FROM payments_payment AS p
      WHERE p.slot = %(slot)s AND p.card_id = card.id AND p.amount_fen = 0
        AND p.kind IN ('purchase', 'authorization') AND p.status IN ('open', 'completed') AND p.id < %(before_id)s
      LIMIT 1
    )
  ) AS paid
  LIMIT 1
) AS bought;

-- name: count_purchases
-- How many payments were recorded in a time: no more than are asked for are counted.
SELECT count(*) FROM (
  SELECT FROM payments_payment AS p
  JOIN cards_card AS c ON c.slot = p.slot AND c.id = p.card_id  -- if programme_ids
  WHERE p.slot = %(slot)s AND p.id >= %(from_id)s AND p.id < %(until_id)s AND p.book_id = %(book_id)s
    AND p.kind IN ('purchase', 'authorization') AND p.status IN ('open', 'completed')
    AND p.created_at >= %(since)s AND p.created_at < %(until)s
    AND c.programme_id = ANY (%(programme_ids)s::uuid[])  -- if programme_ids
  LIMIT %(limit)s
) AS counted;

-- name: purchases
-- Along the primary key. What was given back whole is no purchase.
SELECT p.id, p.card_id, c.customer_id, c.programme_id, p.merchant_id, p.store_id, p.terminal_id, p.amount_fen,
       p.occurred_at,
       (SELECT k.kept FROM payments_pricing AS k WHERE k.slot = p.slot AND k.transaction_id = p.id)
FROM payments_payment AS p
JOIN cards_card AS c ON c.slot = p.slot AND c.id = p.card_id
WHERE p.slot = %(slot)s AND p.id >= %(from_id)s AND p.id < %(until_id)s AND p.book_id = %(book_id)s
  AND p.kind IN ('purchase', 'authorization') AND p.status IN ('open', 'completed')
  AND p.created_at >= %(since)s AND p.created_at < %(until)s
  AND c.programme_id = ANY (%(programme_ids)s::uuid[])  -- if programme_ids
  AND NOT (p.refunded_fen > 0 AND p.refunded_fen = p.captured_fen)
ORDER BY p.id LIMIT %(limit)s;

-- name: paid
-- What cards paid, payment by payment, net of what was given back.
SELECT p.id, coalesce(c.customer_id, c.id), p.captured_fen - p.refunded_fen, p.created_at
FROM payments_payment AS p
JOIN cards_card AS c ON c.slot = p.slot AND c.id = p.card_id
WHERE p.slot = %(slot)s AND p.id >= %(from_id)s AND p.id < %(until_id)s AND p.book_id = %(book_id)s
  AND p.kind IN ('purchase', 'authorization') AND p.status IN ('open', 'completed')
  AND p.created_at >= %(since)s AND p.created_at < %(until)s
  AND c.programme_id = ANY (%(programme_ids)s::uuid[])  -- if programme_ids
ORDER BY p.id LIMIT %(limit)s;

-- name: loaded_before
-- As bought_before.
SELECT asked.id
FROM unnest(%(holders)s::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
  SELECT 1
  FROM (
    SELECT asked.id
    UNION ALL
    SELECT c.id FROM cards_card AS c WHERE c.slot = %(slot)s AND c.customer_id = asked.id
  ) AS card (id)
  CROSS JOIN LATERAL (
    SELECT 1
    FROM ledger_account AS a JOIN ledger_lot AS l ON l.slot = %(slot)s AND l.account_id = a.id
    WHERE a.slot = %(slot)s AND a.owner_id = card.id AND a.floor_rule = 'credit'
    LIMIT 1
  ) AS lot
  LIMIT 1
) AS loaded;

-- name: insert_instalments
INSERT INTO payments_instalment (slot, id, book_id, card_id, payment_id, campaign_id, due_at, amount_fen, funders, parts_fen,
                                 what)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(payment_id)s, %(campaign_id)s, %(due_at)s, %(amount_fen)s,
        %(funders)s, %(parts_fen)s, %(what)s);

-- name: due_instalments
SELECT id, book_id, card_id, payment_id, campaign_id, due_at, amount_fen, funders, parts_fen, what
FROM payments_instalment
WHERE slot = %(slot)s AND ended_at IS NULL AND due_at <= %(at)s AND id <> ALL (%(but)s::uuid[])
ORDER BY due_at, id LIMIT %(limit)s;

-- name: end_instalment
UPDATE payments_instalment SET given_id = %(given_id)s, ended_at = %(at)s
WHERE slot = %(slot)s AND id = %(id)s AND ended_at IS NULL;

-- name: insert_limit
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id),
ended AS (
  UPDATE payments_limit SET ended_at = %(created_at)s
  WHERE book_id = %(book_id)s AND id = %(replaces_id)s AND ended_at IS NULL RETURNING id
)
INSERT INTO payments_limit (id, book_id, programme_id, name, movement, scope, holder, metric, period, trailing_s,
                            maximum, from_minute, to_minute, replaces_id, created_at)
SELECT %(id)s, book.id, %(programme_id)s, %(name)s, %(movement)s, %(scope)s, %(holder)s, %(metric)s, %(period)s,
       %(trailing_s)s, %(maximum)s, %(from_minute)s, %(to_minute)s, %(replaces_id)s, %(created_at)s
FROM book WHERE %(replaces_id)s::uuid IS NULL OR EXISTS (SELECT FROM ended)
RETURNING id;

-- name: end_limit
WITH ended AS (
  UPDATE payments_limit SET ended_at = %(at)s WHERE book_id = %(book_id)s AND id = %(id)s AND ended_at IS NULL
  RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM ended WHERE b.id = ended.book_id;

-- name: limits
SELECT id, book_id, programme_id, name, movement, scope, holder, metric, period, trailing_s, maximum, from_minute,
       to_minute, replaces_id, created_at, ended_at
FROM payments_limit
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND programme_id = %(programme_id)s  -- if programme_id
  AND ended_at IS NULL  -- if in_force
  AND ended_at IS NOT NULL  -- if ended
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: limits_in_force
SELECT id, book_id, programme_id, name, movement, scope, holder, metric, period, trailing_s, maximum, from_minute,
       to_minute, replaces_id, created_at, ended_at
FROM payments_limit WHERE book_id = ANY (%(book_ids)s::int[]) AND ended_at IS NULL ORDER BY id;

-- name: insert_place_rule
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO payments_place_rule (id, book_id, programme_id, name, kind, holder, latitude_udeg, longitude_udeg, radius_m,
                                 max_speed_kmh, grace_m, from_minute, to_minute, created_at)
SELECT %(id)s, book.id, %(programme_id)s, %(name)s, %(kind)s, %(holder)s, %(latitude_udeg)s, %(longitude_udeg)s,
       %(radius_m)s, %(max_speed_kmh)s, %(grace_m)s, %(from_minute)s, %(to_minute)s, %(created_at)s
FROM book;

-- name: end_place_rule
WITH ended AS (
  UPDATE payments_place_rule SET ended_at = %(at)s WHERE book_id = %(book_id)s AND id = %(id)s AND ended_at IS NULL
  RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM ended WHERE b.id = ended.book_id;

-- name: place_rules
SELECT id, book_id, programme_id, name, kind, holder, latitude_udeg, longitude_udeg, radius_m, max_speed_kmh, grace_m,
       from_minute, to_minute, created_at, ended_at
FROM payments_place_rule
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND programme_id = %(programme_id)s  -- if programme_id
  AND ended_at IS NULL  -- if in_force
  AND ended_at IS NOT NULL  -- if ended
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: place_rules_in_force
SELECT id, book_id, programme_id, name, kind, holder, latitude_udeg, longitude_udeg, radius_m, max_speed_kmh, grace_m,
       from_minute, to_minute, created_at, ended_at
FROM payments_place_rule WHERE book_id = ANY (%(book_ids)s::int[]) AND ended_at IS NULL ORDER BY id;

-- name: find_overdue
SELECT id, book_id FROM payments_payment
WHERE slot = %(slot)s AND status = 'open' AND expires_at <= %(now)s ORDER BY expires_at LIMIT %(limit)s;

-- name: read_payment
SELECT slot, id, book_id, kind, status, card_id, merchant_id, store_id, terminal_id, original_id, currency,
       amount_fen, bonus_fen, captured_fen, refunded_fen, reference, expires_at, occurred_at, created_at, version
FROM payments_payment
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s AND kind = %(kind)s::payments_kind;

-- name: list_payments
-- By the transactions that opened them, which are indexed by reference, by what they reverse and, save the many
-- purchases, by kind.
SELECT p.slot, p.id, p.book_id, p.kind, p.status, p.card_id, p.merchant_id, p.store_id, p.terminal_id,
       p.original_id, p.currency, p.amount_fen, p.bonus_fen, p.captured_fen, p.refunded_fen, p.reference,
       p.expires_at, p.occurred_at, p.created_at, p.version
FROM ledger_transaction AS t
JOIN payments_payment AS p ON p.slot = %(slot)s AND p.id = t.id
WHERE t.slot = %(slot)s AND t.book_id = %(book_id)s AND t.kind = %(kind)s
  AND t.reference = %(reference)s  -- if reference
  AND t.related_id = %(original_id)s  -- if original_id
  AND p.status = %(status)s::payments_status  -- if status
  AND p.card_id = %(card_id)s  -- if card_id
  AND p.merchant_id = %(merchant_id)s  -- if merchant_id
  AND p.store_id = %(store_id)s  -- if store_id
  AND p.terminal_id = %(terminal_id)s  -- if terminal_id
  AND t.id < %(before_id)s  -- if before_id
  AND t.id >= %(from_id)s  -- if from_id
  AND p.created_at > %(created_after)s  -- if created_after
  AND t.id < %(until_id)s  -- if until_id
  AND p.created_at < %(created_before)s  -- if created_before
ORDER BY t.id DESC LIMIT %(limit)s;

-- name: list_payments_of_account
-- Back along the entries of one side of an account of the card or the merchant, whose first transactions are payments.
SELECT DISTINCT ON (e.transaction_id)
       p.slot, p.id, p.book_id, p.kind, p.status, p.card_id, p.merchant_id, p.store_id, p.terminal_id,
       p.original_id, p.currency, p.amount_fen, p.bonus_fen, p.captured_fen, p.refunded_fen, p.reference,
       p.expires_at, p.occurred_at, p.created_at, p.version
FROM ledger_entry AS e
JOIN payments_payment AS p ON p.slot = %(slot)s AND p.id = e.transaction_id
WHERE e.slot = %(slot)s AND p.kind = %(kind)s::payments_kind
  AND e.debit_account = %(debit_account)s  -- if debit_account
  AND e.credit_account = %(credit_account)s  -- if credit_account
  AND p.reference = %(reference)s  -- if reference
  AND p.original_id = %(original_id)s  -- if original_id
  AND p.status = %(status)s::payments_status  -- if status
  AND p.card_id = %(card_id)s  -- if card_id
  AND p.merchant_id = %(merchant_id)s  -- if merchant_id
  AND p.store_id = %(store_id)s  -- if store_id
  AND p.terminal_id = %(terminal_id)s  -- if terminal_id
  AND e.transaction_id < %(before_id)s  -- if before_id
  AND e.transaction_id >= %(from_id)s  -- if from_id
  AND p.created_at > %(created_after)s  -- if created_after
  AND e.transaction_id < %(until_id)s  -- if until_id
  AND p.created_at < %(created_before)s  -- if created_before
ORDER BY e.transaction_id DESC LIMIT %(limit)s;

-- name: erase_openings
SELECT erased FROM payments_erase_openings_v1(
  %(slot)s::smallint, %(book_id)s, %(ids)s::uuid[], %(entries)s::bytea[], %(commitments)s::bytea[]);

-- name: insert_seen
INSERT INTO payments_seen (slot, transaction_id, book_id, recorded_at, seen)
SELECT %(slot)s, id, book_id, %(at)s, seen
FROM unnest(%(ids)s::uuid[], %(books)s::integer[], %(seen)s::bytea[]) AS s (id, book_id, seen);

-- name: seen_book
SELECT book_id FROM payments_seen
WHERE slot = ANY (%(slots)s::smallint[]) AND book_id <> ALL (%(but)s::integer[]) ORDER BY slot, transaction_id LIMIT 1;

-- name: hold_shadows
SELECT number FROM promotions_shadow WHERE book_id = %(book_id)s ORDER BY campaign_id, number FOR NO KEY UPDATE;

-- name: seen
SELECT transaction_id, slot, recorded_at, seen FROM payments_seen
WHERE slot = %(slot)s AND book_id = %(book_id)s ORDER BY transaction_id LIMIT %(limit)s;

-- name: count_seen
SELECT count(*) FROM payments_seen WHERE slot = ANY (%(slots)s::smallint[]) AND book_id = %(book_id)s;

-- name: delete_seen
DELETE FROM payments_seen AS s USING unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS gone (slot, id)
WHERE s.slot = gone.slot AND s.transaction_id = gone.id;

-- name: insert_shadow
INSERT INTO payments_shadow (slot, book_id, campaign_id, number, transaction_id, recorded_at, day, is_load, store_id,
                             holder_id, amount_fen, fate, discount_fen, granted_fen, points, others_fen, gave_own_fen,
                             gave_fen, funder_kinds, funder_ids, funder_fen, offers, whys)
VALUES (%(slot)s, %(book_id)s, %(campaign_id)s, %(number)s, %(transaction_id)s, %(recorded_at)s, %(day)s, %(is_load)s,
        %(store_id)s, %(holder_id)s, %(amount_fen)s, %(fate)s, %(discount_fen)s, %(granted_fen)s, %(points)s,
        %(others_fen)s, %(gave_own_fen)s, %(gave_fen)s, %(funder_kinds)s::text[], %(funder_ids)s::uuid[],
        %(funder_fen)s::bigint[], %(offers)s::text[], %(whys)s::text[])
ON CONFLICT DO NOTHING;

-- name: shadow_used
SELECT budget_id, subject_id, period, used_fen, used_count FROM payments_shadow_budget
WHERE book_id = %(book_id)s AND campaign_id = %(campaign_id)s AND number = %(number)s
  AND subject_id = ANY (%(subjects)s::uuid[]);

-- name: write_shadow_used
INSERT INTO payments_shadow_budget AS b
  (book_id, campaign_id, number, budget_id, subject_id, period, used_fen, used_count, exhausted_at)
VALUES (%(book_id)s, %(campaign_id)s, %(number)s, %(budget_id)s, %(subject_id)s, %(period)s, %(used_fen)s,
        %(used_count)s, %(exhausted_at)s)
ON CONFLICT (book_id, campaign_id, number, budget_id, subject_id, period) DO UPDATE
SET used_fen = excluded.used_fen, used_count = excluded.used_count,
    exhausted_at = coalesce(b.exhausted_at, excluded.exhausted_at);

-- name: sum_shadow
SELECT count(*) FILTER (WHERE NOT is_load), count(*) FILTER (WHERE is_load), coalesce(sum(amount_fen), 0)::bigint,
       count(*) FILTER (WHERE fate = 'applied'), count(*) FILTER (WHERE fate = 'held_back'),
       count(*) FILTER (WHERE fate = 'over_budget'), count(DISTINCT holder_id) FILTER (WHERE fate = 'applied'),
       coalesce(sum(discount_fen), 0)::bigint, coalesce(sum(granted_fen), 0)::bigint, coalesce(sum(points), 0)::bigint,
       coalesce(sum(others_fen), 0)::bigint, coalesce(sum(gave_own_fen), 0)::bigint, coalesce(sum(gave_fen), 0)::bigint,
       count(*) FILTER (WHERE more > 0), coalesce(sum(more) FILTER (WHERE more > 0), 0)::bigint,
       count(*) FILTER (WHERE more < 0), coalesce(-sum(more) FILTER (WHERE more < 0), 0)::bigint,
       min(recorded_at), max(recorded_at), min(recorded_at) FILTER (WHERE fate = 'applied'),
       max(recorded_at) FILTER (WHERE fate = 'applied')
FROM (
  SELECT *, discount_fen + granted_fen + others_fen - gave_own_fen - gave_fen AS more FROM payments_shadow
  WHERE slot = ANY (%(slots)s::smallint[]) AND book_id = %(book_id)s AND campaign_id = %(campaign_id)s
    AND number = %(number)s
) AS s;

-- name: sum_shadow_days
SELECT s.day, f.kind, f.party_id, sum(f.fen)::bigint
FROM payments_shadow AS s
CROSS JOIN LATERAL unnest(s.funder_kinds, s.funder_ids, s.funder_fen) AS f (kind, party_id, fen)
WHERE s.slot = ANY (%(slots)s::smallint[]) AND s.book_id = %(book_id)s AND s.campaign_id = %(campaign_id)s
  AND s.number = %(number)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: sum_shadow_stores
SELECT store_id, count(*), sum(discount_fen)::bigint, sum(granted_fen)::bigint
FROM payments_shadow
WHERE slot = ANY (%(slots)s::smallint[]) AND book_id = %(book_id)s AND campaign_id = %(campaign_id)s
  AND number = %(number)s AND fate = 'applied'
GROUP BY 1 ORDER BY 3 DESC, 4 DESC, 1;

-- name: sum_shadow_skips
SELECT o.offer, o.why, count(*)
FROM payments_shadow AS s CROSS JOIN LATERAL unnest(s.offers, s.whys) AS o (offer, why)
WHERE s.slot = ANY (%(slots)s::smallint[]) AND s.book_id = %(book_id)s AND s.campaign_id = %(campaign_id)s
  AND s.number = %(number)s
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2;

-- name: shadow_budgets
SELECT budget_id, subject_id, period, used_fen, used_count, exhausted_at FROM payments_shadow_budget
WHERE book_id = %(book_id)s AND campaign_id = %(campaign_id)s AND number = %(number)s
ORDER BY exhausted_at NULLS LAST, used_fen DESC, used_count DESC, budget_id, subject_id, period LIMIT %(limit)s;

-- name: shadow_rows
SELECT slot, book_id, campaign_id, number, transaction_id, recorded_at, day, is_load, store_id, holder_id, amount_fen,
       fate, discount_fen, granted_fen, points, others_fen, gave_own_fen, gave_fen, funder_kinds, funder_ids,
       funder_fen, offers, whys
FROM payments_shadow
WHERE slot = %(slot)s AND book_id = %(book_id)s AND campaign_id = %(campaign_id)s AND number = %(number)s
  AND fate = %(fate)s  -- if fate
  AND %(why)s = ANY (whys)  -- if why
  AND day = %(day)s  -- if day
  AND transaction_id < %(after_id)s  -- if after_id
ORDER BY transaction_id DESC LIMIT %(limit)s;

-- name: funders
SELECT id, campaign_id, kind, party_id FROM payments_funder
WHERE book_id = %(book_id)s
  AND campaign_id = %(campaign_id)s  -- if campaign_id
  AND party_id = %(party_id)s  -- if party_id
ORDER BY id;

-- name: granting
-- Along the primary key; the bytes are searched for the campaign before they are read.
SELECT k.transaction_id, k.kept, o.kept, p.kind::text, p.merchant_id
FROM payments_pricing AS k
LEFT JOIN payments_pricing AS o ON o.slot = k.slot AND o.transaction_id = k.original_id
JOIN payments_payment AS p ON p.slot = k.slot AND p.id = coalesce(k.original_id, k.transaction_id)
JOIN ledger_transaction AS t ON t.slot = k.slot AND t.id = k.transaction_id
WHERE k.slot = %(slot)s AND k.transaction_id > %(after_id)s AND k.transaction_id < %(until_id)s
  AND p.book_id = %(book_id)s AND t.recorded_at <= %(until)s
  AND t.recorded_at > %(since)s  -- if since
  AND position(%(campaign)s::bytea IN coalesce(o.kept, k.kept)) > 0
  AND (position('"vouchers"'::bytea IN coalesce(o.kept, k.kept)) > 0
       OR position('"points"'::bytea IN coalesce(o.kept, k.kept)) > 0)
ORDER BY k.transaction_id LIMIT %(limit)s;

-- name: budget_keys
SELECT DISTINCT ON (u.key) u.key, u.is_shared, p.card_id, c.customer_id, p.store_id, p.merchant_id
FROM payments_pricing AS k
JOIN payments_payment AS p ON p.slot = k.slot AND p.id = k.transaction_id
JOIN cards_card AS c ON c.slot = p.slot AND c.id = p.card_id
CROSS JOIN LATERAL (
  SELECT (use ->> 1)::uuid, (use ->> 3)::integer, (use ->> 4)::integer, (use ->> 5)::integer, (use ->> 6)::boolean
  FROM json_array_elements(convert_from(k.kept, 'UTF8')::json -> 5) AS use WHERE use ->> 0 = %(budget)s
) AS u (key, day, month, year, is_shared)
WHERE k.slot = %(slot)s AND k.transaction_id >= %(from_id)s AND k.original_id IS NULL AND p.book_id = %(book_id)s
  AND position(%(needle)s::bytea IN k.kept) > 0
  AND u.day = %(day)s  -- if day
  AND u.month = %(month)s  -- if month
  AND u.year = %(year)s  -- if year
ORDER BY u.key, k.transaction_id DESC;

-- name: read_exhausted
SELECT at FROM payments_exhausted
WHERE budget_id = %(budget_id)s AND period = %(period)s AND book_id = %(book_id)s;
