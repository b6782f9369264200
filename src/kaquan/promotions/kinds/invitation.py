"""邀请有礼: who was invited tops up for the first time, and both get a bonus.

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
"""

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.kind import NOTHING, Effects, Fault, Gift, LoadKind, SeenLoad
from kaquan.promotions.outcomes import OFFER_BELOW_THRESHOLD, OFFER_NOT_FOR_HOLDER
from kaquan.promotions.tiers import check_amount
from kaquan.promotions.types import GrantKind


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bonus for the inviter, and perhaps for who was invited, on a first top-up of ``from_fen`` or more."""

    from_fen: int
    inviter_fen: int
    invited_fen: int = 0


def check(params: Invitation) -> list[Fault]:
    """A threshold, and something for the inviter."""
    return [
        *check_amount("from_fen", params.from_fen),
        *check_amount("inviter_fen", params.inviter_fen),
        *check_amount("invited_fen", params.invited_fen, least=0),
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
    inviter = Gift(GrantKind.BONUS, params.inviter_fen, card_id=seen.facts.invited_by)
    invited = (Gift(GrantKind.BONUS, params.invited_fen),) if params.invited_fen else ()
    return Effects(gifts=(inviter, *invited))


KIND = LoadKind(
    name="invitation",
    en="A bonus for an invitation",
    zh="邀请有礼",
    params=Invitation,
    check=check,
    applies=applies,
    effects=effects,
    rebate_bp=lambda params: None,
    asks_first=True,
)
