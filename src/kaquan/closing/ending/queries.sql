-- name: untold
-- Holders of cards in use who were not told of this. Who was reminded nearer the end is not reminded of a day before it.
SELECT c.id, c.customer_id FROM cards_card c
WHERE c.slot = %(slot)s AND c.programme_id = %(programme_id)s AND c.book_id = %(book_id)s
  AND c.customer_id IS NOT NULL AND c.status IN ('active', 'blocked', 'lost', 'gifted')
  AND EXISTS (SELECT FROM closing_end_notice a  -- if told_before
              WHERE a.slot = c.slot AND a.end_id = %(end_id)s AND a.card_id = c.id  -- if told_before
                AND a.occasion = %(told_before)s)  -- if told_before
  AND NOT EXISTS (SELECT FROM closing_end_notice n
                  WHERE n.slot = c.slot AND n.end_id = %(end_id)s AND n.card_id = c.id AND n.occasion = %(occasion)s
                    AND n.days <= %(days)s)
ORDER BY c.id LIMIT %(limit)s;

-- name: insert_told
INSERT INTO closing_end_notice (slot, end_id, card_id, occasion, days, book_id, customer_id, notice_id, told_at)
SELECT %(slot)s, %(end_id)s, t.card_id, %(occasion)s, %(days)s, %(book_id)s, t.customer_id, t.notice_id, %(at)s
FROM unnest(%(cards)s::uuid[], %(customers)s::uuid[], %(notices)s::uuid[]) AS t (card_id, customer_id, notice_id)
ORDER BY t.card_id
ON CONFLICT ON CONSTRAINT closing_end_notice_pkey DO NOTHING
RETURNING notice_id;

-- name: told
SELECT n.card_id, n.customer_id, n.occasion, n.days, n.notice_id, n.told_at,
       coalesce(d.state, 'console'), d.delivered_at
FROM closing_end_notice n
LEFT JOIN LATERAL (
  SELECT CASE WHEN bool_or(x.status = 'delivered') THEN 'delivered' WHEN bool_or(x.status = 'pending') THEN 'pending'
              ELSE 'dead' END AS state, min(x.delivered_at) AS delivered_at
  FROM notices_delivery x
  WHERE x.slot = n.slot AND x.notice_id = n.notice_id AND x.endpoint_id <> %(console)s
  HAVING count(*) > 0
) AS d ON true
WHERE n.slot = %(slot)s AND n.end_id = %(end_id)s
  AND n.notice_id < %(after_id)s  -- if after_id
  AND n.card_id = %(card_id)s  -- if card_id
  AND n.occasion = %(occasion)s  -- if occasion
ORDER BY n.notice_id DESC LIMIT %(limit)s;

-- name: insert_publication
INSERT INTO closing_end_publication (id, book_id, end_id, medium, reference, published_on, noted_by, noted_at)
VALUES (%(id)s, %(book_id)s, %(end_id)s, %(medium)s, %(reference)s, %(published_on)s, %(noted_by)s, %(noted_at)s)
ON CONFLICT ON CONSTRAINT closing_end_publication_once DO NOTHING;

-- name: publications
SELECT id, book_id, end_id, medium, reference, published_on, noted_by, noted_at FROM closing_end_publication
WHERE book_id = %(book_id)s AND end_id = %(end_id)s ORDER BY published_on, id;

-- name: cards
-- The cards of a programme that ends: those that may hold value, and those closed since it was announced.
SELECT c.id FROM cards_card c
WHERE c.slot = %(slot)s AND c.programme_id = %(programme_id)s AND c.book_id = %(book_id)s
  AND c.status NOT IN ('issued', 'replaced')
  AND (c.status <> 'closed' OR EXISTS (
    SELECT FROM closing_closure z WHERE z.slot = c.slot AND z.card_id = c.id AND z.closed_at >= %(since)s))
  AND c.id < %(after_id)s  -- if after_id
  AND c.status <> 'closed' AND %(owed)s AND (  -- if owed
    EXISTS (SELECT FROM ledger_account a  -- if owed
            WHERE a.slot = c.slot AND a.owner_id = c.id AND a.lotted AND a.credits_posted > a.debits_posted)  -- if owed
    OR EXISTS (SELECT FROM closing_expired_lot e  -- if owed
               WHERE e.slot = c.slot AND e.card_id = c.id AND e.amount_fen > e.returned_fen))  -- if owed
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: settled
SELECT k.id, z.amount_fen, z.interest_fen, p.id, p.status, coalesce(y.account_last4, p.account_last4), y.failure
FROM unnest(%(cards)s::uuid[]) AS k (id)
LEFT JOIN closing_closure z ON z.slot = %(slot)s AND z.card_id = k.id
LEFT JOIN LATERAL (
  SELECT id, status, account_last4 FROM closing_payout
  WHERE slot = %(slot)s AND card_id = k.id ORDER BY id DESC LIMIT 1
) AS p ON true
LEFT JOIN closing_end_payee y ON y.slot = %(slot)s AND y.card_id = k.id AND y.end_id = %(end_id)s;

