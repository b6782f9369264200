"""The sandbox: a provider of invented people, for test books.

Its register is endless and needs no storage: every number of a person leads to the same index from 0 to 99,999,999, and
the index to everything else about them.

- a mobile number ``139`` and eight digits is that of the index of these digits;
- a resident's number belongs to the index of the last eight digits of birth date and sequence (digits 7 to 17);
- a unified social credit code belongs to an index that its SHA-256 leads to;
- :func:`person` tells the name, the phone, the bank card and the face of an index.

Faults are asked for with the person, so that any client can have them: an index that ends in 990 to 999 is answered
with the provider's code 0 to 9 (FOURF-03) whatever else is shown, and one that ends in 989 is not answered at all.
"""

import asyncio
import hashlib

import msgspec
from stdnum import luhn

from kaquan.parties.identity import NEEDS, CheckResult, DocumentKind, Evidence, Finding, IdentityLevel
from kaquan.parties.types import Mode

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华"

SILENT = 989
"""Indexes that end so are not answered."""
CODES = range(990, 1000)
"""Indexes that end so are answered with a code, whatever is shown."""

_MEANINGS = {
    "0": CheckResult.MATCHED,
    "1": CheckResult.MISMATCHED,
}
"""What the provider's codes mean (FOURF-03). The others judge nobody: 2 invalid card, 3 card in an abnormal state, 4
invalid or abnormal, 5 restricted, 9 failed; a code that is not explained is an error as well."""

_MATCHED, _MISMATCHED, _INVALID_CARD = "0", "1", "2"


class Person(msgspec.Struct, frozen=True):
    """Somebody in the register."""

    name: str
    phone: str
    bank_card_number: str
    face_token: str


def person(index: int) -> Person:
    """Who has this index, 0 to 99,999,999."""
    given, surname = divmod(index, len(_SURNAMES))
    second, first = divmod(given, len(_GIVEN))
    card = f"62148300{index:08d}00"
    return Person(
        name=_SURNAMES[surname] + _GIVEN[first] + _GIVEN[second % len(_GIVEN)],
        phone=f"+86139{index:08d}",
        bank_card_number=card + luhn.calc_check_digit(card),
        face_token=f"face_{index:08d}",
    )


def index_of_phone(phone: str) -> int | None:
    """Whose phone it is, as ``+86139`` and eight digits; None for one that nobody has."""
    head, digits = phone[:6], phone[6:]
    return int(digits) if head == "+86139" and len(digits) == 8 and digits.isdecimal() and digits.isascii() else None


def index_of_document(kind: DocumentKind, number: str) -> int:
    """Whose document it is."""
    if kind is DocumentKind.RESIDENT_ID:
        return int(number[6:17]) % 100_000_000
    return int.from_bytes(hashlib.sha256(number.encode()).digest()) % 100_000_000


class Sandbox:
    """Knows the people of the register and nobody else."""

    name = "sandbox"
    levels = frozenset(NEEDS)
    modes = frozenset({Mode.TEST})

    async def check(self, level: IdentityLevel, evidence: Evidence) -> Finding:
        code = await self._code(level, evidence)
        return Finding(_MEANINGS.get(code, CheckResult.ERROR), code)

    async def _code(self, level: IdentityLevel, evidence: Evidence) -> str:
        if level is IdentityLevel.CONTACT:
            assert evidence.phone is not None
            index = index_of_phone(evidence.phone)
        else:
            assert evidence.document_kind is not None
            assert evidence.document_number is not None
            index = index_of_document(evidence.document_kind, evidence.document_number)
        if index is None:
            return _MISMATCHED
        if (ending := index % 1000) == SILENT:
            # until whoever asked gives up
            await asyncio.Event().wait()
        if ending in CODES:
            return str(ending - CODES.start)
        known = person(index)
        shown = [(evidence.name, known.name)]
        if level.rank >= IdentityLevel.FOUR_FACTORS.rank:
            assert evidence.bank_card_number is not None
            if not luhn.is_valid(evidence.bank_card_number):
                return _INVALID_CARD
            shown += [(evidence.bank_card_number, known.bank_card_number), (evidence.phone or "", known.phone)]
        if level is IdentityLevel.FOUR_FACTORS_FACE:
            shown.append((evidence.face_token or "", known.face_token))
        return _MATCHED if all(told == true for told, true in shown) else _MISMATCHED


PROVIDER = Sandbox()
