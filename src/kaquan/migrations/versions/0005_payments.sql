-- Payments: purchases, authorizations, refunds and loads as clients see them, and the call that posts them.
-- New tables only: takes no lock that anybody waits for.

CREATE TYPE payments_kind AS ENUM ('purchase', 'authorization', 'refund', 'load');
CREATE TYPE payments_status AS ENUM ('open', 'completed', 'voided', 'expired');

CREATE TABLE payments_payment (
  slot         smallint    NOT NULL,
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  kind         payments_kind   NOT NULL,
  status       payments_status NOT NULL,
  card_id      uuid        NOT NULL,
  merchant_id  uuid,
  store_id     uuid,
  terminal_id  uuid,
  original_id  uuid,
  currency     text        NOT NULL COLLATE "C",
  amount_fen   bigint      NOT NULL,
  bonus_fen    bigint      NOT NULL DEFAULT 0,
  captured_fen bigint      NOT NULL DEFAULT 0,
  refunded_fen bigint      NOT NULL DEFAULT 0,
  reference    text        COLLATE "C",
  expires_at   timestamptz,
  occurred_at  timestamptz NOT NULL,
  created_at   timestamptz NOT NULL,
  version      integer     NOT NULL DEFAULT 0,
  CONSTRAINT payments_payment_pkey PRIMARY KEY (slot, id),
  CONSTRAINT payments_payment_amounts CHECK (
    amount_fen > 0 AND bonus_fen >= 0 AND amount_fen >= captured_fen AND captured_fen >= refunded_fen
    AND refunded_fen >= 0)
) WITH (fillfactor = 90);
COMMENT ON TABLE payments_payment IS 'One movement of value on a card that a client asked for; its id is that of its first transaction';
COMMENT ON COLUMN payments_payment.status IS
  'open: an authorization that can still be captured; completed: nothing is reserved any more; voided, expired: nothing was captured';

-- by reference and by kind they are found through ledger_transaction, which has the same ids
CREATE INDEX payments_payment_open ON payments_payment (slot, expires_at) WHERE status = 'open';

CREATE TYPE payments_new_v1 AS (
  item integer, id uuid, book_id integer, kind payments_kind, status payments_status, card_id uuid, merchant_id uuid, store_id uuid,
  terminal_id uuid, original_id uuid, currency text, amount_fen bigint, bonus_fen bigint, captured_fen bigint,
  reference text, expires_at timestamptz, occurred_at timestamptz);
CREATE TYPE payments_change_v1 AS (
  item integer, id uuid, version integer, status payments_status, captured_fen bigint, refunded_fen bigint);

-- Post a batch of payments: the rows that change are locked first (by id) and their versions checked, then the ledger
-- posts, then rows are written for what it applied. Statuses are those of ledger_post_batch_v1.
CREATE FUNCTION payments_post_batch_v1(
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[],
  p_status smallint[],
  p_new payments_new_v1[], p_changes payments_change_v1[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off SET jit = off AS $$
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

-- The facts of a batch in one call: the cards asked for, then those of the payments asked for, with their pockets and
-- the lots that hold something. n is the position in both lists together. One row per lot, or per pocket or card that
-- has none; pockets that never held anything only if p_every_pocket.
CREATE FUNCTION payments_load_cards_v1(p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean)
RETURNS TABLE (
  n integer, book_id integer, programme_id uuid, status text, expires_at timestamptz, book_version bigint,
  account_id bigint, kind text, account_version bigint, posted_fen bigint, reserved_fen bigint,
  lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
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

GRANT SELECT, INSERT ON payments_payment TO kaquan_ledger;
GRANT UPDATE (status, captured_fen, refunded_fen, version) ON payments_payment TO kaquan_ledger;
GRANT SELECT ON payments_payment TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION payments_post_batch_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION payments_post_batch_v1, payments_load_cards_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_post_batch_v1, payments_load_cards_v1 TO kaquan_app;
