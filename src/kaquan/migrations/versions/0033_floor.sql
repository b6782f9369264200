-- While a new release is rolled out, processes of the one before serve on its schema: they may where everything since
-- their own revision was only added. A revision that they could not live with raises the floor to itself, in its own
-- transaction: UPDATE schema_floor SET revision = '0099'. Only a table of one row is made: takes no lock that anybody
-- waits for.

CREATE TABLE schema_floor (
  row_id boolean NOT NULL DEFAULT true,
  revision text NOT NULL,
  CONSTRAINT schema_floor_pkey PRIMARY KEY (row_id),
  CONSTRAINT schema_floor_one CHECK (row_id)
);
COMMENT ON COLUMN schema_floor.revision IS 'the oldest revision whose release may serve on this schema';
INSERT INTO schema_floor (revision) VALUES ('0033');
GRANT SELECT ON schema_floor TO kaquan_app;

-- Events of a voucher are numbered as they happen: their ids are of the clocks of several servers, which differ. Those
-- of before have no number and come before those that have one, in the order of their ids. Takes the strongest lock on
-- vouchers_event for a moment.

ALTER TABLE vouchers_event ADD COLUMN number integer;
COMMENT ON COLUMN vouchers_event.number IS 'The how-manieth event of the voucher it is; null: from before they were numbered';

CREATE OR REPLACE FUNCTION vouchers_record_v2(
  p_slot smallint, p_at timestamptz, p_actor text, p_reason text, p_kind text,
  p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[],
  p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[],
  p_salts bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO vouchers_event (slot, voucher_id, id, book_id, template_id, kind, from_status, to_status, at, actor,
    holder_kind, holder_id, transaction_id, amount_fen, face_fen, reason, number)
  SELECT p_slot, e.voucher_id, e.id, e.book_id, e.template_id, p_kind, e.from_status, e.to_status, p_at, p_actor,
         e.holder_kind, e.holder_id, e.transaction_id, e.amount_fen, e.face_fen, p_reason,
         -- whoever records has changed the voucher in the same transaction, so nobody else records now
         (SELECT count(*) + 1 FROM vouchers_event AS x WHERE x.slot = p_slot AND x.voucher_id = e.voucher_id)
  FROM unnest(p_vouchers, p_ids, p_books, p_templates, p_from, p_to, p_holder_kinds, p_holders, p_transactions,
    p_amounts, p_faces) AS e (voucher_id, id, book_id, template_id, from_status, to_status, holder_kind, holder_id,
    transaction_id, amount_fen, face_fen);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, l.salt FROM unnest(p_ids, p_leaves, p_salts) AS l (id, leaf, salt);
$$;
