"""The types of fields in requests and answers. Each says in both languages what it allows.

A pattern ends in ``$(?!\\n)`` because ``$`` alone lets a final newline pass in Python. Control characters are
kept out of every text: PostgreSQL cannot hold NUL, and nobody means the others.
"""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from kaquan.kit.ids import Prefix, uuid_from
from kaquan.kit.money import MAX_FEN


def _pattern(pattern: str, *, en: str, zh: str) -> Meta:
    return Meta(pattern=rf"^{pattern}$(?!\n)", description=en, extra={"zh": zh})


def _id(prefix: Prefix) -> Meta:
    return _pattern(
        f"{prefix}_[0-9a-f]{{32}}",
        en=f"an id: {prefix}_ and 32 lower-case hexadecimal digits",
        zh=f"编号：{prefix}_ 加 32 位小写十六进制数字",
    )


def _text(longest: int) -> Meta:
    return _pattern(
        rf"[^\x00-\x1f\x7f]{{1,{longest}}}",
        en=f"1 to {longest} characters, no control characters",
        zh=f"1 到 {longest} 个字符，不含控制字符",
    )


IssuerId = Annotated[str, _id(Prefix.ISSUER)]
MerchantId = Annotated[str, _id(Prefix.MERCHANT)]
StoreId = Annotated[str, _id(Prefix.STORE)]
TerminalId = Annotated[str, _id(Prefix.TERMINAL)]
ProgrammeId = Annotated[str, _id(Prefix.PROGRAMME)]
CardId = Annotated[str, _id(Prefix.CARD)]
OperatorId = Annotated[str, _id(Prefix.OPERATOR)]
ApprovalId = Annotated[str, _id(Prefix.APPROVAL)]
ActionId = Annotated[str, _id(Prefix.ACTION)]
CustomerId = Annotated[str, _id(Prefix.CUSTOMER)]
KeyId = Annotated[str, _id(Prefix.KEY)]
BatchId = Annotated[str, _id(Prefix.BATCH)]
LimitId = Annotated[str, _id(Prefix.LIMIT)]
PlaceRuleId = Annotated[str, _id(Prefix.PLACE_RULE)]
GiftId = Annotated[str, _id(Prefix.GIFT)]
TransferId = Annotated[str, _id(Prefix.TRANSFER)]
TransactionId = Annotated[str, _id(Prefix.TRANSACTION)]
PolicyChangeId = Annotated[str, _id(Prefix.POLICY_CHANGE)]
NoticeId = Annotated[str, _id(Prefix.NOTICE)]
EndpointId = Annotated[str, _id(Prefix.ENDPOINT)]
PayoutId = Annotated[str, _id(Prefix.PAYOUT)]
SaleId = Annotated[str, _id(Prefix.SALE)]
TopUpId = Annotated[str, _id(Prefix.TOP_UP)]
BuyerListId = Annotated[str, _id(Prefix.BUYER_LIST)]
CampaignId = Annotated[str, _id(Prefix.CAMPAIGN)]
SalePaymentId = Annotated[str, _id(Prefix.SALE_PAYMENT)]
ProgrammeEndId = Annotated[str, _id(Prefix.PROGRAMME_END)]
FunderId = Annotated[str, _id(Prefix.FUNDER)]
VoucherTemplateId = Annotated[str, _id(Prefix.VOUCHER_TEMPLATE)]
VoucherBatchId = Annotated[str, _id(Prefix.VOUCHER_BATCH)]
VoucherId = Annotated[str, _id(Prefix.VOUCHER)]
PointsPartnerId = Annotated[str, _id(Prefix.POINTS_PARTNER)]
PointsBenefitId = Annotated[str, _id(Prefix.POINTS_BENEFIT)]
AccountId = Annotated[
    str,
    _pattern(
        "acc_[0-9]{1,2}_[1-9][0-9]{0,17}",
        en="an id of an account, such as acc_0_17",
        zh="账户编号，例如 acc_0_17",
    ),
]

