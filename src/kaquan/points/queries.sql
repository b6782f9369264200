-- name: insert_terms
INSERT INTO points_terms (book_id, programme_id, version, terms, effective_from, created_by, created_at)
VALUES (%(book_id)s, %(programme_id)s, %(version)s, %(terms)s::jsonb, %(effective_from)s, %(created_by)s, %(created_at)s)
ON CONFLICT ON CONSTRAINT points_terms_pkey DO NOTHING;

-- name: move_version
-- Copies in memory learn of a change by the version of their book.
UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s;

-- name: terms
SELECT book_id, programme_id, version, terms, effective_from, created_by, created_at FROM points_terms
WHERE book_id = ANY (%(book_ids)s::int[])
  AND programme_id = %(programme_id)s  -- if programme_id
ORDER BY programme_id, version;

-- name: insert_members
-- Those that are there stay, by whichever of their two keys it is seen first: another session may be adding them now.
INSERT INTO points_member (slot, id, book_id, card_id, programme_id, issuer_id, created_at)
SELECT %(slot)s, m.id, %(book_id)s, m.card_id, m.programme_id, m.issuer_id, %(at)s
FROM unnest(%(ids)s::uuid[], %(cards)s::uuid[], %(programmes)s::uuid[], %(issuers)s::uuid[])
  AS m (id, card_id, programme_id, issuer_id)
ORDER BY m.id
ON CONFLICT DO NOTHING;

-- name: members
SELECT slot, id, book_id, card_id, programme_id, issuer_id, tier, tier_until FROM points_member
WHERE slot = %(slot)s AND id = ANY (%(ids)s::uuid[]);

-- name: some_members
SELECT id FROM points_member WHERE slot = %(slot)s AND id > %(after)s ORDER BY id LIMIT %(limit)s;

-- name: change_tier
UPDATE points_member SET tier = %(tier)s, tier_until = %(tier_until)s
WHERE slot = %(slot)s AND id = %(id)s AND tier IS NOT DISTINCT FROM %(before)s;

-- name: insert_earnings
INSERT INTO points_earning (slot, id, book_id, member_id, terms_version, points, basis_fen, parts, lot, matures_at, at,
  payment_id, granted)
SELECT e.slot, e.id, e.book_id, e.member_id, e.terms_version, e.points, e.basis_fen, e.parts::jsonb, e.lot, e.matures_at,
       e.at, e.payment_id, e.granted
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[], %(books)s::integer[], %(members)s::uuid[], %(versions)s::integer[],
  %(points)s::bigint[], %(basis)s::bigint[], %(parts)s::text[], %(lots)s::integer[], %(matures)s::timestamptz[],
  %(ats)s::timestamptz[], %(payments)s::uuid[], %(granted)s::bigint[])
  AS e (slot, id, book_id, member_id, terms_version, points, basis_fen, parts, lot, matures_at, at, payment_id, granted);

-- name: earnings
SELECT slot, id, book_id, member_id, terms_version, points, basis_fen, parts, returned, returned_fen, taken, lot,
       matures_at, matured, at, payment_id, granted, granted_taken
FROM points_earning
WHERE slot = %(slot)s AND (id = ANY (%(ids)s::uuid[]) OR payment_id = ANY (%(ids)s::uuid[])) ORDER BY id;

-- name: change_earning
UPDATE points_earning SET returned = %(returned)s::jsonb, returned_fen = %(returned_fen)s, taken = %(taken)s,
  granted_taken = %(granted_taken)s
WHERE slot = %(slot)s AND id = %(id)s AND returned_fen = %(before_fen)s AND taken = %(before)s;

-- name: due_earnings
SELECT slot, id, book_id, member_id, terms_version, points, basis_fen, parts, returned, returned_fen, taken, lot,
       matures_at, matured, at, payment_id, granted, granted_taken
FROM points_earning
WHERE slot = %(slot)s AND NOT matured AND lot IS NOT NULL AND matures_at <= %(now)s
ORDER BY matures_at LIMIT %(limit)s;

-- name: mark_matured
UPDATE points_earning SET matured = true WHERE slot = %(slot)s AND id = %(id)s AND NOT matured;

-- name: left_behind
-- Members of replaced cards that have something, with the card that has their place.
SELECT m.id, c.replaced_by_id FROM points_member AS m
JOIN cards_card AS c ON c.slot = m.slot AND c.id = m.card_id AND c.status = 'replaced' AND c.replaced_by_id IS NOT NULL
WHERE m.slot = %(slot)s AND m.id > %(after)s
  AND EXISTS (
    SELECT FROM ledger_account AS a
    WHERE a.slot = m.slot AND a.owner_id = m.id AND a.kind IN ('points', 'points_debt')
      AND a.credits_posted <> a.debits_posted)
ORDER BY m.id LIMIT %(limit)s;

