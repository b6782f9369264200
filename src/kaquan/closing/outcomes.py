"""The refusals of this room, besides those of cards, ``four_eyes`` of parties, ``not_found`` and ``invalid_field``."""

from kaquan.kit.outcomes import outcome

REFUND_RULE_MISSING = outcome(
    "refund_rule_missing", http=409, iso="58",
    en="The programme has no rule for this refund: {what}. Set it in its closing terms.",
    zh="该卡种缺少本次退款所需的规则：{what}，请先在退卡条款中设置。",
)  # fmt: skip
REDEMPTION_NOT_ALLOWED = outcome(
    "redemption_not_allowed", http=409, iso="57",
    en="A holder who wishes cannot have this card refunded ({rule}, {source}).",
    zh="该类卡不可应持卡人要求赎回（{rule}，{source}）。",
)  # fmt: skip
REDEMPTION_TOO_EARLY = outcome(
    "redemption_too_early", http=409, iso="57",
    en="A holder who wishes can have this card refunded {months} months after its purchase, from {earliest} on "
    "({rule}, {source}).",
    zh="购卡满 {months} 个月后方可应持卡人要求赎回，最早 {earliest}（{rule}，{source}）。",
)  # fmt: skip
COOLING_OFF_OVER = outcome(
    "cooling_off_over", http=409, iso="12",
    en="The time to withdraw is over (last day: {last_day}, {basis}); name another cause.",
    zh="冷静期已过（截止日：{last_day}，{basis}），请选择其他原因。",
)  # fmt: skip
COSTS_NOT_DEDUCTIBLE = outcome(
    "costs_not_deductible", http=409, iso="12",
    en="No rule of this programme lets costs be deducted from this refund.",
    zh="该卡种没有允许从本次退款中扣除费用的规则。",
)  # fmt: skip
QUOTE_CHANGED = outcome(
    "quote_changed", http=409, iso="12",
    en="The refund is not what was quoted: something on the card, or the day, has changed. Ask for a new quote.",
    zh="退款金额与报价不一致：卡内情况或日期已变化，请重新获取报价。",
)  # fmt: skip
CARD_HAS_AUTHORIZATIONS = outcome(
    "card_has_authorizations", http=409, iso="12",
    en="{reserved_fen} of the card is set aside by open authorizations; capture or void them first.",
    zh="卡内有 {reserved_fen} 被预授权占用，请先完成或撤销预授权。",
)  # fmt: skip
CARD_HAS_TRANSFER = outcome(
    "card_has_transfer", http=409, iso="12", retryable=True,
    en="Balance is on its way to or from the card; it is there in a few seconds: ask again then.",
    zh="该卡有余额转移正在进行，请数秒后重试。",
)  # fmt: skip
PAYEE_NOT_HOLDER = outcome(
    "payee_not_holder", http=409, iso="12",
    en="The account is not in the holder's name: refunds are paid to an account in the same name only.",
    zh="收款账户户名与持卡人姓名不一致：退款只能转入同名账户。",
)  # fmt: skip
CASH_NOT_ALLOWED = outcome(
    "cash_not_allowed", http=409, iso="12",
    en="{amount_fen} may not be paid out in cash; the limit is {limit_fen} ({basis}).",
    zh="{amount_fen} 不得以现金退付，现金上限为 {limit_fen}（{basis}）。",
)  # fmt: skip
PAYOUT_NOT_PENDING = outcome(
    "payout_not_pending", http=409, iso="12",
    en="The payout is not pending any more: {status}.", zh="该笔打款已不在待处理状态：{status}。",
)  # fmt: skip
PAYOUT_NOT_FAILED = outcome(
    "payout_not_failed", http=409, iso="12",
    en="Only a payout that failed is replaced, and only once.", zh="仅可替换已失败的打款，且只能替换一次。",
)  # fmt: skip
NOTHING_TO_EXTEND = outcome(
    "nothing_to_extend", http=409, iso="12",
    en="No lot of the card that holds value ends before that day.", zh="该卡没有在此日期之前到期且仍有余额的批次。",
)  # fmt: skip
NOTHING_TO_RELEASE = outcome(
    "nothing_to_release", http=409, iso="12",
    en="Nothing lies on this card that nobody can use: {why}.", zh="该卡没有滞留余额：{why}。",
)  # fmt: skip
CARD_NOT_CLOSED = outcome(
    "card_not_closed", http=404, iso="25",
    en="The card is not closed.", zh="该卡未注销。",
)  # fmt: skip
