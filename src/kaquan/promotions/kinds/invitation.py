"""邀请有礼: who was invited tops up for the first time, and both get a bonus, or points.

>>> from kaquan.promotions.worked import effects, top_up
>>> from uuid import UUID
>>> friend = UUID(int=7)
>>> gives = Invitation(from_fen=100_00, inviter_fen=20_00, invited_fen=10_00)
>>> [(gift.card_id, gift.amount_fen) for gift in effects(gives, top_up(100_00, is_first=True, invited_by=friend)).gifts]
[(UUID('00000000-0000-0000-0000-000000000007'), 2000), (None, 1000)]
>>> effects(gives, top_up(100_00, is_first=True)).gifts  # 无人邀请
()
>>> effects(gives, top_up(100_00, invited_by=friend)).gifts  # 非首次充值
()
>>> effects(gives, top_up(99_00, is_first=True, invited_by=friend)).gifts
()
>>> gives = Invitation(from_fen=100_00, inviter_points=200, invited_points=100)  # 邀请人200积分，受邀人100积分
>>> [(gift.card_id == friend, gift.amount_fen) for gift in effects(gives, top_up(
...     100_00, is_first=True, invited_by=friend)).gifts]
[(True, 200), (False, 100)]
"""

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, Gift, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NOT_FOR_HOLDER
from kaquan.promotions.tiers import MAX_POINTS, check_amount, check_count
from kaquan.promotions.types import GrantKind


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bonus or points for the inviter, and perhaps for who was invited, on a first top-up of ``from_fen`` or more."""

    from_fen: int
    inviter_fen: int = 0
    invited_fen: int = 0
    inviter_points: int = 0
    invited_points: int = 0


def check(params: Invitation) -> list[Fault]:
    """A threshold, and something for the inviter."""
    return [
        *check_amount("from_fen", params.from_fen),
        *check_amount("inviter_fen", params.inviter_fen, least=0 if params.inviter_points else 1),
        *check_amount("invited_fen", params.invited_fen, least=0),
        *check_count("inviter_points", params.inviter_points, least=0, most=MAX_POINTS),
        *check_count("invited_points", params.invited_points, least=0, most=MAX_POINTS),
    ]


def applies(params: Invitation, seen: SeenLoad) -> Refusal | None:
    """Refused: ``offer_not_for_holder``, ``offer_below_threshold``."""
    facts = seen.facts
    if facts.invited_by is None or not facts.is_first:
        return OFFER_NOT_FOR_HOLDER.refuse(condition="invited_by" if facts.invited_by is None else "is_first")
    if facts.amount_fen < params.from_fen:
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=facts.amount_fen, needed_fen=params.from_fen)
    return None


def effects(params: Invitation, seen: SeenLoad) -> Effects:
    """What both get."""
    if applies(params, seen) is not None:
        return NOTHING
    gifts = (
        Gift(GrantKind.BONUS, params.inviter_fen, card_id=seen.facts.invited_by),
        Gift(GrantKind.POINTS, params.inviter_points, card_id=seen.facts.invited_by),
        Gift(GrantKind.BONUS, params.invited_fen),
        Gift(GrantKind.POINTS, params.invited_points),
    )
    return Effects(gifts=tuple(gift for gift in gifts if gift.amount_fen))


KIND = LoadKind(
    name="invitation",
    en="A bonus for an invitation",
    zh="邀请有礼",
    params=Invitation,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: None,
    gives_points=lambda params: bool(params.inviter_points or params.invited_points),
    asks_first=True,
)
