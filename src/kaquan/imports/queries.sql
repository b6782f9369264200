-- name: insert_import
INSERT INTO imports_file
  (id, book_id, programme_id, name, kind, sha256, status, line_count, bad_line_count, principal_fen, bonus_fen, problems,
   created_by, created_at)
VALUES (%(id)s, %(book_id)s, %(programme_id)s, %(name)s, %(kind)s, %(sha256)s, %(status)s, %(line_count)s,
        %(bad_line_count)s, %(principal_fen)s, %(bonus_fen)s, %(problems)s, %(created_by)s, %(created_at)s);

-- name: insert_lines
INSERT INTO imports_line
  (slot, import_id, line, book_id, card_id, number_sealed, number_last4, principal_fen, bonus_fen, principal_expires_at,
   bonus_expires_at)
SELECT l.slot, %(import_id)s, l.line, %(book_id)s, l.card_id, l.number_sealed, l.number_last4, l.principal_fen,
       l.bonus_fen, l.principal_expires_at, l.bonus_expires_at
FROM unnest(%(slots)s::smallint[], %(numbers)s::integer[], %(card_ids)s::uuid[], %(sealed)s::bytea[], %(last4)s::text[],
            %(principal)s::bigint[], %(bonus)s::bigint[], %(principal_expiry)s::timestamptz[],
            %(bonus_expiry)s::timestamptz[])
  AS l (slot, line, card_id, number_sealed, number_last4, principal_fen, bonus_fen, principal_expires_at,
        bonus_expires_at);

-- name: imports
SELECT id, book_id, programme_id, name, kind, sha256, status, line_count, bad_line_count, principal_fen, bonus_fen,
       '[]'::json, created_by, created_at, finished_at
FROM imports_file
WHERE book_id = %(book_id)s
  AND (%(name)s::text IS NULL OR name = %(name)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: import
SELECT id, book_id, programme_id, name, kind, sha256, status, line_count, bad_line_count, principal_fen, bonus_fen,
       problems, created_by, created_at, finished_at
FROM imports_file WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: line_counts
SELECT status, count(*) FROM imports_line
WHERE slot = ANY (%(slots)s::smallint[]) AND import_id = %(import_id)s GROUP BY status;

-- name: unfinished
SELECT book_id, id FROM imports_file WHERE status IN ('applying', 'reversing') ORDER BY id;

-- name: change_status
UPDATE imports_file SET status = %(after)s
WHERE book_id = %(book_id)s AND id = %(id)s AND status = %(before)s;

-- name: finish
-- Only when no line is left to do; of those that another runner holds the status is still the old one here.
UPDATE imports_file SET status = %(after)s, finished_at = %(at)s
WHERE book_id = %(book_id)s AND id = %(id)s AND status = %(before)s
  AND NOT EXISTS (SELECT FROM imports_line WHERE slot = ANY (%(slots)s::smallint[]) AND import_id = %(id)s
                  AND status = %(open)s);

-- name: leave_out
-- Those that a runner has are waited for: they are applied then.
UPDATE imports_line SET status = 'left_out', number_sealed = NULL
WHERE slot = %(slot)s AND import_id = %(import_id)s AND status = 'waiting';

-- name: not_imported
SELECT line, number_last4 FROM imports_line
WHERE slot = ANY (%(slots)s::smallint[]) AND import_id = %(import_id)s AND status = %(status)s
ORDER BY line;

-- name: lock_lines
-- Lines that another runner has are its own.
SELECT slot, import_id, line, book_id, card_id, number_sealed, number_last4, principal_fen, bonus_fen,
       principal_expires_at, bonus_expires_at, transaction_id
FROM imports_line
WHERE slot = %(slot)s AND import_id = %(import_id)s AND status = %(status)s
ORDER BY line LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED;

-- name: applied_lines
SELECT slot, import_id, line, book_id, card_id, number_sealed, number_last4, principal_fen, bonus_fen,
       principal_expires_at, bonus_expires_at, transaction_id
FROM imports_line
WHERE slot = %(slot)s AND import_id = %(import_id)s AND status IN ('applied', 'used') AND line > %(after)s
ORDER BY line LIMIT %(limit)s;

-- name: mark_applied
UPDATE imports_line l SET status = m.status, transaction_id = m.transaction_id, number_sealed = NULL
FROM unnest(%(lines)s::integer[], %(statuses)s::text[], %(transactions)s::uuid[]) AS m (line, status, transaction_id)
WHERE l.slot = %(slot)s AND l.import_id = %(import_id)s AND l.line = m.line;

-- name: mark_reversed
UPDATE imports_line l SET status = m.status, reversal_id = m.transaction_id
FROM unnest(%(lines)s::integer[], %(statuses)s::text[], %(transactions)s::uuid[]) AS m (line, status, transaction_id)
WHERE l.slot = %(slot)s AND l.import_id = %(import_id)s AND l.line = m.line;
