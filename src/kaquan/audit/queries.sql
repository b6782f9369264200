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

-- name: card_events_without_leaf
SELECT e.slot, e.id FROM cards_event AS e
WHERE e.slot = %(slot)s AND e.id >= %(from_id)s
  AND NOT EXISTS (SELECT FROM evidence_leaf AS l WHERE l.slot = e.slot AND l.transaction_id = e.id)
  AND NOT EXISTS (SELECT FROM evidence_start AS s WHERE s.slot = e.slot AND s.what = 'card_event' AND s.at >= e.at)
ORDER BY e.id LIMIT %(limit)s;

-- name: voucher_events_without_leaf
SELECT e.slot, e.id FROM vouchers_event AS e
WHERE e.slot = %(slot)s AND e.id >= %(from_id)s
  AND NOT EXISTS (SELECT FROM evidence_leaf AS l WHERE l.slot = e.slot AND l.transaction_id = e.id)
ORDER BY e.id LIMIT %(limit)s;

-- name: cards_of_no_issue
SELECT c.id FROM cards_card AS c
WHERE c.slot = %(slot)s AND c.id >= %(from_id)s
  AND NOT EXISTS (SELECT FROM evidence_start AS s WHERE s.slot = c.slot AND s.what = 'card' AND s.at >= c.created_at)
EXCEPT
SELECT unnest(i.ids) FROM evidence_issue AS i WHERE i.slot = %(slot)s AND i.id >= %(from_issue)s
ORDER BY 1 LIMIT %(limit)s;

-- name: vouchers_of_no_issue
-- Those that somebody held from the first have an event that says so.
SELECT v.id FROM vouchers_voucher AS v
WHERE v.slot = %(slot)s AND v.id >= %(from_id)s
  AND NOT EXISTS (SELECT FROM evidence_start AS s WHERE s.slot = v.slot AND s.what = 'voucher' AND s.at >= v.created_at)
  AND NOT EXISTS (
    SELECT FROM vouchers_event AS e
    WHERE e.slot = v.slot AND e.voucher_id = v.id AND e.kind IN ('granted', 'assigned'))
EXCEPT
SELECT unnest(i.ids) FROM evidence_issue AS i WHERE i.slot = %(slot)s AND i.id >= %(from_issue)s
ORDER BY 1 LIMIT %(limit)s;

-- name: rules_and_keys
SELECT asked.slot, asked.id FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
WHERE EXISTS (SELECT FROM policy_decision AS d WHERE d.slot = asked.slot AND d.change_id = asked.id)
  OR EXISTS (SELECT FROM evidence_key AS k WHERE k.slot = asked.slot AND k.id = asked.id);

-- name: places_of_the_log
-- What stands at each place of the log that so many leaves are before, or a multiple of them.
SELECT e.slot, e.transaction_id
FROM generate_series(%(leaves)s::bigint, (SELECT max(log_index) FROM evidence_entry), %(leaves)s::bigint) AS place
JOIN evidence_entry AS e ON e.log_index = place;
