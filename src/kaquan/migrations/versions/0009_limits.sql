-- Limits on what a card, a person, a terminal … may spend or load, and what was used of them. New tables; the posting call
-- of payments is replaced by one that counts too. A column is added to cards_card, without a default: takes its lock for a
-- moment.

ALTER TABLE cards_card ADD COLUMN customer_id uuid;
COMMENT ON COLUMN cards_card.customer_id IS 'Whose card it is; null: unregistered';

CREATE TABLE payments_limit (
  id            uuid        NOT NULL,
  book_id       integer     NOT NULL,
  programme_id  uuid        NOT NULL,
  name          text        NOT NULL,
  movement      text        NOT NULL COLLATE "C",
  scope         text        NOT NULL COLLATE "C",
  holder        text        NOT NULL COLLATE "C",
  metric        text        NOT NULL COLLATE "C",
  period        text        NOT NULL COLLATE "C",
  trailing_s    integer,
  maximum       bigint      NOT NULL,
  from_minute   smallint,
  to_minute     smallint,
  replaces_id   uuid,
  created_at    timestamptz NOT NULL,
  ended_at      timestamptz,
  CONSTRAINT payments_limit_pkey PRIMARY KEY (id),
  CONSTRAINT payments_limit_in_book UNIQUE (book_id, id),
  CONSTRAINT payments_limit_replaced_once UNIQUE (replaces_id),
  CONSTRAINT payments_limit_movement CHECK (movement IN ('spend', 'load')),
  CONSTRAINT payments_limit_scope
    CHECK (scope IN ('card', 'person', 'device', 'terminal', 'store', 'merchant', 'programme')),
  CONSTRAINT payments_limit_holder CHECK (holder IN ('any', 'registered', 'unregistered')),
  CONSTRAINT payments_limit_metric CHECK (metric IN ('amount', 'count')),
  CONSTRAINT payments_limit_period CHECK (period IN ('transaction', 'day', 'month', 'year', 'trailing')),
  CONSTRAINT payments_limit_trailing CHECK ((trailing_s IS NOT NULL) = (period = 'trailing') AND trailing_s > 0),
  CONSTRAINT payments_limit_hours CHECK (
    (from_minute IS NULL) = (to_minute IS NULL) AND from_minute BETWEEN 0 AND 1439 AND to_minute BETWEEN 0 AND 1439
    AND from_minute <> to_minute),
  CONSTRAINT payments_limit_maximum CHECK (maximum >= 0),
  CONSTRAINT payments_limit_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);
COMMENT ON TABLE payments_limit IS
  'What the cards of a programme may do; a limit is never changed, it ends and another one replaces it';
COMMENT ON COLUMN payments_limit.from_minute IS
  'With to_minute: the limit holds only from this minute of the day to that one (past midnight if that is less), in the issuer''s zone';
CREATE INDEX payments_limit_programme_name ON payments_limit (book_id, programme_id, id);

CREATE TABLE payments_place_rule (
  id             uuid        NOT NULL,
  book_id        integer     NOT NULL,
  programme_id   uuid        NOT NULL,
  name           text        NOT NULL,
  kind           text        NOT NULL COLLATE "C",
  holder         text        NOT NULL COLLATE "C",
  latitude_udeg  integer,
  longitude_udeg integer,
  radius_m       integer,
  max_speed_kmh  integer,
  grace_m        integer,
  from_minute    smallint,
  to_minute      smallint,
  created_at     timestamptz NOT NULL,
  ended_at       timestamptz,
  CONSTRAINT payments_place_rule_pkey PRIMARY KEY (id),
  CONSTRAINT payments_place_rule_in_book UNIQUE (book_id, id),
  CONSTRAINT payments_place_rule_kind CHECK (kind IN ('within', 'outside', 'travel')),
  CONSTRAINT payments_place_rule_holder CHECK (holder IN ('any', 'registered', 'unregistered')),
  CONSTRAINT payments_place_rule_circle CHECK (
    (kind = 'travel') = (latitude_udeg IS NULL) AND (kind = 'travel') = (longitude_udeg IS NULL)
    AND (kind = 'travel') = (radius_m IS NULL) AND latitude_udeg BETWEEN -90000000 AND 90000000
    AND longitude_udeg BETWEEN -180000000 AND 180000000 AND radius_m > 0),
  CONSTRAINT payments_place_rule_travel CHECK (
    (kind = 'travel') = (max_speed_kmh IS NOT NULL) AND (kind = 'travel') = (grace_m IS NOT NULL)
    AND max_speed_kmh > 0 AND grace_m >= 0),
  CONSTRAINT payments_place_rule_hours CHECK (
    (from_minute IS NULL) = (to_minute IS NULL) AND from_minute BETWEEN 0 AND 1439 AND to_minute BETWEEN 0 AND 1439
    AND from_minute <> to_minute),
  CONSTRAINT payments_place_rule_programme
    FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);
