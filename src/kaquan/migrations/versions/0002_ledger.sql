-- The ledger: accounts, immutable transactions and entries, lots, idempotency. New tables only.
--
-- The same SQL runs on one PostgreSQL and on Citus: slot comes first in every key, one slot per call, no triggers,
-- no volatile functions in UPDATE, no foreign keys from entries to accounts (existence is checked in the batch).

CREATE TABLE ledger_slot (
  slot smallint NOT NULL,
  CONSTRAINT ledger_slot_pkey PRIMARY KEY (slot),
  CONSTRAINT ledger_slot_range CHECK (slot BETWEEN 0 AND 63)
);
COMMENT ON TABLE ledger_slot IS 'The slots of this installation, fixed when it is made: {0} on one node';

CREATE SEQUENCE ledger_account_id AS bigint;

CREATE TABLE ledger_account (
  slot            smallint NOT NULL,
  id              bigint   NOT NULL DEFAULT nextval('ledger_account_id'),
  book_id         integer  NOT NULL,
  owner_id        uuid     NOT NULL,
  kind            text     NOT NULL COLLATE "C",
  currency        text     NOT NULL COLLATE "C",
  floor_rule      text     NOT NULL COLLATE "C",
  lotted          boolean  NOT NULL,
  debits_posted   bigint   NOT NULL DEFAULT 0,
  credits_posted  bigint   NOT NULL DEFAULT 0,
  debits_pending  bigint   NOT NULL DEFAULT 0,
  credits_pending bigint   NOT NULL DEFAULT 0,
  version         bigint   NOT NULL DEFAULT 0,
  CONSTRAINT ledger_account_pkey PRIMARY KEY (slot, id),
  CONSTRAINT ledger_account_one_per_owner UNIQUE (slot, owner_id, kind, currency),
  CONSTRAINT ledger_account_currency CHECK (currency ~ '^[A-Z0-9]{3,8}$'),
  CONSTRAINT ledger_account_floor_rule CHECK (floor_rule IN ('none', 'credit', 'debit')),
  CONSTRAINT ledger_account_counters CHECK (
    debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0),
  -- The last line of defence: whatever a plan believed, the database does not go through a floor.
  CONSTRAINT ledger_account_floor CHECK (
    CASE floor_rule
      WHEN 'credit' THEN credits_posted - debits_posted - debits_pending >= 0
      WHEN 'debit'  THEN debits_posted - credits_posted - credits_pending >= 0
      ELSE true
    END)
) WITH (fillfactor = 60);
COMMENT ON COLUMN ledger_account.floor_rule IS
  'credit: debits, pending ones included, never exceed credits (a card pocket); debit: the reverse; none: no floor';
COMMENT ON COLUMN ledger_account.lotted IS 'Every leg that touches this account names the lot it moves';

CREATE TABLE ledger_lot (
  slot                  smallint    NOT NULL,
  account_id            bigint      NOT NULL,
  lot                   integer     NOT NULL,
  origin_transaction_id uuid        NOT NULL,
  paid_fen              bigint      NOT NULL,
  given_fen             bigint      NOT NULL,
  expires_at            timestamptz,
  remaining_fen         bigint      NOT NULL DEFAULT 0,
  reserved_fen          bigint      NOT NULL DEFAULT 0,
  CONSTRAINT ledger_lot_pkey PRIMARY KEY (slot, account_id, lot),
  CONSTRAINT ledger_lot_origin CHECK (paid_fen >= 0 AND given_fen >= 0 AND paid_fen + given_fen > 0),
  CONSTRAINT ledger_lot_floor CHECK (reserved_fen >= 0 AND remaining_fen >= reserved_fen)
) WITH (fillfactor = 60);
COMMENT ON TABLE ledger_lot IS 'Value in a pocket with one origin: what was paid and given in that load, and when it expires';

CREATE TABLE ledger_transaction (
  slot         smallint    NOT NULL,
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  kind         text        NOT NULL COLLATE "C",
  related_id   uuid,
  reference    text        COLLATE "C",
  effective_at timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL,
  request_key  text        COLLATE "C",
  request_hash bytea,
  CONSTRAINT ledger_transaction_pkey PRIMARY KEY (slot, id)
);
COMMENT ON COLUMN ledger_transaction.related_id IS
  'The transaction that this one continues (capture, void, expiry) or reverses (refund, reversal)';
