-- Vouchers (ADR 0030): templates, batches, vouchers with their codes, and what happened to each; who pays for what is
-- given away. New tables and functions only; locks nothing that is there.

-- Somebody outside who pays: a bank, a supplier, a government. Reference data.
CREATE TABLE parties_funder (
  book_id    integer     NOT NULL,
  id         uuid        NOT NULL,
  code       text        NOT NULL COLLATE "C",
  name       text        NOT NULL,
  kind       text        NOT NULL COLLATE "C",
  legal_code text        COLLATE "C",
  created_at timestamptz NOT NULL,
  CONSTRAINT parties_funder_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT parties_funder_code UNIQUE (book_id, code),
  CONSTRAINT parties_funder_kind CHECK (kind IN ('bank', 'supplier', 'government', 'partner')),
  CONSTRAINT parties_funder_book FOREIGN KEY (book_id) REFERENCES parties_book (id)
);
COMMENT ON TABLE parties_funder IS 'Who pays for discounts and subsidies and is neither issuer nor merchant';

CREATE TABLE vouchers_template (
  book_id        integer     NOT NULL,
  id             uuid        NOT NULL,
  issuer_id      uuid        NOT NULL,
  code           text        NOT NULL COLLATE "C",
  name           text        NOT NULL,
  kind           text        NOT NULL COLLATE "C",
  currency       text        NOT NULL COLLATE "C",
  face_fen       bigint      NOT NULL,
  offer_kind     text        NOT NULL COLLATE "C",
  offer_params   jsonb       NOT NULL,
  offer_conditions jsonb     NOT NULL,
  offer_stacking jsonb       NOT NULL,
  funders        jsonb       NOT NULL,
  time_zone      text        NOT NULL COLLATE "C",
  valid_from     timestamptz,
  valid_until    timestamptz,
  valid_days     integer,
  max_per_holder integer,
  transferable   boolean     NOT NULL,
  returnable     boolean     NOT NULL,
  load_pocket    text        COLLATE "C",
  district       text        COLLATE "C",
  eligibility    jsonb,
  created_at     timestamptz NOT NULL,
  ended_at       timestamptz,
  CONSTRAINT vouchers_template_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT vouchers_template_code UNIQUE (book_id, code),
  CONSTRAINT vouchers_template_kind CHECK (kind IN ('value', 'percent', 'goods')),
  CONSTRAINT vouchers_template_face CHECK (face_fen >= 0 AND (kind <> 'value' OR face_fen > 0)),
  CONSTRAINT vouchers_template_validity CHECK ((valid_until IS NULL) <> (valid_days IS NULL) AND valid_days > 0),
  CONSTRAINT vouchers_template_limit CHECK (max_per_holder > 0),
  CONSTRAINT vouchers_template_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer (book_id, id)
);
COMMENT ON TABLE vouchers_template IS
  'What a voucher of it promises: never changed, since whoever holds one keeps what was promised; only ended';
COMMENT ON COLUMN vouchers_template.offer_kind IS 'The promotions kind that is its effect, with offer_params';
COMMENT ON COLUMN vouchers_template.face_fen IS 'What one is worth at most, and counts for while it is outstanding; 0: no amount';
COMMENT ON COLUMN vouchers_template.valid_until IS 'The end of its last day; without one it ends valid_days days after it was claimed';
COMMENT ON COLUMN vouchers_template.load_pocket IS 'Into which pocket of a card it may be paid; null: none';

CREATE TABLE vouchers_batch (
  book_id       integer     NOT NULL,
  id            uuid        NOT NULL,
  template_id   uuid        NOT NULL,
  name          text        NOT NULL,
  source        text        NOT NULL COLLATE "C",
  voucher_count integer     NOT NULL,
  issued_count  integer     NOT NULL DEFAULT 0,
  code_length   integer,
  created_by    text        NOT NULL COLLATE "C",
  created_at    timestamptz NOT NULL,
  finished_at   timestamptz,
  CONSTRAINT vouchers_batch_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT vouchers_batch_name UNIQUE (book_id, name),
  CONSTRAINT vouchers_batch_source CHECK (source IN ('made', 'imported', 'assigned')),
  CONSTRAINT vouchers_batch_counts CHECK (voucher_count > 0 AND issued_count BETWEEN 0 AND voucher_count),
  CONSTRAINT vouchers_batch_template FOREIGN KEY (book_id, template_id) REFERENCES vouchers_template (book_id, id)
) WITH (fillfactor = 50);
COMMENT ON TABLE vouchers_batch IS 'Vouchers that came about together: made with new codes, taken in with foreign ones, or given out by a file';
CREATE INDEX vouchers_batch_unfinished ON vouchers_batch (id) WHERE finished_at IS NULL;

