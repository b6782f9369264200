-- name: find_checkpoint_before
SELECT size, note FROM evidence_checkpoint WHERE signed_at <= %(at)s - %(margin)s ORDER BY size DESC LIMIT 1;

-- name: find_checkpoint_after
SELECT size, note FROM evidence_checkpoint WHERE signed_at >= %(at)s + %(margin)s ORDER BY size LIMIT 1;

-- name: checkpoints_between
SELECT size, note FROM evidence_checkpoint WHERE size > %(old)s AND size <= %(new)s ORDER BY size;

-- name: entries_between
SELECT log_index, slot, transaction_id FROM evidence_entry
WHERE log_index >= %(start)s AND log_index < %(end)s ORDER BY log_index;

-- name: transactions
-- Transactions as their leaves state them, of one book if one is named.
SELECT t.slot, t.id, t.book_id, t.kind, t.related_id, t.place_id, t.reference, t.effective_at, t.recorded_at,
       t.request_key, l.leaf_hash, l.salt, l.commitment, d.hash,
       (SELECT '[' || string_agg(
                 '[' || e.leg || ',"' || e.effect || '",' || e.debit_account || ',' || coalesce(e.debit_lot::text, 'null')
                 || ',' || e.credit_account || ',' || coalesce(e.credit_lot::text, 'null') || ',' || e.amount_fen || ']',
                 ',' ORDER BY e.leg) || ']'
        FROM ledger_entry AS e WHERE e.slot = t.slot AND e.transaction_id = t.id)
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN ledger_transaction AS t ON t.slot = asked.slot AND t.id = asked.id
LEFT JOIN evidence_leaf AS l ON l.slot = t.slot AND l.transaction_id = t.id
LEFT JOIN ledger_detail AS d ON d.slot = t.slot AND d.transaction_id = t.id
WHERE t.book_id = %(book_id)s  -- if book_id
;

-- name: changes
SELECT c.id, c.book_id, c.issuer_id, c.note, c.added::text, c.ended::text, c.proposed_by, c.proposed_at, d.decided_by,
       d.decided_at, d.version, d.slot, l.leaf_hash
FROM policy_decision AS d
JOIN policy_change AS c ON c.id = d.change_id
LEFT JOIN evidence_leaf AS l ON l.slot = d.slot AND l.transaction_id = c.id
WHERE d.decision = 'approved' AND c.id = ANY (%(ids)s::uuid[])
  AND c.book_id = %(book_id)s  -- if book_id
;

-- name: changes_of_vouchers
SELECT v.slot, v.id, v.voucher_id, v.book_id, v.template_id, v.kind, v.from_status, v.to_status, v.holder_kind, v.holder_id,
       v.transaction_id, v.amount_fen, v.face_fen, v.at, v.actor, v.reason, l.salt, l.commitment, l.leaf_hash
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN evidence_leaf AS l ON l.slot = asked.slot AND l.transaction_id = asked.id
JOIN vouchers_event AS v ON v.slot = asked.slot AND v.id = asked.id
WHERE v.book_id = %(book_id)s  -- if book_id
;

-- name: events_of_log
SELECT e.slot, e.id, e.card_id, e.book_id, e.kind, e.status, e.version, e.at, e.actor, e.reason, e.details, l.leaf_hash,
       l.salt, l.commitment
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN evidence_leaf AS l ON l.slot = asked.slot AND l.transaction_id = asked.id
JOIN cards_event AS e ON e.slot = asked.slot AND e.id = asked.id
WHERE e.book_id = %(book_id)s  -- if book_id
;

-- name: issues
SELECT i.slot, i.id, i.book_id, i.kind, i.of_id, i.batch_id, i.terms, i.at, i.ids, i.last4, l.leaf_hash
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN evidence_leaf AS l ON l.slot = asked.slot AND l.transaction_id = asked.id
JOIN evidence_issue AS i ON i.slot = asked.slot AND i.id = asked.id
WHERE i.book_id = %(book_id)s  -- if book_id
;

-- name: starts
SELECT s.slot, s.id, s.what, s.size, s.hash, s.at, l.leaf_hash
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN evidence_leaf AS l ON l.slot = asked.slot AND l.transaction_id = asked.id
JOIN evidence_start AS s ON s.slot = asked.slot AND s.id = asked.id;

-- name: keys
SELECT k.id, k.public_key, k.replaces, k.added_at, k.slot, l.leaf_hash
FROM evidence_key AS k
LEFT JOIN evidence_leaf AS l ON l.slot = k.slot AND l.transaction_id = k.id
WHERE k.id = ANY (%(ids)s::uuid[]);

-- name: indexes
-- Where transactions stand in the log; null for those that have no index yet.
SELECT n.log_index, asked.slot, asked.id
FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
LEFT JOIN evidence_entry AS n ON n.slot = asked.slot AND n.transaction_id = asked.id;

-- name: book_of_card
SELECT book_id FROM cards_card WHERE slot = %(slot)s AND id = %(id)s;

-- name: book_of_sale
SELECT book_id FROM sales_sale WHERE id = %(id)s AND kind = %(kind)s;

-- name: book_of_batch
SELECT book_id FROM cards_batch WHERE id = %(id)s;

-- name: book_of_transaction
SELECT book_id FROM ledger_transaction WHERE slot = %(slot)s AND id = %(id)s;