COMMENT ON COLUMN ledger_transaction.effective_at IS 'When it happened at the till; recorded_at is when this ledger learnt of it';

CREATE INDEX ledger_transaction_related ON ledger_transaction (slot, related_id, id) WHERE related_id IS NOT NULL;
CREATE INDEX ledger_transaction_reference ON ledger_transaction (slot, book_id, reference, id)
  WHERE reference IS NOT NULL;

CREATE TABLE ledger_entry (
  slot                 smallint NOT NULL,
  transaction_id       uuid     NOT NULL,
  leg                  smallint NOT NULL,
  effect               text     NOT NULL COLLATE "C",
  debit_account        bigint   NOT NULL,
  debit_lot            integer,
  credit_account       bigint   NOT NULL,
  credit_lot           integer,
  amount_fen           bigint   NOT NULL,
  debit_balance_after  bigint,
  credit_balance_after bigint,
  CONSTRAINT ledger_entry_pkey PRIMARY KEY (slot, transaction_id, leg),
  CONSTRAINT ledger_entry_effect CHECK (effect IN ('post', 'reserve', 'capture', 'release')),
  CONSTRAINT ledger_entry_amount CHECK (amount_fen > 0),
  CONSTRAINT ledger_entry_two_sides CHECK (debit_account <> credit_account)
);
COMMENT ON COLUMN ledger_entry.effect IS
  'post: both posted counters grow; reserve: both pending counters grow; capture: pending becomes posted; release: pending shrinks';
COMMENT ON COLUMN ledger_entry.debit_balance_after IS 'Posted balance of the debited account after this leg, where it has a floor';

CREATE INDEX ledger_entry_debit ON ledger_entry (slot, debit_account, transaction_id);
CREATE INDEX ledger_entry_credit ON ledger_entry (slot, credit_account, transaction_id);

-- The posted and pending counters of accounts without a floor at a moment: balances as of a time start here.
CREATE TABLE ledger_checkpoint (
  slot            smallint    NOT NULL,
  account_id      bigint      NOT NULL,
  taken_at        timestamptz NOT NULL,
  debits_posted   bigint      NOT NULL,
  credits_posted  bigint      NOT NULL,
  debits_pending  bigint      NOT NULL,
  credits_pending bigint      NOT NULL,
  CONSTRAINT ledger_checkpoint_pkey PRIMARY KEY (slot, account_id, taken_at)
);

CREATE TABLE ledger_idempotency (
  slot           smallint    NOT NULL,
  key_hash       uuid        NOT NULL,
  request_hash   bytea       NOT NULL,
  transaction_id uuid,
  answer_status  smallint    NOT NULL,
  answer         bytea       NOT NULL,
  created_at     timestamptz NOT NULL,
  CONSTRAINT ledger_idempotency_pkey PRIMARY KEY (slot, key_hash)
);
COMMENT ON TABLE ledger_idempotency IS
  'The first answer to each idempotency key, byte for byte; key_hash is the first half of SHA-256 over book and key';

-- What a posting call receives. Types, so that the functions read as tables and not as forty arrays.
CREATE TYPE ledger_item_v1 AS (
  book_id integer, transaction_id uuid, kind text, related_id uuid, reference text, effective_at timestamptz,
  leaf_hash bytea, key_hash uuid, request_key text, request_hash bytea, answer_status smallint, answer bytea);
CREATE TYPE ledger_leg_v1 AS (
  item integer, leg smallint, effect text, debit_account bigint, debit_lot integer,
  credit_account bigint, credit_lot integer, amount_fen bigint);
CREATE TYPE ledger_guard_v1 AS (item integer, account_id bigint, version bigint);
CREATE TYPE ledger_new_lot_v1 AS (
  item integer, account_id bigint, lot integer, paid_fen bigint, given_fen bigint, expires_at timestamptz);

