-- name: read_slots
SELECT slot FROM ledger_slot ORDER BY slot;

-- name: open_accounts
SELECT account_id FROM ledger_open_accounts_v1(
  %(slot)s::smallint, %(books)s::integer[], %(owners)s::uuid[], %(kinds)s::text[], %(currencies)s::text[],
  %(floor_rules)s::ledger_floor_rule[], %(lotted)s::boolean[]);

-- name: post_batch
SELECT ledger_post_batch_v1(
  %(slot)s::smallint, %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[], %(answers)b::bytea[],
  %(legs)s::ledger_leg_v1[], %(new_lots)s::ledger_new_lot_v1[], %(versioned)s::integer, %(lots)s::integer,
  %(others)s::integer, %(limited)s::bigint[], %(status)s::smallint[]);

-- name: claim_keys
SELECT reused FROM ledger_claim_keys_v1(
  %(slot)s::smallint, %(keys)s::uuid[], %(requests)s::bytea[], %(at)s::timestamptz);

-- name: read_answers
SELECT key_hash, request_hash, answer_status, answer
FROM ledger_idempotency WHERE slot = %(slot)s AND key_hash = ANY (%(key_hashes)s::uuid[]);

-- name: read_accounts_of_owner
SELECT slot, id, book_id, owner_id, kind, currency, floor_rule, lotted, debits_posted, credits_posted,
       debits_pending, credits_pending, version
FROM ledger_account WHERE slot = ANY (%(slots)s::smallint[]) AND book_id = %(book_id)s AND owner_id = %(owner_id)s
ORDER BY slot, id;

-- name: read_accounts_of_owners
SELECT slot, id, book_id, owner_id, kind, currency, floor_rule, lotted, debits_posted, credits_posted,
       debits_pending, credits_pending, version
FROM ledger_account WHERE slot = %(slot)s AND book_id = %(book_id)s AND owner_id = ANY (%(owner_ids)s::uuid[])
ORDER BY id;

-- name: read_accounts
SELECT slot, id, book_id, owner_id, kind, currency, floor_rule, lotted, debits_posted, credits_posted,
       debits_pending, credits_pending, version
FROM ledger_account WHERE slot = %(slot)s AND id = ANY (%(ids)s::bigint[]) AND book_id = %(book_id)s;

-- name: read_expired
-- What accounts hold, neither spent nor set aside, of lots that have ended.
SELECT account_id, sum(remaining_fen - reserved_fen)::bigint FROM ledger_lot
WHERE slot = %(slot)s AND account_id = ANY (%(ids)s::bigint[]) AND expires_at <= %(now)s
GROUP BY account_id;

-- name: extend_lot
SELECT ledger_extend_lot_v1(
  %(slot)s::smallint, %(account_id)s::bigint, %(lot)s::integer, %(before)s::timestamptz, %(after)s::timestamptz);

-- name: read_transaction
SELECT slot, id, book_id, kind, related_id, place_id, reference, effective_at, recorded_at, request_key,
       (SELECT d.hash FROM ledger_detail AS d WHERE d.slot = t.slot AND d.transaction_id = t.id)
FROM ledger_transaction AS t
WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: list_transactions
SELECT t.slot, t.id, t.book_id, t.kind, t.related_id, t.place_id, t.reference, t.effective_at, t.recorded_at,
       t.request_key
FROM ledger_transaction AS t
WHERE t.slot = %(slot)s AND t.book_id = %(book_id)s
  AND t.reference = %(reference)s  -- if reference
  AND (t.id = %(root_id)s OR t.related_id = %(root_id)s)  -- if root_id
  AND t.kind = %(kind)s  -- if kind
  AND t.id < %(before_id)s  -- if before_id
  AND t.id >= %(from_id)s  -- if from_id
  AND t.recorded_at > %(created_after)s  -- if created_after
  AND t.id < %(until_id)s  -- if until_id
  AND t.recorded_at < %(created_before)s  -- if created_before
