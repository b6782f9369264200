"""Customers in a real database: sealed at rest, checked by a provider, corrected, exported, forgotten."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET
from tests.town import KEYRING, HandClock

from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Book, Mode, create_tenant
from kaquan.parties.customers import (
    Customer,
    CustomerChange,
    CustomerSearch,
    Document,
    Known,
    NewCustomer,
    Personal,
    PersonalField,
    Proof,
    Retention,
    Verification,
    correct_customer,
    create_customer,
    erase_retained,
    export_customer,
    find_customers,
    forget_customer,
    get_customer,
    hold_customer,
    label_customers,
    list_attempts,
    list_customers,
    list_levels,
    list_segments,
    reveal_customer,
    store,
    verify_customer,
)
from kaquan.parties.customers.sealing import open_row
from kaquan.parties.identity import (
    AttemptRules,
    CheckResult,
    DocumentKind,
    Evidence,
    Finding,
    IdentityLevel,
    IdentityProvider,
    default_rules,
)
from kaquan.parties.kinds.sandbox import PROVIDER, Sandbox, index_of_document, person
from kaquan.parties.trail import Action, ActionSearch, Actor, list_actions

RESIDENT = Document(DocumentKind.RESIDENT_ID, "11010519491231002X")
OTHER_RESIDENT = Document(DocumentKind.RESIDENT_ID, "360426199101010071")
COMPANY = Document(DocumentKind.SOCIAL_CREDIT_CODE, "91350100M000100Y43")
KNOWN = person(index_of_document(RESIDENT.kind, RESIDENT.number))
DESK = Actor(request_id="desk")


class Registry:
    """Two books, and short ways to have customers in them."""

    def __init__(self, pool: Pool, clock: HandClock, ids: Ids) -> None:
        self.pool, self.clock, self.ids = pool, clock, ids
        self.book: Book
        self.other: Book

    async def open(self) -> "Registry":
        for name in ("book", "other"):
            created = await create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
            assert not isinstance(created, Refusal)
            setattr(self, name, created[1][Mode.TEST])
        return self

    async def add(self, **told: Any) -> Customer:
        made = await self.try_to_add(**told)
        assert isinstance(made, Customer), made
        return made

    async def try_to_add(self, **told: Any) -> Customer | Refusal:
        return await create_customer(
            self.pool, KEYRING, self.clock, self.ids, book_id=self.book.id, new=NewCustomer(**told), by=DESK
        )

    async def known(self) -> Customer:
        return await self.add(name=KNOWN.name, phone=KNOWN.phone, document=RESIDENT)

    async def correct(self, customer: Customer, **change: Any) -> Customer | Refusal:
        return await correct_customer(
            self.pool,
            KEYRING,
            self.clock,
            self.ids,
            book_id=self.book.id,
            id_=customer.id,
            change=CustomerChange(**change),
        )

    async def get(self, customer: Customer) -> Customer:
        found = await get_customer(self.pool, KEYRING, book_id=self.book.id, id_=customer.id)
        assert isinstance(found, Customer)
        return found

    async def check(
        self,
        customer: Customer,
        level: IdentityLevel,
        *,
        provider: IdentityProvider = PROVIDER,
        rules: AttemptRules | None = None,
        mode: Mode = Mode.TEST,
        timeout_ms: int = 5_000,
        **proof: Any,
    ) -> Verification | Refusal:
        return await verify_customer(
            self.pool,
            KEYRING,
            self.clock,
            self.ids,
            book_id=self.book.id,
            mode=mode,
            id_=customer.id,
            level=level,
            proof=Proof(**proof),
            provider=provider,
            rules=rules or default_rules(),
            timeout_ms=timeout_ms,
        )

    async def forget(self, customer: Customer, retention: Retention | None = None) -> Customer | Refusal:
        return await forget_customer(
            self.pool,
            KEYRING,
            self.clock,
            self.ids,
            book_id=self.book.id,
            id_=customer.id,
            retention=retention,
        )

    async def personal(self, customer: Customer) -> Personal:
        row = await store.load_customer(self.pool, book_id=self.book.id, id_=customer.id)
        assert row is not None
        return open_row(row, KEYRING)

    async def label(
        self, ids: Sequence[UUID], *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> int | Refusal:
        return await label_customers(
            self.pool, self.clock, self.ids, book_id=self.book.id, customer_ids=ids, add=frozenset(add),
            remove=frozenset(remove), by=DESK,
        )  # fmt: skip

    async def find(self, **told: str) -> list[Customer]:
        found = await find_customers(self.pool, KEYRING, book_id=self.book.id, **told)
        assert not isinstance(found, Refusal)
        return found

    async def listed(self, **search: Any) -> list[Customer]:
        page = await list_customers(self.pool, KEYRING, book_id=self.book.id, search=CustomerSearch(**search))
        return page.data

    async def trail(self, customer: Customer) -> list[Action]:
        search = ActionSearch(subject=show_id(Prefix.CUSTOMER, customer.id))
        return (await list_actions(self.pool, book_id=self.book.id, search=search)).data[::-1]

    async def attempts(self, customer: Customer) -> int:
        return len(await list_attempts(self.pool, book_id=self.book.id, customer_id=customer.id))

    async def rows(self, table: str) -> str:
        """Everything that a table holds for the book, as text."""
        async with self.pool.connection() as connection:
            rows = await (
                await connection.execute(f"SELECT t::text FROM {table} t WHERE book_id = %s".encode(), (self.book.id,))
            ).fetchall()
        return "\n".join(row[0] for row in rows)


@pytest.fixture
async def registry(pool: Pool, ids: Ids) -> Registry:
    return await Registry(pool, HandClock(), ids).open()


def refused(result: object, code: str, field: str | None = None) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert "{" not in result.message("en") + result.message("zh")
    return result


# What is kept, and how it looks


async def test_nothing_personal_is_at_rest_in_clear(registry: Registry) -> None:
    customer = await registry.known()
    await registry.check(customer, IdentityLevel.FOUR_FACTORS, bank_card_number=KNOWN.bank_card_number)
    for table in (
        "parties_customer",
        "parties_audit",
        "parties_identity_attempt",
        "parties_identity_guard",
        "parties_level_change",
    ):
        kept = await registry.rows(table)
        assert kept
        for secret in (
            KNOWN.name,
            KNOWN.phone,
            KNOWN.phone[3:],
            KNOWN.phone[-4:],
            RESIDENT.number,
            RESIDENT.number[-4:],
            KNOWN.bank_card_number,
        ):
            assert secret not in kept or (secret.isdigit() and len(secret) == 4), (table, secret)
            assert secret.encode().hex() not in kept


async def test_a_customer_is_masked_wherever_it_is_shown(registry: Registry) -> None:
    made = await registry.add(name="  王小明 ", phone="138 1234 5678", document=RESIDENT)
    assert (made.name_masked, made.phone_masked, made.document_masked) == (
        "王**",
        "+86138****5678",
        "110***********002X",
    )
    assert made.level is IdentityLevel.NONE
    assert await registry.get(made) == made
    assert await registry.listed() == [made]
    company = await registry.add(name="江都商贸有限公司", phone="+442079460958", document=COMPANY)
    assert (company.phone_masked, company.document_masked) == ("+44******0958", "913***********0Y43")


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"phone": "12345"}, "phone"),
        ({"phone": "+86138"}, "phone"),
        ({"phone": "+86 19999"}, "phone"),
        ({"phone": "x"}, "phone"),
        ({"phone": "01"}, "phone"),
        ({"name": " \u3000 "}, "name"),
        ({"document": Document(DocumentKind.RESIDENT_ID, "110105194912310021")}, "document.number"),
        ({"document": Document(DocumentKind.RESIDENT_ID, "11010519491331002X")}, "document.number"),
        ({"document": Document(DocumentKind.RESIDENT_ID, "1101 0519491231002X")}, "document.number"),
        ({"document": Document(DocumentKind.RESIDENT_ID, "１１０１０５194912310021")}, "document.number"),
        ({"document": Document(DocumentKind.RESIDENT_ID, COMPANY.number)}, "document.number"),
        ({"document": Document(DocumentKind.SOCIAL_CREDIT_CODE, "91350100M000100Y44")}, "document.number"),
        ({"document": Document(DocumentKind.SOCIAL_CREDIT_CODE, RESIDENT.number)}, "document.number"),
    ],
)
async def test_what_is_told_must_be_real(registry: Registry, told: dict[str, Any], field: str) -> None:
    refused(await registry.try_to_add(**{"name": "王", **told}), "invalid_field", field)
    assert await registry.listed() == []
    assert await registry.rows("parties_audit") == ""
    customer = await registry.add(name="王小明")
    refused(await registry.correct(customer, **told), "invalid_field", field)
    assert await registry.get(customer) == customer


async def test_a_document_is_one_customers(registry: Registry) -> None:
    first = await registry.add(name="王小明", document=RESIDENT)
    lower = Document(RESIDENT.kind, RESIDENT.number.lower())
    second = refused(await registry.try_to_add(name="李", document=lower), "already_exists", "document.number")
    assert show_id(Prefix.CUSTOMER, first.id) in second.message("en")
    assert RESIDENT.number not in second.message("en") + second.message("zh")
    other = await registry.add(name="李")
    refused(await registry.correct(other, document=RESIDENT), "already_exists", "document.number")
    assert await registry.get(other) == other
    assert await registry.listed() == [other, first]
    registry.book, registry.other = registry.other, registry.book
    assert (await registry.add(name="王小明", document=RESIDENT)).id != first.id


async def test_customers_are_found_by_what_they_told(registry: Registry) -> None:
    first = await registry.add(name="王", phone="13812345678", document=RESIDENT)
    second = await registry.add(name="李", phone="+8613812345678", document=OTHER_RESIDENT)
    third = await registry.add(name="张", phone="13987650071")
    assert await registry.find(phone="138-1234-5678") == [second, first]
    assert await registry.find(document_number="11010519491231002x") == [first]
    assert await registry.find(phone="13812345678", document_number=OTHER_RESIDENT.number) == [second]
    assert await registry.find(phone="13812345679") == []
    assert await registry.listed(last4="5678") == [second, first]
    assert await registry.listed(last4="0071") == [third, second], "of the phone or of the document"
    assert await registry.listed(last4="002X") == [first]
    assert await registry.listed(last4="9999") == []
    assert await registry.listed(level=IdentityLevel.DOCUMENT) == []
    assert await registry.listed(created_after=second.created_at) == [third]
    refused(await find_customers(registry.pool, KEYRING, book_id=registry.book.id, phone="1"), "invalid_field", "phone")
    registry.book = registry.other
    assert await registry.find(phone="13812345678") == []
    assert await registry.listed(last4="5678") == []
    missing = await get_customer(registry.pool, KEYRING, book_id=registry.book.id, id_=first.id)
    refused(missing, "not_found", "id")
    refused(await registry.correct(first, name="x"), "not_found", "id")
    refused(await registry.forget(first), "not_found", "id")
    refused(await registry.check(first, IdentityLevel.CONTACT), "not_found", "id")


async def test_pages_of_customers_are_complete(registry: Registry) -> None:
    made = [await registry.add(name="王") for _ in range(5)]
    first = await list_customers(registry.pool, KEYRING, book_id=registry.book.id, search=CustomerSearch(limit=2))
    assert first.data == made[:2:-1]
    assert first.next_cursor is not None
    rest = await registry.listed(limit=3, after_id=first.data[-1].id)
    assert rest == made[2::-1]


# Levels


async def test_each_level_is_checked_with_what_it_needs(registry: Registry) -> None:
    customer = await registry.known()
    steps: list[tuple[IdentityLevel, dict[str, Any]]] = [
        (IdentityLevel.CONTACT, {}),
        (IdentityLevel.DOCUMENT, {}),
        (IdentityLevel.FOUR_FACTORS, {"bank_card_number": KNOWN.bank_card_number}),
        (
            IdentityLevel.FOUR_FACTORS_FACE,
            {"bank_card_number": KNOWN.bank_card_number, "face_token": KNOWN.face_token},
        ),
    ]
    for level, proof in steps:
        checked = await registry.check(customer, level, **proof)
        assert isinstance(checked, Verification)
        assert (checked.attempt.result, checked.level) == (CheckResult.MATCHED, level)
        assert (await registry.get(customer)).level is level
    again = await registry.check(customer, IdentityLevel.CONTACT)
    assert isinstance(again, Verification)
    assert again.level is IdentityLevel.FOUR_FACTORS_FACE, "a level is never lowered by a match"
    levels = await list_levels(registry.pool, book_id=registry.book.id, customer_id=customer.id)
    assert [change.level for change in levels] == list(IdentityLevel)[1:]
    assert {change.provider for change in levels} == {"sandbox"}
    assert [action.kind for action in await registry.trail(customer)] == ["customer.created"] + [
        "customer.verified"
    ] * 5


@pytest.mark.parametrize(
    ("told", "level", "proof", "field"),
    [
        ({"name": "王"}, IdentityLevel.CONTACT, {}, "phone"),
        ({"phone": "13812345678"}, IdentityLevel.CONTACT, {}, "name"),
        ({"name": "王", "phone": "13812345678"}, IdentityLevel.DOCUMENT, {}, "document"),
        (
            {"name": "王", "phone": "13812345678", "document": RESIDENT},
            IdentityLevel.FOUR_FACTORS,
            {},
            "bank_card_number",
        ),
        (
            {"name": "王", "phone": "13812345678", "document": RESIDENT},
            IdentityLevel.FOUR_FACTORS_FACE,
            {"bank_card_number": KNOWN.bank_card_number},
            "face_token",
        ),
    ],
)
async def test_a_check_needs_its_evidence(
    registry: Registry, told: dict[str, Any], level: IdentityLevel, proof: dict[str, Any], field: str
) -> None:
    customer = await registry.add(**told)
    refused(await registry.check(customer, level, **proof), "identity_evidence_missing", field)
    assert await registry.attempts(customer) == 0
    assert await registry.get(customer) == customer


async def test_evidence_is_checked_before_a_check_is_spent(registry: Registry) -> None:
    customer = await registry.known()
    wrong_digit = KNOWN.bank_card_number[:-1] + str((int(KNOWN.bank_card_number[-1]) + 1) % 10)
    four = IdentityLevel.FOUR_FACTORS
    refused(await registry.check(customer, four, bank_card_number=wrong_digit), "invalid_field", "bank_card_number")
    refused(
        await registry.check(customer, four, bank_card_number=KNOWN.bank_card_number, bank_phone="1"),
        "invalid_field",
        "bank_phone",
    )
    refused(await registry.check(customer, IdentityLevel.NONE), "identity_provider_missing", "level")
    refused(await registry.check(customer, IdentityLevel.CONTACT, mode=Mode.LIVE), "identity_provider_missing", "level")
    assert await registry.attempts(customer) == 0
    assert await registry.rows("parties_identity_guard") == ""


async def test_another_phone_may_be_reserved_with_the_bank(registry: Registry) -> None:
    customer = await registry.add(name=KNOWN.name, phone="13812345678", document=RESIDENT)
    four = IdentityLevel.FOUR_FACTORS
    with_own = await registry.check(customer, four, bank_card_number=KNOWN.bank_card_number)
    assert isinstance(with_own, Verification)
    assert with_own.attempt.result is CheckResult.MISMATCHED
    checked = await registry.check(customer, four, bank_card_number=KNOWN.bank_card_number, bank_phone=KNOWN.phone)
    assert isinstance(checked, Verification)
    assert checked.level is four


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"phone": "13812345678"}, IdentityLevel.DOCUMENT),
        ({"phone": None}, IdentityLevel.DOCUMENT),
        ({"name": "李四"}, IdentityLevel.NONE),
        ({"document": OTHER_RESIDENT}, IdentityLevel.NONE),
        ({"document": None}, IdentityLevel.NONE),
        ({"name": f" {KNOWN.name} ", "phone": KNOWN.phone[3:]}, IdentityLevel.FOUR_FACTORS),
    ],
)
async def test_a_correction_loses_the_level_that_rested_on_it(
    registry: Registry, change: dict[str, Any], left: IdentityLevel
) -> None:
    customer = await registry.known()
    await registry.check(customer, IdentityLevel.FOUR_FACTORS, bank_card_number=KNOWN.bank_card_number)
    corrected = await registry.correct(customer, **change)
    assert isinstance(corrected, Customer)
    assert corrected.level is left
    assert await registry.get(customer) == corrected
    last = (await registry.trail(customer))[-1]
    if left is IdentityLevel.FOUR_FACTORS:
        assert last.kind == "customer.verified", "nothing changed"
    else:
        fields = [next(iter(change))]
        if change.get("document"):
            fields.append("birthday")  # another person's
        assert last.kind == "customer.corrected"
        assert last.after == {"level": left, "fields": fields}


async def test_what_is_not_named_stays(registry: Registry) -> None:
    customer = await registry.known()
    assert await registry.correct(customer) == customer
    corrected = await registry.correct(customer, name="李四", phone=UNSET)
    assert isinstance(corrected, Customer)
    assert (corrected.name_masked, corrected.phone_masked) == ("李*", customer.phone_masked)


# How often


async def test_three_mismatches_lock_the_fourth_check(registry: Registry) -> None:
    customer = await registry.add(name="不是他", phone=KNOWN.phone, document=RESIDENT)
    for left in (2, 1, 0):
        checked = await registry.check(customer, IdentityLevel.DOCUMENT)
        assert isinstance(checked, Verification)
        assert (checked.attempt.result, checked.attempt.code, checked.checks_left) == (
            CheckResult.MISMATCHED,
            "1",
            left,
        )
        assert checked.level is IdentityLevel.NONE
    assert isinstance(await registry.correct(customer, name=KNOWN.name), Customer)
    locked = refused(await registry.check(customer, IdentityLevel.DOCUMENT), "identity_locked")
    assert "2026-03-01T21:30:00" in locked.message("en")
    assert await registry.attempts(customer) == 3
    assert (await registry.get(customer)).level is IdentityLevel.NONE
    registry.clock.move(timedelta(hours=11, minutes=59))
    refused(await registry.check(customer, IdentityLevel.DOCUMENT), "identity_locked")
    registry.clock.move(timedelta(minutes=2))
    checked = await registry.check(customer, IdentityLevel.DOCUMENT)
    assert isinstance(checked, Verification)
    assert (checked.level, checked.checks_left) == (IdentityLevel.DOCUMENT, 3)


async def test_a_bank_card_is_guarded_over_customers(registry: Registry) -> None:
    four = IdentityLevel.FOUR_FACTORS
    for document in (
        "360426199101010071",
        "11010519491231002X",
        "91350100M000100Y43",
    ):
        kind = DocumentKind.SOCIAL_CREDIT_CODE if "M" in document else DocumentKind.RESIDENT_ID
        guesser = await registry.add(name="猜测者", phone="13812345678", document=Document(kind, document))
        checked = await registry.check(guesser, four, bank_card_number="62148300123456003")
        assert isinstance(checked, Verification), checked
    await registry.forget(guesser)
    last = await registry.add(name="猜测者", phone="13812345678", document=COMPANY)
    refused(await registry.check(last, four, bank_card_number="62148300123456003"), "identity_locked")
    assert await registry.attempts(last) == 0


async def test_a_day_has_so_many_checks(registry: Registry) -> None:
    rules = AttemptRules("test", max_mismatches=50, max_checks=4, mismatch_lock_s=None, time_zone="Asia/Shanghai")
    customer = await registry.known()
    for _ in range(4):
        assert isinstance(await registry.check(customer, IdentityLevel.DOCUMENT, rules=rules), Verification)
    locked = refused(await registry.check(customer, IdentityLevel.DOCUMENT, rules=rules), "identity_locked")
    assert "2026-03-02T00:00:00+08:00" in locked.message("zh")
    assert await registry.attempts(customer) == 4
    registry.clock.at = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    assert isinstance(await registry.check(customer, IdentityLevel.DOCUMENT, rules=rules), Verification)


class Slow(Sandbox):
    """The sandbox, answering only when it is told to; counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def check(self, level: IdentityLevel, evidence: Evidence) -> Finding:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        return await super().check(level, evidence)


