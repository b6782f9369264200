"""Every refusal of the payments room."""

from kaquan.kit.outcomes import IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS, outcome

__all__ = ["IDEMPOTENCY_KEY_REUSED", "REQUEST_IN_PROGRESS"]  # those of the kit, under the name they had here

BACKDATING_FORBIDDEN = outcome(
    "backdating_forbidden", http=403, iso="57",
    en="occurred_at must not be before {not_before}: this API key does not have the scope backdate.",
    zh="occurred_at 不得早于 {not_before}：此 API 密钥没有权限 backdate。",
)  # fmt: skip
CARD_EXPIRED = outcome(
    "card_expired", http=409, iso="54",
    en="The card has expired.", zh="卡已过期。",
)  # fmt: skip
NOT_ACCEPTED_HERE = outcome(
    "not_accepted_here", http=409, iso="58",
    en="Cards of this programme are not taken at this store.", zh="本门店不受理该卡种。",
)  # fmt: skip
TERMINAL_BLOCKED = outcome(
    "terminal_blocked", http=409, iso="58",
    en="The terminal is blocked.", zh="终端已停用。",
)  # fmt: skip
INSUFFICIENT_FUNDS = outcome(
    "insufficient_funds", http=402, iso="51",
    en="The card has {available_fen} available; {amount_fen} was asked for.",
    zh="卡内可用余额为 {available_fen}，请求金额为 {amount_fen}。",
)  # fmt: skip
BALANCE_CAP_EXCEEDED = outcome(
    "balance_cap_exceeded", http=409, iso="61",
    en="A card of this programme may hold at most {max_balance_fen}; this load would make it {balance_fen}.",
    zh="该卡种每张卡余额上限为 {max_balance_fen}，充值后将达到 {balance_fen}。",
)  # fmt: skip
AUTHORIZATION_NOT_OPEN = outcome(
    "authorization_not_open", http=409, iso="12",
    en="The authorization is not open: {status}.", zh="预授权不可操作，当前状态：{status}。",
)  # fmt: skip
AUTHORIZATION_EXPIRED = outcome(
    "authorization_expired", http=409, iso="54",
    en="The authorization expired at {expires_at}.", zh="预授权已于 {expires_at} 到期。",
)  # fmt: skip
CAPTURE_EXCEEDS_AUTHORIZATION = outcome(
    "capture_exceeds_authorization", http=409, iso="61",
    en="At most {left_fen} can still be captured.", zh="最多还可请款 {left_fen}。",
)  # fmt: skip
NOT_REFUNDABLE = outcome(
    "not_refundable", http=409, iso="12",
    en="A {kind} with nothing captured cannot be refunded.", zh="该笔交易（{kind}）没有可退金额。",
)  # fmt: skip
REFUND_EXCEEDS_PAYMENT = outcome(
    "refund_exceeds_payment", http=409, iso="61",
    en="At most {left_fen} of this payment can still be refunded.", zh="该笔交易最多还可退 {left_fen}。",
)  # fmt: skip
