"""Cards and vouchers against the issues that they came with, and those against their evidence leaves."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from kaquan.audit import store
from kaquan.audit.stated import ISSUE, judge_issues
from kaquan.audit.types import Audit, Row
from kaquan.kit.db import Connection

CARD_DIFFERS = """
SELECT i.slot, i.book_id, i.id AS issue_id, m.id AS card_id, 'card as it was issued' AS what,
       concat_ws(' ', i.book_id, i.of_id, i.batch_id, i.terms::json ->> 0, m.last4, i.at) AS expected,
       CASE WHEN c.id IS NOT NULL
         THEN concat_ws(' ', c.book_id, c.programme_id, c.batch_id, c.form, c.number_last4, c.created_at) END AS actual
FROM evidence_issue AS i
CROSS JOIN LATERAL unnest(i.ids, i.last4) AS m (id, last4)
LEFT JOIN cards_card AS c ON c.slot = i.slot AND c.id = m.id
WHERE i.kind = 'card'
  AND (c.book_id, c.programme_id, c.batch_id, c.form, c.number_last4, c.created_at)
    IS DISTINCT FROM (i.book_id, i.of_id, i.batch_id, i.terms::json ->> 0, m.last4, i.at)
"""
"""Cards that are not there, or not as their issue has them."""

VOUCHER_DIFFERS = """
SELECT i.slot, i.book_id, i.id AS issue_id, m.id AS voucher_id, 'voucher as it was issued' AS what,
       concat_ws(' ', i.book_id, i.of_id, i.batch_id, i.terms, m.last4, i.at) AS expected,
       CASE WHEN v.id IS NOT NULL
         THEN concat_ws(' ', v.book_id, v.template_id, v.batch_id, v.terms, v.code_last4, v.granted_by, v.created_at)
       END AS actual
FROM evidence_issue AS i
CROSS JOIN LATERAL unnest(i.ids, i.last4) AS m (id, last4)
LEFT JOIN (
  SELECT *, '[' || face_fen || ',' || coalesce((extract(epoch FROM valid_from) * 1000000)::bigint::text, 'null') || ']'
            AS terms
  FROM vouchers_voucher
) AS v ON v.slot = i.slot AND v.id = m.id
WHERE i.kind = 'voucher'
  AND (v.book_id, v.template_id, v.batch_id, v.terms, v.code_last4, v.granted_by, v.created_at)
    IS DISTINCT FROM (i.book_id, i.of_id, i.batch_id, i.terms, m.last4, NULL::uuid, i.at)
"""
"""The same of vouchers."""

_OF_NONE = """
SELECT c.slot, c.book_id, c.id AS card_id, NULL::uuid AS voucher_id, 'issue' AS what, 'one that it is in' AS expected
FROM cards_card AS c
LEFT JOIN evidence_start AS s ON s.slot = c.slot AND s.what = 'card'
WHERE (s.at IS NULL OR c.created_at > s.at) AND NOT EXISTS (
  SELECT FROM (SELECT slot, unnest(ids) AS id FROM evidence_issue WHERE kind = 'card') AS m
  WHERE m.slot = c.slot AND m.id = c.id)
UNION ALL
SELECT v.slot, v.book_id, NULL, v.id, 'issue', 'one that it is in'
FROM vouchers_voucher AS v
LEFT JOIN evidence_start AS s ON s.slot = v.slot AND s.what = 'voucher'
WHERE (s.at IS NULL OR v.created_at > s.at) AND NOT EXISTS (
  SELECT FROM (SELECT slot, unnest(ids) AS id FROM evidence_issue WHERE kind = 'voucher') AS m
  WHERE m.slot = v.slot AND m.id = v.id)
  -- what somebody held from the first has an event that says so
  AND NOT EXISTS (
    SELECT FROM vouchers_event AS e
    WHERE e.slot = v.slot AND e.voucher_id = v.id AND e.kind IN ('granted', 'assigned'))
"""


async def _read(connection: Connection) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    """Issues with their leaves in chunks, and then what does not fit them, as rows of a finding."""
    async for chunk in store.stream_chunks(
        connection,
        f"SELECT {ISSUE} FROM evidence_issue AS e"
        " LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id",
        at_once=50,
    ):
        yield chunk
    for statement in (CARD_DIFFERS, VOUCHER_DIFFERS, _OF_NONE):
        found = await store.read_dicts(connection, statement)
        yield [(row,) for row in found]


def judge(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Issues are judged here; what SQL found is passed on."""
    found = [row[0] for row in rows if len(row) == 1]
    return [{"actual": None, **row} for row in found] or judge_issues([row for row in rows if len(row) > 1])


AUDIT = Audit(
    name="issues",
    proves_en="Every card and every voucher was issued as its issue says, there are no others, and each issue has its "
    "evidence leaf.",
    proves_zh="每张卡、每张券均与其发行记录一致，没有多余的卡券，且每次发行都有其存证叶。",
    reading_en="expected is what the issue says or the hash of it as it is now, actual the card, the voucher or the "
    "leaf: one of them was altered, removed or inserted after the fact.",
    reading_zh="expected 为发行记录所载或按其现状重算的哈希，actual 为卡、券或存证叶的现状："
    "其中之一在事后被改动、删除或插入。",
    counts="issues",
    count_sql="SELECT count(*) FROM evidence_issue",
    read=_read,
    judge=judge,
)
