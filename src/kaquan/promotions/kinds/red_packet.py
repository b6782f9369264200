"""随机红包: a bonus by chance, from ``least_fen`` to ``most_fen``, each fen as likely as the others.

The chance is the transaction's and the offer's: who prices the top-up again, in a replay or in the audit, finds the
same packet. What a campaign gives in packets altogether is capped by its budget.

>>> from kaquan.promotions.worked import effects, top_up
>>> packet = RedPacket(from_fen=100_00, least_fen=1_00, most_fen=50_00)  # 满100得红包，最高 50 元
>>> effects(packet, top_up(99_00, draw=7)).worth_fen
0
>>> effects(packet, top_up(100_00, draw=0)).worth_fen
100
>>> effects(packet, top_up(100_00, draw=2**64 - 1)).worth_fen
5000
>>> effects(packet, top_up(100_00, draw=2**63)).worth_fen
2550
"""

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, Gift, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD
from kaquan.promotions.tiers import check_amount
from kaquan.promotions.types import GrantKind


class RedPacket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A packet for a top-up of ``from_fen`` or more."""

    from_fen: int
    least_fen: int
    most_fen: int


def check(params: RedPacket) -> list[Fault]:
    """At least one fen, and the most not below the least."""
    faults = [
        *check_amount("from_fen", params.from_fen),
        *check_amount("least_fen", params.least_fen),
        *check_amount("most_fen", params.most_fen),
    ]
    if params.most_fen < params.least_fen:
        faults.append(Fault("most_fen", "must be at least least_fen", "不得低于 least_fen"))
    return faults


def applies(params: RedPacket, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_below_threshold``."""
    amount_fen = seen.facts.amount_fen
    if amount_fen >= params.from_fen:
        return None
    return OFFER_BELOW_THRESHOLD.refuse(amount_fen=amount_fen, needed_fen=params.from_fen)


def effects(params: RedPacket, seen: SeenLoad) -> Effects:
    """The packet that was drawn."""
    if seen.facts.amount_fen < params.from_fen:
        return NOTHING
    drawn_fen = params.least_fen + (seen.draw * (params.most_fen - params.least_fen + 1) >> 64)
    return Effects(gifts=(Gift(GrantKind.BONUS, drawn_fen),))


KIND = LoadKind(
    name="red_packet",
    en="A bonus by chance",
    zh="随机红包",
    params=RedPacket,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: -(-params.most_fen * 10_000 // params.from_fen),
    prize_fen=lambda params: params.most_fen,
)
