-- name: insert_programme
-- With the first version of its terms.
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id),
made AS (
  INSERT INTO cards_programme (id, book_id, issuer_id, code, name, currency, number_prefix, created_at)
  SELECT %(id)s, book.id, %(issuer_id)s, %(code)s, %(name)s, %(currency)s, %(number_prefix)s, %(created_at)s
  FROM book
  RETURNING id, book_id
)
INSERT INTO cards_programme_terms
  (programme_id, version, book_id, terms, effective_from, changed_by, approval_id, created_at)
SELECT made.id, 1, made.book_id, %(terms)s::jsonb, %(created_at)s, %(changed_by)s, NULL, %(created_at)s FROM made;

-- name: insert_terms
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO cards_programme_terms
  (programme_id, version, book_id, terms, effective_from, changed_by, approval_id, created_at)
SELECT %(programme_id)s, %(version)s, book.id, %(terms)s::jsonb, %(effective_from)s, %(changed_by)s, %(approval_id)s,
       %(created_at)s
FROM book
ON CONFLICT (programme_id, version) DO NOTHING;

-- name: terms_versions
SELECT programme_id, version, book_id, terms, effective_from, changed_by, approval_id, created_at
FROM cards_programme_terms
WHERE book_id = %(book_id)s AND programme_id = %(programme_id)s
ORDER BY version DESC;

-- name: programmes
-- Each under the newest version of its terms, or the one that is asked for.
SELECT p.id, p.book_id, p.issuer_id, p.code, p.name, p.currency, p.number_prefix, i.time_zone, p.created_at,
       e.id, e.announced_at, e.stops_at, e.last_day, e.ends_at, t.version, t.effective_from, t.terms
FROM cards_programme p
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
LEFT JOIN cards_programme_end e ON e.programme_id = p.id AND e.withdrawn_at IS NULL
CROSS JOIN LATERAL (
  SELECT version, effective_from, terms FROM cards_programme_terms
  WHERE programme_id = p.id AND (%(version)s::integer IS NULL OR version = %(version)s)
  ORDER BY version DESC LIMIT 1
) AS t
WHERE p.book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR p.id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR p.id < %(after_id)s)
  AND (%(code)s::text IS NULL OR p.code = %(code)s)
  AND (%(issuer_id)s::uuid IS NULL OR p.issuer_id = %(issuer_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR p.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR p.created_at < %(created_before)s)
ORDER BY p.id DESC LIMIT %(limit)s;

-- name: programmes_of_books
-- Every programme of these books under every version of its terms, the newest last.
SELECT p.id, p.book_id, p.issuer_id, p.code, p.name, p.currency, p.number_prefix, i.time_zone, p.created_at,
       e.id, e.announced_at, e.stops_at, e.last_day, e.ends_at, t.version, t.effective_from, t.terms
FROM cards_programme p
JOIN parties_issuer i ON i.book_id = p.book_id AND i.id = p.issuer_id
LEFT JOIN cards_programme_end e ON e.programme_id = p.id AND e.withdrawn_at IS NULL
JOIN cards_programme_terms t ON t.programme_id = p.id
WHERE p.book_id = ANY (%(book_ids)s::int[])
ORDER BY p.id, t.version;

-- name: accepted_trades
SELECT programme_id, trade FROM cards_acceptance_trade
WHERE book_id = ANY (%(book_ids)s::int[]) AND programme_id = ANY (%(programmes)s::uuid[]);

-- name: merchants_of_law
-- Who stands behind the asked merchants and behind those with a store of an asked trade.
SELECT m.id, m.book_id, m.code, m.name, m.trade, m.created_at, m.legal_name, m.legal_code, m.group_code, m.brand
FROM parties_merchant m
WHERE m.book_id = %(book_id)s
  AND (m.id = ANY (%(merchants)s::uuid[])
    OR m.trade = ANY (%(trades)s::text[])
    OR EXISTS (SELECT FROM parties_store s
               WHERE s.book_id = m.book_id AND s.merchant_id = m.id AND s.trade = ANY (%(trades)s::text[])))
ORDER BY m.id;

-- name: acceptances
SELECT programme_id, merchant_id, store_id FROM cards_acceptance
WHERE book_id = ANY (%(book_ids)s::int[]) AND programme_id = ANY (%(programmes)s::uuid[]);

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
  RETURNING a.book_id, a.merchant_id, a.store_id
),
book AS (UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM removed))
SELECT merchant_id, store_id FROM removed;