COMMENT ON TABLE payments_place_rule IS 'Where the cards of a programme may be spent, and how soon after being elsewhere';

-- Where a card was spent last, of programmes that have a travel rule.
CREATE TABLE payments_last_place (
  slot           smallint    NOT NULL,
  card_id        uuid        NOT NULL,
  store_id       uuid        NOT NULL,
  latitude_udeg  integer     NOT NULL,
  longitude_udeg integer     NOT NULL,
  at             timestamptz NOT NULL,
  CONSTRAINT payments_last_place_pkey PRIMARY KEY (slot, card_id)
) WITH (fillfactor = 70);

-- What was used of the calendar limits of one subject (a card, a person …): its day, month and year, each with what was
-- moved in it and how often. key says whose it is: the first half of a SHA-256, see payments/limits.py.
CREATE TABLE payments_usage (
  slot        smallint NOT NULL,
  key         uuid     NOT NULL,
  day         integer  NOT NULL DEFAULT 0,
  day_fen     bigint   NOT NULL DEFAULT 0,
  day_count   bigint   NOT NULL DEFAULT 0,
  month       integer  NOT NULL DEFAULT 0,
  month_fen   bigint   NOT NULL DEFAULT 0,
  month_count bigint   NOT NULL DEFAULT 0,
  year        integer  NOT NULL DEFAULT 0,
  year_fen    bigint   NOT NULL DEFAULT 0,
  year_count  bigint   NOT NULL DEFAULT 0,
  CONSTRAINT payments_usage_pkey PRIMARY KEY (slot, key)
) WITH (fillfactor = 60);
COMMENT ON COLUMN payments_usage.day IS 'As 20260131 in the issuer''s zone; month as 202601';

-- What was used of one trailing limit: sixteen steps, the last one under way, and the one before the first, so that never
-- less than the whole window is counted.
CREATE TABLE payments_trail (
  slot  smallint NOT NULL,
  key   uuid     NOT NULL,
  step  bigint   NOT NULL,
  fen   bigint[] NOT NULL,
  count bigint[] NOT NULL,
  CONSTRAINT payments_trail_pkey PRIMARY KEY (slot, key)
) WITH (fillfactor = 60);

-- One use of a subject's calendar limits: when it counts, and the most that there may be in each of them after it
-- (null: no such limit).
CREATE TYPE payments_use_v1 AS (
  item integer, key uuid, amount_fen bigint, day integer, month integer, year integer,
  day_max_fen bigint, day_max_count bigint, month_max_fen bigint, month_max_count bigint,
  year_max_fen bigint, year_max_count bigint);
CREATE TYPE payments_trail_use_v1 AS (
  item integer, key uuid, amount_fen bigint, step bigint, max_fen bigint, max_count bigint);

CREATE TYPE payments_last_v1 AS (
  item integer, card_id uuid, store_id uuid, latitude_udeg integer, longitude_udeg integer, at timestamptz);

-- Count the uses of the items that are not refused, or refuse an item that would go through a limit (status 4) or whose
-- subject another process counts for the first time at this moment (status 2). The whole batch is counted in one statement,
-- which locks its subjects in the order of their keys; only items whose subject has a limit that the batch as a whole goes
-- through are taken back and tried one by one.
CREATE FUNCTION payments_use_limits_v1(p_slot smallint, p_uses payments_use_v1[], p_keys integer, p_status smallint[])
RETURNS smallint[]
LANGUAGE plpgsql SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET enable_material = off SET join_collapse_limit = 1 SET cpu_tuple_cost = 1 SET random_page_cost = 0
SET seq_page_cost = 0 SET jit = off AS $$
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

