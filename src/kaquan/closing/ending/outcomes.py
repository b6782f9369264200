"""The refusals of this part, besides those of ends and of closing."""

from kaquan.kit.outcomes import outcome

END_WITHDRAWN = outcome(
    "end_withdrawn", http=409, iso="12",
    en="The end of the programme was withdrawn: nothing is refunded for it.",
    zh="该卡种的终止已撤回，不再办理终止退款。",
)  # fmt: skip
