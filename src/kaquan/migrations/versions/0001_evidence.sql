-- Roles and evidence leaves. New tables only: takes no lock that anybody waits for.
--
-- kaquan_ledger  owns the posting functions: it may append to history and move counters, never rewrite history.
-- kaquan_app     what the application runs as: reads, calls posting functions, writes its own reference data.
-- Roles belong to the whole server, so several databases of one server share them.
-- Where they are there already, the login that migrates need not be allowed to make roles.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kaquan_ledger') THEN
    CREATE ROLE kaquan_ledger NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kaquan_app') THEN
    CREATE ROLE kaquan_app NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

GRANT USAGE ON SCHEMA public TO kaquan_app, kaquan_ledger;

-- A server says that it is ready only at the revision it was made for.
GRANT SELECT ON alembic_version TO kaquan_app;

-- One leaf per transaction, written in its commit without an order; the sequencer gives the order later.
CREATE TABLE evidence_leaf (
  slot           smallint NOT NULL,
  transaction_id uuid     NOT NULL,
  leaf_hash      bytea    NOT NULL,
  salt           bytea,
  CONSTRAINT evidence_leaf_pkey PRIMARY KEY (slot, transaction_id),
  CONSTRAINT evidence_leaf_hash_is_sha256 CHECK (octet_length(leaf_hash) = 32)
);
COMMENT ON COLUMN evidence_leaf.salt IS
  'Opens the commitment to the private fields of the transaction; null where there are none, or once they are forgotten';
COMMENT ON TABLE evidence_leaf IS 'RFC 9162 leaf hash of the canonical bytes of each transaction, not yet ordered';

GRANT SELECT, INSERT ON evidence_leaf TO kaquan_ledger;
GRANT SELECT ON evidence_leaf TO kaquan_app;
