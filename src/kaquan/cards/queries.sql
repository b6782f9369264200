-- name: insert_programme
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO cards_programme
  (id, book_id, issuer_id, code, name, currency, number_prefix, spend_order, max_balance_fen, authorization_ttl_s,
   principal_valid_days, bonus_valid_days, created_at)
SELECT %(id)s, book.id, %(issuer_id)s, %(code)s, %(name)s, %(currency)s, %(number_prefix)s, %(spend_order)s,
       %(max_balance_fen)s, %(authorization_ttl_s)s, %(principal_valid_days)s, %(bonus_valid_days)s, %(created_at)s
FROM book;

-- name: programmes
SELECT p.id, p.book_id, p.issuer_id, p.code, p.name, p.currency, p.number_prefix, p.spend_order, p.max_balance_fen,
       p.authorization_ttl_s, p.principal_valid_days, p.bonus_valid_days, i.time_zone, p.created_at
FROM cards_programme p JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
WHERE p.book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR p.id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR p.id < %(after_id)s)
  AND (%(code)s::text IS NULL OR p.code = %(code)s)
  AND (%(issuer_id)s::uuid IS NULL OR p.issuer_id = %(issuer_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR p.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR p.created_at < %(created_before)s)
ORDER BY p.id DESC LIMIT %(limit)s;

-- name: acceptances
SELECT programme_id, merchant_id, store_id FROM cards_acceptance
WHERE book_id = %(book_id)s AND programme_id = ANY (%(programmes)s::uuid[]);

-- name: book_versions
SELECT id, version FROM parties_book;

-- name: known_places
-- Which of the asked merchants are of this book, and whose the asked stores are.
SELECT m.id, NULL::uuid FROM parties_merchant m
WHERE m.book_id = %(book_id)s AND m.id = ANY (%(merchants)s::uuid[])
UNION ALL
SELECT s.merchant_id, s.id FROM parties_store s
WHERE s.book_id = %(book_id)s AND s.id = ANY (%(stores)s::uuid[]);

-- name: remove_acceptances
WITH removed AS (
  DELETE FROM cards_acceptance a
  USING unnest(%(merchants)s::uuid[], %(stores)s::uuid[]) AS r (merchant_id, store_id)
  WHERE a.book_id = %(book_id)s AND a.programme_id = %(programme_id)s AND a.merchant_id = r.merchant_id
    AND a.store_id IS NOT DISTINCT FROM r.store_id
  RETURNING a.book_id
)
UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM removed);

-- name: add_acceptances
WITH added AS (
  INSERT INTO cards_acceptance (book_id, programme_id, merchant_id, store_id)
  SELECT %(book_id)s, %(programme_id)s, a.merchant_id, a.store_id
  FROM unnest(%(merchants)s::uuid[], %(stores)s::uuid[]) AS a (merchant_id, store_id)
  ON CONFLICT ON CONSTRAINT cards_acceptance_once DO NOTHING
  RETURNING book_id
)
UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM added);

-- name: lock_programmes
-- All of the book, in one order: prefixes lie in one another, so the room of one is the room of others.
SELECT id FROM cards_programme WHERE book_id = %(book_id)s ORDER BY id FOR NO KEY UPDATE;

-- name: promised_cards
-- How many cards each programme of the book has or, by batches still running, will have.
SELECT p.number_prefix,
       (SELECT count(*) FROM cards_card c
        WHERE c.slot = ANY (%(slots)s::smallint[]) AND c.programme_id = p.id)
       + coalesce((SELECT sum(b.card_count - b.issued_count) FROM cards_batch b
                   WHERE b.book_id = p.book_id AND b.programme_id = p.id), 0)::bigint
FROM cards_programme p WHERE p.book_id = %(book_id)s;

-- name: insert_batch
INSERT INTO cards_batch (id, book_id, programme_id, name, form, card_count, created_at)
VALUES (%(id)s, %(book_id)s, %(programme_id)s, %(name)s, %(form)s, %(card_count)s, %(created_at)s);

