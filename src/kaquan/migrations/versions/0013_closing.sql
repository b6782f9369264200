-- Value that ends: lots that expire, dormancy, extension, closing with a refund, payouts; and notices with their
-- deliveries. The index on ledger_lot takes a lock that loads wait for while it is built. All else is new.

-- What expires, and when: the sweep and the reminders walk along it. No column of it changes when value moves, so
-- payments keep their in-place updates.
CREATE INDEX ledger_lot_expiring ON ledger_lot (slot, expires_at, account_id, lot) WHERE expires_at IS NOT NULL;

-- Move the end of a lot that still ends when the caller believes. Every decision made on the old end is stale after.
CREATE FUNCTION ledger_extend_lot_v1(
  p_slot smallint, p_account bigint, p_lot integer, p_before timestamptz, p_after timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE ledger_account SET version = version + 1 WHERE slot = p_slot AND id = p_account AND lotted;
  UPDATE ledger_lot SET expires_at = p_after
   WHERE slot = p_slot AND account_id = p_account AND lot = p_lot AND expires_at = p_before AND p_after > p_before;
  RETURN FOUND;
END $$;

CREATE TABLE closing_terms (
  book_id        integer     NOT NULL,
  programme_id   uuid        NOT NULL,
  remind_days    integer[]   NOT NULL,
  dormant_months integer,
  refund_values  jsonb,
  changed_at     timestamptz NOT NULL,
  CONSTRAINT closing_terms_pkey PRIMARY KEY (book_id, programme_id),
  CONSTRAINT closing_terms_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);
COMMENT ON TABLE closing_terms IS 'What a programme says of the end of its value: reminders, dormancy, and the rules of its refunds';

CREATE TABLE closing_expired_lot (
  slot                smallint    NOT NULL,
  transaction_id      uuid        NOT NULL,
  book_id             integer     NOT NULL,
  card_id             uuid        NOT NULL,
  account_id          bigint      NOT NULL,
  lot                 integer     NOT NULL,
  source_account_id   bigint      NOT NULL,
  expires_at          timestamptz NOT NULL,
  amount_fen          bigint      NOT NULL,
  remaining_after_fen bigint      NOT NULL,
  reserved_after_fen  bigint      NOT NULL,
  returned_fen        bigint      NOT NULL DEFAULT 0,
  swept_at            timestamptz NOT NULL,
  CONSTRAINT closing_expired_lot_pkey PRIMARY KEY (slot, transaction_id),
  CONSTRAINT closing_expired_lot_in_time CHECK (expires_at <= swept_at),
  CONSTRAINT closing_expired_lot_whole CHECK (remaining_after_fen = reserved_after_fen),
  CONSTRAINT closing_expired_lot_returned CHECK (amount_fen > 0 AND returned_fen BETWEEN 0 AND amount_fen)
);
COMMENT ON TABLE closing_expired_lot IS
  'What was taken from a lot after its end, and what the lot held after that in the same commit: only what was set aside';
COMMENT ON COLUMN closing_expired_lot.source_account_id IS 'The account of expired value that holds it';
COMMENT ON COLUMN closing_expired_lot.returned_fen IS 'What of it was given back: by an extension, or in a refund when the card was closed';
CREATE INDEX closing_expired_lot_card ON closing_expired_lot (slot, card_id, account_id, lot);

CREATE TABLE closing_extension (
  slot           smallint    NOT NULL,
  id             uuid        NOT NULL,
  book_id        integer     NOT NULL,
  card_id        uuid        NOT NULL,
  account_id     bigint      NOT NULL,
  lot            integer     NOT NULL,
  before         timestamptz NOT NULL,
  after          timestamptz NOT NULL,
  returned_fen   bigint      NOT NULL,
  transaction_id uuid,
  made_by        uuid        NOT NULL,
  made_at        timestamptz NOT NULL,
  CONSTRAINT closing_extension_pkey PRIMARY KEY (slot, id),
  CONSTRAINT closing_extension_longer CHECK (after > before AND returned_fen >= 0)
);

-- Exactly once per lot, end and threshold: an end that was extended is reminded of anew.
CREATE TABLE closing_reminder (
  slot           smallint    NOT NULL,
  account_id     bigint      NOT NULL,
  lot            integer     NOT NULL,
  expires_at     timestamptz NOT NULL,
  threshold_days integer     NOT NULL,
  notice_id      uuid        NOT NULL,
  reminded_at    timestamptz NOT NULL,
  CONSTRAINT closing_reminder_pkey PRIMARY KEY (slot, account_id, lot, expires_at, threshold_days)
);

CREATE TABLE closing_dormancy (
  slot          smallint    NOT NULL,
  card_id       uuid        NOT NULL,
  last_moved_at timestamptz NOT NULL,
  book_id       integer     NOT NULL,
  notice_id     uuid        NOT NULL,
  found_at      timestamptz NOT NULL,
  CONSTRAINT closing_dormancy_pkey PRIMARY KEY (slot, card_id, last_moved_at)
);

CREATE TABLE closing_closure (
  slot           smallint    NOT NULL,
  card_id        uuid        NOT NULL,
  book_id        integer     NOT NULL,
  transaction_id uuid,
  cause          text        NOT NULL COLLATE "C",
  amount_fen     bigint      NOT NULL,
  interest_fen   bigint      NOT NULL,
  quote_hash     bytea       NOT NULL,
  quote          bytea       NOT NULL,
  closed_by      uuid        NOT NULL,
  closed_at      timestamptz NOT NULL,
  CONSTRAINT closing_closure_pkey PRIMARY KEY (slot, card_id),
  CONSTRAINT closing_closure_amounts CHECK (amount_fen >= interest_fen AND interest_fen >= 0)
);
COMMENT ON COLUMN closing_closure.quote IS 'The calculation as it was posted: quote_hash is its SHA-256';

CREATE TABLE closing_payout (
  slot                smallint    NOT NULL,
  id                  uuid        NOT NULL,
  book_id             integer     NOT NULL,
  card_id             uuid        NOT NULL,
  transaction_id      uuid        NOT NULL,
  method              text        NOT NULL COLLATE "C",
  currency            text        NOT NULL COLLATE "C",
  amount_fen          bigint      NOT NULL,
  payee_sealed        bytea       NOT NULL,
  account_last4       text        COLLATE "C",
  payable_account_id  bigint      NOT NULL,
  due_on              date,
  status              text        NOT NULL COLLATE "C",
  made_by             uuid        NOT NULL,
  checked_by          uuid,
  payment_reference   text,
  failure             text,
  paid_transaction_id uuid,
  created_at          timestamptz NOT NULL,
  changed_at          timestamptz NOT NULL,
  version             integer     NOT NULL DEFAULT 0,
  CONSTRAINT closing_payout_pkey PRIMARY KEY (slot, id),
  CONSTRAINT closing_payout_amount CHECK (amount_fen > 0),
  CONSTRAINT closing_payout_method CHECK (method IN ('bank_transfer', 'cash')),
  CONSTRAINT closing_payout_status CHECK (status IN ('pending', 'paid', 'failed')),
  CONSTRAINT closing_payout_four_eyes CHECK (checked_by IS DISTINCT FROM made_by),
  CONSTRAINT closing_payout_evidence CHECK (
    (status = 'paid') = (payment_reference IS NOT NULL AND paid_transaction_id IS NOT NULL)
    AND (status = 'pending') = (checked_by IS NULL) AND (status = 'failed') = (failure IS NOT NULL))
);
COMMENT ON COLUMN closing_payout.payee_sealed IS
  'Name, and for a transfer account number and bank, under authenticated encryption, bound to the payout id';
CREATE INDEX closing_payout_card ON closing_payout (slot, card_id, id);
CREATE INDEX closing_payout_book ON closing_payout (slot, book_id, id);

-- Notices: written with their cause, delivered after.
CREATE TABLE notices_endpoint (
  id                uuid        NOT NULL,
  book_id           integer     NOT NULL,
  kind              text        NOT NULL COLLATE "C",
  address           text        NOT NULL,
  events            text[]      NOT NULL,
  status            text        NOT NULL COLLATE "C",
  secret_sealed     bytea       NOT NULL,
  old_secret_sealed bytea,
  old_secret_until  timestamptz,
  created_at        timestamptz NOT NULL,
  CONSTRAINT notices_endpoint_pkey PRIMARY KEY (id),
  CONSTRAINT notices_endpoint_status CHECK (status IN ('active', 'disabled', 'removed')),
  CONSTRAINT notices_endpoint_overlap CHECK ((old_secret_sealed IS NULL) = (old_secret_until IS NULL))
);
COMMENT ON COLUMN notices_endpoint.events IS 'Only these events; empty: every event';
CREATE INDEX notices_endpoint_book ON notices_endpoint (book_id, id);

CREATE TABLE notices_notice (
  slot       smallint    NOT NULL,
  id         uuid        NOT NULL,
  book_id    integer     NOT NULL,
  event      text        NOT NULL COLLATE "C",
  card_id    uuid,
  body       text        NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT notices_notice_pkey PRIMARY KEY (slot, id)
);
COMMENT ON COLUMN notices_notice.body IS 'The message, the same bytes for every attempt';
CREATE INDEX notices_notice_book ON notices_notice (slot, book_id, id);
CREATE INDEX notices_notice_card ON notices_notice (slot, card_id, id) WHERE card_id IS NOT NULL;

CREATE TABLE notices_delivery (
  slot          smallint    NOT NULL,
  notice_id     uuid        NOT NULL,
  endpoint_id   uuid        NOT NULL,
  kind          text        NOT NULL COLLATE "C",
  status        text        NOT NULL COLLATE "C",
  attempt_count integer     NOT NULL DEFAULT 0,
  round_count   integer     NOT NULL DEFAULT 0,
  next_at       timestamptz,
  delivered_at  timestamptz,
  CONSTRAINT notices_delivery_pkey PRIMARY KEY (slot, notice_id, endpoint_id),
  CONSTRAINT notices_delivery_status CHECK (status IN ('pending', 'delivered', 'dead')),
  CONSTRAINT notices_delivery_next CHECK ((status = 'pending') = (next_at IS NOT NULL))
) WITH (fillfactor = 80);
COMMENT ON COLUMN notices_delivery.round_count IS 'Attempts since it was sent first or again: what the delay depends on';
COMMENT ON COLUMN notices_delivery.endpoint_id IS 'All zeros for the console, which has no endpoint';
CREATE INDEX notices_delivery_due ON notices_delivery (slot, endpoint_id, next_at) WHERE status = 'pending';

CREATE TABLE notices_attempt (
  slot        smallint    NOT NULL,
  notice_id   uuid        NOT NULL,
  endpoint_id uuid        NOT NULL,
  attempt     integer     NOT NULL,
  attempted_at timestamptz NOT NULL,
  duration_ms integer     NOT NULL,
  http_status smallint,
  failure     text        COLLATE "C",
  CONSTRAINT notices_attempt_pkey PRIMARY KEY (slot, notice_id, endpoint_id, attempt)
);

GRANT SELECT, INSERT ON closing_terms, closing_expired_lot, closing_extension, closing_reminder, closing_dormancy,
  closing_closure, closing_payout, notices_endpoint, notices_notice, notices_delivery, notices_attempt TO kaquan_app;
GRANT UPDATE (remind_days, dormant_months, refund_values, changed_at) ON closing_terms TO kaquan_app;
GRANT UPDATE (returned_fen) ON closing_expired_lot TO kaquan_app;
GRANT UPDATE (status, checked_by, payment_reference, failure, paid_transaction_id, changed_at, version)
  ON closing_payout TO kaquan_app;
GRANT UPDATE (address, events, status, secret_sealed, old_secret_sealed, old_secret_until) ON notices_endpoint
  TO kaquan_app;
GRANT UPDATE (status, attempt_count, round_count, next_at, delivered_at) ON notices_delivery TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION ledger_extend_lot_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION ledger_extend_lot_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_extend_lot_v1 TO kaquan_app;
