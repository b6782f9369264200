-- Proof from outside (ADR 0026): checkpoints that witnesses cosigned, receipts of keys, and the log's SM profile. New tables
-- and functions; one check of evidence_key is replaced, which locks that small table for a moment.
SET LOCAL lock_timeout = '5s';

-- SM2 keys are entries of the log like the others: 65 bytes, where Ed25519 has 32.
ALTER TABLE evidence_key DROP CONSTRAINT evidence_key_is_ed25519;
ALTER TABLE evidence_key ADD CONSTRAINT evidence_key_length CHECK (octet_length(public_key) IN (32, 65));

-- What a witness has seen of this log, as far as it has said so. No line of it is trusted: each cosignature is verified.
CREATE TABLE evidence_witness (
  key          text        NOT NULL COLLATE "C",
  size         bigint      NOT NULL,
  cosigned_at  timestamptz,
  asked_at     timestamptz NOT NULL,
  failure      text,
  failed_since timestamptz,
  CONSTRAINT evidence_witness_pkey PRIMARY KEY (key),
  CONSTRAINT evidence_witness_size CHECK (size >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE evidence_witness IS
  'Each witness of the log by its public key: the size it last cosigned, and why it does not answer, if it does not';

CREATE TABLE evidence_cosigned (
  id          smallint    NOT NULL,
  origin      text        NOT NULL COLLATE "C",
  size        bigint      NOT NULL,
  root        bytea       NOT NULL,
  note        text        NOT NULL,
  cosigned_at timestamptz NOT NULL,
  CONSTRAINT evidence_cosigned_pkey PRIMARY KEY (id),
  CONSTRAINT evidence_cosigned_only_one CHECK (id = 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE evidence_cosigned IS
  'The newest checkpoint with the cosignatures that the policy asks for; no row while it asks for none';

-- What the public is shown: a cosigned checkpoint where there are witnesses, else the newest.
CREATE VIEW evidence_published AS
SELECT origin, size, root, note, cosigned_at AS signed_at FROM evidence_cosigned
UNION ALL
SELECT origin, size, root, note, signed_at FROM evidence_log
WHERE NOT EXISTS (SELECT FROM evidence_cosigned);
COMMENT ON VIEW evidence_published IS 'The checkpoint that is published and that receipts lead to';

-- A receipt of a key's own entry, in a checkpoint that the key before it signed: so who trusts the old one learns the new.
CREATE TABLE evidence_key_receipt (
  key_id  uuid NOT NULL,
  receipt text NOT NULL,
  CONSTRAINT evidence_key_receipt_pkey PRIMARY KEY (key_id)
);
COMMENT ON TABLE evidence_key_receipt IS 'How each key of the log was announced by the one before it';

-- The SM profile: a tree with SM3 over the same leaf hashes, in the same order, signed with SM2.
CREATE TABLE evidence_sm_log (
  id        smallint    NOT NULL,
  origin    text        NOT NULL COLLATE "C",
  size      bigint      NOT NULL,
  root      bytea       NOT NULL,
  note      text        NOT NULL,
  signed_at timestamptz NOT NULL,
  CONSTRAINT evidence_sm_log_pkey PRIMARY KEY (id),
  CONSTRAINT evidence_sm_log_only_one CHECK (id = 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE evidence_sm_log IS 'The SM profile of the log as its last checkpoint has it; note is that checkpoint, signed';

CREATE TABLE evidence_sm_tile (
  level  smallint NOT NULL,
  number bigint   NOT NULL,
  hashes bytea    NOT NULL,
  CONSTRAINT evidence_sm_tile_pkey PRIMARY KEY (level, number),
  CONSTRAINT evidence_sm_tile_place CHECK (level BETWEEN 0 AND 63 AND number >= 0),
  CONSTRAINT evidence_sm_tile_width
    CHECK (mod(octet_length(hashes), 32) = 0 AND octet_length(hashes) BETWEEN 32 AND 8192)
);
COMMENT ON TABLE evidence_sm_tile IS 'The tree of the SM profile in tiles of 256 hashes; level 0 holds SM3(0x00, leaf hash)';
ALTER TABLE evidence_sm_tile ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress

-- Extend the SM tree of p_size and sign it off. False when somebody else has meanwhile. It only grows, as the log itself.
CREATE FUNCTION evidence_sm_append_v1(
  p_size bigint, p_new_size bigint, p_levels smallint[], p_numbers bigint[], p_hashes bytea[], p_origin text, p_root bytea,
  p_note text, p_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
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

GRANT SELECT, INSERT, UPDATE ON evidence_sm_log, evidence_sm_tile TO kaquan_ledger;
GRANT SELECT ON evidence_sm_log, evidence_sm_tile, evidence_published TO kaquan_app;
GRANT SELECT, INSERT, UPDATE ON evidence_witness TO kaquan_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON evidence_cosigned TO kaquan_app;
GRANT SELECT, INSERT ON evidence_key_receipt TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION evidence_sm_append_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION evidence_sm_append_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION evidence_sm_append_v1 TO kaquan_app;
