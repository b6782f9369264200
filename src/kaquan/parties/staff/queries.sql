-- name: insert_operator
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_operator (id, book_id, code, name, roles, store_ids, status, created_at)
SELECT %(id)s, book.id, %(code)s, %(name)s, %(roles)s::text[], %(store_ids)s::uuid[], %(status)s, %(created_at)s
FROM book;

-- name: change_operator
WITH changed AS (
  UPDATE parties_operator SET version = version + 1, name = %(name)s, roles = %(roles)s::text[],
    store_ids = %(store_ids)s::uuid[], status = %(status)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM changed WHERE b.id = changed.book_id;

-- name: operators
SELECT id, book_id, code, name, roles, store_ids, status, created_at, version FROM parties_operator
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND code = %(code)s  -- if code
  AND %(role)s = ANY (roles)  -- if role
  AND status = %(status)s  -- if status
ORDER BY id DESC LIMIT %(limit)s;

-- name: operators_of_books
SELECT id, book_id, code, name, roles, store_ids, status, created_at, version FROM parties_operator
WHERE book_id = ANY (%(book_ids)s::int[]);

-- name: known_stores
SELECT id FROM parties_store WHERE book_id = %(book_id)s AND id = ANY (%(ids)s::uuid[]);

-- name: insert_approval
INSERT INTO parties_approval (book_id, id, kind, subject, payload, payload_hash, reason, proposed_by, proposed_at,
  expires_at, status)
VALUES (%(book_id)s, %(id)s, %(kind)s, %(subject)s, %(payload)s, %(payload_hash)s, %(reason)s, %(proposed_by)s,
  %(proposed_at)s, %(expires_at)s, %(status)s);

-- name: decide
UPDATE parties_approval SET status = %(status)s, decided_by = %(decided_by)s, decided_at = %(decided_at)s,
  decided_why = %(decided_why)s
WHERE book_id = %(book_id)s AND id = %(id)s AND status = %(was)s;

-- name: claim
UPDATE parties_approval SET status = 'executed', executed_at = %(now)s
WHERE book_id = %(book_id)s AND id = %(id)s AND status = 'approved' AND expires_at > %(now)s
  AND kind = %(kind)s AND subject = %(subject)s AND payload_hash = %(payload_hash)s
RETURNING book_id, id, kind, subject, payload, payload_hash, reason, proposed_by, proposed_at, expires_at, status,
  decided_by, decided_at, decided_why, executed_at;

-- name: approval
SELECT book_id, id, kind, subject, payload, payload_hash, reason, proposed_by, proposed_at, expires_at, status,
  decided_by, decided_at, decided_why, executed_at
FROM parties_approval WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: approvals
SELECT book_id, id, kind, subject, payload, payload_hash, reason, proposed_by, proposed_at, expires_at, status,
  decided_by, decided_at, decided_why, executed_at
FROM parties_approval
WHERE book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
  AND proposed_at > %(created_after)s  -- if created_after
  AND proposed_at < %(created_before)s  -- if created_before
  AND kind = %(kind)s  -- if kind
  AND subject = %(subject)s  -- if subject
  AND proposed_by = %(proposed_by)s  -- if proposed_by
  AND status = %(status)s  -- if status
  AND expires_at > %(open_at)s  -- if open_at
  AND (status = 'expired' OR (status IN ('proposed', 'approved') AND expires_at <= %(expired_at)s))  -- if expired_at
ORDER BY id DESC LIMIT %(limit)s;

-- name: expire
UPDATE parties_approval SET status = 'expired' WHERE status IN ('proposed', 'approved') AND expires_at <= %(now)s;
