-- name: insert_tenant
WITH tenant AS (
  INSERT INTO parties_tenant (id, name, created_at) VALUES (%(id)s, %(name)s, %(created_at)s) RETURNING id
)
INSERT INTO parties_book (tenant_id, mode)
SELECT tenant.id, m.mode FROM tenant, unnest(%(modes)s::text[]) WITH ORDINALITY AS m (mode, n) ORDER BY m.n
RETURNING id, tenant_id, mode, version;

-- name: tenants
SELECT id, name, created_at FROM parties_tenant ORDER BY id;

-- name: tenant_by_name
SELECT id, name, created_at FROM parties_tenant WHERE name = %(name)s;

-- name: books
SELECT id, tenant_id, mode, version FROM parties_book ORDER BY id;

-- name: books_of_tenant
SELECT id, tenant_id, mode, version FROM parties_book WHERE tenant_id = %(tenant_id)s ORDER BY id;

-- name: insert_key
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_api_key (id, book_id, name, secret_hash, scopes, created_at, operator_id)
SELECT %(id)s, book.id, %(name)s, %(secret_hash)s, %(scopes)s, %(created_at)s, %(operator_id)s FROM book;

-- name: revoke_key
WITH revoked AS (
  UPDATE parties_api_key SET revoked_at = %(revoked_at)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND revoked_at IS NULL RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM revoked WHERE b.id = revoked.book_id;

-- name: keys_of_books
SELECT id, book_id, name, secret_hash, scopes, created_at, revoked_at, operator_id
FROM parties_api_key WHERE book_id = ANY (%(book_ids)s::int[]) ORDER BY id;

-- name: places_of_books
SELECT t.book_id, t.id, s.id, s.merchant_id, t.status, s.latitude_udeg, s.longitude_udeg,
       coalesce(s.trade, m.trade), s.district
FROM parties_terminal t
JOIN parties_store s ON s.book_id = t.book_id AND s.id = t.store_id
JOIN parties_merchant m ON m.book_id = s.book_id AND m.id = s.merchant_id
WHERE t.book_id = ANY (%(book_ids)s::int[]);

-- name: insert_issuer
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_issuer (id, book_id, code, name, time_zone, created_at, issuer_class, legal_name, legal_code,
  group_code, brand, province, filing_number, filed_on, business_started_on, calendar, payment_licence)
SELECT %(id)s, book.id, %(code)s, %(name)s, %(time_zone)s, %(created_at)s,
  %(issuer_class)s, %(legal_name)s, %(legal_code)s, %(group_code)s, %(brand)s, %(province)s, %(filing_number)s,
  %(filed_on)s, %(business_started_on)s, %(calendar)s, %(payment_licence)s
FROM book;

-- name: change_issuer
WITH changed AS (
  UPDATE parties_issuer SET version = version + 1,
    name = %(name)s, issuer_class = %(issuer_class)s, legal_name = %(legal_name)s, legal_code = %(legal_code)s,
    group_code = %(group_code)s, brand = %(brand)s, province = %(province)s, filing_number = %(filing_number)s,
    filed_on = %(filed_on)s, business_started_on = %(business_started_on)s, calendar = %(calendar)s,
    payment_licence = %(payment_licence)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM changed WHERE b.id = changed.book_id;

-- name: issuers
SELECT id, book_id, code, name, time_zone, created_at, issuer_class, legal_name, legal_code, group_code, brand,
  province, filing_number, filed_on, business_started_on, calendar, payment_licence, version
FROM parties_issuer
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(name)s::text IS NULL OR starts_with(name, %(name)s))
ORDER BY id DESC LIMIT %(limit)s;

-- name: insert_merchant
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_merchant (id, book_id, code, name, trade, created_at, legal_name, legal_code, group_code, brand)
SELECT %(id)s, book.id, %(code)s, %(name)s, %(trade)s, %(created_at)s,
  %(legal_name)s, %(legal_code)s, %(group_code)s, %(brand)s
FROM book;

-- name: change_merchant
WITH changed AS (
  UPDATE parties_merchant SET version = version + 1,
    name = %(name)s, trade = %(trade)s, legal_name = %(legal_name)s, legal_code = %(legal_code)s,
    group_code = %(group_code)s, brand = %(brand)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM changed WHERE b.id = changed.book_id;

-- name: merchants
SELECT id, book_id, code, name, trade, created_at, legal_name, legal_code, group_code, brand, version
FROM parties_merchant
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(name)s::text IS NULL OR starts_with(name, %(name)s))
ORDER BY id DESC LIMIT %(limit)s;

-- name: insert_store
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_store (id, book_id, merchant_id, code, name, created_at, trade, latitude_udeg, longitude_udeg,
  district)
SELECT %(id)s, book.id, %(merchant_id)s, %(code)s, %(name)s, %(created_at)s,
  %(trade)s, %(latitude_udeg)s, %(longitude_udeg)s, %(district)s
FROM book;

-- name: change_store
WITH changed AS (
  UPDATE parties_store SET version = version + 1,
    name = %(name)s, trade = %(trade)s, latitude_udeg = %(latitude_udeg)s, longitude_udeg = %(longitude_udeg)s,
    district = %(district)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM changed WHERE b.id = changed.book_id;

-- name: stores
SELECT id, book_id, merchant_id, code, name, created_at, trade, latitude_udeg, longitude_udeg, version,
  district
FROM parties_store
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(name)s::text IS NULL OR starts_with(name, %(name)s))
  AND (%(merchant_id)s::uuid IS NULL OR merchant_id = %(merchant_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: insert_terminal
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_terminal (id, book_id, store_id, code, status, created_at)
SELECT %(id)s, book.id, %(store_id)s, %(code)s, %(status)s, %(created_at)s FROM book;

-- name: change_terminal
WITH changed AS (
  UPDATE parties_terminal SET status = %(status)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND status <> %(status)s RETURNING book_id
)
UPDATE parties_book b SET version = b.version + 1 FROM changed WHERE b.id = changed.book_id;

-- name: terminals
SELECT t.id, t.book_id, t.store_id, t.code, t.status, t.created_at FROM parties_terminal t
WHERE t.book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR t.id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR t.id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR t.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR t.created_at < %(created_before)s)
  AND (%(code)s::text IS NULL OR t.code = %(code)s)
  AND (%(store_id)s::uuid IS NULL OR t.store_id = %(store_id)s)
  AND (%(merchant_id)s::uuid IS NULL OR t.store_id IN (
    SELECT s.id FROM parties_store s WHERE s.book_id = %(book_id)s AND s.merchant_id = %(merchant_id)s))
  AND (%(status)s::text IS NULL OR t.status = %(status)s)
ORDER BY t.id DESC LIMIT %(limit)s;

-- name: insert_funder
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO parties_funder (book_id, id, code, name, kind, legal_code, created_at)
SELECT book.id, %(id)s, %(code)s, %(name)s, %(kind)s, %(legal_code)s, %(created_at)s FROM book;

-- name: funders
SELECT id, book_id, code, name, kind, legal_code, created_at FROM parties_funder
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(name)s::text IS NULL OR starts_with(name, %(name)s))
ORDER BY id DESC LIMIT %(limit)s;
