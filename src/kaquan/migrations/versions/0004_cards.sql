-- Programmes, batches, cards. New tables only: takes no lock that anybody waits for.

CREATE TABLE cards_programme (
  id                   uuid        NOT NULL,
  book_id              integer     NOT NULL,
  issuer_id            uuid        NOT NULL,
  code                 text        NOT NULL COLLATE "C",
  name                 text        NOT NULL,
  currency             text        NOT NULL COLLATE "C",
  number_prefix        text        NOT NULL COLLATE "C",
  spend_order          text[]      NOT NULL,
  max_balance_fen      bigint,
  authorization_ttl_s  integer     NOT NULL,
  principal_valid_days integer,
  bonus_valid_days     integer,
  created_at           timestamptz NOT NULL,
  CONSTRAINT cards_programme_pkey PRIMARY KEY (id),
  CONSTRAINT cards_programme_in_book UNIQUE (book_id, id),
  CONSTRAINT cards_programme_code UNIQUE (book_id, code),
  CONSTRAINT cards_programme_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer (book_id, id)
);
COMMENT ON COLUMN cards_programme.spend_order IS 'Pockets in the order in which a purchase empties them';

-- A programme is accepted at the whole of a merchant (store_id null) or at single stores.
CREATE TABLE cards_acceptance (
  book_id      integer NOT NULL,
  programme_id uuid    NOT NULL,
  merchant_id  uuid    NOT NULL,
  store_id     uuid,
  CONSTRAINT cards_acceptance_once UNIQUE NULLS NOT DISTINCT (programme_id, merchant_id, store_id),
  CONSTRAINT cards_acceptance_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id),
  CONSTRAINT cards_acceptance_merchant FOREIGN KEY (book_id, merchant_id) REFERENCES parties_merchant (book_id, id),
  CONSTRAINT cards_acceptance_store FOREIGN KEY (book_id, store_id) REFERENCES parties_store (book_id, id)
);

CREATE TABLE cards_batch (
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  programme_id uuid        NOT NULL,
  name         text        NOT NULL,
  form         text        NOT NULL COLLATE "C",
  card_count   integer     NOT NULL,
  issued_count integer     NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  CONSTRAINT cards_batch_pkey PRIMARY KEY (id),
  CONSTRAINT cards_batch_name UNIQUE (book_id, name),
  CONSTRAINT cards_batch_form CHECK (form IN ('digital', 'physical')),
  CONSTRAINT cards_batch_count CHECK (card_count > 0 AND issued_count BETWEEN 0 AND card_count),
  CONSTRAINT cards_batch_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);

CREATE TABLE cards_card (
  slot          smallint    NOT NULL,
  id            uuid        NOT NULL,
  book_id       integer     NOT NULL,
  programme_id  uuid        NOT NULL,
  batch_id      uuid,
  form          text        NOT NULL COLLATE "C",
  status        text        NOT NULL COLLATE "C",
  status_reason text        COLLATE "C",
  number_last4  text        NOT NULL COLLATE "C",
  number_sealed bytea       NOT NULL,
  expires_at    timestamptz,
  created_at    timestamptz NOT NULL,
  activated_at  timestamptz,
  version       integer     NOT NULL DEFAULT 0,
  CONSTRAINT cards_card_pkey PRIMARY KEY (slot, id),
  CONSTRAINT cards_card_form CHECK (form IN ('digital', 'physical')),
  CONSTRAINT cards_card_status CHECK (status IN ('issued', 'active', 'blocked'))
) WITH (fillfactor = 90);
COMMENT ON COLUMN cards_card.number_sealed IS 'The number under authenticated encryption, bound to the card id; shown by a permission only';
CREATE INDEX cards_card_last4 ON cards_card (slot, book_id, number_last4, id);
CREATE INDEX cards_card_batch ON cards_card (slot, batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX cards_card_programme ON cards_card (slot, programme_id, id);

-- Finds the card behind a number without holding the number: lookup is a keyed HMAC, and its slot is its own.
CREATE TABLE cards_number (
  slot      smallint NOT NULL,
  lookup    uuid     NOT NULL,
  card_slot smallint NOT NULL,
  card_id   uuid     NOT NULL,
  CONSTRAINT cards_number_pkey PRIMARY KEY (slot, lookup)
);
COMMENT ON COLUMN cards_number.lookup IS 'The first half of HMAC-SHA-256 of the number under the lookup key';

GRANT SELECT, INSERT ON cards_programme, cards_acceptance, cards_batch, cards_card, cards_number TO kaquan_app;
GRANT DELETE ON cards_acceptance TO kaquan_app;
GRANT UPDATE (name, max_balance_fen, authorization_ttl_s) ON cards_programme TO kaquan_app;
GRANT UPDATE (issued_count, finished_at) ON cards_batch TO kaquan_app;
GRANT UPDATE (status, status_reason, activated_at, expires_at, version) ON cards_card TO kaquan_app;
