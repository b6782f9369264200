-- name: insert_customer
INSERT INTO parties_customer (book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4,
  document_lookup, document_last4, level, created_at, birthday)
VALUES (%(book_id)s, %(id)s, %(name)s, %(phone)s, %(document_kind)s, %(document)s, %(phone_lookup)s, %(phone_last4)s,
  %(document_lookup)s, %(document_last4)s, %(level)s, %(created_at)s,
  %(birthday)s);

-- name: change_customer
UPDATE parties_customer SET version = version + 1, name = %(name)s, phone = %(phone)s,
  document_kind = %(document_kind)s, document = %(document)s, phone_lookup = %(phone_lookup)s,
  phone_last4 = %(phone_last4)s, document_lookup = %(document_lookup)s, document_last4 = %(document_last4)s,
  level = %(level)s, forgotten_at = %(forgotten_at)s, retained_until = %(retained_until)s,
  retained_by = %(retained_by)s, birthday = %(birthday)s,
  segments = CASE WHEN %(forgotten_at)s::timestamptz IS NULL THEN segments ELSE '{}' END
WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s;

-- name: give_level
UPDATE parties_customer SET version = version + 1, level = coalesce(%(level)s, level)
WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s;

-- name: customer
SELECT book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  created_at, forgotten_at, retained_until, retained_by, version, birthday, segments
FROM parties_customer WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: customers_named
SELECT book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  created_at, forgotten_at, retained_until, retained_by, version, birthday, segments
FROM parties_customer WHERE book_id = %(book_id)s AND id = ANY (%(ids)s::uuid[]);

-- name: customers_by_lookup
SELECT book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  created_at, forgotten_at, retained_until, retained_by, version, birthday, segments
FROM parties_customer
WHERE book_id = %(book_id)s
  AND phone_lookup = ANY (%(phone_lookups)s::uuid[])  -- if phone_lookups
  AND document_lookup = ANY (%(document_lookups)s::uuid[])  -- if document_lookups
ORDER BY id DESC LIMIT 200;

-- name: customers
SELECT book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  created_at, forgotten_at, retained_until, retained_by, version, birthday, segments
FROM parties_customer
WHERE book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND level = %(level)s  -- if level
  AND segments @> ARRAY[%(segment)s]::text[] AND segments <> '{}'  -- if segment
  AND (phone_last4 = ANY (%(phone_last4)s::uuid[]) OR document_last4 = ANY (%(document_last4)s::uuid[]))  -- if last4
ORDER BY id DESC LIMIT %(limit)s;

-- name: document_taken
SELECT FROM parties_customer
WHERE book_id = %(book_id)s AND document_lookup = ANY (%(document_lookups)s::uuid[]) AND id <> %(id)s;

-- name: overdue
SELECT book_id, id, name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  created_at, forgotten_at, retained_until, retained_by, version, birthday, segments
FROM parties_customer WHERE retained_until <= %(now)s ORDER BY retained_until LIMIT 200;

-- name: openings_due
SELECT book_id, id FROM parties_customer
WHERE forgotten_at IS NOT NULL AND retained_until IS NULL AND openings_erased_at IS NULL
ORDER BY forgotten_at LIMIT 200;

-- name: note_openings_erased
UPDATE parties_customer SET openings_erased_at = %(at)s
WHERE book_id = %(book_id)s AND id = %(id)s AND forgotten_at IS NOT NULL AND retained_until IS NULL;

-- name: insert_level
INSERT INTO parties_level_change (book_id, customer_id, id, level, reason, provider, at)
VALUES (%(book_id)s, %(customer_id)s, %(id)s, %(level)s, %(reason)s, %(provider)s, %(at)s);

-- name: levels
SELECT book_id, customer_id, id, level, reason, provider, at
FROM parties_level_change WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s ORDER BY id;

-- name: insert_attempt
INSERT INTO parties_identity_attempt (book_id, customer_id, id, level, provider, started_at)
VALUES (%(book_id)s, %(customer_id)s, %(id)s, %(level)s, %(provider)s, %(started_at)s);

-- name: end_attempt
UPDATE parties_identity_attempt SET result = %(result)s, code = %(code)s, ended_at = %(ended_at)s
WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s AND id = %(id)s AND result = 'pending';

-- name: attempts
SELECT book_id, customer_id, id, level, provider, started_at, result, code, ended_at
FROM parties_identity_attempt WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s ORDER BY id;

-- name: guards
SELECT subject, mismatches, pending, checks, day, claimed_at, version
FROM parties_identity_guard WHERE book_id = %(book_id)s AND subject = ANY (%(subjects)s::uuid[]);

-- name: insert_guard
INSERT INTO parties_identity_guard (book_id, subject, mismatches, pending, checks, day, claimed_at)
VALUES (%(book_id)s, %(subject)s, %(mismatches)s, %(pending)s, %(checks)s, %(day)s, %(claimed_at)s)
ON CONFLICT ON CONSTRAINT parties_identity_guard_pkey DO NOTHING;

-- name: change_guard
UPDATE parties_identity_guard SET version = %(version)s, mismatches = %(mismatches)s, pending = %(pending)s,
  checks = %(checks)s, day = %(day)s, claimed_at = %(claimed_at)s
WHERE book_id = %(book_id)s AND subject = %(subject)s AND version = %(version)s - 1;

-- name: settle_guard
UPDATE parties_identity_guard SET version = version + 1, pending = greatest(pending - 1, 0),
  mismatches = CASE %(result)s WHEN 'matched' THEN 0 WHEN 'mismatched' THEN mismatches + 1 ELSE mismatches END
WHERE book_id = %(book_id)s AND subject = %(subject)s
RETURNING subject, mismatches, pending, checks, day, claimed_at, version;

-- name: known_customers
SELECT id FROM parties_customer
WHERE book_id = %(book_id)s AND id = ANY (%(ids)s::uuid[]) AND forgotten_at IS NULL;

-- name: lock_segments
SELECT id, segments, forgotten_at IS NOT NULL FROM parties_customer
WHERE book_id = %(book_id)s AND id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: change_segments
-- The version stays: nothing that a check or a correction is decided on has changed.
UPDATE parties_customer SET segments = %(segments)s WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: segments
SELECT segment, count(*) FROM parties_customer, unnest(segments) AS segment
WHERE book_id = %(book_id)s AND segments <> '{}' GROUP BY segment ORDER BY segment LIMIT %(limit)s;
