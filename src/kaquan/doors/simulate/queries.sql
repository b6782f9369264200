-- name: read_made
SELECT request_key, array_agg(id) FROM ledger_transaction WHERE request_key LIKE %(prefix)s GROUP BY request_key;

-- name: count_transactions
SELECT count(*) FROM ledger_transaction;

-- name: read_backends
SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = 'kaquan'
                                   AND pid <> pg_backend_pid();