-- A voucher is in the slot of its id: one with a code near its look-up, so that the code is found, and is its book's only
-- one, in one slot; one that a card's payment gave near the card.
CREATE TABLE vouchers_voucher (
  slot         smallint    NOT NULL,
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  template_id  uuid        NOT NULL,
  batch_id     uuid,
  status       text        NOT NULL COLLATE "C",
  holder_kind  text        COLLATE "C",
  holder_id    uuid,
  code_lookup  uuid,
  code_sealed  bytea,
  code_last4   text        COLLATE "C",
  face_fen     bigint      NOT NULL,
  valid_from   timestamptz,
  valid_until  timestamptz,
  locked_by    uuid,
  locked_until timestamptz,
  redeemed_by  uuid,
  redeemed_fen bigint      NOT NULL DEFAULT 0,
  returned_fen bigint      NOT NULL DEFAULT 0,
  granted_by   uuid,
  created_at   timestamptz NOT NULL,
  version      integer     NOT NULL DEFAULT 0,
  CONSTRAINT vouchers_voucher_pkey PRIMARY KEY (slot, id),
  CONSTRAINT vouchers_voucher_status
    CHECK (status IN ('issued', 'held', 'locked', 'redeemed', 'loaded', 'expired', 'cancelled')),
  CONSTRAINT vouchers_voucher_holder CHECK ((holder_id IS NULL) = (holder_kind IS NULL)
    AND (status <> 'issued' OR holder_id IS NULL)
    AND (status NOT IN ('held', 'locked', 'redeemed', 'loaded') OR holder_id IS NOT NULL)),
  CONSTRAINT vouchers_voucher_lock CHECK ((status = 'locked') = (locked_by IS NOT NULL)
    AND (locked_by IS NULL) = (locked_until IS NULL)),
  CONSTRAINT vouchers_voucher_redeemed CHECK (status <> 'redeemed' OR redeemed_by IS NOT NULL),
  CONSTRAINT vouchers_voucher_amounts CHECK (face_fen >= 0 AND returned_fen BETWEEN 0 AND redeemed_fen),
  CONSTRAINT vouchers_voucher_holder_kind CHECK (holder_kind IN ('card', 'customer'))
) WITH (fillfactor = 85);
COMMENT ON TABLE vouchers_voucher IS 'Every voucher, wherever it is in its life';
COMMENT ON COLUMN vouchers_voucher.locked_by IS 'The payment that wants to redeem it and is not posted yet';
COMMENT ON COLUMN vouchers_voucher.redeemed_fen IS 'What it took off; returned_fen of that came back with refunds';
COMMENT ON COLUMN vouchers_voucher.granted_by IS 'The payment or load that it was given with';
CREATE UNIQUE INDEX vouchers_voucher_code ON vouchers_voucher (slot, code_lookup, book_id) WHERE code_lookup IS NOT NULL;
CREATE INDEX vouchers_voucher_holder ON vouchers_voucher (slot, holder_id, id) WHERE holder_id IS NOT NULL;
CREATE INDEX vouchers_voucher_stock ON vouchers_voucher (slot, template_id, id) WHERE status = 'issued';
CREATE INDEX vouchers_voucher_batch ON vouchers_voucher (slot, batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX vouchers_voucher_ending ON vouchers_voucher (slot, valid_until)
  WHERE status IN ('issued', 'held') AND valid_until IS NOT NULL;
CREATE INDEX vouchers_voucher_locked ON vouchers_voucher (slot, locked_until) WHERE status = 'locked';
CREATE INDEX vouchers_voucher_granted ON vouchers_voucher (slot, granted_by) WHERE granted_by IS NOT NULL;

CREATE TABLE vouchers_claimed (
  slot        smallint NOT NULL,
  holder_id   uuid     NOT NULL,
  template_id uuid     NOT NULL,
  book_id     integer  NOT NULL,
  claimed     integer  NOT NULL,
  CONSTRAINT vouchers_claimed_pkey PRIMARY KEY (slot, holder_id, template_id),
  CONSTRAINT vouchers_claimed_count CHECK (claimed >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE vouchers_claimed IS
  'How many vouchers of a template somebody has claimed; in the slot of the holder, so that the limit holds wherever the vouchers are';

CREATE TABLE vouchers_event (
  slot           smallint    NOT NULL,
  voucher_id     uuid        NOT NULL,
  id             uuid        NOT NULL,
  book_id        integer     NOT NULL,
  template_id    uuid        NOT NULL,
  kind           text        NOT NULL COLLATE "C",
  from_status    text        NOT NULL COLLATE "C",
  to_status      text        NOT NULL COLLATE "C",
  at             timestamptz NOT NULL,
  actor          text        NOT NULL COLLATE "C",
  holder_kind    text        COLLATE "C",
  holder_id      uuid,
  transaction_id uuid,
  amount_fen     bigint      NOT NULL,
  face_fen       bigint      NOT NULL,
  reason         text,
  CONSTRAINT vouchers_event_pkey PRIMARY KEY (slot, voucher_id, id)
);
COMMENT ON TABLE vouchers_event IS
  'What happened to vouchers after they were issued, each with an evidence leaf under its id; appended, never altered. A lock is no event: it ends in one, or in nothing';
CREATE INDEX vouchers_event_by_time ON vouchers_event (slot, book_id, at);

-- Write events with their leaves, one leaf for each. The serving role can write neither by itself.
CREATE FUNCTION vouchers_record_v1(
  p_slot smallint, p_at timestamptz, p_actor text, p_reason text, p_kind text,
  p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[],
  p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO vouchers_event (slot, voucher_id, id, book_id, template_id, kind, from_status, to_status, at, actor,
    holder_kind, holder_id, transaction_id, amount_fen, face_fen, reason)
  SELECT p_slot, e.voucher_id, e.id, e.book_id, e.template_id, p_kind, e.from_status, e.to_status, p_at, p_actor,
         e.holder_kind, e.holder_id, e.transaction_id, e.amount_fen, e.face_fen, p_reason
  FROM unnest(p_vouchers, p_ids, p_books, p_templates, p_from, p_to, p_holder_kinds, p_holders, p_transactions,
    p_amounts, p_faces) AS e (voucher_id, id, book_id, template_id, from_status, to_status, holder_kind, holder_id,
    transaction_id, amount_fen, face_fen);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, NULL FROM unnest(p_ids, p_leaves) AS l (id, leaf);
$$;

COMMENT ON TABLE evidence_leaf IS
  'RFC 9162 leaf hash of the canonical bytes of each transaction, approved change of rules, key of the log and change of a voucher';

GRANT SELECT, INSERT ON parties_funder, vouchers_template, vouchers_batch, vouchers_voucher, vouchers_claimed TO kaquan_app;
GRANT UPDATE (ended_at) ON vouchers_template TO kaquan_app;
GRANT UPDATE (issued_count, voucher_count, finished_at) ON vouchers_batch TO kaquan_app;
GRANT UPDATE (status, holder_kind, holder_id, code_lookup, code_sealed, valid_until, locked_by, locked_until, redeemed_by,
  redeemed_fen, returned_fen, version) ON vouchers_voucher TO kaquan_app;
GRANT UPDATE (claimed) ON vouchers_claimed TO kaquan_app;
GRANT SELECT ON vouchers_event TO kaquan_app;
GRANT SELECT, INSERT ON vouchers_event TO kaquan_ledger;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION vouchers_record_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION vouchers_record_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vouchers_record_v1 TO kaquan_app;
