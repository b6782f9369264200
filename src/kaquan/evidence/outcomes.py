"""The refusals of this room."""

from kaquan.kit.outcomes import outcome

RECEIPT_NOT_READY = outcome(
    "receipt_not_ready",
    http=409,
    iso="91",
    retryable=True,
    en="The transaction is recorded and is not in a signed checkpoint of the log yet; ask again in a second.",
    zh="交易已记账，但尚未进入已签名的日志检查点，请稍后（约一秒）重试。",
)
RECEIPT_NOT_PRINTABLE = outcome(
    "receipt_not_printable",
    http=422,
    iso="30",
    en="The receipt is too long for a QR code, so it has no page; get it as text.",
    zh="凭证过长，无法放入二维码，不能生成页面；请改取文本格式。",
)
RECEIPT_CONTRADICTED = outcome(
    "receipt_contradicted",
    http=409,
    iso="96",
    en="The transaction is not what its evidence says: it was altered after the fact. Run kaquan audit.",
    zh="交易内容与其存证不一致，可能在事后被改动，请运行 kaquan audit 核查。",
)
