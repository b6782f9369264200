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
BatchId = Annotated[str, _id(Prefix.BATCH)]
TransactionId = Annotated[str, _id(Prefix.TRANSACTION)]
NoticeId = Annotated[str, _id(Prefix.NOTICE)]
EndpointId = Annotated[str, _id(Prefix.ENDPOINT)]
PayoutId = Annotated[str, _id(Prefix.PAYOUT)]
AccountId = Annotated[
    str,
    _pattern(
        "acc_[0-9]{1,2}_[1-9][0-9]{0,17}",
        en="an id of an account, such as acc_0_17",
        zh="账户编号，例如 acc_0_17",
    ),
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
Reference = Annotated[str, _text(128)]
AmountFen = Annotated[int, Meta(ge=1, le=MAX_FEN)]


def uuid_of(public_id: str) -> UUID:
    """The UUID inside a public id that its type has checked."""
    return uuid_from(int(public_id[-32:], 16))


def account_of(public_id: str) -> tuple[int, int]:
    """The slot and the number inside the public id of an account that its type has checked."""
    _, slot, number = public_id.split("_")
    return int(slot), int(number)
