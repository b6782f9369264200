-- name: insert_sale
INSERT INTO sales_sale (book_id, id, kind, status, issuer_id, currency, channel, buyer, customer_id, agent_id,
  contract_version, reference, lines, card_count, face_fen, price_fen, unregistered_fen, paid_fen, real_name_rule,
  alerts, purchaser_sealed, keep_until, made_by, created_at, paid_at, expires_at, key_hash, request_hash, fee_fen,
  review)
VALUES (%(book_id)s, %(id)s, %(kind)s, %(status)s, %(issuer_id)s, %(currency)s, %(channel)s, %(buyer)s,
  %(customer_id)s, %(agent_id)s, %(contract_version)s, %(reference)s, %(lines)s::jsonb, %(card_count)s, %(face_fen)s,
  %(price_fen)s, %(unregistered_fen)s, %(paid_fen)s, %(real_name_rule)s, %(alerts)s, %(purchaser_sealed)s,
  %(keep_until)s, %(made_by)s, %(created_at)s, %(paid_at)s, %(expires_at)s, %(key_hash)s, %(request_hash)s,
  %(fee_fen)s, %(review)s);

-- name: insert_items
INSERT INTO sales_item (slot, card_id, sale_id, book_id, kind, line, face_fen, price_fen, fee_fen)
SELECT i.slot, i.card_id, %(sale_id)s, %(book_id)s, %(kind)s, i.line, i.face_fen, i.price_fen, i.fee_fen
FROM unnest(%(slots)s::smallint[], %(card_ids)s::uuid[], %(lines)s::integer[], %(faces)s::bigint[],
            %(prices)s::bigint[], %(fees)s::bigint[]) AS i (slot, card_id, line, face_fen, price_fen, fee_fen);

-- name: first_purchase
INSERT INTO sales_buyer (book_id, customer_id) VALUES (%(book_id)s, %(customer_id)s)
ON CONFLICT ON CONSTRAINT sales_buyer_pkey DO NOTHING;

-- name: next_purchase
-- Not done when the buyer bought something since the purchase was judged: it is judged again.
UPDATE sales_buyer SET version = version + 1
WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s AND version = %(version)s;

-- name: buyer_version
SELECT version FROM sales_buyer WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s;

-- name: bought_today
-- Open purchases count too; those that were taken back do not.
SELECT count(*), coalesce(sum(unregistered_fen), 0)::bigint FROM sales_sale
WHERE book_id = %(book_id)s AND customer_id = %(customer_id)s AND issuer_id = %(issuer_id)s
  AND created_at >= %(from)s AND created_at < %(until)s AND unregistered_fen > 0
  AND status NOT IN ('refunded', 'cancelled');

-- name: sale
SELECT book_id, id, kind, status, issuer_id, currency, channel, buyer, customer_id, agent_id, contract_version,
       reference, lines, card_count, face_fen, price_fen, unregistered_fen, paid_fen, real_name_rule, alerts,
       purchaser_sealed, keep_until, erased_at, made_by, created_at, paid_at, delivered_at, ended_at, end_reason, key_hash,
       request_hash, end_key_hash, version, expires_at, fee_fen, review
FROM sales_sale
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND key_hash = %(key_hash)s  -- if key_hash
;

-- name: sales
SELECT book_id, id, kind, status, issuer_id, currency, channel, buyer, customer_id, agent_id, contract_version,
       reference, lines, card_count, face_fen, price_fen, unregistered_fen, paid_fen, real_name_rule, alerts,
       purchaser_sealed, keep_until, erased_at, made_by, created_at, paid_at, delivered_at, ended_at, end_reason, key_hash,
       request_hash, end_key_hash, version, expires_at, fee_fen, review
FROM sales_sale
WHERE book_id = %(book_id)s
  AND id < %(after_id)s  -- if after_id
  AND id IN (SELECT sale_id FROM sales_item WHERE slot = ANY (%(slots)s) AND card_id = %(card_id)s)  -- if card_id
  AND kind = %(kind)s  -- if kind
  AND status = %(status)s  -- if status
  AND customer_id = %(customer_id)s  -- if customer_id
  AND reference = %(reference)s  -- if reference
  AND created_at > %(created_after)s  -- if created_after
  AND created_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: undelivered_sales
