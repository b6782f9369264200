-- Adjustments: what two operators put on a card or took from it by hand. Fees that
-- cards paid. And whose cards were, so that what the law asks
-- to keep of a person is known when they are forgotten. New tables; the index on cards_event takes a lock that changes of
-- cards wait for while it is built.

CREATE TABLE cards_adjustment (
  slot        smallint    NOT NULL,
  id          uuid        NOT NULL,
  book_id     integer     NOT NULL,
  card_id     uuid        NOT NULL,
  pocket      text        NOT NULL COLLATE "C",
  direction   text        NOT NULL COLLATE "C",
  amount_fen  bigint      NOT NULL,
  currency    text        NOT NULL COLLATE "C",
  reason      text        NOT NULL COLLATE "C",
  note        text        NOT NULL,
  approval_id uuid        NOT NULL,
  made_by     text        NOT NULL COLLATE "C",
  made_at     timestamptz NOT NULL,
  CONSTRAINT cards_adjustment_pkey PRIMARY KEY (slot, id),
  CONSTRAINT cards_adjustment_approval UNIQUE (slot, approval_id),
  CONSTRAINT cards_adjustment_direction CHECK (direction IN ('credit', 'debit')),
  CONSTRAINT cards_adjustment_amount CHECK (amount_fen > 0)
);
COMMENT ON TABLE cards_adjustment IS 'Corrections by hand, each with the approval that allowed it; the id is that of the transaction';
CREATE INDEX cards_adjustment_card ON cards_adjustment (slot, card_id, id);
CREATE INDEX cards_adjustment_book ON cards_adjustment (slot, book_id, id);

CREATE TABLE cards_fee (
  slot        smallint    NOT NULL,
  id          uuid        NOT NULL,
  book_id     integer     NOT NULL,
  card_id     uuid        NOT NULL,
  kind        text        NOT NULL COLLATE "C",
  amount_fen  bigint      NOT NULL,
  currency    text        NOT NULL COLLATE "C",
  transfer_id uuid        NOT NULL,
  charged_at  timestamptz NOT NULL,
  CONSTRAINT cards_fee_pkey PRIMARY KEY (slot, id),
  CONSTRAINT cards_fee_once UNIQUE (slot, transfer_id),
  CONSTRAINT cards_fee_amount CHECK (amount_fen > 0)
);
COMMENT ON TABLE cards_fee IS 'Fees that cards paid for a service; the id is that of the transaction';
COMMENT ON COLUMN cards_fee.transfer_id IS 'The transfer of the balance to the new card: a replacement is charged once';

CREATE INDEX cards_event_registered ON cards_event (slot, (details ->> 'customer_id')) WHERE kind = 'registered';

GRANT SELECT, INSERT ON cards_adjustment, cards_fee TO kaquan_app;
