-- name: try_lock
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- name: read_log
SELECT origin, size, root, note, signed_at FROM evidence_log;

-- name: read_keys
SELECT id, slot, public_key, replaces, added_at FROM evidence_key ORDER BY added_at, id;

-- name: begin_log
SELECT evidence_begin_log_v1(%(origin)s, %(root)s, %(at)s);

-- name: add_key
SELECT evidence_add_key_v1(
  %(id)s, %(slot)s::smallint, %(public_key)s, %(replaces)s::bytea, %(added_at)s, %(leaf_hash)s);

-- name: read_moment
SELECT pg_current_snapshot()::text, evidence_server_v1();

-- name: read_horizons
SELECT slot, server, horizon::text, walked_to FROM evidence_horizon;

-- name: find_bound
-- The transaction that wrote the leaf behind the first p_limit of those that the horizon does not reach.
SELECT written_by::text FROM evidence_leaf
WHERE slot = %(slot)s AND written_by >= pg_snapshot_xmax(%(horizon)s::pg_snapshot)
  AND written_by < pg_snapshot_xmax(%(now)s::pg_snapshot)
ORDER BY written_by OFFSET %(limit)s LIMIT 1;

-- name: read_new
-- What this snapshot sees and the horizon did not: written by transactions that began after it, or were running then.
SELECT transaction_id, leaf_hash FROM (
  SELECT l.written_by, l.transaction_id, l.leaf_hash FROM evidence_leaf AS l
  WHERE l.slot = %(slot)s AND l.written_by >= pg_snapshot_xmax(%(horizon)s::pg_snapshot)
    AND l.written_by < pg_snapshot_xmax(%(now)s::pg_snapshot)
  UNION ALL
  SELECT l.written_by, l.transaction_id, l.leaf_hash FROM evidence_leaf AS l
  WHERE l.slot = %(slot)s AND l.written_by = ANY (ARRAY(SELECT pg_snapshot_xip(%(horizon)s::pg_snapshot)))
) AS new
WHERE NOT EXISTS (
  SELECT FROM evidence_entry AS e WHERE e.slot = %(slot)s AND e.transaction_id = new.transaction_id)
ORDER BY written_by, transaction_id;

-- name: walk
-- The next leaves by id, and whether each is in the log already.
SELECT l.transaction_id, l.leaf_hash,
       EXISTS (SELECT FROM evidence_entry AS e WHERE e.slot = %(slot)s AND e.transaction_id = l.transaction_id)
FROM evidence_leaf AS l WHERE l.slot = %(slot)s AND l.transaction_id > %(after)s
ORDER BY l.transaction_id LIMIT %(limit)s;

-- name: write_horizon
INSERT INTO evidence_horizon (slot, server, horizon, walked_to)
VALUES (%(slot)s, %(server)s, %(horizon)s::pg_snapshot, %(walked_to)s)
ON CONFLICT (slot) DO UPDATE
SET server = excluded.server, horizon = excluded.horizon, walked_to = excluded.walked_to;

-- name: append
SELECT evidence_append_v1(
  %(size)s, %(slots)s::smallint[], %(ids)s::uuid[], %(levels)s::smallint[], %(numbers)s::bigint[], %(hashes)b::bytea[],
  %(root)s, %(note)s, %(at)s);

-- name: read_tiles
SELECT level, number, hashes FROM evidence_tile
WHERE (level, number) IN (SELECT * FROM unnest(%(levels)s::smallint[], %(numbers)s::bigint[]));

-- name: find_entry
SELECT log_index FROM evidence_entry WHERE slot = %(slot)s AND transaction_id = %(id)s;

-- name: read_leaf
SELECT l.leaf_hash, l.salt, l.commitment, e.log_index, coalesce(p.size, 0), coalesce(p.note, '')
FROM evidence_leaf AS l
LEFT JOIN evidence_entry AS e ON e.slot = l.slot AND e.transaction_id = l.transaction_id
LEFT JOIN evidence_published AS p ON true
WHERE l.slot = %(slot)s AND l.transaction_id = %(id)s;

-- name: read_leaf_of_sm
SELECT l.leaf_hash, l.salt, l.commitment, e.log_index, coalesce(s.size, 0), coalesce(s.note, '')
FROM evidence_leaf AS l
LEFT JOIN evidence_entry AS e ON e.slot = l.slot AND e.transaction_id = l.transaction_id
LEFT JOIN evidence_sm_log AS s ON true
WHERE l.slot = %(slot)s AND l.transaction_id = %(id)s;

-- name: read_published
SELECT origin, size, root, note, signed_at FROM evidence_published;

-- name: read_sm_log
SELECT origin, size, root, note, signed_at FROM evidence_sm_log;

-- name: append_sm
SELECT evidence_sm_append_v1(
  %(size)s, %(new_size)s, %(levels)s::smallint[], %(numbers)s::bigint[], %(hashes)b::bytea[], %(origin)s, %(root)s,
  %(note)s, %(at)s);

-- name: read_sm_tiles
SELECT level, number, hashes FROM evidence_sm_tile
WHERE (level, number) IN (SELECT * FROM unnest(%(levels)s::smallint[], %(numbers)s::bigint[]));

-- name: add_key_receipt
INSERT INTO evidence_key_receipt (key_id, receipt) VALUES (%(key_id)s, %(receipt)s) ON CONFLICT (key_id) DO NOTHING;

-- name: read_key_receipts
SELECT key_id, receipt FROM evidence_key_receipt;

-- name: read_witnesses
SELECT key, size, cosigned_at, asked_at, failure, failed_since FROM evidence_witness;

-- name: write_witness
INSERT INTO evidence_witness (key, size, cosigned_at, asked_at, failure, failed_since)
VALUES (%(key)s, %(size)s, %(cosigned_at)s, %(asked_at)s, %(failure)s, %(failed_since)s)
ON CONFLICT (key) DO UPDATE
SET size = excluded.size, cosigned_at = excluded.cosigned_at, asked_at = excluded.asked_at, failure = excluded.failure,
    failed_since = excluded.failed_since;

-- name: publish_cosigned
INSERT INTO evidence_cosigned AS c (id, origin, size, root, note, cosigned_at)
VALUES (0, %(origin)s, %(size)s, %(root)s, %(note)s, %(signed_at)s)
ON CONFLICT (id) DO UPDATE
SET origin = excluded.origin, size = excluded.size, root = excluded.root, note = excluded.note,
    cosigned_at = excluded.cosigned_at
WHERE excluded.size > c.size;

-- name: unpublish_cosigned
DELETE FROM evidence_cosigned WHERE id = 0;

-- name: add_issue
SELECT evidence_issue_v1(
  %(slot)s::smallint, %(id)s, %(book_id)s::integer, %(kind)s::text, %(of_id)s, %(batch_id)s::uuid, %(terms)s::text,
  %(at)s::timestamptz, %(ids)s::uuid[], %(last4)s::text[], %(leaf)s::bytea);
