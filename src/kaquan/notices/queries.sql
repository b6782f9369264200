-- name: post_notices
WITH new AS (
  SELECT * FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(books)s::integer[], %(events)s::text[],
                       %(cards)s::uuid[], %(bodies)s::text[]) AS n (slot, id, book_id, event, card_id, body)
), kept AS (
  INSERT INTO notices_notice (slot, id, book_id, event, card_id, body, created_at)
  SELECT slot, id, book_id, event, card_id, body, %(at)s FROM new
)
INSERT INTO notices_delivery (slot, notice_id, endpoint_id, kind, status, next_at, delivered_at)
SELECT n.slot, n.id, e.id, e.kind, 'pending', %(at)s::timestamptz, NULL
FROM new n JOIN notices_endpoint e ON e.book_id = n.book_id AND e.status <> 'removed'
  AND (e.events = '{}' OR n.event = ANY (e.events))
UNION ALL
SELECT n.slot, n.id, %(console)s, k, 'delivered', NULL, %(at)s FROM new n CROSS JOIN unnest(%(at_once)s::text[]) AS k;

-- name: insert_endpoint
INSERT INTO notices_endpoint (id, book_id, kind, address, events, status, secret_sealed, created_at)
VALUES (%(id)s, %(book_id)s, %(kind)s, %(address)s, %(events)s, %(status)s, %(secret_sealed)s, %(created_at)s);

-- name: endpoints
SELECT id, book_id, kind, address, events, status, secret_sealed, old_secret_sealed, old_secret_until, created_at
FROM notices_endpoint
WHERE book_id = %(book_id)s AND status <> 'removed'
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: change_endpoint
-- What is not told stays as it is now, not as it was when somebody looked: two may change different things at once.
UPDATE notices_endpoint
SET address = coalesce(%(address)s, address), events = coalesce(%(events)s::text[], events),
    status = coalesce(%(status)s, status)
WHERE id = %(id)s AND book_id = %(book_id)s AND status <> 'removed'
RETURNING id, book_id, kind, address, events, status, secret_sealed, old_secret_sealed, old_secret_until, created_at;

-- name: rotate_secret
UPDATE notices_endpoint
SET secret_sealed = %(secret_sealed)s, old_secret_until = %(old_secret_until)s,
    -- the one before this one, of two rotations at once too
    old_secret_sealed = CASE WHEN %(old_secret_until)s::timestamptz IS NOT NULL THEN secret_sealed END
WHERE id = %(id)s AND book_id = %(book_id)s AND status <> 'removed';

-- name: remove_endpoint
UPDATE notices_endpoint SET status = 'removed' WHERE id = %(id)s AND book_id = %(book_id)s;

-- name: give_up
UPDATE notices_delivery SET status = 'dead', next_at = NULL
WHERE slot = %(slot)s AND endpoint_id = %(endpoint_id)s AND status = 'pending';

-- name: notices
SELECT slot, id, book_id, event, card_id, body, created_at FROM notices_notice
WHERE slot = %(slot)s AND book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND card_id = %(card_id)s  -- if card_id
  AND event = %(event)s  -- if event
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: deliveries
SELECT endpoint_id, kind, status, attempt_count, next_at, delivered_at FROM notices_delivery
WHERE slot = %(slot)s AND notice_id = %(notice_id)s ORDER BY endpoint_id;

-- name: attempts
SELECT endpoint_id, attempt, attempted_at, duration_ms, http_status, failure FROM notices_attempt
WHERE slot = %(slot)s AND notice_id = %(notice_id)s ORDER BY attempted_at, endpoint_id, attempt;

-- name: send_again
INSERT INTO notices_delivery AS d (slot, notice_id, endpoint_id, kind, status, next_at)
SELECT n.slot, n.id, e.id, e.kind, 'pending', %(at)s
FROM notices_notice n JOIN notices_endpoint e ON e.book_id = n.book_id AND e.status = 'active'
  AND (e.events = '{}' OR n.event = ANY (e.events))
WHERE n.slot = %(slot)s AND n.book_id = %(book_id)s
  AND n.id = %(id)s  -- if id
  AND e.id = %(endpoint_id)s  -- if endpoint_id
  AND n.created_at > %(created_after)s  -- if created_after
  AND n.created_at < %(created_before)s  -- if created_before
ON CONFLICT ON CONSTRAINT notices_delivery_pkey
DO UPDATE SET status = 'pending', round_count = 0, next_at = excluded.next_at, delivered_at = NULL;

-- name: revive_dead
UPDATE notices_delivery d SET status = 'pending', round_count = 0, next_at = %(at)s
FROM notices_notice n
WHERE n.slot = %(slot)s AND n.book_id = %(book_id)s AND n.created_at > %(created_after)s
  AND n.created_at < %(created_before)s AND d.slot = n.slot AND d.notice_id = n.id
  AND d.endpoint_id = %(endpoint_id)s AND d.status = 'dead';

-- name: claim_due
-- Of each endpoint a few that are due, so that a slow one keeps nobody else waiting. Two couriers never claim the same.
-- Claimed ones are due again after the lease: if this courier dies, another one sends them.
UPDATE notices_delivery d
SET attempt_count = d.attempt_count + 1, round_count = d.round_count + 1, next_at = %(lease_until)s
FROM (
  SELECT c.notice_id, c.endpoint_id
  FROM notices_endpoint e
  CROSS JOIN LATERAL (
    SELECT p.notice_id, p.endpoint_id FROM notices_delivery p
    WHERE p.slot = %(slot)s AND p.endpoint_id = e.id AND p.status = 'pending' AND p.next_at <= %(now)s
    ORDER BY p.next_at LIMIT %(each)s FOR UPDATE SKIP LOCKED
  ) AS c
  WHERE e.status = 'active'
) AS due
WHERE d.slot = %(slot)s AND d.notice_id = due.notice_id AND d.endpoint_id = due.endpoint_id
RETURNING d.notice_id, d.endpoint_id, d.kind, d.attempt_count, d.round_count;

-- name: letters
SELECT n.id, e.id, n.body, e.address, e.secret_sealed, e.old_secret_sealed, e.old_secret_until
FROM unnest(%(notices)s::uuid[], %(endpoints)s::uuid[]) AS c (notice_id, endpoint_id)
JOIN notices_notice n ON n.slot = %(slot)s AND n.id = c.notice_id
JOIN notices_endpoint e ON e.id = c.endpoint_id AND e.book_id = n.book_id;

-- name: insert_attempt
INSERT INTO notices_attempt
  (slot, notice_id, endpoint_id, attempt, attempted_at, duration_ms, http_status, failure)
VALUES (%(slot)s, %(notice_id)s, %(endpoint_id)s, %(attempt)s, %(attempted_at)s, %(duration_ms)s, %(http_status)s,
        %(failure)s)
ON CONFLICT ON CONSTRAINT notices_attempt_pkey DO NOTHING;

-- name: settle_delivery
-- Only as long as nobody has claimed it anew, sent it again or given it up.
UPDATE notices_delivery
SET status = %(status)s, next_at = %(next_at)s, delivered_at = %(delivered_at)s
WHERE slot = %(slot)s AND notice_id = %(notice_id)s AND endpoint_id = %(endpoint_id)s
  AND attempt_count = %(attempt)s AND status = 'pending' AND next_at = %(lease_until)s;
