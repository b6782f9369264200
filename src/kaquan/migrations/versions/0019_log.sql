-- The transparency log: leaves get an index, tiles and signed checkpoints (ADR 0025). New tables and functions, and a column
-- with an index on evidence_leaf, which writes that table anew and locks it meanwhile: one to two minutes for each hundred
-- million leaves, so stop the servers for it.

-- Which transaction of the database wrote a leaf. Leaves commit in another order than they are written; this tells exactly
-- which of them a snapshot sees, so that those that come late are found by what was still running, and not by waiting.
ALTER TABLE evidence_leaf ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN evidence_leaf.written_by IS 'The transaction of this database that wrote the leaf';
CREATE INDEX evidence_leaf_written_by ON evidence_leaf (slot, written_by);
COMMENT ON TABLE evidence_leaf IS
  'RFC 9162 leaf hash of the canonical bytes of each transaction, approved change of rules and key of the log';

CREATE TABLE evidence_log (
  id        smallint    NOT NULL,
  origin    text        NOT NULL COLLATE "C",
  size      bigint      NOT NULL,
  root      bytea       NOT NULL,
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL,
  CONSTRAINT evidence_log_pkey PRIMARY KEY (id),
  CONSTRAINT evidence_log_only_one CHECK (id = 0),
  CONSTRAINT evidence_log_root_is_sha256 CHECK (octet_length(root) = 32)
) WITH (fillfactor = 10);
COMMENT ON TABLE evidence_log IS 'The log of the installation as its last checkpoint has it; note is that checkpoint, signed';

CREATE TABLE evidence_key (
  id         uuid        NOT NULL,
  slot       smallint    NOT NULL,
  public_key bytea       NOT NULL,
  replaces   bytea,
  added_at   timestamptz NOT NULL,
  CONSTRAINT evidence_key_pkey PRIMARY KEY (id),
  CONSTRAINT evidence_key_once UNIQUE (public_key),
  CONSTRAINT evidence_key_is_ed25519 CHECK (octet_length(public_key) = 32)
);
COMMENT ON TABLE evidence_key IS 'Every key that signs or signed checkpoints; each has a leaf in the log, in this slot';

-- The order of the log: not by card, so log_index and no slot leads its key.
CREATE TABLE evidence_entry (
  log_index      bigint   NOT NULL,
  slot           smallint NOT NULL,
  transaction_id uuid     NOT NULL,
  CONSTRAINT evidence_entry_pkey PRIMARY KEY (log_index),
  CONSTRAINT evidence_entry_once UNIQUE (slot, transaction_id)
);
COMMENT ON TABLE evidence_entry IS 'Which leaf stands at each index of the log, from 0 without a gap';

CREATE TABLE evidence_tile (
  level  smallint NOT NULL,
  number bigint   NOT NULL,
  hashes bytea    NOT NULL,
  CONSTRAINT evidence_tile_pkey PRIMARY KEY (level, number),
  CONSTRAINT evidence_tile_place CHECK (level BETWEEN 0 AND 63 AND number >= 0),
  CONSTRAINT evidence_tile_width CHECK (mod(octet_length(hashes), 32) = 0 AND octet_length(hashes) BETWEEN 32 AND 8192)
);
COMMENT ON TABLE evidence_tile IS 'The tree in tiles of 256 hashes (C2SP tlog-tiles); level 0 holds the leaf hashes';
ALTER TABLE evidence_tile ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress

CREATE TABLE evidence_checkpoint (
  size      bigint      NOT NULL,
  root      bytea       NOT NULL,
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL,
  CONSTRAINT evidence_checkpoint_pkey PRIMARY KEY (size)
);
COMMENT ON TABLE evidence_checkpoint IS 'One signed checkpoint of each minute in which the log grew, kept for audits';

CREATE TABLE evidence_horizon (
  slot      smallint    NOT NULL,
  server    text        NOT NULL COLLATE "C",
  horizon   pg_snapshot NOT NULL,
  walked_to uuid,
  CONSTRAINT evidence_horizon_pkey PRIMARY KEY (slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE evidence_horizon IS
  'How far the log has taken leaves: every leaf that this snapshot of this server sees has its index, once walked_to is null';
COMMENT ON COLUMN evidence_horizon.walked_to IS
  'While the leaves from before the horizon are gone through by id: the last one looked at';

-- Which server numbers the transactions: after a restore into another one, numbers mean nothing.
CREATE FUNCTION evidence_server_v1() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT system_identifier::text FROM pg_control_system()
$$;

-- Begin the log. It is empty and unsigned until its first leaf, that of its first key, has its index.
CREATE FUNCTION evidence_begin_log_v1(p_origin text, p_root bytea, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO evidence_log (id, origin, size, root, note, signed_at) VALUES (0, p_origin, 0, p_root, '', p_at)
  ON CONFLICT (id) DO NOTHING;
END $$;

-- A key signs from now on: itself and its leaf, in one commit.
CREATE FUNCTION evidence_add_key_v1(
  p_id uuid, p_slot smallint, p_public bytea, p_replaces bytea, p_at timestamptz, p_leaf bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO evidence_key (id, slot, public_key, replaces, added_at) VALUES (p_id, p_slot, p_public, p_replaces, p_at);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_id, p_leaf, NULL);
END $$;

-- Append leaves to the log of p_size and sign it off. False when somebody else has appended meanwhile. The log only grows:
-- a tile is written when it is new or begins with what it was.
CREATE FUNCTION evidence_append_v1(
  p_size bigint, p_slots smallint[], p_ids uuid[], p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_root bytea,
  p_note text, p_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
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

GRANT SELECT, INSERT, UPDATE ON evidence_log, evidence_tile TO kaquan_ledger;
GRANT SELECT, INSERT ON evidence_key, evidence_entry, evidence_checkpoint TO kaquan_ledger;
GRANT SELECT ON evidence_log, evidence_key, evidence_entry, evidence_tile, evidence_checkpoint, evidence_horizon
  TO kaquan_app;
GRANT INSERT, UPDATE ON evidence_horizon TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION evidence_begin_log_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION evidence_add_key_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION evidence_append_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION evidence_begin_log_v1, evidence_add_key_v1, evidence_append_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION evidence_begin_log_v1, evidence_add_key_v1, evidence_append_v1 TO kaquan_app;