-- name: liability
WITH card AS (
  SELECT c.id, c.status FROM cards_card c
  WHERE c.slot = %(slot)s AND c.programme_id = %(programme_id)s AND c.book_id = %(book_id)s
    AND c.status NOT IN ('issued', 'replaced')
), held AS (
  SELECT a.owner_id AS card_id, a.kind, a.credits_posted - a.debits_posted AS fen
  FROM card c JOIN ledger_account a ON a.slot = %(slot)s AND a.owner_id = c.id AND a.lotted
  WHERE c.status <> 'closed'
  UNION ALL
  SELECT e.card_id, a.kind, e.amount_fen - e.returned_fen
  FROM card c JOIN closing_expired_lot e ON e.slot = %(slot)s AND e.card_id = c.id
  JOIN ledger_account a ON a.slot = %(slot)s AND a.id = e.account_id
  WHERE c.status <> 'closed'
), closed AS (
  SELECT z.card_id, z.amount_fen,
         (SELECT sum(p.amount_fen) FROM closing_payout p
          WHERE p.slot = %(slot)s AND p.card_id = z.card_id AND p.status = 'paid') AS paid_fen
  FROM card c JOIN closing_closure z ON z.slot = %(slot)s AND z.card_id = c.id
  WHERE c.status = 'closed' AND z.closed_at >= %(since)s
)
SELECT (SELECT count(DISTINCT card_id) FROM held WHERE fen > 0),
       (SELECT coalesce(sum(fen) FILTER (WHERE kind <> 'card_bonus'), 0)::bigint FROM held),
       (SELECT coalesce(sum(fen) FILTER (WHERE kind = 'card_bonus'), 0)::bigint FROM held),
       (SELECT count(*) FROM closed),
       (SELECT coalesce(sum(amount_fen), 0)::bigint FROM closed),
       (SELECT coalesce(sum(paid_fen), 0)::bigint FROM closed),
       (SELECT count(*) FROM closing_end_payee WHERE slot = %(slot)s AND end_id = %(end_id)s),
       (SELECT count(*) FROM closing_end_payee WHERE slot = %(slot)s AND end_id = %(end_id)s AND failure IS NOT NULL);

-- name: give_payee
-- Another account takes the place of the one before, and is tried anew.
INSERT INTO closing_end_payee AS y
  (slot, card_id, id, end_id, book_id, payee_sealed, account_last4, key_id, operator_id, given_at)
VALUES (%(slot)s, %(card_id)s, %(id)s, %(end_id)s, %(book_id)s, %(payee_sealed)s, %(account_last4)s, %(key_id)s,
        %(operator_id)s, %(at)s)
ON CONFLICT ON CONSTRAINT closing_end_payee_pkey DO UPDATE
SET id = excluded.id, end_id = excluded.end_id, payee_sealed = excluded.payee_sealed,
    account_last4 = excluded.account_last4, key_id = excluded.key_id, operator_id = excluded.operator_id,
    given_at = excluded.given_at, failure = NULL, tried_at = NULL;

-- name: due_payees
SELECT y.id, y.card_id, y.end_id, y.book_id, e.last_day, y.payee_sealed, y.key_id, y.operator_id
FROM closing_end_payee y
JOIN cards_programme_end e ON e.id = y.end_id AND e.withdrawn_at IS NULL AND e.ends_at <= %(now)s
WHERE y.slot = %(slot)s AND (y.tried_at IS NULL OR (y.failure IS NOT NULL AND y.tried_at < %(retry_before)s))
  AND y.card_id > %(after)s
ORDER BY y.card_id LIMIT %(limit)s;

-- name: mark_payee
UPDATE closing_end_payee SET failure = %(failure)s, tried_at = %(at)s
WHERE slot = %(slot)s AND card_id = %(card_id)s AND id = %(id)s;
