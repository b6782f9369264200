"""What there was before cards, their events and issues had leaves, against the hash over all of it in the log."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from kaquan.audit import store
from kaquan.audit.stated import START, judge_starts
from kaquan.audit.types import Audit, Row
from kaquan.kit.db import Connection

# What the migration 0032 counted and hashed: all of that time that has no leaf of its own.
_THERE_NOW = """
WITH stated AS (
  SELECT c.slot, 'card' AS what, c.id, c.id AS of,
         jsonb_build_array(c.slot, c.id, c.book_id, c.programme_id, c.batch_id, c.form, c.number_last4,
           (extract(epoch FROM c.created_at) * 1000000)::bigint) AS told
  FROM cards_card AS c JOIN evidence_start AS s ON s.slot = c.slot AND s.what = 'card' AND c.created_at <= s.at
  WHERE NOT EXISTS (SELECT FROM (SELECT slot, unnest(ids) AS id FROM evidence_issue WHERE kind = 'card') AS m
                    WHERE m.slot = c.slot AND m.id = c.id)
  UNION ALL
  SELECT e.slot, 'card_event', e.id, e.card_id,
         jsonb_build_array(e.slot, e.id, e.card_id, e.book_id, e.kind, (extract(epoch FROM e.at) * 1000000)::bigint,
           e.actor, e.reason, e.status, e.version, e.details)
  FROM cards_event AS e JOIN evidence_start AS s ON s.slot = e.slot AND s.what = 'card_event' AND e.at <= s.at
  WHERE NOT EXISTS (SELECT FROM evidence_leaf AS l WHERE l.slot = e.slot AND l.transaction_id = e.id)
  UNION ALL
  SELECT v.slot, 'voucher', v.id, v.id,
         jsonb_build_array(v.slot, v.id, v.book_id, v.template_id, v.batch_id, v.face_fen, v.code_last4,
           (extract(epoch FROM v.valid_from) * 1000000)::bigint, v.granted_by,
           (extract(epoch FROM v.created_at) * 1000000)::bigint)
  FROM vouchers_voucher AS v JOIN evidence_start AS s ON s.slot = v.slot AND s.what = 'voucher' AND v.created_at <= s.at
  WHERE NOT EXISTS (SELECT FROM (SELECT slot, unnest(ids) AS id FROM evidence_issue WHERE kind = 'voucher') AS m
                    WHERE m.slot = v.slot AND m.id = v.id)
    AND NOT EXISTS (SELECT FROM vouchers_event AS e
                    WHERE e.slot = v.slot AND e.voucher_id = v.id AND e.kind IN ('granted', 'assigned'))
), grouped AS (
  SELECT slot, what, substr(uuid_send(id), 1, 3) AS head, count(*) AS rows,
         sha256(string_agg(sha256(convert_to(told::text, 'UTF8')), ''::bytea ORDER BY id, of)) AS hash
  FROM stated GROUP BY slot, what, head
), now AS (
  SELECT slot, what, sum(rows)::bigint AS size, sha256(string_agg(hash, ''::bytea ORDER BY head)) AS hash
  FROM grouped GROUP BY slot, what
)
SELECT s.slot, s.id AS start_id, 'every ' || s.what || ' before the log' AS what,
       s.size || ' ' || encode(s.hash, 'hex') AS expected,
       coalesce(n.size, 0) || ' ' || coalesce(encode(n.hash, 'hex'), '') AS actual
FROM evidence_start AS s LEFT JOIN now AS n ON n.slot = s.slot AND n.what = s.what
WHERE (n.size, n.hash) IS DISTINCT FROM (s.size, s.hash)
"""


async def _read(connection: Connection) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    """Starts with their leaves, and then those that what is there now does not fit, as rows of a finding."""
    yield await store.read_rows(
        connection,
        f"SELECT {START} FROM evidence_start AS e"
        " LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id",
    )
    yield [(row,) for row in await store.read_dicts(connection, _THERE_NOW)]


def judge(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Leaves are judged here; what SQL found is passed on."""
    return [row[0] for row in rows if len(row) == 1] or judge_starts([row for row in rows if len(row) > 1])


AUDIT = Audit(
    name="starts",
    proves_en="What there was of cards, their events and vouchers before these had evidence leaves is what the log "
    "says there was.",
    proves_zh="在卡、卡事件和券开始有存证叶之前已存在的内容，与存证日志当时所载一致。",
    reading_en="expected is how much there was and its hash, actual how much there is and its hash now: something of "
    "that time was altered, removed or inserted.",
    reading_zh="expected 为当时的数量及哈希，actual 为现有的数量及哈希：当时的内容被改动、删除或插入。",
    counts="starts",
    count_sql="SELECT count(*) FROM evidence_start",
    read=_read,
    judge=judge,
)