-- name: ended_members
-- Members with points that have ended.
SELECT DISTINCT m.id
FROM ledger_lot AS l
JOIN ledger_account AS a ON a.slot = l.slot AND a.id = l.account_id AND a.kind = 'points'
JOIN points_member AS m ON m.slot = a.slot AND m.id = a.owner_id
WHERE l.slot = %(slot)s AND l.expires_at <= %(now)s AND l.remaining_fen > l.reserved_fen AND m.id > %(after)s
ORDER BY m.id LIMIT %(limit)s;

-- name: ending_lots
-- Lots of whose end nobody was told yet and of which the terms in force want it told by now.
SELECT m.slot, m.id, m.book_id, m.card_id, m.programme_id, a.id, l.lot, l.expires_at, l.remaining_fen - l.reserved_fen
FROM ledger_lot AS l
JOIN ledger_account AS a ON a.slot = l.slot AND a.id = l.account_id AND a.kind = 'points'
JOIN points_member AS m ON m.slot = a.slot AND m.id = a.owner_id
CROSS JOIN LATERAL (
  SELECT (t.terms ->> 'remind_days')::integer AS days FROM points_terms AS t
  WHERE t.book_id = m.book_id AND t.programme_id = m.programme_id AND t.effective_from <= %(now)s
  ORDER BY t.version DESC LIMIT 1
) AS told
WHERE l.slot = %(slot)s AND l.expires_at > %(now)s AND l.expires_at <= %(until)s AND l.remaining_fen > l.reserved_fen
  AND l.expires_at <= %(now)s + make_interval(days => told.days)
  AND NOT EXISTS (
    SELECT FROM points_reminded AS r WHERE r.slot = l.slot AND r.account_id = l.account_id AND r.lot = l.lot)
ORDER BY l.expires_at LIMIT %(limit)s;

-- name: mark_reminded
INSERT INTO points_reminded (slot, account_id, lot) VALUES (%(slot)s, %(account_id)s, %(lot)s)
ON CONFLICT ON CONSTRAINT points_reminded_pkey DO NOTHING;

-- name: reached
-- What members earned and spent since a day, less what was taken back.
SELECT member_id, sum(points - taken)::bigint, sum(basis_fen - returned_fen)::bigint FROM points_earning
WHERE slot = %(slot)s AND member_id = ANY (%(ids)s::uuid[]) AND at >= %(since)s GROUP BY member_id;

-- name: insert_partner
INSERT INTO points_partner (book_id, id, code, name, currency, out_points, out_units, in_units, in_points, created_at)
VALUES (%(book_id)s, %(id)s, %(code)s, %(name)s, %(currency)s, %(out_points)s, %(out_units)s, %(in_units)s,
  %(in_points)s, %(created_at)s);

-- name: partners
SELECT id, book_id, code, name, currency, out_points, out_units, in_units, in_points, created_at, ended_at
FROM points_partner
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND code = %(code)s  -- if code
ORDER BY id DESC LIMIT %(limit)s;

-- name: insert_deed
INSERT INTO points_deed (slot, id, book_id, member_id, kind, points, subject_id, units, reference, approval_id, made_by,
  made_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(member_id)s, %(kind)s, %(points)s, %(subject_id)s, %(units)s, %(reference)s,
  %(approval_id)s, %(made_by)s, %(made_at)s);

-- name: deeds
SELECT slot, id, book_id, member_id, kind, points, subject_id, units, reference, approval_id, made_by, made_at
FROM points_deed
WHERE slot = %(slot)s AND member_id = %(member_id)s AND book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
ORDER BY id DESC LIMIT %(limit)s;

-- name: insert_benefit
INSERT INTO points_benefit (book_id, id, programme_id, code, name, cost_points, tiers, birthday_only, max_per_year, stock,
  created_at, template_id, voucher_count)
VALUES (%(book_id)s, %(id)s, %(programme_id)s, %(code)s, %(name)s, %(cost_points)s, %(tiers)s::text[], %(birthday_only)s,
  %(max_per_year)s, %(stock)s, %(created_at)s, %(template_id)s, %(voucher_count)s);

-- name: benefits
SELECT id, book_id, programme_id, code, name, cost_points, tiers, birthday_only, max_per_year, stock, taken, created_at,
       ended_at, template_id, voucher_count
FROM points_benefit
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
  AND code = %(code)s  -- if code
  AND programme_id = %(programme_id)s  -- if programme_id
ORDER BY id DESC LIMIT %(limit)s;

-- name: take_benefit
UPDATE points_benefit SET taken = taken + 1
WHERE book_id = %(book_id)s AND id = %(id)s AND ended_at IS NULL AND (stock IS NULL OR taken < stock);

-- name: lock_member
-- What a member may take so often is counted by one request at a time.
SELECT id FROM points_member WHERE slot = %(slot)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: taken_of
SELECT count(*) FROM points_deed
WHERE slot = %(slot)s AND member_id = %(member_id)s AND kind = 'benefit' AND subject_id = %(subject_id)s
  AND made_at >= %(since)s;

-- name: accounts_of_issuers
SELECT slot, id, kind, owner_id FROM ledger_account
WHERE slot = %(slot)s AND book_id = %(book_id)s AND currency = 'PTS' AND NOT lotted AND kind <> 'points_debt';
