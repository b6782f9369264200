"""Vouchers that were paid into cards against the ledger: their face value moved, once, from who pays for it."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="voucher_loads",
    proves_en="Every voucher that was paid into a card moved just its face value from the accounts of who pays for it "
    "into a pocket, once; nothing else moved as a voucher.",
    proves_zh="每张充入购物卡的券均按面值从出资方账户划入卡户一次；此外没有以券充入名义发生的划转。",
    reading_en="expected is the face value of the voucher, actual what the ledger moved.",
    reading_zh="expected 为券面值，actual 为账本所记金额。",
    counts="loaded vouchers",
    count_sql="SELECT count(*) FROM vouchers_voucher WHERE status = 'loaded'",
    sql="""
WITH moved AS (
  SELECT t.book_id, t.related_id AS voucher_id, count(DISTINCT t.id) AS times, sum(e.amount_fen) AS amount_fen
  FROM ledger_transaction AS t
  JOIN ledger_entry AS e ON e.slot = t.slot AND e.transaction_id = t.id AND e.effect = 'post'
  JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account AND d.kind = 'voucher_funding'
  WHERE t.kind = 'voucher_load' GROUP BY t.book_id, t.related_id
)
SELECT v.slot, coalesce(v.book_id, m.book_id) AS book_id, coalesce(v.id, m.voucher_id) AS voucher_id,
       'loaded' AS what, '1 × ' || coalesce(v.face_fen, 0) AS expected,
       coalesce(m.times, 0) || ' × ' || coalesce(m.amount_fen, 0) AS actual
FROM (SELECT slot, id, book_id, face_fen FROM vouchers_voucher WHERE status = 'loaded') AS v
FULL JOIN moved AS m ON m.book_id = v.book_id AND m.voucher_id = v.id
WHERE v.id IS NULL OR m.voucher_id IS NULL OR m.times <> 1 OR m.amount_fen <> v.face_fen
""",
)
