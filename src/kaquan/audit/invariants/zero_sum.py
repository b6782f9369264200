"""Double entry: what one account lost another gained."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="zero_sum",
    proves_en="The balances of all accounts of a book, a currency and a slot add up to zero, posted and pending.",
    proves_zh="同一账套、同一币种、同一分片槽内，所有账户的余额合计为零，已记账与冻结金额皆然。",
    reading_en="Value appeared (above zero) or vanished (below) in this book; the audit counters names the accounts.",
    reading_zh="该账套凭空多出（大于零）或少了（小于零）金额；具体账户见 counters。",
    counts="accounts",
    count_sql="SELECT count(*) FROM ledger_account",
    sql="""
SELECT s.slot, s.book_id, s.currency, v.what, 0 AS expected, v.actual
FROM (
  SELECT slot, book_id, currency, sum(credits_posted - debits_posted) AS posted,
         sum(credits_pending - debits_pending) AS pending
  FROM ledger_account GROUP BY slot, book_id, currency
) AS s
CROSS JOIN LATERAL (VALUES ('posted_fen', s.posted), ('pending_fen', s.pending)) AS v (what, actual)
WHERE v.actual <> 0
""",
)
