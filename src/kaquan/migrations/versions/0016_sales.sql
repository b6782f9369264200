-- Sales of cards and top-ups: what was bought, by whom, with what it was paid, and which cards it became. The register of
-- purchasers that the law asks for is these rows. New tables only; locks nothing that is there.

-- One purchase: of cards (sale) or onto a card (top_up). Not of a slot: it is about a buyer, and of many cards.
CREATE TABLE sales_sale (
  book_id          integer     NOT NULL,
  id               uuid        NOT NULL,
  kind             text        NOT NULL COLLATE "C",
  status           text        NOT NULL COLLATE "C",
  issuer_id        uuid        NOT NULL,
  currency         text        NOT NULL COLLATE "C",
  channel          text        NOT NULL COLLATE "C",
  buyer            text        NOT NULL COLLATE "C",
  customer_id      uuid,
  agent_id         uuid,
  contract_version text,
  reference        text,
  lines            jsonb       NOT NULL,
  card_count       integer     NOT NULL,
  face_fen         bigint      NOT NULL,
  price_fen        bigint      NOT NULL,
  unregistered_fen bigint      NOT NULL,
  paid_fen         bigint      NOT NULL DEFAULT 0,
  real_name_rule   text        COLLATE "C",
  alerts           text[]      NOT NULL COLLATE "C",
  purchaser_sealed bytea,
  keep_until       timestamptz,
  erased_at        timestamptz,
  made_by          text        NOT NULL COLLATE "C",
  created_at       timestamptz NOT NULL,
  paid_at          timestamptz,
  delivered_at     timestamptz,
  ended_at         timestamptz,
  end_reason       text,
  key_hash         uuid        NOT NULL,
  request_hash     bytea       NOT NULL,
  end_key_hash     uuid,
  version          integer     NOT NULL DEFAULT 0,
  CONSTRAINT sales_sale_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT sales_sale_key UNIQUE (book_id, key_hash),
  CONSTRAINT sales_sale_kind CHECK (kind IN ('sale', 'top_up')),
  CONSTRAINT sales_sale_status CHECK (status IN ('open', 'paid', 'delivered', 'refunded', 'cancelled')),
  CONSTRAINT sales_sale_channel CHECK (channel IN ('counter', 'remote')),
  CONSTRAINT sales_sale_buyer CHECK (buyer IN ('person', 'organisation')),
  CONSTRAINT sales_sale_amounts CHECK (card_count > 0 AND price_fen > 0 AND price_fen <= face_fen
    AND unregistered_fen BETWEEN 0 AND face_fen AND paid_fen BETWEEN 0 AND price_fen),
  CONSTRAINT sales_sale_paid CHECK (status IN ('open', 'cancelled') OR (paid_fen = price_fen AND paid_at IS NOT NULL)),
  CONSTRAINT sales_sale_ended CHECK ((status IN ('refunded', 'cancelled')) = (ended_at IS NOT NULL)),
  CONSTRAINT sales_sale_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer (book_id, id)
) WITH (fillfactor = 85);
COMMENT ON TABLE sales_sale IS 'Purchases of cards and top-ups: the register of purchasers. Rows are never removed';
COMMENT ON COLUMN sales_sale.unregistered_fen IS
  'What of it buys value on unregistered cards, at face: what counts towards the buyer''s real-name line of the day';
COMMENT ON COLUMN sales_sale.real_name_rule IS 'The rule by which the buyer had to be identified; null: none';
COMMENT ON COLUMN sales_sale.keep_until IS
  'Until when what is personal of it is kept, by the rules of its day; then it is erased and the rest stays';
COMMENT ON COLUMN sales_sale.alerts IS 'Advisory rules that would have asked for more: somebody may want to look';
COMMENT ON COLUMN sales_sale.purchaser_sealed IS
  'Name, document and phone of buyer and agent as they were at the purchase, sealed; kept where the law asks for it';
