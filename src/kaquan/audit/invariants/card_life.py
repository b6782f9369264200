"""Cards against the log of what happened to them, and against the cards before and after them."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="card_life",
    proves_en="Every card that was ever changed has the event that made it what it is; a replaced card and its "
    "successor name each other, and the replaced one holds nothing that did not come back to it later.",
    proves_zh="每张变更过的卡都有使其成为现状的事件；换卡前后两卡互相指向，旧卡除换卡后退回的金额外不再持有余额。",
    reading_en="what names the fact: expected is what the other side says, actual what the card says.",
    reading_zh="what 指明事实：expected 为另一方所载，actual 为该卡所载。",
    counts="cards",
    count_sql="SELECT count(*) FROM cards_card WHERE status <> 'issued'",
    sql="""
SELECT c.slot, c.book_id, c.id AS card_id, 'status by its last event' AS what, e.status AS expected,
       c.status AS actual
FROM cards_card AS c
LEFT JOIN cards_event AS e ON e.slot = c.slot AND e.card_id = c.id AND e.version = c.version
WHERE (c.version > 0 OR c.status <> 'issued') AND e.status IS DISTINCT FROM c.status
UNION ALL
SELECT c.slot, c.book_id, c.id, 'successor', 'one of its book that replaces it', c.replaced_by_id::text
FROM cards_card AS c
LEFT JOIN cards_card AS n ON n.id = c.replaced_by_id AND n.replaces_id = c.id AND n.book_id = c.book_id
WHERE c.status = 'replaced' AND n.id IS NULL
UNION ALL
SELECT c.slot, c.book_id, c.id, 'free balance once it was replaced', '0',
       (a.credits_posted - a.debits_posted - a.debits_pending)::text
FROM cards_card AS c
JOIN ledger_account AS a ON a.slot = c.slot AND a.owner_id = c.id
WHERE c.status = 'replaced' AND a.credits_posted - a.debits_posted > a.debits_pending
  AND NOT EXISTS (SELECT FROM cards_transfer AS t
                  WHERE t.slot = c.slot AND t.from_card_id = c.id AND t.status IN ('open', 'out'))
  -- what was refunded or given back since is on its way after it: then that was the last to move
  AND coalesce((
    SELECT t.kind FROM (
      (SELECT transaction_id FROM ledger_entry WHERE debit_account = a.id ORDER BY transaction_id DESC LIMIT 1)
      UNION ALL
      (SELECT transaction_id FROM ledger_entry WHERE credit_account = a.id ORDER BY transaction_id DESC LIMIT 1)
    ) AS l JOIN ledger_transaction AS t ON t.slot = c.slot AND t.id = l.transaction_id
    ORDER BY t.id DESC LIMIT 1), '') NOT IN ('refund', 'void', 'expiry', 'capture', 'lot_return')
""",
)
