"""What every kind of identity provider must do; a new kind is found by itself."""

import asyncio
from typing import Any

import pytest

from kaquan.parties.customers import Document, read_document, read_phone
from kaquan.parties.identity import (
    NEEDS,
    CheckResult,
    DocumentKind,
    Evidence,
    Finding,
    IdentityLevel,
    IdentityProvider,
    find_providers,
)
from kaquan.parties.kinds.sandbox import (
    CODES,
    PROVIDER,
    SILENT,
    Person,
    index_of_document,
    index_of_phone,
    person,
)
from kaquan.parties.types import Mode

NUMBERS = {
    DocumentKind.RESIDENT_ID: "11010519491231002X",
    DocumentKind.SOCIAL_CREDIT_CODE: "91350100M000100Y43",
}
STRANGER = Evidence("查无此人", "+8613812345678", DocumentKind.RESIDENT_ID, NUMBERS[DocumentKind.RESIDENT_ID])

each_kind = pytest.mark.parametrize("provider", find_providers().values(), ids=lambda kind: kind.name)


def test_every_file_is_a_kind() -> None:
    assert {name: provider.name for name, provider in find_providers().items()} == {"sandbox": "sandbox"}


@each_kind
def test_a_kind_says_what_it_can_do(provider: IdentityProvider) -> None:
    assert provider.levels
    assert provider.levels <= set(NEEDS)
    assert IdentityLevel.NONE not in provider.levels
    assert provider.modes
    assert provider.modes <= set(Mode)


@each_kind
async def test_a_kind_answers_every_level_with_a_finding(provider: IdentityProvider) -> None:
    for level in provider.levels:
        shown = Evidence(
            STRANGER.name, STRANGER.phone, STRANGER.document_kind, STRANGER.document_number, "62148300123456003", "x"
        )
        async with asyncio.timeout(5):
            finding = await provider.check(level, shown)
        assert isinstance(finding, Finding)
        assert finding.result is not CheckResult.MATCHED
        assert finding.code


@each_kind
async def test_a_kind_may_be_cancelled(provider: IdentityProvider) -> None:
    check = asyncio.create_task(provider.check(IdentityLevel.CONTACT, STRANGER))
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check


def test_evidence_leaves_no_trace() -> None:
    assert "138" not in repr(STRANGER)
    assert STRANGER.name not in str(STRANGER)


# The sandbox


def evidence(known: Person, kind: DocumentKind, **other: Any) -> Evidence:
    shown = {
        "name": known.name,
        "phone": known.phone,
        "document_kind": kind,
        "document_number": NUMBERS[kind],
        "bank_card_number": known.bank_card_number,
        "face_token": known.face_token,
        **other,
    }
    return Evidence(**shown)


@pytest.mark.parametrize("kind", DocumentKind)
async def test_the_sandbox_knows_who_somebody_is(kind: DocumentKind) -> None:
    known = person(index_of_document(kind, NUMBERS[kind]))
    assert index_of_phone(known.phone) == index_of_document(kind, NUMBERS[kind])
    assert read_phone(known.phone) == known.phone
    assert read_document(Document(kind, NUMBERS[kind])) == Document(kind, NUMBERS[kind])
    for level in PROVIDER.levels:
        assert await PROVIDER.check(level, evidence(known, kind)) == Finding(CheckResult.MATCHED, "0")
    for level, wrong in (
        (IdentityLevel.CONTACT, {"name": "别人"}),
        (IdentityLevel.CONTACT, {"phone": "+8613812345678"}),
        (IdentityLevel.DOCUMENT, {"name": "别人"}),
        (IdentityLevel.FOUR_FACTORS, {"name": "别人"}),
        (IdentityLevel.FOUR_FACTORS, {"phone": "+8613812345678"}),
        (IdentityLevel.FOUR_FACTORS, {"bank_card_number": "62148300123456003"}),
        (IdentityLevel.FOUR_FACTORS_FACE, {"face_token": "other"}),
    ):
        assert await PROVIDER.check(level, evidence(known, kind, **wrong)) == Finding(CheckResult.MISMATCHED, "1")
    wrong_digit = {"bank_card_number": known.bank_card_number[:-1] + "x"}
    assert await PROVIDER.check(IdentityLevel.FOUR_FACTORS, evidence(known, kind, **wrong_digit)) == Finding(
        CheckResult.ERROR, "2"
    )


@pytest.mark.parametrize("ending", CODES)
async def test_the_sandbox_gives_each_code_to_who_asks_for_it(ending: int) -> None:
    finding = await PROVIDER.check(IdentityLevel.CONTACT, Evidence("x", f"+8613900000{ending}"))
    expected = {"0": CheckResult.MATCHED, "1": CheckResult.MISMATCHED}
    code = str(ending - 990)
    assert finding == Finding(expected.get(code, CheckResult.ERROR), code)


async def test_the_sandbox_is_silent_for_who_asks_for_it() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await PROVIDER.check(IdentityLevel.CONTACT, Evidence("x", f"+8613900000{SILENT}"))
