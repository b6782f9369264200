-- What a person could be known by can be erased from transactions, with all proofs still valid (ADR 0027), and how far the
-- log was audited is written down. New columns without a default, a small index, a function and a table: each lock is held
-- for a moment.

ALTER TABLE evidence_leaf ADD COLUMN commitment bytea;
ALTER TABLE evidence_leaf ADD CONSTRAINT evidence_leaf_salt_or_commitment
  CHECK (commitment IS NULL OR (salt IS NULL AND octet_length(commitment) = 32)) NOT VALID;
COMMENT ON COLUMN evidence_leaf.commitment IS
  'SHA-256 over the salt and the private fields, once both are erased; before, it is computed from them';

ALTER TABLE parties_customer ADD COLUMN openings_erased_at timestamptz;
COMMENT ON COLUMN parties_customer.openings_erased_at IS
  'When the private fields of the transactions of somebody forgotten were erased; null while they are there';
CREATE INDEX parties_customer_openings ON parties_customer (forgotten_at)
  WHERE forgotten_at IS NOT NULL AND retained_until IS NULL AND openings_erased_at IS NULL;

-- Erase the salts and private fields of transactions. p_entries are their canonical bytes, which hold the commitments: a
-- leaf is let go only where it still is the hash of its entry afterwards. Returns which were erased.
CREATE FUNCTION payments_erase_openings_v1(
  p_slot smallint, p_book integer, p_ids uuid[], p_entries bytea[], p_commitments bytea[]
) RETURNS TABLE (erased uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
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
END $$;

-- How far the log was audited, leaf by leaf: the next audit goes on from there. note is signed by the keys of the log, so
-- that nobody who can only write rows can make an audit skip what it has not seen.
CREATE TABLE audit_anchor (
  id          smallint    NOT NULL,
  size        bigint      NOT NULL,
  note        text        NOT NULL,
  verified_at timestamptz NOT NULL,
  CONSTRAINT audit_anchor_pkey PRIMARY KEY (id),
  CONSTRAINT audit_anchor_only_one CHECK (id = 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE audit_anchor IS 'Up to which size, with which root, the log was audited entry by entry; note says it, signed';

GRANT UPDATE (salt, commitment) ON evidence_leaf TO kaquan_ledger;
GRANT UPDATE (reference, request_key, request_hash) ON ledger_transaction TO kaquan_ledger;
GRANT UPDATE (reference) ON payments_payment TO kaquan_ledger;
GRANT SELECT, INSERT, UPDATE ON audit_anchor TO kaquan_app;
GRANT UPDATE (openings_erased_at) ON parties_customer TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION payments_erase_openings_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION payments_erase_openings_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_erase_openings_v1 TO kaquan_app;
