"""Names, phones, documents and birthdays in the one form in which they are kept and looked up."""

import unicodedata
from calendar import monthrange

import phonenumbers
from msgspec.structs import replace
from stdnum import numdb
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties.customers.types import CustomerChange, Document, Personal
from kaquan.parties.identity import DocumentKind
from kaquan.parties.legal import given_fields

_LEAP_YEAR = 2000

HOME_REGION = "CN"
"""Where a phone number without a country code is."""

_ALLOWED = {
    DocumentKind.RESIDENT_ID: (
        "must be a resident identity number of 18 characters with a real date and check digit",
        "应为 18 位居民身份证号码，且出生日期与校验码正确",
    ),
    DocumentKind.SOCIAL_CREDIT_CODE: (
        "must be a unified social credit code of 18 characters with its check digit",
        "应为 18 位统一社会信用代码，且校验码正确",
    ),
}


def normalize_name(name: str) -> str | Refusal:
    """A name without spaces around it, each character in its usual form. Refused: ``invalid_field`` (name)."""
    normal = " ".join(unicodedata.normalize("NFKC", name).split())
    if not normal:
        return INVALID_FIELD.refuse("name", allowed="must not be blank", allowed_zh="不得为空白")
    return normal


def read_phone(phone: str, field: str = "phone") -> str | Refusal:
    """A phone number in E.164; without a country code it is Chinese. Refused: ``invalid_field``."""
    try:
        parsed = phonenumbers.parse(phone, HOME_REGION)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        return INVALID_FIELD.refuse(
            field,
            allowed="must be a phone number that exists, such as 13812345678 or +85251234567",
            allowed_zh="应为真实存在的电话号码，例如 13812345678 或 +85251234567",
        )
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def read_document(document: Document) -> Document | Refusal:
    """A document whose number is in capitals and proves itself. Refused: ``invalid_field`` (document.number)."""
    number = document.number.upper()
    is_valid = is_resident_number if document.kind is DocumentKind.RESIDENT_ID else uscc.is_valid
    # the library ignores spaces and hyphens, which would make several texts of one number
    if not (number.isascii() and number.isalnum() and is_valid(number)):
        en, zh = _ALLOWED[document.kind]
        return INVALID_FIELD.refuse("document.number", allowed=en, allowed_zh=zh)
    return Document(document.kind, number)


def is_resident_number(number: str) -> bool:
    """Whether it is a resident identity number (GB 11643): a county that is or was, a real date, the check digit.

    The library's own validation asks that the county had its code when the person was born. Numbers were given out
    years after birth, by the county of then, so it refuses the old people of every county that was reorganised.

    >>> is_resident_number("510104194803120022"), is_resident_number("510104194803120023")
    (True, False)
    """
    if len(number) != 18 or not number[:-1].isdecimal() or number[-1] != ric.calc_check_digit(number):
        return False
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return any("county" in found for _, found in numdb.get("cn/loc").info(number[:6]))


def birthday_of(document: Document | None) -> tuple[int, int] | None:
    """The month and day of birth that a resident identity number tells.

    >>> birthday_of(Document(DocumentKind.RESIDENT_ID, "11010519491231002X"))
    (12, 31)
    """
    if document is None or document.kind is not DocumentKind.RESIDENT_ID:
        return None
    return int(document.number[10:12]), int(document.number[12:14])


def fit_birthday(personal: Personal, *, derive: bool) -> Personal | Refusal:
    """With the birthday that its document tells, if ``derive`` and none was given.

    Refused: ``invalid_field`` (birthday) where the document tells another one.
    """
    known = birthday_of(personal.document)
    if known is None or personal.birthday == known:
        return personal
    if personal.birthday is None:
        return replace(personal, birthday=known) if derive else personal
    return INVALID_FIELD.refuse(
        "birthday", allowed="must be that of the identity number", allowed_zh="应与身份证号码一致"
    )


def _is_day(birthday: tuple[int, int]) -> bool:
    month, day = birthday
    return 1 <= month <= 12 and 1 <= day <= monthrange(_LEAP_YEAR, month)[1]


def read_personal(told: CustomerChange) -> Personal | Refusal:
    """What is given of ``told`` in its one form; what is not given is None. Refused: ``invalid_field``."""
    given = given_fields(told)
    name, phone, document = given.get("name"), given.get("phone"), given.get("document")
    read_name = None if name is None else normalize_name(name)
    if isinstance(read_name, Refusal):
        return read_name
    number = None if phone is None else read_phone(phone)
    if isinstance(number, Refusal):
        return number
    proved = None if document is None else read_document(document)
    if isinstance(proved, Refusal):
        return proved
    birthday = given.get("birthday")
    if birthday is not None and not _is_day(birthday):
        return INVALID_FIELD.refuse(
            "birthday", allowed="must be a day of a year, such as 02-29", allowed_zh="应为真实日期，例如 02-29"
        )
    return Personal(read_name, number, proved, birthday)
