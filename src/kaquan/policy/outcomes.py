"""The refusals of this room, besides ``not_found`` and ``invalid_field``; one about a rule names it and its source."""

from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal, outcome

TERMS_BREAK_RULE = outcome(
    "terms_break_rule",
    http=422,
    iso="57",
    en="{field}: {allowed} (rule {rule}: {source}).",
    zh="{field}：{allowed}（规则 {rule}：{source}）。",
)
HOUSE_RULE_WEAKER_THAN_LAW = outcome(
    "house_rule_weaker_than_law",
    http=422,
    iso="57",
    en="{field}: {house} in {id} is weaker than the law, which says {law} (rule {rule}: {source}). "
    "A house rule may only be stricter; narrow what it applies to, or its value.",
    zh="{field}：{id} 的 {house} 宽于法规的 {law}（规则 {rule}：{source}）。"
    "自定规则只能更严，请收窄适用范围或调整取值。",
)
RULES_OVERLAP = outcome(
    "rules_overlap",
    http=422,
    iso="30",
    en="{field}: {id} from {begins} overlaps {other}, which holds from {other_begins} to {other_ends} ({source}). "
    "End that one first.",
    zh="{field}：{id}（{begins} 起）与 {other}（{other_begins} 至 {other_ends}，{source}）的有效期重叠，请先终止后者。",
)
UNKNOWN_RULE = outcome(
    "unknown_rule",
    http=422,
    iso="25",
    en="{field}: there is no rule {rule} that begins on {begins} here.",
    zh="{field}：没有自 {begins} 起生效的规则 {rule}。",
)
RULE_IN_THE_PAST = outcome(
    "rule_in_the_past",
    http=422,
    iso="30",
    en="{field}: {day} has passed; rules change from {today} on at the earliest, since nothing that was decided is "
    "decided again.",
    zh="{field}：{day} 已过，规则最早自 {today} 起变更，已发生的业务不追溯。",
)
RULE_FILE_INVALID = outcome(
    "rule_file_invalid",
    http=422,
    iso="30",
    en="{count} lines cannot be taken, so none was: {lines}",
    zh="共 {count} 行有误，整个文件未导入：{lines}",
)
SECOND_PERSON_REQUIRED = outcome(
    "second_person_required",
    http=403,
    iso="57",
    en="Who proposed a change may not approve it: a second person must.",
    zh="提出人不得批准自己的变更，须由第二人审批。",
)
CHANGE_ALREADY_DECIDED = outcome(
    "change_already_decided",
    http=409,
    iso="94",
    en="The change was {status} already.",
    zh="该变更已处理（{status}）。",
)


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """``field`` is not what is allowed."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)