-- name: batches
SELECT id, book_id, programme_id, name, form, card_count, issued_count, created_at, finished_at
FROM cards_batch
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
  AND (%(name)s::text IS NULL OR name = %(name)s)
  AND (%(programme_id)s::uuid IS NULL OR programme_id = %(programme_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: unfinished_batches
SELECT book_id, id FROM cards_batch WHERE finished_at IS NULL ORDER BY id;

-- name: lock_batch
-- Two runners of one batch take turns here: each sees what the other has issued.
SELECT card_count - issued_count FROM cards_batch
WHERE book_id = %(book_id)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: advance_batch
UPDATE cards_batch
SET issued_count = issued_count + %(made)s,
    finished_at = CASE WHEN issued_count + %(made)s = card_count THEN coalesce(finished_at, %(at)s) END
WHERE book_id = %(book_id)s AND id = %(id)s
RETURNING id, book_id, programme_id, name, form, card_count, issued_count, created_at, finished_at;

-- name: copy_numbers
COPY cards_number (slot, lookup, card_slot, card_id, key_id) FROM STDIN;

-- name: claim_numbers
INSERT INTO cards_number (slot, lookup, card_slot, card_id, key_id)
SELECT * FROM unnest(
  %(slots)s::smallint[], %(lookups)s::uuid[], %(card_slots)s::smallint[], %(card_ids)s::uuid[], %(key_ids)s::text[])
ON CONFLICT (slot, lookup) DO NOTHING
RETURNING card_id;

-- name: give_back_numbers
DELETE FROM cards_number n
USING unnest(%(slots)s::smallint[], %(lookups)s::uuid[], %(card_ids)s::uuid[]) AS given (slot, lookup, card_id)
WHERE n.slot = given.slot AND n.lookup = given.lookup AND n.card_id = given.card_id
  AND n.card_id = ANY (%(half)s::uuid[]);

-- name: copy_cards
COPY cards_card (slot, id, book_id, programme_id, batch_id, form, status, number_last4, number_sealed, created_at)
FROM STDIN;

-- name: numbers
SELECT lookup, card_slot, card_id FROM cards_number
WHERE slot = %(slot)s AND lookup = ANY (%(lookups)s::uuid[]);

-- name: card
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version
FROM cards_card c
WHERE c.slot = %(slot)s AND c.id = %(id)s AND c.book_id = %(book_id)s;

-- name: cards
-- Of each programme the newest that fit, then the newest of those: every programme is one walk along its index.
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version
FROM cards_programme p
CROSS JOIN LATERAL (
  SELECT * FROM cards_card
  WHERE slot = %(slot)s AND programme_id = p.id
    AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
    AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  ORDER BY id DESC LIMIT %(limit)s
) AS c
WHERE p.book_id = %(book_id)s AND (%(programme_id)s::uuid IS NULL OR p.id = %(programme_id)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: cards_by_last4
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version
FROM cards_card c
WHERE c.slot = %(slot)s AND c.book_id = %(book_id)s AND c.number_last4 = %(last4)s
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(batch_id)s::uuid IS NULL OR c.batch_id = %(batch_id)s)
  AND (%(programme_id)s::uuid IS NULL OR c.programme_id = %(programme_id)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.created_at < %(created_before)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: cards_by_batch
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version
FROM cards_card c
WHERE c.slot = %(slot)s AND c.batch_id = %(batch_id)s AND c.book_id = %(book_id)s
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(programme_id)s::uuid IS NULL OR c.programme_id = %(programme_id)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.created_at < %(created_before)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: change_card
UPDATE cards_card
SET status = %(status)s, status_reason = %(status_reason)s, activated_at = %(activated_at)s, version = version + 1
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s AND version = %(version)s;

-- name: touch_accounts
SELECT ledger_touch_accounts_v1(%(slot)s::smallint, %(card_id)s::uuid);

-- name: sealed_number
SELECT number_sealed FROM cards_card WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: numbers_to_copy
SELECT c.id, c.number_sealed FROM cards_card c
WHERE c.slot = %(slot)s AND c.id > %(after_id)s ORDER BY c.id LIMIT %(limit)s;

-- name: drop_lookups
DELETE FROM cards_number
WHERE slot = %(slot)s AND lookup = ANY (
  ARRAY (SELECT lookup FROM cards_number WHERE slot = %(slot)s AND key_id <> %(keep)s LIMIT %(limit)s));

-- name: lookup_counts
SELECT key_id, count(*) FROM cards_number WHERE slot = ANY (%(slots)s::smallint[]) GROUP BY key_id;

-- name: card_count
SELECT count(*) FROM cards_card WHERE slot = ANY (%(slots)s::smallint[]);

-- name: sealed_cards
SELECT c.id, c.number_sealed, s.secret_sealed, s.pin_sealed
FROM cards_card c LEFT JOIN cards_secret s ON s.slot = c.slot AND s.card_id = c.id
WHERE c.slot = %(slot)s AND c.batch_id = %(batch_id)s AND c.book_id = %(book_id)s AND c.id > %(after_id)s
ORDER BY c.id LIMIT %(limit)s;

-- name: insert_secrets
INSERT INTO cards_secret AS s (slot, card_id, book_id, secret_sealed, pin_sealed, created_at)
SELECT made.slot, made.card_id, %(book_id)s, made.secret, made.pin, %(created_at)s
FROM unnest(%(slots)s::smallint[], %(card_ids)s::uuid[], %(secrets)s::bytea[], %(pins)s::bytea[])
  AS made (slot, card_id, secret, pin)
ON CONFLICT ON CONSTRAINT cards_secret_pkey DO UPDATE SET pin_sealed = excluded.pin_sealed
WHERE s.pin_sealed IS NULL AND excluded.pin_sealed IS NOT NULL;

-- name: secret
SELECT secret_sealed, pin_sealed FROM cards_secret
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s;

-- name: activate_adopted
UPDATE cards_card SET status = 'active', activated_at = %(at)s, version = version + 1
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND status = 'issued';

-- name: block_adopted
UPDATE cards_card SET status = 'blocked', status_reason = 'operator', version = version + 1
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND book_id = %(book_id)s AND status <> 'blocked';

-- name: adopted
SELECT id FROM cards_card WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) ORDER BY id;

-- name: hold_cards
SELECT ledger_touch_accounts_v1(%(slot)s::smallint, id) FROM unnest(%(ids)s::uuid[]) AS held (id) ORDER BY id;
