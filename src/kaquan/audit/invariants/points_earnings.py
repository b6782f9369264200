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
    for slot, book_id, id_, points, parts, returned, taken, returned_fen, waiting in rows:
        known = [LinePoints(*part) for part in parts]
        brought = {int(line): fen for line, fen in returned.items()}
        for what, expected, actual in (
            ("points of the lines", points, sum(part.points for part in known)),
            ("points taken back", due_of(known, brought), taken),
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
    proves_en="The lines of every purchase sum to its points, refunds took back just what their lines earned, and "
    "nothing waits of a purchase whose points have matured.",
    proves_zh="每笔消费各行积分之和等于其积分，退款恰好收回对应各行的积分，已生效的消费没有滞留的待生效积分。",
    reading_en="expected follows from what is kept of the purchase and its refunds, actual is what was noted.",
    reading_zh="expected 由消费及其退款的留存推得，actual 为所记数额。",
    counts="purchases with points",
    count_sql="SELECT count(*) FROM points_earning",
    sql="""
SELECT e.slot, e.book_id, e.id, e.points, e.parts, e.returned, e.taken, e.returned_fen,
       CASE WHEN e.matured THEN (
         SELECT sum(l.remaining_fen)::bigint FROM ledger_account AS a
         JOIN ledger_lot AS l ON l.slot = a.slot AND l.account_id = a.id AND l.lot = e.lot
         WHERE a.slot = e.slot AND a.owner_id = e.member_id AND a.kind = 'points_pending') END
FROM points_earning AS e
""",
    judge=judge_earnings,
)