CREATE INDEX sales_sale_by_buyer ON sales_sale (book_id, customer_id, created_at) WHERE customer_id IS NOT NULL;
CREATE INDEX sales_sale_by_reference ON sales_sale (book_id, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX sales_sale_undelivered ON sales_sale (paid_at) WHERE status = 'paid';
CREATE INDEX sales_sale_to_erase ON sales_sale (keep_until) WHERE erased_at IS NULL;

-- A buyer whose purchases of a day are being judged: whoever wrote first makes the others judge again.
CREATE TABLE sales_buyer (
  book_id     integer NOT NULL,
  customer_id uuid    NOT NULL,
  version     bigint  NOT NULL DEFAULT 0,
  CONSTRAINT sales_buyer_pkey PRIMARY KEY (book_id, customer_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE sales_buyer IS 'The version of what a buyer has bought: it moves with each purchase';

CREATE TABLE sales_item (
  slot         smallint    NOT NULL,
  card_id      uuid        NOT NULL,
  sale_id      uuid        NOT NULL,
  book_id      integer     NOT NULL,
  kind         text        NOT NULL COLLATE "C",
  line         integer     NOT NULL,
  face_fen     bigint      NOT NULL,
  price_fen    bigint      NOT NULL,
  status       text        NOT NULL COLLATE "C" DEFAULT 'reserved',
  tries        integer     NOT NULL DEFAULT 0,
  failure      text        COLLATE "C",
  load_id      uuid,
  refund_id    uuid,
  delivered_at timestamptz,
  CONSTRAINT sales_item_pkey PRIMARY KEY (slot, card_id, sale_id),
  CONSTRAINT sales_item_kind CHECK (kind IN ('sale', 'top_up')),
  CONSTRAINT sales_item_amounts CHECK (price_fen > 0 AND price_fen <= face_fen),
  CONSTRAINT sales_item_status CHECK (status IN ('reserved', 'failed', 'delivered', 'refunded', 'released')),
  CONSTRAINT sales_item_loaded CHECK (status <> 'delivered' OR load_id IS NOT NULL)
) WITH (fillfactor = 85);
COMMENT ON TABLE sales_item IS 'A card of a purchase: what is to be on it, what of that is paid, and the load that it became';
COMMENT ON COLUMN sales_item.failure IS 'The code for which it could not be delivered; it is tried again when somebody asks';
-- A card is sold once: also when two sales name it at one moment. Only a sale that was cancelled gives it back.
CREATE UNIQUE INDEX sales_item_sold ON sales_item (slot, card_id) WHERE kind = 'sale' AND status <> 'released';
CREATE INDEX sales_item_by_sale ON sales_item (slot, sale_id, card_id);

CREATE TABLE sales_payment (
  book_id         integer     NOT NULL,
  sale_id         uuid        NOT NULL,
  id              uuid        NOT NULL,
  method          text        NOT NULL COLLATE "C",
  amount_fen      bigint      NOT NULL,
  accounts_sealed bytea,
  payer_last4     text        COLLATE "C",
  reference       text,
  made_by         text        NOT NULL COLLATE "C",
  key_hash        uuid        NOT NULL,
  request_hash    bytea       NOT NULL,
  paid_at         timestamptz NOT NULL,
  CONSTRAINT sales_payment_pkey PRIMARY KEY (book_id, sale_id, id),
  CONSTRAINT sales_payment_key UNIQUE (book_id, key_hash),
  CONSTRAINT sales_payment_method CHECK (method IN ('cash', 'bank_transfer', 'debit_card', 'credit_card', 'online')),
  CONSTRAINT sales_payment_amount CHECK (amount_fen > 0)
);
COMMENT ON COLUMN sales_payment.accounts_sealed IS
  'Holder, number and bank of the payer''s account and of the one that received it, sealed to the payment';

GRANT SELECT, INSERT ON sales_sale, sales_item, sales_payment, sales_buyer TO kaquan_app;
GRANT UPDATE (status, paid_fen, paid_at, delivered_at, ended_at, end_reason, end_key_hash, purchaser_sealed,
  erased_at, version)
  ON sales_sale TO kaquan_app;
GRANT UPDATE (version) ON sales_buyer TO kaquan_app;
GRANT UPDATE (status, tries, failure, load_id, refund_id, delivered_at) ON sales_item TO kaquan_app;
GRANT UPDATE (accounts_sealed) ON sales_payment TO kaquan_app;
