-- name: insert_action
INSERT INTO parties_audit (book_id, id, at, kind, subject, key_id, operator_id, request_id, before, after)
VALUES (%(book_id)s, %(id)s, %(at)s, %(kind)s, %(subject)s, %(key_id)s, %(operator_id)s, %(request_id)s,
  %(before)s::jsonb, %(after)s::jsonb);

-- name: actions
SELECT book_id, id, at, kind, subject, key_id, operator_id, request_id, before, after
FROM parties_audit
WHERE book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
  AND at > %(created_after)s  -- if created_after
  AND at < %(created_before)s  -- if created_before
  AND kind = %(kind)s  -- if kind
  AND subject = %(subject)s  -- if subject
  AND operator_id = %(operator_id)s  -- if operator_id
  AND key_id = %(key_id)s  -- if key_id
ORDER BY id DESC LIMIT %(limit)s;