-- name: transactions_of_cards
-- What ever moved value of these cards.
SELECT t.slot, t.id
FROM (
  SELECT e.transaction_id FROM ledger_account AS a JOIN ledger_entry AS e ON e.debit_account = a.id
  WHERE a.slot = %(slot)s AND a.book_id = %(book_id)s AND a.owner_id = ANY (%(ids)s::uuid[]) AND e.slot = %(slot)s
  UNION
  SELECT e.transaction_id FROM ledger_account AS a JOIN ledger_entry AS e ON e.credit_account = a.id
  WHERE a.slot = %(slot)s AND a.book_id = %(book_id)s AND a.owner_id = ANY (%(ids)s::uuid[]) AND e.slot = %(slot)s
) AS touched
JOIN ledger_transaction AS t ON t.slot = %(slot)s AND t.id = touched.transaction_id
LIMIT %(limit)s;

-- name: transactions_of_chain
-- A transaction, what it goes back to, and what goes back to it.
WITH RECURSIVE up AS (
  SELECT id, related_id FROM ledger_transaction WHERE slot = %(slot)s AND book_id = %(book_id)s AND id = %(id)s
  UNION
  SELECT t.id, t.related_id FROM up JOIN ledger_transaction AS t
    ON t.slot = %(slot)s AND t.book_id = %(book_id)s AND t.id = up.related_id
), down AS (
  SELECT id FROM up
  UNION
  SELECT t.id FROM down JOIN ledger_transaction AS t
    ON t.slot = %(slot)s AND t.book_id = %(book_id)s AND t.related_id = down.id
)
SELECT %(slot)s::smallint, id FROM down LIMIT %(limit)s;

-- name: transactions_of_sale
SELECT i.slot, v.id FROM sales_item AS i CROSS JOIN LATERAL (VALUES (i.load_id), (i.refund_id)) AS v (id)
WHERE i.slot = %(slot)s AND i.sale_id = %(id)s AND i.book_id = %(book_id)s AND v.id IS NOT NULL LIMIT %(limit)s;

-- name: cards_of_batch
SELECT slot, id FROM cards_card WHERE slot = %(slot)s AND batch_id = %(id)s AND book_id = %(book_id)s LIMIT %(limit)s;

-- name: events_of_cards
-- What happened to cards, and whether each event is in the log: those from before it had them are not.
SELECT EXISTS (SELECT FROM evidence_leaf AS l WHERE l.slot = e.slot AND l.transaction_id = e.id),
       e.id, e.card_id, e.kind, e.at, e.actor, e.reason, e.status, e.version, e.details::text
FROM cards_event AS e
WHERE e.slot = %(slot)s AND e.card_id = ANY (%(ids)s::uuid[]) AND e.book_id = %(book_id)s
ORDER BY e.at, e.id LIMIT %(limit)s;

-- name: issues_of_cards
-- An issue is dated as its cards are.
SELECT DISTINCT i.slot, i.id FROM cards_card AS c
JOIN evidence_issue AS i ON i.slot = c.slot AND i.at = c.created_at AND i.kind = 'card'
WHERE c.slot = %(slot)s AND c.id = ANY (%(ids)s::uuid[]) AND c.book_id = %(book_id)s AND i.book_id = c.book_id
  AND i.batch_id IS NOT DISTINCT FROM c.batch_id AND c.id = ANY (i.ids)
LIMIT %(limit)s;

-- name: issues_of_batch
SELECT slot, id FROM evidence_issue
WHERE slot = %(slot)s AND kind = 'card' AND book_id = %(book_id)s AND batch_id = %(id)s
  AND at >= (SELECT created_at FROM cards_batch WHERE id = %(id)s)
LIMIT %(limit)s;

-- name: issue_of_voucher
SELECT i.slot, i.id FROM vouchers_voucher AS v
JOIN evidence_issue AS i ON i.slot = v.slot AND i.at = v.created_at AND i.kind = 'voucher'
WHERE v.slot = %(slot)s AND v.id = %(id)s AND v.book_id = %(book_id)s AND i.book_id = v.book_id AND v.id = ANY (i.ids);

-- name: book_of_voucher
SELECT book_id FROM vouchers_voucher WHERE slot = %(slot)s AND id = %(id)s;

-- name: events_of_voucher
SELECT slot, id, transaction_id FROM vouchers_event
WHERE slot = %(slot)s AND voucher_id = %(id)s AND book_id = %(book_id)s ORDER BY id LIMIT %(limit)s;

-- name: batch
SELECT id, programme_id, form, card_count, issued_count, created_at, finished_at FROM cards_batch WHERE id = %(id)s;

-- name: sale
SELECT id, kind, status, issuer_id, currency, channel, buyer, card_count, face_fen, price_fen, created_at, paid_at,
       delivered_at, ended_at, end_reason
FROM sales_sale WHERE book_id = %(book_id)s AND id = %(id)s;

-- name: payments_of_sale
SELECT id, method, amount_fen, paid_at FROM sales_payment
WHERE book_id = %(book_id)s AND sale_id = %(id)s ORDER BY paid_at, id LIMIT %(limit)s;

-- name: items_of_sale
SELECT card_id, line, face_fen, price_fen, status, delivered_at FROM sales_item
WHERE slot = %(slot)s AND sale_id = %(id)s AND book_id = %(book_id)s ORDER BY line, card_id LIMIT %(limit)s;
