"""Vouchers against what happened to them: statuses and holders follow from the events, and each has its leaf."""

from collections.abc import Sequence
from typing import Any

from kaquan.audit.stated import VOUCHER_EVENT, judge_voucher_events
from kaquan.audit.types import Audit, Row


def judge(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with vouchers, as the query says, and with the leaves of their events."""
    wrong: list[Row] = []
    for slot, book_id, voucher_id, event_id, what, expected, actual, *event in rows:
        if what is not None:
            ids = {"slot": slot, "book_id": book_id, "voucher_id": voucher_id, "event_id": event_id}
            wrong.append({**ids, "what": what, "expected": expected, "actual": actual})
        else:
            wrong += judge_voucher_events([tuple(event)])
    return wrong


_NO_EVENT = """NULL::smallint, NULL::uuid, NULL::uuid, NULL::integer, NULL::uuid, NULL::text, NULL::text, NULL::text,
  NULL::text, NULL::uuid, NULL::uuid, NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::text, NULL::text,
  NULL::bytea, NULL::bytea, NULL::bytea"""

AUDIT = Audit(
    name="voucher_events",
    proves_en="The status and the holder of every voucher are those of its last event, each event begins where the one "
    "before it ended, and each has its evidence leaf.",
    proves_zh="每张券的状态和持有人与其最后一次事件一致，事件首尾相接，且每次事件都有其存证叶。",
    reading_en="expected is what the events say, actual the voucher or the leaf: one of them was changed otherwise.",
    reading_zh="expected 为事件所载，actual 为券或存证叶的现状：其中之一被其他途径改动。",
    counts="voucher events",
    count_sql="SELECT count(*) FROM vouchers_event",
    sql=f"""
WITH told AS (
  SELECT slot, voucher_id, id, book_id, from_status, to_status, holder_kind, holder_id,
         lag(to_status, 1, 'issued') OVER of_voucher AS before, lead(id) OVER of_voucher IS NULL AS is_last
  FROM vouchers_event WINDOW of_voucher AS (PARTITION BY slot, voucher_id ORDER BY number NULLS FIRST, id)
), standing AS (
  SELECT v.slot, v.book_id, v.id AS voucher_id, t.id AS event_id,
         coalesce(t.to_status, 'issued') || ' ' || coalesce(t.holder_id::text, '-') AS expected,
         CASE v.status WHEN 'locked' THEN 'held' ELSE v.status END || ' ' || coalesce(v.holder_id::text, '-') AS actual
  FROM vouchers_voucher AS v LEFT JOIN told AS t ON t.slot = v.slot AND t.voucher_id = v.id AND t.is_last
)
SELECT slot, book_id, voucher_id, event_id, 'status and holder' AS what, expected, actual, {_NO_EVENT}
FROM standing WHERE expected <> actual
UNION ALL
SELECT slot, book_id, voucher_id, id, 'beginning of an event', before, from_status, {_NO_EVENT}
FROM told WHERE before <> from_status
UNION ALL
SELECT e.slot, e.book_id, e.voucher_id, e.id, NULL, NULL, NULL, {VOUCHER_EVENT}
FROM vouchers_event AS e
LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id
""",
    judge=judge,
)
