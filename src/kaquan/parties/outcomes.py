"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from uuid import UUID

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal, outcome

# --- who may be a party

MERCHANT_OUTSIDE_SCHEME = outcome(
    "merchant_outside_scheme",
    http=409,
    iso="57",
    en="The merchant does not fit the scheme {scheme}: {why} (rule {rule}, {source}).",
    zh="该商户不符合 {scheme} 模式：{why}（规则 {rule}，{source}）。",
)

# --- operators and approvals

STORE_OUT_OF_SCOPE = outcome(
    "store_out_of_scope",
    http=403,
    iso="57",
    en="This operator may not act at that store.",
    zh="该操作员无权在此门店操作。",
)
OPERATOR_REQUIRED = outcome(
    "operator_required",
    http=403,
    iso="57",
    en="Only a person may do this: use the API key of an operator.",
    zh="此操作须由操作员本人完成，请使用操作员的 API 密钥。",
)
FOUR_EYES = outcome(
    "four_eyes",
    http=403,
    iso="57",
    en="Another person than the one who proposed or made this must decide on it.",
    zh="提议人或制单人不得自行审批或复核，须由另一人办理。",
)
NOT_YOUR_PROPOSAL = outcome(
    "not_your_proposal",
    http=403,
    iso="57",
    en="Only the one who proposed this may withdraw it.",
    zh="只有提议人可以撤回该提议。",
)
APPROVAL_REQUIRED = outcome(
    "approval_required",
    http=403,
    iso="57",
    en="{field}: this needs an approval of the kind {kind}, which an operator proposes first (POST /v1/approvals).",
    zh="{field}：办理此事须有 {kind} 类审批，请由操作员先提交审批（POST /v1/approvals）。",
)
APPROVAL_NOT_OPEN = outcome(
    "approval_not_open",
    http=409,
    iso="57",
    en="The proposal is {status} and can no longer be decided on.",
    zh="该提议状态为 {status}，不能再审批。",
)
APPROVAL_NOT_APPROVED = outcome(
    "approval_not_approved",
    http=409,
    iso="57",
    en="This needs an approved proposal; that one is {status}.",
    zh="此操作需要已批准的提议，该提议状态为 {status}。",
)
APPROVAL_FOR_SOMETHING_ELSE = outcome(
    "approval_for_something_else",
    http=409,
    iso="57",
    en="What was approved is not what is asked for now.",
    zh="当前操作与已批准的内容不一致。",
)

# --- customers and their identity

CUSTOMER_FORGOTTEN = outcome(
    "customer_forgotten",
    http=409,
    iso="62",
    en="What was known of this customer has been erased.",
    zh="该客户的个人信息已删除。",
)
CUSTOMER_CHANGED = outcome(
    "customer_changed",
    http=409,
    iso="09",
    retryable=True,
    en="What is known of the customer changed while it was checked; check again.",
    zh="核验期间客户信息已变更，请重新核验。",
)
IDENTITY_PROVIDER_MISSING = outcome(
    "identity_provider_missing",
    http=409,
    iso="57",
    en="No identity provider checks {level} in a {mode} book here.",
    zh="此处没有可在 {mode} 账套核验 {level} 的身份核验服务。",
)
IDENTITY_EVIDENCE_MISSING = outcome(
    "identity_evidence_missing",
    http=409,
    iso="30",
    en="Checking {level} needs {field}.",
    zh="核验 {level} 需要提供 {field}。",
)
IDENTITY_LOCKED = outcome(
    "identity_locked",
    http=429,
    iso="75",
    en="Too many identity checks; the next one is possible at {until}.",
    zh="身份核验次数过多，{until} 后方可再次核验。",
)
IDENTITY_CHECK_RUNNING = outcome(
    "identity_check_running",
    http=409,
    iso="09",
    retryable=True,
    en="As many identity checks as may still fail are running; wait for their results.",
    zh="正在进行的身份核验已达可失败次数，请等待结果。",
)


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def taken(field: str, value: str, *, prefix: Prefix, existing: UUID) -> Refusal:
    """``value`` belongs to ``existing`` already."""
    return ALREADY_EXISTS.refuse(field, value=value, existing=show_id(prefix, existing))


def unknown_time_zone() -> Refusal:
    """The time zone is not one of the IANA names."""
    return INVALID_FIELD.refuse(
        "time_zone",
        allowed="must be an IANA time zone such as Asia/Shanghai",
        allowed_zh="应为 IANA 时区名，例如 Asia/Shanghai",
    )


def invalid_code(field: str) -> Refusal:
    """The unified social credit code has a wrong form or check digit (GB 32100-2015)."""
    return INVALID_FIELD.refuse(
        field,
        allowed="must be a unified social credit code with its check digit, such as 91350100M000100Y43",
        allowed_zh="应为校验位正确的统一社会信用代码，例如 91350100M000100Y43",
    )


def half_a_place() -> Refusal:
    """A latitude without a longitude, or the other way round."""
    return INVALID_FIELD.refuse(
        "latitude_udeg",
        allowed="must be given, or taken away, together with longitude_udeg",
        allowed_zh="应与 longitude_udeg 同时提供或同时清除",
    )
