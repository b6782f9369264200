"""Events of cards against their evidence leaves, recomputed from every column."""

from kaquan.audit.stated import CARD_EVENT, judge_card_events
from kaquan.audit.types import Audit

AUDIT = Audit(
    name="card_events",
    proves_en="Every event of a card has its evidence leaf, and the leaf is the hash of the event with who did it, "
    "why, and its details.",
    proves_zh="每次卡事件都有其存证叶，叶值与事件内容（含经办人、原因和明细）的哈希一致。",
    reading_en="expected is the hash of the event as it is now, actual the leaf: the event was altered, re-dated or "
    "inserted after the fact. One that was removed is found by the audit leaves.",
    reading_zh="expected 为按事件现状重算的哈希，actual 为存证叶：事件在事后被改动、改期或插入。"
    "被删除的事件由 leaves 审计发现。",
    counts="events of cards",
    count_sql="SELECT count(*) FROM cards_event",
    # what was there before its kind had leaves has none: the audit starts has it
    sql=f"""
SELECT {CARD_EVENT}
FROM cards_event AS e
LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id
LEFT JOIN evidence_start AS s ON s.slot = e.slot AND s.what = 'card_event'
WHERE l.leaf_hash IS NOT NULL OR s.at IS NULL OR e.at > s.at
""",
    judge=judge_card_events,
)
