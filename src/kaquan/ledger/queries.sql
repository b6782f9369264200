-- name: read_slots
SELECT slot FROM ledger_slot ORDER BY slot;

-- name: open_accounts
SELECT account_id FROM ledger_open_accounts_v1(
  %(slot)s::smallint, %(books)s::integer[], %(owners)s::uuid[], %(kinds)s::text[], %(currencies)s::text[],
  %(floor_rules)s::ledger_floor_rule[], %(lotted)s::boolean[]);

-- name: post_batch
SELECT ledger_post_batch_v1(
  %(slot)s::smallint, %(recorded_at)s::timestamptz, %(items)s::ledger_item_v1[], %(answers)b::bytea[],
  %(legs)s::ledger_leg_v1[], %(moves)s::ledger_move_v1[], %(guards)s::ledger_guard_v1[],
  %(lot_moves)s::ledger_lot_move_v1[], %(new_lots)s::ledger_new_lot_v1[], %(accounts)s::bigint[],
  %(guarded)s::bigint[], %(versions)s::bigint[], %(status)s::smallint[]);

-- name: read_answers
SELECT key_hash, request_hash, answer_status, answer
FROM ledger_idempotency WHERE slot = %(slot)s AND key_hash = ANY (%(key_hashes)s::uuid[]);

-- name: read_accounts_of_owner
SELECT slot, id, book_id, owner_id, kind, currency, floor_rule, lotted, debits_posted, credits_posted,
       debits_pending, credits_pending, version
FROM ledger_account WHERE slot = ANY (%(slots)s::smallint[]) AND book_id = %(book_id)s AND owner_id = %(owner_id)s
ORDER BY slot, id;

-- name: read_account
SELECT slot, id, book_id, owner_id, kind, currency, floor_rule, lotted, debits_posted, credits_posted,
       debits_pending, credits_pending, version
FROM ledger_account WHERE slot = %(slot)s AND id = %(id)s AND book_id = %(book_id)s;

-- name: read_transactions
SELECT slot, id, book_id, kind, related_id, place_id, reference, effective_at, recorded_at, request_key
FROM ledger_transaction
WHERE book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR id = %(id)s OR related_id = %(id)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(reference)s::text IS NULL OR reference = %(reference)s)
  AND (%(created_after)s::timestamptz IS NULL OR recorded_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR recorded_at < %(created_before)s)
  AND (%(before_id)s::uuid IS NULL OR id < %(before_id)s)
ORDER BY id DESC LIMIT %(limit)s;

-- name: read_transaction
SELECT slot, id, book_id, kind, related_id, place_id, reference, effective_at, recorded_at, request_key
FROM ledger_transaction
WHERE slot = ANY (%(slots)s::smallint[]) AND id = %(id)s AND book_id = %(book_id)s;

-- name: read_transactions_of_accounts
-- Newest first, of the transactions that touch one of the accounts.
SELECT t.slot, t.id, t.book_id, t.kind, t.related_id, t.place_id, t.reference, t.effective_at, t.recorded_at,
       t.request_key
FROM (
  (SELECT DISTINCT e.transaction_id FROM ledger_entry e
   WHERE e.slot = %(slot)s AND e.debit_account = ANY (%(accounts)s::bigint[])
     AND e.transaction_id < coalesce(%(before_id)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     AND (%(created_after)s::timestamptz IS NULL OR e.transaction_id >= %(after_id)s::uuid)
     AND (%(created_before)s::timestamptz IS NULL OR e.transaction_id < %(until_id)s::uuid)
   ORDER BY e.transaction_id DESC LIMIT %(limit)s)
  UNION
  (SELECT DISTINCT e.transaction_id FROM ledger_entry e
   WHERE e.slot = %(slot)s AND e.credit_account = ANY (%(accounts)s::bigint[])
     AND e.transaction_id < coalesce(%(before_id)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     AND (%(created_after)s::timestamptz IS NULL OR e.transaction_id >= %(after_id)s::uuid)
     AND (%(created_before)s::timestamptz IS NULL OR e.transaction_id < %(until_id)s::uuid)
   ORDER BY e.transaction_id DESC LIMIT %(limit)s)
) AS touched
JOIN ledger_transaction t ON t.slot = %(slot)s AND t.id = touched.transaction_id AND t.book_id = %(book_id)s
ORDER BY t.id DESC LIMIT %(limit)s;

-- name: read_entries
SELECT transaction_id, leg, effect, debit_account, debit_lot, credit_account, credit_lot, amount_fen,
       debit_balance_after, credit_balance_after
FROM ledger_entry WHERE slot = ANY (%(slots)s::smallint[]) AND transaction_id = ANY (%(ids)s::uuid[])
ORDER BY transaction_id, leg;

-- name: read_counters_at
-- The nearest checkpoint before the time, and what was posted since.
WITH start AS (
  SELECT taken_at, debits_posted, credits_posted, debits_pending, credits_pending FROM ledger_checkpoint
  WHERE slot = %(slot)s AND account_id = %(id)s AND taken_at <= %(at)s
  ORDER BY taken_at DESC LIMIT 1
), since AS (
  SELECT e.effect, e.amount_fen, e.debit_account = %(id)s AS is_debit
  FROM ledger_entry e
  JOIN ledger_transaction t ON t.slot = e.slot AND t.id = e.transaction_id
  WHERE e.slot = %(slot)s AND (e.debit_account = %(id)s OR e.credit_account = %(id)s)
    AND e.transaction_id >= %(from_id)s::uuid
    AND t.recorded_at > coalesce((SELECT taken_at FROM start), '-infinity') AND t.recorded_at <= %(at)s
)
SELECT coalesce((SELECT debits_posted FROM start), 0)
         + coalesce(sum(amount_fen) FILTER (WHERE is_debit AND effect IN ('post', 'capture')), 0)::bigint,
       coalesce((SELECT credits_posted FROM start), 0)
         + coalesce(sum(amount_fen) FILTER (WHERE NOT is_debit AND effect IN ('post', 'capture')), 0)::bigint,
       coalesce((SELECT debits_pending FROM start), 0)
         + coalesce(sum(CASE effect WHEN 'reserve' THEN amount_fen WHEN 'post' THEN 0 ELSE -amount_fen END)
                      FILTER (WHERE is_debit), 0)::bigint,
       coalesce((SELECT credits_pending FROM start), 0)
         + coalesce(sum(CASE effect WHEN 'reserve' THEN amount_fen WHEN 'post' THEN 0 ELSE -amount_fen END)
                      FILTER (WHERE NOT is_debit), 0)::bigint
FROM since;

-- name: last_checkpoint_before
SELECT max(taken_at) FROM ledger_checkpoint WHERE slot = %(slot)s AND account_id = %(id)s AND taken_at <= %(at)s;