async def test_guesses_made_at_once_are_no_more_than_guesses_in_a_row(registry: Registry) -> None:
    customer = await registry.add(name="不是他", phone=KNOWN.phone, document=RESIDENT)
    slow = Slow()
    guesses = [asyncio.create_task(registry.check(customer, IdentityLevel.DOCUMENT, provider=slow)) for _ in range(20)]
    refusals = asyncio.as_completed(guesses, timeout=20)
    for _ in range(17):
        refused(await next(refusals), "identity_check_running")
    assert slow.asked == 3
    slow.may_answer.set()
    results = await asyncio.gather(*guesses)
    checked = [result for result in results if isinstance(result, Verification)]
    assert len(checked) == 3
    assert {result.code for result in results if isinstance(result, Refusal)} == {"identity_check_running"}
    assert await registry.attempts(customer) == 3
    refused(await registry.check(customer, IdentityLevel.DOCUMENT), "identity_locked")


async def test_a_provider_that_is_silent_or_cannot_tell_judges_nobody(registry: Registry) -> None:
    # sequences 989 and 995 of one birth date: no answer, and the code 5
    silent = Document(DocumentKind.RESIDENT_ID, "110105199001019891")
    restricted = Document(DocumentKind.RESIDENT_ID, "110105199001019955")
    for document, code in ((silent, "timeout"), (restricted, "5")):
        customer = await registry.add(name="王", phone="13812345678", document=document)
        for _ in range(4):
            checked = await registry.check(customer, IdentityLevel.DOCUMENT, timeout_ms=50)
            assert isinstance(checked, Verification), checked
            assert (checked.attempt.result, checked.attempt.code) == (CheckResult.ERROR, code)
            assert (checked.level, checked.checks_left) == (IdentityLevel.NONE, 3)
        assert await list_levels(registry.pool, book_id=registry.book.id, customer_id=customer.id) == []


