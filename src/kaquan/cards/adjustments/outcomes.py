"""The refusals of adjustments, besides those of cards and approvals."""

from kaquan.kit.outcomes import outcome

ADJUSTMENT_EXCEEDS_BALANCE = outcome(
    "adjustment_exceeds_balance", http=409, iso="51",
    en="{field}: the pocket has {available_fen} available; an adjustment takes no more than that.",
    zh="{field}：该户可用余额为 {available_fen}，调账不得超过此数。",
)  # fmt: skip
ADJUSTMENT_EXCEEDS_CAP = outcome(
    "adjustment_exceeds_cap", http=409, iso="61",
    en="{field}: the card would hold {balance_fen}, more than the {max_balance_fen} that its terms allow.",
    zh="{field}：调账后余额 {balance_fen} 将超过该卡的余额上限 {max_balance_fen}。",
)  # fmt: skip
