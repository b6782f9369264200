"""Counts of batches against the vouchers that there are, and limits of holders against what they got."""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="voucher_batches",
    proves_en="Every batch counted exactly the vouchers that it made, and nobody claimed, received or was assigned "
    "more vouchers of a template than were counted for them.",
    proves_zh="每个批次的计数与其制作的券数一致；任何持券人领取、受赠、获派的券均已计入其限领数。",
    reading_en="expected is what was counted, actual what there is.",
    reading_zh="expected 为计数，actual 为实有数量。",
    counts="vouchers",
    count_sql="SELECT count(*) FROM vouchers_voucher",
    sql="""
WITH made AS (
  SELECT book_id, batch_id, count(*) AS there FROM vouchers_voucher
  WHERE batch_id IS NOT NULL GROUP BY book_id, batch_id
), got AS (
  SELECT e.book_id, e.template_id, e.holder_id, count(*) AS there
  FROM vouchers_event AS e
  JOIN vouchers_template AS t ON t.book_id = e.book_id AND t.id = e.template_id AND t.max_per_holder IS NOT NULL
  WHERE e.kind IN ('claimed', 'assigned', 'transferred') GROUP BY e.book_id, e.template_id, e.holder_id
)
SELECT b.book_id, b.id AS subject_id, 'vouchers of a batch' AS what, b.issued_count::text AS expected,
       coalesce(m.there, 0)::text AS actual
FROM vouchers_batch AS b LEFT JOIN made AS m ON m.book_id = b.book_id AND m.batch_id = b.id
WHERE b.issued_count <> coalesce(m.there, 0)
UNION ALL
SELECT g.book_id, g.holder_id, 'vouchers of a holder', coalesce(c.claimed, 0)::text, g.there::text
FROM got AS g
LEFT JOIN vouchers_claimed AS c ON c.holder_id = g.holder_id AND c.template_id = g.template_id AND c.book_id = g.book_id
WHERE g.there <> coalesce(c.claimed, 0)
""",
)
