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

-- Enumerations are types and not CHECKs: PostgreSQL reads every CHECK of a table anew in each statement that writes it,
-- which a hot table pays for (measured: a tenth of a posting call).
CREATE TYPE ledger_floor_rule AS ENUM ('none', 'credit', 'debit');
CREATE TYPE ledger_effect AS ENUM ('post', 'reserve', 'capture', 'release');

CREATE SEQUENCE ledger_account_id AS bigint;

CREATE TABLE ledger_account (
  slot            smallint NOT NULL,
  id              bigint   NOT NULL DEFAULT nextval('ledger_account_id'),
  book_id         integer  NOT NULL,
  owner_id        uuid     NOT NULL,
  kind            text     NOT NULL COLLATE "C",
  currency        text     NOT NULL COLLATE "C",
  floor_rule      ledger_floor_rule NOT NULL,
  lotted          boolean  NOT NULL,
  debits_posted   bigint   NOT NULL DEFAULT 0,
  credits_posted  bigint   NOT NULL DEFAULT 0,
  debits_pending  bigint   NOT NULL DEFAULT 0,
  credits_pending bigint   NOT NULL DEFAULT 0,
  version         bigint   NOT NULL DEFAULT 0,
  CONSTRAINT ledger_account_pkey PRIMARY KEY (slot, id),
  CONSTRAINT ledger_account_one_per_owner UNIQUE (slot, owner_id, kind, currency),
  -- The last line of defence: whatever a plan believed, the database does not go through a floor.
  CONSTRAINT ledger_account_floor CHECK (
    least(debits_posted, credits_posted, debits_pending, credits_pending) >= 0
    AND CASE floor_rule WHEN 'credit' THEN credits_posted - debits_posted >= debits_pending
                        WHEN 'debit' THEN debits_posted - credits_posted >= credits_pending
                        ELSE true END)
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
  CONSTRAINT ledger_lot_floor CHECK (reserved_fen >= 0 AND remaining_fen >= reserved_fen)
) WITH (fillfactor = 60);
COMMENT ON TABLE ledger_lot IS 'Value in a pocket with one origin: what was paid and given in that load, and when it expires';

CREATE TABLE ledger_transaction (
  slot         smallint    NOT NULL,
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  kind         text        NOT NULL COLLATE "C",
  related_id   uuid,
  place_id     uuid,
  reference    text        COLLATE "C",
  effective_at timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL,
  request_key  text        COLLATE "C",
  request_hash bytea,
  CONSTRAINT ledger_transaction_pkey PRIMARY KEY (slot, id)
);
COMMENT ON COLUMN ledger_transaction.related_id IS
  'The transaction that this one continues (capture, void, expiry) or reverses (refund, reversal)';
COMMENT ON COLUMN ledger_transaction.place_id IS 'Where it happened: the terminal';
COMMENT ON COLUMN ledger_transaction.effective_at IS 'When it happened at the till; recorded_at is when this ledger learnt of it';

CREATE INDEX ledger_transaction_related ON ledger_transaction (slot, related_id, id) WHERE related_id IS NOT NULL;
CREATE INDEX ledger_transaction_reference ON ledger_transaction (slot, book_id, reference, id)
  WHERE reference IS NOT NULL;

CREATE TABLE ledger_entry (
  slot                 smallint NOT NULL,
  transaction_id       uuid     NOT NULL,
  leg                  smallint NOT NULL,
  effect               ledger_effect NOT NULL,
  debit_account        bigint   NOT NULL,
  debit_lot            integer,
  credit_account       bigint   NOT NULL,
  credit_lot           integer,
  amount_fen           bigint   NOT NULL,
  debit_balance_after  bigint,
  credit_balance_after bigint,
  CONSTRAINT ledger_entry_pkey PRIMARY KEY (slot, transaction_id, leg),
  CONSTRAINT ledger_entry_amount CHECK (amount_fen > 0 AND debit_account <> credit_account)
);
COMMENT ON COLUMN ledger_entry.effect IS
  'post: both posted counters grow; reserve: both pending counters grow; capture: pending becomes posted; release: pending shrinks';
COMMENT ON COLUMN ledger_entry.debit_balance_after IS
  'Credits less debits posted on the debited account after this leg, where the posting was guarded by its version (every card pocket)';

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
  book_id integer, transaction_id uuid, kind text, related_id uuid, place_id uuid, reference text,
  effective_at timestamptz, leaf_hash bytea, salt bytea, key_hash uuid, request_key text, request_hash bytea,
  answer_status smallint);
-- balance changes are those of the whole batch up to and including this leg
CREATE TYPE ledger_leg_v1 AS (
  item integer, leg smallint, effect ledger_effect, debit_account bigint, debit_lot integer,
  credit_account bigint, credit_lot integer, amount_fen bigint, debit_change bigint, credit_change bigint);
-- what one item does to one account, all legs together
CREATE TYPE ledger_move_v1 AS (
  item integer, account_id bigint, debits_posted bigint, credits_posted bigint,
  debits_pending bigint, credits_pending bigint);
