"""The refusals of ends of programmes, besides those of approvals, ``not_found`` and ``invalid_field``."""

from kaquan.kit.outcomes import outcome

NOTICE_TOO_SHORT = outcome(
    "notice_too_short", http=409, iso="12",
    en="{field}: the public must be told {days} days before cards are taken no more, so the last day is {earliest} at "
    "the earliest ({rule}, {source}).",
    zh="{field}：终止兑付须提前 {days} 日公告，最后使用日不得早于 {earliest}（{rule}，{source}）。",
)  # fmt: skip
PROGRAMME_ENDS_ALREADY = outcome(
    "programme_ends_already", http=409, iso="12",
    en="The end of the programme is announced already ({end}); withdraw it first.",
    zh="该卡种的终止已公告（{end}），请先撤回。",
)  # fmt: skip
END_NOT_WITHDRAWABLE = outcome(
    "end_not_withdrawable", http=409, iso="12",
    en="The end can be withdrawn only before it stops the programme; it is {status}.",
    zh="终止只能在停止发售之前撤回，当前状态：{status}。",
)  # fmt: skip
