"""The refusals of this room, besides ``not_found``, ``invalid_field`` and those of approvals."""

from kaquan.kit.outcomes import outcome

ALREADY_EXPORTED = outcome(
    "already_exported",
    http=409,
    iso="94",
    en="The production file was given out at {exported_at} by {exported_by}; another one needs an approval.",
    zh="该批次的制卡文件已于 {exported_at} 由 {exported_by} 导出；再次导出须经审批。",
)
BATCH_NOT_FINISHED = outcome(
    "batch_not_finished",
    http=409,
    iso="12",
    retryable=True,
    en="{issued_count} of {card_count} cards of the batch are made; wait until all are.",
    zh="该批次已制卡 {issued_count} 张，共 {card_count} 张，请等待完成。",
)
NOT_A_PHYSICAL_BATCH = outcome(
    "not_a_physical_batch",
    http=409,
    iso="12",
    en="The cards of this batch are digital: nothing of them is printed.",
    zh="该批次为电子卡，无需制卡文件。",
)