-- name: add_acceptances
WITH added AS (
  INSERT INTO cards_acceptance (book_id, programme_id, merchant_id, store_id)
  SELECT %(book_id)s, %(programme_id)s, a.merchant_id, a.store_id
  FROM unnest(%(merchants)s::uuid[], %(stores)s::uuid[]) AS a (merchant_id, store_id)
  ON CONFLICT ON CONSTRAINT cards_acceptance_once DO NOTHING
  RETURNING book_id, merchant_id, store_id
),
book AS (UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM added))
SELECT merchant_id, store_id FROM added;

-- name: remove_trades
WITH removed AS (
  DELETE FROM cards_acceptance_trade
  WHERE book_id = %(book_id)s AND programme_id = %(programme_id)s AND trade = ANY (%(trades)s::text[])
  RETURNING book_id, trade
),
book AS (UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM removed))
SELECT trade FROM removed;

-- name: add_trades
WITH added AS (
  INSERT INTO cards_acceptance_trade (book_id, programme_id, trade)
  SELECT %(book_id)s, %(programme_id)s, trade FROM unnest(%(trades)s::text[]) AS t (trade)
  ON CONFLICT (programme_id, trade) DO NOTHING
  RETURNING book_id, trade
),
book AS (UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM added))
SELECT trade FROM added;

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
INSERT INTO cards_batch (id, book_id, programme_id, name, form, card_count, created_at, terms_version, face_fen)
VALUES (%(id)s, %(book_id)s, %(programme_id)s, %(name)s, %(form)s, %(card_count)s, %(created_at)s, %(terms_version)s,
        %(face_fen)s);

-- name: batches
SELECT id, book_id, programme_id, name, form, card_count, issued_count, created_at, finished_at, terms_version,
       face_fen
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
-- One whose programme has stopped stays as it is; now NULL: those too.
SELECT b.book_id, b.id FROM cards_batch b
WHERE b.finished_at IS NULL AND NOT EXISTS (
  SELECT FROM cards_programme_end e
  WHERE e.programme_id = b.programme_id AND e.withdrawn_at IS NULL AND e.stops_at <= %(now)s::timestamptz)
ORDER BY b.id;

-- name: lock_batch
-- Two runners of one batch take turns here: each sees what the other has issued.
SELECT card_count - issued_count FROM cards_batch
WHERE book_id = %(book_id)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: advance_batch
UPDATE cards_batch
SET issued_count = issued_count + %(made)s,
    finished_at = CASE WHEN issued_count + %(made)s = card_count THEN coalesce(finished_at, %(at)s) END
WHERE book_id = %(book_id)s AND id = %(id)s
RETURNING id, book_id, programme_id, name, form, card_count, issued_count, created_at, finished_at, terms_version,
          face_fen;

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
COPY cards_card (slot, id, book_id, programme_id, batch_id, form, status, terms_version, number_last4, number_sealed,
                 created_at)
FROM STDIN;

-- name: numbers
SELECT lookup, card_slot, card_id FROM cards_number
WHERE slot = %(slot)s AND lookup = ANY (%(lookups)s::uuid[]);

-- name: card
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_card c
WHERE c.slot = %(slot)s AND c.id = %(id)s AND c.book_id = %(book_id)s;

-- name: cards_named
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_card c
WHERE c.slot = ANY (%(slots)s::smallint[]) AND c.id = ANY (%(ids)s::uuid[]) AND c.book_id = %(book_id)s;