class Unreachable(Sandbox):
    """A provider behind a line that is down."""

    async def check(self, level: IdentityLevel, evidence: Evidence) -> Finding:
        raise ConnectionRefusedError


async def test_a_provider_that_cannot_be_reached_is_an_error_of_the_check(registry: Registry) -> None:
    customer = await registry.known()
    checked = await registry.check(customer, IdentityLevel.DOCUMENT, provider=Unreachable())
    assert isinstance(checked, Verification)
    assert (checked.attempt.result, checked.attempt.code) == (CheckResult.ERROR, "unreachable")


async def test_a_correction_during_the_check_takes_its_match_away(registry: Registry) -> None:
    customer = await registry.known()
    slow = Slow()
    check = asyncio.create_task(registry.check(customer, IdentityLevel.DOCUMENT, provider=slow))
    await slow.was_asked.wait()
    assert isinstance(await registry.correct(customer, name="李四"), Customer)
    slow.may_answer.set()
    refused(await check, "customer_changed")
    assert (await registry.get(customer)).level is IdentityLevel.NONE
    last = (await registry.trail(customer))[-1]
    assert last.after is not None
    assert (last.after["result"], last.after["level"]) == ("matched", "none")


# Out of the room, and out of memory


async def test_revealing_and_exporting_leave_a_line(registry: Registry) -> None:
    customer = await registry.known()
    key = registry.ids.new()
    shown = await reveal_customer(
        registry.pool,
        KEYRING,
        registry.clock,
        registry.ids,
        book_id=registry.book.id,
        id_=customer.id,
        fields=frozenset({PersonalField.PHONE}),
        reason="回访",
        by=Actor(key),
    )
    assert shown == Personal(None, KNOWN.phone, None)
    await registry.check(customer, IdentityLevel.DOCUMENT)
    export = await export_customer(
        registry.pool,
        KEYRING,
        registry.clock,
        registry.ids,
        book_id=registry.book.id,
        id_=customer.id,
        by=Actor(key),
    )
    assert not isinstance(export, Refusal)
    assert export.personal == Personal(KNOWN.name, KNOWN.phone, RESIDENT, (12, 31))
    assert [change.level for change in export.levels] == [IdentityLevel.DOCUMENT]
    assert len(export.attempts) == 1
    trail = await registry.trail(customer)
    assert export.actions == trail
    assert [action.kind for action in trail] == [
        "customer.created",
        "customer.revealed",
        "customer.verified",
        "customer.exported",
    ]
    assert trail[1].after == {"fields": ["phone"], "reason": "回访"}
    assert trail[1].key_id == key
    for shown_as in (repr(export), repr(shown), repr(RESIDENT)):
        assert KNOWN.phone not in shown_as
        assert RESIDENT.number not in shown_as


