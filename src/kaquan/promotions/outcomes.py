"""Every refusal of the promotions room, and why an offer did not apply to a basket."""

from kaquan.kit.outcomes import Outcome, outcome

CAMPAIGN_FILE_WRONG = outcome(
    "campaign_file_wrong", http=422, iso="30",
    en="The campaign has {count} faults; nothing was stored.", zh="活动文件有 {count} 处错误，未保存。",
)  # fmt: skip
CAMPAIGN_BREAKS_RULE = outcome(
    "campaign_breaks_rule", http=409, iso="57",
    en="{field}: {allowed} ({rule}, {source}).", zh="{field}：{allowed}（规则 {rule}，依据 {source}）。",
)  # fmt: skip
CAMPAIGN_NOT_IN_STATE = outcome(
    "campaign_not_in_state", http=409, iso="12",
    en="The campaign is {status}; this is done with one that is {allowed}.",
    zh="活动当前状态为 {status}，此操作要求状态为 {allowed}。",
)  # fmt: skip
CAMPAIGN_CHANGED = outcome(
    "campaign_changed", http=409, iso="12",
    en="The campaign has version {version} by now.", zh="活动已有新版本 {version}。",
)  # fmt: skip
SHADOW_RUNNING = outcome(
    "shadow_running", http=409, iso="12",
    en="Version {version} of the campaign runs beside live traffic until {until}, as its shadow {number}.",
    zh="活动第 {version} 版正在影子运行（第 {number} 次），至 {until} 止。",
)  # fmt: skip
TOO_MANY_SHADOWS = outcome(
    "too_many_shadows", http=409, iso="12",
    en="At most {maximum} drafts run beside live traffic at once; end another one first.",
    zh="同时影子运行的草案最多 {maximum} 个，请先结束其他草案。",
)  # fmt: skip
NO_SHADOW = outcome(
    "no_shadow", http=404, iso="25",
    en="No version of the campaign runs, or ran, beside live traffic.", zh="该活动没有影子运行。",
)  # fmt: skip


def _why(code: str, en: str, zh: str) -> Outcome:
    """Why an offer had no effect. A reason refuses nothing by itself: the payment is made without the offer."""
    return outcome(code, http=409, iso="57", en=en, zh=zh)


OFFER_NOT_NOW = _why(
    "offer_not_now",
    "The offer is not in force at this time.",
    "该优惠当前时间不适用。",
)
OFFER_NOT_HERE = _why(
    "offer_not_here",
    "The offer is not given here or not with this card.",
    "该优惠在此门店或此卡种不适用。",
)
OFFER_NOT_FOR_GOODS = _why(
    "offer_not_for_goods",
    "No goods of the basket are in the offer.",
    "购物篮中没有参加该优惠的商品。",
)
OFFER_NOT_FOR_HOLDER = _why(
    "offer_not_for_holder",
    "The offer is not for this holder: {condition}.",
    "该优惠不适用于该持卡人：{condition}。",
)
OFFER_WITHOUT_POINTS = _why(
    "offer_without_points",
    "The offer gives points, and the programme of the card gives none.",
    "该优惠赠送积分，而该卡种没有积分规则。",
)
OFFER_BELOW_THRESHOLD = _why(
    "offer_below_threshold",
    "The goods come to {amount_fen}; the offer begins at {needed_fen}.",
    "参加优惠的商品金额为 {amount_fen}，满 {needed_fen} 起享受。",
)
OFFER_TOO_FEW_PIECES = _why(
    "offer_too_few_pieces",
    "There are {pieces} pieces of the goods; the offer begins at {needed}.",
    "参加优惠的商品为 {pieces} 件，满 {needed} 件起享受。",
)
OFFER_GROUP_TAKEN = _why(
    "offer_group_taken",
    "Of the group '{group}' one offer applies: '{winner}'.",
    "“{group}”组内只能享受一项优惠：“{winner}”。",
)
OFFER_STANDS_ALONE = _why(
    "offer_stands_alone",
    "It does not go together with the offer '{winner}', which is worth more.",
    "不能与更优惠的“{winner}”同时享受。",
)
OFFER_LIMIT_REACHED = _why(
    "offer_limit_reached",
    "The most that offers may give in one basket is reached: {limit}.",
    "已达到单笔优惠上限：{limit}。",
)
OFFER_BUDGET_EXHAUSTED = _why(
    "offer_budget_exhausted",
    "What is left of the budget does not pay for it.",
    "活动预算余额不足。",
)
OFFER_NO_EFFECT = _why(
    "offer_no_effect",
    "It would give nothing here.",
    "在此不产生任何优惠。",
)
OFFER_HELD_BACK = _why(
    "offer_held_back",
    "The holder is in the control group of the campaign.",
    "持卡人属于该活动的对照组。",
)
