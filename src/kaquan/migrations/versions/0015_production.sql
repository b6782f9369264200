-- Keys that can be changed while cards are in use, secrets of cards, production files, imports of foreign cards, and the
-- count of wrong guesses. A column with a constant default on cards_number, which locks that table for a moment without
-- writing it anew; all else is new tables and rights.

-- Which look-up key made an entry: while the key is changed a card has one entry under each. Entries that are there were
-- made with the first key.
ALTER TABLE cards_number ADD COLUMN key_id text COLLATE "C" NOT NULL DEFAULT 'l1';
COMMENT ON COLUMN cards_number.key_id IS 'The id in the key ring of the look-up key that made this entry';
GRANT DELETE ON cards_number TO kaquan_app;
GRANT UPDATE (number_sealed) ON cards_card TO kaquan_app;

-- What proves that somebody holds a card, apart from its number: under the scratch panel, or in the mail beside it.
CREATE TABLE cards_secret (
  slot          smallint    NOT NULL,
  card_id       uuid        NOT NULL,
  book_id       integer     NOT NULL,
  secret_sealed bytea       NOT NULL,
  pin_sealed    bytea,
  created_at    timestamptz NOT NULL,
  CONSTRAINT cards_secret_pkey PRIMARY KEY (slot, card_id)
);
COMMENT ON TABLE cards_secret IS 'Card secrets and first PINs, sealed; they are given out in a production file only';
GRANT SELECT, INSERT, UPDATE (secret_sealed, pin_sealed) ON cards_secret TO kaquan_app;

-- Every production file that left the house. A batch has one, and others only with an approval.
CREATE TABLE production_export (
  id                 uuid        NOT NULL,
  book_id            integer     NOT NULL,
  batch_id           uuid        NOT NULL,
  turn               integer     NOT NULL,
  kind               text        NOT NULL COLLATE "C",
  with_pin           boolean     NOT NULL,
  reader_fingerprint text        NOT NULL COLLATE "C",
  card_count         integer     NOT NULL,
  size_bytes         bigint      NOT NULL,
  sha256             text        NOT NULL COLLATE "C",
  exported_by        text        NOT NULL,
  approval_id        uuid,
  exported_at        timestamptz NOT NULL,
  CONSTRAINT production_export_pkey PRIMARY KEY (id),
  CONSTRAINT production_export_turn UNIQUE (batch_id, turn),
  CONSTRAINT production_export_approval UNIQUE (book_id, approval_id),
  CONSTRAINT production_export_first CHECK (turn > 0 AND (turn = 1 OR approval_id IS NOT NULL)),
  CONSTRAINT production_export_batch FOREIGN KEY (batch_id) REFERENCES cards_batch (id)
);
COMMENT ON COLUMN production_export.turn IS '1 for the first file of a batch; a later one needs an approval of its own';
COMMENT ON COLUMN production_export.reader_fingerprint IS 'SHA-256 of the public key that the file was sealed to';
GRANT SELECT, INSERT ON production_export TO kaquan_app;

-- Who gave wrong numbers, secrets or PINs of late. Not of a slot: it is about those who ask, not about cards.
CREATE TABLE guesses_caller (
  caller  uuid        NOT NULL,
  full_at timestamptz NOT NULL,
  CONSTRAINT guesses_caller_pkey PRIMARY KEY (caller)
) WITH (fillfactor = 70);
COMMENT ON COLUMN guesses_caller.caller IS 'A hash of whoever is counted: an API key with an address, or a number';
COMMENT ON COLUMN guesses_caller.full_at IS 'When all the wrong answers are forgiven; each one moves it by its share of the window';
GRANT SELECT, INSERT, UPDATE, DELETE ON guesses_caller TO kaquan_app;

-- Files of foreign cards: checked whole, then applied line by line, each once.
CREATE TABLE imports_file (
  id             uuid        NOT NULL,
  book_id        integer     NOT NULL,
  programme_id   uuid        NOT NULL,
  name           text        NOT NULL,
  kind           text        NOT NULL COLLATE "C",
  sha256         text        NOT NULL COLLATE "C",
  status         text        NOT NULL COLLATE "C",
  line_count     integer     NOT NULL,
  bad_line_count integer     NOT NULL,
  principal_fen  bigint      NOT NULL,
  bonus_fen      bigint      NOT NULL,
  problems       json        NOT NULL,
  created_by     text        NOT NULL,
  created_at     timestamptz NOT NULL,
  finished_at    timestamptz,
  CONSTRAINT imports_file_pkey PRIMARY KEY (id),
  CONSTRAINT imports_file_name UNIQUE (book_id, name),
  CONSTRAINT imports_file_status CHECK (status IN ('refused', 'checked', 'applying', 'applied', 'reversing', 'reversed')),
  CONSTRAINT imports_file_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);
COMMENT ON COLUMN imports_file.problems IS 'Every bad line: its number, the column, its value masked, what is allowed';

-- A line belongs to the card that it will become: the card has its id before it is made.
CREATE TABLE imports_line (
  slot                 smallint NOT NULL,
  import_id            uuid     NOT NULL,
  line                 integer  NOT NULL,
  book_id              integer  NOT NULL,
  card_id              uuid     NOT NULL,
  number_sealed        bytea,
  number_last4         text     NOT NULL COLLATE "C",
  principal_fen        bigint   NOT NULL,
  bonus_fen            bigint   NOT NULL,
  principal_expires_at timestamptz,
  bonus_expires_at     timestamptz,
  status               text     NOT NULL COLLATE "C" DEFAULT 'waiting',
  transaction_id       uuid,
  reversal_id          uuid,
  CONSTRAINT imports_line_pkey PRIMARY KEY (slot, import_id, line),
  CONSTRAINT imports_line_amounts CHECK (principal_fen >= 0 AND bonus_fen >= 0),
  CONSTRAINT imports_line_status CHECK (status IN ('waiting', 'taken', 'applied', 'used', 'reversed'))
);
COMMENT ON COLUMN imports_line.number_sealed IS 'Until the card has it; bound to the card id';
COMMENT ON COLUMN imports_line.status IS
  'taken: its number became another card''s after the check; used: the card was used, so it was not reversed';
CREATE INDEX imports_line_open ON imports_line (slot, import_id, status, line);
GRANT SELECT, INSERT, UPDATE (status, finished_at) ON imports_file TO kaquan_app;
GRANT SELECT, INSERT, UPDATE (status, number_sealed, transaction_id, reversal_id) ON imports_line TO kaquan_app;

-- Sealed values of rooms that were here before: kaquan vault reseal brings them under new keys too. What of a customer is
-- sealed or found by may be written already.
GRANT UPDATE (message_sealed) ON cards_gift TO kaquan_app;
