-- The life of a card between activation and closing: whose it is, its PIN, its loss, its replacement, transfers of its
-- balance, gifts, and the log of all that ever happened to it. It takes the lock of cards_card and cards_programme that
-- excludes everybody until it commits: columns are added at once, but three partial indexes are built and the status rule
-- is checked in one walk each over the cards, about a second per million.

ALTER TABLE cards_card
  ADD COLUMN registered_at    timestamptz,
  ADD COLUMN loss_reported_at timestamptz,
  ADD COLUMN loss_due_at      timestamptz,
  ADD COLUMN lost_at          timestamptz,
  ADD COLUMN gift_id          uuid,
  ADD COLUMN replaces_id      uuid,
  ADD COLUMN replaced_by_id   uuid;
COMMENT ON COLUMN cards_card.loss_due_at IS 'By when a loss report takes effect; lost_at is when it did';
COMMENT ON COLUMN cards_card.gift_id IS 'The gift by which it is on its way to another person';

ALTER TABLE cards_card DROP CONSTRAINT cards_card_status;
ALTER TABLE cards_card ADD CONSTRAINT cards_card_status CHECK (
  status IN ('issued', 'active', 'blocked', 'lost', 'gifted', 'replaced', 'closed', 'expired'));

CREATE INDEX cards_card_customer ON cards_card (slot, customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX cards_card_loss_due ON cards_card (slot, loss_due_at) WHERE loss_due_at IS NOT NULL AND lost_at IS NULL;
CREATE INDEX cards_card_replaced ON cards_card (slot, id) WHERE status = 'replaced';

ALTER TABLE cards_programme
  ADD COLUMN pin_required_above_fen  bigint,
  ADD COLUMN pin_max_attempts        integer NOT NULL DEFAULT 5,
  ADD COLUMN loss_effective_within_s integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN cards_programme.pin_required_above_fen IS 'A spend of more than this asks for the PIN; null: none does';
COMMENT ON COLUMN cards_programme.loss_effective_within_s IS
  'How long a loss report of a physical card may take to be effective; a digital card is lost at once';

-- All that ever happened to a card. Nobody may change or remove a row.
CREATE TABLE cards_event (
  slot    smallint    NOT NULL,
  card_id uuid        NOT NULL,
  id      uuid        NOT NULL,
  book_id integer     NOT NULL,
  kind    text        NOT NULL COLLATE "C",
  at      timestamptz NOT NULL,
  actor   text        NOT NULL COLLATE "C",
  reason  text,
  status  text        COLLATE "C",
  version integer,
  details jsonb       NOT NULL,
  CONSTRAINT cards_event_pkey PRIMARY KEY (slot, card_id, id)
);
COMMENT ON COLUMN cards_event.actor IS 'Who did it: an API key (key_…), system, command_line';
COMMENT ON COLUMN cards_event.version IS
  'The version of the card that this event made, with its status then; null where the card itself did not change';
COMMENT ON COLUMN cards_event.details IS 'What a person may see: no number, PIN, token or message';

-- Cards that were activated or blocked before there was a log: as they were found.
INSERT INTO cards_event (slot, card_id, id, book_id, kind, at, actor, status, version, details)
SELECT slot, id, ledger_first_id_v1(coalesce(activated_at, created_at)), book_id, 'recorded',
       coalesce(activated_at, created_at), 'system', status, version, '{}'
FROM cards_card WHERE status <> 'issued' OR version > 0;

CREATE TABLE cards_pin (
  slot     smallint    NOT NULL,
  card_id  uuid        NOT NULL,
  book_id  integer     NOT NULL,
  hash     text        COLLATE "C",
  attempts integer     NOT NULL DEFAULT 0,
  set_at   timestamptz NOT NULL,
  CONSTRAINT cards_pin_pkey PRIMARY KEY (slot, card_id)
) WITH (fillfactor = 70);
COMMENT ON COLUMN cards_pin.hash IS 'Argon2id over a keyed HMAC of the PIN and the card; null: forgotten';
COMMENT ON COLUMN cards_pin.attempts IS
  'Guesses since the last right one. Each is counted before it is compared, so that guesses at once cannot outrun it';

-- Balance on its way from card to card: the intent is here before anything moves, and a sweeper finishes it.
CREATE TABLE cards_transfer (
  slot          smallint    NOT NULL,
  id            uuid        NOT NULL,
  book_id       integer     NOT NULL,
  kind          text        NOT NULL COLLATE "C",
  status        text        NOT NULL COLLATE "C",
  from_card_id  uuid        NOT NULL,
  to_card_id    uuid        NOT NULL,
  amount_fen    bigint      NOT NULL DEFAULT 0,
  out_id        uuid,
  in_id         uuid,
  abandoned_for text        COLLATE "C",
  actor         text        NOT NULL COLLATE "C",
  key_hash      uuid,
  request_hash  bytea,
  created_at    timestamptz NOT NULL,
  finished_at   timestamptz,
  CONSTRAINT cards_transfer_pkey PRIMARY KEY (slot, id),
  CONSTRAINT cards_transfer_key UNIQUE (slot, key_hash),
  CONSTRAINT cards_transfer_kind CHECK (kind IN ('replacement', 'balance', 'forward')),
  CONSTRAINT cards_transfer_status CHECK (status IN ('open', 'out', 'completed', 'abandoned'))
) WITH (fillfactor = 90);
COMMENT ON TABLE cards_transfer IS 'In the slot of the card that gives';
COMMENT ON COLUMN cards_transfer.out_id IS 'The transaction that took the value; it also gave it where both cards are in one slot';
COMMENT ON COLUMN cards_transfer.in_id IS 'The transaction that gives the value, where the other card is in another slot';
CREATE INDEX cards_transfer_unfinished ON cards_transfer (slot, created_at) WHERE status IN ('open', 'out');
CREATE INDEX cards_transfer_from ON cards_transfer (slot, from_card_id, id);

CREATE TABLE cards_gift (
  slot           smallint    NOT NULL,
  id             uuid        NOT NULL,
  book_id        integer     NOT NULL,
  card_id        uuid        NOT NULL,
  status         text        NOT NULL COLLATE "C",
  message_sealed bytea,
  secret_hash    bytea       NOT NULL,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  ended_at       timestamptz,
  claimed_by     uuid,
  new_card_id    uuid,
  CONSTRAINT cards_gift_pkey PRIMARY KEY (slot, id),
  CONSTRAINT cards_gift_status CHECK (status IN ('open', 'claimed', 'cancelled', 'expired'))
);
COMMENT ON COLUMN cards_gift.secret_hash IS 'SHA-256 of the random secret in the claim token, which is shown once';
CREATE INDEX cards_gift_open ON cards_gift (slot, expires_at) WHERE status = 'open';

-- Lots that a transfer opened keep the load that they come from. Only lots that this very transaction opened.
CREATE FUNCTION ledger_keep_origins_v1(
  p_slot smallint, p_transaction uuid, p_accounts bigint[], p_lots integer[], p_origins uuid[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  UPDATE ledger_lot o SET origin_transaction_id = k.origin
  FROM unnest(p_accounts, p_lots, p_origins) AS k (account_id, lot, origin)
  WHERE o.slot = p_slot AND o.account_id = k.account_id AND o.lot = k.lot AND o.origin_transaction_id = p_transaction;
END $$;

GRANT UPDATE (customer_id, registered_at, loss_reported_at, loss_due_at, lost_at, gift_id, replaces_id,
  replaced_by_id) ON cards_card TO kaquan_app;
GRANT SELECT, INSERT ON cards_event, cards_pin, cards_transfer, cards_gift TO kaquan_app;
GRANT UPDATE (hash, attempts, set_at) ON cards_pin TO kaquan_app;
GRANT UPDATE (status, amount_fen, out_id, in_id, abandoned_for, finished_at) ON cards_transfer TO kaquan_app;
GRANT UPDATE (status, ended_at, claimed_by, new_card_id) ON cards_gift TO kaquan_app;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION ledger_keep_origins_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION ledger_keep_origins_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_keep_origins_v1 TO kaquan_app;
