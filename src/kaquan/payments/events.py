"""What this room tells of."""

from kaquan.notices import event

BUDGET_EXHAUSTED = event(
    "budget.exhausted",
    en="The budget {budget_id} of a campaign is used up: {left_fen} is left.",
    zh="活动预算 {budget_id} 已用完，剩余 {left_fen}。",
)