async def test_forgetting_erases_and_leaves_the_id(registry: Registry) -> None:
    customer = await registry.known()
    await registry.check(customer, IdentityLevel.DOCUMENT)
    forgotten = await registry.forget(customer)
    assert isinstance(forgotten, Customer)
    assert (forgotten.name_masked, forgotten.phone_masked, forgotten.document_masked) == (None, None, None)
    assert (forgotten.level, forgotten.document_kind) == (IdentityLevel.NONE, None)
    assert (forgotten.birthday_masked, forgotten.segments) == (None, ())
    assert forgotten.forgotten_at is not None
    assert await registry.get(customer) == forgotten
    assert await registry.forget(customer) == forgotten, "once is enough"
    assert await registry.find(phone=KNOWN.phone) == []
    assert await registry.find(document_number=RESIDENT.number) == []
    assert await registry.listed(last4="002X") == []
    refused(await registry.correct(customer, name="x"), "customer_forgotten")
    refused(await registry.check(customer, IdentityLevel.CONTACT), "customer_forgotten")
    assert [action.kind for action in await registry.trail(customer)][-1] == "customer.forgotten"
    again = await registry.add(name=KNOWN.name, document=RESIDENT)
    assert again.id != customer.id, "who comes back is somebody new"


async def test_what_the_law_keeps_is_kept_until_then(registry: Registry) -> None:
    customer = await registry.known()
    kept = frozenset({PersonalField.NAME, PersonalField.DOCUMENT})
    until = datetime(2031, 3, 1, tzinfo=UTC)
    past = Retention(kept, "CN-SP-REC-01", registry.clock.at)
    refused(await registry.forget(customer, past), "invalid_field", "retain.until")
    assert await registry.get(customer) == customer
    forgotten = await registry.forget(customer, Retention(kept, "CN-SP-REC-01", until))
    assert isinstance(forgotten, Customer)
    assert (forgotten.name_masked, forgotten.phone_masked) == (f"{KNOWN.name[0]}**", None)
    assert (forgotten.retained_until, forgotten.retained_by) == (until, "CN-SP-REC-01")
    assert forgotten.birthday_masked is None, "no law asks for it"
    assert await registry.find(document_number=RESIDENT.number) == []
    assert await erase_retained(registry.pool, registry.clock, registry.ids) == 0
    registry.clock.at = until + timedelta(days=1)
    assert await erase_retained(registry.pool, registry.clock, registry.ids) == 1
    bare = await registry.get(customer)
    assert (bare.name_masked, bare.document_masked, bare.retained_until) == (None, None, None)
    assert (await registry.trail(customer))[-1].kind == "customer.erased"
    assert await erase_retained(registry.pool, registry.clock, registry.ids) == 0


