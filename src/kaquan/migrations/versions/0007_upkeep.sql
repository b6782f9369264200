-- What the worker does for the ledger: forget old answers, and take checkpoints of balances. New functions and a new
-- table; takes no lock that anybody waits for.

CREATE TABLE ledger_forgotten (
  slot   smallint    NOT NULL,
  before timestamptz NOT NULL,
  CONSTRAINT ledger_forgotten_pkey PRIMARY KEY (slot)
);
COMMENT ON TABLE ledger_forgotten IS
  'Answers to idempotency keys that were recorded before this time are forgotten, or will be by the run that goes on';

-- Forget the answers recorded before a time among the next p_limit keys after p_after. Returns how many, and the last
-- key it looked at: null when there are no more. It walks by the primary key: an index by time would cost every payment.
CREATE FUNCTION ledger_forget_answers_v1(p_slot smallint, p_before timestamptz, p_after uuid, p_limit integer)
RETURNS TABLE (forgotten bigint, last_key uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  SELECT k.key_hash INTO last_key
  FROM (SELECT i.key_hash FROM ledger_idempotency i
        WHERE i.slot = p_slot AND i.key_hash > p_after ORDER BY i.key_hash LIMIT p_limit) AS k
  ORDER BY k.key_hash DESC LIMIT 1;
  INSERT INTO ledger_forgotten (slot, before) VALUES (p_slot, p_before)
  ON CONFLICT (slot) DO UPDATE SET before = greatest(ledger_forgotten.before, excluded.before)
  WHERE ledger_forgotten.before < excluded.before;
  DELETE FROM ledger_idempotency i
  WHERE i.slot = p_slot AND i.key_hash > p_after AND i.key_hash <= last_key AND i.created_at < p_before;
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  DELETE FROM ledger_key k
  WHERE k.slot = p_slot AND k.key_hash > p_after AND (last_key IS NULL OR k.key_hash <= last_key)
    AND k.created_at < p_before;
  RETURN NEXT;
END $$;

-- The smallest UUIDv7 of a time (RFC 9562): where the entries of that time begin in an index by transaction.
CREATE FUNCTION ledger_first_id_v1(p_at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Checkpoints, as of p_at, of the next p_limit accounts without a floor after p_after: their last checkpoint and what
-- was recorded since. An account that has not moved gets none. p_at lies so far back that no transaction of before can
-- still be on its way. Returns how many were taken, and the last account it looked at: null when there are no more.
CREATE FUNCTION ledger_take_checkpoints_v1(p_slot smallint, p_at timestamptz, p_after bigint, p_limit integer)
RETURNS TABLE (taken bigint, last_account bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_accounts bigint[];
BEGIN
  v_accounts := ARRAY (
    SELECT a.id FROM ledger_account a
    WHERE a.slot = p_slot AND a.id > p_after AND a.floor_rule = 'none' ORDER BY a.id LIMIT p_limit);
  last_account := v_accounts[cardinality(v_accounts)];
  INSERT INTO ledger_checkpoint
    (slot, account_id, taken_at, debits_posted, credits_posted, debits_pending, credits_pending)
  SELECT p_slot, account.id, p_at,
         coalesce(c.debits_posted, 0) + coalesce(sum(e.amount_fen) FILTER (WHERE e.is_debit AND e.posts), 0),
         coalesce(c.credits_posted, 0) + coalesce(sum(e.amount_fen) FILTER (WHERE NOT e.is_debit AND e.posts), 0),
         coalesce(c.debits_pending, 0) + coalesce(sum(e.amount_fen * e.pends) FILTER (WHERE e.is_debit), 0),
         coalesce(c.credits_pending, 0) + coalesce(sum(e.amount_fen * e.pends) FILTER (WHERE NOT e.is_debit), 0)
  FROM unnest(v_accounts) AS account (id)
  LEFT JOIN LATERAL (
    SELECT k.* FROM ledger_checkpoint k WHERE k.slot = p_slot AND k.account_id = account.id AND k.taken_at < p_at
    ORDER BY k.taken_at DESC LIMIT 1
  ) AS c ON true
  CROSS JOIN LATERAL (
    SELECT s.is_debit, s.amount_fen, s.effect IN ('post', 'capture') AS posts,
           CASE s.effect WHEN 'reserve' THEN 1 WHEN 'post' THEN 0 ELSE -1 END AS pends
    FROM (
      SELECT true AS is_debit, d.transaction_id, d.amount_fen, d.effect FROM ledger_entry d
      WHERE d.slot = p_slot AND d.debit_account = account.id
        AND d.transaction_id >= ledger_first_id_v1(coalesce(c.taken_at - interval '1 minute', 'epoch'))
      UNION ALL
      SELECT false, r.transaction_id, r.amount_fen, r.effect FROM ledger_entry r
      WHERE r.slot = p_slot AND r.credit_account = account.id
        AND r.transaction_id >= ledger_first_id_v1(coalesce(c.taken_at - interval '1 minute', 'epoch'))
    ) AS s
    JOIN ledger_transaction t ON t.slot = p_slot AND t.id = s.transaction_id
    WHERE t.recorded_at > coalesce(c.taken_at, '-infinity') AND t.recorded_at <= p_at
  ) AS e
  GROUP BY account.id, c.debits_posted, c.credits_posted, c.debits_pending, c.credits_pending
  ON CONFLICT (slot, account_id, taken_at) DO NOTHING;
  GET DIAGNOSTICS taken = ROW_COUNT;
  RETURN NEXT;
END $$;

-- Forgetting is the one right to remove anything, and only answers: history stays.
GRANT DELETE ON ledger_idempotency, ledger_key TO kaquan_ledger;
GRANT SELECT, INSERT, UPDATE ON ledger_forgotten TO kaquan_ledger;
GRANT SELECT ON ledger_forgotten TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION ledger_forget_answers_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION ledger_take_checkpoints_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION ledger_forget_answers_v1, ledger_take_checkpoints_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_forget_answers_v1, ledger_take_checkpoints_v1 TO kaquan_app;
