"""The refusals that belong to HTTP and to no room."""

from kaquan.kit.outcomes import outcome

UNAUTHENTICATED = outcome(
    "unauthenticated",
    http=401,
    iso="63",
    en="Send a valid API key: Authorization: Bearer kq_…",
    zh="请提供有效的 API 密钥：Authorization: Bearer kq_…",
)
FORBIDDEN = outcome(
    "forbidden",
    http=403,
    iso="57",
    en="This API key does not have the scope {scope}.",
    zh="此 API 密钥没有权限 {scope}。",
)
MALFORMED_JSON = outcome(
    "malformed_json",
    http=400,
    iso="30",
    en="The body is not JSON in UTF-8: {why}.",
    zh="请求体不是 UTF-8 编码的 JSON：{why}。",
)
METHOD_NOT_ALLOWED = outcome(
    "method_not_allowed",
    http=405,
    iso="40",
    en="This address does not take that method; it takes {allow}.",
    zh="此地址不支持该方法，仅支持 {allow}。",
)
BODY_TOO_LARGE = outcome(
    "body_too_large",
    http=413,
    iso="30",
    en="The body is larger than {limit} bytes.",
    zh="请求体超过 {limit} 字节。",
)
IDEMPOTENCY_KEY_MISSING = outcome(
    "idempotency_key_missing",
    http=400,
    iso="30",
    en="Send an Idempotency-Key header of 1 to 255 visible ASCII characters: a retry with it is safe.",
    zh="请提供 Idempotency-Key 请求头（1 到 255 个可见 ASCII 字符），以便安全重试。",
)
