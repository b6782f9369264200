-- Of templates and batches there are few; a voucher is in the slot of its id.

-- name: insert_template
INSERT INTO vouchers_template (book_id, id, issuer_id, code, name, kind, currency, face_fen, offer_kind, offer_params,
  offer_conditions, offer_stacking, funders, time_zone, valid_from, valid_until, valid_days, max_per_holder, transferable, returnable, load_pocket, district,
  eligibility, created_at)
VALUES (%(book_id)s, %(id)s, %(issuer_id)s, %(code)s, %(name)s, %(kind)s, %(currency)s, %(face_fen)s, %(offer_kind)s,
  %(offer_params)s::jsonb, %(offer_conditions)s::jsonb, %(offer_stacking)s::jsonb, %(funders)s::jsonb, %(time_zone)s, %(valid_from)s, %(valid_until)s, %(valid_days)s,
  %(max_per_holder)s, %(transferable)s, %(returnable)s, %(load_pocket)s, %(district)s, %(eligibility)s::jsonb,
  %(created_at)s);

-- name: end_template
UPDATE vouchers_template SET ended_at = %(at)s WHERE book_id = %(book_id)s AND id = %(id)s AND ended_at IS NULL;

-- name: templates
SELECT id, book_id, issuer_id, code, name, kind, currency, face_fen, offer_kind, offer_params,
       offer_conditions, offer_stacking, funders, time_zone,
       valid_from, valid_until, valid_days, max_per_holder, transferable, returnable, load_pocket, district, eligibility,
       created_at, ended_at
FROM vouchers_template
WHERE book_id = %(book_id)s
  AND id = ANY (%(ids)s::uuid[])  -- if ids
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND code = %(code)s  -- if code
  AND starts_with(name, %(name)s)  -- if name
ORDER BY id DESC LIMIT %(limit)s;

-- name: lock_book
-- Batches of a book that are made at once take turns, so that two do not both take the room for one.
SELECT id FROM parties_book WHERE id = %(book_id)s FOR NO KEY UPDATE;

-- name: codes_of_length
SELECT coalesce(sum(voucher_count), 0)::bigint FROM vouchers_batch
WHERE book_id = %(book_id)s AND code_length = %(code_length)s;

-- name: insert_batch
INSERT INTO vouchers_batch (book_id, id, template_id, name, source, voucher_count, issued_count, code_length, created_by,
  created_at, finished_at)
VALUES (%(book_id)s, %(id)s, %(template_id)s, %(name)s, %(source)s, %(voucher_count)s, %(issued_count)s, %(code_length)s,
  %(created_by)s, %(created_at)s, %(finished_at)s);

-- name: lock_batch
SELECT voucher_count - issued_count FROM vouchers_batch
WHERE book_id = %(book_id)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: advance_batch
UPDATE vouchers_batch SET issued_count = issued_count + %(made)s,
  finished_at = CASE WHEN issued_count + %(made)s = voucher_count THEN %(at)s ELSE finished_at END
WHERE book_id = %(book_id)s AND id = %(id)s
RETURNING id, book_id, template_id, name, source, voucher_count, issued_count, code_length, created_by, created_at,
  finished_at;

-- name: stop_batch
-- What a batch has not made yet will not be made.
UPDATE vouchers_batch SET voucher_count = greatest(issued_count, 1), finished_at = coalesce(finished_at, %(at)s)
WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: batches
SELECT id, book_id, template_id, name, source, voucher_count, issued_count, code_length, created_by, created_at,
       finished_at
FROM vouchers_batch
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND name = %(name)s  -- if name
  AND template_id = %(template_id)s  -- if template_id
ORDER BY id DESC LIMIT %(limit)s;

-- name: unfinished_batches
SELECT book_id, id FROM vouchers_batch WHERE finished_at IS NULL ORDER BY id;

-- name: copy_vouchers
COPY vouchers_voucher (slot, id, book_id, template_id, batch_id, status, holder_kind, holder_id, code_lookup, code_sealed,
  code_last4, face_fen, valid_from, valid_until, granted_by, created_at) FROM STDIN;

