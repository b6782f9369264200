-- The schema at revision 0034, to be read: it is made by the revisions in versions/ and compared with them by
-- tests/store/test_schema.py, which also renews it. Without the job queue's (revision 0006) and Alembic's own table.
-- Everything is in the schema public and belongs to the login that migrates, unless it says otherwise.

CREATE TYPE ledger_effect AS ENUM (
    'post',
    'reserve',
    'capture',
    'release'
);

CREATE TYPE ledger_floor_rule AS ENUM (
    'none',
    'credit',
    'debit'
);

CREATE TYPE ledger_item_v1 AS (
    book_id integer,
    transaction_id uuid,
    kind text,
    related_id uuid,
    place_id uuid,
    reference text,
    effective_at timestamp with time zone,
    leaf_hash bytea,
    salt bytea,
    key_hash uuid,
    request_key text,
    request_hash bytea,
    answer_status smallint
);

CREATE TYPE ledger_leg_v1 AS (
    item integer,
    leg smallint,
    effect ledger_effect,
    amount_fen bigint,
    debit_account bigint,
    debit_version bigint,
    debit_lot integer,
    debit_later_fen bigint,
    credit_account bigint,
    credit_version bigint,
    credit_lot integer,
    credit_later_fen bigint
);

CREATE TYPE ledger_new_lot_v1 AS (
    item integer,
    account_id bigint,
    lot integer,
    paid_fen bigint,
    given_fen bigint,
    expires_at timestamp with time zone
);

CREATE TYPE payments_status AS ENUM (
    'open',
    'completed',
    'voided',
    'expired'
);

CREATE TYPE payments_change_v1 AS (
    item integer,
    id uuid,
    version integer,
    status payments_status,
    captured_fen bigint,
    refunded_fen bigint
);

CREATE TYPE payments_kind AS ENUM (
    'purchase',
    'authorization',
    'refund',
    'load'
);

CREATE TYPE payments_last_v1 AS (
    item integer,
    card_id uuid,
    store_id uuid,
    latitude_udeg integer,
    longitude_udeg integer,
    at timestamp with time zone
);

CREATE TYPE payments_new_v1 AS (
    item integer,
    id uuid,
    book_id integer,
    kind payments_kind,
    status payments_status,
    card_id uuid,
    merchant_id uuid,
    store_id uuid,
    terminal_id uuid,
    original_id uuid,
    currency text,
    amount_fen bigint,
    bonus_fen bigint,
    captured_fen bigint,
    reference text,
    expires_at timestamp with time zone,
    occurred_at timestamp with time zone
);

CREATE TYPE payments_pricing_v1 AS (
    item integer,
    original_id uuid,
    kept bytea,
    hash bytea
);

CREATE TYPE payments_trail_use_v1 AS (
    item integer,
    key uuid,
    amount_fen bigint,
    step bigint,
    max_fen bigint,
    max_count bigint
);

CREATE TYPE payments_use_v1 AS (
    item integer,
    key uuid,
    amount_fen bigint,
    day integer,
    month integer,
    year integer,
    day_max_fen bigint,
    day_max_count bigint,
    month_max_fen bigint,
    month_max_count bigint,
    year_max_fen bigint,
    year_max_count bigint
);

CREATE FUNCTION cards_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) RETURNS TABLE(erased uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
  v_ids uuid[];
BEGIN
  WITH gone AS (
    UPDATE evidence_leaf l SET commitment = e.commitment, salt = NULL
    FROM unnest(p_ids, p_entries, p_commitments) AS e (id, entry, commitment)
    WHERE l.slot = p_slot AND l.transaction_id = e.id AND l.salt IS NOT NULL
      AND l.leaf_hash = sha256('\x00'::bytea || e.entry)
      AND position(convert_to(encode(e.commitment, 'hex'), 'UTF8') IN e.entry) > 0
      AND EXISTS (SELECT FROM cards_event c WHERE c.slot = p_slot AND c.id = e.id AND c.book_id = p_book)
    RETURNING l.transaction_id
  )
  SELECT array_agg(transaction_id) INTO v_ids FROM gone;
  UPDATE cards_event c SET reason = NULL WHERE c.slot = p_slot AND c.id = ANY (v_ids);
  RETURN QUERY SELECT unnest(v_ids);
END $$;

ALTER FUNCTION cards_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) OWNER TO kaquan_ledger;