-- Not those of which every card that lacks has failed: they wait for somebody to ask.
SELECT s.book_id, s.id FROM sales_sale s
WHERE s.status = 'paid'
  AND (s.kind = 'top_up'
    OR EXISTS (SELECT FROM sales_item i
               WHERE i.slot = ANY (%(slots)s::smallint[]) AND i.sale_id = s.id AND i.status = 'reserved')
    OR NOT EXISTS (SELECT FROM sales_item i
                   WHERE i.slot = ANY (%(slots)s::smallint[]) AND i.sale_id = s.id AND i.status = 'failed'))
ORDER BY s.paid_at LIMIT %(limit)s;

-- name: sales_over
SELECT book_id, id FROM sales_sale
WHERE status = 'open' AND paid_fen = 0 AND expires_at <= %(now)s ORDER BY expires_at LIMIT %(limit)s;

-- name: change_sale
UPDATE sales_sale
SET status = %(status)s, paid_fen = %(paid_fen)s, paid_at = %(paid_at)s, delivered_at = %(delivered_at)s,
    ended_at = %(ended_at)s, end_reason = %(end_reason)s, end_key_hash = %(end_key_hash)s, review = %(review)s,
    version = version + 1
WHERE book_id = %(book_id)s AND id = %(id)s AND version = %(version)s;

-- name: items
SELECT slot, card_id, sale_id, book_id, kind, line, face_fen, price_fen, status, tries, failure, load_id, refund_id,
  delivered_at, fee_fen
FROM sales_item
WHERE slot = ANY (%(slots)s::smallint[]) AND sale_id = %(sale_id)s AND book_id = %(book_id)s
  AND status = ANY (%(statuses)s)  -- if statuses
  AND card_id < %(after_id)s  -- if after_id
ORDER BY card_id DESC LIMIT %(limit)s;

-- name: item_counts
SELECT status, count(*) FROM sales_item
WHERE slot = ANY (%(slots)s::smallint[]) AND sale_id = %(sale_id)s AND book_id = %(book_id)s GROUP BY status;

-- name: deliver_item
UPDATE sales_item SET status = 'delivered', load_id = %(load_id)s, delivered_at = %(at)s, failure = NULL
WHERE slot = %(slot)s AND card_id = %(card_id)s AND sale_id = %(sale_id)s AND status = 'reserved';

-- name: fail_item
-- The next try has another key: the refusal of this one is kept under its own.
UPDATE sales_item SET status = 'failed', failure = %(failure)s, tries = tries + 1
WHERE slot = %(slot)s AND card_id = %(card_id)s AND sale_id = %(sale_id)s AND status = 'reserved' AND tries = %(tries)s;

-- name: retry_items
UPDATE sales_item SET status = 'reserved'
WHERE slot = ANY (%(slots)s::smallint[]) AND sale_id = %(sale_id)s AND status = 'failed';

-- name: release_items
UPDATE sales_item SET status = 'released'
WHERE slot = ANY (%(slots)s::smallint[]) AND sale_id = %(sale_id)s AND status IN ('reserved', 'failed');

-- name: refund_items
UPDATE sales_item i SET status = 'refunded', refund_id = r.refund_id
FROM unnest(%(slots)s::smallint[], %(card_ids)s::uuid[], %(refund_ids)s::uuid[]) AS r (slot, card_id, refund_id)
WHERE i.slot = r.slot AND i.card_id = r.card_id AND i.sale_id = %(sale_id)s;

-- name: cards_for_sale
-- Of a batch, the oldest that are issued and in no sale.
SELECT c.id FROM cards_card c
WHERE c.slot = ANY (%(slots)s::smallint[]) AND c.book_id = %(book_id)s AND c.batch_id = %(batch_id)s
  AND c.status = 'issued' AND c.customer_id IS NULL AND c.loss_reported_at IS NULL AND c.sale_id IS NULL
ORDER BY c.id LIMIT %(limit)s;

-- name: insert_payment
INSERT INTO sales_payment (book_id, sale_id, id, method, amount_fen, accounts_sealed, payer_last4, reference,
  made_by, key_hash, request_hash, paid_at)
