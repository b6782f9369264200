"""Counters of budgets against what payments counted in them and did not give back.

Budgets for all time are checked: others leave their days, months and years behind.
"""

from kaquan.audit.types import Audit

AUDIT = Audit(
    name="budgets",
    proves_en="What was used of every budget for all time is what payments counted in it and did not give back; no "
    "counter is below it.",
    proves_zh="每项总预算的已用额等于各笔付款计入且未退回的合计；任何计数器都不低于该合计。",
    reading_en="expected is what payments counted, actual the counter; reservations under way may be in it besides.",
    reading_zh="expected 为各笔付款计入的合计，actual 为计数器；进行中的预占可另计其内。",
    counts="budgets",
    count_sql="SELECT count(*) FROM payments_usage WHERE year = 0",
    sql="""
WITH root AS (
  SELECT k.slot, k.transaction_id, convert_from(k.kept, 'UTF8')::json AS kept FROM payments_pricing AS k
  WHERE k.original_id IS NULL
), back AS (
  SELECT DISTINCT k.slot, k.original_id FROM payments_pricing AS k
  WHERE k.original_id IS NOT NULL AND (convert_from(k.kept, 'UTF8')::json ->> 5)::boolean
), used AS (
  SELECT (u.use ->> 1)::uuid AS key,
         sum(CASE WHEN u.use ->> 7 = 'keep' OR (b.original_id IS NULL AND u.use ->> 7 IS NULL)
                    THEN (u.use ->> 2)::bigint
                  WHEN u.use ->> 7 = 'share' AND p.kind = 'authorization' AND p.status <> 'open' THEN came.captured
                  WHEN u.use ->> 7 = 'share' THEN (u.use ->> 2)::bigint
                  ELSE 0 END
             - CASE WHEN u.use ->> 7 = 'share' THEN came.refunded ELSE 0 END) AS fen,
         count(*) FILTER (WHERE u.use ->> 7 = 'keep' OR b.original_id IS NULL) AS uses
  FROM root AS r
  CROSS JOIN LATERAL json_array_elements(r.kept -> 5) AS u (use)
  LEFT JOIN back AS b ON b.slot = r.slot AND b.original_id = r.transaction_id
  LEFT JOIN payments_payment AS p ON p.slot = r.slot AND p.id = r.transaction_id
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(g.fen) FILTER (WHERE k.kept ->> 1 = 'capture'), 0) AS captured,
           coalesce(sum(g.fen) FILTER (WHERE k.kept ->> 1 = 'refund'), 0) AS refunded
    FROM payments_pricing AS q
    CROSS JOIN LATERAL (SELECT convert_from(q.kept, 'UTF8')::json) AS k (kept)
    CROSS JOIN LATERAL (
      SELECT (s ->> 1)::bigint FROM json_array_elements(k.kept -> 3) AS s
      WHERE r.kept -> 2 -> (r.kept -> 3 -> (s ->> 0)::integer ->> 1)::integer ->> 0 = u.use ->> 8
      UNION ALL
      SELECT (g ->> 1)::bigint FROM json_array_elements(k.kept -> 4) AS g
      WHERE r.kept -> 4 -> (g ->> 0)::integer ->> 0 = u.use ->> 8
        AND r.kept -> 4 -> (g ->> 0)::integer ->> 2 <> 'points'
    ) AS g (fen)
    WHERE u.use ->> 7 = 'share' AND q.slot = r.slot AND q.original_id = r.transaction_id
  ) AS came ON true
  WHERE (u.use ->> 5)::integer = 0
  GROUP BY 1
), reserved AS (
  SELECT u.key, sum(u.amount_fen) AS fen, count(*) AS uses
  FROM payments_reservation AS r CROSS JOIN LATERAL unnest(r.uses) AS u GROUP BY u.key
)
SELECT o.slot, v.what, v.expected, v.actual
FROM payments_usage AS o
FULL JOIN used AS u ON u.key = o.key
LEFT JOIN reserved AS r ON r.key = o.key
CROSS JOIN LATERAL (VALUES
  ('used_fen', coalesce(u.fen, 0), coalesce(o.year_fen, 0), coalesce(r.fen, 0)),
  ('uses', coalesce(u.uses, 0), coalesce(o.year_count, 0), coalesce(r.uses, 0))
) AS v (what, expected, actual, under_way)
WHERE coalesce(o.year, 0) = 0 AND v.actual NOT BETWEEN v.expected AND v.expected + v.under_way
""",
)