-- name: taken_codes
SELECT code_lookup FROM vouchers_voucher
WHERE slot = ANY (%(slots)s::smallint[]) AND code_lookup = ANY (%(lookups)s::uuid[]) AND book_id = %(book_id)s;

-- name: vouchers_named
SELECT slot, id, book_id, template_id, batch_id, status, holder_kind, holder_id, code_last4, face_fen, valid_from,
       valid_until, locked_by, locked_until, redeemed_by, redeemed_fen, returned_fen, granted_by, created_at, version
FROM vouchers_voucher
WHERE slot = ANY (%(slots)s::smallint[]) AND id = ANY (%(ids)s::uuid[]) AND book_id = %(book_id)s;

-- name: voucher_by_code
SELECT slot, id, book_id, template_id, batch_id, status, holder_kind, holder_id, code_last4, face_fen, valid_from,
       valid_until, locked_by, locked_until, redeemed_by, redeemed_fen, returned_fen, granted_by, created_at, version
FROM vouchers_voucher
WHERE slot = ANY (%(slots)s::smallint[]) AND code_lookup = ANY (%(lookups)s::uuid[]) AND book_id = %(book_id)s;

-- name: vouchers
SELECT slot, id, book_id, template_id, batch_id, status, holder_kind, holder_id, code_last4, face_fen, valid_from,
       valid_until, locked_by, locked_until, redeemed_by, redeemed_fen, returned_fen, granted_by, created_at, version
FROM vouchers_voucher
WHERE slot = %(slot)s AND book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND template_id = %(template_id)s  -- if template_id
  AND batch_id = %(batch_id)s  -- if batch_id
  AND holder_id = %(holder_id)s  -- if holder_id
  AND status = %(status)s  -- if status
  AND code_last4 = %(code_last4)s  -- if code_last4
ORDER BY id DESC LIMIT %(limit)s;

-- name: sealed_code
SELECT code_sealed FROM vouchers_voucher WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: codes_of_batch
SELECT id, code_sealed, valid_until FROM vouchers_voucher
WHERE slot = %(slot)s AND batch_id = %(batch_id)s AND book_id = %(book_id)s AND id > %(after_id)s
  AND code_sealed IS NOT NULL
ORDER BY id LIMIT %(limit)s;

-- name: count_claimed
-- Refused by giving no row when it would be more than allowed; two at once take turns on the row.
INSERT INTO vouchers_claimed AS c (slot, holder_id, template_id, book_id, claimed)
VALUES (%(slot)s, %(holder_id)s, %(template_id)s, %(book_id)s, %(count)s)
ON CONFLICT ON CONSTRAINT vouchers_claimed_pkey DO UPDATE SET claimed = c.claimed + %(count)s
WHERE c.claimed + %(count)s <= %(max)s
RETURNING claimed;

-- name: claim_voucher
UPDATE vouchers_voucher AS v SET status = 'held', holder_kind = %(holder_kind)s, holder_id = %(holder_id)s,
  valid_until = %(valid_until)s, version = v.version + 1
WHERE v.slot = %(slot)s AND v.id = %(id)s AND v.status = 'issued' AND v.version = %(version)s
RETURNING v.slot, v.id, v.book_id, v.template_id, 'issued', v.status, v.holder_kind, v.holder_id, NULL::uuid, 0::bigint,
  v.face_fen;

