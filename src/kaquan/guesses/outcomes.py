"""The refusal of this room."""

from kaquan.kit.outcomes import outcome

TOO_MANY_WRONG_ANSWERS = outcome(
    "too_many_wrong_answers",
    http=429,
    iso="75",
    retryable=True,
    en="Too many wrong numbers, secrets or PINs: wait {retry_after_s} seconds.",
    zh="卡号、卡密或密码错误次数过多，请等待 {retry_after_s} 秒。",
)
