-- Offers in payments: how a payment was priced, who funds what, instalments, and the call that posts priced payments (see
-- ADR 0032). New tables and functions. A column with a constant default is added to payments_reservation and a check of
-- payments_payment is replaced: takes their locks for as long as payments_payment is read once.

-- What rooms above keep about a transaction beside its entries, as the hash that is in its leaf.
CREATE TABLE ledger_detail (
  slot           smallint NOT NULL,
  transaction_id uuid     NOT NULL,
  hash           bytea    NOT NULL,
  CONSTRAINT ledger_detail_pkey PRIMARY KEY (slot, transaction_id)
);
COMMENT ON COLUMN ledger_detail.hash IS 'SHA-256';

-- How a payment was priced, and what a capture or refund took or gave back of that. Never changed.
CREATE TABLE payments_pricing (
  slot           smallint NOT NULL,
  transaction_id uuid     NOT NULL,
  original_id    uuid,
  kept           bytea    NOT NULL,
  CONSTRAINT payments_pricing_pkey PRIMARY KEY (slot, transaction_id)
);
COMMENT ON COLUMN payments_pricing.original_id IS 'The payment that a capture, void or refund is of; null: it is the payment';
COMMENT ON COLUMN payments_pricing.kept IS 'A JSON array; its layout is in payments/kept.py';
CREATE INDEX payments_pricing_original ON payments_pricing (slot, original_id, transaction_id) WHERE original_id IS NOT NULL;

-- Whose an account of the kinds discount_expense and bonus_expense is: an offer's campaign and the party that pays.
CREATE TABLE payments_funder (
  id          uuid    NOT NULL,
  book_id     integer NOT NULL,
  campaign_id uuid    NOT NULL,
  kind        text    NOT NULL COLLATE "C",
  party_id    uuid    NOT NULL,
  CONSTRAINT payments_funder_pkey PRIMARY KEY (id),
  CONSTRAINT payments_funder_kind CHECK (kind IN ('issuer', 'merchant', 'party'))
);
COMMENT ON COLUMN payments_funder.id IS 'The owner of the accounts: the first half of SHA-256 over campaign, kind and party';
CREATE INDEX payments_funder_campaign ON payments_funder (book_id, campaign_id, id);

-- Which budgets were found to be used up: each is told of once.
CREATE TABLE payments_exhausted (
  budget_id uuid        NOT NULL,
  period    integer     NOT NULL,
  book_id   integer     NOT NULL,
  at        timestamptz NOT NULL,
  CONSTRAINT payments_exhausted_pkey PRIMARY KEY (budget_id, period)
);
COMMENT ON COLUMN payments_exhausted.period IS 'The day, month or year that it is used up for, as 20260131, 202601 or 2026; 0: all time';

-- Bonuses that a load promised for later, or to another card: a row for each part, which a job gives on its day.
CREATE TABLE payments_instalment (
  slot        smallint    NOT NULL,
  id          uuid        NOT NULL,
  book_id     integer     NOT NULL,
  card_id     uuid        NOT NULL,
  payment_id  uuid        NOT NULL,
  campaign_id uuid        NOT NULL,
  due_at      timestamptz NOT NULL,
  amount_fen  bigint      NOT NULL,
  funders     uuid[]      NOT NULL,
  parts_fen   bigint[]    NOT NULL,
  given_id    uuid,
  ended_at    timestamptz,
  CONSTRAINT payments_instalment_pkey PRIMARY KEY (slot, id),
  CONSTRAINT payments_instalment_amount CHECK (amount_fen > 0 AND cardinality(funders) = cardinality(parts_fen)),
  CONSTRAINT payments_instalment_end CHECK (given_id IS NULL OR ended_at IS NOT NULL)
);
COMMENT ON COLUMN payments_instalment.slot IS 'That of the card which gets it';
COMMENT ON COLUMN payments_instalment.funders IS 'The owners of the accounts that it comes from, with their parts';
COMMENT ON COLUMN payments_instalment.given_id IS 'The transaction; null and ended: the card was closed before';
CREATE INDEX payments_instalment_due ON payments_instalment (slot, due_at, id) WHERE ended_at IS NULL;
CREATE INDEX payments_instalment_card ON payments_instalment (slot, card_id, id);

-- A purchase that vouchers pay for whole is a payment of nothing from the card.
ALTER TABLE payments_payment DROP CONSTRAINT payments_payment_amounts;
ALTER TABLE payments_payment ADD CONSTRAINT payments_payment_amounts CHECK (
  amount_fen >= 0 AND bonus_fen >= 0 AND amount_fen >= captured_fen AND captured_fen >= refunded_fen
  AND refunded_fen >= 0);

-- what moved nothing on its card is not found along the entries of the card
CREATE INDEX payments_payment_free ON payments_payment (slot, card_id, id) WHERE amount_fen = 0;

ALTER TABLE payments_reservation ADD COLUMN gives_back boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN payments_reservation.gives_back IS
  'The payment gives these uses back: they are counted, and are not any more once it is posted';

CREATE TYPE payments_pricing_v1 AS (item integer, original_id uuid, kept bytea, hash bytea);

-- Take uses off their counters. What a subject used in a day (month, year) that it has left behind is not taken off.
CREATE FUNCTION payments_give_back_v1(p_slot smallint, p_uses payments_use_v1[]) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
           count(*) FILTER (WHERE u.day = k.day) AS day_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.month = k.month), 0)::bigint AS month_fen,
           count(*) FILTER (WHERE u.month = k.month) AS month_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.year = k.year), 0)::bigint AS year_fen,
           count(*) FILTER (WHERE u.year = k.year) AS year_count
    FROM unnest(p_uses) AS u JOIN payments_usage k ON k.slot = p_slot AND k.key = u.key GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key;
END $$;

-- Say in this slot that payments of another will give these uses back when they are posted. As other reservations they end
-- by payments_settle_v1, where that payment is "unpaid" once it was posted.
CREATE FUNCTION payments_reserve_back_v1(
  p_slot smallint, p_paid_in smallint, p_at timestamptz, p_ids uuid[], p_uses payments_use_v1[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO payments_reservation (slot, id, paid_in, uses, trail_uses, created_at, gives_back)
  SELECT p_slot, p_ids[n], p_paid_in, ARRAY (SELECT u FROM unnest(p_uses) AS u WHERE u.item = n), '{}', p_at, true
  FROM generate_subscripts(p_ids, 1) AS n
$$;

-- As payments_post_reserved_v1 (payments_post_batch_v2 without reservations), of payments some of which have a pricing,
-- and some of which give uses of this slot back.
CREATE FUNCTION payments_post_priced_v1(
  p_pricings payments_pricing_v1[], p_back payments_use_v1[],
  p_reserved uuid[],
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[],
  p_status smallint[],
  p_new payments_new_v1[], p_changes payments_change_v1[],
  p_uses payments_use_v1[], p_use_keys integer, p_trail_uses payments_trail_use_v1[], p_last payments_last_v1[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

GRANT SELECT, INSERT ON ledger_detail, payments_pricing TO kaquan_ledger;
GRANT SELECT ON ledger_detail, payments_pricing TO kaquan_app;
GRANT SELECT, INSERT ON payments_funder, payments_exhausted TO kaquan_app;
GRANT SELECT, INSERT, UPDATE (given_id, ended_at) ON payments_instalment TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION payments_reserve_back_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION payments_post_priced_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION payments_give_back_v1, payments_reserve_back_v1, payments_post_priced_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_give_back_v1 TO kaquan_ledger;
GRANT EXECUTE ON FUNCTION payments_reserve_back_v1, payments_post_priced_v1 TO kaquan_app;
