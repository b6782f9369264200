"""Points that pay: what pricings say of them against the points and the money that the ledger moved."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from kaquan.audit.types import Audit, Row
from kaquan.payments import PartKind, read_kept, read_part

_read_entries = msgspec.json.Decoder(list[tuple[str, str, int]]).decode


def judge_tenders(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with tenders, each over all that became of its payment."""
    wrong: list[Row] = []
    for slot, id_, kind, status, kept_bytes, part_bytes, entries in rows:
        tender = read_kept(kept_bytes).tender
        points, fen = (0, 0) if tender is None else (tender.points, tender.amount_fen)
        expected: Counter[tuple[str, str]] = Counter()
        taken = [0, 0]
        for part in map(read_part, part_bytes):
            if part.what is PartKind.REFUND:
                _add(expected, "back", part.points, part.points_fen)
            elif part.what is PartKind.CAPTURE:
                _add(expected, "capture", part.points, part.points_fen)
                taken = [taken[0] + part.points, taken[1] + part.points_fen]
        if kind == "authorization":
            _add(expected, "reserve", points, fen)
            if status != "open":
                _add(expected, "release", points - taken[0], fen - taken[1])
        else:
            _add(expected, "post", points, fen)
        actual: Counter[tuple[str, str]] = Counter()
        for what, effect, amount in _read_entries(entries) if entries is not None else []:
            actual[what, effect] += amount
        wrong += [
            {
                "slot": slot, "transaction_id": id_, "what": f"{what} {effect}", "expected": expected[what, effect],
                "actual": actual[what, effect],
            }
            for what, effect in sorted(expected.keys() | actual.keys())
            if expected[what, effect] != actual[what, effect]
        ]  # fmt: skip
    return wrong


def _add(into: Counter[tuple[str, str]], effect: str, points: int, fen: int) -> None:
    into["points", effect] += points
    into["fen", effect] += fen


AUDIT = Audit(
    name="points_tenders",
    proves_en="Points that pay are set aside, spent, freed and given back as the pricing of their payment says, and so "
    "is what they pay.",
    proves_zh="积分抵扣的冻结、支付、释放与退回均与付款的计价留存一致，其折抵金额亦然。",
    reading_en="expected is what the pricing and its parts say, actual what the ledger moved for the payment in all.",
    reading_zh="expected 为计价留存及其后续部分所载，actual 为账本就该笔付款累计移动的数额。",
    counts="payments with points",
    count_sql="SELECT count(*) FROM payments_pricing"
    " WHERE original_id IS NULL AND right(convert_from(kept, 'UTF8'), 6) <> ',null]'",
    sql="""
SELECT k.slot, k.transaction_id, p.kind::text, p.status::text, k.kept,
       ARRAY (SELECT o.kept FROM payments_pricing AS o
              WHERE o.slot = k.slot AND o.original_id = k.transaction_id ORDER BY o.transaction_id),
       (SELECT json_agg(json_build_array(
                 CASE WHEN 'points_expense' IN (d.kind, c.kind) THEN 'fen' ELSE 'points' END,
                 CASE WHEN d.kind IN ('points_spent', 'merchant_payable') THEN 'back' ELSE e.effect::text END,
                 e.amount_fen))::text
        FROM (SELECT k.transaction_id UNION ALL
              SELECT t.id FROM ledger_transaction AS t WHERE t.slot = k.slot AND t.related_id = k.transaction_id
             ) AS part (id)
        JOIN ledger_entry AS e ON e.slot = k.slot AND e.transaction_id = part.id
        JOIN ledger_account AS d ON d.slot = e.slot AND d.id = e.debit_account
        JOIN ledger_account AS c ON c.slot = e.slot AND c.id = e.credit_account
        WHERE (d.kind, c.kind) IN (('points', 'points_spent'), ('points_spent', 'points'),
                                   ('points_expense', 'merchant_payable'), ('merchant_payable', 'points_expense')))
FROM payments_pricing AS k
JOIN payments_payment AS p ON p.slot = k.slot AND p.id = k.transaction_id
WHERE k.original_id IS NULL AND right(convert_from(k.kept, 'UTF8'), 6) <> ',null]'
ORDER BY 1, 2
""",
    judge=judge_tenders,
)