CREATE TYPE ledger_guard_v1 AS (item integer, account_id bigint, version bigint);
CREATE TYPE ledger_lot_move_v1 AS (
  item integer, account_id bigint, lot integer, remaining_fen bigint, reserved_fen bigint);
CREATE TYPE ledger_new_lot_v1 AS (
  item integer, account_id bigint, lot integer, paid_fen bigint, given_fen bigint, expires_at timestamptz);

-- Open accounts, or find those that are open already. Returns one id per asked account, in the order asked.
CREATE FUNCTION ledger_open_accounts_v1(
  p_slot smallint, p_books integer[], p_owners uuid[], p_kinds text[], p_currencies text[],
  p_floor_rules ledger_floor_rule[], p_lotted boolean[]
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

-- Post a batch: each item is applied whole or refused alone. Returns one status per item:
--   0 applied (or, for an item without a transaction, its answer remembered)
--   1 its key has been answered before     2 stale: a guard no longer holds, plan again     3 through a floor
-- p_status carries refusals that the caller has found already (0 where there is none); they are kept.
--
-- Locks, in this order everywhere: accounts with a floor by id, then, in the last statement, accounts without one by
-- id, so that a hot merchant is held only while its one folded update commits.
--
-- It decides on arrays and then writes with few single-table statements: on 2 cores their fixed cost, not the rows, is
-- what a batch pays for. Plans are pinned (see core.md: an empty table's plan is several times slower).
CREATE FUNCTION ledger_post_batch_v1(
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_moves ledger_move_v1[], p_guards ledger_guard_v1[], p_lot_moves ledger_lot_move_v1[],
  p_new_lots ledger_new_lot_v1[], p_accounts bigint[], p_guarded bigint[], p_versions bigint[], p_status smallint[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_status smallint[] := p_status;
  v_locked bigint[];
  v_versions bigint[];
  v_balances bigint[];
  v_claimed uuid[];
  v_refused integer[];
  v_item integer;
  v_rows bigint;
BEGIN
  -- A locking read returns the newest version of each row, also of those it waited for.
  SELECT array_agg(a.id), array_agg(a.version), array_agg(a.balance) INTO v_locked, v_versions, v_balances
  FROM (
    SELECT id, version, credits_posted - debits_posted AS balance
    FROM ledger_account
    WHERE slot = p_slot AND id = ANY (p_accounts) AND floor_rule <> 'none'
    ORDER BY id FOR NO KEY UPDATE
  ) AS a;

  IF v_locked IS DISTINCT FROM nullif(p_guarded, '{}') OR v_versions IS DISTINCT FROM nullif(p_versions, '{}') THEN
    SELECT array_agg(DISTINCT g.item) INTO v_refused
    FROM unnest(p_guards) AS g
    WHERE v_versions[array_position(v_locked, g.account_id)] IS DISTINCT FROM g.version;
    FOREACH v_item IN ARRAY coalesce(v_refused, '{}') LOOP
      IF v_status[v_item] = 0 THEN v_status[v_item] := 2; END IF;
    END LOOP;
    -- Accounts with a floor that nobody guarded by a version, such as a budget: item by item, in their order.
    SELECT array_agg(id ORDER BY id) INTO v_locked
    FROM unnest(v_locked) AS id WHERE id <> ALL (p_guarded);
    IF v_locked IS NOT NULL THEN
      v_status := ledger_fit_items_v1(p_slot, p_moves, v_locked, v_status);
    END IF;
    v_locked := p_guarded;
    SELECT array_agg(a.credits_posted - a.debits_posted ORDER BY g.n) INTO v_balances
    FROM unnest(p_guarded) WITH ORDINALITY AS g (id, n)
    LEFT JOIN ledger_account a ON a.slot = p_slot AND a.id = g.id;
  END IF;

  -- The key is claimed before anything moves; in key order, so that two processes never wait for each other.
  WITH claimed AS (
    INSERT INTO ledger_idempotency
      (slot, key_hash, request_hash, transaction_id, answer_status, answer, created_at)
    SELECT p_slot, i.key_hash, i.request_hash, i.transaction_id, i.answer_status, p_answers[i.n], p_recorded_at
    FROM unnest(p_items) WITH ORDINALITY AS i (
      book_id, transaction_id, kind, related_id, place_id, reference, effective_at, leaf_hash, salt, key_hash,
      request_key, request_hash, answer_status, n)
    WHERE v_status[i.n] = 0 AND i.key_hash IS NOT NULL
    ORDER BY i.key_hash
    ON CONFLICT (slot, key_hash) DO NOTHING
    RETURNING key_hash
  )
  SELECT array_agg(key_hash) INTO v_claimed FROM claimed;
  IF coalesce(cardinality(v_claimed), 0) < cardinality(p_items) THEN
    FOR v_item IN 1 .. cardinality(p_items) LOOP
      IF v_status[v_item] = 0 AND (p_items[v_item]).key_hash IS NOT NULL
         AND array_position(v_claimed, (p_items[v_item]).key_hash) IS NULL THEN
        v_status[v_item] := 1;
      END IF;
    END LOOP;
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
         v_balances[array_position(v_locked, l.debit_account)] + l.debit_change,
         v_balances[array_position(v_locked, l.credit_account)] + l.credit_change
  FROM unnest(p_legs) AS l WHERE v_status[l.item] = 0;

  IF cardinality(p_new_lots) > 0 THEN
    INSERT INTO ledger_lot (slot, account_id, lot, origin_transaction_id, paid_fen, given_fen, expires_at)
    SELECT p_slot, n.account_id, n.lot, (p_items[n.item]).transaction_id, n.paid_fen, n.given_fen, n.expires_at
    FROM unnest(p_new_lots) AS n WHERE v_status[n.item] = 0;
  END IF;

  IF cardinality(p_lot_moves) > 0 THEN
    UPDATE ledger_lot o
    SET remaining_fen = o.remaining_fen + m.remaining_fen, reserved_fen = o.reserved_fen + m.reserved_fen
    FROM unnest(p_lot_moves) AS m
    WHERE o.slot = p_slot AND o.account_id = m.account_id AND o.lot = m.lot AND v_status[m.item] = 0;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    IF v_rows < cardinality(p_lot_moves)
       AND v_rows <> (SELECT count(*) FROM unnest(p_lot_moves) AS m WHERE v_status[m.item] = 0) THEN
      RAISE EXCEPTION 'ledger: a lot that is to move is not there' USING ERRCODE = 'KQ001';
    END IF;
  END IF;

  -- In the order of the subquery (a nested loop over it). The rows with a floor are locked already, so what this
  -- statement may wait for are the others, by id.
  UPDATE ledger_account a
  SET debits_posted = a.debits_posted + m.debits_posted, credits_posted = a.credits_posted + m.credits_posted,
      debits_pending = a.debits_pending + m.debits_pending, credits_pending = a.credits_pending + m.credits_pending,
      version = a.version + 1
  FROM (
    SELECT m.account_id, (p_items[m.item]).book_id AS book_id, sum(m.debits_posted) AS debits_posted,
           sum(m.credits_posted) AS credits_posted, sum(m.debits_pending) AS debits_pending,
           sum(m.credits_pending) AS credits_pending
    FROM unnest(p_moves) AS m WHERE v_status[m.item] = 0
    GROUP BY m.account_id, (p_items[m.item]).book_id
    ORDER BY m.account_id
  ) AS m
  WHERE a.slot = p_slot AND a.id = m.account_id AND a.book_id = m.book_id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows < cardinality(p_accounts)
     AND v_rows <> (SELECT count(DISTINCT m.account_id) FROM unnest(p_moves) AS m WHERE v_status[m.item] = 0) THEN
    RAISE EXCEPTION 'ledger: an account is not there, or is of another book' USING ERRCODE = 'KQ001';
  END IF;

  RETURN v_status;
END $$;

-- Refuse (status 3), in the order of the items, each that would take one of the accounts through its floor.
-- The accounts are locked already.
CREATE FUNCTION ledger_fit_items_v1(
  p_slot smallint, p_moves ledger_move_v1[], p_accounts bigint[], p_status smallint[]
) RETURNS smallint[]
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
  v_status smallint[] := p_status;
  v_credit boolean[];
  v_room bigint[];
  v_at integer[];
  v_change bigint[];
  v_item record;
BEGIN
  SELECT array_agg(a.floor_rule = 'credit' ORDER BY a.id),
         array_agg(CASE a.floor_rule WHEN 'credit' THEN a.credits_posted - a.debits_posted - a.debits_pending
                                     ELSE a.debits_posted - a.credits_posted - a.credits_pending END ORDER BY a.id)
  INTO v_credit, v_room
  FROM ledger_account a WHERE a.slot = p_slot AND a.id = ANY (p_accounts);

  -- When everything that is taken fits even without what is given, the order does not matter.
  IF NOT EXISTS (
    SELECT 1 FROM (
      SELECT array_position(p_accounts, m.account_id) AS at, m.*
      FROM unnest(p_moves) AS m WHERE m.account_id = ANY (p_accounts) AND v_status[m.item] = 0
    ) AS t
    GROUP BY t.at
    HAVING sum(least(0, CASE WHEN v_credit[t.at] THEN t.credits_posted - t.debits_posted - t.debits_pending
                             ELSE t.debits_posted - t.credits_posted - t.credits_pending END)) + v_room[t.at] < 0
  ) THEN
    RETURN v_status;
  END IF;

  FOR v_item IN
    SELECT t.item, array_agg(t.at) AS ats,
           array_agg(CASE WHEN v_credit[t.at] THEN t.credits_posted - t.debits_posted - t.debits_pending
                          ELSE t.debits_posted - t.credits_posted - t.credits_pending END) AS changes
    FROM (
      SELECT array_position(p_accounts, m.account_id) AS at, m.*
      FROM unnest(p_moves) AS m WHERE m.account_id = ANY (p_accounts) AND v_status[m.item] = 0
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
