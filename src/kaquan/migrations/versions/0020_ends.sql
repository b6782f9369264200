-- The end of whole programmes: the decision of two, where it was announced, who was told, whom to refund. Fees beside
-- that of replacement. New tables; the changes of cards_fee, cards_batch and sales_item take a lock for a moment, since a
-- column with a constant default is not written to the rows that are there; that of sales_sale takes one for as long as it is read.

CREATE TABLE cards_programme_end (
  id                uuid        NOT NULL,
  book_id           integer     NOT NULL,
  programme_id      uuid        NOT NULL,
  stops_at          timestamptz NOT NULL,
  last_day          date        NOT NULL,
  ends_at           timestamptz NOT NULL,
  reason            text        NOT NULL,
  announcement      text        NOT NULL,
  notice_days       integer,
  notice_rule       text        COLLATE "C",
  notice_source     text,
  announced_by      text        NOT NULL COLLATE "C",
  approval_id       uuid,
  announced_at      timestamptz NOT NULL,
  withdrawn_by      text        COLLATE "C",
  withdrawal_reason text,
  withdrawn_at      timestamptz,
  stop_told_at      timestamptz,
  end_told_at       timestamptz,
  CONSTRAINT cards_programme_end_pkey PRIMARY KEY (id),
  CONSTRAINT cards_programme_end_programme FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id),
  CONSTRAINT cards_programme_end_in_order CHECK (announced_at < stops_at AND stops_at < ends_at),
  CONSTRAINT cards_programme_end_withdrawn CHECK (
    (withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawal_reason IS NULL)
    AND (withdrawn_at IS NULL OR withdrawn_at < stops_at))
);
COMMENT ON TABLE cards_programme_end IS
  'Decisions to end a programme: from stops_at on nothing is sold, issued, activated or loaded, after last_day nothing is spent';
COMMENT ON COLUMN cards_programme_end.ends_at IS 'The end of last_day where the issuer is';
COMMENT ON COLUMN cards_programme_end.notice_days IS
  'Days of public notice that bound the decision, by notice_rule; null: no rule and no clause asked for any';
CREATE UNIQUE INDEX cards_programme_end_one ON cards_programme_end (programme_id) WHERE withdrawn_at IS NULL;
CREATE INDEX cards_programme_end_book ON cards_programme_end (book_id, id);

CREATE TABLE closing_end_publication (
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  end_id       uuid        NOT NULL,
  medium       text        NOT NULL,
  reference    text        NOT NULL,
  published_on date        NOT NULL,
  noted_by     text        NOT NULL COLLATE "C",
  noted_at     timestamptz NOT NULL,
  CONSTRAINT closing_end_publication_pkey PRIMARY KEY (id),
  CONSTRAINT closing_end_publication_once UNIQUE (end_id, medium, reference),
  CONSTRAINT closing_end_publication_end FOREIGN KEY (end_id) REFERENCES cards_programme_end (id)
);
COMMENT ON TABLE closing_end_publication IS
  'Where the end of a programme was made public: what holders of unregistered cards, whom nobody knows, were told';

CREATE TABLE closing_end_notice (
  slot        smallint    NOT NULL,
  end_id      uuid        NOT NULL,
  card_id     uuid        NOT NULL,
  occasion    text        NOT NULL COLLATE "C",
  days        integer     NOT NULL,
  book_id     integer     NOT NULL,
  customer_id uuid        NOT NULL,
  notice_id   uuid        NOT NULL,
  told_at     timestamptz NOT NULL,
  CONSTRAINT closing_end_notice_pkey PRIMARY KEY (slot, end_id, card_id, occasion, days),
  CONSTRAINT closing_end_notice_occasion CHECK (occasion IN ('announced', 'reminder', 'withdrawn'))
);
COMMENT ON TABLE closing_end_notice IS 'Who of the holders was told of the end of a programme, and by which notice';
COMMENT ON COLUMN closing_end_notice.days IS 'Of a reminder: so many days before the last day; else 0';