-- name: claim_stock
-- Vouchers without a code are for whoever asks first; those that another claim is just taking are passed over.
WITH picked AS (
  SELECT slot, id FROM vouchers_voucher
  WHERE slot = %(slot)s AND template_id = %(template_id)s AND book_id = %(book_id)s AND status = 'issued'
    AND code_lookup IS NULL AND (valid_until IS NULL OR valid_until > %(at)s)
  ORDER BY id LIMIT %(count)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE vouchers_voucher AS v SET status = 'held', holder_kind = %(holder_kind)s, holder_id = %(holder_id)s,
  valid_until = %(valid_until)s, version = v.version + 1
FROM picked AS p WHERE v.slot = p.slot AND v.id = p.id
RETURNING v.slot, v.id, v.book_id, v.template_id, 'issued', v.status, v.holder_kind, v.holder_id, NULL::uuid, 0::bigint,
  v.face_fen;

-- name: move_voucher
-- One voucher from one state to another, as it was decided on.
UPDATE vouchers_voucher AS v SET status = %(to_status)s, holder_kind = %(holder_kind)s, holder_id = %(holder_id)s,
  version = v.version + 1
WHERE v.slot = %(slot)s AND v.id = %(id)s AND v.status = %(from_status)s AND v.version = %(version)s
RETURNING v.slot, v.id, v.book_id, v.template_id, %(from_status)s::text, v.status, v.holder_kind, v.holder_id,
  %(transaction_id)s::uuid, %(amount_fen)s::bigint, v.face_fen;

-- name: lock_vouchers
-- In one order everywhere, so that two payments that meet in vouchers never wait for each other. Who waited looks again.
WITH picked AS (
  SELECT v.slot, v.id, a.transaction_id
  FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(transactions)s::uuid[], %(versions)s::integer[])
    AS a (slot, id, transaction_id, version)
  JOIN vouchers_voucher AS v ON v.slot = a.slot AND v.id = a.id
  WHERE (v.status = 'held' AND (a.version IS NULL OR v.version = a.version)
         AND (v.valid_from IS NULL OR v.valid_from <= %(at)s) AND (v.valid_until IS NULL OR v.valid_until > %(at)s))
     OR (v.status = 'locked' AND v.locked_by = a.transaction_id)
  ORDER BY v.slot, v.id, a.transaction_id FOR NO KEY UPDATE OF v
)
UPDATE vouchers_voucher AS v SET status = 'locked', locked_by = p.transaction_id, locked_until = %(until)s,
  version = v.version + 1
FROM picked AS p WHERE v.slot = p.slot AND v.id = p.id
RETURNING v.id, v.locked_by;

-- name: release_vouchers
UPDATE vouchers_voucher AS v SET status = 'held', locked_by = NULL, locked_until = NULL, version = v.version + 1
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(transactions)s::uuid[]) AS a (slot, id, transaction_id)
WHERE v.slot = a.slot AND v.id = a.id AND v.status = 'locked' AND v.locked_by = a.transaction_id;

-- name: redeem_vouchers
UPDATE vouchers_voucher AS v SET status = 'redeemed', locked_by = NULL, locked_until = NULL,
  redeemed_by = a.transaction_id, redeemed_fen = a.amount_fen, returned_fen = 0, version = v.version + 1
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(transactions)s::uuid[], %(amounts)s::bigint[])
  AS a (slot, id, transaction_id, amount_fen)
WHERE v.slot = a.slot AND v.id = a.id AND v.status = 'locked' AND v.locked_by = a.transaction_id
RETURNING v.slot, v.id, v.book_id, v.template_id, 'held', v.status, v.holder_kind, v.holder_id, a.transaction_id,
  a.amount_fen, v.face_fen;

