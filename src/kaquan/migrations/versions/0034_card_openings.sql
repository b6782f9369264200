-- The reason that was given for something that happened to a card may name a person: it can be erased with the salt of the
-- leaf, with all proofs still valid (ADR 0027). A function and two rights: each lock is held for a moment.

-- Erase the salts of events and the reasons that were given. p_entries are their canonical bytes, which hold the
-- commitments: a leaf is let go only where it still is the hash of its entry afterwards. Returns which were erased.
CREATE FUNCTION cards_erase_openings_v1(
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
      AND EXISTS (SELECT FROM cards_event c WHERE c.slot = p_slot AND c.id = e.id AND c.book_id = p_book)
    RETURNING l.transaction_id
  )
  SELECT array_agg(transaction_id) INTO v_ids FROM gone;
  UPDATE cards_event c SET reason = NULL WHERE c.slot = p_slot AND c.id = ANY (v_ids);
  RETURN QUERY SELECT unnest(v_ids);
END $$;

GRANT UPDATE (reason) ON cards_event TO kaquan_ledger;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION cards_erase_openings_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION cards_erase_openings_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cards_erase_openings_v1 TO kaquan_app;