DayTime = Annotated[
    str,
    _pattern("([01][0-9]|2[0-3]):[0-5][0-9]", en="a time of day, such as 22:00", zh="一天中的时刻，例如 22:00"),
]
Code = Annotated[
    str,
    _pattern(
        "[!-~]{1,64}",
        en="1 to 64 visible ASCII characters without spaces",
        zh="1 到 64 个可见 ASCII 字符，不含空格",
    ),
]
Cursor = Annotated[str, _pattern("[A-Za-z0-9_-]{22}", en="a next_cursor that a list gave", zh="列表返回的 next_cursor")]
Name = Annotated[str, _text(200)]
Trade = Annotated[str, _text(64)]
_LABEL = _pattern(
    r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,62}[^\x00-\x20\x7f])?",
    en="1 to 64 characters, no control characters, no space at either end",
    zh="1 到 64 个字符，不含控制字符，首尾不得为空格",
)
District = Annotated[str, _LABEL]
Segment = Annotated[str, _LABEL]
MonthDay = Annotated[
    str,
    _pattern(
        "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
        en="a month and a day, such as 02-29",
        zh="月份和日期，例如 02-29",
    ),
]
Reference = Annotated[str, _text(128)]
Reason = Annotated[str, _text(500)]
LegalCode = Annotated[
    str,
    _pattern(
        "[0-9A-HJ-NPQRTUWXY]{18}",
        en="a unified social credit code of 18 digits and capitals, such as 91350100M000100Y43",
        zh="18 位统一社会信用代码，例如 91350100M000100Y43",
    ),
]
Province = Annotated[
    str,
    _pattern(
        "[A-Z]{2}(-[A-Z0-9]{1,3})?",
        en="an ISO 3166-2 code, such as CN-SH",
        zh="ISO 3166-2 代码，例如 CN-SH",
    ),
]
LatitudeUdeg = Annotated[int, Meta(ge=-90_000_000, le=90_000_000)]
LongitudeUdeg = Annotated[int, Meta(ge=-180_000_000, le=180_000_000)]
Phone = Annotated[
    str,
    _pattern(
        r"[+0-9][0-9 ()-]{2,31}",
        en="a phone number of 3 to 32 digits, spaces, hyphens and brackets, with or without +",
        zh="电话号码，3 到 32 位，可含数字、空格、连字符、括号，可带 +",
    ),
]
DocumentNumber = Annotated[
    str,
    _pattern(
        "[0-9A-Za-z]{18}",
        en="the 18 digits and letters of a resident identity number or a unified social credit code",
        zh="18 位居民身份证号码或统一社会信用代码",
    ),
]
DocumentLast4 = Annotated[
    str, _pattern("[0-9A-Z]{4}", en="the last four digits or capitals", zh="末四位数字或大写字母")
]
BankCardNumber = Annotated[
    str, _pattern("[0-9]{12,19}", en="the 12 to 19 digits of a bank card", zh="12 到 19 位银行卡号")
]
FaceToken = Annotated[
    str,
    _pattern(
        "[!-~]{1,2048}",
        en="1 to 2048 visible ASCII characters that the provider's camera gave",
        zh="人脸采集返回的凭证，1 到 2048 个可见 ASCII 字符",
    ),
]
PublicId = Annotated[
    str,
    _pattern(
        "[a-z]{2,8}_[0-9a-f_]{1,40}",
        en="an id as the API shows it, such as card_ and 32 lower-case hexadecimal digits",
        zh="API 返回的编号，例如 card_ 加 32 位小写十六进制数字",
    ),
]
Pin = Annotated[str, _pattern("[0-9]{6}", en="6 digits", zh=" 6 位数字")]
AmountFen = Annotated[int, Meta(ge=1, le=MAX_FEN)]


def uuid_of(public_id: str) -> UUID:
    """The UUID inside a public id that its type has checked."""
    return uuid_from(int(public_id[-32:], 16))


def account_of(public_id: str) -> tuple[int, int]:
    """The slot and the number inside the public id of an account that its type has checked."""
    _, slot, number = public_id.split("_")
    return int(slot), int(number)
