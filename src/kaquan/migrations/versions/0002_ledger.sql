-- The ledger: accounts, immutable transactions and entries, lots, idempotency. New tables only: takes no lock that
-- anybody waits for.
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
-- Lists of one kind. Purchases are so many that a list finds them by walking back along the primary key, and so hot that
-- an index would be felt (measured: 3 µs each).
CREATE INDEX ledger_transaction_kind ON ledger_transaction (slot, book_id, kind, id) WHERE kind <> 'purchase';

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

-- an account's number leads to its slot, so the slot need not be in these
CREATE INDEX ledger_entry_debit ON ledger_entry (debit_account, transaction_id);
CREATE INDEX ledger_entry_credit ON ledger_entry (credit_account, transaction_id);

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

-- Installations of several slots only: an answer lives with its card, so that it commits with the posting, and a key
-- that comes again with a card of another slot would not be found there. Its own slot (that of key_hash) remembers which
-- request it belongs to.
CREATE TABLE ledger_key (
  slot         smallint    NOT NULL,
  key_hash     uuid        NOT NULL,
  request_hash bytea       NOT NULL,
  created_at   timestamptz NOT NULL,
  CONSTRAINT ledger_key_pkey PRIMARY KEY (slot, key_hash)
);

-- Claim keys for requests. Returns those that belong to another request already.
CREATE FUNCTION ledger_claim_keys_v1(p_slot smallint, p_keys uuid[], p_requests bytea[], p_at timestamptz)
RETURNS TABLE (reused uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO ledger_key (slot, key_hash, request_hash, created_at)
  SELECT p_slot, k, r, p_at FROM unnest(p_keys, p_requests) AS asked (k, r) ORDER BY k
  ON CONFLICT (slot, key_hash) DO NOTHING;
  RETURN QUERY
  SELECT o.key_hash FROM unnest(p_keys, p_requests) AS asked (k, r)
  JOIN ledger_key o ON o.slot = p_slot AND o.key_hash = asked.k AND o.request_hash <> asked.r;
END $$;

-- What a posting call receives. Types, so that the functions read as tables and not as forty arrays.
CREATE TYPE ledger_item_v1 AS (
  book_id integer, transaction_id uuid, kind text, related_id uuid, place_id uuid, reference text,
  effective_at timestamptz, leaf_hash bytea, salt bytea, key_hash uuid, request_key text, request_hash bytea,
  answer_status smallint);
-- A version is that of the account when the posting was decided (null: it need not be the same now); later_fen is what
-- later legs of the transaction still post to that account, credit side positive.
-- Leg 0 is no entry but a guard: nothing moves from an account to itself, which must be at this version; the version
-- moves on.
CREATE TYPE ledger_leg_v1 AS (
  item integer, leg smallint, effect ledger_effect, amount_fen bigint,
  debit_account bigint, debit_version bigint, debit_lot integer, debit_later_fen bigint,
  credit_account bigint, credit_version bigint, credit_lot integer, credit_later_fen bigint);
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

-- What the legs of the items that are not refused do to accounts and lots: one row per side of a leg.
CREATE FUNCTION ledger_sides_v1(p_legs ledger_leg_v1[], p_status smallint[])
RETURNS TABLE (item integer, account_id bigint, version bigint, lot integer, debits_posted bigint,
               credits_posted bigint, debits_pending bigint, credits_pending bigint)
LANGUAGE sql IMMUTABLE AS $$
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

-- Post a batch: each item is applied whole or refused alone. Returns one status per item:
--   0 applied (or, for an item without a transaction, its answer remembered)
--   1 its key has been answered before     2 stale: a version has moved, plan again     3 through a floor
-- p_versioned, p_lots and p_others count the accounts with a version, the lots, and the other accounts (with the book
-- that moves them) of all legs.
-- p_status carries refusals that the caller has found already (0 where there is none); they are kept. p_limited are
-- accounts with a floor that legs touch without a version, such as a budget: they are checked here, in item order.
-- A floor that nobody checked is held by ledger_account_floor, which fails the call.
--
-- Locks, in this order everywhere: accounts with a version by id, limited ones by id, then, in the last statement, the
-- others by id, so that a hot merchant is held only while its one folded update commits.
--
-- Few single-table statements: on 2 cores their fixed cost, not the rows, is what a batch pays for. Plans are pinned
-- (see core.md: an empty table's plan is several times slower).
CREATE FUNCTION ledger_post_batch_v1(
  p_slot smallint, p_recorded_at timestamptz, p_items ledger_item_v1[], p_answers bytea[], p_legs ledger_leg_v1[],
  p_new_lots ledger_new_lot_v1[], p_versioned integer, p_lots integer, p_others integer, p_limited bigint[],
  p_status smallint[]
) RETURNS smallint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
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

-- Items were refused after their accounts had moved: move these back to where and what version they were.
CREATE FUNCTION ledger_move_back_v1(
  p_slot smallint, p_legs ledger_leg_v1[], p_before smallint[], p_status smallint[], p_moved bigint[]
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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

-- Refuse (status 3), in the order of the items, each that would take one of the accounts through its floor. The
-- accounts are locked. Items whose key has its answer already take nothing.
CREATE FUNCTION ledger_fit_items_v1(
  p_slot smallint, p_items ledger_item_v1[], p_legs ledger_leg_v1[], p_accounts bigint[], p_status smallint[]
) RETURNS smallint[]
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
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

-- Readable by people and reports: what an account had at any time is these rows plus a checkpoint.
CREATE VIEW ledger_balance AS
SELECT slot, id AS account_id, book_id, owner_id, kind, currency,
       CASE floor_rule WHEN 'debit' THEN debits_posted - credits_posted ELSE credits_posted - debits_posted END
         AS posted_fen,
       CASE floor_rule WHEN 'debit' THEN debits_posted - credits_posted - credits_pending
                       ELSE credits_posted - debits_posted - debits_pending END AS available_fen
FROM ledger_account;

-- Rights, not triggers: nobody who serves requests can alter or remove history.
GRANT SELECT, INSERT ON ledger_transaction, ledger_entry, ledger_idempotency, ledger_key, ledger_checkpoint
  TO kaquan_ledger;
GRANT SELECT, INSERT, UPDATE ON ledger_account, ledger_lot TO kaquan_ledger;
GRANT SELECT ON ledger_slot TO kaquan_ledger;
GRANT USAGE ON SEQUENCE ledger_account_id TO kaquan_ledger;
GRANT SELECT ON ledger_account, ledger_lot, ledger_transaction, ledger_entry, ledger_idempotency,
  ledger_key, ledger_checkpoint, ledger_slot, ledger_balance TO kaquan_app;

GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION ledger_open_accounts_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_touch_accounts_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_claim_keys_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_post_batch_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION ledger_open_accounts_v1, ledger_touch_accounts_v1, ledger_claim_keys_v1,
  ledger_post_batch_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_open_accounts_v1, ledger_touch_accounts_v1, ledger_claim_keys_v1,
  ledger_post_batch_v1 TO kaquan_app;
