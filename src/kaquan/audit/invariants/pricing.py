"""Kept pricings against the entries that say who pays, the payments that they are of, and the hash in the leaf."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from kaquan.audit.types import Audit, Row
from kaquan.payments import PartKind, read_kept, read_part
from kaquan.promotions import GrantKind

_read_entries = msgspec.json.Decoder(list[tuple[str, str, str, int]]).decode
_read_points = msgspec.json.Decoder(list[tuple[str, int]]).decode

_EFFECTS = {PartKind.CAPTURE: "capture", PartKind.VOID: "release", PartKind.REFUND: "post"}

Funded = Counter[tuple[str, str, str]]
"""What a transaction moved, by campaign, kind of funder and effect."""


def judge_pricings(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with pricings: their bytes, what the card pays by them, what funders pay by them."""
    wrong: list[Row] = []
    for slot, id_, kept_bytes, hash_, original_bytes, kind, amount_fen, effects, entries, points in rows:
        if kept_bytes is None:
            wrong.append(_row(slot, id_, "pricing", "one of its hash", None))
            continue
        digest = sha256(kept_bytes).digest()
        if hash_ != digest:
            wrong.append(_row(slot, id_, "hash of the pricing", digest, hash_))
        promised = _points_of(kept_bytes, original_bytes, kind)
        given = Counter(dict(_read_points(points) if points is not None else []))
        for campaign in promised.keys() | given.keys():
            if promised[campaign] != given[campaign]:
                wrong.append(_row(slot, id_, "points given", promised[campaign], given[campaign]))
        found: Funded = Counter()
        for campaign, funder, effect, fen in _read_entries(entries) if entries is not None else []:
            found[campaign, funder, effect] += fen
        if original_bytes is None:
            kept = read_kept(kept_bytes)
            payable_fen = kept.amount_fen - sum(kept.outside_fen) - kept.discount_fen - kept.points_fen
            if payable_fen != amount_fen:
                wrong.append(_row(slot, id_, "amount_fen", payable_fen, amount_fen))
            if kind == "load":
                bonus_fen = sum(
                    grant.amount_fen
                    for grant in kept.grants
                    if grant.kind is GrantKind.BONUS and not grant.due_on and grant.card_id is None
                )
                expected_fen, actual_fen = kept.discount_fen + bonus_fen, found.total()
                if expected_fen != actual_fen:
                    wrong.append(_row(slot, id_, "given by funders", expected_fen, actual_fen))
                continue
            effect = "reserve" if kind == "authorization" else "post"
            expected: Funded = Counter()
            for share in kept.shares:
                expected[share.campaign_id.hex, share.funder.kind.value, effect] += share.amount_fen
        else:
            original, part = read_kept(original_bytes), read_part(kept_bytes)
            expected = Counter()
            for at, fen in part.shares:
                share = original.shares[at]
                expected[share.campaign_id.hex, share.funder.kind.value, _EFFECTS[part.what]] += fen
            if part.what is PartKind.CAPTURE and "release" in (effects or []):
                # the last capture gives the rest back, which is no part of its own
                found = Counter({name: fen for name, fen in found.items() if name[2] != "release"})
        for name in expected.keys() | found.keys():
            if expected[name] != found[name]:
                wrong.append(_row(slot, id_, f"{name[2]} by {name[1]}", expected[name], found[name]))
    return wrong


def _points_of(kept_bytes: bytes, original_bytes: bytes | None, kind: str | None) -> Counter[str]:
    """What offers give of points with this transaction, by campaign; what is for another card comes later."""
    original = read_kept(kept_bytes if original_bytes is None else original_bytes)
    parts = [(at, grant.amount_fen) for at, grant in enumerate(original.grants) if kind != "authorization"]
    if original_bytes is not None:
        part = read_part(kept_bytes)
        parts = [(at, points) for at, points, _ in part.grants] if part.what is PartKind.CAPTURE else []
    given: Counter[str] = Counter()
    for at, points in parts:
        grant = original.grants[at]
        if grant.kind is GrantKind.POINTS and grant.card_id is None:
            given[grant.campaign_id.hex] += points
    return given


def _row(slot: int, transaction_id: object, what: str, expected: object, actual: object) -> Row:
    return {"slot": slot, "transaction_id": transaction_id, "what": what, "expected": expected, "actual": actual}


AUDIT = Audit(
    name="pricing",
    proves_en="Every kept pricing is the one in the leaf of its transaction; the card paid what it says, and each "
    "funder what it says, campaign by campaign, and offers gave the points that it says.",
    proves_zh="每份计价留存与其交易存证叶中的哈希一致；卡上支付金额及各活动、各出资方承担的金额、赠送的积分均与之相符。",
    reading_en="expected is what the pricing says, actual what the payment and the ledger say.",
    reading_zh="expected 为计价留存所载，actual 为付款记录与账本所载。",
    counts="pricings",
    count_sql="SELECT count(*) FROM payments_pricing",
    sql="""
SELECT coalesce(k.slot, d.slot), coalesce(k.transaction_id, d.transaction_id), k.kept, d.hash, o.kept,
       p.kind::text, p.amount_fen, e.effects, e.entries,
       (SELECT json_agg(json_build_array(replace(g.campaign_id::text, '-', ''), g.points))::text
        FROM (
          SELECT f.campaign_id, sum(l.amount_fen)::bigint AS points
          FROM ledger_entry AS l
          JOIN ledger_account AS a ON a.slot = l.slot AND a.id = l.debit_account AND a.kind = 'points_offered'
          JOIN payments_funder AS f ON f.id = a.owner_id
          WHERE l.slot = k.slot AND l.transaction_id = k.transaction_id
          GROUP BY f.campaign_id
        ) AS g)
FROM payments_pricing AS k
FULL JOIN ledger_detail AS d ON d.slot = k.slot AND d.transaction_id = k.transaction_id
LEFT JOIN payments_pricing AS o ON o.slot = k.slot AND o.transaction_id = k.original_id
LEFT JOIN payments_payment AS p ON p.slot = k.slot AND p.id = k.transaction_id
LEFT JOIN (
  SELECT e.slot, e.transaction_id, array_agg(DISTINCT e.effect::text) AS effects,
         json_agg(json_build_array(replace(f.campaign_id::text, '-', ''), f.kind, e.effect,
                                   e.amount_fen))::text AS entries
  FROM ledger_entry AS e
  JOIN ledger_account AS a ON a.slot = e.slot AND a.id IN (e.debit_account, e.credit_account)
    AND a.kind IN ('discount_expense', 'bonus_expense')
  JOIN payments_funder AS f ON f.id = a.owner_id
  GROUP BY e.slot, e.transaction_id
) AS e ON e.slot = k.slot AND e.transaction_id = k.transaction_id
ORDER BY 1, 2
""",
    judge=judge_pricings,
)
