"""What this room tells of."""

from kaquan.notices import event

LOT_EXPIRING = event(
    "lot.expiring",
    en="{amount_fen} of the card ends on {last_day}, in {days} days or less.",
    zh="卡内 {amount_fen} 将于 {last_day} 到期（{days} 天内）。",
)
LOT_EXPIRED = event(
    "lot.expired",
    en="{amount_fen} of the card ended on {last_day} and was set apart; it can be extended.",
    zh="卡内 {amount_fen} 已于 {last_day} 到期并转出，可申请延期。",
)
LOT_EXTENDED = event(
    "lot.extended",
    en="Value of the card was extended to {last_day}; {returned_fen} came back.",
    zh="卡内余额已延期至 {last_day}，其中恢复 {returned_fen}。",
)
CARD_DORMANT = event(
    "card.dormant",
    en="The card has not moved since {last_moved_at} and holds {amount_fen}.",
    zh="该卡自 {last_moved_at} 起没有交易，余额 {amount_fen}。",
)
CARD_CLOSED = event(
    "card.closed", en="The card is closed; {amount_fen} is refunded.", zh="该卡已注销，应退 {amount_fen}。"
)
VALUE_RELEASED = event(
    "value.released",
    en="Value that came back to a replaced card is owed to its holder: {amount_fen}.",
    zh="退回已换卡的余额应退还持卡人：{amount_fen}。",
)
PAYOUT_PAID = event(
    "payout.paid",
    en="The payout of {amount_fen} was made ({reference}).",
    zh="打款 {amount_fen} 已完成（{reference}）。",
)
PAYOUT_FAILED = event(
    "payout.failed", en="The payout of {amount_fen} failed: {failure}.", zh="打款 {amount_fen} 失败：{failure}。"
)
PROGRAMME_ENDING = event(
    "programme.ending",
    en="{programme} ends: the card can be used up to and including {last_day}. {announcement}",
    zh="{programme} 即将终止：该卡可使用至 {last_day}（含当日）。{announcement}",
)
PROGRAMME_ENDS_SOON = event(
    "programme.reminded",
    en="{programme} ends in {days} days or less: the card can be used up to and including {last_day}.",
    zh="{programme} 将在 {days} 天内终止：该卡可使用至 {last_day}（含当日）。",
)
PROGRAMME_GOES_ON = event(
    "programme.continued", en="{programme} does not end after all.", zh="{programme} 不再终止，照常使用。"
)
PROGRAMME_STOPPED = event(
    "programme.stopped",
    en="Cards of {programme} are not sold, issued, activated or loaded any more; the last day is {last_day}.",
    zh="{programme} 已停止发售、制卡、激活和充值，最后使用日为 {last_day}。",
)
PROGRAMME_ENDED = event(
    "programme.ended",
    en="{programme} has ended; what is left is to be refunded.",
    zh="{programme} 已终止，余额应予退还。",
)
FEE_ANNOUNCED = event(
    "fee.announced",
    en="From {month} on the card pays {amount_fen} a month because nobody uses it; using it ends that.",
    zh="该卡长期未使用，自 {month} 起每月收取 {amount_fen}；使用该卡即停止收取。",
)
FEE_CHARGED = event(
    "fee.charged",
    en="The card paid {amount_fen} for {month} because nobody uses it.",
    zh="该卡长期未使用，已收取 {month} 费用 {amount_fen}。",
)