# Birthdays and segments


@pytest.mark.parametrize(
    ("told", "birthday"),
    [
        ({"document": RESIDENT}, (12, 31)),
        ({"document": RESIDENT, "birthday": (12, 31)}, (12, 31)),
        ({"birthday": (2, 29)}, (2, 29)),
        ({"document": COMPANY, "birthday": (7, 1)}, (7, 1)),
        ({"document": COMPANY}, None),
        ({}, None),
    ],
)
async def test_a_birthday_is_that_of_the_number_or_told(
    registry: Registry, told: dict[str, Any], birthday: tuple[int, int] | None
) -> None:
    customer = await registry.add(name="王敏", **told)
    assert customer.birthday_masked == (None if birthday is None else f"{birthday[0]:02}-**")
    assert (await registry.personal(customer)).birthday == birthday
    known = await hold_customer(registry.pool, KEYRING, book_id=registry.book.id, id_=customer.id)
    assert isinstance(known, Known)
    assert known.personal.birthday is None, "what others seal goes without it"
    assert "1949" not in await registry.rows("parties_customer"), "no year is kept"


@pytest.mark.parametrize("told", [{"birthday": (2, 30)}, {"document": RESIDENT, "birthday": (12, 30)}])
async def test_a_birthday_that_cannot_be_is_refused(registry: Registry, told: dict[str, Any]) -> None:
    refused(await registry.try_to_add(**told), "invalid_field", "birthday")
    assert await registry.listed() == []
    customer = await registry.add(name="王敏")
    refused(await registry.correct(customer, **told), "invalid_field", "birthday")
    assert await registry.get(customer) == customer