-- name: cards
-- Of each programme the newest that fit, then the newest of those: every programme is one walk along its index.
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_programme p
CROSS JOIN LATERAL (
  SELECT * FROM cards_card
  WHERE slot = %(slot)s AND programme_id = p.id
    AND (%(after_id)s::uuid IS NULL OR id < %(after_id)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(customer_id)s::uuid IS NULL OR customer_id = %(customer_id)s)
    AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
    AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
  ORDER BY id DESC LIMIT %(limit)s
) AS c
WHERE p.book_id = %(book_id)s AND (%(programme_id)s::uuid IS NULL OR p.id = %(programme_id)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: cards_by_last4
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_card c
WHERE c.slot = %(slot)s AND c.book_id = %(book_id)s AND c.number_last4 = %(last4)s
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(batch_id)s::uuid IS NULL OR c.batch_id = %(batch_id)s)
  AND (%(programme_id)s::uuid IS NULL OR c.programme_id = %(programme_id)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(customer_id)s::uuid IS NULL OR c.customer_id = %(customer_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.created_at < %(created_before)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: cards_by_batch
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_card c
WHERE c.slot = %(slot)s AND c.batch_id = %(batch_id)s AND c.book_id = %(book_id)s
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(programme_id)s::uuid IS NULL OR c.programme_id = %(programme_id)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(customer_id)s::uuid IS NULL OR c.customer_id = %(customer_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.created_at < %(created_before)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: change_card
UPDATE cards_card
SET status = %(status)s, status_reason = %(status_reason)s, activated_at = %(activated_at)s,
    expires_at = %(expires_at)s, customer_id = %(customer_id)s, registered_at = %(registered_at)s,
    loss_reported_at = %(loss_reported_at)s, loss_due_at = %(loss_due_at)s, lost_at = %(lost_at)s,
    gift_id = %(gift_id)s, replaces_id = %(replaces_id)s, replaced_by_id = %(replaced_by_id)s,
    terms_version = %(terms_version)s, sale_id = %(sale_id)s, version = version + 1
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
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND status = 'issued'
RETURNING id, book_id, status, version;

-- name: block_adopted
UPDATE cards_card SET status = 'blocked', status_reason = 'operator', version = version + 1
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND book_id = %(book_id)s AND status = ANY (%(blockable)s)
RETURNING id, book_id, status, version;

-- name: lock_cards
SELECT id FROM cards_card WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: set_aside
UPDATE cards_card SET sale_id = %(sale_id)s, version = version + 1
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND book_id = %(book_id)s AND status = 'issued'
  AND customer_id IS NULL AND loss_reported_at IS NULL AND sale_id IS NULL
RETURNING id, book_id, status, version;

-- name: end_sale
UPDATE cards_card SET sale_id = NULL, version = version + 1
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) AND book_id = %(book_id)s AND sale_id = %(sale_id)s
RETURNING id, book_id, status, version;

-- name: adopted
SELECT id FROM cards_card WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]) ORDER BY id;

-- name: hold_cards
SELECT ledger_touch_accounts_v1(%(slot)s::smallint, id) FROM unnest(%(ids)s::uuid[]) AS held (id) ORDER BY id;

-- name: terms_of_customer
-- The terms of the cards that somebody has, and of those that were registered to them before.
SELECT DISTINCT c.programme_id, c.terms_version FROM cards_card c
WHERE c.slot = %(slot)s AND c.book_id = %(book_id)s AND c.customer_id = %(customer_id)s
UNION
SELECT c.programme_id, c.terms_version FROM cards_event e
JOIN cards_card c ON c.slot = e.slot AND c.id = e.card_id
WHERE e.slot = %(slot)s AND e.book_id = %(book_id)s AND e.kind = 'registered'
  AND e.details ->> 'customer_id' = %(customer_hex)s;

