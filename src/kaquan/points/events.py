"""What this room tells of."""

from kaquan.notices import event

POINTS_MATURED = event("points.matured", en="{points} points can be spent now.", zh="{points} 积分已生效，可以使用。")
POINTS_EXPIRING = event(
    "points.expiring", en="{points} points end at {expires_at}.", zh="{points} 积分将于 {expires_at} 到期。"
)
POINTS_EXPIRED = event("points.expired", en="{points} points have ended.", zh="{points} 积分已到期。")
POINTS_TIER_CHANGED = event("tier.changed", en="The card is in the tier {tier} now.", zh="会员等级变为 {tier}。")
