-- name: read_anchor
SELECT size, note, verified_at FROM audit_anchor;

-- name: write_anchor
INSERT INTO audit_anchor (id, size, note, verified_at) VALUES (0, %(size)s, %(note)s, %(at)s)
ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note, verified_at = excluded.verified_at
WHERE audit_anchor.size <= excluded.size;

-- name: checkpoints_between
SELECT size, root, note FROM evidence_checkpoint WHERE size > %(begin)s AND size <= %(end)s ORDER BY size;

-- name: last_checkpoint
SELECT max(size) FROM evidence_checkpoint WHERE size > %(begin)s AND size <= %(end)s;

-- name: without_leaf
-- Transactions with ids from a time on that have no leaf.
SELECT t.slot, t.id FROM ledger_transaction AS t
WHERE t.slot = %(slot)s AND t.id >= %(from_id)s
  AND NOT EXISTS (SELECT FROM evidence_leaf AS l WHERE l.slot = t.slot AND l.transaction_id = t.id)
ORDER BY t.id LIMIT %(limit)s;

-- name: without_entry
-- Leaves with ids from a time on that the log has passed and left out.
SELECT l.slot, l.transaction_id FROM evidence_leaf AS l
JOIN evidence_horizon AS h ON h.slot = l.slot
WHERE l.slot = %(slot)s AND l.transaction_id >= %(from_id)s
  AND h.walked_to IS NULL AND h.server = evidence_server_v1() AND pg_visible_in_snapshot(l.written_by, h.horizon)
  AND NOT EXISTS (SELECT FROM evidence_entry AS e WHERE e.slot = l.slot AND e.transaction_id = l.transaction_id)
ORDER BY l.transaction_id LIMIT %(limit)s;

-- name: public_keys
SELECT public_key FROM evidence_key;

-- name: tiles
SELECT level, number, hashes FROM evidence_tile
WHERE (level, number) IN (SELECT * FROM unnest(%(levels)s::smallint[], %(numbers)s::bigint[]));