-- name: tenures
-- Which cards somebody has or had, and from when until when. Whose card it was first held it, unregistered, before.
WITH card AS (
  SELECT c.id, c.customer_id, c.registered_at FROM cards_card c
  WHERE c.slot = %(slot)s AND c.book_id = %(book_id)s AND c.customer_id = %(customer_id)s
  UNION
  SELECT c.id, c.customer_id, c.registered_at FROM cards_event e
  JOIN cards_card c ON c.slot = e.slot AND c.id = e.card_id
  WHERE e.slot = %(slot)s AND e.book_id = %(book_id)s AND e.kind = 'registered'
    AND e.details ->> 'customer_id' = %(customer_hex)s
  UNION
  SELECT c.id, c.customer_id, c.registered_at FROM cards_gift g
  JOIN cards_card c ON c.slot = g.slot AND c.id = g.card_id
  WHERE g.slot = %(slot)s AND g.book_id = %(book_id)s AND g.claimed_by = %(customer_id)s
), holder AS (
  SELECT e.card_id, e.at, (e.details ->> 'customer_id')::uuid AS customer_id FROM cards_event e
  WHERE e.slot = %(slot)s AND e.card_id IN (SELECT id FROM card) AND e.kind IN ('registered', 'unbound')
  UNION
  SELECT g.card_id, g.ended_at, g.claimed_by FROM cards_gift g
  WHERE g.slot = %(slot)s AND g.card_id IN (SELECT id FROM card) AND g.status = 'claimed'
  UNION
  SELECT id, registered_at, customer_id FROM card WHERE customer_id IS NOT NULL
), tenure AS (
  SELECT card_id, customer_id, CASE WHEN row_number() OVER w > 1 THEN at END AS begins, lead(at) OVER w AS ends
  FROM holder WINDOW w AS (PARTITION BY card_id ORDER BY at NULLS FIRST)
)
SELECT card_id, begins, ends FROM tenure WHERE customer_id = %(customer_id)s ORDER BY card_id, begins NULLS FIRST;

-- name: cards_by_customer
SELECT c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.status, c.status_reason, c.number_last4,
       c.expires_at, c.created_at, c.activated_at, c.version, c.customer_id, c.registered_at, c.loss_reported_at,
       c.loss_due_at, c.lost_at, c.gift_id, c.replaces_id, c.replaced_by_id, c.terms_version, c.sale_id
FROM cards_card c
WHERE c.slot = %(slot)s AND c.customer_id = %(customer_id)s AND c.book_id = %(book_id)s
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(programme_id)s::uuid IS NULL OR c.programme_id = %(programme_id)s)
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.created_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.created_at < %(created_before)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: losses_due
SELECT book_id, id FROM cards_card
WHERE slot = %(slot)s AND loss_due_at <= %(until)s AND lost_at IS NULL
  AND status IN ('issued', 'active', 'blocked', 'gifted')
ORDER BY loss_due_at LIMIT %(limit)s;

-- name: record
SELECT cards_record_v1(%(slot)s::smallint, %(kind)s::text, %(at)s::timestamptz, %(actor)s::text, %(reason)s::text,
  %(details)s::jsonb, %(cards)s::uuid[], %(ids)s::uuid[], %(books)s::integer[], %(statuses)s::text[],
  %(versions)s::integer[], %(leaves)s::bytea[], %(salts)s::bytea[]);