-- Add the uses of the items that are not refused to those of their subjects that have a row, each with whether it is within
-- its limits now. What happened before the day (month, year) that a subject is in counts in that one.
CREATE FUNCTION payments_count_uses_v1(p_slot smallint, p_uses payments_use_v1[], p_status smallint[])
RETURNS TABLE (key uuid, fits boolean)
LANGUAGE plpgsql AS $$
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

-- Take back the uses of items that were counted and then refused. It is the same commit, so the rows are locked and in the
-- day, month and year that they were counted in.
CREATE FUNCTION payments_return_uses_v1(
  p_slot smallint, p_uses payments_use_v1[], p_before smallint[], p_status smallint[]
) RETURNS void
LANGUAGE sql SET search_path = public, pg_temp AS $$
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

-- Sixteen steps and one, brought forward by so many.
CREATE FUNCTION payments_roll_v1(p_ring bigint[], p_steps bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN p_steps <= 0 THEN p_ring
              WHEN p_steps > 16 THEN array_fill(0::bigint, ARRAY[17])
              ELSE p_ring[p_steps::integer + 1 : 17] || array_fill(0::bigint, ARRAY[p_steps::integer]) END
$$;

-- The same for trailing limits, use by use in the order of their keys.
CREATE FUNCTION payments_use_trails_v1(p_slot smallint, p_uses payments_trail_use_v1[], p_status smallint[])
RETURNS smallint[]
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

CREATE FUNCTION payments_add_v1(p_ring bigint[], p_amount bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT p_ring[1:16] || (p_ring[17] + p_amount) $$;

CREATE FUNCTION payments_return_trails_v1(
  p_slot smallint, p_uses payments_trail_use_v1[], p_before smallint[], p_status smallint[]
) RETURNS void
LANGUAGE sql SET search_path = public, pg_temp AS $$
  UPDATE payments_trail o
  SET fen = payments_add_v1(o.fen, -m.fen), count = payments_add_v1(o.count, -m.uses)
  FROM (
    SELECT u.key, sum(u.amount_fen)::bigint AS fen, count(*) AS uses FROM unnest(p_uses) AS u
    WHERE p_before[u.item] = 0 AND p_status[u.item] <> 0 GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key
$$;

-- As payments_post_batch_v1, with limits: they are counted first, in the order of their keys, before any account is locked,
-- and what an item used that the ledger then refuses is given back. p_use_keys is how many subjects p_uses names.
CREATE FUNCTION payments_post_batch_v2(
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[],
  p_status smallint[],
  p_new payments_new_v1[], p_changes payments_change_v1[],
  p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- As payments_load_cards_v1, with whose card it is and, if p_places, where it was spent last.
CREATE FUNCTION payments_load_cards_v2(
  p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean
) RETURNS TABLE (
  n integer, book_id integer, programme_id uuid, customer_id uuid, status text, expires_at timestamptz,
  book_version bigint, account_id bigint, kind text, account_version bigint, posted_fen bigint, reserved_fen bigint,
  lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamptz,
  last_store_id uuid, last_latitude_udeg integer, last_longitude_udeg integer, last_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET enable_material = off SET join_collapse_limit = 1 SET cpu_tuple_cost = 1 SET random_page_cost = 0
SET seq_page_cost = 0 SET jit = off AS $$
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
REVOKE EXECUTE ON FUNCTION payments_load_cards_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_load_cards_v2 TO kaquan_app;

GRANT SELECT, INSERT, UPDATE ON payments_usage, payments_trail, payments_last_place TO kaquan_ledger;
GRANT SELECT ON payments_usage, payments_trail, payments_last_place TO kaquan_app;
GRANT SELECT, INSERT, UPDATE (ended_at) ON payments_limit, payments_place_rule TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION payments_post_batch_v2 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION payments_post_batch_v2, payments_use_limits_v1, payments_count_uses_v1,
  payments_return_uses_v1, payments_use_trails_v1, payments_return_trails_v1, payments_roll_v1, payments_add_v1
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_post_batch_v2 TO kaquan_app;
GRANT EXECUTE ON FUNCTION payments_use_limits_v1, payments_count_uses_v1, payments_return_uses_v1,
  payments_use_trails_v1, payments_return_trails_v1, payments_roll_v1, payments_add_v1 TO kaquan_ledger;
