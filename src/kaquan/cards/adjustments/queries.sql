-- name: insert_adjustment
INSERT INTO cards_adjustment (slot, id, book_id, card_id, pocket, direction, amount_fen, currency, reason, note,
  approval_id, made_by, made_at)
VALUES (%(slot)s, %(id)s, %(book_id)s, %(card_id)s, %(pocket)s, %(direction)s, %(amount_fen)s, %(currency)s, %(reason)s,
  %(note)s, %(approval_id)s, %(made_by)s, %(made_at)s);

-- name: adjustments
SELECT slot, id, book_id, card_id, pocket, direction, amount_fen, currency, reason, note, approval_id, made_by, made_at
FROM cards_adjustment
WHERE slot = %(slot)s AND book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND card_id = %(card_id)s  -- if card_id
  AND reason = %(reason)s  -- if reason
  AND direction = %(direction)s  -- if direction
  AND made_at > %(created_after)s  -- if created_after
  AND made_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;