CREATE TABLE closing_end_payee (
  slot          smallint    NOT NULL,
  card_id       uuid        NOT NULL,
  id            uuid        NOT NULL,
  end_id        uuid        NOT NULL,
  book_id       integer     NOT NULL,
  payee_sealed  bytea       NOT NULL,
  account_last4 text        COLLATE "C",
  key_id        uuid,
  operator_id   uuid,
  given_at      timestamptz NOT NULL,
  failure       text        COLLATE "C",
  tried_at      timestamptz,
  CONSTRAINT closing_end_payee_pkey PRIMARY KEY (slot, card_id),
  CONSTRAINT closing_end_payee_person CHECK (key_id IS NOT NULL OR operator_id IS NOT NULL),
  CONSTRAINT closing_end_payee_failure CHECK (failure IS NULL OR tried_at IS NOT NULL)
);
COMMENT ON TABLE closing_end_payee IS
  'To whom the rest of a card is paid when its programme has ended: the job closes the card for its refund';
COMMENT ON COLUMN closing_end_payee.payee_sealed IS
  'Name, account number and bank, under authenticated encryption, bound to the id';
COMMENT ON COLUMN closing_end_payee.failure IS 'Why the last try to refund the card was refused; null: not tried yet, or done';
CREATE INDEX closing_end_payee_end ON closing_end_payee (slot, end_id, card_id);

GRANT SELECT, INSERT ON cards_programme_end, closing_end_publication, closing_end_notice, closing_end_payee TO kaquan_app;
GRANT UPDATE (withdrawn_by, withdrawal_reason, withdrawn_at, stop_told_at, end_told_at) ON cards_programme_end TO kaquan_app;
GRANT UPDATE (id, end_id, payee_sealed, account_last4, key_id, operator_id, given_at, failure, tried_at)
  ON closing_end_payee TO kaquan_app;
-- so that `kaquan vault reseal` brings payees under new keys
GRANT UPDATE (payee_sealed) ON closing_payout TO kaquan_app;

-- Only a replacement has a transfer.
ALTER TABLE cards_fee ALTER COLUMN transfer_id DROP NOT NULL;

CREATE TABLE closing_dormancy_fee (
  slot        smallint    NOT NULL,
  card_id     uuid        NOT NULL,
  month       date        NOT NULL,
  book_id     integer     NOT NULL,
  amount_fen  bigint      NOT NULL,
  notice_id   uuid        NOT NULL,
  told_at     timestamptz NOT NULL,
  fee_id      uuid,
  failure     text        COLLATE "C",
  settled_at  timestamptz,
  CONSTRAINT closing_dormancy_fee_pkey PRIMARY KEY (slot, card_id, month),
  CONSTRAINT closing_dormancy_fee_month CHECK (extract(day FROM month) = 1),
  CONSTRAINT closing_dormancy_fee_amount CHECK (amount_fen > 0),
  CONSTRAINT closing_dormancy_fee_settled CHECK (
    (settled_at IS NULL) = (fee_id IS NULL AND failure IS NULL) AND (fee_id IS NULL OR failure IS NULL))
);
COMMENT ON TABLE closing_dormancy_fee IS
  'Months for which a card that nobody uses is to pay: told in the month before, charged once or not at all';
COMMENT ON COLUMN closing_dormancy_fee.failure IS 'Why nothing was charged for this month';
GRANT SELECT, INSERT ON closing_dormancy_fee TO kaquan_app;
GRANT UPDATE (fee_id, failure, settled_at) ON closing_dormancy_fee TO kaquan_app;

-- What is paid beside the price of the value.
ALTER TABLE sales_sale ADD COLUMN fee_fen bigint NOT NULL DEFAULT 0;
ALTER TABLE sales_item ADD COLUMN fee_fen bigint NOT NULL DEFAULT 0;
ALTER TABLE sales_sale DROP CONSTRAINT sales_sale_amounts, DROP CONSTRAINT sales_sale_paid,
  ADD CONSTRAINT sales_sale_amounts CHECK (card_count > 0 AND price_fen > 0 AND price_fen <= face_fen AND fee_fen >= 0
    AND unregistered_fen BETWEEN 0 AND face_fen AND paid_fen BETWEEN 0 AND price_fen + fee_fen),
  ADD CONSTRAINT sales_sale_paid CHECK (
    status IN ('open', 'cancelled') OR (paid_fen = price_fen + fee_fen AND paid_at IS NOT NULL));
COMMENT ON COLUMN sales_sale.fee_fen IS 'Paid beside the price of the value, for the service: it never comes onto a card';

ALTER TABLE cards_batch ADD COLUMN face_fen bigint CONSTRAINT cards_batch_face CHECK (face_fen > 0);
COMMENT ON COLUMN cards_batch.face_fen IS 'The face value that its cards are made for, the only one they are sold with; null: any of their terms';