-- name: return_vouchers
-- What came back whole is held again where the template gives it back, else it stays redeemed. A refund that was told
-- before counts once.
WITH returned AS (
  SELECT v.slot, v.id, a.transaction_id, a.amount_fen, v.returned_fen + a.amount_fen = v.redeemed_fen AS is_whole,
         v.returned_fen + a.amount_fen = v.redeemed_fen AND t.returnable AS is_back
  FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(payments)s::uuid[], %(transactions)s::uuid[], %(amounts)s::bigint[])
    AS a (slot, id, payment_id, transaction_id, amount_fen)
  JOIN vouchers_voucher AS v ON v.slot = a.slot AND v.id = a.id
  JOIN vouchers_template AS t ON t.book_id = v.book_id AND t.id = v.template_id
  WHERE v.status = 'redeemed' AND v.redeemed_by = a.payment_id AND a.amount_fen > 0
    AND v.returned_fen + a.amount_fen <= v.redeemed_fen
    AND NOT EXISTS (
      SELECT FROM vouchers_event AS e
      WHERE e.slot = v.slot AND e.voucher_id = v.id AND e.transaction_id = a.transaction_id)
  ORDER BY v.slot, v.id FOR NO KEY UPDATE OF v
)
UPDATE vouchers_voucher AS v SET
  status = CASE WHEN r.is_back THEN 'held' ELSE 'redeemed' END,
  redeemed_by = CASE WHEN r.is_back THEN NULL ELSE v.redeemed_by END,
  redeemed_fen = CASE WHEN r.is_back THEN 0 ELSE v.redeemed_fen END,
  returned_fen = CASE WHEN r.is_back THEN 0 ELSE v.returned_fen + r.amount_fen END,
  version = v.version + 1
FROM returned AS r WHERE v.slot = r.slot AND v.id = r.id
RETURNING v.slot, v.id, v.book_id, v.template_id, 'redeemed', v.status, v.holder_kind, v.holder_id, r.transaction_id,
  r.amount_fen, v.face_fen, r.is_whole;

-- name: old_locks
SELECT slot, id, locked_by, book_id FROM vouchers_voucher
WHERE slot = %(slot)s AND status = 'locked' AND locked_until <= %(at)s ORDER BY locked_until LIMIT %(limit)s;

-- name: end_vouchers
-- Vouchers that nobody is just redeeming. The end is told by its status: expired or cancelled.
WITH picked AS (
  SELECT slot, id, status FROM vouchers_voucher
  WHERE slot = %(slot)s AND status IN ('issued', 'held')
    AND valid_until <= %(ended_by)s  -- if ended_by
    AND book_id = %(book_id)s  -- if book_id
    AND batch_id = %(batch_id)s AND status = 'issued'  -- if batch_id
    AND granted_by = %(granted_by)s AND template_id = %(template_id)s  -- if granted_by
  ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE vouchers_voucher AS v SET status = %(to_status)s, version = v.version + 1
FROM picked AS p WHERE v.slot = p.slot AND v.id = p.id
RETURNING v.slot, v.id, v.book_id, v.template_id, p.status, v.status, v.holder_kind, v.holder_id,
  %(transaction_id)s::uuid, 0::bigint, v.face_fen;

-- name: record
SELECT vouchers_record_v2(%(slot)s::smallint, %(at)s::timestamptz, %(actor)s::text, %(reason)s::text, %(kind)s::text,
  %(vouchers)s::uuid[], %(ids)s::uuid[], %(books)s::integer[], %(templates)s::uuid[], %(from_statuses)s::text[],
  %(to_statuses)s::text[], %(holder_kinds)s::text[], %(holders)s::uuid[], %(transactions)s::uuid[],
  %(amounts)s::bigint[], %(faces)s::bigint[], %(leaves)s::bytea[], %(salts)s::bytea[]);

-- name: events
SELECT id, voucher_id, kind, from_status, to_status, at, actor, holder_kind, holder_id, transaction_id, amount_fen,
       face_fen, reason
FROM vouchers_event
WHERE slot = %(slot)s AND voucher_id = %(voucher_id)s AND book_id = %(book_id)s
  AND id < %(before_id)s  -- if before_id
ORDER BY id DESC LIMIT %(limit)s;

-- name: issued_by
SELECT template_id, count(*), coalesce(sum(face_fen), 0)::bigint FROM vouchers_voucher
WHERE slot = %(slot)s AND book_id = %(book_id)s AND created_at <= %(at)s GROUP BY template_id;

-- name: moved_by
SELECT template_id, kind, from_status, to_status, count(*), coalesce(sum(face_fen), 0)::bigint,
       coalesce(sum(amount_fen), 0)::bigint
FROM vouchers_event
WHERE slot = %(slot)s AND book_id = %(book_id)s AND at <= %(at)s
GROUP BY template_id, kind, from_status, to_status;
