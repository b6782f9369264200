-- Cards of open sales are set aside on the card itself, so that nothing else is done with them; open sales end. It takes
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
