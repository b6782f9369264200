-- Cards of open sales are set aside on the card itself, so that nothing else is done with them; open sales end. What came
-- back to a replaced card that no living card follows is released to its holder. It takes
-- the lock of cards_card and sales_sale that excludes everybody until it commits: columns are added at once, and the index
-- is built in one walk over the cards, about a second per million.

ALTER TABLE cards_card ADD COLUMN sale_id uuid;
COMMENT ON COLUMN cards_card.sale_id IS 'The sale that it is set aside for, until that delivers it or ends';
UPDATE cards_card AS c SET sale_id = i.sale_id
FROM sales_item AS i
WHERE i.slot = c.slot AND i.card_id = c.id AND i.kind = 'sale' AND i.status IN ('reserved', 'failed')
  AND c.status = 'issued';
GRANT UPDATE (sale_id) ON cards_card TO kaquan_app;

ALTER TABLE sales_sale ADD COLUMN expires_at timestamptz;
COMMENT ON COLUMN sales_sale.expires_at IS 'When it ends if nothing of it is paid by then; null: never';
CREATE INDEX sales_sale_open ON sales_sale (expires_at) WHERE status = 'open' AND paid_fen = 0;

-- What was swept is looked for again when its card was replaced.
CREATE INDEX closing_expired_lot_kept ON closing_expired_lot (slot, card_id, transaction_id)
  WHERE returned_fen < amount_fen;

CREATE TABLE closing_release (
  slot           smallint    NOT NULL,
  transaction_id uuid        NOT NULL,
  book_id        integer     NOT NULL,
  card_id        uuid        NOT NULL,
  amount_fen     bigint      NOT NULL,
  given_fen      bigint      NOT NULL,
  reason         text        NOT NULL,
  approval_id    uuid        NOT NULL,
  released_by    uuid        NOT NULL,
  released_at    timestamptz NOT NULL,
  CONSTRAINT closing_release_pkey PRIMARY KEY (slot, transaction_id),
  CONSTRAINT closing_release_amounts CHECK (amount_fen >= 0 AND given_fen >= 0 AND amount_fen + given_fen > 0)
);
COMMENT ON TABLE closing_release IS
  'What left a replaced card without a living successor: amount_fen is owed to its holder, given_fen was not paid for';
GRANT SELECT, INSERT ON closing_release TO kaquan_app;

ALTER TABLE sales_sale ADD COLUMN review text COLLATE "C";
ALTER TABLE sales_sale ADD CONSTRAINT sales_sale_review CHECK (
  review IN ('pending', 'cleared') AND (review <> 'pending' OR paid_fen = 0));
COMMENT ON COLUMN sales_sale.review IS 'The buyer is on a list that asks for it: pending until two have looked';
GRANT UPDATE (review) ON sales_sale TO kaquan_app;

-- Lists of people and organisations that nothing is sold to, or not before somebody has looked. Reference data of a book.
CREATE TABLE sales_list (
  book_id     integer     NOT NULL,
  id          uuid        NOT NULL,
  name        text        NOT NULL,
  source      text        NOT NULL,
  listed_on   date        NOT NULL,
  action      text        NOT NULL COLLATE "C",
  status      text        NOT NULL COLLATE "C",
  entry_count integer     NOT NULL,
  sha256      text        NOT NULL COLLATE "C",
  key_id      text        NOT NULL COLLATE "C",
  made_by     text        NOT NULL COLLATE "C",
  made_at     timestamptz NOT NULL,
  applied_at  timestamptz,
  ended_at    timestamptz,
  CONSTRAINT sales_list_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT sales_list_action CHECK (action IN ('refuse', 'review')),
  CONSTRAINT sales_list_status CHECK (status IN ('checked', 'active', 'ended'))
);
CREATE UNIQUE INDEX sales_list_in_force ON sales_list (book_id, name) WHERE status = 'active';
COMMENT ON COLUMN sales_list.key_id IS 'The look-up key of its entries: when that is gone the list is uploaded again';

CREATE TABLE sales_list_entry (
  book_id         integer NOT NULL,
  list_id         uuid    NOT NULL,
  line            integer NOT NULL,
  name_lookup     uuid,
  document_lookup uuid,
  CONSTRAINT sales_list_entry_pkey PRIMARY KEY (book_id, list_id, line),
  CONSTRAINT sales_list_entry_says CHECK (name_lookup IS NOT NULL OR document_lookup IS NOT NULL)
);
COMMENT ON TABLE sales_list_entry IS 'Keyed hashes of what a line says: nobody reads a list here';
CREATE INDEX sales_list_entry_name ON sales_list_entry (book_id, name_lookup) WHERE name_lookup IS NOT NULL;
CREATE INDEX sales_list_entry_document ON sales_list_entry (book_id, document_lookup) WHERE document_lookup IS NOT NULL;
GRANT SELECT, INSERT ON sales_list, sales_list_entry TO kaquan_app;
GRANT UPDATE (status, applied_at, ended_at) ON sales_list TO kaquan_app;
