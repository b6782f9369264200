"""Every refusal of the payments room."""

from kaquan.kit.outcomes import outcome
from kaquan.ledger.outcomes import IDEMPOTENCY_KEY_REUSED as IDEMPOTENCY_KEY_REUSED

BACKDATING_FORBIDDEN = outcome(
    "backdating_forbidden", http=403, iso="57",
    en="occurred_at must not be before {not_before}: this API key does not have the scope backdate.",
    zh="occurred_at 不得早于 {not_before}：此 API 密钥没有权限 backdate。",
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
POCKET_NOT_OFFERED = outcome(
    "pocket_not_offered", http=409, iso="57",
    en="{field}: the card has no pocket {pocket} that can be loaded; it has: {offered}.",
    zh="{field}：该卡没有可充值的 {pocket} 账户，可选：{offered}。",
)  # fmt: skip
LIMIT_EXCEEDED = outcome(
    "limit_exceeded", http=409, iso="61",
    en="The limit '{limit}' ({scope}, {period}) allows {maximum}; {left} is left.",
    zh="超出限额“{limit}”（{scope}，{period}）：上限 {maximum}，剩余 {left}。",
)  # fmt: skip
OUTSIDE_AREA = outcome(
    "outside_area", http=409, iso="58",
    en="The rule '{rule}' does not let this card be used at this store.", zh="根据规则“{rule}”，该卡不能在此门店使用。",
)  # fmt: skip
IMPOSSIBLE_TRAVEL = outcome(
    "impossible_travel", http=409, iso="59",
    en="The card was used elsewhere too recently to be here (rule '{rule}').",
    zh="该卡不久前在其他地点使用过，不可能已到达此处（规则“{rule}”）。",
)  # fmt: skip
LIMIT_ENDED = outcome(
    "limit_ended", http=409, iso="12",
    en="The limit has ended and cannot be replaced.", zh="该限额已终止，无法替换。",
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
LINES_NOT_KNOWN = outcome(
    "lines_not_known", http=409, iso="12",
    en="The payment has no line of this number: refund an amount, or the lines that it was made with.",
    zh="原交易没有该行号：请按金额退款，或使用原交易的商品行。",
)  # fmt: skip
REFUND_EXCEEDS_LINE = outcome(
    "refund_exceeds_line", http=409, iso="61",
    en="At most {left_fen} of line {number} can still be refunded.", zh="第 {number} 行最多还可退 {left_fen}。",
)  # fmt: skip
REQUEST_IN_PROGRESS = outcome(
    "request_in_progress", http=409, iso="09", retryable=True,
    en="A request with this Idempotency-Key is being worked on; ask again in a moment.",
    zh="相同幂等键的请求正在处理中，请稍后再试。",
)  # fmt: skip
TOO_MANY_PURCHASES = outcome(
    "too_many_purchases", http=422, iso="12",
    en="More than {maximum} purchases were recorded in this time: ask for a shorter one.",
    zh="该时间段内的消费超过 {maximum} 笔，请缩短时间范围。",
)  # fmt: skip
