"""Programmes that ended, against what was done with their cards."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="programme_ends",
    proves_en="After a programme stopped no card of it was issued, activated or loaded and no batch ordered, but for "
    "cards in the place of others; after its last day nothing was spent. Every end left the days of notice that it "
    "names.",
    proves_zh="卡种停止之后，除换卡外没有新的制卡、批次、激活和充值；最后使用日之后没有消费。每次终止均满足其所载公告期。",
    reading_en="expected is before when it had to be, actual when it was.",
    reading_zh="expected 为最迟时间，actual 为实际时间。",
    counts="programme ends",
    count_sql="SELECT count(*) FROM cards_programme_end",
    sql="""
WITH stood AS (
  SELECT e.book_id, e.programme_id, e.stops_at, e.ends_at FROM cards_programme_end AS e WHERE e.withdrawn_at IS NULL
)
SELECT c.slot, c.book_id, c.id AS card_id, NULL::uuid AS transaction_id, v.what, s.stops_at::text AS expected,
       v.at::text AS actual
FROM stood AS s
JOIN cards_card AS c ON c.book_id = s.book_id AND c.programme_id = s.programme_id AND c.replaces_id IS NULL
CROSS JOIN LATERAL (VALUES ('issued', c.created_at), ('activated', c.activated_at)) AS v (what, at)
WHERE v.at >= s.stops_at
UNION ALL
SELECT p.slot, p.book_id, p.card_id, p.id, p.kind::text, v.until::text, p.created_at::text
FROM stood AS s
JOIN cards_card AS c ON c.book_id = s.book_id AND c.programme_id = s.programme_id
JOIN payments_payment AS p ON p.slot = c.slot AND p.card_id = c.id
CROSS JOIN LATERAL (
  SELECT CASE WHEN p.kind = 'load' THEN s.stops_at WHEN p.kind IN ('purchase', 'authorization') THEN s.ends_at END
) AS v (until)
WHERE p.created_at >= v.until
UNION ALL
SELECT NULL, b.book_id, NULL, NULL, 'batch ordered', s.stops_at::text, b.created_at::text
FROM stood AS s JOIN cards_batch AS b ON b.book_id = s.book_id AND b.programme_id = s.programme_id
WHERE b.created_at >= s.stops_at
UNION ALL
SELECT NULL, e.book_id, NULL, NULL, 'days of notice', e.notice_days::text,
       (e.last_day - (e.announced_at AT TIME ZONE i.time_zone)::date)::text
FROM cards_programme_end AS e
JOIN cards_programme AS p ON p.book_id = e.book_id AND p.id = e.programme_id
JOIN parties_issuer AS i ON i.book_id = p.book_id AND i.id = p.issuer_id
WHERE e.last_day - (e.announced_at AT TIME ZONE i.time_zone)::date < e.notice_days
""",
)