async def test_a_birthday_is_corrected_and_taken_away(registry: Registry) -> None:
    customer = await registry.add(name="王敏", birthday=(7, 1))
    for change, birthday in (
        ({"phone": "13812345678"}, (7, 1)),
        ({"birthday": (8, 2)}, (8, 2)),
        ({"document": RESIDENT}, (12, 31)),
        ({"document": OTHER_RESIDENT}, (1, 1)),
        ({"birthday": None}, None),
        ({"name": "王小敏"}, None),
    ):
        corrected = await registry.correct(customer, **change)
        assert isinstance(corrected, Customer)
        assert (await registry.personal(customer)).birthday == birthday
    refused(await registry.correct(customer, birthday=(1, 2)), "invalid_field", "birthday")
    assert [action.after for action in await registry.trail(customer)][2:4] == [
        {"level": "none", "fields": ["birthday"]},
        {"level": "none", "fields": ["document", "birthday"]},
    ]


async def test_customers_are_labelled_all_or_none(registry: Registry) -> None:
    one, two = [await registry.add(name=name) for name in ("甲", "乙")]
    assert await registry.label([one.id, two.id, one.id], add={"会员", "邻居"}) == 2
    assert await registry.label([one.id, two.id], add={"会员"}) == 0, "said twice it changes nothing more"
    assert await registry.label([two.id], add={"员工"}, remove={"邻居", "无此标签"}) == 1
    assert (await registry.get(one)).segments == ("会员", "邻居")
    assert (await registry.get(two)).segments == ("会员", "员工")
    assert [one.id for one in await registry.listed(segment="员工")] == [two.id]
    assert [one.id for one in await registry.listed(segment="会员")] == [two.id, one.id]
    assert await registry.listed(segment="无此标签") == []
    assert [(one.name, one.customers) for one in await list_segments(registry.pool, book_id=registry.book.id)] == [
        ("会员", 2),
        ("员工", 1),
        ("邻居", 1),
    ]
    assert await list_segments(registry.pool, book_id=registry.other.id) == []
    last = (await registry.trail(two))[-1]
    assert (last.kind, last.before, last.after) == (
        "customer.labelled",
        {"segments": ["会员", "邻居"]},
        {"segments": ["会员", "员工"]},
    )
    assert (await registry.correct(two, name="丙")) is not None
    assert (await registry.get(two)).segments == ("会员", "员工"), "a correction leaves them"