VALUES (%(book_id)s, %(sale_id)s, %(id)s, %(method)s, %(amount_fen)s, %(accounts_sealed)s, %(payer_last4)s,
  %(reference)s, %(made_by)s, %(key_hash)s, %(request_hash)s, %(paid_at)s);

-- name: payments
SELECT book_id, sale_id, id, method, amount_fen, accounts_sealed, payer_last4, reference, made_by, key_hash,
       request_hash, paid_at
FROM sales_payment
WHERE book_id = %(book_id)s
  AND sale_id = %(sale_id)s  -- if sale_id
  AND key_hash = %(key_hash)s  -- if key_hash
ORDER BY id;

-- name: holdings
-- What is in the pockets of cards, lot by lot; a pocket without lots is one row.
SELECT a.owner_id, a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending, l.lot,
       l.origin_transaction_id, l.remaining_fen
FROM ledger_account a
LEFT JOIN ledger_lot l ON l.slot = a.slot AND l.account_id = a.id
WHERE a.slot = %(slot)s AND a.owner_id = ANY (%(card_ids)s::uuid[]) AND a.book_id = %(book_id)s AND a.lotted
ORDER BY a.id, l.lot;

-- name: not_empty
SELECT owner_id FROM ledger_account
WHERE slot = %(slot)s AND owner_id = ANY (%(card_ids)s::uuid[]) AND lotted
  AND (credits_posted <> debits_posted OR debits_pending <> 0) LIMIT 1;

-- name: purchasers_to_erase
SELECT book_id, id FROM sales_sale WHERE keep_until < %(now)s AND erased_at IS NULL ORDER BY keep_until LIMIT 100;

-- name: erase_purchaser
WITH erased AS (
  UPDATE sales_sale SET purchaser_sealed = NULL, erased_at = %(now)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND keep_until < %(now)s AND erased_at IS NULL
  RETURNING book_id, id
), accounts AS (
  UPDATE sales_payment p SET accounts_sealed = NULL
  FROM erased WHERE p.book_id = erased.book_id AND p.sale_id = erased.id
)
SELECT id FROM erased;

-- name: insert_list
INSERT INTO sales_list (book_id, id, name, source, listed_on, action, status, entry_count, sha256, key_id, made_by, made_at)
VALUES (%(book_id)s, %(id)s, %(name)s, %(source)s, %(listed_on)s, %(action)s, %(status)s, %(entry_count)s, %(sha256)s,
  %(key_id)s, %(made_by)s, %(made_at)s);

-- name: insert_entries
INSERT INTO sales_list_entry (book_id, list_id, line, name_lookup, document_lookup)
SELECT %(book_id)s, %(list_id)s, e.line, e.name, e.document
FROM unnest(%(lines)s::integer[], %(names)s::uuid[], %(documents)s::uuid[]) AS e (line, name, document);

-- name: lists
SELECT book_id, id, name, source, listed_on, action, status, entry_count, sha256, key_id, made_by, made_at, applied_at,
       ended_at
FROM sales_list
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND status = %(status)s  -- if status
  AND id < %(after_id)s  -- if after_id
ORDER BY id DESC LIMIT %(limit)s;

-- name: change_list
UPDATE sales_list SET status = %(status)s, applied_at = %(applied_at)s, ended_at = %(ended_at)s
WHERE book_id = %(book_id)s AND id = %(id)s AND status = %(before)s;

-- name: end_lists_named
UPDATE sales_list SET status = 'ended', ended_at = %(at)s
WHERE book_id = %(book_id)s AND name = %(name)s AND status = 'active';

-- name: list_hits
-- A document's number; or a name, where the line or the person has no document to tell namesakes apart by.
SELECT DISTINCT e.list_id FROM sales_list_entry e
JOIN sales_list l ON l.book_id = e.book_id AND l.id = e.list_id AND l.status = 'active'
WHERE e.book_id = %(book_id)s
  AND (e.document_lookup = ANY (%(documents)s::uuid[])
    OR (e.name_lookup = ANY (%(names)s::uuid[])
        AND (e.document_lookup IS NULL OR cardinality(%(documents)s::uuid[]) = 0)));
