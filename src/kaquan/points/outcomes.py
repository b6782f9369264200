"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal, outcome

POINTS_NOT_OFFERED = outcome(
    "points_not_offered", http=409, iso="57",
    en="{field}: cards of this programme collect no points.",
    zh="{field}：该卡种没有积分。",
)  # fmt: skip
POINTS_NOT_TENDER = outcome(
    "points_not_tender", http=409, iso="57",
    en="{field}: points of this programme do not pay.",
    zh="{field}：该卡种的积分不能抵现。",
)  # fmt: skip
POINTS_TOO_FEW = outcome(
    "points_too_few", http=409, iso="51",
    en="{field}: there are {available} points to spend.",
    zh="{field}：可用积分为 {available}。",
)  # fmt: skip
POINTS_OUT_OF_STEP = outcome(
    "points_out_of_step", http=409, iso="13",
    en="{field}: a payment takes at least {least} points, and a multiple of {step}.",
    zh="{field}：每次至少使用 {least} 积分，且须为 {step} 的整数倍。",
)  # fmt: skip
POINTS_ABOVE_SHARE = outcome(
    "points_above_share", http=409, iso="61",
    en="{field}: points may pay at most {most_fen} of this.",
    zh="{field}：积分最多可抵 {most_fen}。",
)  # fmt: skip
EXCHANGE_CLOSED = outcome(
    "points_exchange_closed", http=409, iso="57",
    en="{field}: points are not exchanged with this partner in this direction.",
    zh="{field}：未开通与该伙伴的此方向积分兑换。",
)  # fmt: skip
EXCHANGE_NOT_WHOLE = outcome(
    "points_exchange_not_whole", http=409, iso="13",
    en="{field}: must be a multiple of {step}.",
    zh="{field}：须为 {step} 的整数倍。",
)  # fmt: skip
EXCHANGE_KNOWN = outcome(
    "points_exchange_known", http=409, iso="94",
    en="{field}: this exchange of the partner is posted already.",
    zh="{field}：该伙伴的此笔兑换已入账。",
)  # fmt: skip
BENEFIT_NOT_FOR_MEMBER = outcome(
    "points_benefit_not_for_member", http=409, iso="57",
    en="{field}: this benefit is for others: {why}.",
    zh="{field}：不符合权益条件：{why}。",
)  # fmt: skip
BENEFIT_GONE = outcome(
    "points_benefit_gone", http=409, iso="61",
    en="{field}: the benefit is used up: {why}.",
    zh="{field}：权益已用完：{why}。",
)  # fmt: skip


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """A field that is wrong for a reason that its type does not tell."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)


def missing(what: str, field: str = "id") -> Refusal:
    """No such row in this book."""
    return NOT_FOUND.refuse(field, what=what)