-- Open accounts, or find those that are open already. Returns one id per asked account, in the order asked.
CREATE FUNCTION ledger_open_accounts_v1(
  p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[],
  p_floor_rules text[], p_lotted boolean[]
) RETURNS TABLE (account_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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

-- Move the versions of an owner's accounts, so that every decision made before is stale: a block calls it.
CREATE FUNCTION ledger_touch_accounts_v1(p_slot smallint, p_owner uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM 1 FROM ledger_account
   WHERE slot = p_slot AND owner_id = p_owner AND floor_rule <> 'none'
   ORDER BY id FOR NO KEY UPDATE;
  UPDATE ledger_account SET version = version + 1
   WHERE slot = p_slot AND owner_id = p_owner AND floor_rule <> 'none';
END $$;

-- What a leg does to an account, one row per side and leg. room_fen is the change of what may still be taken from
-- an account whose floor is on that side: credit_room for card pockets and the like, debit_room for their mirror.
CREATE FUNCTION ledger_sides_v1(p_legs ledger_leg_v1[], p_status smallint[])
RETURNS TABLE (item integer, leg smallint, is_debit boolean, account_id bigint, lot integer,
               posted_fen bigint, pending_fen bigint)
LANGUAGE sql IMMUTABLE AS $$
  SELECT l.item, l.leg, s.is_debit,
         CASE WHEN s.is_debit THEN l.debit_account ELSE l.credit_account END,
         CASE WHEN s.is_debit THEN l.debit_lot ELSE l.credit_lot END,
         CASE WHEN l.effect IN ('post', 'capture') THEN l.amount_fen ELSE 0 END,
         CASE l.effect WHEN 'reserve' THEN l.amount_fen WHEN 'post' THEN 0 ELSE -l.amount_fen END
  FROM unnest(p_legs) AS l CROSS JOIN (VALUES (true), (false)) AS s (is_debit)
  WHERE p_status[l.item] = 0
$$;

-- Post a batch: each item is applied whole or refused alone. Returns one status per item:
--   0 applied (or, for an item without a transaction, its answer remembered)
--   1 its key has been answered before     2 stale: a guard or a lot no longer holds, plan again
--   3 through a floor                      4 an account that is not there, of another book, currency or lot rule
-- p_status carries refusals the caller has found already (0 where there is none); they are kept as they are.
--
-- Locks, in this order everywhere: accounts with a floor by id, then, at the very end, accounts without one by id,
-- so that a hot merchant is held only while its one folded update commits.
CREATE FUNCTION ledger_post_batch_v1(
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_legs ledger_leg_v1[],
  p_guards ledger_guard_v1[], p_lots ledger_new_lot_v1[], p_status smallint[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_status smallint[];
  v_touched bigint[];
  v_short bigint[];
  v_item integer;
BEGIN
  SELECT coalesce(array_agg(DISTINCT a), '{}') INTO v_touched
  FROM unnest(p_legs) AS l CROSS JOIN LATERAL (VALUES (l.debit_account), (l.credit_account)) AS v (a);

  PERFORM 1 FROM ledger_account
   WHERE slot = p_slot AND id = ANY (v_touched) AND floor_rule <> 'none'
   ORDER BY id FOR NO KEY UPDATE;

  -- A new statement, hence a new snapshot: what others committed while we waited for the locks is seen.
  WITH refused (item, status) AS (
    SELECT i.n::integer, 1
    FROM unnest(p_items) WITH ORDINALITY AS i (
      book_id, transaction_id, kind, related_id, reference, effective_at, leaf_hash, key_hash, request_key,
      request_hash, answer_status, answer, n)
    JOIN ledger_idempotency k ON k.slot = p_slot AND k.key_hash = i.key_hash
    UNION ALL
    SELECT g.item, 2
    FROM unnest(p_guards) AS g
    LEFT JOIN ledger_account a ON a.slot = p_slot AND a.id = g.account_id
    WHERE a.version IS DISTINCT FROM g.version
    UNION ALL
    SELECT l.item, 4
    FROM unnest(p_legs) AS l
    LEFT JOIN ledger_account d ON d.slot = p_slot AND d.id = l.debit_account
    LEFT JOIN ledger_account c ON c.slot = p_slot AND c.id = l.credit_account
    WHERE (d.currency = c.currency AND d.book_id = (p_items[l.item]).book_id AND c.book_id = d.book_id
           AND d.lotted = (l.debit_lot IS NOT NULL) AND c.lotted = (l.credit_lot IS NOT NULL)) IS NOT TRUE
  )
  SELECT array_agg(CASE WHEN s.given <> 0 THEN s.given ELSE coalesce(r.status, 0) END ORDER BY s.n) INTO v_status
  FROM unnest(p_status) WITH ORDINALITY AS s (given, n)
  LEFT JOIN (SELECT item, min(status)::smallint AS status FROM refused GROUP BY item) AS r ON r.item = s.n;

  -- Floors and lots as a set: when everything that is taken fits, the order does not matter.
  SELECT array_agg(a.id) INTO v_short
  FROM ledger_account a
  JOIN (
    SELECT s.account_id,
           sum(CASE WHEN s.is_debit THEN s.posted_fen + s.pending_fen ELSE 0 END) AS taken_debit,
           sum(CASE WHEN s.is_debit THEN 0 ELSE s.posted_fen + s.pending_fen END) AS taken_credit
    FROM ledger_sides_v1(p_legs, v_status) AS s
    WHERE s.posted_fen + s.pending_fen > 0
    GROUP BY s.account_id
  ) AS t ON a.slot = p_slot AND a.id = t.account_id
  WHERE (a.floor_rule = 'credit' AND a.credits_posted - a.debits_posted - a.debits_pending < t.taken_debit)
     OR (a.floor_rule = 'debit' AND a.debits_posted - a.credits_posted - a.credits_pending < t.taken_credit);
  IF v_short IS NOT NULL THEN
    v_status := ledger_fit_items_v1(p_slot, p_legs, v_status, v_short);
  END IF;

  SELECT array_agg(DISTINCT t.item) INTO v_short
  FROM (
    SELECT s.item, s.account_id, s.lot,
           sum(CASE WHEN s.is_debit THEN greatest(s.posted_fen + s.pending_fen, 0) ELSE 0 END)
             OVER (PARTITION BY s.account_id, s.lot ORDER BY s.item) AS taken
    FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.lot IS NOT NULL
  ) AS t
  LEFT JOIN ledger_lot o ON o.slot = p_slot AND o.account_id = t.account_id AND o.lot = t.lot
  LEFT JOIN unnest(p_lots) AS n ON n.account_id = t.account_id AND n.lot = t.lot AND n.item = t.item
  WHERE (o.remaining_fen - o.reserved_fen >= t.taken) IS NOT TRUE AND n.item IS NULL;
  IF v_short IS NOT NULL THEN
    FOREACH v_item IN ARRAY v_short LOOP v_status[v_item] := 2; END LOOP;
  END IF;

  -- The key is claimed before anything moves; in key order, so that two processes never wait for each other.
  WITH claimed AS (
    INSERT INTO ledger_idempotency
      (slot, key_hash, request_hash, transaction_id, answer_status, answer, created_at)
    SELECT p_slot, i.key_hash, i.request_hash, i.transaction_id, i.answer_status, i.answer, p_recorded_at
    FROM unnest(p_items) WITH ORDINALITY AS i (
      book_id, transaction_id, kind, related_id, reference, effective_at, leaf_hash, key_hash, request_key,
      request_hash, answer_status, answer, n)
    WHERE v_status[i.n] = 0 AND i.key_hash IS NOT NULL
    ORDER BY i.key_hash
    ON CONFLICT (slot, key_hash) DO NOTHING
    RETURNING key_hash
  )
  SELECT array_agg(i.n) INTO v_short
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, reference, effective_at, leaf_hash, key_hash, request_key,
    request_hash, answer_status, answer, n)
  WHERE v_status[i.n] = 0 AND i.key_hash IS NOT NULL AND i.key_hash NOT IN (SELECT key_hash FROM claimed);
  IF v_short IS NOT NULL THEN
    FOREACH v_item IN ARRAY v_short LOOP v_status[v_item] := 1; END LOOP;
  END IF;

  INSERT INTO ledger_transaction
    (slot, id, book_id, kind, related_id, reference, effective_at, recorded_at, request_key, request_hash)
  SELECT p_slot, i.transaction_id, i.book_id, i.kind, i.related_id, i.reference, i.effective_at, p_recorded_at,
         i.request_key, i.request_hash
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, reference, effective_at, leaf_hash, key_hash, request_key,
    request_hash, answer_status, answer, n)
  WHERE v_status[i.n] = 0 AND i.transaction_id IS NOT NULL;

  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash)
  SELECT p_slot, i.transaction_id, i.leaf_hash
  FROM unnest(p_items) WITH ORDINALITY AS i (
    book_id, transaction_id, kind, related_id, reference, effective_at, leaf_hash, key_hash, request_key,
    request_hash, answer_status, answer, n)
  WHERE v_status[i.n] = 0 AND i.transaction_id IS NOT NULL;

  WITH after AS (
    SELECT s.item, s.leg, s.is_debit,
           CASE a.floor_rule WHEN 'credit' THEN a.credits_posted - a.debits_posted
                             ELSE a.debits_posted - a.credits_posted END
           + sum(CASE WHEN (a.floor_rule = 'credit') = s.is_debit THEN -s.posted_fen ELSE s.posted_fen END)
               OVER (PARTITION BY s.account_id ORDER BY s.item, s.leg) AS balance
    FROM ledger_sides_v1(p_legs, v_status) AS s
    JOIN ledger_account a ON a.slot = p_slot AND a.id = s.account_id AND a.floor_rule <> 'none'
  )
  INSERT INTO ledger_entry
    (slot, transaction_id, leg, effect, debit_account, debit_lot, credit_account, credit_lot, amount_fen,
     debit_balance_after, credit_balance_after)
  SELECT p_slot, (p_items[l.item]).transaction_id, l.leg, l.effect, l.debit_account, l.debit_lot,
         l.credit_account, l.credit_lot, l.amount_fen, max(b.balance) FILTER (WHERE b.is_debit),
         max(b.balance) FILTER (WHERE NOT b.is_debit)
  FROM unnest(p_legs) AS l
  LEFT JOIN after b ON b.item = l.item AND b.leg = l.leg
  WHERE v_status[l.item] = 0
  GROUP BY l.item, l.leg, l.effect, l.debit_account, l.debit_lot, l.credit_account, l.credit_lot, l.amount_fen;

  INSERT INTO ledger_lot (slot, account_id, lot, origin_transaction_id, paid_fen, given_fen, expires_at)
  SELECT p_slot, n.account_id, n.lot, (p_items[n.item]).transaction_id, n.paid_fen, n.given_fen, n.expires_at
  FROM unnest(p_lots) AS n WHERE v_status[n.item] = 0;

  UPDATE ledger_lot o
  SET remaining_fen = o.remaining_fen + m.posted, reserved_fen = o.reserved_fen + m.pending
  FROM (
    SELECT s.account_id, s.lot, sum(CASE WHEN s.is_debit THEN -s.posted_fen ELSE s.posted_fen END) AS posted,
           sum(CASE WHEN s.is_debit THEN s.pending_fen ELSE 0 END) AS pending
    FROM ledger_sides_v1(p_legs, v_status) AS s WHERE s.lot IS NOT NULL GROUP BY s.account_id, s.lot
  ) AS m
  WHERE o.slot = p_slot AND o.account_id = m.account_id AND o.lot = m.lot;

  PERFORM 1 FROM ledger_account
   WHERE slot = p_slot AND id = ANY (v_touched) AND floor_rule = 'none'
   ORDER BY id FOR NO KEY UPDATE;

  UPDATE ledger_account a
  SET debits_posted = a.debits_posted + m.debits_posted, credits_posted = a.credits_posted + m.credits_posted,
      debits_pending = a.debits_pending + m.debits_pending, credits_pending = a.credits_pending + m.credits_pending,
      version = a.version + 1
  FROM (
    SELECT s.account_id,
           sum(CASE WHEN s.is_debit THEN s.posted_fen ELSE 0 END) AS debits_posted,
           sum(CASE WHEN s.is_debit THEN 0 ELSE s.posted_fen END) AS credits_posted,
           sum(CASE WHEN s.is_debit THEN s.pending_fen ELSE 0 END) AS debits_pending,
           sum(CASE WHEN s.is_debit THEN 0 ELSE s.pending_fen END) AS credits_pending
    FROM ledger_sides_v1(p_legs, v_status) AS s GROUP BY s.account_id
  ) AS m
  WHERE a.slot = p_slot AND a.id = m.account_id;

  RETURN v_status;
END $$;

-- The set did not fit: take the items that touch a short account in their order, one by one, and refuse (status 3)
-- each that would go through a floor. The accounts are locked already.
CREATE FUNCTION ledger_fit_items_v1(
  p_slot smallint, p_legs ledger_leg_v1[], p_status smallint[], p_short bigint[]
) RETURNS smallint[]
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
  v_status smallint[] := p_status;
  v_room bigint[];
  v_item record;
BEGIN
  SELECT array_agg(CASE a.floor_rule WHEN 'credit' THEN a.credits_posted - a.debits_posted - a.debits_pending
                                     ELSE a.debits_posted - a.credits_posted - a.credits_pending END ORDER BY o.n)
  INTO v_room
  FROM unnest(p_short) WITH ORDINALITY AS o (id, n) JOIN ledger_account a ON a.slot = p_slot AND a.id = o.id;

  FOR v_item IN
    SELECT s.item, array_agg(s.at) AS ats, array_agg(s.change) AS changes,
           bool_or(s.taken > 0) AS takes
    FROM (
      SELECT s.item, array_position(p_short, s.account_id) AS at,
             -- a side that takes from the room shrinks it by what it posts and reserves; the other side adds
             -- only what it posts
             sum(CASE WHEN (a.floor_rule = 'credit') = s.is_debit THEN -(s.posted_fen + s.pending_fen)
                      ELSE s.posted_fen END) AS change,
             sum(CASE WHEN (a.floor_rule = 'credit') = s.is_debit THEN s.posted_fen + s.pending_fen ELSE 0 END) AS taken
      FROM ledger_sides_v1(p_legs, p_status) AS s
      JOIN ledger_account a ON a.slot = p_slot AND a.id = s.account_id
      WHERE s.account_id = ANY (p_short)
      GROUP BY s.item, s.account_id
    ) AS s GROUP BY s.item ORDER BY s.item
  LOOP
    FOR i IN 1 .. cardinality(v_item.ats) LOOP
      IF v_item.changes[i] < 0 AND v_room[v_item.ats[i]] + v_item.changes[i] < 0 THEN
        v_status[v_item.item] := 3;
      END IF;
    END LOOP;
    IF v_status[v_item.item] = 0 THEN
      FOR i IN 1 .. cardinality(v_item.ats) LOOP
        v_room[v_item.ats[i]] := v_room[v_item.ats[i]] + v_item.changes[i];
      END LOOP;
    END IF;
  END LOOP;
  RETURN v_status;
END $$;

-- Readable by people and reports: what an account had at any time is these rows plus a checkpoint.
CREATE VIEW ledger_balance AS
SELECT slot, id AS account_id, book_id, owner_id, kind, currency,
       CASE floor_rule WHEN 'debit' THEN debits_posted - credits_posted ELSE credits_posted - debits_posted END
         AS posted_fen,
       CASE floor_rule WHEN 'debit' THEN debits_posted - credits_posted - credits_pending
                       ELSE credits_posted - debits_posted - debits_pending END AS available_fen
FROM ledger_account;

-- Rights, not triggers: nobody who serves requests can alter or remove history.
GRANT SELECT, INSERT ON ledger_transaction, ledger_entry, ledger_idempotency, ledger_checkpoint TO kaquan_ledger;
GRANT SELECT, INSERT, UPDATE ON ledger_account, ledger_lot TO kaquan_ledger;
GRANT SELECT ON ledger_slot TO kaquan_ledger;
GRANT USAGE ON SEQUENCE ledger_account_id TO kaquan_ledger;
GRANT SELECT ON ledger_account, ledger_lot, ledger_transaction, ledger_entry, ledger_idempotency,
  ledger_checkpoint, ledger_slot, ledger_balance TO kaquan_app;

GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION ledger_open_accounts_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_touch_accounts_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_post_batch_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION ledger_open_accounts_v1, ledger_touch_accounts_v1, ledger_post_batch_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_open_accounts_v1, ledger_touch_accounts_v1, ledger_post_batch_v1 TO kaquan_app;