ORDER BY t.id DESC LIMIT %(limit)s;

-- name: list_transactions_of_account
-- Back along the entries of one side of an account. Several legs of a transaction may touch it.
SELECT DISTINCT ON (e.transaction_id) t.slot, t.id, t.book_id, t.kind, t.related_id, t.place_id, t.reference,
       t.effective_at, t.recorded_at, t.request_key
FROM ledger_entry AS e
JOIN ledger_transaction AS t ON t.slot = %(slot)s AND t.id = e.transaction_id
WHERE e.slot = %(slot)s
  AND e.debit_account = %(debit_account)s  -- if debit_account
  AND e.credit_account = %(credit_account)s  -- if credit_account
  AND (SELECT bool_or(o.debit_account = ANY (%(others)s) OR o.credit_account = ANY (%(others)s))  -- if others
       FROM ledger_entry AS o WHERE o.slot = %(slot)s AND o.transaction_id = e.transaction_id)  -- if others
  AND t.reference = %(reference)s  -- if reference
  AND (t.id = %(root_id)s OR t.related_id = %(root_id)s)  -- if root_id
  AND t.kind = %(kind)s  -- if kind
  AND e.transaction_id < %(before_id)s  -- if before_id
  AND e.transaction_id >= %(from_id)s  -- if from_id
  AND t.recorded_at > %(created_after)s  -- if created_after
  AND e.transaction_id < %(until_id)s  -- if until_id
  AND t.recorded_at < %(created_before)s  -- if created_before
ORDER BY e.transaction_id DESC LIMIT %(limit)s;

-- name: read_entries
SELECT transaction_id, leg, effect, debit_account, debit_lot, credit_account, credit_lot, amount_fen,
       debit_balance_after, credit_balance_after
FROM ledger_entry WHERE slot = ANY (%(slots)s::smallint[]) AND transaction_id = ANY (%(ids)s::uuid[])
ORDER BY transaction_id, leg;

-- name: list_statement
-- Back along the entries of one side of an account.
SELECT e.transaction_id, e.leg, e.effect, e.amount_fen, e.debit_lot, e.credit_lot, e.debit_balance_after,
       e.credit_balance_after, t.kind, t.related_id, t.place_id, t.reference, t.effective_at, t.recorded_at
FROM ledger_entry AS e
JOIN ledger_transaction AS t ON t.slot = %(slot)s AND t.id = e.transaction_id
WHERE e.slot = %(slot)s
  AND e.debit_account = %(debit_account)s  -- if debit_account
  AND e.credit_account = %(credit_account)s  -- if credit_account
  AND (e.transaction_id, e.leg) < (%(before_id)s, %(before_leg)s)  -- if before_id
  AND e.transaction_id >= %(from_id)s  -- if from_id
  AND t.recorded_at > %(created_after)s  -- if created_after
  AND e.transaction_id < %(until_id)s  -- if until_id
  AND t.recorded_at < %(created_before)s  -- if created_before
ORDER BY e.transaction_id DESC, e.leg DESC LIMIT %(limit)s;

-- name: last_checkpoint
SELECT taken_at, debits_posted, credits_posted, debits_pending, credits_pending FROM ledger_checkpoint
WHERE slot = %(slot)s AND account_id = %(id)s AND taken_at <= %(at)s
ORDER BY taken_at DESC LIMIT 1;

-- name: sum_entries
-- What the entries of an account did to its four counters that were recorded after one time and not after another.
-- Ids tell it of nearly all; only of those made within a minute of the two times is the transaction looked at.
SELECT coalesce(sum(amount_fen) FILTER (WHERE is_debit AND effect IN ('post', 'capture')), 0)::bigint,
       coalesce(sum(amount_fen) FILTER (WHERE NOT is_debit AND effect IN ('post', 'capture')), 0)::bigint,
       coalesce(sum(CASE effect WHEN 'reserve' THEN amount_fen WHEN 'post' THEN 0 ELSE -amount_fen END)
                FILTER (WHERE is_debit), 0)::bigint,
       coalesce(sum(CASE effect WHEN 'reserve' THEN amount_fen WHEN 'post' THEN 0 ELSE -amount_fen END)
                FILTER (WHERE NOT is_debit), 0)::bigint
