"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from uuid import UUID

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal, outcome

CARD_NOT_ACTIVE = outcome(
    "card_not_active",
    http=409,
    iso="78",
    en="The card has not been activated.",
    zh="该卡尚未激活。",
)
CARD_BLOCKED = outcome(
    "card_blocked",
    http=409,
    iso="62",
    en="The card is blocked.",
    zh="该卡已被冻结。",
)
CARD_ALREADY_BLOCKED = outcome(
    "card_already_blocked",
    http=409,
    iso="62",
    en="The card is blocked already, for another reason ({reason}); unblock it first.",
    zh="该卡已因其他原因被冻结（{reason}），请先解冻。",
)
NUMBER_SPACE_TOO_SMALL = outcome(
    "number_space_too_small",
    http=422,
    iso="30",
    en="The prefix {prefix} is too long for so many cards: their numbers could be guessed. It has "
    "room for {room} more and {wanted} are wanted; use a programme with a shorter prefix.",
    zh="卡号前缀 {prefix} 过长，卡号可能被猜中：还可制卡 {room} 张，需要 {wanted} 张；请使用前缀较短的卡种。",
)
STORE_OF_ANOTHER_MERCHANT = outcome(
    "store_of_another_merchant",
    http=422,
    iso="30",
    en="{field}: the store does not belong to this merchant.",
    zh="{field}：该门店不属于此商户。",
)


CARD_NOT_CONFIRMED = outcome(
    "card_not_confirmed",
    http=403,
    iso="55",
    en="This number and this secret or PIN do not open a card.",
    zh="卡号与卡密或密码不符，或该卡不可用。",
)


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def taken(field: str, value: str, *, prefix: Prefix, existing: UUID) -> Refusal:
    """``value`` belongs to ``existing`` already."""
    return ALREADY_EXISTS.refuse(field, value=value, existing=show_id(prefix, existing))


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """``field`` is not what is allowed."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)
