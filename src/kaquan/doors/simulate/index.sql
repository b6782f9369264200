-- An index that is built while rows come in, outside a transaction: it waits for those that run, and locks nobody out.
-- One that was begun and not finished is built anew.

DROP INDEX CONCURRENTLY IF EXISTS payments_payment_release_{number};
CREATE INDEX CONCURRENTLY payments_payment_release_{number} ON payments_payment (slot, release_{number}, id);