CREATE FUNCTION cards_record_v1(p_slot smallint, p_kind text, p_at timestamp with time zone, p_actor text, p_reason text, p_details jsonb, p_cards uuid[], p_ids uuid[], p_books integer[], p_statuses text[], p_versions integer[], p_leaves bytea[], p_salts bytea[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  INSERT INTO cards_event (slot, card_id, id, book_id, kind, at, actor, reason, status, version, details)
  SELECT p_slot, e.card_id, e.id, e.book_id, p_kind, p_at, p_actor, p_reason, e.status, e.version, p_details
  FROM unnest(p_cards, p_ids, p_books, p_statuses, p_versions) AS e (card_id, id, book_id, status, version);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, l.salt FROM unnest(p_ids, p_leaves, p_salts) AS l (id, leaf, salt);
$$;

ALTER FUNCTION cards_record_v1(p_slot smallint, p_kind text, p_at timestamp with time zone, p_actor text, p_reason text, p_details jsonb, p_cards uuid[], p_ids uuid[], p_books integer[], p_statuses text[], p_versions integer[], p_leaves bytea[], p_salts bytea[]) OWNER TO kaquan_ledger;

CREATE FUNCTION evidence_add_key_v1(p_id uuid, p_slot smallint, p_public bytea, p_replaces bytea, p_at timestamp with time zone, p_leaf bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO evidence_key (id, slot, public_key, replaces, added_at) VALUES (p_id, p_slot, p_public, p_replaces, p_at);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_id, p_leaf, NULL);
END $$;

ALTER FUNCTION evidence_add_key_v1(p_id uuid, p_slot smallint, p_public bytea, p_replaces bytea, p_at timestamp with time zone, p_leaf bytea) OWNER TO kaquan_ledger;

CREATE FUNCTION evidence_append_v1(p_size bigint, p_slots smallint[], p_ids uuid[], p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_root bytea, p_note text, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
  v_rows bigint;
  v_size bigint := p_size + cardinality(p_ids);
BEGIN
  IF cardinality(p_ids) = 0 OR cardinality(p_ids) <> cardinality(p_slots) THEN RETURN false; END IF;
  UPDATE evidence_log SET size = v_size, root = p_root, note = p_note, signed_at = p_at WHERE id = 0 AND size = p_size;
  IF NOT FOUND THEN RETURN false; END IF;

  INSERT INTO evidence_entry (log_index, slot, transaction_id)
  SELECT p_size + e.n - 1, e.slot, e.id FROM unnest(p_slots, p_ids) WITH ORDINALITY AS e (slot, id, n);

  INSERT INTO evidence_tile AS t (level, number, hashes)
  SELECT n.level, n.number, n.hashes FROM unnest(p_levels, p_numbers, p_hashes) AS n (level, number, hashes)
  ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes
  WHERE octet_length(excluded.hashes) > octet_length(t.hashes)
    AND substr(excluded.hashes, 1, octet_length(t.hashes)) = t.hashes;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows <> cardinality(p_levels) THEN
    RAISE EXCEPTION 'evidence: a tile of the log would be rewritten' USING ERRCODE = 'KQ002';
  END IF;

  INSERT INTO evidence_checkpoint (size, root, note, signed_at)
  SELECT v_size, p_root, p_note, p_at
  WHERE NOT EXISTS (
    SELECT FROM (SELECT c.signed_at FROM evidence_checkpoint c ORDER BY c.size DESC LIMIT 1) AS last
    WHERE p_at >= last.signed_at AND p_at < last.signed_at + interval '1 minute');
  RETURN true;
END $$;

ALTER FUNCTION evidence_append_v1(p_size bigint, p_slots smallint[], p_ids uuid[], p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_root bytea, p_note text, p_at timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION evidence_begin_log_v1(p_origin text, p_root bytea, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO evidence_log (id, origin, size, root, note, signed_at) VALUES (0, p_origin, 0, p_root, '', p_at)
  ON CONFLICT (id) DO NOTHING;
END $$;

ALTER FUNCTION evidence_begin_log_v1(p_origin text, p_root bytea, p_at timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION evidence_issue_v1(p_slot smallint, p_id uuid, p_book integer, p_kind text, p_of uuid, p_batch uuid, p_terms text, p_at timestamp with time zone, p_ids uuid[], p_last4 text[], p_leaf bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  INSERT INTO evidence_issue (slot, id, book_id, kind, of_id, batch_id, terms, at, ids, last4)
  VALUES (p_slot, p_id, p_book, p_kind, p_of, p_batch, p_terms, p_at, p_ids, p_last4);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_id, p_leaf, NULL);
$$;

ALTER FUNCTION evidence_issue_v1(p_slot smallint, p_id uuid, p_book integer, p_kind text, p_of uuid, p_batch uuid, p_terms text, p_at timestamp with time zone, p_ids uuid[], p_last4 text[], p_leaf bytea) OWNER TO kaquan_ledger;

CREATE FUNCTION evidence_server_v1() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT system_identifier::text FROM pg_control_system()
$$;

CREATE FUNCTION evidence_sm_append_v1(p_size bigint, p_new_size bigint, p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_origin text, p_root bytea, p_note text, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
  v_rows bigint;
BEGIN
  IF p_new_size <= p_size THEN RETURN false; END IF;
  INSERT INTO evidence_sm_log AS s (id, origin, size, root, note, signed_at)
  VALUES (0, p_origin, p_new_size, p_root, p_note, p_at)
  ON CONFLICT (id) DO UPDATE
  SET size = excluded.size, root = excluded.root, note = excluded.note, signed_at = excluded.signed_at
  WHERE s.size = p_size AND s.origin = excluded.origin;
  IF NOT FOUND THEN RETURN false; END IF;

  INSERT INTO evidence_sm_tile AS t (level, number, hashes)
  SELECT n.level, n.number, n.hashes FROM unnest(p_levels, p_numbers, p_hashes) AS n (level, number, hashes)
  ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes
  WHERE octet_length(excluded.hashes) > octet_length(t.hashes)
    AND substr(excluded.hashes, 1, octet_length(t.hashes)) = t.hashes;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows <> cardinality(p_levels) THEN
    RAISE EXCEPTION 'evidence: a tile of the SM profile would be rewritten' USING ERRCODE = 'KQ002';
  END IF;
  RETURN true;
END $$;

ALTER FUNCTION evidence_sm_append_v1(p_size bigint, p_new_size bigint, p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_origin text, p_root bytea, p_note text, p_at timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_claim_keys_v1(p_slot smallint, p_keys uuid[], p_requests bytea[], p_at timestamp with time zone) RETURNS TABLE(reused uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO ledger_key (slot, key_hash, request_hash, created_at)
  SELECT p_slot, k, r, p_at FROM unnest(p_keys, p_requests) AS asked (k, r) ORDER BY k
  ON CONFLICT (slot, key_hash) DO NOTHING;
  RETURN QUERY
  SELECT o.key_hash FROM unnest(p_keys, p_requests) AS asked (k, r)
  JOIN ledger_key o ON o.slot = p_slot AND o.key_hash = asked.k AND o.request_hash <> asked.r;
END $$;

ALTER FUNCTION ledger_claim_keys_v1(p_slot smallint, p_keys uuid[], p_requests bytea[], p_at timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_extend_lot_v1(p_slot smallint, p_account bigint, p_lot integer, p_before timestamp with time zone, p_after timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE ledger_account SET version = version + 1 WHERE slot = p_slot AND id = p_account AND lotted;
  UPDATE ledger_lot SET expires_at = p_after
   WHERE slot = p_slot AND account_id = p_account AND lot = p_lot AND expires_at = p_before AND p_after > p_before;
  RETURN FOUND;
END $$;

ALTER FUNCTION ledger_extend_lot_v1(p_slot smallint, p_account bigint, p_lot integer, p_before timestamp with time zone, p_after timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_first_id_v1(p_at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

CREATE FUNCTION ledger_fit_items_v1(p_slot smallint, p_items ledger_item_v1[], p_legs ledger_leg_v1[], p_accounts bigint[], p_status smallint[]) RETURNS smallint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_status smallint[] := p_status;
  v_counted smallint[] := p_status;
  v_credit boolean[];
  v_room bigint[];
  v_item record;
BEGIN
  FOR v_item IN
    SELECT i.n FROM unnest(p_items) WITH ORDINALITY AS i (
      book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
      request_key, request_hash, answer_status, n)
    JOIN ledger_idempotency k ON k.slot = p_slot AND k.key_hash = i.key_hash
  LOOP v_counted[v_item.n] := 1; END LOOP;
  SELECT array_agg(a.floor_rule = 'credit' ORDER BY o.n),
         array_agg(CASE a.floor_rule WHEN 'credit' THEN a.credits_posted - a.debits_posted - a.debits_pending
                                     WHEN 'debit' THEN a.debits_posted - a.credits_posted - a.credits_pending END
                   ORDER BY o.n) -- null, hence never too little, where there is no floor
  INTO v_credit, v_room
  FROM unnest(p_accounts) WITH ORDINALITY AS o (id, n)
  LEFT JOIN ledger_account a ON a.slot = p_slot AND a.id = o.id;

  FOR v_item IN
    SELECT t.item, array_agg(t.at) AS ats, array_agg(t.change) AS changes
    FROM (
      -- the side of the floor takes what it posts and reserves; the other side adds what it posts
      SELECT s.item, array_position(p_accounts, s.account_id) AS at,
             sum(CASE WHEN v_credit[array_position(p_accounts, s.account_id)]
                      THEN s.credits_posted - s.debits_posted - s.debits_pending
                      ELSE s.debits_posted - s.credits_posted - s.credits_pending END) AS change
      FROM ledger_sides_v1(p_legs, v_counted) AS s
      WHERE s.account_id = ANY (p_accounts) AND s.version IS NULL
      GROUP BY s.item, s.account_id
    ) AS t GROUP BY t.item ORDER BY t.item
  LOOP
    FOR i IN 1 .. cardinality(v_item.ats) LOOP
      IF v_item.changes[i] < 0 AND v_room[v_item.ats[i]] + v_item.changes[i] < 0 THEN
        v_status[v_item.item] := 3;
      END IF;
    END LOOP;
    CONTINUE WHEN v_status[v_item.item] <> 0;
    FOR i IN 1 .. cardinality(v_item.ats) LOOP
      v_room[v_item.ats[i]] := v_room[v_item.ats[i]] + v_item.changes[i];
    END LOOP;
  END LOOP;
  RETURN v_status;
END $$;

CREATE FUNCTION ledger_forget_answers_v1(p_slot smallint, p_before timestamp with time zone, p_after uuid, p_limit integer) RETURNS TABLE(forgotten bigint, last_key uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  SELECT k.key_hash INTO last_key
  FROM (SELECT i.key_hash FROM ledger_idempotency i
        WHERE i.slot = p_slot AND i.key_hash > p_after ORDER BY i.key_hash LIMIT p_limit) AS k
  ORDER BY k.key_hash DESC LIMIT 1;
  INSERT INTO ledger_forgotten (slot, before) VALUES (p_slot, p_before)
  ON CONFLICT (slot) DO UPDATE SET before = greatest(ledger_forgotten.before, excluded.before)
  WHERE ledger_forgotten.before < excluded.before;
  DELETE FROM ledger_idempotency i
  WHERE i.slot = p_slot AND i.key_hash > p_after AND i.key_hash <= last_key AND i.created_at < p_before;
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  DELETE FROM ledger_key k
  WHERE k.slot = p_slot AND k.key_hash > p_after AND (last_key IS NULL OR k.key_hash <= last_key)
    AND k.created_at < p_before;
  RETURN NEXT;
END $$;

ALTER FUNCTION ledger_forget_answers_v1(p_slot smallint, p_before timestamp with time zone, p_after uuid, p_limit integer) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_keep_origins_v1(p_slot smallint, p_transaction uuid, p_accounts bigint[], p_lots integer[], p_origins uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
  UPDATE ledger_lot o SET origin_transaction_id = k.origin
  FROM unnest(p_accounts, p_lots, p_origins) AS k (account_id, lot, origin)
  WHERE o.slot = p_slot AND o.account_id = k.account_id AND o.lot = k.lot AND o.origin_transaction_id = p_transaction;
END $$;

ALTER FUNCTION ledger_keep_origins_v1(p_slot smallint, p_transaction uuid, p_accounts bigint[], p_lots integer[], p_origins uuid[]) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_move_back_v1(p_slot smallint, p_legs ledger_leg_v1[], p_before smallint[], p_status smallint[], p_moved bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  IF p_before = p_status THEN RETURN; END IF;
  UPDATE ledger_account a
  SET debits_posted = a.debits_posted - m.debits_posted, credits_posted = a.credits_posted - m.credits_posted,
      debits_pending = a.debits_pending - m.debits_pending, credits_pending = a.credits_pending - m.credits_pending,
      version = m.version
  FROM (
    SELECT s.account_id, s.version, sum(s.debits_posted) AS debits_posted, sum(s.credits_posted) AS credits_posted,
           sum(s.debits_pending) AS debits_pending, sum(s.credits_pending) AS credits_pending
    FROM ledger_sides_v1(p_legs, p_before) AS s
    WHERE s.version IS NOT NULL AND p_status[s.item] <> 0
    GROUP BY s.account_id, s.version
  ) AS m
  WHERE a.slot = p_slot AND a.id = m.account_id AND a.id = ANY (p_moved);
END $$;

CREATE FUNCTION ledger_open_accounts_v1(p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[], p_floor_rules ledger_floor_rule[], p_lotted boolean[]) RETURNS TABLE(account_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO ledger_account (slot, book_id, owner_id, kind, currency, floor_rule, lotted)
  SELECT p_slot, b, o, k, c, f, l
  FROM unnest(p_books, p_owners, p_kinds, p_currencies, p_floor_rules, p_lotted) AS asked (b, o, k, c, f, l)
  ORDER BY o, k, c
  ON CONFLICT (slot, owner_id, kind, currency) DO NOTHING;
  RETURN QUERY
  SELECT a.id
  FROM unnest(p_owners, p_kinds, p_currencies) WITH ORDINALITY AS asked (o, k, c, position)
  JOIN ledger_account a ON a.slot = p_slot AND a.owner_id = o AND a.kind = k AND a.currency = c
  ORDER BY position;
END $$;

ALTER FUNCTION ledger_open_accounts_v1(p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[], p_floor_rules ledger_floor_rule[], p_lotted boolean[]) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    AS $$
DECLARE
  v_status smallint[] := p_status;
  v_before smallint[];
  v_moved bigint[];
  v_balances bigint[];
  v_refused integer[];
  v_item integer;
  v_rows bigint;
BEGIN
  -- Check the versions and move in one statement: a row that somebody else moved meanwhile is waited for, looked at
  -- again, and not found at its version.
  WITH moved AS (
    UPDATE ledger_account a
    SET debits_posted = a.debits_posted + m.debits_posted, credits_posted = a.credits_posted + m.credits_posted,
        debits_pending = a.debits_pending + m.debits_pending, credits_pending = a.credits_pending + m.credits_pending,
        version = a.version + 1
    FROM (
      SELECT s.account_id, s.version, (p_items[min(s.item)]).book_id AS book_id, sum(s.debits_posted) AS debits_posted,
             sum(s.credits_posted) AS credits_posted, sum(s.debits_pending) AS debits_pending,
             sum(s.credits_pending) AS credits_pending
      FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.version IS NOT NULL
      GROUP BY s.account_id, s.version ORDER BY s.account_id
    ) AS m
    WHERE a.slot = p_slot AND a.id = m.account_id AND a.version = m.version AND a.book_id = m.book_id
    RETURNING a.id, a.credits_posted - a.debits_posted AS balance
  )
  SELECT array_agg(id), array_agg(balance) INTO v_moved, v_balances FROM moved;

  IF coalesce(cardinality(v_moved), 0) < p_versioned THEN
    v_before := v_status;
    FOR v_item IN
      SELECT DISTINCT s.item FROM ledger_sides_v1(p_legs, v_status) AS s
      WHERE s.version IS NOT NULL AND array_position(v_moved, s.account_id) IS NULL
    LOOP v_status[v_item] := 2; END LOOP;
    PERFORM ledger_move_back_v1(p_slot, p_legs, v_before, v_status, v_moved);
  END IF;

  IF cardinality(p_limited) > 0 THEN
    PERFORM 1 FROM ledger_account WHERE slot = p_slot AND id = ANY (p_limited) ORDER BY id FOR NO KEY UPDATE;
    v_before := v_status;
    v_status := ledger_fit_items_v1(p_slot, p_items, p_legs, p_limited, v_status);
    PERFORM ledger_move_back_v1(p_slot, p_legs, v_before, v_status, v_moved);
  END IF;

  -- The keys are claimed in their order, so that two processes never wait for each other.
  INSERT INTO ledger_idempotency (slot, key_hash, request_hash, transaction_id, answer_status, answer, created_at)
  SELECT p_slot, i.key_hash, i.request_hash, i.transaction_id, i.answer_status, p_answers[i.n], p_recorded_at
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
    request_key, request_hash, answer_status, n)
  WHERE v_status[i.n] = 0 AND i.key_hash IS NOT NULL
  ORDER BY i.key_hash
  ON CONFLICT (slot, key_hash) DO NOTHING;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows < cardinality(p_items) THEN
    SELECT array_agg(i.n) INTO v_refused
    FROM unnest(p_items) WITH ORDINALITY AS i (
      book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
      request_key, request_hash, answer_status, n)
    JOIN ledger_idempotency k ON k.slot = p_slot AND k.key_hash = i.key_hash
    WHERE v_status[i.n] = 0
      AND (k.created_at <> p_recorded_at OR k.transaction_id IS DISTINCT FROM i.transaction_id);
    IF v_refused IS NOT NULL THEN
      v_before := v_status;
      FOREACH v_item IN ARRAY v_refused LOOP v_status[v_item] := 1; END LOOP;
      PERFORM ledger_move_back_v1(p_slot, p_legs, v_before, v_status, v_moved);
    END IF;
  END IF;

  INSERT INTO ledger_transaction
    (slot, id, book_id, kind, related_id, place_id, reference, effective_at, recorded_at, request_key, request_hash)
  SELECT p_slot, i.transaction_id, i.book_id, i.kind, i.related_id, i.place_id, i.reference, i.effective_at,
         p_recorded_at, i.request_key, i.request_hash
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
    request_key, request_hash, answer_status, n)
  WHERE v_status[i.n] = 0 AND i.transaction_id IS NOT NULL;

  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, i.transaction_id, i.leaf_hash, i.salt
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
    request_key, request_hash, answer_status, n)
  WHERE v_status[i.n] = 0 AND i.transaction_id IS NOT NULL;

  INSERT INTO ledger_entry
    (slot, transaction_id, leg, effect, debit_account, debit_lot, credit_account, credit_lot, amount_fen,
     debit_balance_after, credit_balance_after)
  SELECT p_slot, (p_items[l.item]).transaction_id, l.leg, l.effect, l.debit_account, l.debit_lot,
         l.credit_account, l.credit_lot, l.amount_fen,
         CASE WHEN l.debit_version IS NOT NULL
              THEN v_balances[array_position(v_moved, l.debit_account)] - l.debit_later_fen END,
         CASE WHEN l.credit_version IS NOT NULL
              THEN v_balances[array_position(v_moved, l.credit_account)] - l.credit_later_fen END
  FROM unnest(p_legs) AS l WHERE v_status[l.item] = 0 AND l.leg > 0;

  IF cardinality(p_new_lots) > 0 THEN
    INSERT INTO ledger_lot (slot, account_id, lot, origin_transaction_id, paid_fen, given_fen, expires_at)
    SELECT p_slot, n.account_id, n.lot, (p_items[n.item]).transaction_id, n.paid_fen, n.given_fen, n.expires_at
    FROM unnest(p_new_lots) AS n WHERE v_status[n.item] = 0;
  END IF;

  -- An item's lots are in accounts that it moved above, so they are locked with these.
  UPDATE ledger_lot o
  SET remaining_fen = o.remaining_fen + m.remaining_fen, reserved_fen = o.reserved_fen + m.reserved_fen
  FROM (
    SELECT s.account_id, s.lot, sum(s.credits_posted - s.debits_posted) AS remaining_fen,
           sum(s.debits_pending) AS reserved_fen
    FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.lot IS NOT NULL GROUP BY s.account_id, s.lot
  ) AS m
  WHERE o.slot = p_slot AND o.account_id = m.account_id AND o.lot = m.lot;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows < p_lots AND v_rows <> (
    SELECT count(DISTINCT (s.account_id, s.lot)) FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.lot IS NOT NULL
  ) THEN
    RAISE EXCEPTION 'ledger: a lot that is to move is not there' USING ERRCODE = 'KQ001';
  END IF;

  UPDATE ledger_account a
  SET debits_posted = a.debits_posted + m.debits_posted, credits_posted = a.credits_posted + m.credits_posted,
      debits_pending = a.debits_pending + m.debits_pending, credits_pending = a.credits_pending + m.credits_pending,
      version = a.version + 1
  FROM (
    SELECT s.account_id, (p_items[s.item]).book_id AS book_id, sum(s.debits_posted) AS debits_posted,
           sum(s.credits_posted) AS credits_posted, sum(s.debits_pending) AS debits_pending,
           sum(s.credits_pending) AS credits_pending
    FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.version IS NULL
    GROUP BY s.account_id, (p_items[s.item]).book_id ORDER BY s.account_id
  ) AS m
  WHERE a.slot = p_slot AND a.id = m.account_id AND a.book_id = m.book_id AND NOT a.lotted;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows < p_others AND v_rows <> (
    SELECT count(DISTINCT (s.account_id, (p_items[s.item]).book_id))
    FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.version IS NULL
  ) THEN
    RAISE EXCEPTION 'ledger: an account is not there, is of another book, or keeps lots and was moved without a version'
      USING ERRCODE = 'KQ001';
  END IF;

  RETURN v_status;
END $$;

ALTER FUNCTION ledger_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[]) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_sides_v1(p_legs ledger_leg_v1[], p_status smallint[]) RETURNS TABLE(item integer, account_id bigint, version bigint, lot integer, debits_posted bigint, credits_posted bigint, debits_pending bigint, credits_pending bigint)
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT l.item, s.account_id, s.version, s.lot, m.posted * s.debit, m.posted * s.credit, m.pending * s.debit,
         m.pending * s.credit
  FROM unnest(p_legs) AS l
  CROSS JOIN LATERAL (VALUES (
    CASE WHEN l.effect IN ('post', 'capture') THEN l.amount_fen ELSE 0 END,
    CASE l.effect WHEN 'reserve' THEN l.amount_fen WHEN 'post' THEN 0 ELSE -l.amount_fen END
  )) AS m (posted, pending)
  CROSS JOIN LATERAL (VALUES
    (l.debit_account, l.debit_version, l.debit_lot, 1, 0), (l.credit_account, l.credit_version, l.credit_lot, 0, 1)
  ) AS s (account_id, version, lot, debit, credit)
  WHERE p_status[l.item] = 0
$$;

CREATE FUNCTION ledger_take_checkpoints_v1(p_slot smallint, p_at timestamp with time zone, p_after bigint, p_limit integer) RETURNS TABLE(taken bigint, last_account bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
  v_accounts bigint[];
BEGIN
  v_accounts := ARRAY (
    SELECT a.id FROM ledger_account a
    WHERE a.slot = p_slot AND a.id > p_after AND a.floor_rule = 'none' ORDER BY a.id LIMIT p_limit);
  last_account := v_accounts[cardinality(v_accounts)];
  INSERT INTO ledger_checkpoint
    (slot, account_id, taken_at, debits_posted, credits_posted, debits_pending, credits_pending)
  SELECT p_slot, account.id, p_at,
         coalesce(c.debits_posted, 0) + coalesce(sum(e.amount_fen) FILTER (WHERE e.is_debit AND e.posts), 0),
         coalesce(c.credits_posted, 0) + coalesce(sum(e.amount_fen) FILTER (WHERE NOT e.is_debit AND e.posts), 0),
         coalesce(c.debits_pending, 0) + coalesce(sum(e.amount_fen * e.pends) FILTER (WHERE e.is_debit), 0),
         coalesce(c.credits_pending, 0) + coalesce(sum(e.amount_fen * e.pends) FILTER (WHERE NOT e.is_debit), 0)
  FROM unnest(v_accounts) AS account (id)
  LEFT JOIN LATERAL (
    SELECT k.* FROM ledger_checkpoint k WHERE k.slot = p_slot AND k.account_id = account.id AND k.taken_at < p_at
    ORDER BY k.taken_at DESC LIMIT 1
  ) AS c ON true
  CROSS JOIN LATERAL (
    SELECT s.is_debit, s.amount_fen, s.effect IN ('post', 'capture') AS posts,
           CASE s.effect WHEN 'reserve' THEN 1 WHEN 'post' THEN 0 ELSE -1 END AS pends
    FROM (
      SELECT true AS is_debit, d.transaction_id, d.amount_fen, d.effect FROM ledger_entry d
      WHERE d.slot = p_slot AND d.debit_account = account.id
        AND d.transaction_id >= ledger_first_id_v1(coalesce(c.taken_at - interval '1 minute', 'epoch'))
      UNION ALL
      SELECT false, r.transaction_id, r.amount_fen, r.effect FROM ledger_entry r
      WHERE r.slot = p_slot AND r.credit_account = account.id
        AND r.transaction_id >= ledger_first_id_v1(coalesce(c.taken_at - interval '1 minute', 'epoch'))
    ) AS s
    JOIN ledger_transaction t ON t.slot = p_slot AND t.id = s.transaction_id
    WHERE t.recorded_at > coalesce(c.taken_at, '-infinity') AND t.recorded_at <= p_at
  ) AS e
  GROUP BY account.id, c.debits_posted, c.credits_posted, c.debits_pending, c.credits_pending
  ON CONFLICT (slot, account_id, taken_at) DO NOTHING;
  GET DIAGNOSTICS taken = ROW_COUNT;
  RETURN NEXT;
END $$;

ALTER FUNCTION ledger_take_checkpoints_v1(p_slot smallint, p_at timestamp with time zone, p_after bigint, p_limit integer) OWNER TO kaquan_ledger;

CREATE FUNCTION ledger_touch_accounts_v1(p_slot smallint, p_owner uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM 1 FROM ledger_account
   WHERE slot = p_slot AND owner_id = p_owner AND floor_rule <> 'none'
   ORDER BY id FOR NO KEY UPDATE;
  UPDATE ledger_account SET version = version + 1
   WHERE slot = p_slot AND owner_id = p_owner AND floor_rule <> 'none';
END $$;

ALTER FUNCTION ledger_touch_accounts_v1(p_slot smallint, p_owner uuid) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_add_v1(p_ring bigint[], p_amount bigint) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT p_ring[1:16] || (p_ring[17] + p_amount) $$;

CREATE FUNCTION payments_count_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_status smallint[]) RETURNS TABLE(key uuid, fits boolean)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  UPDATE payments_usage o
  SET day = greatest(o.day, m.day),
      day_fen = CASE WHEN o.day >= m.day THEN o.day_fen ELSE 0 END + m.fen,
      day_count = CASE WHEN o.day >= m.day THEN o.day_count ELSE 0 END + m.uses,
      month = greatest(o.month, m.month),
      month_fen = CASE WHEN o.month >= m.month THEN o.month_fen ELSE 0 END + m.fen,
      month_count = CASE WHEN o.month >= m.month THEN o.month_count ELSE 0 END + m.uses,
      year = greatest(o.year, m.year),
      year_fen = CASE WHEN o.year >= m.year THEN o.year_fen ELSE 0 END + m.fen,
      year_count = CASE WHEN o.year >= m.year THEN o.year_count ELSE 0 END + m.uses
  FROM (
    SELECT u.key, sum(u.amount_fen)::bigint AS fen, count(*) AS uses,
           max(u.day) AS day, max(u.month) AS month, max(u.year) AS year,
           min(u.day_max_fen) AS day_max_fen, min(u.day_max_count) AS day_max_count,
           min(u.month_max_fen) AS month_max_fen, min(u.month_max_count) AS month_max_count,
           min(u.year_max_fen) AS year_max_fen, min(u.year_max_count) AS year_max_count
    FROM unnest(p_uses) AS u WHERE p_status[u.item] = 0
    GROUP BY u.key ORDER BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key
  RETURNING o.key,
    (m.day_max_fen IS NULL OR o.day_fen <= m.day_max_fen) AND (m.day_max_count IS NULL OR o.day_count <= m.day_max_count)
    AND (m.month_max_fen IS NULL OR o.month_fen <= m.month_max_fen)
    AND (m.month_max_count IS NULL OR o.month_count <= m.month_max_count)
    AND (m.year_max_fen IS NULL OR o.year_fen <= m.year_max_fen)
    AND (m.year_max_count IS NULL OR o.year_count <= m.year_max_count);
END $$;

CREATE FUNCTION payments_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) RETURNS TABLE(erased uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
DECLARE
  v_ids uuid[];
BEGIN
  WITH gone AS (
    UPDATE evidence_leaf l SET commitment = e.commitment, salt = NULL
    FROM unnest(p_ids, p_entries, p_commitments) AS e (id, entry, commitment)
    WHERE l.slot = p_slot AND l.transaction_id = e.id AND l.salt IS NOT NULL
      AND l.leaf_hash = sha256('\x00'::bytea || e.entry)
      AND position(convert_to(encode(e.commitment, 'hex'), 'UTF8') IN e.entry) > 0
      AND EXISTS (SELECT FROM ledger_transaction t WHERE t.slot = p_slot AND t.id = e.id AND t.book_id = p_book)
    RETURNING l.transaction_id
  )
  SELECT array_agg(transaction_id) INTO v_ids FROM gone;
  -- What the product itself wrote there names nobody: the sale that a load delivers, the quote that a closing pays.
  UPDATE ledger_transaction t
  SET reference = CASE WHEN t.kind = 'closing' OR t.reference ~ '^(sale|top)_[0-9a-f]{32}$' THEN t.reference END,
      request_key = NULL, request_hash = NULL
  WHERE t.slot = p_slot AND t.id = ANY (v_ids);
  UPDATE payments_payment p SET reference = t.reference
  FROM ledger_transaction t
  WHERE p.slot = p_slot AND p.id = ANY (v_ids) AND t.slot = p_slot AND t.id = p.id
    AND p.reference IS DISTINCT FROM t.reference;
  RETURN QUERY SELECT unnest(v_ids);
END $_$;

ALTER FUNCTION payments_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_give_back_v1(p_slot smallint, p_uses payments_use_v1[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM 1 FROM payments_usage WHERE slot = p_slot AND key = ANY (ARRAY (SELECT u.key FROM unnest(p_uses) AS u))
  ORDER BY key FOR NO KEY UPDATE;
  UPDATE payments_usage o
  SET day_fen = o.day_fen - m.day_fen, day_count = o.day_count - m.day_count,
      month_fen = o.month_fen - m.month_fen, month_count = o.month_count - m.month_count,
      year_fen = o.year_fen - m.year_fen, year_count = o.year_count - m.year_count
  FROM (
    SELECT u.key,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.day = k.day), 0)::bigint AS day_fen,
           count(*) FILTER (WHERE u.day = k.day AND u.year_max_count IS DISTINCT FROM -1) AS day_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.month = k.month), 0)::bigint AS month_fen,
           count(*) FILTER (WHERE u.month = k.month AND u.year_max_count IS DISTINCT FROM -1) AS month_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.year = k.year), 0)::bigint AS year_fen,
           count(*) FILTER (WHERE u.year = k.year AND u.year_max_count IS DISTINCT FROM -1) AS year_count
    FROM unnest(p_uses) AS u JOIN payments_usage k ON k.slot = p_slot AND k.key = u.key GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key;
END $$;

CREATE FUNCTION payments_give_up_v1(p_slot smallint, p_id uuid, p_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO payments_given_up (slot, id, at) VALUES (p_slot, p_id, p_at) ON CONFLICT (slot, id) DO NOTHING;
  IF EXISTS (SELECT FROM ledger_transaction WHERE slot = p_slot AND id = p_id) THEN
    DELETE FROM payments_given_up WHERE slot = p_slot AND id = p_id;
    RETURN false;
  END IF;
  RETURN true;
END $$;

ALTER FUNCTION payments_give_up_v1(p_slot smallint, p_id uuid, p_at timestamp with time zone) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_load_cards_v1(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean) RETURNS TABLE(n integer, book_id integer, programme_id uuid, status text, expires_at timestamp with time zone, book_version bigint, account_id bigint, kind text, account_version bigint, posted_fen bigint, reserved_fen bigint, lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    AS $$
BEGIN
  IF cardinality(p_payments) > 0 THEN
    p_cards := p_cards || ARRAY (
      SELECT p.card_id
      FROM unnest(p_payments) WITH ORDINALITY AS asked (id, n)
      LEFT JOIN payments_payment p ON p.slot = p_slot AND p.id = asked.id
      ORDER BY asked.n);
  END IF;
  RETURN QUERY
  SELECT asked.n::integer, c.book_id, c.programme_id, c.status, c.expires_at, b.version,
         a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending,
         l.lot, l.remaining_fen - l.reserved_fen, l.paid_fen, l.given_fen, l.expires_at
  FROM unnest(p_cards) WITH ORDINALITY AS asked (id, n)
  JOIN cards_card c ON c.slot = p_slot AND c.id = asked.id
  JOIN parties_book b ON b.id = c.book_id
  LEFT JOIN ledger_account a ON a.slot = p_slot AND a.owner_id = c.id AND a.floor_rule = 'credit'
    AND (p_every_pocket OR a.credits_posted > 0)
  LEFT JOIN ledger_lot l ON l.slot = p_slot AND l.account_id = a.id AND l.remaining_fen > l.reserved_fen;
END $$;

CREATE FUNCTION payments_load_cards_v2(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) RETURNS TABLE(n integer, book_id integer, programme_id uuid, customer_id uuid, status text, expires_at timestamp with time zone, book_version bigint, account_id bigint, kind text, account_version bigint, posted_fen bigint, reserved_fen bigint, lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamp with time zone, last_store_id uuid, last_latitude_udeg integer, last_longitude_udeg integer, last_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET jit TO 'off'
    AS $$
BEGIN
  IF cardinality(p_payments) > 0 THEN
    p_cards := p_cards || ARRAY (
      SELECT p.card_id
      FROM unnest(p_payments) WITH ORDINALITY AS asked (id, n)
      LEFT JOIN payments_payment p ON p.slot = p_slot AND p.id = asked.id
      ORDER BY asked.n);
  END IF;
  RETURN QUERY
  SELECT asked.n::integer, c.book_id, c.programme_id, c.customer_id, c.status, c.expires_at, b.version,
         a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending,
         l.lot, l.remaining_fen - l.reserved_fen, l.paid_fen, l.given_fen, l.expires_at,
         w.store_id, w.latitude_udeg, w.longitude_udeg, w.at
  FROM unnest(p_cards) WITH ORDINALITY AS asked (id, n)
  JOIN cards_card c ON c.slot = p_slot AND c.id = asked.id
  JOIN parties_book b ON b.id = c.book_id
  LEFT JOIN ledger_account a ON a.slot = p_slot AND a.owner_id = c.id AND a.floor_rule = 'credit'
    AND (p_every_pocket OR a.credits_posted > 0)
  LEFT JOIN ledger_lot l ON l.slot = p_slot AND l.account_id = a.id AND l.remaining_fen > l.reserved_fen
  LEFT JOIN payments_last_place w ON p_places AND w.slot = p_slot AND w.card_id = c.id;
END $$;

CREATE FUNCTION payments_load_cards_v3(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) RETURNS TABLE(n integer, book_id integer, programme_id uuid, terms_version integer, customer_id uuid, status text, expires_at timestamp with time zone, book_version bigint, account_id bigint, kind text, account_version bigint, posted_fen bigint, reserved_fen bigint, lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamp with time zone, last_store_id uuid, last_latitude_udeg integer, last_longitude_udeg integer, last_at timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET jit TO 'off'
    AS $$
BEGIN
  IF cardinality(p_payments) > 0 THEN
    p_cards := p_cards || ARRAY (
      SELECT p.card_id
      FROM unnest(p_payments) WITH ORDINALITY AS asked (id, n)
      LEFT JOIN payments_payment p ON p.slot = p_slot AND p.id = asked.id
      ORDER BY asked.n);
  END IF;
  RETURN QUERY
  SELECT asked.n::integer, c.book_id, c.programme_id, c.terms_version, c.customer_id, c.status, c.expires_at, b.version,
         a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending,
         l.lot, l.remaining_fen - l.reserved_fen, l.paid_fen, l.given_fen, l.expires_at,
         w.store_id, w.latitude_udeg, w.longitude_udeg, w.at
  FROM unnest(p_cards) WITH ORDINALITY AS asked (id, n)
  JOIN cards_card c ON c.slot = p_slot AND c.id = asked.id
  JOIN parties_book b ON b.id = c.book_id
  LEFT JOIN ledger_account a ON a.slot = p_slot AND a.owner_id = c.id AND a.floor_rule = 'credit'
    AND (p_every_pocket OR a.credits_posted > 0)
  LEFT JOIN ledger_lot l ON l.slot = p_slot AND l.account_id = a.id AND l.remaining_fen > l.reserved_fen
  LEFT JOIN payments_last_place w ON p_places AND w.slot = p_slot AND w.card_id = c.id;
END $$;

CREATE FUNCTION payments_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET enable_hashjoin TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    AS $$
DECLARE
  v_status smallint[] := p_status;
  v_stale integer[];
  v_item integer;
BEGIN
  IF cardinality(p_changes) > 0 THEN
    PERFORM 1 FROM payments_payment
     WHERE slot = p_slot AND id = ANY (SELECT c.id FROM unnest(p_changes) AS c)
     ORDER BY id FOR NO KEY UPDATE;
    SELECT array_agg(c.item) INTO v_stale
    FROM unnest(p_changes) AS c
    LEFT JOIN payments_payment p ON p.slot = p_slot AND p.id = c.id
    WHERE p.version IS DISTINCT FROM c.version;
    IF v_stale IS NOT NULL THEN
      FOREACH v_item IN ARRAY v_stale LOOP v_status[v_item] := 2; END LOOP;
    END IF;
  END IF;

  v_status := ledger_post_batch_v1(
    p_slot, p_recorded_at, p_items, p_answers, p_legs, p_new_lots, p_versioned, p_lots, p_others,
    p_limited, v_status);

  INSERT INTO payments_payment
    (slot, id, book_id, kind, status, card_id, merchant_id, store_id, terminal_id, original_id, currency, amount_fen,
     bonus_fen, captured_fen, reference, expires_at, occurred_at, created_at)
  SELECT p_slot, n.id, n.book_id, n.kind, n.status, n.card_id, n.merchant_id, n.store_id, n.terminal_id,
         n.original_id, n.currency, n.amount_fen, n.bonus_fen, n.captured_fen, n.reference, n.expires_at,
         n.occurred_at, p_recorded_at
  FROM unnest(p_new) AS n WHERE v_status[n.item] = 0;

  IF cardinality(p_changes) > 0 THEN
    UPDATE payments_payment p
    SET status = c.status, captured_fen = c.captured_fen, refunded_fen = c.refunded_fen, version = p.version + 1
    FROM unnest(p_changes) AS c
    WHERE p.slot = p_slot AND p.id = c.id AND v_status[c.item] = 0;
  END IF;

  RETURN v_status;
END $$;

ALTER FUNCTION payments_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_post_batch_v2(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_counted smallint[];
  v_trailed smallint[];
  v_status smallint[];
BEGIN
  v_counted := p_status;
  IF p_use_keys > 0 THEN
    v_counted := payments_use_limits_v1(p_slot, p_uses, p_use_keys, p_status);
  END IF;
  v_trailed := v_counted;
  IF cardinality(p_trail_uses) > 0 THEN
    v_trailed := payments_use_trails_v1(p_slot, p_trail_uses, v_counted);
  END IF;
  v_status := payments_post_batch_v1(
    p_slot, p_recorded_at, p_items, p_answers, p_legs, p_new_lots, p_versioned, p_lots, p_others, p_limited,
    v_trailed, p_new, p_changes);
  IF p_use_keys > 0 AND v_status <> v_counted THEN
    PERFORM payments_return_uses_v1(p_slot, p_uses, v_counted, v_status);
  END IF;
  IF cardinality(p_trail_uses) > 0 AND v_status <> v_trailed THEN
    PERFORM payments_return_trails_v1(p_slot, p_trail_uses, v_trailed, v_status);
  END IF;
  -- the card's pocket is locked by now, and with it this row
  IF cardinality(p_last) > 0 THEN
    INSERT INTO payments_last_place AS o (slot, card_id, store_id, latitude_udeg, longitude_udeg, at)
    SELECT p_slot, l.card_id, l.store_id, l.latitude_udeg, l.longitude_udeg, l.at
    FROM unnest(p_last) AS l WHERE v_status[l.item] = 0 ORDER BY l.card_id
    ON CONFLICT (slot, card_id) DO UPDATE
    SET store_id = EXCLUDED.store_id, latitude_udeg = EXCLUDED.latitude_udeg,
        longitude_udeg = EXCLUDED.longitude_udeg, at = EXCLUDED.at
    WHERE o.at <= EXCLUDED.at;
  END IF;
  RETURN v_status;
END $$;

ALTER FUNCTION payments_post_batch_v2(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_post_priced_v1(p_pricings payments_pricing_v1[], p_back payments_use_v1[], p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_status smallint[];
  v_back payments_use_v1[];
BEGIN
  -- counters are locked before accounts everywhere, in the order of their keys
  IF cardinality(p_back) > 0 THEN
    PERFORM 1 FROM payments_usage
    WHERE slot = p_slot AND key = ANY (ARRAY (SELECT u.key FROM unnest(p_back || p_uses) AS u))
    ORDER BY key FOR NO KEY UPDATE;
  END IF;
  IF cardinality(p_reserved) > 0 THEN
    v_status := payments_post_reserved_v1(
      p_reserved, p_slot, p_recorded_at, p_items, p_answers, p_legs, p_new_lots, p_versioned, p_lots, p_others,
      p_limited, p_status, p_new, p_changes, p_uses, p_use_keys, p_trail_uses, p_last);
  ELSE
    v_status := payments_post_batch_v2(
      p_slot, p_recorded_at, p_items, p_answers, p_legs, p_new_lots, p_versioned, p_lots, p_others, p_limited, p_status,
      p_new, p_changes, p_uses, p_use_keys, p_trail_uses, p_last);
  END IF;
  INSERT INTO payments_pricing (slot, transaction_id, original_id, kept)
  SELECT p_slot, (p_items[p.item]).transaction_id, p.original_id, p.kept
  FROM unnest(p_pricings) AS p WHERE v_status[p.item] = 0;
  INSERT INTO ledger_detail (slot, transaction_id, hash)
  SELECT p_slot, (p_items[p.item]).transaction_id, p.hash
  FROM unnest(p_pricings) AS p WHERE v_status[p.item] = 0;
  IF cardinality(p_back) > 0 THEN
    v_back := ARRAY (SELECT u FROM unnest(p_back) AS u WHERE v_status[u.item] = 0);
    PERFORM payments_give_back_v1(p_slot, v_back);
  END IF;
  RETURN v_status;
END $$;

ALTER FUNCTION payments_post_priced_v1(p_pricings payments_pricing_v1[], p_back payments_use_v1[], p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_post_reserved_v1(p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_mine uuid[];
  v_status smallint[];
BEGIN
  WITH mine AS (
    INSERT INTO payments_given_up (slot, id, at)
    SELECT p_slot, r.id, p_recorded_at FROM unnest(p_reserved) AS r (id) ORDER BY r.id
    ON CONFLICT (slot, id) DO NOTHING RETURNING id
  )
  SELECT array_agg(id) INTO v_mine FROM mine;
  IF coalesce(cardinality(v_mine), 0) < cardinality(p_reserved) THEN
    v_status := array_fill(2::smallint, ARRAY[cardinality(p_status)]);
  ELSE
    v_status := payments_post_batch_v2(
      p_slot, p_recorded_at, p_items, p_answers, p_legs, p_new_lots, p_versioned, p_lots, p_others, p_limited, p_status,
      p_new, p_changes, p_uses, p_use_keys, p_trail_uses, p_last);
  END IF;
  DELETE FROM payments_given_up WHERE slot = p_slot AND id = ANY (v_mine);
  RETURN v_status;
END $$;

ALTER FUNCTION payments_post_reserved_v1(p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_reserve_back_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  INSERT INTO payments_reservation (slot, id, paid_in, uses, trail_uses, created_at, gives_back)
  SELECT p_slot, p_ids[n], p_paid_in, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.item = n), '{}', p_at, true
  FROM generate_subscripts(p_ids, 1) AS n
$$;

ALTER FUNCTION payments_reserve_back_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_reserve_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[]) RETURNS smallint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_counted smallint[] := array_fill(0::smallint, ARRAY[cardinality(p_ids)]);
  v_status smallint[];
BEGIN
  IF p_use_keys > 0 THEN
    v_counted := payments_use_limits_v1(p_slot, p_uses, p_use_keys, v_counted);
  END IF;
  v_status := v_counted;
  IF cardinality(p_trail_uses) > 0 THEN
    v_status := payments_use_trails_v1(p_slot, p_trail_uses, v_counted);
  END IF;
  IF p_use_keys > 0 AND v_status <> v_counted THEN
    PERFORM payments_return_uses_v1(p_slot, p_uses, v_counted, v_status);
  END IF;
  INSERT INTO payments_reservation (slot, id, paid_in, uses, trail_uses, created_at)
  SELECT p_slot, p_ids[n], p_paid_in, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.item = n),
         ARRAY (SELECT t FROM unnest(p_trail_uses) AS t WHERE t.item = n), p_at
  FROM generate_subscripts(p_ids, 1) AS n WHERE v_status[n] = 0;
  RETURN v_status;
END $$;

ALTER FUNCTION payments_reserve_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_return_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_before smallint[], p_status smallint[]) RETURNS void
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
  UPDATE payments_trail o
  SET fen = payments_add_v1(o.fen, -m.fen), count = payments_add_v1(o.count, -m.uses)
  FROM (
    SELECT u.key, sum(u.amount_fen)::bigint AS fen, count(*) AS uses FROM unnest(p_uses) AS u
    WHERE p_before[u.item] = 0 AND p_status[u.item] <> 0 GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key
$$;

CREATE FUNCTION payments_return_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_before smallint[], p_status smallint[]) RETURNS void
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
  UPDATE payments_usage o
  SET day_fen = o.day_fen - m.fen, day_count = o.day_count - m.uses,
      month_fen = o.month_fen - m.fen, month_count = o.month_count - m.uses,
      year_fen = o.year_fen - m.fen, year_count = o.year_count - m.uses
  FROM (
    SELECT u.key, sum(u.amount_fen)::bigint AS fen, count(*) AS uses FROM unnest(p_uses) AS u
    WHERE p_before[u.item] = 0 AND p_status[u.item] <> 0 GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key
$$;

CREATE FUNCTION payments_roll_v1(p_ring bigint[], p_steps bigint) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT CASE WHEN p_steps <= 0 THEN p_ring
              WHEN p_steps > 16 THEN array_fill(0::bigint, ARRAY[17])
              ELSE p_ring[p_steps::integer + 1 : 17] || array_fill(0::bigint, ARRAY[p_steps::integer]) END
$$;

CREATE FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_uses payments_use_v1[];
  v_trails payments_trail_use_v1[];
  v_use payments_trail_use_v1;
BEGIN
  DELETE FROM payments_reservation WHERE slot = p_slot AND id = ANY (p_paid);
  WITH gone AS (
    DELETE FROM payments_reservation WHERE slot = p_slot AND id = ANY (p_unpaid) RETURNING uses, trail_uses
  )
  SELECT ARRAY (SELECT u FROM gone, unnest(gone.uses) AS u), ARRAY (SELECT t FROM gone, unnest(gone.trail_uses) AS t)
  INTO v_uses, v_trails;
  PERFORM payments_give_back_v1(p_slot, v_uses);
  FOR v_use IN SELECT t.* FROM unnest(v_trails) AS t ORDER BY t.key LOOP
    UPDATE payments_trail o
    SET fen[(17 - (o.step - v_use.step))::integer]
          = o.fen[(17 - (o.step - v_use.step))::integer] - v_use.amount_fen,
        count[(17 - (o.step - v_use.step))::integer] = o.count[(17 - (o.step - v_use.step))::integer] - 1
    WHERE o.slot = p_slot AND o.key = v_use.key AND o.step - v_use.step BETWEEN 0 AND 16;
  END LOOP;
END $$;

ALTER FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) OWNER TO kaquan_ledger;

CREATE FUNCTION payments_use_limits_v1(p_slot smallint, p_uses payments_use_v1[], p_keys integer, p_status smallint[]) RETURNS smallint[]
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_material TO 'off'
    SET join_collapse_limit TO '1'
    SET cpu_tuple_cost TO '1'
    SET random_page_cost TO '0'
    SET seq_page_cost TO '0'
    SET jit TO 'off'
    AS $$
DECLARE
  v_status smallint[] := p_status;
  v_before smallint[];
  v_found uuid[];
  v_made uuid[];
  v_over uuid[];
  v_again integer[];
  v_item integer;
BEGIN
  SELECT array_agg(key), array_agg(key) FILTER (WHERE NOT fits) INTO v_found, v_over
  FROM payments_count_uses_v1(p_slot, p_uses, v_status);

  IF coalesce(cardinality(v_found), 0) < p_keys THEN
    v_found := coalesce(v_found, '{}');
    WITH made AS (
      INSERT INTO payments_usage
        (slot, key, day, day_fen, day_count, month, month_fen, month_count, year, year_fen, year_count)
      SELECT p_slot, u.key, max(u.day), sum(u.amount_fen), count(*), max(u.month), sum(u.amount_fen), count(*),
             max(u.year), sum(u.amount_fen), count(*)
      FROM unnest(p_uses) AS u WHERE v_status[u.item] = 0 AND u.key <> ALL (v_found)
      GROUP BY u.key ORDER BY u.key
      ON CONFLICT (slot, key) DO NOTHING RETURNING key, day_fen AS fen, day_count AS uses
    )
    SELECT array_agg(made.key), v_over || array_agg(made.key) FILTER (WHERE NOT (
             made.fen <= least(m.day_max_fen, m.month_max_fen, m.year_max_fen, 9223372036854775807)
             AND made.uses <= least(m.day_max_count, m.month_max_count, m.year_max_count, 9223372036854775807)))
    INTO v_made, v_over
    FROM made
    CROSS JOIN LATERAL (
      SELECT min(u.day_max_fen) AS day_max_fen, min(u.day_max_count) AS day_max_count,
             min(u.month_max_fen) AS month_max_fen, min(u.month_max_count) AS month_max_count,
             min(u.year_max_fen) AS year_max_fen, min(u.year_max_count) AS year_max_count
      FROM unnest(p_uses) AS u WHERE u.key = made.key
    ) AS m;
    v_found := v_found || v_made;
    IF cardinality(v_found) < p_keys THEN
      v_before := v_status;
      FOR v_item IN SELECT DISTINCT u.item FROM unnest(p_uses) AS u WHERE v_status[u.item] = 0 AND u.key <> ALL (v_found)
      LOOP v_status[v_item] := 2; END LOOP;
      PERFORM payments_return_uses_v1(
        p_slot, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.key = ANY (v_found)), v_before, v_status);
    END IF;
  END IF;

  IF v_over IS NOT NULL THEN
    v_again := ARRAY (
      SELECT DISTINCT u.item FROM unnest(p_uses) AS u WHERE v_status[u.item] = 0 AND u.key = ANY (v_over) ORDER BY 1);
    v_before := v_status;
    FOREACH v_item IN ARRAY v_again LOOP v_status[v_item] := 4; END LOOP;
    PERFORM payments_return_uses_v1(p_slot, p_uses, v_before, v_status);
    FOREACH v_item IN ARRAY v_again LOOP
      v_before := v_status;
      v_before[v_item] := 0;
      IF (SELECT bool_and(fits) FROM payments_count_uses_v1(
            p_slot, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.item = v_item), v_before)) THEN
        v_status := v_before;
      ELSE
        PERFORM payments_return_uses_v1(
          p_slot, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.item = v_item), v_before, v_status);
      END IF;
    END LOOP;
  END IF;
  RETURN v_status;
END $$;

CREATE FUNCTION payments_use_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_status smallint[]) RETURNS smallint[]
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
  v_status smallint[] := p_status;
  v_use payments_trail_use_v1;
BEGIN
  INSERT INTO payments_trail (slot, key, step, fen, count)
  SELECT p_slot, u.key, min(u.step), array_fill(0::bigint, ARRAY[17]), array_fill(0::bigint, ARRAY[17])
  FROM unnest(p_uses) AS u GROUP BY u.key ORDER BY u.key
  ON CONFLICT (slot, key) DO NOTHING;
  PERFORM 1 FROM payments_trail WHERE slot = p_slot AND key = ANY (SELECT u.key FROM unnest(p_uses) AS u)
  ORDER BY key FOR NO KEY UPDATE;
  FOR v_use IN SELECT u.* FROM unnest(p_uses) AS u ORDER BY u.item, u.key LOOP
    CONTINUE WHEN v_status[v_use.item] <> 0;
    PERFORM 1 FROM payments_trail o
    WHERE o.slot = p_slot AND o.key = v_use.key
      AND (SELECT sum(n) FROM unnest(payments_roll_v1(o.fen, v_use.step - o.step)) AS n) + v_use.amount_fen
          <= coalesce(v_use.max_fen, 9223372036854775807)
      AND (SELECT sum(n) FROM unnest(payments_roll_v1(o.count, v_use.step - o.step)) AS n) + 1
          <= coalesce(v_use.max_count, 9223372036854775807);
    IF NOT FOUND THEN
      v_status[v_use.item] := 4;
      PERFORM payments_return_trails_v1(p_slot, u.uses, p_status, v_status)
      FROM (SELECT array_agg(u) AS uses FROM unnest(p_uses) AS u
            WHERE u.item = v_use.item AND u.key < v_use.key) AS u WHERE u.uses IS NOT NULL;
    ELSE
      UPDATE payments_trail o
      SET step = greatest(o.step, v_use.step),
          fen = payments_add_v1(payments_roll_v1(o.fen, v_use.step - o.step), v_use.amount_fen),
          count = payments_add_v1(payments_roll_v1(o.count, v_use.step - o.step), 1)
      WHERE o.slot = p_slot AND o.key = v_use.key;
    END IF;
  END LOOP;
  RETURN v_status;
END $$;

CREATE FUNCTION policy_approve_v1(p_slot smallint, p_change uuid, p_book integer, p_owner uuid, p_version bigint, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text, p_rules jsonb, p_endings jsonb, p_leaf bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO policy_decision (change_id, decision, proposed_by, decided_by, decided_at, reason, version, slot)
  VALUES (p_change, 'approved', p_proposed_by, p_decided_by, p_at, p_reason, p_version, p_slot);
  INSERT INTO policy_rule_set (book_id, owner_id, version, change_id, rules, endings)
  VALUES (p_book, p_owner, p_version, p_change, p_rules, p_endings);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_change, p_leaf, NULL);
  UPDATE parties_book SET version = version + 1 WHERE id = p_book;
END $$;

ALTER FUNCTION policy_approve_v1(p_slot smallint, p_change uuid, p_book integer, p_owner uuid, p_version bigint, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text, p_rules jsonb, p_endings jsonb, p_leaf bytea) OWNER TO kaquan_ledger;

CREATE FUNCTION policy_reject_v1(p_change uuid, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO policy_decision (change_id, decision, proposed_by, decided_by, decided_at, reason)
  VALUES (p_change, 'rejected', p_proposed_by, p_decided_by, p_at, p_reason);
END $$;

ALTER FUNCTION policy_reject_v1(p_change uuid, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text) OWNER TO kaquan_ledger;

CREATE FUNCTION vouchers_record_v2(p_slot smallint, p_at timestamp with time zone, p_actor text, p_reason text, p_kind text, p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[], p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[], p_salts bytea[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
  INSERT INTO vouchers_event (slot, voucher_id, id, book_id, template_id, kind, from_status, to_status, at, actor,
    holder_kind, holder_id, transaction_id, amount_fen, face_fen, reason, number)
  SELECT p_slot, e.voucher_id, e.id, e.book_id, e.template_id, p_kind, e.from_status, e.to_status, p_at, p_actor,
         e.holder_kind, e.holder_id, e.transaction_id, e.amount_fen, e.face_fen, p_reason,
         -- whoever records has changed the voucher in the same transaction, so nobody else records now
         (SELECT count(*) + 1 FROM vouchers_event AS x WHERE x.slot = p_slot AND x.voucher_id = e.voucher_id)
  FROM unnest(p_vouchers, p_ids, p_books, p_templates, p_from, p_to, p_holder_kinds, p_holders, p_transactions,
    p_amounts, p_faces) AS e (voucher_id, id, book_id, template_id, from_status, to_status, holder_kind, holder_id,
    transaction_id, amount_fen, face_fen);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, l.salt FROM unnest(p_ids, p_leaves, p_salts) AS l (id, leaf, salt);
$$;

ALTER FUNCTION vouchers_record_v2(p_slot smallint, p_at timestamp with time zone, p_actor text, p_reason text, p_kind text, p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[], p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[], p_salts bytea[]) OWNER TO kaquan_ledger;

CREATE TABLE audit_anchor (
    id smallint NOT NULL,
    size bigint NOT NULL,
    note text NOT NULL,
    verified_at timestamp with time zone NOT NULL,
    CONSTRAINT audit_anchor_only_one CHECK ((id = 0))
)
WITH (fillfactor='10');

COMMENT ON TABLE audit_anchor IS 'Up to which size, with which root, the log was audited entry by entry; note says it, signed';

CREATE TABLE cards_acceptance (
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    store_id uuid
);

CREATE TABLE cards_acceptance_trade (
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    trade text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE cards_adjustment (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    pocket text NOT NULL COLLATE pg_catalog."C",
    direction text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    note text NOT NULL,
    approval_id uuid NOT NULL,
    made_by text NOT NULL COLLATE pg_catalog."C",
    made_at timestamp with time zone NOT NULL,
    CONSTRAINT cards_adjustment_amount CHECK ((amount_fen > 0)),
    CONSTRAINT cards_adjustment_direction CHECK ((direction = ANY (ARRAY['credit'::text, 'debit'::text])))
);

COMMENT ON TABLE cards_adjustment IS 'Corrections by hand, each with the approval that allowed it; the id is that of the transaction';

CREATE TABLE cards_batch (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    name text NOT NULL,
    form text NOT NULL COLLATE pg_catalog."C",
    card_count integer NOT NULL,
    issued_count integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    terms_version integer DEFAULT 1 NOT NULL,
    face_fen bigint,
    CONSTRAINT cards_batch_count CHECK (((card_count > 0) AND ((issued_count >= 0) AND (issued_count <= card_count)))),
    CONSTRAINT cards_batch_face CHECK ((face_fen > 0)),
    CONSTRAINT cards_batch_form CHECK ((form = ANY (ARRAY['digital'::text, 'physical'::text])))
);

COMMENT ON COLUMN cards_batch.face_fen IS 'The face value that its cards are made for, the only one they are sold with; null: any of their terms';

CREATE TABLE cards_card (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    batch_id uuid,
    form text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    status_reason text COLLATE pg_catalog."C",
    number_last4 text NOT NULL COLLATE pg_catalog."C",
    number_sealed bytea NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    activated_at timestamp with time zone,
    version integer DEFAULT 0 NOT NULL,
    customer_id uuid,
    registered_at timestamp with time zone,
    loss_reported_at timestamp with time zone,
    loss_due_at timestamp with time zone,
    lost_at timestamp with time zone,
    gift_id uuid,
    replaces_id uuid,
    replaced_by_id uuid,
    terms_version integer DEFAULT 1 NOT NULL,
    sale_id uuid,
    CONSTRAINT cards_card_form CHECK ((form = ANY (ARRAY['digital'::text, 'physical'::text]))),
    CONSTRAINT cards_card_status CHECK ((status = ANY (ARRAY['issued'::text, 'active'::text, 'blocked'::text, 'lost'::text, 'gifted'::text, 'replaced'::text, 'closed'::text, 'expired'::text])))
)
WITH (fillfactor='90');

COMMENT ON COLUMN cards_card.number_sealed IS 'The number under authenticated encryption, bound to the card id; shown by a permission only';

COMMENT ON COLUMN cards_card.customer_id IS 'Whose card it is; null: unregistered';

COMMENT ON COLUMN cards_card.loss_due_at IS 'By when a loss report takes effect; lost_at is when it did';

COMMENT ON COLUMN cards_card.gift_id IS 'The gift by which it is on its way to another person';

COMMENT ON COLUMN cards_card.terms_version IS 'The version of the terms of its programme that it was issued under; a replacement takes that of the card before it';

COMMENT ON COLUMN cards_card.sale_id IS 'The sale that it is set aside for, until that delivers it or ends';

CREATE TABLE cards_event (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    reason text,
    status text COLLATE pg_catalog."C",
    version integer,
    details jsonb NOT NULL
);

COMMENT ON COLUMN cards_event.actor IS 'Who did it: an API key (key_…), system, command_line';

COMMENT ON COLUMN cards_event.version IS 'The version of the card that this event made, with its status then; null where the card itself did not change';

COMMENT ON COLUMN cards_event.details IS 'What a person may see: no number, PIN, token or message';

CREATE TABLE cards_fee (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    transfer_id uuid,
    charged_at timestamp with time zone NOT NULL,
    CONSTRAINT cards_fee_amount CHECK ((amount_fen > 0))
);

COMMENT ON TABLE cards_fee IS 'Fees that cards paid for a service; the id is that of the transaction';

COMMENT ON COLUMN cards_fee.transfer_id IS 'The transfer of the balance to the new card: a replacement is charged once';

CREATE TABLE cards_gift (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    message_sealed bytea,
    secret_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    claimed_by uuid,
    new_card_id uuid,
    CONSTRAINT cards_gift_status CHECK ((status = ANY (ARRAY['open'::text, 'claimed'::text, 'cancelled'::text, 'expired'::text])))
);

COMMENT ON COLUMN cards_gift.secret_hash IS 'SHA-256 of the random secret in the claim token, which is shown once';

CREATE TABLE cards_number (
    slot smallint NOT NULL,
    lookup uuid NOT NULL,
    card_slot smallint NOT NULL,
    card_id uuid NOT NULL,
    key_id text DEFAULT 'l1'::text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON COLUMN cards_number.lookup IS 'The first half of HMAC-SHA-256 of the number under the lookup key';

COMMENT ON COLUMN cards_number.key_id IS 'The id in the key ring of the look-up key that made this entry';

CREATE TABLE cards_pin (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    book_id integer NOT NULL,
    hash text COLLATE pg_catalog."C",
    attempts integer DEFAULT 0 NOT NULL,
    set_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

COMMENT ON COLUMN cards_pin.hash IS 'Argon2id over a keyed HMAC of the PIN and the card; null: forgotten';

COMMENT ON COLUMN cards_pin.attempts IS 'Guesses since the last right one. Each is counted before it is compared, so that guesses at once cannot outrun it';

CREATE TABLE cards_programme (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    issuer_id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    number_prefix text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE cards_programme_end (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    stops_at timestamp with time zone NOT NULL,
    last_day date NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    announcement text NOT NULL,
    notice_days integer,
    notice_rule text COLLATE pg_catalog."C",
    notice_source text,
    announced_by text NOT NULL COLLATE pg_catalog."C",
    approval_id uuid,
    announced_at timestamp with time zone NOT NULL,
    withdrawn_by text COLLATE pg_catalog."C",
    withdrawal_reason text,
    withdrawn_at timestamp with time zone,
    stop_told_at timestamp with time zone,
    end_told_at timestamp with time zone,
    CONSTRAINT cards_programme_end_in_order CHECK (((announced_at < stops_at) AND (stops_at < ends_at))),
    CONSTRAINT cards_programme_end_withdrawn CHECK ((((withdrawn_at IS NULL) = (withdrawn_by IS NULL)) AND ((withdrawn_at IS NULL) = (withdrawal_reason IS NULL)) AND ((withdrawn_at IS NULL) OR (withdrawn_at < stops_at))))
);

COMMENT ON TABLE cards_programme_end IS 'Decisions to end a programme: from stops_at on nothing is sold, issued, activated or loaded, after last_day nothing is spent';

COMMENT ON COLUMN cards_programme_end.ends_at IS 'The end of last_day where the issuer is';

COMMENT ON COLUMN cards_programme_end.notice_days IS 'Days of public notice that bound the decision, by notice_rule; null: no rule and no clause asked for any';

CREATE TABLE cards_programme_terms (
    programme_id uuid NOT NULL,
    version integer NOT NULL,
    book_id integer NOT NULL,
    terms jsonb NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    changed_by text NOT NULL COLLATE pg_catalog."C",
    approval_id uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT cards_programme_terms_approval CHECK (((version = 1) OR (approval_id IS NOT NULL))),
    CONSTRAINT cards_programme_terms_version CHECK ((version > 0))
);

COMMENT ON TABLE cards_programme_terms IS 'Every version of the terms of a programme. Nobody may change or remove a row';

COMMENT ON COLUMN cards_programme_terms.terms IS 'As JSON; a term that is not there has the value that means: nothing said';

COMMENT ON COLUMN cards_programme_terms.changed_by IS 'Who made it: an API key (key_…) or system';

CREATE TABLE cards_secret (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    book_id integer NOT NULL,
    secret_sealed bytea NOT NULL,
    pin_sealed bytea,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE cards_secret IS 'Card secrets and first PINs, sealed; they are given out in a production file only';

CREATE TABLE cards_transfer (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    from_card_id uuid NOT NULL,
    to_card_id uuid NOT NULL,
    amount_fen bigint DEFAULT 0 NOT NULL,
    out_id uuid,
    in_id uuid,
    abandoned_for text COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    key_hash uuid,
    request_hash bytea,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT cards_transfer_kind CHECK ((kind = ANY (ARRAY['replacement'::text, 'balance'::text, 'forward'::text]))),
    CONSTRAINT cards_transfer_status CHECK ((status = ANY (ARRAY['open'::text, 'out'::text, 'completed'::text, 'abandoned'::text])))
)
WITH (fillfactor='90');

COMMENT ON TABLE cards_transfer IS 'In the slot of the card that gives';

COMMENT ON COLUMN cards_transfer.out_id IS 'The transaction that took the value; it also gave it where both cards are in one slot';

COMMENT ON COLUMN cards_transfer.in_id IS 'The transaction that gives the value, where the other card is in another slot; or brings it back, where it was closed';

CREATE TABLE closing_closure (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    book_id integer NOT NULL,
    transaction_id uuid,
    cause text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    interest_fen bigint NOT NULL,
    quote_hash bytea NOT NULL,
    quote bytea NOT NULL,
    closed_by uuid NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    CONSTRAINT closing_closure_amounts CHECK (((amount_fen >= interest_fen) AND (interest_fen >= 0)))
);

COMMENT ON COLUMN closing_closure.quote IS 'The calculation as it was posted: quote_hash is its SHA-256';

CREATE TABLE closing_dormancy (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    last_moved_at timestamp with time zone NOT NULL,
    book_id integer NOT NULL,
    notice_id uuid NOT NULL,
    found_at timestamp with time zone NOT NULL
);

CREATE TABLE closing_dormancy_fee (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    month date NOT NULL,
    book_id integer NOT NULL,
    amount_fen bigint NOT NULL,
    notice_id uuid NOT NULL,
    told_at timestamp with time zone NOT NULL,
    fee_id uuid,
    failure text COLLATE pg_catalog."C",
    settled_at timestamp with time zone,
    CONSTRAINT closing_dormancy_fee_amount CHECK ((amount_fen > 0)),
    CONSTRAINT closing_dormancy_fee_month CHECK ((EXTRACT(day FROM month) = (1)::numeric)),
    CONSTRAINT closing_dormancy_fee_settled CHECK ((((settled_at IS NULL) = ((fee_id IS NULL) AND (failure IS NULL))) AND ((fee_id IS NULL) OR (failure IS NULL))))
);

COMMENT ON TABLE closing_dormancy_fee IS 'Months for which a card that nobody uses is to pay: told in the month before, charged once or not at all';

COMMENT ON COLUMN closing_dormancy_fee.failure IS 'Why nothing was charged for this month';

CREATE TABLE closing_end_notice (
    slot smallint NOT NULL,
    end_id uuid NOT NULL,
    card_id uuid NOT NULL,
    occasion text NOT NULL COLLATE pg_catalog."C",
    days integer NOT NULL,
    book_id integer NOT NULL,
    customer_id uuid NOT NULL,
    notice_id uuid NOT NULL,
    told_at timestamp with time zone NOT NULL,
    CONSTRAINT closing_end_notice_occasion CHECK ((occasion = ANY (ARRAY['announced'::text, 'reminder'::text, 'withdrawn'::text])))
);

COMMENT ON TABLE closing_end_notice IS 'Who of the holders was told of the end of a programme, and by which notice';

COMMENT ON COLUMN closing_end_notice.days IS 'Of a reminder: so many days before the last day; else 0';

CREATE TABLE closing_end_payee (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    id uuid NOT NULL,
    end_id uuid NOT NULL,
    book_id integer NOT NULL,
    payee_sealed bytea NOT NULL,
    account_last4 text COLLATE pg_catalog."C",
    key_id uuid,
    operator_id uuid,
    given_at timestamp with time zone NOT NULL,
    failure text COLLATE pg_catalog."C",
    tried_at timestamp with time zone,
    CONSTRAINT closing_end_payee_failure CHECK (((failure IS NULL) OR (tried_at IS NOT NULL))),
    CONSTRAINT closing_end_payee_person CHECK (((key_id IS NOT NULL) OR (operator_id IS NOT NULL)))
);

COMMENT ON TABLE closing_end_payee IS 'To whom the rest of a card is paid when its programme has ended: the job closes the card for its refund';

COMMENT ON COLUMN closing_end_payee.payee_sealed IS 'Name, account number and bank, under authenticated encryption, bound to the id';

COMMENT ON COLUMN closing_end_payee.failure IS 'Why the last try to refund the card was refused; null: not tried yet, or done';

CREATE TABLE closing_end_publication (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    end_id uuid NOT NULL,
    medium text NOT NULL,
    reference text NOT NULL,
    published_on date NOT NULL,
    noted_by text NOT NULL COLLATE pg_catalog."C",
    noted_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE closing_end_publication IS 'Where the end of a programme was made public: what holders of unregistered cards, whom nobody knows, were told';

CREATE TABLE closing_expired_lot (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    account_id bigint NOT NULL,
    lot integer NOT NULL,
    source_account_id bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    amount_fen bigint NOT NULL,
    remaining_after_fen bigint NOT NULL,
    reserved_after_fen bigint NOT NULL,
    returned_fen bigint DEFAULT 0 NOT NULL,
    swept_at timestamp with time zone NOT NULL,
    CONSTRAINT closing_expired_lot_in_time CHECK ((expires_at <= swept_at)),
    CONSTRAINT closing_expired_lot_returned CHECK (((amount_fen > 0) AND ((returned_fen >= 0) AND (returned_fen <= amount_fen)))),
    CONSTRAINT closing_expired_lot_whole CHECK ((remaining_after_fen = reserved_after_fen))
);

COMMENT ON TABLE closing_expired_lot IS 'What was taken from a lot after its end, and what the lot held after that in the same commit: only what was set aside';

COMMENT ON COLUMN closing_expired_lot.source_account_id IS 'The account of expired value that holds it';

COMMENT ON COLUMN closing_expired_lot.returned_fen IS 'What of it was given back: by an extension, or in a refund when the card was closed';

CREATE TABLE closing_extension (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    account_id bigint NOT NULL,
    lot integer NOT NULL,
    before timestamp with time zone NOT NULL,
    after timestamp with time zone NOT NULL,
    returned_fen bigint NOT NULL,
    transaction_id uuid,
    made_by uuid NOT NULL,
    made_at timestamp with time zone NOT NULL,
    CONSTRAINT closing_extension_longer CHECK (((after > before) AND (returned_fen >= 0)))
);

CREATE TABLE closing_payout (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    method text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    payee_sealed bytea NOT NULL,
    account_last4 text COLLATE pg_catalog."C",
    payable_account_id bigint NOT NULL,
    due_on date,
    status text NOT NULL COLLATE pg_catalog."C",
    made_by uuid NOT NULL,
    checked_by uuid,
    payment_reference text,
    failure text,
    paid_transaction_id uuid,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    CONSTRAINT closing_payout_amount CHECK ((amount_fen > 0)),
    CONSTRAINT closing_payout_evidence CHECK ((((status = 'paid'::text) = ((payment_reference IS NOT NULL) AND (paid_transaction_id IS NOT NULL))) AND ((status = 'pending'::text) = (checked_by IS NULL)) AND ((status = 'failed'::text) = (failure IS NOT NULL)))),
    CONSTRAINT closing_payout_four_eyes CHECK ((checked_by IS DISTINCT FROM made_by)),
    CONSTRAINT closing_payout_method CHECK ((method = ANY (ARRAY['bank_transfer'::text, 'cash'::text]))),
    CONSTRAINT closing_payout_status CHECK ((status = ANY (ARRAY['pending'::text, 'paid'::text, 'failed'::text])))
);

COMMENT ON COLUMN closing_payout.payee_sealed IS 'Name, and for a transfer account number and bank, under authenticated encryption, bound to the payout id';

CREATE TABLE closing_release (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    amount_fen bigint NOT NULL,
    given_fen bigint NOT NULL,
    reason text NOT NULL,
    approval_id uuid NOT NULL,
    released_by uuid NOT NULL,
    released_at timestamp with time zone NOT NULL,
    CONSTRAINT closing_release_amounts CHECK (((amount_fen >= 0) AND (given_fen >= 0) AND ((amount_fen + given_fen) > 0)))
);

COMMENT ON TABLE closing_release IS 'What left a replaced card without a living successor: amount_fen is owed to its holder, given_fen was not paid for';

CREATE TABLE closing_reminder (
    slot smallint NOT NULL,
    account_id bigint NOT NULL,
    lot integer NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    threshold_days integer NOT NULL,
    notice_id uuid NOT NULL,
    reminded_at timestamp with time zone NOT NULL
);

CREATE TABLE closing_terms (
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    remind_days integer[] NOT NULL,
    dormant_months integer,
    refund_values jsonb,
    changed_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE closing_terms IS 'What a programme says of the end of its value: reminders, dormancy, and the rules of its refunds';

CREATE TABLE evidence_checkpoint (
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE evidence_checkpoint IS 'One signed checkpoint of each minute in which the log grew, kept for audits';

CREATE TABLE evidence_cosigned (
    id smallint NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    cosigned_at timestamp with time zone NOT NULL,
    CONSTRAINT evidence_cosigned_only_one CHECK ((id = 0))
)
WITH (fillfactor='10');

COMMENT ON TABLE evidence_cosigned IS 'The newest checkpoint with the cosignatures that the policy asks for; no row while it asks for none';

CREATE TABLE evidence_entry (
    log_index bigint NOT NULL,
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL
);

COMMENT ON TABLE evidence_entry IS 'Which leaf stands at each index of the log, from 0 without a gap';

CREATE TABLE evidence_horizon (
    slot smallint NOT NULL,
    server text NOT NULL COLLATE pg_catalog."C",
    horizon pg_snapshot NOT NULL,
    walked_to uuid
)
WITH (fillfactor='50');

COMMENT ON TABLE evidence_horizon IS 'How far the log has taken leaves: every leaf that this snapshot of this server sees has its index, once walked_to is null';

COMMENT ON COLUMN evidence_horizon.walked_to IS 'While the leaves from before the horizon are gone through by id: the last one looked at';

CREATE TABLE evidence_issue (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    of_id uuid NOT NULL,
    batch_id uuid,
    terms text NOT NULL,
    at timestamp with time zone NOT NULL,
    ids uuid[] NOT NULL,
    last4 text[] NOT NULL,
    CONSTRAINT evidence_issue_kind CHECK ((kind = ANY (ARRAY['card'::text, 'voucher'::text])))
);
ALTER TABLE ONLY evidence_issue ALTER COLUMN ids SET STORAGE EXTERNAL;

COMMENT ON TABLE evidence_issue IS 'Cards or vouchers that were issued in one commit, in their order, with one evidence leaf under the id of the first';

COMMENT ON COLUMN evidence_issue.of_id IS 'The programme of the cards, or the template of the vouchers';

COMMENT ON COLUMN evidence_issue.terms IS 'What all of them have in common, as the canonical bytes have it: [form, version of the terms] or [face_fen, valid_from_us]';

CREATE TABLE evidence_key (
    id uuid NOT NULL,
    slot smallint NOT NULL,
    public_key bytea NOT NULL,
    replaces bytea,
    added_at timestamp with time zone NOT NULL,
    CONSTRAINT evidence_key_length CHECK ((octet_length(public_key) = ANY (ARRAY[32, 65])))
);

COMMENT ON TABLE evidence_key IS 'Every key that signs or signed checkpoints; each has a leaf in the log, in this slot';

CREATE TABLE evidence_key_receipt (
    key_id uuid NOT NULL,
    receipt text NOT NULL
);

COMMENT ON TABLE evidence_key_receipt IS 'How each key of the log was announced by the one before it';

CREATE TABLE evidence_leaf (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    leaf_hash bytea NOT NULL,
    salt bytea,
    written_by xid8 DEFAULT pg_current_xact_id() NOT NULL,
    commitment bytea,
    CONSTRAINT evidence_leaf_hash_is_sha256 CHECK ((octet_length(leaf_hash) = 32))
);

COMMENT ON TABLE evidence_leaf IS 'RFC 9162 leaf hash of the canonical bytes of each transaction, approved change of rules, key of the log, event of a card, event of a voucher, issue and start';

COMMENT ON COLUMN evidence_leaf.salt IS 'Of transactions and events of cards and vouchers: what their private fields are salted with, null once both are erased';

COMMENT ON COLUMN evidence_leaf.written_by IS 'The transaction of this database that wrote the leaf';

COMMENT ON COLUMN evidence_leaf.commitment IS 'SHA-256 over the salt and the private fields, once both are erased; before, it is computed from them';

CREATE TABLE evidence_log (
    id smallint NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    CONSTRAINT evidence_log_only_one CHECK ((id = 0)),
    CONSTRAINT evidence_log_root_is_sha256 CHECK ((octet_length(root) = 32))
)
WITH (fillfactor='10');

COMMENT ON TABLE evidence_log IS 'The log of the installation as its last checkpoint has it; note is that checkpoint, signed';

CREATE VIEW evidence_published AS
 SELECT evidence_cosigned.origin,
    evidence_cosigned.size,
    evidence_cosigned.root,
    evidence_cosigned.note,
    evidence_cosigned.cosigned_at AS signed_at
   FROM evidence_cosigned
UNION ALL
 SELECT evidence_log.origin,
    evidence_log.size,
    evidence_log.root,
    evidence_log.note,
    evidence_log.signed_at
   FROM evidence_log
  WHERE (NOT (EXISTS ( SELECT
           FROM evidence_cosigned)));

COMMENT ON VIEW evidence_published IS 'The checkpoint that is published and that receipts lead to';

CREATE TABLE evidence_sm_log (
    id smallint NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    CONSTRAINT evidence_sm_log_only_one CHECK ((id = 0))
)
WITH (fillfactor='10');

COMMENT ON TABLE evidence_sm_log IS 'The SM profile of the log as its last checkpoint has it; note is that checkpoint, signed';

CREATE TABLE evidence_sm_tile (
    level smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT evidence_sm_tile_place CHECK ((((level >= 0) AND (level <= 63)) AND (number >= 0))),
    CONSTRAINT evidence_sm_tile_width CHECK (((mod(octet_length(hashes), 32) = 0) AND ((octet_length(hashes) >= 32) AND (octet_length(hashes) <= 8192))))
);
ALTER TABLE ONLY evidence_sm_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

COMMENT ON TABLE evidence_sm_tile IS 'The tree of the SM profile in tiles of 256 hashes; level 0 holds SM3(0x00, leaf hash)';

CREATE TABLE evidence_start (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    what text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    hash bytea NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT evidence_start_what CHECK ((what = ANY (ARRAY['card'::text, 'card_event'::text, 'voucher'::text])))
);

COMMENT ON TABLE evidence_start IS 'What there was of a slot before its kind had leaves: how much, and a hash over all of it, with an evidence leaf each';

CREATE TABLE evidence_tile (
    level smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT evidence_tile_place CHECK ((((level >= 0) AND (level <= 63)) AND (number >= 0))),
    CONSTRAINT evidence_tile_width CHECK (((mod(octet_length(hashes), 32) = 0) AND ((octet_length(hashes) >= 32) AND (octet_length(hashes) <= 8192))))
);
ALTER TABLE ONLY evidence_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

COMMENT ON TABLE evidence_tile IS 'The tree in tiles of 256 hashes (C2SP tlog-tiles); level 0 holds the leaf hashes';

CREATE TABLE evidence_witness (
    key text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    cosigned_at timestamp with time zone,
    asked_at timestamp with time zone NOT NULL,
    failure text,
    failed_since timestamp with time zone,
    CONSTRAINT evidence_witness_size CHECK ((size >= 0))
)
WITH (fillfactor='50');

COMMENT ON TABLE evidence_witness IS 'Each witness of the log by its public key: the size it last cosigned, and why it does not answer, if it does not';

CREATE TABLE guesses_caller (
    caller uuid NOT NULL,
    full_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

COMMENT ON COLUMN guesses_caller.caller IS 'A hash of whoever is counted: an API key with an address, or a number';

COMMENT ON COLUMN guesses_caller.full_at IS 'When all the wrong answers are forgiven; each one moves it by its share of the window';

CREATE TABLE imports_file (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    sha256 text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    line_count integer NOT NULL,
    bad_line_count integer NOT NULL,
    principal_fen bigint NOT NULL,
    bonus_fen bigint NOT NULL,
    problems json NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT imports_file_status CHECK ((status = ANY (ARRAY['refused'::text, 'checked'::text, 'applying'::text, 'applied'::text, 'stopped'::text, 'reversing'::text, 'reversed'::text])))
);

COMMENT ON COLUMN imports_file.problems IS 'Every bad line: its number, the column, its value masked, what is allowed';

CREATE TABLE imports_line (
    slot smallint NOT NULL,
    import_id uuid NOT NULL,
    line integer NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    number_sealed bytea,
    number_last4 text NOT NULL COLLATE pg_catalog."C",
    principal_fen bigint NOT NULL,
    bonus_fen bigint NOT NULL,
    principal_expires_at timestamp with time zone,
    bonus_expires_at timestamp with time zone,
    status text DEFAULT 'waiting'::text NOT NULL COLLATE pg_catalog."C",
    transaction_id uuid,
    reversal_id uuid,
    CONSTRAINT imports_line_amounts CHECK (((principal_fen >= 0) AND (bonus_fen >= 0))),
    CONSTRAINT imports_line_status CHECK ((status = ANY (ARRAY['waiting'::text, 'taken'::text, 'left_out'::text, 'applied'::text, 'used'::text, 'reversed'::text])))
);

COMMENT ON COLUMN imports_line.number_sealed IS 'Until the card has it; bound to the card id';

COMMENT ON COLUMN imports_line.status IS 'taken: its number became another card''s after the check; left_out: its programme stopped before; used: the card was used, so it was not reversed';

CREATE SEQUENCE ledger_account_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE ledger_account (
    slot smallint NOT NULL,
    id bigint DEFAULT nextval('ledger_account_id'::regclass) NOT NULL,
    book_id integer NOT NULL,
    owner_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL COLLATE pg_catalog."C",
    floor_rule ledger_floor_rule NOT NULL,
    lotted boolean NOT NULL,
    debits_posted bigint DEFAULT 0 NOT NULL,
    credits_posted bigint DEFAULT 0 NOT NULL,
    debits_pending bigint DEFAULT 0 NOT NULL,
    credits_pending bigint DEFAULT 0 NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ledger_account_floor CHECK (((LEAST(debits_posted, credits_posted, debits_pending, credits_pending) >= 0) AND
CASE floor_rule
    WHEN 'credit'::ledger_floor_rule THEN ((credits_posted - debits_posted) >= debits_pending)
    WHEN 'debit'::ledger_floor_rule THEN ((debits_posted - credits_posted) >= credits_pending)
    ELSE true
END))
)
WITH (fillfactor='60');

COMMENT ON COLUMN ledger_account.floor_rule IS 'credit: debits, pending ones included, never exceed credits (a card pocket); debit: the reverse; none: no floor';

COMMENT ON COLUMN ledger_account.lotted IS 'Every leg that touches this account names the lot it moves';

CREATE VIEW ledger_balance AS
 SELECT slot,
    id AS account_id,
    book_id,
    owner_id,
    kind,
    currency,
        CASE floor_rule
            WHEN 'debit'::ledger_floor_rule THEN (debits_posted - credits_posted)
            ELSE (credits_posted - debits_posted)
        END AS posted_fen,
        CASE floor_rule
            WHEN 'debit'::ledger_floor_rule THEN ((debits_posted - credits_posted) - credits_pending)
            ELSE ((credits_posted - debits_posted) - debits_pending)
        END AS available_fen
   FROM ledger_account;

CREATE TABLE ledger_checkpoint (
    slot smallint NOT NULL,
    account_id bigint NOT NULL,
    taken_at timestamp with time zone NOT NULL,
    debits_posted bigint NOT NULL,
    credits_posted bigint NOT NULL,
    debits_pending bigint NOT NULL,
    credits_pending bigint NOT NULL
);

CREATE TABLE ledger_detail (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    hash bytea NOT NULL
);

COMMENT ON COLUMN ledger_detail.hash IS 'SHA-256';

CREATE TABLE ledger_entry (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    leg smallint NOT NULL,
    effect ledger_effect NOT NULL,
    debit_account bigint NOT NULL,
    debit_lot integer,
    credit_account bigint NOT NULL,
    credit_lot integer,
    amount_fen bigint NOT NULL,
    debit_balance_after bigint,
    credit_balance_after bigint,
    CONSTRAINT ledger_entry_amount CHECK (((amount_fen > 0) AND (debit_account <> credit_account)))
);

COMMENT ON COLUMN ledger_entry.effect IS 'post: both posted counters grow; reserve: both pending counters grow; capture: pending becomes posted; release: pending shrinks';

COMMENT ON COLUMN ledger_entry.debit_balance_after IS 'Credits less debits posted on the debited account after this leg, where the posting was guarded by its version (every card pocket)';

CREATE TABLE ledger_forgotten (
    slot smallint NOT NULL,
    before timestamp with time zone NOT NULL
);

COMMENT ON TABLE ledger_forgotten IS 'Answers to idempotency keys that were recorded before this time are forgotten, or will be by the run that goes on';

CREATE TABLE ledger_idempotency (
    slot smallint NOT NULL,
    key_hash uuid NOT NULL,
    request_hash bytea NOT NULL,
    transaction_id uuid,
    answer_status smallint NOT NULL,
    answer bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE ledger_idempotency IS 'The first answer to each idempotency key, byte for byte; key_hash is the first half of SHA-256 over book and key';

CREATE TABLE ledger_key (
    slot smallint NOT NULL,
    key_hash uuid NOT NULL,
    request_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE ledger_lot (
    slot smallint NOT NULL,
    account_id bigint NOT NULL,
    lot integer NOT NULL,
    origin_transaction_id uuid NOT NULL,
    paid_fen bigint NOT NULL,
    given_fen bigint NOT NULL,
    expires_at timestamp with time zone,
    remaining_fen bigint DEFAULT 0 NOT NULL,
    reserved_fen bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ledger_lot_floor CHECK (((reserved_fen >= 0) AND (remaining_fen >= reserved_fen)))
)
WITH (fillfactor='60');

COMMENT ON TABLE ledger_lot IS 'Value in a pocket with one origin: what was paid and given in that load, and when it expires';

CREATE TABLE ledger_slot (
    slot smallint NOT NULL,
    CONSTRAINT ledger_slot_range CHECK (((slot >= 0) AND (slot <= 63)))
);

COMMENT ON TABLE ledger_slot IS 'The slots of this installation, fixed when it is made: {0} on one node';

CREATE TABLE ledger_transaction (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    related_id uuid,
    place_id uuid,
    reference text COLLATE pg_catalog."C",
    effective_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    request_key text COLLATE pg_catalog."C",
    request_hash bytea
);

COMMENT ON COLUMN ledger_transaction.related_id IS 'The transaction that this one continues (capture, void, expiry) or reverses (refund, reversal)';

COMMENT ON COLUMN ledger_transaction.place_id IS 'Where it happened: the terminal';

COMMENT ON COLUMN ledger_transaction.effective_at IS 'When it happened at the till; recorded_at is when this ledger learnt of it';

CREATE TABLE notices_attempt (
    slot smallint NOT NULL,
    notice_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    attempt integer NOT NULL,
    attempted_at timestamp with time zone NOT NULL,
    duration_ms integer NOT NULL,
    http_status smallint,
    failure text COLLATE pg_catalog."C"
);

CREATE TABLE notices_delivery (
    slot smallint NOT NULL,
    notice_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    attempt_count integer DEFAULT 0 NOT NULL,
    round_count integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone,
    delivered_at timestamp with time zone,
    CONSTRAINT notices_delivery_next CHECK (((status = 'pending'::text) = (next_at IS NOT NULL))),
    CONSTRAINT notices_delivery_status CHECK ((status = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text])))
)
WITH (fillfactor='80');

COMMENT ON COLUMN notices_delivery.endpoint_id IS 'All zeros for the console, which has no endpoint';

COMMENT ON COLUMN notices_delivery.round_count IS 'Attempts since it was sent first or again: what the delay depends on';

CREATE TABLE notices_endpoint (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL,
    events text[] NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    secret_sealed bytea NOT NULL,
    old_secret_sealed bytea,
    old_secret_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT notices_endpoint_overlap CHECK (((old_secret_sealed IS NULL) = (old_secret_until IS NULL))),
    CONSTRAINT notices_endpoint_status CHECK ((status = ANY (ARRAY['active'::text, 'disabled'::text, 'removed'::text])))
);

COMMENT ON COLUMN notices_endpoint.events IS 'Only these events; empty: every event';

CREATE TABLE notices_notice (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    event text NOT NULL COLLATE pg_catalog."C",
    card_id uuid,
    body text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON COLUMN notices_notice.body IS 'The message, the same bytes for every attempt';

CREATE TABLE parties_api_key (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    operator_id uuid
);

COMMENT ON COLUMN parties_api_key.secret_hash IS 'SHA-256 of the 256-bit random secret: too much entropy to guess, so a fast hash is enough (ASVS 6.5.2)';

CREATE TABLE parties_approval (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    payload text NOT NULL,
    payload_hash bytea NOT NULL,
    reason text NOT NULL,
    proposed_by uuid NOT NULL,
    proposed_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    status text DEFAULT 'proposed'::text NOT NULL COLLATE pg_catalog."C",
    decided_by uuid,
    decided_at timestamp with time zone,
    decided_why text,
    executed_at timestamp with time zone,
    CONSTRAINT parties_approval_decided CHECK (((status <> ALL (ARRAY['approved'::text, 'rejected'::text, 'executed'::text])) OR ((decided_by IS NOT NULL) AND (decided_at IS NOT NULL)))),
    CONSTRAINT parties_approval_executed CHECK (((status = 'executed'::text) = (executed_at IS NOT NULL))),
    CONSTRAINT parties_approval_four_eyes CHECK (((status <> ALL (ARRAY['approved'::text, 'executed'::text])) OR (decided_by <> proposed_by))),
    CONSTRAINT parties_approval_hash CHECK ((payload_hash = sha256(convert_to(payload, 'UTF8'::name)))),
    CONSTRAINT parties_approval_status CHECK ((status = ANY (ARRAY['proposed'::text, 'approved'::text, 'rejected'::text, 'withdrawn'::text, 'expired'::text, 'executed'::text])))
);

COMMENT ON TABLE parties_approval IS 'What one operator proposes and another allows; executed once, in the transaction of what it allows';

COMMENT ON COLUMN parties_approval.payload IS 'JSON with sorted keys and no spaces: the same words have the same hash';

CREATE TABLE parties_audit (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    key_id uuid,
    operator_id uuid,
    request_id text,
    before jsonb,
    after jsonb
);

COMMENT ON TABLE parties_audit IS 'Who did what to whom: written in the transaction of the action, and never altered (the application has no right to)';

CREATE TABLE parties_book (
    id integer NOT NULL,
    tenant_id uuid NOT NULL,
    mode text NOT NULL COLLATE pg_catalog."C",
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT parties_book_mode CHECK ((mode = ANY (ARRAY['live'::text, 'test'::text])))
);

COMMENT ON TABLE parties_book IS 'One tenant in one mode. Every row of the product belongs to one book; nothing ever refers across two';

COMMENT ON COLUMN parties_book.version IS 'Grows with every change of reference data (keys, merchants, terminals, programmes), so that copies in memory know their age';

ALTER TABLE parties_book ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME parties_book_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE parties_customer (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    name bytea,
    phone bytea,
    document_kind text COLLATE pg_catalog."C",
    document bytea,
    phone_lookup uuid,
    phone_last4 uuid,
    document_lookup uuid,
    document_last4 uuid,
    level text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    forgotten_at timestamp with time zone,
    retained_until timestamp with time zone,
    retained_by text,
    version integer DEFAULT 1 NOT NULL,
    openings_erased_at timestamp with time zone,
    birthday smallint,
    segments text[] DEFAULT '{}'::text[] NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT parties_customer_birthday CHECK ((((birthday >= 101) AND (birthday <= 1231)) AND ((mod((birthday)::integer, 100) >= 1) AND (mod((birthday)::integer, 100) <= 31)))),
    CONSTRAINT parties_customer_document_kind CHECK ((document_kind = ANY (ARRAY['resident_id'::text, 'social_credit_code'::text]))),
    CONSTRAINT parties_customer_erased CHECK (((forgotten_at IS NULL) OR (retained_until IS NOT NULL) OR ((name IS NULL) AND (phone IS NULL) AND (document IS NULL)))),
    CONSTRAINT parties_customer_facts_erased CHECK (((forgotten_at IS NULL) OR ((birthday IS NULL) AND (segments = '{}'::text[])))),
    CONSTRAINT parties_customer_forgotten CHECK (((forgotten_at IS NULL) OR ((phone_lookup IS NULL) AND (phone_last4 IS NULL) AND (document_lookup IS NULL) AND (document_last4 IS NULL) AND (level = 'none'::text)))),
    CONSTRAINT parties_customer_level CHECK ((level = ANY (ARRAY['none'::text, 'contact'::text, 'document'::text, 'four_factors'::text, 'four_factors_face'::text]))),
    CONSTRAINT parties_customer_retained CHECK ((((retained_until IS NULL) = (retained_by IS NULL)) AND ((retained_until IS NULL) OR (forgotten_at IS NOT NULL)))),
    CONSTRAINT parties_customer_whole_document CHECK (((document IS NULL) = (document_kind IS NULL)))
);

COMMENT ON TABLE parties_customer IS 'A person or an organisation. name, phone and document are sealed by the key ring; *_lookup and *_last4 are keyed HMACs';

COMMENT ON COLUMN parties_customer.retained_by IS 'The rule that asks to keep what a forgotten customer''s record still holds';

COMMENT ON COLUMN parties_customer.openings_erased_at IS 'When the private fields of the transactions of somebody forgotten were erased; null while they are there';

COMMENT ON COLUMN parties_customer.birthday IS 'Month and day as MMDD: no year, for offers need none';

COMMENT ON COLUMN parties_customer.segments IS 'Labels that operators gave, sorted, each once';

CREATE TABLE parties_funder (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    legal_code text COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT parties_funder_kind CHECK ((kind = ANY (ARRAY['bank'::text, 'supplier'::text, 'government'::text, 'partner'::text])))
);

COMMENT ON TABLE parties_funder IS 'Who pays for discounts and subsidies and is neither issuer nor merchant';

CREATE TABLE parties_identity_attempt (
    book_id integer NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    level text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    started_at timestamp with time zone NOT NULL,
    result text DEFAULT 'pending'::text NOT NULL COLLATE pg_catalog."C",
    code text COLLATE pg_catalog."C",
    ended_at timestamp with time zone,
    CONSTRAINT parties_identity_attempt_ended CHECK (((result = 'pending'::text) = (ended_at IS NULL))),
    CONSTRAINT parties_identity_attempt_result CHECK ((result = ANY (ARRAY['pending'::text, 'matched'::text, 'mismatched'::text, 'error'::text])))
);

COMMENT ON TABLE parties_identity_attempt IS 'A check by an identity provider: that it was made and how it ended, never what was shown';

CREATE TABLE parties_identity_guard (
    book_id integer NOT NULL,
    subject uuid NOT NULL,
    mismatches integer NOT NULL,
    pending integer NOT NULL,
    checks integer NOT NULL,
    day date NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT parties_identity_guard_counts CHECK (((mismatches >= 0) AND (pending >= 0) AND (checks >= 0)))
);

COMMENT ON TABLE parties_identity_guard IS 'How often a customer, or a bank card (by its keyed HMAC), was checked: counted before the provider is asked';

CREATE TABLE parties_issuer (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    time_zone text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    issuer_class text COLLATE pg_catalog."C",
    legal_name text,
    legal_code text COLLATE pg_catalog."C",
    group_code text COLLATE pg_catalog."C",
    brand text,
    province text COLLATE pg_catalog."C",
    filing_number text COLLATE pg_catalog."C",
    filed_on date,
    business_started_on date,
    calendar text COLLATE pg_catalog."C",
    payment_licence text COLLATE pg_catalog."C",
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT parties_issuer_class CHECK ((issuer_class = ANY (ARRAY['group'::text, 'brand'::text, 'scale'::text, 'other'::text])))
);

COMMENT ON COLUMN parties_issuer.legal_code IS 'Unified social credit code of the legal entity (GB 32100-2015)';

COMMENT ON COLUMN parties_issuer.group_code IS 'Unified social credit code of the legal person that controls the entity';

COMMENT ON COLUMN parties_issuer.payment_licence IS 'Licence of whoever holds the funds, the issuer or its licensed partner; without one a card is single-purpose only';

COMMENT ON COLUMN parties_issuer.version IS 'Grows with every change; a change names the version that it was decided on';

CREATE TABLE parties_level_change (
    book_id integer NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    level text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    provider text COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    CONSTRAINT parties_level_change_reason CHECK ((reason = ANY (ARRAY['verified'::text, 'corrected'::text, 'forgotten'::text])))
);

CREATE TABLE parties_merchant (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    trade text COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    legal_name text,
    legal_code text COLLATE pg_catalog."C",
    group_code text COLLATE pg_catalog."C",
    brand text,
    version integer DEFAULT 1 NOT NULL
);

CREATE TABLE parties_operator (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    roles text[] NOT NULL,
    store_ids uuid[],
    status text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT parties_operator_has_a_role CHECK ((cardinality(roles) > 0)),
    CONSTRAINT parties_operator_status CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);

COMMENT ON COLUMN parties_operator.store_ids IS 'Where the operator may act; null is everywhere';

CREATE TABLE parties_store (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    merchant_id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    trade text COLLATE pg_catalog."C",
    latitude_udeg integer,
    longitude_udeg integer,
    version integer DEFAULT 1 NOT NULL,
    district text COLLATE pg_catalog."C",
    CONSTRAINT parties_store_latitude CHECK (((latitude_udeg >= '-90000000'::integer) AND (latitude_udeg <= 90000000))),
    CONSTRAINT parties_store_longitude CHECK (((longitude_udeg >= '-180000000'::integer) AND (longitude_udeg <= 180000000))),
    CONSTRAINT parties_store_whole_place CHECK (((latitude_udeg IS NULL) = (longitude_udeg IS NULL)))
);

COMMENT ON COLUMN parties_store.latitude_udeg IS 'Millionths of a degree, WGS 84, north positive';

COMMENT ON COLUMN parties_store.district IS 'Where it is, in the words that offers use';

CREATE TABLE parties_tenant (
    id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE parties_terminal (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    store_id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT parties_terminal_status CHECK ((status = ANY (ARRAY['active'::text, 'blocked'::text])))
);

CREATE TABLE payments_exhausted (
    budget_id uuid NOT NULL,
    period integer NOT NULL,
    book_id integer NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON COLUMN payments_exhausted.period IS 'The day, month or year that it is used up for, as 20260131, 202601 or 2026; 0: all time';

CREATE TABLE payments_funder (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    campaign_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    party_id uuid NOT NULL,
    CONSTRAINT payments_funder_kind CHECK ((kind = ANY (ARRAY['issuer'::text, 'merchant'::text, 'party'::text])))
);

COMMENT ON COLUMN payments_funder.id IS 'The owner of the accounts: the first half of SHA-256 over campaign, kind and party';

CREATE TABLE payments_given_up (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE payments_given_up IS 'In the slot of the card';

CREATE TABLE payments_instalment (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    amount_fen bigint NOT NULL,
    funders uuid[] NOT NULL,
    parts_fen bigint[] NOT NULL,
    given_id uuid,
    ended_at timestamp with time zone,
    what text DEFAULT 'bonus'::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT payments_instalment_amount CHECK (((amount_fen > 0) AND (cardinality(funders) = cardinality(parts_fen)))),
    CONSTRAINT payments_instalment_end CHECK (((given_id IS NULL) OR (ended_at IS NOT NULL))),
    CONSTRAINT payments_instalment_what CHECK ((what = ANY (ARRAY['bonus'::text, 'points'::text])))
);

COMMENT ON COLUMN payments_instalment.slot IS 'That of the card which gets it';

COMMENT ON COLUMN payments_instalment.funders IS 'The owners of the accounts that it comes from, with their parts';

COMMENT ON COLUMN payments_instalment.given_id IS 'The transaction; null and ended: the card was closed before';

COMMENT ON COLUMN payments_instalment.what IS 'What amount_fen is: money for the bonus pocket, or points';

CREATE TABLE payments_last_place (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    store_id uuid NOT NULL,
    latitude_udeg integer NOT NULL,
    longitude_udeg integer NOT NULL,
    at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE payments_limit (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    name text NOT NULL,
    movement text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    metric text NOT NULL COLLATE pg_catalog."C",
    period text NOT NULL COLLATE pg_catalog."C",
    trailing_s integer,
    maximum bigint NOT NULL,
    from_minute smallint,
    to_minute smallint,
    replaces_id uuid,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT payments_limit_holder CHECK ((holder = ANY (ARRAY['any'::text, 'registered'::text, 'unregistered'::text]))),
    CONSTRAINT payments_limit_hours CHECK ((((from_minute IS NULL) = (to_minute IS NULL)) AND ((from_minute >= 0) AND (from_minute <= 1439)) AND ((to_minute >= 0) AND (to_minute <= 1439)) AND (from_minute <> to_minute))),
    CONSTRAINT payments_limit_maximum CHECK ((maximum >= 0)),
    CONSTRAINT payments_limit_metric CHECK ((metric = ANY (ARRAY['amount'::text, 'count'::text]))),
    CONSTRAINT payments_limit_movement CHECK ((movement = ANY (ARRAY['spend'::text, 'load'::text]))),
    CONSTRAINT payments_limit_period CHECK ((period = ANY (ARRAY['transaction'::text, 'day'::text, 'month'::text, 'year'::text, 'trailing'::text]))),
    CONSTRAINT payments_limit_scope CHECK ((scope = ANY (ARRAY['card'::text, 'person'::text, 'device'::text, 'terminal'::text, 'store'::text, 'merchant'::text, 'programme'::text]))),
    CONSTRAINT payments_limit_trailing CHECK ((((trailing_s IS NOT NULL) = (period = 'trailing'::text)) AND (trailing_s > 0)))
);

COMMENT ON TABLE payments_limit IS 'What the cards of a programme may do; a limit is never changed, it ends and another one replaces it';

COMMENT ON COLUMN payments_limit.from_minute IS 'With to_minute: the limit holds only from this minute of the day to that one (past midnight if that is less), in the issuer''s zone';

CREATE TABLE payments_payment (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    kind payments_kind NOT NULL,
    status payments_status NOT NULL,
    card_id uuid NOT NULL,
    merchant_id uuid,
    store_id uuid,
    terminal_id uuid,
    original_id uuid,
    currency text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    bonus_fen bigint DEFAULT 0 NOT NULL,
    captured_fen bigint DEFAULT 0 NOT NULL,
    refunded_fen bigint DEFAULT 0 NOT NULL,
    reference text COLLATE pg_catalog."C",
    expires_at timestamp with time zone,
    occurred_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    CONSTRAINT payments_payment_amounts CHECK (((amount_fen >= 0) AND (bonus_fen >= 0) AND (amount_fen >= captured_fen) AND (captured_fen >= refunded_fen) AND (refunded_fen >= 0)))
)
WITH (fillfactor='90');

COMMENT ON TABLE payments_payment IS 'One movement of value on a card that a client asked for; its id is that of its first transaction';

COMMENT ON COLUMN payments_payment.status IS 'open: an authorization that can still be captured; completed: nothing is reserved any more; voided, expired: nothing was captured';

CREATE TABLE payments_place_rule (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    latitude_udeg integer,
    longitude_udeg integer,
    radius_m integer,
    max_speed_kmh integer,
    grace_m integer,
    from_minute smallint,
    to_minute smallint,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT payments_place_rule_circle CHECK ((((kind = 'travel'::text) = (latitude_udeg IS NULL)) AND ((kind = 'travel'::text) = (longitude_udeg IS NULL)) AND ((kind = 'travel'::text) = (radius_m IS NULL)) AND ((latitude_udeg >= '-90000000'::integer) AND (latitude_udeg <= 90000000)) AND ((longitude_udeg >= '-180000000'::integer) AND (longitude_udeg <= 180000000)) AND (radius_m > 0))),
    CONSTRAINT payments_place_rule_holder CHECK ((holder = ANY (ARRAY['any'::text, 'registered'::text, 'unregistered'::text]))),
    CONSTRAINT payments_place_rule_hours CHECK ((((from_minute IS NULL) = (to_minute IS NULL)) AND ((from_minute >= 0) AND (from_minute <= 1439)) AND ((to_minute >= 0) AND (to_minute <= 1439)) AND (from_minute <> to_minute))),
    CONSTRAINT payments_place_rule_kind CHECK ((kind = ANY (ARRAY['within'::text, 'outside'::text, 'travel'::text]))),
    CONSTRAINT payments_place_rule_travel CHECK ((((kind = 'travel'::text) = (max_speed_kmh IS NOT NULL)) AND ((kind = 'travel'::text) = (grace_m IS NOT NULL)) AND (max_speed_kmh > 0) AND (grace_m >= 0)))
);

COMMENT ON TABLE payments_place_rule IS 'Where the cards of a programme may be spent, and how soon after being elsewhere';

CREATE TABLE payments_pricing (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    original_id uuid,
    kept bytea NOT NULL
);

COMMENT ON COLUMN payments_pricing.original_id IS 'The payment that a capture, void or refund is of; null: it is the payment';

COMMENT ON COLUMN payments_pricing.kept IS 'A JSON array; its layout is in payments/kept.py';

CREATE TABLE payments_reservation (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    paid_in smallint NOT NULL,
    uses payments_use_v1[] NOT NULL,
    trail_uses payments_trail_use_v1[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    gives_back boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE payments_reservation IS 'In the slot of the counters';

COMMENT ON COLUMN payments_reservation.id IS 'The transaction of the payment, if it is ever posted';

COMMENT ON COLUMN payments_reservation.paid_in IS 'The slot of the card';

COMMENT ON COLUMN payments_reservation.gives_back IS 'The payment gives these uses back: they are counted, and are not any more once it is posted';

CREATE TABLE payments_seen (
    slot smallint NOT NULL,
    transaction_id uuid NOT NULL,
    book_id integer NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    seen bytea NOT NULL
);

COMMENT ON COLUMN payments_seen.seen IS 'A JSON array; its layout is in payments/seen.py';

CREATE TABLE payments_shadow (
    slot smallint NOT NULL,
    book_id integer NOT NULL,
    campaign_id uuid NOT NULL,
    number integer NOT NULL,
    transaction_id uuid NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    day date NOT NULL,
    is_load boolean NOT NULL,
    store_id uuid,
    holder_id uuid NOT NULL,
    amount_fen bigint NOT NULL,
    fate text NOT NULL COLLATE pg_catalog."C",
    discount_fen bigint NOT NULL,
    granted_fen bigint NOT NULL,
    points bigint NOT NULL,
    others_fen bigint NOT NULL,
    gave_own_fen bigint NOT NULL,
    gave_fen bigint NOT NULL,
    funder_kinds text[] NOT NULL,
    funder_ids uuid[] NOT NULL,
    funder_fen bigint[] NOT NULL,
    offers text[] NOT NULL,
    whys text[] NOT NULL,
    CONSTRAINT payments_shadow_fate CHECK ((fate = ANY (ARRAY['applied'::text, 'held_back'::text, 'over_budget'::text, 'skipped'::text]))),
    CONSTRAINT payments_shadow_lists CHECK (((cardinality(funder_kinds) = cardinality(funder_ids)) AND (cardinality(funder_kinds) = cardinality(funder_fen)) AND (cardinality(offers) = cardinality(whys))))
);

COMMENT ON COLUMN payments_shadow.day IS 'By the wall clock of the issuer';

COMMENT ON COLUMN payments_shadow.others_fen IS 'What other campaigns and vouchers would have given beside the draft';

COMMENT ON COLUMN payments_shadow.gave_own_fen IS 'What the version in force of the same campaign gave';

COMMENT ON COLUMN payments_shadow.gave_fen IS 'What the others gave';

COMMENT ON COLUMN payments_shadow.offers IS 'The offers of the draft that would not have applied, with why';

CREATE TABLE payments_shadow_budget (
    book_id integer NOT NULL,
    campaign_id uuid NOT NULL,
    number integer NOT NULL,
    budget_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    period text NOT NULL COLLATE pg_catalog."C",
    used_fen bigint NOT NULL,
    used_count bigint NOT NULL,
    exhausted_at timestamp with time zone
);

COMMENT ON COLUMN payments_shadow_budget.subject_id IS 'Whose part of it; of a budget of all together 32 zeros';

COMMENT ON COLUMN payments_shadow_budget.period IS 'Which day, month or year, as 2026-01-31, 2026-01 or 2026; empty: all time';

COMMENT ON COLUMN payments_shadow_budget.exhausted_at IS 'When it first left no room for a payment';

CREATE TABLE payments_trail (
    slot smallint NOT NULL,
    key uuid NOT NULL,
    step bigint NOT NULL,
    fen bigint[] NOT NULL,
    count bigint[] NOT NULL
)
WITH (fillfactor='60');

CREATE TABLE payments_usage (
    slot smallint NOT NULL,
    key uuid NOT NULL,
    day integer DEFAULT 0 NOT NULL,
    day_fen bigint DEFAULT 0 NOT NULL,
    day_count bigint DEFAULT 0 NOT NULL,
    month integer DEFAULT 0 NOT NULL,
    month_fen bigint DEFAULT 0 NOT NULL,
    month_count bigint DEFAULT 0 NOT NULL,
    year integer DEFAULT 0 NOT NULL,
    year_fen bigint DEFAULT 0 NOT NULL,
    year_count bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='60');

COMMENT ON COLUMN payments_usage.day IS 'As 20260131 in the issuer''s zone; month as 202601';

CREATE TABLE points_benefit (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    programme_id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    cost_points bigint NOT NULL,
    tiers text[] NOT NULL,
    birthday_only boolean NOT NULL,
    max_per_year integer,
    stock integer,
    taken integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    template_id uuid,
    voucher_count integer,
    CONSTRAINT points_benefit_amounts CHECK (((cost_points >= 0) AND (max_per_year > 0) AND (stock >= 0) AND (taken >= 0) AND ((stock IS NULL) OR (taken <= stock)))),
    CONSTRAINT points_benefit_vouchers CHECK ((((template_id IS NULL) = (voucher_count IS NULL)) AND (voucher_count > 0)))
)
WITH (fillfactor='50');

COMMENT ON TABLE points_benefit IS 'What members may take for points, or for nothing: birthday gifts, parking, goods, services';

COMMENT ON COLUMN points_benefit.template_id IS 'Of the vouchers that are given; null: whoever gives it knows what it is';

CREATE TABLE points_deed (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    member_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    points bigint NOT NULL,
    subject_id uuid,
    units bigint,
    reference text,
    approval_id uuid,
    made_by text NOT NULL COLLATE pg_catalog."C",
    made_at timestamp with time zone NOT NULL,
    CONSTRAINT points_deed_approval CHECK (((kind = 'adjustment'::text) = (approval_id IS NOT NULL))),
    CONSTRAINT points_deed_kind CHECK ((kind = ANY (ARRAY['adjustment'::text, 'exchange_out'::text, 'exchange_in'::text, 'benefit'::text])))
);

COMMENT ON TABLE points_deed IS 'Adjustments, exchanges with partners and benefits taken; points is what the card gained (below zero: gave)';

CREATE TABLE points_earning (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    member_id uuid NOT NULL,
    terms_version integer NOT NULL,
    points bigint NOT NULL,
    basis_fen bigint NOT NULL,
    parts jsonb NOT NULL,
    returned jsonb DEFAULT '{}'::jsonb NOT NULL,
    returned_fen bigint DEFAULT 0 NOT NULL,
    taken bigint DEFAULT 0 NOT NULL,
    lot integer,
    matures_at timestamp with time zone,
    matured boolean DEFAULT false NOT NULL,
    at timestamp with time zone NOT NULL,
    payment_id uuid,
    granted bigint DEFAULT 0 NOT NULL,
    granted_taken bigint DEFAULT 0 NOT NULL,
    CONSTRAINT points_earning_amounts CHECK (((points >= 0) AND (basis_fen >= 0) AND ((taken >= 0) AND (taken <= points)) AND ((returned_fen >= 0) AND (returned_fen <= basis_fen)))),
    CONSTRAINT points_earning_granted CHECK ((((granted >= 0) AND (granted <= points)) AND ((granted_taken >= 0) AND (granted_taken <= granted)) AND (granted_taken <= taken)))
)
WITH (fillfactor='85');

COMMENT ON TABLE points_earning IS 'What a purchase, a capture or an offer on a load earned; the id is that of its transaction';

COMMENT ON COLUMN points_earning.parts IS 'By line of the purchase: what it paid, and its part of the points; what a refund takes back';

COMMENT ON COLUMN points_earning.lot IS 'The lot of points_pending that waits until matures_at; null: there is none';

COMMENT ON COLUMN points_earning.payment_id IS 'Of a capture: the authorization that it is of';

COMMENT ON COLUMN points_earning.granted IS 'What of the points offers gave; granted_taken: what of taken is of that';

CREATE TABLE points_member (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    card_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    issuer_id uuid NOT NULL,
    tier text,
    tier_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL
)
WITH (fillfactor='85');

COMMENT ON TABLE points_member IS 'Cards that collect points; the id owns their accounts';

CREATE TABLE points_partner (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    out_points integer,
    out_units integer,
    in_units integer,
    in_points integer,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT points_partner_currency CHECK ((currency <> 'PTS'::text)),
    CONSTRAINT points_partner_in CHECK ((((in_points IS NULL) = (in_units IS NULL)) AND (in_points > 0) AND (in_units > 0))),
    CONSTRAINT points_partner_out CHECK ((((out_points IS NULL) = (out_units IS NULL)) AND (out_points > 0) AND (out_units > 0)))
);

COMMENT ON TABLE points_partner IS 'With whom points are exchanged, and at which rates: out_points of ours for out_units of theirs, and back';

CREATE TABLE points_reminded (
    slot smallint NOT NULL,
    account_id bigint NOT NULL,
    lot integer NOT NULL
);

COMMENT ON TABLE points_reminded IS 'Lots of points of whose end their holder was told';

CREATE TABLE points_terms (
    book_id integer NOT NULL,
    programme_id uuid NOT NULL,
    version integer NOT NULL,
    terms jsonb NOT NULL,
    effective_from timestamp with time zone NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT points_terms_version CHECK ((version > 0))
);

COMMENT ON TABLE points_terms IS 'How the cards of a programme earn, keep and spend points: every version, none of them ever changed';

CREATE TABLE policy_change (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    issuer_id uuid,
    note text NOT NULL,
    added jsonb NOT NULL,
    ended jsonb NOT NULL,
    proposed_by uuid NOT NULL,
    proposed_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE policy_change IS 'Proposed changes of rules, as they were proposed';

COMMENT ON COLUMN policy_change.issuer_id IS 'Whose house rules change; null for the law of the book';

COMMENT ON COLUMN policy_change.proposed_by IS 'The API key, or the operator, who proposed it';

CREATE TABLE policy_decision (
    change_id uuid NOT NULL,
    decision text NOT NULL COLLATE pg_catalog."C",
    proposed_by uuid NOT NULL,
    decided_by uuid NOT NULL,
    decided_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    version bigint,
    slot smallint,
    CONSTRAINT policy_decision_four_eyes CHECK (((decision <> 'approved'::text) OR (decided_by <> proposed_by))),
    CONSTRAINT policy_decision_kind CHECK ((decision = ANY (ARRAY['approved'::text, 'rejected'::text]))),
    CONSTRAINT policy_decision_version CHECK (((decision = 'approved'::text) = ((version IS NOT NULL) AND (slot IS NOT NULL))))
);

COMMENT ON TABLE policy_decision IS 'What became of a change: at most one decision for each';

COMMENT ON COLUMN policy_decision.proposed_by IS 'Who proposed the change, so that a constraint can tell the two apart';

COMMENT ON COLUMN policy_decision.slot IS 'Where the evidence leaf of an approved change is';

CREATE TABLE policy_rule_set (
    book_id integer NOT NULL,
    owner_id uuid NOT NULL,
    version bigint NOT NULL,
    change_id uuid NOT NULL,
    rules jsonb NOT NULL,
    endings jsonb NOT NULL,
    CONSTRAINT policy_rule_set_version CHECK ((version > 0))
);

COMMENT ON TABLE policy_rule_set IS 'Every version, whole: the house rules of an issuer, or what a book added to the law and ended of it';

COMMENT ON COLUMN policy_rule_set.owner_id IS 'The issuer; all zeros for the law of the book';

CREATE TABLE production_export (
    id uuid NOT NULL,
    book_id integer NOT NULL,
    batch_id uuid NOT NULL,
    turn integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    with_pin boolean NOT NULL,
    reader_fingerprint text NOT NULL COLLATE pg_catalog."C",
    card_count integer NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL COLLATE pg_catalog."C",
    exported_by text NOT NULL,
    approval_id uuid,
    exported_at timestamp with time zone NOT NULL,
    CONSTRAINT production_export_first CHECK (((turn > 0) AND ((turn = 1) OR (approval_id IS NOT NULL))))
);

COMMENT ON COLUMN production_export.turn IS '1 for the first file of a batch; a later one needs an approval of its own';

COMMENT ON COLUMN production_export.reader_fingerprint IS 'SHA-256 of the public key that the file was sealed to';

CREATE TABLE promotions_campaign (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    issuer_id uuid NOT NULL,
    time_zone text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone
);

COMMENT ON TABLE promotions_campaign IS 'Time-boxed marketing activities that own budgets and offers';

COMMENT ON COLUMN promotions_campaign.time_zone IS 'The issuer''s: what the wall clocks of the terms are meant by';

COMMENT ON COLUMN promotions_campaign.ended_at IS 'When somebody ended it before its time';

CREATE TABLE promotions_policy (
    book_id integer NOT NULL,
    version integer NOT NULL,
    policy jsonb NOT NULL,
    made_at timestamp with time zone NOT NULL,
    made_by text NOT NULL COLLATE pg_catalog."C",
    approval_id uuid
);

COMMENT ON TABLE promotions_policy IS 'What binds all campaigns of a book in one basket; the newest version holds';

CREATE TABLE promotions_shadow (
    book_id integer NOT NULL,
    campaign_id uuid NOT NULL,
    number integer NOT NULL,
    version integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    started_by text NOT NULL COLLATE pg_catalog."C",
    ended_at timestamp with time zone,
    CONSTRAINT promotions_shadow_time CHECK (((until > started_at) AND (ended_at >= started_at)))
);

COMMENT ON TABLE promotions_shadow IS 'Drafts that are priced beside live traffic: nothing moves by them';

COMMENT ON COLUMN promotions_shadow.ended_at IS 'When somebody ended it before its time, or its version was published';

CREATE TABLE promotions_version (
    book_id integer NOT NULL,
    campaign_id uuid NOT NULL,
    version integer NOT NULL,
    terms jsonb NOT NULL,
    made_at timestamp with time zone NOT NULL,
    made_by text NOT NULL COLLATE pg_catalog."C",
    published_at timestamp with time zone,
    published_by text COLLATE pg_catalog."C",
    approval_id uuid,
    CONSTRAINT promotions_version_published CHECK (((published_at IS NULL) = (published_by IS NULL)))
);

COMMENT ON TABLE promotions_version IS 'What a campaign promises: terms are never changed, only followed by others';

COMMENT ON COLUMN promotions_version.published_at IS 'Since when it is in force, within its own time; null: a draft';

CREATE TABLE sales_buyer (
    book_id integer NOT NULL,
    customer_id uuid NOT NULL,
    version bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE sales_buyer IS 'The version of what a buyer has bought: it moves with each purchase';

CREATE TABLE sales_item (
    slot smallint NOT NULL,
    card_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    book_id integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    line integer NOT NULL,
    face_fen bigint NOT NULL,
    price_fen bigint NOT NULL,
    status text DEFAULT 'reserved'::text NOT NULL COLLATE pg_catalog."C",
    tries integer DEFAULT 0 NOT NULL,
    failure text COLLATE pg_catalog."C",
    load_id uuid,
    refund_id uuid,
    delivered_at timestamp with time zone,
    fee_fen bigint DEFAULT 0 NOT NULL,
    CONSTRAINT sales_item_amounts CHECK (((price_fen > 0) AND (price_fen <= face_fen))),
    CONSTRAINT sales_item_kind CHECK ((kind = ANY (ARRAY['sale'::text, 'top_up'::text]))),
    CONSTRAINT sales_item_loaded CHECK (((status <> 'delivered'::text) OR (load_id IS NOT NULL))),
    CONSTRAINT sales_item_status CHECK ((status = ANY (ARRAY['reserved'::text, 'failed'::text, 'delivered'::text, 'refunded'::text, 'released'::text])))
)
WITH (fillfactor='85');

COMMENT ON TABLE sales_item IS 'A card of a purchase: what is to be on it, what of that is paid, and the load that it became';

COMMENT ON COLUMN sales_item.failure IS 'The code for which it could not be delivered; it is tried again when somebody asks';

CREATE TABLE sales_list (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    listed_on date NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    entry_count integer NOT NULL,
    sha256 text NOT NULL COLLATE pg_catalog."C",
    key_id text NOT NULL COLLATE pg_catalog."C",
    made_by text NOT NULL COLLATE pg_catalog."C",
    made_at timestamp with time zone NOT NULL,
    applied_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT sales_list_action CHECK ((action = ANY (ARRAY['refuse'::text, 'review'::text]))),
    CONSTRAINT sales_list_status CHECK ((status = ANY (ARRAY['checked'::text, 'active'::text, 'ended'::text])))
);

COMMENT ON COLUMN sales_list.key_id IS 'The look-up key of its entries: when that is gone the list is uploaded again';

CREATE TABLE sales_list_entry (
    book_id integer NOT NULL,
    list_id uuid NOT NULL,
    line integer NOT NULL,
    name_lookup uuid,
    document_lookup uuid,
    CONSTRAINT sales_list_entry_says CHECK (((name_lookup IS NOT NULL) OR (document_lookup IS NOT NULL)))
);

COMMENT ON TABLE sales_list_entry IS 'Keyed hashes of what a line says: nobody reads a list here';

CREATE TABLE sales_payment (
    book_id integer NOT NULL,
    sale_id uuid NOT NULL,
    id uuid NOT NULL,
    method text NOT NULL COLLATE pg_catalog."C",
    amount_fen bigint NOT NULL,
    accounts_sealed bytea,
    payer_last4 text COLLATE pg_catalog."C",
    reference text,
    made_by text NOT NULL COLLATE pg_catalog."C",
    key_hash uuid NOT NULL,
    request_hash bytea NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    CONSTRAINT sales_payment_amount CHECK ((amount_fen > 0)),
    CONSTRAINT sales_payment_method CHECK ((method = ANY (ARRAY['cash'::text, 'bank_transfer'::text, 'debit_card'::text, 'credit_card'::text, 'online'::text])))
);

COMMENT ON COLUMN sales_payment.accounts_sealed IS 'Holder, number and bank of the payer''s account and of the one that received it, sealed to the payment';

CREATE TABLE sales_sale (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    issuer_id uuid NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    buyer text NOT NULL COLLATE pg_catalog."C",
    customer_id uuid,
    agent_id uuid,
    contract_version text,
    reference text,
    lines jsonb NOT NULL,
    card_count integer NOT NULL,
    face_fen bigint NOT NULL,
    price_fen bigint NOT NULL,
    unregistered_fen bigint NOT NULL,
    paid_fen bigint DEFAULT 0 NOT NULL,
    real_name_rule text COLLATE pg_catalog."C",
    alerts text[] NOT NULL COLLATE pg_catalog."C",
    purchaser_sealed bytea,
    keep_until timestamp with time zone,
    erased_at timestamp with time zone,
    made_by text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    paid_at timestamp with time zone,
    delivered_at timestamp with time zone,
    ended_at timestamp with time zone,
    end_reason text,
    key_hash uuid NOT NULL,
    request_hash bytea NOT NULL,
    end_key_hash uuid,
    version integer DEFAULT 0 NOT NULL,
    fee_fen bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone,
    review text COLLATE pg_catalog."C",
    CONSTRAINT sales_sale_amounts CHECK (((card_count > 0) AND (price_fen > 0) AND (price_fen <= face_fen) AND (fee_fen >= 0) AND ((unregistered_fen >= 0) AND (unregistered_fen <= face_fen)) AND ((paid_fen >= 0) AND (paid_fen <= (price_fen + fee_fen))))),
    CONSTRAINT sales_sale_buyer CHECK ((buyer = ANY (ARRAY['person'::text, 'organisation'::text]))),
    CONSTRAINT sales_sale_channel CHECK ((channel = ANY (ARRAY['counter'::text, 'remote'::text]))),
    CONSTRAINT sales_sale_ended CHECK (((status = ANY (ARRAY['refunded'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT sales_sale_kind CHECK ((kind = ANY (ARRAY['sale'::text, 'top_up'::text]))),
    CONSTRAINT sales_sale_paid CHECK (((status = ANY (ARRAY['open'::text, 'cancelled'::text])) OR ((paid_fen = (price_fen + fee_fen)) AND (paid_at IS NOT NULL)))),
    CONSTRAINT sales_sale_review CHECK (((review = ANY (ARRAY['pending'::text, 'cleared'::text])) AND ((review <> 'pending'::text) OR (paid_fen = 0)))),
    CONSTRAINT sales_sale_status CHECK ((status = ANY (ARRAY['open'::text, 'paid'::text, 'delivered'::text, 'refunded'::text, 'cancelled'::text])))
)
WITH (fillfactor='85');

COMMENT ON TABLE sales_sale IS 'Purchases of cards and top-ups: the register of purchasers. Rows are never removed';

COMMENT ON COLUMN sales_sale.unregistered_fen IS 'What of it buys value on unregistered cards, at face: what counts towards the buyer''s real-name line of the day';

COMMENT ON COLUMN sales_sale.real_name_rule IS 'The rule by which the buyer had to be identified; null: none';

COMMENT ON COLUMN sales_sale.alerts IS 'Advisory rules that would have asked for more: somebody may want to look';

COMMENT ON COLUMN sales_sale.purchaser_sealed IS 'Name, document and phone of buyer and agent as they were at the purchase, sealed; kept where the law asks for it';

COMMENT ON COLUMN sales_sale.keep_until IS 'Until when what is personal of it is kept, by the rules of its day; then it is erased and the rest stays';

COMMENT ON COLUMN sales_sale.fee_fen IS 'Paid beside the price of the value, for the service: it never comes onto a card';

COMMENT ON COLUMN sales_sale.expires_at IS 'When it ends if nothing of it is paid by then; null: never';

COMMENT ON COLUMN sales_sale.review IS 'The buyer is on a list that asks for it: pending until two have looked';

CREATE TABLE schema_floor (
    row_id boolean DEFAULT true NOT NULL,
    revision text NOT NULL,
    CONSTRAINT schema_floor_one CHECK (row_id)
);

COMMENT ON COLUMN schema_floor.revision IS 'the oldest revision whose release may serve on this schema';

CREATE TABLE vouchers_batch (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    template_id uuid NOT NULL,
    name text NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    voucher_count integer NOT NULL,
    issued_count integer DEFAULT 0 NOT NULL,
    code_length integer,
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT vouchers_batch_counts CHECK (((voucher_count > 0) AND ((issued_count >= 0) AND (issued_count <= voucher_count)))),
    CONSTRAINT vouchers_batch_source CHECK ((source = ANY (ARRAY['made'::text, 'imported'::text, 'assigned'::text])))
)
WITH (fillfactor='50');

COMMENT ON TABLE vouchers_batch IS 'Vouchers that came about together: made with new codes, taken in with foreign ones, or given out by a file';

CREATE TABLE vouchers_claimed (
    slot smallint NOT NULL,
    holder_id uuid NOT NULL,
    template_id uuid NOT NULL,
    book_id integer NOT NULL,
    claimed integer NOT NULL,
    CONSTRAINT vouchers_claimed_count CHECK ((claimed >= 0))
)
WITH (fillfactor='70');

COMMENT ON TABLE vouchers_claimed IS 'How many vouchers of a template somebody has claimed; in the slot of the holder, so that the limit holds wherever the vouchers are';

CREATE TABLE vouchers_event (
    slot smallint NOT NULL,
    voucher_id uuid NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    template_id uuid NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    from_status text NOT NULL COLLATE pg_catalog."C",
    to_status text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    holder_kind text COLLATE pg_catalog."C",
    holder_id uuid,
    transaction_id uuid,
    amount_fen bigint NOT NULL,
    face_fen bigint NOT NULL,
    reason text,
    number integer
);

COMMENT ON TABLE vouchers_event IS 'What happened to vouchers after they were issued, each with an evidence leaf under its id; appended, never altered. A lock is no event: it ends in one, or in nothing';

COMMENT ON COLUMN vouchers_event.number IS 'The how-manieth event of the voucher it is; null: from before they were numbered';

CREATE TABLE vouchers_template (
    book_id integer NOT NULL,
    id uuid NOT NULL,
    issuer_id uuid NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    currency text NOT NULL COLLATE pg_catalog."C",
    face_fen bigint NOT NULL,
    offer_kind text NOT NULL COLLATE pg_catalog."C",
    offer_params jsonb NOT NULL,
    offer_conditions jsonb NOT NULL,
    offer_stacking jsonb NOT NULL,
    funders jsonb NOT NULL,
    time_zone text NOT NULL COLLATE pg_catalog."C",
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    valid_days integer,
    max_per_holder integer,
    transferable boolean NOT NULL,
    returnable boolean NOT NULL,
    load_pocket text COLLATE pg_catalog."C",
    district text COLLATE pg_catalog."C",
    eligibility jsonb,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT vouchers_template_face CHECK (((face_fen >= 0) AND ((kind <> 'value'::text) OR (face_fen > 0)))),
    CONSTRAINT vouchers_template_kind CHECK ((kind = ANY (ARRAY['value'::text, 'percent'::text, 'goods'::text]))),
    CONSTRAINT vouchers_template_limit CHECK ((max_per_holder > 0)),
    CONSTRAINT vouchers_template_validity CHECK ((((valid_until IS NULL) <> (valid_days IS NULL)) AND (valid_days > 0)))
);

COMMENT ON TABLE vouchers_template IS 'What a voucher of it promises: never changed, since whoever holds one keeps what was promised; only ended';

COMMENT ON COLUMN vouchers_template.face_fen IS 'What one is worth at most, and counts for while it is outstanding; 0: no amount';

COMMENT ON COLUMN vouchers_template.offer_kind IS 'The promotions kind that is its effect, with offer_params';

COMMENT ON COLUMN vouchers_template.valid_until IS 'The end of its last day; without one it ends valid_days days after it was claimed';

COMMENT ON COLUMN vouchers_template.load_pocket IS 'Into which pocket of a card it may be paid; null: none';

CREATE TABLE vouchers_voucher (
    slot smallint NOT NULL,
    id uuid NOT NULL,
    book_id integer NOT NULL,
    template_id uuid NOT NULL,
    batch_id uuid,
    status text NOT NULL COLLATE pg_catalog."C",
    holder_kind text COLLATE pg_catalog."C",
    holder_id uuid,
    code_lookup uuid,
    code_sealed bytea,
    code_last4 text COLLATE pg_catalog."C",
    face_fen bigint NOT NULL,
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    locked_by uuid,
    locked_until timestamp with time zone,
    redeemed_by uuid,
    redeemed_fen bigint DEFAULT 0 NOT NULL,
    returned_fen bigint DEFAULT 0 NOT NULL,
    granted_by uuid,
    created_at timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    CONSTRAINT vouchers_voucher_amounts CHECK (((face_fen >= 0) AND ((returned_fen >= 0) AND (returned_fen <= redeemed_fen)))),
    CONSTRAINT vouchers_voucher_holder CHECK ((((holder_id IS NULL) = (holder_kind IS NULL)) AND ((status <> 'issued'::text) OR (holder_id IS NULL)) AND ((status <> ALL (ARRAY['held'::text, 'locked'::text, 'redeemed'::text, 'loaded'::text])) OR (holder_id IS NOT NULL)))),
    CONSTRAINT vouchers_voucher_holder_kind CHECK ((holder_kind = ANY (ARRAY['card'::text, 'customer'::text]))),
    CONSTRAINT vouchers_voucher_lock CHECK ((((status = 'locked'::text) = (locked_by IS NOT NULL)) AND ((locked_by IS NULL) = (locked_until IS NULL)))),
    CONSTRAINT vouchers_voucher_redeemed CHECK (((status <> 'redeemed'::text) OR (redeemed_by IS NOT NULL))),
    CONSTRAINT vouchers_voucher_status CHECK ((status = ANY (ARRAY['issued'::text, 'held'::text, 'locked'::text, 'redeemed'::text, 'loaded'::text, 'expired'::text, 'cancelled'::text])))
)
WITH (fillfactor='85');

COMMENT ON TABLE vouchers_voucher IS 'Every voucher, wherever it is in its life';

COMMENT ON COLUMN vouchers_voucher.locked_by IS 'The payment that wants to redeem it and is not posted yet';

COMMENT ON COLUMN vouchers_voucher.redeemed_fen IS 'What it took off; returned_fen of that came back with refunds';

COMMENT ON COLUMN vouchers_voucher.granted_by IS 'The payment or load that it was given with';

ALTER TABLE ONLY audit_anchor
    ADD CONSTRAINT audit_anchor_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cards_acceptance
    ADD CONSTRAINT cards_acceptance_once UNIQUE NULLS NOT DISTINCT (programme_id, merchant_id, store_id);

ALTER TABLE ONLY cards_acceptance_trade
    ADD CONSTRAINT cards_acceptance_trade_pkey PRIMARY KEY (programme_id, trade);

ALTER TABLE ONLY cards_adjustment
    ADD CONSTRAINT cards_adjustment_approval UNIQUE (slot, approval_id);

ALTER TABLE ONLY cards_adjustment
    ADD CONSTRAINT cards_adjustment_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY cards_batch
    ADD CONSTRAINT cards_batch_name UNIQUE (book_id, name);

ALTER TABLE ONLY cards_batch
    ADD CONSTRAINT cards_batch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cards_card
    ADD CONSTRAINT cards_card_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY cards_event
    ADD CONSTRAINT cards_event_pkey PRIMARY KEY (slot, card_id, id);

ALTER TABLE ONLY cards_fee
    ADD CONSTRAINT cards_fee_once UNIQUE (slot, transfer_id);

ALTER TABLE ONLY cards_fee
    ADD CONSTRAINT cards_fee_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY cards_gift
    ADD CONSTRAINT cards_gift_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY cards_number
    ADD CONSTRAINT cards_number_pkey PRIMARY KEY (slot, lookup);

ALTER TABLE ONLY cards_pin
    ADD CONSTRAINT cards_pin_pkey PRIMARY KEY (slot, card_id);

ALTER TABLE ONLY cards_programme
    ADD CONSTRAINT cards_programme_code UNIQUE (book_id, code);

ALTER TABLE ONLY cards_programme_end
    ADD CONSTRAINT cards_programme_end_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cards_programme
    ADD CONSTRAINT cards_programme_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY cards_programme
    ADD CONSTRAINT cards_programme_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cards_programme_terms
    ADD CONSTRAINT cards_programme_terms_pkey PRIMARY KEY (programme_id, version);

ALTER TABLE ONLY cards_secret
    ADD CONSTRAINT cards_secret_pkey PRIMARY KEY (slot, card_id);

ALTER TABLE ONLY cards_transfer
    ADD CONSTRAINT cards_transfer_key UNIQUE (slot, key_hash);

ALTER TABLE ONLY cards_transfer
    ADD CONSTRAINT cards_transfer_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY closing_closure
    ADD CONSTRAINT closing_closure_pkey PRIMARY KEY (slot, card_id);

ALTER TABLE ONLY closing_dormancy_fee
    ADD CONSTRAINT closing_dormancy_fee_pkey PRIMARY KEY (slot, card_id, month);

ALTER TABLE ONLY closing_dormancy
    ADD CONSTRAINT closing_dormancy_pkey PRIMARY KEY (slot, card_id, last_moved_at);

ALTER TABLE ONLY closing_end_notice
    ADD CONSTRAINT closing_end_notice_pkey PRIMARY KEY (slot, end_id, card_id, occasion, days);

ALTER TABLE ONLY closing_end_payee
    ADD CONSTRAINT closing_end_payee_pkey PRIMARY KEY (slot, card_id);

ALTER TABLE ONLY closing_end_publication
    ADD CONSTRAINT closing_end_publication_once UNIQUE (end_id, medium, reference);

ALTER TABLE ONLY closing_end_publication
    ADD CONSTRAINT closing_end_publication_pkey PRIMARY KEY (id);

ALTER TABLE ONLY closing_expired_lot
    ADD CONSTRAINT closing_expired_lot_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE ONLY closing_extension
    ADD CONSTRAINT closing_extension_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY closing_payout
    ADD CONSTRAINT closing_payout_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY closing_release
    ADD CONSTRAINT closing_release_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE ONLY closing_reminder
    ADD CONSTRAINT closing_reminder_pkey PRIMARY KEY (slot, account_id, lot, expires_at, threshold_days);

ALTER TABLE ONLY closing_terms
    ADD CONSTRAINT closing_terms_pkey PRIMARY KEY (book_id, programme_id);

ALTER TABLE ONLY evidence_checkpoint
    ADD CONSTRAINT evidence_checkpoint_pkey PRIMARY KEY (size);

ALTER TABLE ONLY evidence_cosigned
    ADD CONSTRAINT evidence_cosigned_pkey PRIMARY KEY (id);

ALTER TABLE ONLY evidence_entry
    ADD CONSTRAINT evidence_entry_once UNIQUE (slot, transaction_id);

ALTER TABLE ONLY evidence_entry
    ADD CONSTRAINT evidence_entry_pkey PRIMARY KEY (log_index);

ALTER TABLE ONLY evidence_horizon
    ADD CONSTRAINT evidence_horizon_pkey PRIMARY KEY (slot);

ALTER TABLE ONLY evidence_issue
    ADD CONSTRAINT evidence_issue_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY evidence_key
    ADD CONSTRAINT evidence_key_once UNIQUE (public_key);

ALTER TABLE ONLY evidence_key
    ADD CONSTRAINT evidence_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY evidence_key_receipt
    ADD CONSTRAINT evidence_key_receipt_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY evidence_leaf
    ADD CONSTRAINT evidence_leaf_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE evidence_leaf
    ADD CONSTRAINT evidence_leaf_salt_or_commitment CHECK (((commitment IS NULL) OR ((salt IS NULL) AND (octet_length(commitment) = 32)))) NOT VALID;

ALTER TABLE ONLY evidence_log
    ADD CONSTRAINT evidence_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY evidence_sm_log
    ADD CONSTRAINT evidence_sm_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY evidence_sm_tile
    ADD CONSTRAINT evidence_sm_tile_pkey PRIMARY KEY (level, number);

ALTER TABLE ONLY evidence_start
    ADD CONSTRAINT evidence_start_pkey PRIMARY KEY (slot, what);

ALTER TABLE ONLY evidence_tile
    ADD CONSTRAINT evidence_tile_pkey PRIMARY KEY (level, number);

ALTER TABLE ONLY evidence_witness
    ADD CONSTRAINT evidence_witness_pkey PRIMARY KEY (key);

ALTER TABLE ONLY guesses_caller
    ADD CONSTRAINT guesses_caller_pkey PRIMARY KEY (caller);

ALTER TABLE ONLY imports_file
    ADD CONSTRAINT imports_file_name UNIQUE (book_id, name);

ALTER TABLE ONLY imports_file
    ADD CONSTRAINT imports_file_pkey PRIMARY KEY (id);

ALTER TABLE ONLY imports_line
    ADD CONSTRAINT imports_line_pkey PRIMARY KEY (slot, import_id, line);

ALTER TABLE ONLY ledger_account
    ADD CONSTRAINT ledger_account_one_per_owner UNIQUE (slot, owner_id, kind, currency);

ALTER TABLE ONLY ledger_account
    ADD CONSTRAINT ledger_account_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY ledger_checkpoint
    ADD CONSTRAINT ledger_checkpoint_pkey PRIMARY KEY (slot, account_id, taken_at);

ALTER TABLE ONLY ledger_detail
    ADD CONSTRAINT ledger_detail_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE ONLY ledger_entry
    ADD CONSTRAINT ledger_entry_pkey PRIMARY KEY (slot, transaction_id, leg);

ALTER TABLE ONLY ledger_forgotten
    ADD CONSTRAINT ledger_forgotten_pkey PRIMARY KEY (slot);

ALTER TABLE ONLY ledger_idempotency
    ADD CONSTRAINT ledger_idempotency_pkey PRIMARY KEY (slot, key_hash);

ALTER TABLE ONLY ledger_key
    ADD CONSTRAINT ledger_key_pkey PRIMARY KEY (slot, key_hash);

ALTER TABLE ONLY ledger_lot
    ADD CONSTRAINT ledger_lot_pkey PRIMARY KEY (slot, account_id, lot);

ALTER TABLE ONLY ledger_slot
    ADD CONSTRAINT ledger_slot_pkey PRIMARY KEY (slot);

ALTER TABLE ONLY ledger_transaction
    ADD CONSTRAINT ledger_transaction_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY notices_attempt
    ADD CONSTRAINT notices_attempt_pkey PRIMARY KEY (slot, notice_id, endpoint_id, attempt);

ALTER TABLE ONLY notices_delivery
    ADD CONSTRAINT notices_delivery_pkey PRIMARY KEY (slot, notice_id, endpoint_id);

ALTER TABLE ONLY notices_endpoint
    ADD CONSTRAINT notices_endpoint_pkey PRIMARY KEY (id);

ALTER TABLE ONLY notices_notice
    ADD CONSTRAINT notices_notice_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY parties_api_key
    ADD CONSTRAINT parties_api_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_approval
    ADD CONSTRAINT parties_approval_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY parties_audit
    ADD CONSTRAINT parties_audit_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY parties_book
    ADD CONSTRAINT parties_book_one_per_mode UNIQUE (tenant_id, mode);

ALTER TABLE ONLY parties_book
    ADD CONSTRAINT parties_book_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_customer
    ADD CONSTRAINT parties_customer_document UNIQUE (book_id, document_lookup);

ALTER TABLE ONLY parties_customer
    ADD CONSTRAINT parties_customer_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY parties_funder
    ADD CONSTRAINT parties_funder_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_funder
    ADD CONSTRAINT parties_funder_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY parties_identity_attempt
    ADD CONSTRAINT parties_identity_attempt_pkey PRIMARY KEY (book_id, customer_id, id);

ALTER TABLE ONLY parties_identity_guard
    ADD CONSTRAINT parties_identity_guard_pkey PRIMARY KEY (book_id, subject);

ALTER TABLE ONLY parties_issuer
    ADD CONSTRAINT parties_issuer_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_issuer
    ADD CONSTRAINT parties_issuer_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY parties_issuer
    ADD CONSTRAINT parties_issuer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_level_change
    ADD CONSTRAINT parties_level_change_pkey PRIMARY KEY (book_id, customer_id, id);

ALTER TABLE ONLY parties_merchant
    ADD CONSTRAINT parties_merchant_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_merchant
    ADD CONSTRAINT parties_merchant_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY parties_merchant
    ADD CONSTRAINT parties_merchant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_operator
    ADD CONSTRAINT parties_operator_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_operator
    ADD CONSTRAINT parties_operator_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY parties_operator
    ADD CONSTRAINT parties_operator_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_store
    ADD CONSTRAINT parties_store_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_store
    ADD CONSTRAINT parties_store_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY parties_store
    ADD CONSTRAINT parties_store_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_tenant
    ADD CONSTRAINT parties_tenant_name UNIQUE (name);

ALTER TABLE ONLY parties_tenant
    ADD CONSTRAINT parties_tenant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY parties_terminal
    ADD CONSTRAINT parties_terminal_code UNIQUE (book_id, code);

ALTER TABLE ONLY parties_terminal
    ADD CONSTRAINT parties_terminal_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY parties_terminal
    ADD CONSTRAINT parties_terminal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_exhausted
    ADD CONSTRAINT payments_exhausted_pkey PRIMARY KEY (budget_id, period);

ALTER TABLE ONLY payments_funder
    ADD CONSTRAINT payments_funder_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_given_up
    ADD CONSTRAINT payments_given_up_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY payments_instalment
    ADD CONSTRAINT payments_instalment_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY payments_last_place
    ADD CONSTRAINT payments_last_place_pkey PRIMARY KEY (slot, card_id);

ALTER TABLE ONLY payments_limit
    ADD CONSTRAINT payments_limit_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY payments_limit
    ADD CONSTRAINT payments_limit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_limit
    ADD CONSTRAINT payments_limit_replaced_once UNIQUE (replaces_id);

ALTER TABLE ONLY payments_payment
    ADD CONSTRAINT payments_payment_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY payments_place_rule
    ADD CONSTRAINT payments_place_rule_in_book UNIQUE (book_id, id);

ALTER TABLE ONLY payments_place_rule
    ADD CONSTRAINT payments_place_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_pricing
    ADD CONSTRAINT payments_pricing_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE ONLY payments_reservation
    ADD CONSTRAINT payments_reservation_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY payments_seen
    ADD CONSTRAINT payments_seen_pkey PRIMARY KEY (slot, transaction_id);

ALTER TABLE ONLY payments_shadow_budget
    ADD CONSTRAINT payments_shadow_budget_pkey PRIMARY KEY (book_id, campaign_id, number, budget_id, subject_id, period);

ALTER TABLE ONLY payments_shadow
    ADD CONSTRAINT payments_shadow_pkey PRIMARY KEY (slot, book_id, campaign_id, number, transaction_id);

ALTER TABLE ONLY payments_trail
    ADD CONSTRAINT payments_trail_pkey PRIMARY KEY (slot, key);

ALTER TABLE ONLY payments_usage
    ADD CONSTRAINT payments_usage_pkey PRIMARY KEY (slot, key);

ALTER TABLE ONLY points_benefit
    ADD CONSTRAINT points_benefit_code UNIQUE (book_id, programme_id, code);

ALTER TABLE ONLY points_benefit
    ADD CONSTRAINT points_benefit_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY points_deed
    ADD CONSTRAINT points_deed_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY points_earning
    ADD CONSTRAINT points_earning_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY points_member
    ADD CONSTRAINT points_member_card UNIQUE (slot, card_id);

ALTER TABLE ONLY points_member
    ADD CONSTRAINT points_member_pkey PRIMARY KEY (slot, id);

ALTER TABLE ONLY points_partner
    ADD CONSTRAINT points_partner_code UNIQUE (book_id, code);

ALTER TABLE ONLY points_partner
    ADD CONSTRAINT points_partner_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY points_reminded
    ADD CONSTRAINT points_reminded_pkey PRIMARY KEY (slot, account_id, lot);

ALTER TABLE ONLY points_terms
    ADD CONSTRAINT points_terms_pkey PRIMARY KEY (book_id, programme_id, version);

ALTER TABLE ONLY policy_change
    ADD CONSTRAINT policy_change_of_proposer UNIQUE (id, proposed_by);

ALTER TABLE ONLY policy_change
    ADD CONSTRAINT policy_change_pkey PRIMARY KEY (id);

ALTER TABLE ONLY policy_decision
    ADD CONSTRAINT policy_decision_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY policy_rule_set
    ADD CONSTRAINT policy_rule_set_of_change UNIQUE (change_id);

ALTER TABLE ONLY policy_rule_set
    ADD CONSTRAINT policy_rule_set_pkey PRIMARY KEY (book_id, owner_id, version);

ALTER TABLE ONLY production_export
    ADD CONSTRAINT production_export_approval UNIQUE (book_id, approval_id);

ALTER TABLE ONLY production_export
    ADD CONSTRAINT production_export_pkey PRIMARY KEY (id);

ALTER TABLE ONLY production_export
    ADD CONSTRAINT production_export_turn UNIQUE (batch_id, turn);

ALTER TABLE ONLY promotions_campaign
    ADD CONSTRAINT promotions_campaign_code UNIQUE (book_id, code);

ALTER TABLE ONLY promotions_campaign
    ADD CONSTRAINT promotions_campaign_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY promotions_policy
    ADD CONSTRAINT promotions_policy_pkey PRIMARY KEY (book_id, version);

ALTER TABLE ONLY promotions_shadow
    ADD CONSTRAINT promotions_shadow_pkey PRIMARY KEY (book_id, campaign_id, number);

ALTER TABLE ONLY promotions_version
    ADD CONSTRAINT promotions_version_pkey PRIMARY KEY (book_id, campaign_id, version);

ALTER TABLE ONLY sales_buyer
    ADD CONSTRAINT sales_buyer_pkey PRIMARY KEY (book_id, customer_id);

ALTER TABLE ONLY sales_item
    ADD CONSTRAINT sales_item_pkey PRIMARY KEY (slot, card_id, sale_id);

ALTER TABLE ONLY sales_list_entry
    ADD CONSTRAINT sales_list_entry_pkey PRIMARY KEY (book_id, list_id, line);

ALTER TABLE ONLY sales_list
    ADD CONSTRAINT sales_list_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY sales_payment
    ADD CONSTRAINT sales_payment_key UNIQUE (book_id, key_hash);

ALTER TABLE ONLY sales_payment
    ADD CONSTRAINT sales_payment_pkey PRIMARY KEY (book_id, sale_id, id);

ALTER TABLE ONLY sales_sale
    ADD CONSTRAINT sales_sale_key UNIQUE (book_id, key_hash);

ALTER TABLE ONLY sales_sale
    ADD CONSTRAINT sales_sale_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY schema_floor
    ADD CONSTRAINT schema_floor_pkey PRIMARY KEY (row_id);

ALTER TABLE ONLY vouchers_batch
    ADD CONSTRAINT vouchers_batch_name UNIQUE (book_id, name);

ALTER TABLE ONLY vouchers_batch
    ADD CONSTRAINT vouchers_batch_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY vouchers_claimed
    ADD CONSTRAINT vouchers_claimed_pkey PRIMARY KEY (slot, holder_id, template_id);

ALTER TABLE ONLY vouchers_event
    ADD CONSTRAINT vouchers_event_pkey PRIMARY KEY (slot, voucher_id, id);

ALTER TABLE ONLY vouchers_template
    ADD CONSTRAINT vouchers_template_code UNIQUE (book_id, code);

ALTER TABLE ONLY vouchers_template
    ADD CONSTRAINT vouchers_template_pkey PRIMARY KEY (book_id, id);

ALTER TABLE ONLY vouchers_voucher
    ADD CONSTRAINT vouchers_voucher_pkey PRIMARY KEY (slot, id);

CREATE INDEX cards_adjustment_book ON cards_adjustment USING btree (slot, book_id, id);

CREATE INDEX cards_adjustment_card ON cards_adjustment USING btree (slot, card_id, id);

CREATE INDEX cards_card_batch ON cards_card USING btree (slot, batch_id, id) WHERE (batch_id IS NOT NULL);

CREATE INDEX cards_card_customer ON cards_card USING btree (slot, customer_id, id) WHERE (customer_id IS NOT NULL);

CREATE INDEX cards_card_last4 ON cards_card USING btree (slot, book_id, number_last4, id);

CREATE INDEX cards_card_loss_due ON cards_card USING btree (slot, loss_due_at) WHERE ((loss_due_at IS NOT NULL) AND (lost_at IS NULL));

CREATE INDEX cards_card_programme ON cards_card USING btree (slot, programme_id, id);

CREATE INDEX cards_card_replaced ON cards_card USING btree (slot, id) WHERE (status = 'replaced'::text);

CREATE INDEX cards_event_by_id ON cards_event USING btree (slot, id);

CREATE INDEX cards_event_registered ON cards_event USING btree (slot, ((details ->> 'customer_id'::text))) WHERE (kind = 'registered'::text);

CREATE INDEX cards_gift_open ON cards_gift USING btree (slot, expires_at) WHERE (status = 'open'::text);

CREATE INDEX cards_programme_end_book ON cards_programme_end USING btree (book_id, id);

CREATE UNIQUE INDEX cards_programme_end_one ON cards_programme_end USING btree (programme_id) WHERE (withdrawn_at IS NULL);

CREATE INDEX cards_transfer_from ON cards_transfer USING btree (slot, from_card_id, id);

CREATE INDEX cards_transfer_unfinished ON cards_transfer USING btree (slot, created_at) WHERE (status = ANY (ARRAY['open'::text, 'out'::text]));

CREATE INDEX closing_end_payee_end ON closing_end_payee USING btree (slot, end_id, card_id);

CREATE INDEX closing_expired_lot_card ON closing_expired_lot USING btree (slot, card_id, account_id, lot);

CREATE INDEX closing_expired_lot_kept ON closing_expired_lot USING btree (slot, card_id, transaction_id) WHERE (returned_fen < amount_fen);

CREATE INDEX closing_payout_book ON closing_payout USING btree (slot, book_id, id);

CREATE INDEX closing_payout_card ON closing_payout USING btree (slot, card_id, id);

CREATE INDEX evidence_issue_by_time ON evidence_issue USING btree (slot, at);

CREATE INDEX evidence_leaf_written_by ON evidence_leaf USING btree (slot, written_by);

CREATE INDEX imports_line_open ON imports_line USING btree (slot, import_id, status, line);

CREATE INDEX ledger_entry_credit ON ledger_entry USING btree (credit_account, transaction_id);

CREATE INDEX ledger_entry_debit ON ledger_entry USING btree (debit_account, transaction_id);

CREATE INDEX ledger_lot_expiring ON ledger_lot USING btree (slot, expires_at, account_id, lot) WHERE (expires_at IS NOT NULL);

CREATE INDEX ledger_transaction_kind ON ledger_transaction USING btree (slot, book_id, kind, id) WHERE (kind <> 'purchase'::text);

CREATE INDEX ledger_transaction_reference ON ledger_transaction USING btree (slot, book_id, reference, id) WHERE (reference IS NOT NULL);

CREATE INDEX ledger_transaction_related ON ledger_transaction USING btree (slot, related_id, id) WHERE (related_id IS NOT NULL);

CREATE INDEX notices_delivery_due ON notices_delivery USING btree (slot, endpoint_id, next_at) WHERE (status = 'pending'::text);

CREATE INDEX notices_endpoint_book ON notices_endpoint USING btree (book_id, id);

CREATE INDEX notices_notice_book ON notices_notice USING btree (slot, book_id, id);

CREATE INDEX notices_notice_card ON notices_notice USING btree (slot, card_id, id) WHERE (card_id IS NOT NULL);

CREATE INDEX parties_approval_by_subject ON parties_approval USING btree (book_id, subject, id);

CREATE INDEX parties_approval_open ON parties_approval USING btree (expires_at) WHERE (status = ANY (ARRAY['proposed'::text, 'approved'::text]));

CREATE INDEX parties_audit_by_key ON parties_audit USING btree (book_id, key_id, id) WHERE (key_id IS NOT NULL);

CREATE INDEX parties_audit_by_kind ON parties_audit USING btree (book_id, kind, id);

CREATE INDEX parties_audit_by_operator ON parties_audit USING btree (book_id, operator_id, id) WHERE (operator_id IS NOT NULL);

CREATE INDEX parties_audit_by_subject ON parties_audit USING btree (book_id, subject, id);

CREATE INDEX parties_audit_by_time ON parties_audit USING btree (book_id, at);

CREATE INDEX parties_customer_by_document_last4 ON parties_customer USING btree (book_id, document_last4, id) WHERE (document_last4 IS NOT NULL);

CREATE INDEX parties_customer_by_phone ON parties_customer USING btree (book_id, phone_lookup, id) WHERE (phone_lookup IS NOT NULL);

CREATE INDEX parties_customer_by_phone_last4 ON parties_customer USING btree (book_id, phone_last4, id) WHERE (phone_last4 IS NOT NULL);

CREATE INDEX parties_customer_by_segment ON parties_customer USING gin (segments) WHERE (segments <> '{}'::text[]);

CREATE INDEX parties_customer_openings ON parties_customer USING btree (forgotten_at) WHERE ((forgotten_at IS NOT NULL) AND (retained_until IS NULL) AND (openings_erased_at IS NULL));

CREATE INDEX parties_customer_retained_until ON parties_customer USING btree (retained_until) WHERE (retained_until IS NOT NULL);

CREATE INDEX payments_funder_campaign ON payments_funder USING btree (book_id, campaign_id, id);

CREATE INDEX payments_instalment_card ON payments_instalment USING btree (slot, card_id, id);

CREATE INDEX payments_instalment_due ON payments_instalment USING btree (slot, due_at, id) WHERE (ended_at IS NULL);

CREATE INDEX payments_limit_programme_name ON payments_limit USING btree (book_id, programme_id, id);

CREATE INDEX payments_payment_free ON payments_payment USING btree (slot, card_id, id) WHERE (amount_fen = 0);

CREATE INDEX payments_payment_open ON payments_payment USING btree (slot, expires_at) WHERE (status = 'open'::payments_status);

CREATE INDEX payments_pricing_original ON payments_pricing USING btree (slot, original_id, transaction_id) WHERE (original_id IS NOT NULL);

CREATE INDEX points_deed_of_member ON points_deed USING btree (slot, member_id, id);

CREATE UNIQUE INDEX points_deed_reference ON points_deed USING btree (slot, subject_id, reference) WHERE (kind = 'exchange_in'::text);

CREATE INDEX points_earning_maturing ON points_earning USING btree (slot, matures_at) WHERE ((NOT matured) AND (lot IS NOT NULL));

CREATE INDEX points_earning_of_member ON points_earning USING btree (slot, member_id, at);

CREATE INDEX points_earning_of_payment ON points_earning USING btree (slot, payment_id) WHERE (payment_id IS NOT NULL);

CREATE INDEX policy_change_newest ON policy_change USING btree (book_id, id);

CREATE INDEX promotions_shadow_open ON promotions_shadow USING btree (book_id, until) WHERE (ended_at IS NULL);

CREATE INDEX sales_item_by_sale ON sales_item USING btree (slot, sale_id, card_id);

CREATE UNIQUE INDEX sales_item_sold ON sales_item USING btree (slot, card_id) WHERE ((kind = 'sale'::text) AND (status <> 'released'::text));

CREATE INDEX sales_list_entry_document ON sales_list_entry USING btree (book_id, document_lookup) WHERE (document_lookup IS NOT NULL);

CREATE INDEX sales_list_entry_name ON sales_list_entry USING btree (book_id, name_lookup) WHERE (name_lookup IS NOT NULL);

CREATE UNIQUE INDEX sales_list_in_force ON sales_list USING btree (book_id, name) WHERE (status = 'active'::text);

CREATE INDEX sales_sale_by_buyer ON sales_sale USING btree (book_id, customer_id, created_at) WHERE (customer_id IS NOT NULL);

CREATE INDEX sales_sale_by_reference ON sales_sale USING btree (book_id, reference, id) WHERE (reference IS NOT NULL);

CREATE INDEX sales_sale_open ON sales_sale USING btree (expires_at) WHERE ((status = 'open'::text) AND (paid_fen = 0));

CREATE INDEX sales_sale_to_erase ON sales_sale USING btree (keep_until) WHERE (erased_at IS NULL);

CREATE INDEX sales_sale_undelivered ON sales_sale USING btree (paid_at) WHERE (status = 'paid'::text);

CREATE INDEX vouchers_batch_unfinished ON vouchers_batch USING btree (id) WHERE (finished_at IS NULL);

CREATE INDEX vouchers_event_by_id ON vouchers_event USING btree (slot, id);

CREATE INDEX vouchers_event_by_time ON vouchers_event USING btree (slot, book_id, at);

CREATE INDEX vouchers_voucher_batch ON vouchers_voucher USING btree (slot, batch_id, id) WHERE (batch_id IS NOT NULL);

CREATE UNIQUE INDEX vouchers_voucher_code ON vouchers_voucher USING btree (slot, code_lookup, book_id) WHERE (code_lookup IS NOT NULL);

CREATE INDEX vouchers_voucher_ending ON vouchers_voucher USING btree (slot, valid_until) WHERE ((status = ANY (ARRAY['issued'::text, 'held'::text])) AND (valid_until IS NOT NULL));

CREATE INDEX vouchers_voucher_granted ON vouchers_voucher USING btree (slot, granted_by) WHERE (granted_by IS NOT NULL);

CREATE INDEX vouchers_voucher_holder ON vouchers_voucher USING btree (slot, holder_id, id) WHERE (holder_id IS NOT NULL);

CREATE INDEX vouchers_voucher_locked ON vouchers_voucher USING btree (slot, locked_until) WHERE (status = 'locked'::text);

CREATE INDEX vouchers_voucher_stock ON vouchers_voucher USING btree (slot, template_id, id) WHERE (status = 'issued'::text);

ALTER TABLE ONLY cards_acceptance
    ADD CONSTRAINT cards_acceptance_merchant FOREIGN KEY (book_id, merchant_id) REFERENCES parties_merchant(book_id, id);

ALTER TABLE ONLY cards_acceptance
    ADD CONSTRAINT cards_acceptance_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY cards_acceptance
    ADD CONSTRAINT cards_acceptance_store FOREIGN KEY (book_id, store_id) REFERENCES parties_store(book_id, id);

ALTER TABLE ONLY cards_acceptance_trade
    ADD CONSTRAINT cards_acceptance_trade_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY cards_batch
    ADD CONSTRAINT cards_batch_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY cards_programme_end
    ADD CONSTRAINT cards_programme_end_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY cards_programme
    ADD CONSTRAINT cards_programme_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer(book_id, id);

ALTER TABLE ONLY cards_programme_terms
    ADD CONSTRAINT cards_programme_terms_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY closing_end_publication
    ADD CONSTRAINT closing_end_publication_end FOREIGN KEY (end_id) REFERENCES cards_programme_end(id);

ALTER TABLE ONLY closing_terms
    ADD CONSTRAINT closing_terms_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY imports_file
    ADD CONSTRAINT imports_file_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY parties_api_key
    ADD CONSTRAINT parties_api_key_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_api_key
    ADD CONSTRAINT parties_api_key_operator FOREIGN KEY (book_id, operator_id) REFERENCES parties_operator(book_id, id);

ALTER TABLE ONLY parties_approval
    ADD CONSTRAINT parties_approval_decider FOREIGN KEY (book_id, decided_by) REFERENCES parties_operator(book_id, id);

ALTER TABLE ONLY parties_approval
    ADD CONSTRAINT parties_approval_proposer FOREIGN KEY (book_id, proposed_by) REFERENCES parties_operator(book_id, id);

ALTER TABLE ONLY parties_book
    ADD CONSTRAINT parties_book_tenant FOREIGN KEY (tenant_id) REFERENCES parties_tenant(id);

ALTER TABLE ONLY parties_customer
    ADD CONSTRAINT parties_customer_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_funder
    ADD CONSTRAINT parties_funder_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_issuer
    ADD CONSTRAINT parties_issuer_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_merchant
    ADD CONSTRAINT parties_merchant_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_operator
    ADD CONSTRAINT parties_operator_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY parties_store
    ADD CONSTRAINT parties_store_merchant FOREIGN KEY (book_id, merchant_id) REFERENCES parties_merchant(book_id, id);

ALTER TABLE ONLY parties_terminal
    ADD CONSTRAINT parties_terminal_store FOREIGN KEY (book_id, store_id) REFERENCES parties_store(book_id, id);

ALTER TABLE ONLY payments_limit
    ADD CONSTRAINT payments_limit_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY payments_place_rule
    ADD CONSTRAINT payments_place_rule_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme(book_id, id);

ALTER TABLE ONLY points_terms
    ADD CONSTRAINT points_terms_programme FOREIGN KEY (programme_id) REFERENCES cards_programme(id);

ALTER TABLE ONLY policy_change
    ADD CONSTRAINT policy_change_book FOREIGN KEY (book_id) REFERENCES parties_book(id);

ALTER TABLE ONLY policy_change
    ADD CONSTRAINT policy_change_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer(book_id, id);

ALTER TABLE ONLY policy_decision
    ADD CONSTRAINT policy_decision_change FOREIGN KEY (change_id, proposed_by) REFERENCES policy_change(id, proposed_by);

ALTER TABLE ONLY policy_rule_set
    ADD CONSTRAINT policy_rule_set_change FOREIGN KEY (change_id) REFERENCES policy_change(id);

ALTER TABLE ONLY production_export
    ADD CONSTRAINT production_export_batch FOREIGN KEY (batch_id) REFERENCES cards_batch(id);

ALTER TABLE ONLY promotions_campaign
    ADD CONSTRAINT promotions_campaign_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer(book_id, id);

ALTER TABLE ONLY promotions_shadow
    ADD CONSTRAINT promotions_shadow_version FOREIGN KEY (book_id, campaign_id, version) REFERENCES promotions_version(book_id, campaign_id, version);

ALTER TABLE ONLY promotions_version
    ADD CONSTRAINT promotions_version_campaign FOREIGN KEY (book_id, campaign_id) REFERENCES promotions_campaign(book_id, id);

ALTER TABLE ONLY sales_sale
    ADD CONSTRAINT sales_sale_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer(book_id, id);

ALTER TABLE ONLY vouchers_batch
    ADD CONSTRAINT vouchers_batch_template FOREIGN KEY (book_id, template_id) REFERENCES vouchers_template(book_id, id);

ALTER TABLE ONLY vouchers_template
    ADD CONSTRAINT vouchers_template_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer(book_id, id);
GRANT USAGE ON SCHEMA public TO kaquan_app;
GRANT USAGE ON SCHEMA public TO kaquan_ledger;
REVOKE ALL ON FUNCTION cards_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION cards_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) TO kaquan_app;
REVOKE ALL ON FUNCTION cards_record_v1(p_slot smallint, p_kind text, p_at timestamp with time zone, p_actor text, p_reason text, p_details jsonb, p_cards uuid[], p_ids uuid[], p_books integer[], p_statuses text[], p_versions integer[], p_leaves bytea[], p_salts bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION cards_record_v1(p_slot smallint, p_kind text, p_at timestamp with time zone, p_actor text, p_reason text, p_details jsonb, p_cards uuid[], p_ids uuid[], p_books integer[], p_statuses text[], p_versions integer[], p_leaves bytea[], p_salts bytea[]) TO kaquan_app;
REVOKE ALL ON FUNCTION evidence_add_key_v1(p_id uuid, p_slot smallint, p_public bytea, p_replaces bytea, p_at timestamp with time zone, p_leaf bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION evidence_add_key_v1(p_id uuid, p_slot smallint, p_public bytea, p_replaces bytea, p_at timestamp with time zone, p_leaf bytea) TO kaquan_app;
REVOKE ALL ON FUNCTION evidence_append_v1(p_size bigint, p_slots smallint[], p_ids uuid[], p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_root bytea, p_note text, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION evidence_append_v1(p_size bigint, p_slots smallint[], p_ids uuid[], p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_root bytea, p_note text, p_at timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION evidence_begin_log_v1(p_origin text, p_root bytea, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION evidence_begin_log_v1(p_origin text, p_root bytea, p_at timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION evidence_issue_v1(p_slot smallint, p_id uuid, p_book integer, p_kind text, p_of uuid, p_batch uuid, p_terms text, p_at timestamp with time zone, p_ids uuid[], p_last4 text[], p_leaf bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION evidence_issue_v1(p_slot smallint, p_id uuid, p_book integer, p_kind text, p_of uuid, p_batch uuid, p_terms text, p_at timestamp with time zone, p_ids uuid[], p_last4 text[], p_leaf bytea) TO kaquan_app;
REVOKE ALL ON FUNCTION evidence_sm_append_v1(p_size bigint, p_new_size bigint, p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_origin text, p_root bytea, p_note text, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION evidence_sm_append_v1(p_size bigint, p_new_size bigint, p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_origin text, p_root bytea, p_note text, p_at timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_claim_keys_v1(p_slot smallint, p_keys uuid[], p_requests bytea[], p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_claim_keys_v1(p_slot smallint, p_keys uuid[], p_requests bytea[], p_at timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_extend_lot_v1(p_slot smallint, p_account bigint, p_lot integer, p_before timestamp with time zone, p_after timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_extend_lot_v1(p_slot smallint, p_account bigint, p_lot integer, p_before timestamp with time zone, p_after timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_forget_answers_v1(p_slot smallint, p_before timestamp with time zone, p_after uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_forget_answers_v1(p_slot smallint, p_before timestamp with time zone, p_after uuid, p_limit integer) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_keep_origins_v1(p_slot smallint, p_transaction uuid, p_accounts bigint[], p_lots integer[], p_origins uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_keep_origins_v1(p_slot smallint, p_transaction uuid, p_accounts bigint[], p_lots integer[], p_origins uuid[]) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_open_accounts_v1(p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[], p_floor_rules ledger_floor_rule[], p_lotted boolean[]) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_open_accounts_v1(p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[], p_floor_rules ledger_floor_rule[], p_lotted boolean[]) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[]) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_take_checkpoints_v1(p_slot smallint, p_at timestamp with time zone, p_after bigint, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_take_checkpoints_v1(p_slot smallint, p_at timestamp with time zone, p_after bigint, p_limit integer) TO kaquan_app;
REVOKE ALL ON FUNCTION ledger_touch_accounts_v1(p_slot smallint, p_owner uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION ledger_touch_accounts_v1(p_slot smallint, p_owner uuid) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_add_v1(p_ring bigint[], p_amount bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_add_v1(p_ring bigint[], p_amount bigint) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_count_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_count_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_status smallint[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_erase_openings_v1(p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_give_back_v1(p_slot smallint, p_uses payments_use_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_give_back_v1(p_slot smallint, p_uses payments_use_v1[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_give_up_v1(p_slot smallint, p_id uuid, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_give_up_v1(p_slot smallint, p_id uuid, p_at timestamp with time zone) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_load_cards_v1(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_load_cards_v1(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_load_cards_v2(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_load_cards_v2(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_load_cards_v3(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_load_cards_v3(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_post_batch_v1(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_post_batch_v2(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_post_batch_v2(p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_post_priced_v1(p_pricings payments_pricing_v1[], p_back payments_use_v1[], p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_post_priced_v1(p_pricings payments_pricing_v1[], p_back payments_use_v1[], p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_post_reserved_v1(p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_post_reserved_v1(p_reserved uuid[], p_slot smallint, p_recorded_at timestamp with time zone, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[], p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[], p_status smallint[], p_new payments_new_v1[], p_changes payments_change_v1[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_reserve_back_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_reserve_back_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_reserve_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_reserve_v1(p_slot smallint, p_paid_in smallint, p_at timestamp with time zone, p_ids uuid[], p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_return_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_before smallint[], p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_return_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_before smallint[], p_status smallint[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_return_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_before smallint[], p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_return_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_before smallint[], p_status smallint[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_roll_v1(p_ring bigint[], p_steps bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_roll_v1(p_ring bigint[], p_steps bigint) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) TO kaquan_app;
REVOKE ALL ON FUNCTION payments_use_limits_v1(p_slot smallint, p_uses payments_use_v1[], p_keys integer, p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_use_limits_v1(p_slot smallint, p_uses payments_use_v1[], p_keys integer, p_status smallint[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION payments_use_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_status smallint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_use_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_status smallint[]) TO kaquan_ledger;
REVOKE ALL ON FUNCTION policy_approve_v1(p_slot smallint, p_change uuid, p_book integer, p_owner uuid, p_version bigint, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text, p_rules jsonb, p_endings jsonb, p_leaf bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION policy_approve_v1(p_slot smallint, p_change uuid, p_book integer, p_owner uuid, p_version bigint, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text, p_rules jsonb, p_endings jsonb, p_leaf bytea) TO kaquan_app;
REVOKE ALL ON FUNCTION policy_reject_v1(p_change uuid, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION policy_reject_v1(p_change uuid, p_proposed_by uuid, p_decided_by uuid, p_at timestamp with time zone, p_reason text) TO kaquan_app;
REVOKE ALL ON FUNCTION vouchers_record_v2(p_slot smallint, p_at timestamp with time zone, p_actor text, p_reason text, p_kind text, p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[], p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[], p_salts bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION vouchers_record_v2(p_slot smallint, p_at timestamp with time zone, p_actor text, p_reason text, p_kind text, p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[], p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[], p_salts bytea[]) TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE audit_anchor TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE cards_acceptance TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE cards_acceptance_trade TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_adjustment TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_batch TO kaquan_app;
GRANT UPDATE(issued_count) ON TABLE cards_batch TO kaquan_app;
GRANT UPDATE(finished_at) ON TABLE cards_batch TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(status) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(status_reason) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(number_sealed) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(expires_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(activated_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(version) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(customer_id) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(registered_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(loss_reported_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(loss_due_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(lost_at) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(gift_id) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(replaces_id) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(replaced_by_id) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(terms_version) ON TABLE cards_card TO kaquan_app;
GRANT UPDATE(sale_id) ON TABLE cards_card TO kaquan_app;
GRANT SELECT ON TABLE cards_event TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_event TO kaquan_ledger;
GRANT UPDATE(reason) ON TABLE cards_event TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE cards_fee TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_gift TO kaquan_app;
GRANT UPDATE(status) ON TABLE cards_gift TO kaquan_app;
GRANT UPDATE(message_sealed) ON TABLE cards_gift TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE cards_gift TO kaquan_app;
GRANT UPDATE(claimed_by) ON TABLE cards_gift TO kaquan_app;
GRANT UPDATE(new_card_id) ON TABLE cards_gift TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE cards_number TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_pin TO kaquan_app;
GRANT UPDATE(hash) ON TABLE cards_pin TO kaquan_app;
GRANT UPDATE(attempts) ON TABLE cards_pin TO kaquan_app;
GRANT UPDATE(set_at) ON TABLE cards_pin TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_programme TO kaquan_app;
GRANT UPDATE(name) ON TABLE cards_programme TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_programme_end TO kaquan_app;
GRANT UPDATE(withdrawn_by) ON TABLE cards_programme_end TO kaquan_app;
GRANT UPDATE(withdrawal_reason) ON TABLE cards_programme_end TO kaquan_app;
GRANT UPDATE(withdrawn_at) ON TABLE cards_programme_end TO kaquan_app;
GRANT UPDATE(stop_told_at) ON TABLE cards_programme_end TO kaquan_app;
GRANT UPDATE(end_told_at) ON TABLE cards_programme_end TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_programme_terms TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_secret TO kaquan_app;
GRANT UPDATE(secret_sealed) ON TABLE cards_secret TO kaquan_app;
GRANT UPDATE(pin_sealed) ON TABLE cards_secret TO kaquan_app;
GRANT SELECT,INSERT ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(status) ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(amount_fen) ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(out_id) ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(in_id) ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(abandoned_for) ON TABLE cards_transfer TO kaquan_app;
GRANT UPDATE(finished_at) ON TABLE cards_transfer TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_closure TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_dormancy TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_dormancy_fee TO kaquan_app;
GRANT UPDATE(fee_id) ON TABLE closing_dormancy_fee TO kaquan_app;
GRANT UPDATE(failure) ON TABLE closing_dormancy_fee TO kaquan_app;
GRANT UPDATE(settled_at) ON TABLE closing_dormancy_fee TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_end_notice TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(id) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(end_id) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(payee_sealed) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(account_last4) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(key_id) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(operator_id) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(given_at) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(failure) ON TABLE closing_end_payee TO kaquan_app;
GRANT UPDATE(tried_at) ON TABLE closing_end_payee TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_end_publication TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_expired_lot TO kaquan_app;
GRANT UPDATE(returned_fen) ON TABLE closing_expired_lot TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_extension TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(payee_sealed) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(status) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(checked_by) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(payment_reference) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(failure) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(paid_transaction_id) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(changed_at) ON TABLE closing_payout TO kaquan_app;
GRANT UPDATE(version) ON TABLE closing_payout TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_release TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_reminder TO kaquan_app;
GRANT SELECT,INSERT ON TABLE closing_terms TO kaquan_app;
GRANT UPDATE(remind_days) ON TABLE closing_terms TO kaquan_app;
GRANT UPDATE(dormant_months) ON TABLE closing_terms TO kaquan_app;
GRANT UPDATE(refund_values) ON TABLE closing_terms TO kaquan_app;
GRANT UPDATE(changed_at) ON TABLE closing_terms TO kaquan_app;
GRANT SELECT,INSERT ON TABLE evidence_checkpoint TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_checkpoint TO kaquan_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE evidence_cosigned TO kaquan_app;
GRANT SELECT,INSERT ON TABLE evidence_entry TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_entry TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_horizon TO kaquan_app;
GRANT SELECT ON TABLE evidence_issue TO kaquan_app;
GRANT SELECT,INSERT ON TABLE evidence_issue TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE evidence_key TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_key TO kaquan_app;
GRANT SELECT,INSERT ON TABLE evidence_key_receipt TO kaquan_app;
GRANT SELECT,INSERT ON TABLE evidence_leaf TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_leaf TO kaquan_app;
GRANT UPDATE(salt) ON TABLE evidence_leaf TO kaquan_ledger;
GRANT UPDATE(commitment) ON TABLE evidence_leaf TO kaquan_ledger;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_log TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_log TO kaquan_app;
GRANT SELECT ON TABLE evidence_published TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_sm_log TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_sm_log TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_sm_tile TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_sm_tile TO kaquan_app;
GRANT SELECT ON TABLE evidence_start TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_tile TO kaquan_ledger;
GRANT SELECT ON TABLE evidence_tile TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE evidence_witness TO kaquan_app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE guesses_caller TO kaquan_app;
GRANT SELECT,INSERT ON TABLE imports_file TO kaquan_app;
GRANT UPDATE(status) ON TABLE imports_file TO kaquan_app;
GRANT UPDATE(finished_at) ON TABLE imports_file TO kaquan_app;
GRANT SELECT,INSERT ON TABLE imports_line TO kaquan_app;
GRANT UPDATE(number_sealed) ON TABLE imports_line TO kaquan_app;
GRANT UPDATE(status) ON TABLE imports_line TO kaquan_app;
GRANT UPDATE(transaction_id) ON TABLE imports_line TO kaquan_app;
GRANT UPDATE(reversal_id) ON TABLE imports_line TO kaquan_app;
GRANT USAGE ON SEQUENCE ledger_account_id TO kaquan_ledger;
GRANT SELECT,INSERT,UPDATE ON TABLE ledger_account TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_account TO kaquan_app;
GRANT SELECT ON TABLE ledger_balance TO kaquan_app;
GRANT SELECT,INSERT ON TABLE ledger_checkpoint TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_checkpoint TO kaquan_app;
GRANT SELECT,INSERT ON TABLE ledger_detail TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_detail TO kaquan_app;
GRANT SELECT,INSERT ON TABLE ledger_entry TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_entry TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE ledger_forgotten TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_forgotten TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE ledger_idempotency TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_idempotency TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE ledger_key TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_key TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE ledger_lot TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_lot TO kaquan_app;
GRANT SELECT ON TABLE ledger_slot TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_slot TO kaquan_app;
GRANT SELECT,INSERT ON TABLE ledger_transaction TO kaquan_ledger;
GRANT SELECT ON TABLE ledger_transaction TO kaquan_app;
GRANT UPDATE(reference) ON TABLE ledger_transaction TO kaquan_ledger;
GRANT UPDATE(request_key) ON TABLE ledger_transaction TO kaquan_ledger;
GRANT UPDATE(request_hash) ON TABLE ledger_transaction TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE notices_attempt TO kaquan_app;
GRANT SELECT,INSERT ON TABLE notices_delivery TO kaquan_app;
GRANT UPDATE(status) ON TABLE notices_delivery TO kaquan_app;
GRANT UPDATE(attempt_count) ON TABLE notices_delivery TO kaquan_app;
GRANT UPDATE(round_count) ON TABLE notices_delivery TO kaquan_app;
GRANT UPDATE(next_at) ON TABLE notices_delivery TO kaquan_app;
GRANT UPDATE(delivered_at) ON TABLE notices_delivery TO kaquan_app;
GRANT SELECT,INSERT ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(address) ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(events) ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(status) ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(secret_sealed) ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(old_secret_sealed) ON TABLE notices_endpoint TO kaquan_app;
GRANT UPDATE(old_secret_until) ON TABLE notices_endpoint TO kaquan_app;
GRANT SELECT,INSERT ON TABLE notices_notice TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_api_key TO kaquan_app;
GRANT UPDATE(revoked_at) ON TABLE parties_api_key TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_approval TO kaquan_app;
GRANT UPDATE(status) ON TABLE parties_approval TO kaquan_app;
GRANT UPDATE(decided_by) ON TABLE parties_approval TO kaquan_app;
GRANT UPDATE(decided_at) ON TABLE parties_approval TO kaquan_app;
GRANT UPDATE(decided_why) ON TABLE parties_approval TO kaquan_app;
GRANT UPDATE(executed_at) ON TABLE parties_approval TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_audit TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_book TO kaquan_app;
GRANT SELECT ON TABLE parties_book TO kaquan_ledger;
GRANT UPDATE(version) ON TABLE parties_book TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_book TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(name) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(phone) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(document_kind) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(document) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(phone_lookup) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(phone_last4) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(document_lookup) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(document_last4) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(level) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(forgotten_at) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(retained_until) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(retained_by) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(openings_erased_at) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(birthday) ON TABLE parties_customer TO kaquan_app;
GRANT UPDATE(segments) ON TABLE parties_customer TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_funder TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_identity_attempt TO kaquan_app;
GRANT UPDATE(result) ON TABLE parties_identity_attempt TO kaquan_app;
GRANT UPDATE(code) ON TABLE parties_identity_attempt TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE parties_identity_attempt TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(mismatches) ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(pending) ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(checks) ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(day) ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(claimed_at) ON TABLE parties_identity_guard TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_identity_guard TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(name) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(issuer_class) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(legal_name) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(legal_code) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(group_code) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(brand) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(province) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(filing_number) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(filed_on) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(business_started_on) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(calendar) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(payment_licence) ON TABLE parties_issuer TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_issuer TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_level_change TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(name) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(trade) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(legal_name) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(legal_code) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(group_code) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(brand) ON TABLE parties_merchant TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_merchant TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_operator TO kaquan_app;
GRANT UPDATE(name) ON TABLE parties_operator TO kaquan_app;
GRANT UPDATE(roles) ON TABLE parties_operator TO kaquan_app;
GRANT UPDATE(store_ids) ON TABLE parties_operator TO kaquan_app;
GRANT UPDATE(status) ON TABLE parties_operator TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_operator TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(name) ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(trade) ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(latitude_udeg) ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(longitude_udeg) ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(version) ON TABLE parties_store TO kaquan_app;
GRANT UPDATE(district) ON TABLE parties_store TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_tenant TO kaquan_app;
GRANT SELECT,INSERT ON TABLE parties_terminal TO kaquan_app;
GRANT UPDATE(status) ON TABLE parties_terminal TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_exhausted TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_funder TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE payments_given_up TO kaquan_ledger;
GRANT SELECT ON TABLE payments_given_up TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_instalment TO kaquan_app;
GRANT UPDATE(given_id) ON TABLE payments_instalment TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE payments_instalment TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE payments_last_place TO kaquan_ledger;
GRANT SELECT ON TABLE payments_last_place TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_limit TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE payments_limit TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_payment TO kaquan_ledger;
GRANT SELECT ON TABLE payments_payment TO kaquan_app;
GRANT UPDATE(status) ON TABLE payments_payment TO kaquan_ledger;
GRANT UPDATE(captured_fen) ON TABLE payments_payment TO kaquan_ledger;
GRANT UPDATE(refunded_fen) ON TABLE payments_payment TO kaquan_ledger;
GRANT UPDATE(reference) ON TABLE payments_payment TO kaquan_ledger;
GRANT UPDATE(version) ON TABLE payments_payment TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE payments_place_rule TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE payments_place_rule TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_pricing TO kaquan_ledger;
GRANT SELECT ON TABLE payments_pricing TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE payments_reservation TO kaquan_ledger;
GRANT SELECT ON TABLE payments_reservation TO kaquan_app;
GRANT SELECT,INSERT,DELETE ON TABLE payments_seen TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_shadow TO kaquan_app;
GRANT SELECT,INSERT ON TABLE payments_shadow_budget TO kaquan_app;
GRANT UPDATE(used_fen) ON TABLE payments_shadow_budget TO kaquan_app;
GRANT UPDATE(used_count) ON TABLE payments_shadow_budget TO kaquan_app;
GRANT UPDATE(exhausted_at) ON TABLE payments_shadow_budget TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE payments_trail TO kaquan_ledger;
GRANT SELECT ON TABLE payments_trail TO kaquan_app;
GRANT SELECT,INSERT,UPDATE ON TABLE payments_usage TO kaquan_ledger;
GRANT SELECT ON TABLE payments_usage TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_benefit TO kaquan_app;
GRANT UPDATE(taken) ON TABLE points_benefit TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE points_benefit TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_deed TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_earning TO kaquan_app;
GRANT UPDATE(returned) ON TABLE points_earning TO kaquan_app;
GRANT UPDATE(returned_fen) ON TABLE points_earning TO kaquan_app;
GRANT UPDATE(taken) ON TABLE points_earning TO kaquan_app;
GRANT UPDATE(matured) ON TABLE points_earning TO kaquan_app;
GRANT UPDATE(granted_taken) ON TABLE points_earning TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_member TO kaquan_app;
GRANT UPDATE(tier) ON TABLE points_member TO kaquan_app;
GRANT UPDATE(tier_until) ON TABLE points_member TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_partner TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE points_partner TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_reminded TO kaquan_app;
GRANT SELECT,INSERT ON TABLE points_terms TO kaquan_app;
GRANT SELECT,INSERT ON TABLE policy_change TO kaquan_app;
GRANT SELECT ON TABLE policy_decision TO kaquan_app;
GRANT SELECT,INSERT ON TABLE policy_decision TO kaquan_ledger;
GRANT SELECT ON TABLE policy_rule_set TO kaquan_app;
GRANT SELECT,INSERT ON TABLE policy_rule_set TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE production_export TO kaquan_app;
GRANT SELECT,INSERT ON TABLE promotions_campaign TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE promotions_campaign TO kaquan_app;
GRANT SELECT,INSERT ON TABLE promotions_policy TO kaquan_app;
GRANT SELECT,INSERT ON TABLE promotions_shadow TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE promotions_shadow TO kaquan_app;
GRANT SELECT,INSERT ON TABLE promotions_version TO kaquan_app;
GRANT UPDATE(published_at) ON TABLE promotions_version TO kaquan_app;
GRANT UPDATE(published_by) ON TABLE promotions_version TO kaquan_app;
GRANT UPDATE(approval_id) ON TABLE promotions_version TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_buyer TO kaquan_app;
GRANT UPDATE(version) ON TABLE sales_buyer TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(status) ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(tries) ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(failure) ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(load_id) ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(refund_id) ON TABLE sales_item TO kaquan_app;
GRANT UPDATE(delivered_at) ON TABLE sales_item TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_list TO kaquan_app;
GRANT UPDATE(status) ON TABLE sales_list TO kaquan_app;
GRANT UPDATE(applied_at) ON TABLE sales_list TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE sales_list TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_list_entry TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_payment TO kaquan_app;
GRANT UPDATE(accounts_sealed) ON TABLE sales_payment TO kaquan_app;
GRANT SELECT,INSERT ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(status) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(paid_fen) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(purchaser_sealed) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(erased_at) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(paid_at) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(delivered_at) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(end_reason) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(end_key_hash) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(version) ON TABLE sales_sale TO kaquan_app;
GRANT UPDATE(review) ON TABLE sales_sale TO kaquan_app;
GRANT SELECT ON TABLE schema_floor TO kaquan_app;
GRANT SELECT,INSERT ON TABLE vouchers_batch TO kaquan_app;
GRANT UPDATE(voucher_count) ON TABLE vouchers_batch TO kaquan_app;
GRANT UPDATE(issued_count) ON TABLE vouchers_batch TO kaquan_app;
GRANT UPDATE(finished_at) ON TABLE vouchers_batch TO kaquan_app;
GRANT SELECT,INSERT ON TABLE vouchers_claimed TO kaquan_app;
GRANT UPDATE(claimed) ON TABLE vouchers_claimed TO kaquan_app;
GRANT SELECT ON TABLE vouchers_event TO kaquan_app;
GRANT SELECT,INSERT ON TABLE vouchers_event TO kaquan_ledger;
GRANT SELECT,INSERT ON TABLE vouchers_template TO kaquan_app;
GRANT UPDATE(ended_at) ON TABLE vouchers_template TO kaquan_app;
GRANT SELECT,INSERT ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(status) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(holder_kind) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(holder_id) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(code_lookup) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(code_sealed) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(valid_until) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(locked_by) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(locked_until) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(redeemed_by) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(redeemed_fen) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(returned_fen) ON TABLE vouchers_voucher TO kaquan_app;
GRANT UPDATE(version) ON TABLE vouchers_voucher TO kaquan_app;