FROM (
  SELECT transaction_id, effect, true AS is_debit, amount_fen
  FROM ledger_entry WHERE slot = %(slot)s AND debit_account = %(id)s
  UNION ALL
  SELECT transaction_id, effect, false, amount_fen
  FROM ledger_entry WHERE slot = %(slot)s AND credit_account = %(id)s
) AS e
WHERE e.transaction_id >= %(from_id)s AND e.transaction_id < %(until_id)s
  AND (e.transaction_id >= %(surely_from_id)s AND e.transaction_id < %(surely_until_id)s
       OR (SELECT t.recorded_at > %(after)s AND t.recorded_at <= %(until)s FROM ledger_transaction AS t
           WHERE t.slot = %(slot)s AND t.id = e.transaction_id));

-- name: forget_answers
SELECT forgotten, last_key
FROM ledger_forget_answers_v1(%(slot)s::smallint, %(before)s::timestamptz, %(after)s::uuid, %(limit)s::integer);

-- name: take_checkpoints
SELECT taken, last_account
FROM ledger_take_checkpoints_v1(%(slot)s::smallint, %(at)s::timestamptz, %(after)s::bigint, %(limit)s::integer);

-- name: read_lots
SELECT account_id, lot, origin_transaction_id, paid_fen, given_fen, expires_at, remaining_fen - reserved_fen
FROM ledger_lot
WHERE slot = %(slot)s AND account_id = ANY (%(accounts)s::bigint[])
  AND remaining_fen > reserved_fen  -- if free
ORDER BY account_id, lot;

-- name: first_lots
-- The lowest lot of each account: lots that a transfer opens are counted down from zero (ADR 0014).
SELECT a.id, coalesce((SELECT l.lot FROM ledger_lot l WHERE l.slot = %(slot)s AND l.account_id = a.id
                       ORDER BY l.lot LIMIT 1), 0)
FROM unnest(%(accounts)s::bigint[]) AS a (id);

-- name: keep_origins
SELECT ledger_keep_origins_v1(%(slot)s::smallint, %(transaction_id)s::uuid, %(accounts)s::bigint[],
                              %(lots)s::integer[], %(origins)s::uuid[]);

-- name: find_openings
-- The next transactions on an owner's accounts, recorded in some time, whose private fields can still be opened, with the
-- salts.
SELECT t.slot, t.id, t.book_id, t.kind, t.related_id, t.place_id, t.reference, t.effective_at, t.recorded_at,
       t.request_key, d.hash, l.salt
FROM (
  SELECT e.transaction_id FROM ledger_account AS a JOIN ledger_entry AS e ON e.debit_account = a.id
  WHERE a.slot = %(slot)s AND a.book_id = %(book_id)s AND a.owner_id = %(owner_id)s AND e.slot = %(slot)s
  UNION
  SELECT e.transaction_id FROM ledger_account AS a JOIN ledger_entry AS e ON e.credit_account = a.id
  WHERE a.slot = %(slot)s AND a.book_id = %(book_id)s AND a.owner_id = %(owner_id)s AND e.slot = %(slot)s
) AS touched
JOIN ledger_transaction AS t ON t.slot = %(slot)s AND t.id = touched.transaction_id
JOIN evidence_leaf AS l ON l.slot = %(slot)s AND l.transaction_id = t.id
LEFT JOIN ledger_detail AS d ON d.slot = %(slot)s AND d.transaction_id = t.id
WHERE l.salt IS NOT NULL
  AND t.id > %(after_id)s  -- if after_id
  AND t.recorded_at >= %(begins)s  -- if begins
  AND t.recorded_at < %(ends)s  -- if ends
ORDER BY t.id LIMIT %(limit)s;
