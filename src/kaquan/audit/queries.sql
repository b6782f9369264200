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

-- name: entry_records
-- Entries with their leaves, and with what the leaves were made of, as the audit ``leaves`` has it; the first column is their
-- index, the last one whether they are of no transaction, and rightly so.
SELECT n.log_index, n.slot, n.transaction_id, l.leaf_hash, l.salt, l.commitment, t.id, t.reference, t.request_key,
       convert_to(
         '["kaquan-leaf/1",' || t.slot || ',"' || encode(uuid_send(t.id), 'hex') || '",' || t.book_id || ',"' || t.kind
         || '",' || coalesce('"' || encode(uuid_send(t.related_id), 'hex') || '"', 'null')
         || ',' || coalesce('"' || encode(uuid_send(t.place_id), 'hex') || '"', 'null')
         || ',' || (date_part('epoch', t.effective_at) * 1e6)::bigint
         || ',' || (date_part('epoch', t.recorded_at) * 1e6)::bigint || ',', 'UTF8') AS before,
       convert_to(',[' || coalesce((
         SELECT string_agg(
           '[' || e.leg || ',"' || e.effect || '",' || e.debit_account || ',' || coalesce(e.debit_lot::text, 'null')
           || ',' || e.credit_account || ',' || coalesce(e.credit_lot::text, 'null') || ',' || e.amount_fen || ']',
           ',' ORDER BY e.leg)
         FROM ledger_entry AS e WHERE e.slot = n.slot AND e.transaction_id = n.transaction_id), '') || ']]', 'UTF8') AS after,
       t.id IS NULL AND (
         EXISTS (SELECT FROM policy_decision AS d WHERE d.slot = n.slot AND d.change_id = n.transaction_id)
         OR EXISTS (SELECT FROM evidence_key AS k WHERE k.slot = n.slot AND k.id = n.transaction_id)) AS other
FROM evidence_entry AS n
LEFT JOIN evidence_leaf AS l ON l.slot = n.slot AND l.transaction_id = n.transaction_id
LEFT JOIN ledger_transaction AS t ON t.slot = n.slot AND t.id = n.transaction_id
WHERE n.log_index >= %(begin)s AND n.log_index < %(end)s
ORDER BY n.log_index;

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
