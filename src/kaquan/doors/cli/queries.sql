-- name: has_cards
SELECT EXISTS (SELECT FROM cards_number) OR EXISTS (SELECT FROM parties_customer);

-- name: read_archiving
SELECT last_archived_wal, last_archived_time,
       CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_time END
FROM pg_stat_archiver;

-- name: read_known
SELECT t.id FROM ledger_slot AS s JOIN ledger_transaction AS t ON t.slot = s.slot
WHERE t.id = ANY (%(ids)s::uuid[]);

-- name: stream_transaction_ids
SELECT slot, id FROM ledger_transaction ORDER BY slot, id;

-- name: stream_transactions
SELECT slot, id, kind, recorded_at, reference, request_key FROM ledger_transaction ORDER BY slot, id;