async def test_labels_that_cannot_be_change_nobody(registry: Registry) -> None:
    one, gone = [await registry.add(name=name) for name in ("甲", "乙")]
    await registry.label([one.id, gone.id], add={"会员"})
    forgotten = await registry.forget(gone)
    assert isinstance(forgotten, Customer)
    assert forgotten.segments == ()
    before = await registry.rows("parties_customer"), await registry.rows("parties_audit")
    nobody = registry.ids.new()
    refused(await registry.label([one.id, nobody], add={"邻居"}), "not_found", "customer_ids[1]")
    refused(await registry.label([one.id, gone.id], add={"邻居"}), "customer_forgotten", "customer_ids[1]")
    refused(await registry.label([one.id], add={"邻居"}, remove={"邻居"}), "invalid_field", "remove")
    refused(await registry.label([one.id], add={f"s{n}" for n in range(50)}), "invalid_field", "add")
    refused(
        await label_customers(
            registry.pool, registry.clock, registry.ids, book_id=registry.other.id, customer_ids=[one.id],
            add=frozenset({"邻居"}),
        ),
        "not_found",
        "customer_ids[0]",
    )  # fmt: skip
    assert (await registry.rows("parties_customer"), await registry.rows("parties_audit")) == before


async def test_labels_given_at_once_are_all_there(registry: Registry) -> None:
    people = [await registry.add(name=str(n)) for n in range(4)]
    ids = [one.id for one in people]
    await asyncio.gather(*(registry.label(ids if n % 2 else ids[::-1], add={f"s{n}"}) for n in range(8)))
    for one in people:
        assert (await registry.get(one)).segments == tuple(f"s{n}" for n in range(8))


async def test_the_trail_and_the_history_cannot_be_altered(registry: Registry) -> None:
    await registry.known()
    for table in ("parties_audit", "parties_level_change"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = now()", f"TRUNCATE {table}"):
            with pytest.raises(Exception, match="permission denied"):
                async with registry.pool.connection() as connection:
                    await connection.execute(statement.encode())


def test_the_rules_that_are_shipped_are_those_of_their_source() -> None:
    assert default_rules() == AttemptRules("FOURF-02", 3, 10, 43_200, "Asia/Shanghai")