-- name: events
SELECT slot, card_id, id, book_id, kind, at, actor, reason, status, version, details
FROM cards_event
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s
  AND (%(before_id)s::uuid IS NULL OR id < %(before_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: put_pin
-- A new PIN takes the place of the one that it was decided on, which may be none.
INSERT INTO cards_pin (slot, card_id, book_id, hash, attempts, set_at)
VALUES (%(slot)s, %(card_id)s, %(book_id)s, %(hash)s, 0, %(at)s)
ON CONFLICT (slot, card_id) DO UPDATE SET hash = excluded.hash, attempts = 0, set_at = excluded.set_at
WHERE cards_pin.hash IS NOT DISTINCT FROM %(before)s;

-- name: claim_attempt
-- Counts a guess before it is compared: the row is locked for this one statement, and no guess beyond the last gets in.
UPDATE cards_pin SET attempts = attempts + 1
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s AND hash IS NOT NULL
  AND attempts < %(max_attempts)s
RETURNING hash, attempts;

-- name: pin
SELECT hash, attempts FROM cards_pin WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s;

-- name: claim_guess
-- Both at once, for a card that may not be there: counts a guess if one is left, and tells what is kept in any case.
WITH kept AS (
  SELECT p.hash, p.attempts,
         coalesce((t.terms ->> 'pin_max_attempts')::integer, %(default_attempts)s) AS pin_max_attempts
  FROM cards_pin p
  JOIN cards_card c ON c.slot = p.slot AND c.id = p.card_id AND c.book_id = p.book_id
  JOIN cards_programme_terms t ON t.programme_id = c.programme_id AND t.version = c.terms_version
  WHERE p.slot = %(slot)s AND p.card_id = %(card_id)s AND p.book_id = %(book_id)s AND p.hash IS NOT NULL
), claimed AS (
  UPDATE cards_pin SET attempts = cards_pin.attempts + 1 FROM kept
  WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s AND cards_pin.hash = kept.hash
    AND cards_pin.attempts < kept.pin_max_attempts
  RETURNING cards_pin.attempts
)
SELECT kept.hash, claimed.attempts, kept.pin_max_attempts FROM kept LEFT JOIN claimed ON true;

-- name: settle_guess
WITH reset AS (
  UPDATE cards_pin SET attempts = 0
  WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s AND hash = %(hash)s AND %(is_right)s
)
SELECT cards_record_v1(%(slot)s::smallint, %(kind)s::text, %(at)s::timestamptz, %(actor)s::text, %(reason)s::text,
  %(details)s::jsonb, %(cards)s::uuid[], %(ids)s::uuid[], %(books)s::integer[], %(statuses)s::text[],
  %(versions)s::integer[], %(leaves)s::bytea[], %(salts)s::bytea[])
WHERE %(locks)s;

-- name: reset_attempts
-- After a right guess: only for the PIN that was guessed.
UPDATE cards_pin SET attempts = 0
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s AND hash = %(hash)s;

-- name: unlock_pin
UPDATE cards_pin SET attempts = 0, hash = CASE WHEN %(forget)s THEN NULL ELSE hash END
WHERE slot = %(slot)s AND card_id = %(card_id)s AND book_id = %(book_id)s AND hash IS NOT NULL;

-- name: insert_transfer
INSERT INTO cards_transfer
  (slot, id, book_id, kind, status, from_card_id, to_card_id, amount_fen, actor, key_hash, request_hash, created_at,
   finished_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(kind)s, %(status)s, %(from_card_id)s, %(to_card_id)s, %(amount_fen)s,
        %(actor)s, %(key_hash)s, %(request_hash)s, %(created_at)s, %(finished_at)s)
ON CONFLICT (slot, key_hash) DO NOTHING;

-- name: transfer
SELECT slot, id, book_id, kind, status, from_card_id, to_card_id, amount_fen, out_id, in_id, abandoned_for, actor,
       key_hash, request_hash, created_at, finished_at
FROM cards_transfer WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: transfer_by_key
SELECT slot, id, book_id, kind, status, from_card_id, to_card_id, amount_fen, out_id, in_id, abandoned_for, actor,
       key_hash, request_hash, created_at, finished_at
FROM cards_transfer WHERE slot = %(slot)s AND key_hash = %(key_hash)s AND book_id = %(book_id)s;

-- name: unfinished_transfers
SELECT slot, id, book_id, kind, status, from_card_id, to_card_id, amount_fen, out_id, in_id, abandoned_for, actor,
       key_hash, request_hash, created_at, finished_at
FROM cards_transfer
WHERE slot = %(slot)s AND status IN ('open', 'out') AND created_at <= %(until)s
ORDER BY created_at LIMIT %(limit)s;

-- name: insert_fee
INSERT INTO cards_fee (slot, id, book_id, card_id, kind, amount_fen, currency, transfer_id, charged_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(kind)s, %(amount_fen)s, %(currency)s, %(transfer_id)s,
        %(charged_at)s);

-- name: fee_of_transfer
SELECT slot, id, book_id, card_id, kind, amount_fen, currency, transfer_id, charged_at
FROM cards_fee WHERE slot = %(slot)s AND transfer_id = %(transfer_id)s;

-- name: has_transfer
-- Whether balance of a card is on its way, from it or to it, in any slot.
SELECT EXISTS (
  SELECT FROM cards_transfer
  WHERE slot = ANY (%(slots)s::smallint[]) AND status IN ('open', 'out') AND book_id = %(book_id)s
    AND %(card_id)s IN (from_card_id, to_card_id));

-- name: change_transfer
UPDATE cards_transfer
SET status = %(status)s, amount_fen = %(amount_fen)s, out_id = %(out_id)s, in_id = %(in_id)s,
    abandoned_for = %(abandoned_for)s, finished_at = %(finished_at)s
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s AND status = %(before)s;

-- name: left_behind
-- Cards that were replaced and hold something again, without a transfer that is about to take it.
SELECT c.book_id, c.id
FROM cards_card c
WHERE c.slot = %(slot)s AND c.status = 'replaced' AND c.id > %(after_id)s
  AND EXISTS (SELECT FROM ledger_account a WHERE a.slot = %(slot)s AND a.owner_id = c.id
              AND a.credits_posted - a.debits_posted > a.debits_pending)
  AND NOT EXISTS (SELECT FROM cards_transfer t WHERE t.slot = %(slot)s AND t.from_card_id = c.id
                  AND t.status IN ('open', 'out'))
ORDER BY c.id LIMIT %(limit)s;

-- name: insert_gift
INSERT INTO cards_gift (slot, id, book_id, card_id, status, message_sealed, secret_hash, created_at, expires_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(status)s, %(message_sealed)s, %(secret_hash)s, %(created_at)s,
        %(expires_at)s);

-- name: gift
SELECT slot, id, book_id, card_id, status, message_sealed, secret_hash, created_at, expires_at, ended_at, claimed_by,
       new_card_id
FROM cards_gift WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: gifts_over
SELECT slot, id, book_id, card_id, status, message_sealed, secret_hash, created_at, expires_at, ended_at, claimed_by,
       new_card_id
FROM cards_gift WHERE slot = %(slot)s AND status = 'open' AND expires_at <= %(now)s
ORDER BY expires_at LIMIT %(limit)s;

-- name: end_gift
UPDATE cards_gift
SET status = %(status)s, ended_at = %(ended_at)s, claimed_by = %(claimed_by)s, new_card_id = %(new_card_id)s
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s AND status = 'open';

-- name: reasons_of_tenure
-- What happened to a card while it was somebody's for a reason that was given, and the salt of its leaf.
SELECT e.slot, e.card_id, e.id, e.book_id, e.kind, e.at, e.actor, e.reason, e.status, e.version, e.details, l.salt
FROM cards_event AS e
JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id
WHERE e.slot = %(slot)s AND e.card_id = %(card_id)s AND e.book_id = %(book_id)s
  AND e.reason IS NOT NULL AND l.salt IS NOT NULL
  AND (%(begins)s::timestamptz IS NULL OR e.at >= %(begins)s) AND (%(ends)s::timestamptz IS NULL OR e.at <= %(ends)s)
ORDER BY e.id;

-- name: erase_reasons
SELECT erased FROM cards_erase_openings_v1(
  %(slot)s::smallint, %(book_id)s::integer, %(ids)s::uuid[], %(entries)s::bytea[], %(commitments)s::bytea[]);
