"""What purchases earned against what refunds brought back, and against the points that wait."""

from collections.abc import Sequence
from typing import Any

from kaquan.audit.types import Audit, Row
from kaquan.points import LinePoints
from kaquan.points.price import due_of


def judge_earnings(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with earnings: parts that do not sum up, and more or fewer points taken than the refunds call
    for."""
    wrong: list[Row] = []
    for slot, book_id, id_, points, parts, returned, taken, returned_fen, granted, granted_taken, *moved in rows:
        earned_moved, offered_moved, waiting = moved
        known = [LinePoints(*part) for part in parts]
        brought = {int(line): fen for line, fen in returned.items()}
        for what, expected, actual in (
            ("points of the lines", points - granted, sum(part.points for part in known)),
            ("points taken back", due_of(known, brought) + granted_taken, taken),
            ("posted as earned", points - granted, earned_moved or 0),
            ("posted as offered", granted, offered_moved or 0),
            ("returned", sum(brought.values()), returned_fen),
            ("waiting", 0 if waiting is None else waiting, 0),
        ):
            if expected != actual:
                wrong.append(
                    {
                        "slot": slot, "book_id": book_id, "transaction_id": id_, "what": what, "expected": expected,
                        "actual": actual,
                    }
                )  # fmt: skip
    return wrong


AUDIT = Audit(
    name="points_earnings",
    proves_en="The lines of every purchase sum to the points that it earned and that were posted, offers gave what is "
    "noted, refunds took back just what their lines earned, and nothing waits of a purchase whose points have matured.",
    proves_zh="每笔消费各行积分之和等于其入账的应得积分，活动赠送积分与记录一致，退款恰好收回对应各行的积分，"
    "已生效的消费没有滞留的待生效积分。",
    reading_en="expected follows from what is kept of the purchase and its refunds, actual is what was noted.",
    reading_zh="expected 由消费及其退款的留存推得，actual 为所记数额。",
    counts="purchases with points",
    count_sql="SELECT count(*) FROM points_earning",
    sql="""
SELECT e.slot, e.book_id, e.id, e.points, e.parts, e.returned, e.taken, e.returned_fen,
       e.granted, e.granted_taken, m.earned, m.offered,
       CASE WHEN e.matured THEN (
         SELECT sum(l.remaining_fen)::bigint FROM ledger_account AS a
         JOIN ledger_lot AS l ON l.slot = a.slot AND l.account_id = a.id AND l.lot = e.lot
         WHERE a.slot = e.slot AND a.owner_id = e.member_id AND a.kind = 'points_pending') END
FROM points_earning AS e
LEFT JOIN LATERAL (
  SELECT sum(l.amount_fen) FILTER (WHERE a.kind = 'points_granted')::bigint AS earned,
         sum(l.amount_fen) FILTER (WHERE a.kind = 'points_offered')::bigint AS offered
  FROM ledger_entry AS l
  JOIN ledger_account AS a ON a.slot = l.slot AND a.id = l.debit_account
  WHERE l.slot = e.slot AND l.transaction_id = e.id AND l.effect = 'post'
) AS m ON true
""",
    judge=judge_earnings,
)
