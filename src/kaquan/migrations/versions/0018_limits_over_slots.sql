-- Limits that cards of several slots share: what a payment uses of them is reserved in the slot of the counter before the
-- payment is posted in the slot of its card, see ADR 0016. New tables and functions: takes no lock that anybody waits for.

COMMENT ON COLUMN cards_transfer.in_id IS
  'The transaction that gives the value, where the other card is in another slot; or brings it back, where it was closed';

-- What was counted here for a payment of another slot that may not be posted yet. Gone when the payment is posted, or when
-- it will never be and its uses are given back.
CREATE TABLE payments_reservation (
  slot       smallint                NOT NULL,
  id         uuid                    NOT NULL,
  paid_in    smallint                NOT NULL,
  uses       payments_use_v1[]       NOT NULL,
  trail_uses payments_trail_use_v1[] NOT NULL,
  created_at timestamptz             NOT NULL,
  CONSTRAINT payments_reservation_pkey PRIMARY KEY (slot, id)
);
COMMENT ON TABLE payments_reservation IS 'In the slot of the counters';
COMMENT ON COLUMN payments_reservation.id IS 'The transaction of the payment, if it is ever posted';
COMMENT ON COLUMN payments_reservation.paid_in IS 'The slot of the card';

-- Transactions that will never be posted, since their reservations were given back. Whoever posts one has its row for the
-- length of that transaction, so that one of both comes first.
CREATE TABLE payments_given_up (
  slot smallint    NOT NULL,
  id   uuid        NOT NULL,
  at   timestamptz NOT NULL,
  CONSTRAINT payments_given_up_pkey PRIMARY KEY (slot, id)
);
COMMENT ON TABLE payments_given_up IS 'In the slot of the card';

-- Count the uses of some payments in this slot and keep them with each payment that finds room: status 0. 4: a limit leaves
-- none; 2: another process counts for the first time for one of its subjects at this moment. Those use nothing.
CREATE FUNCTION payments_reserve_v1(
  p_slot smallint, p_paid_in smallint, p_at timestamptz, p_ids uuid[], p_uses payments_use_v1[], p_use_keys integer,
  p_trail_uses payments_trail_use_v1[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- End reservations: those of p_paid stay counted, those of p_unpaid are given back where they were counted. One that is not
-- there has been ended before. What a subject used in a day (month, year, step) that it has left behind is not given back:
-- a use may have been counted later than it happened, never earlier, so no counter ever shows less than was used.
CREATE FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
  PERFORM 1 FROM payments_usage WHERE slot = p_slot AND key = ANY (ARRAY (SELECT u.key FROM unnest(v_uses) AS u))
  ORDER BY key FOR NO KEY UPDATE;
  UPDATE payments_usage o
  SET day_fen = o.day_fen - m.day_fen, day_count = o.day_count - m.day_count,
      month_fen = o.month_fen - m.month_fen, month_count = o.month_count - m.month_count,
      year_fen = o.year_fen - m.year_fen, year_count = o.year_count - m.year_count
  FROM (
    SELECT u.key,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.day = k.day), 0)::bigint AS day_fen,
           count(*) FILTER (WHERE u.day = k.day) AS day_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.month = k.month), 0)::bigint AS month_fen,
           count(*) FILTER (WHERE u.month = k.month) AS month_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.year = k.year), 0)::bigint AS year_fen,
           count(*) FILTER (WHERE u.year = k.year) AS year_count
    FROM unnest(v_uses) AS u JOIN payments_usage k ON k.slot = p_slot AND k.key = u.key GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key;
  FOR v_use IN SELECT t.* FROM unnest(v_trails) AS t ORDER BY t.key LOOP
    UPDATE payments_trail o
    SET fen[(17 - (o.step - v_use.step))::integer]
          = o.fen[(17 - (o.step - v_use.step))::integer] - v_use.amount_fen,
        count[(17 - (o.step - v_use.step))::integer] = o.count[(17 - (o.step - v_use.step))::integer] - 1
    WHERE o.slot = p_slot AND o.key = v_use.key AND o.step - v_use.step BETWEEN 0 AND 16;
  END LOOP;
END $$;

-- Whether a transaction whose reservation is old will never be posted; from then on it cannot be. Waits for whoever posts
-- it at this moment.
CREATE FUNCTION payments_give_up_v1(p_slot smallint, p_id uuid, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO payments_given_up (slot, id, at) VALUES (p_slot, p_id, p_at) ON CONFLICT (slot, id) DO NOTHING;
  IF EXISTS (SELECT FROM ledger_transaction WHERE slot = p_slot AND id = p_id) THEN
    DELETE FROM payments_given_up WHERE slot = p_slot AND id = p_id;
    RETURN false;
  END IF;
  RETURN true;
END $$;

-- As payments_post_batch_v2, of transactions some of which have reservations. If one of these was given up the whole batch
-- is stale, and is planned again.
CREATE FUNCTION payments_post_reserved_v1(
  p_reserved uuid[],
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[],
  p_status smallint[],
  p_new payments_new_v1[], p_changes payments_change_v1[],
  p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

GRANT SELECT, INSERT, DELETE ON payments_reservation, payments_given_up TO kaquan_ledger;
GRANT SELECT ON payments_reservation, payments_given_up TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION payments_reserve_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION payments_settle_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION payments_give_up_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION payments_post_reserved_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION payments_reserve_v1, payments_settle_v1, payments_give_up_v1, payments_post_reserved_v1
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_reserve_v1, payments_settle_v1, payments_give_up_v1, payments_post_reserved_v1
  TO kaquan_app;
