"""``/v1/customers``"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, patch, post, put
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan.cards import find_retention
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.audit_trail import ActionView, show_action
from kaquan.doors.http.fields import (
    BankCardNumber,
    Code,
    CustomerId,
    DocumentLast4,
    DocumentNumber,
    FaceToken,
    MonthDay,
    Name,
    Phone,
    Reason,
    Segment,
    TransactionId,
    uuid_of,
)
from kaquan.doors.http.ledger import answer_receipt
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.evidence import RECEIPT_CONTRADICTED, RECEIPT_NOT_READY
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope, customers
from kaquan.parties.customers import Customer, CustomerExport, CustomerSearch, Personal, PersonalField, Verification
from kaquan.parties.identity import CheckResult, DocumentKind, IdentityLevel
from kaquan.parties.outcomes import (
    CUSTOMER_CHANGED,
    CUSTOMER_FORGOTTEN,
    IDENTITY_CHECK_RUNNING,
    IDENTITY_EVIDENCE_MISSING,
    IDENTITY_LOCKED,
    IDENTITY_PROVIDER_MISSING,
)
from kaquan.payments.erase import erase_openings_of
from kaquan.payments.receipt import reveal_receipt


class DocumentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: DocumentKind
    number: DocumentNumber


class NewCustomer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone without a country code is Chinese. ``birthday`` is read from a resident identity number: tell it for
    others."""

    name: Name | None = None
    phone: Phone | None = None
    document: DocumentBody | None = None
    birthday: MonthDay | None = None


class CustomerChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays as it is, null takes it away."""

    name: Name | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    document: DocumentBody | UnsetType | None = UNSET
    birthday: MonthDay | UnsetType | None = UNSET


class CustomerFind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least one of the two."""

    phone: Phone | None = None
    document_number: DocumentNumber | None = None


class CustomerQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``last4``: of the phone or the document. Whole numbers are searched by ``POST /v1/customers/search``."""

    level: IdentityLevel | None = None
    last4: DocumentLast4 | None = None
    segment: Segment | None = None


class SegmentsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the customer has from now on."""

    segments: Annotated[list[Segment], Meta(max_length=customers.MAX_SEGMENTS)]


class Labelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is added to and removed from each of these customers."""

    customer_ids: Annotated[list[CustomerId], Meta(min_length=1, max_length=customers.MAX_LABELLED)]
    add: Annotated[list[Segment], Meta(max_length=customers.MAX_SEGMENTS)] = []
    remove: Annotated[list[Segment], Meta(max_length=customers.MAX_SEGMENTS)] = []


class LabelledView(msgspec.Struct, frozen=True):
    """Of how many customers something changed."""

    changed: int


class SegmentView(msgspec.Struct, frozen=True):
    name: str
    customers: int


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``bank_phone`` is the phone reserved with the bank if it is not the customer's. Nothing of this is kept."""

    level: IdentityLevel
    bank_card_number: BankCardNumber | None = None
    bank_phone: Phone | None = None
    face_token: FaceToken | None = None


class Reveal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fields: Annotated[list[PersonalField], Meta(min_length=1, max_length=8)]
    reason: Reason


class Retain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be kept, sealed and found by nobody: these fields, until then, by this rule."""

    fields: Annotated[list[PersonalField], Meta(min_length=1, max_length=8)]
    rule: Code
    until: Moment


class Forget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the law asks to keep of a holder of cards is kept in any case; ``retain`` is for what asks for more."""

    retain: Retain | None = None


class CustomerView(msgspec.Struct, frozen=True):
    """Everything personal is masked. ``retained_by`` is the rule for what a forgotten customer's record still holds,
    ``segments`` are what operators label the customer with."""

    id: CustomerId
    name_masked: str | None
    phone_masked: str | None
    document_kind: DocumentKind | None
    document_masked: str | None
    level: IdentityLevel
    created_at: datetime
    forgotten_at: datetime | None
    retained_until: datetime | None
    retained_by: str | None
    birthday_masked: str | None
    segments: list[str]


class VerificationView(msgspec.Struct, frozen=True):
    """``level`` is the customer's after the check, ``code`` the provider's own word for its result."""

    customer_id: CustomerId
    checked_level: IdentityLevel
    provider: str
    result: CheckResult
    code: str
    level: IdentityLevel
    checks_left: int


class DocumentView(msgspec.Struct, frozen=True):
    kind: DocumentKind
    number: str


class PersonalView(msgspec.Struct, frozen=True):
    name: str | None
    phone: str | None
    document: DocumentView | None


class LevelChangeView(msgspec.Struct, frozen=True):
    level: IdentityLevel
    reason: str
    provider: str | None
    at: datetime


class AttemptView(msgspec.Struct, frozen=True):
    level: IdentityLevel
    provider: str
    started_at: datetime
    result: CheckResult | None
    code: str | None
    ended_at: datetime | None


class CustomerExportView(msgspec.Struct, frozen=True):
    """Everything that is held on a person, the oldest first."""

    id: CustomerId
    personal: PersonalView
    level: IdentityLevel
    created_at: datetime
    forgotten_at: datetime | None
    retained_until: datetime | None
    retained_by: str | None
    birthday: str | None
    segments: list[str]
    levels: list[LevelChangeView]
    checks: list[AttemptView]
    actions: list[ActionView]


def show_customer(customer: Customer) -> CustomerView:
    return CustomerView(
        id=show_id(Prefix.CUSTOMER, customer.id),
        name_masked=customer.name_masked,
        phone_masked=customer.phone_masked,
        document_kind=customer.document_kind,
        document_masked=customer.document_masked,
        level=customer.level,
        created_at=customer.created_at,
        forgotten_at=customer.forgotten_at,
        retained_until=customer.retained_until,
        retained_by=customer.retained_by,
        birthday_masked=customer.birthday_masked,
        segments=list(customer.segments),
    )


def show_personal(personal: Personal) -> PersonalView:
    document = personal.document
    return PersonalView(
        personal.name, personal.phone, None if document is None else DocumentView(document.kind, document.number)
    )


def show_verification(checked: Verification) -> VerificationView:
    attempt = checked.attempt
    assert attempt.result is not None, "a check that is answered has ended"
    assert attempt.code is not None
    return VerificationView(
        customer_id=show_id(Prefix.CUSTOMER, attempt.customer_id),
        checked_level=attempt.level,
        provider=attempt.provider,
        result=attempt.result,
        code=attempt.code,
        level=checked.level,
        checks_left=checked.checks_left,
    )


def show_export(export: CustomerExport) -> CustomerExportView:
    customer = export.customer
    return CustomerExportView(
        id=show_id(Prefix.CUSTOMER, customer.id),
        personal=show_personal(export.personal),
        level=customer.level,
        created_at=customer.created_at,
        forgotten_at=customer.forgotten_at,
        retained_until=customer.retained_until,
        retained_by=customer.retained_by,
        birthday=_show_month_day(export.personal.birthday),
        segments=list(customer.segments),
        levels=[LevelChangeView(change.level, change.reason, change.provider, change.at) for change in export.levels],
        checks=[
            AttemptView(
                attempt.level, attempt.provider, attempt.started_at, attempt.result, attempt.code, attempt.ended_at
            )
            for attempt in export.attempts
        ],
        actions=[show_action(action) for action in export.actions],
    )


class ReceiptAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which transaction a holder asks for the receipt."""

    transaction_id: TransactionId


class CustomerController(Controller):
    path = "/v1/customers"
    tags = ("customers",)

    @post(
        **operation(Scope.CUSTOMERS_WRITE, body=NewCustomer, answer=CustomerView, status=201, refusals=[ALREADY_EXISTS])
    )
    async def create_customer(self, request: ApiRequest) -> Response[bytes]:
        """Take a customer in; nothing of what they tell is verified yet."""
        asked = await read_body(request, NewCustomer)
        app = app_of(request)
        made = await customers.create_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=customers.NewCustomer(asked.name, asked.phone, _document(asked.document), _month_day(asked.birthday)),
            by=actor_of(request),
        )
        return answer(made, show_customer, status=201)

    @get(**operation(Scope.CUSTOMERS_READ, query=CustomerQuery, answer=Page[CustomerView]))
    async def list_customers(self, request: ApiRequest) -> Response[bytes]:
        """List customers, the newest first."""
        query = read_query(request, CustomerQuery)
        search = CustomerSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            level=query.level,
            last4=query.last4,
            segment=query.segment,
        )
        app = app_of(request)
        page = await customers.list_customers(app.pool, app.keyring, book_id=request.user.book_id, search=search)
        return answer_page(page, show_customer)

    @post("/search", **operation(Scope.CUSTOMERS_READ, body=CustomerFind, answer=Page[CustomerView]))
    async def find_customers(self, request: ApiRequest) -> Response[bytes]:
        """Find customers by a whole phone or document number, the newest first."""
        asked = await read_body(request, CustomerFind)
        if asked.phone is None and asked.document_number is None:
            return problem_response(
                INVALID_FIELD.refuse(
                    "phone",
                    allowed="give phone, document_number or both",
                    allowed_zh="phone 与 document_number 至少提供一个",
                )
            )
        app = app_of(request)
        found = await customers.find_customers(
            app.pool,
            app.keyring,
            book_id=request.user.book_id,
            phone=asked.phone,
            document_number=asked.document_number,
        )
        return problem_response(found) if isinstance(found, Refusal) else answer_page(Page(found), show_customer)

    @get(
        "/{id:str}",
        **operation(Scope.CUSTOMERS_READ, path={"id": CustomerId}, answer=CustomerView, refusals=[NOT_FOUND]),
    )
    async def get_customer(self, request: ApiRequest) -> Response[bytes]:
        """Get a customer, masked."""
        app = app_of(request)
        id_ = uuid_of(read_path(request, CustomerId))
        found = await customers.get_customer(app.pool, app.keyring, book_id=request.user.book_id, id_=id_)
        return answer(found, show_customer)

    @patch(
        "/{id:str}",
        **operation(
            Scope.CUSTOMERS_WRITE,
            path={"id": CustomerId},
            body=CustomerChange,
            answer=CustomerView,
            refusals=[ALREADY_EXISTS, CUSTOMER_FORGOTTEN, BUSY],
        ),
    )
    async def correct_customer(self, request: ApiRequest) -> Response[bytes]:
        """Correct what is known of a customer; a level that rested on it is lost."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, CustomerChange)
        app = app_of(request)
        document = UNSET if isinstance(asked.document, UnsetType) else _document(asked.document)
        birthday = UNSET if isinstance(asked.birthday, UnsetType) else _month_day(asked.birthday)
        corrected = await customers.correct_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            change=customers.CustomerChange(name=asked.name, phone=asked.phone, document=document, birthday=birthday),
            by=actor_of(request),
        )
        return answer(corrected, show_customer)

    @put(
        "/{id:str}/segments",
        **operation(
            Scope.CUSTOMERS_WRITE,
            path={"id": CustomerId},
            body=SegmentsBody,
            answer=CustomerView,
            refusals=[NOT_FOUND, CUSTOMER_FORGOTTEN],
        ),
    )
    async def set_customer_segments(self, request: ApiRequest) -> Response[bytes]:
        """Give a customer these segments and no others; offers ask for them."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, SegmentsBody)
        app, book_id = app_of(request), request.user.book_id
        refused = await customers.set_segments(
            app.pool,
            app.clock,
            app.ids,
            book_id=book_id,
            id_=id_,
            segments=frozenset(asked.segments),
            by=actor_of(request),
        )
        if refused is not None:
            return problem_response(refused)
        return answer(await customers.get_customer(app.pool, app.keyring, book_id=book_id, id_=id_), show_customer)

    @get("/segments", **operation(Scope.CUSTOMERS_READ, answer=Page[SegmentView]))
    async def list_customer_segments(self, request: ApiRequest) -> Response[bytes]:
        """List the segments that customers have, by name, the first thousand."""
        found = await customers.list_segments(app_of(request).pool, book_id=request.user.book_id)
        return answer_page(Page(found), lambda one: SegmentView(one.name, one.customers))

    @post(
        "/segments",
        **operation(
            Scope.CUSTOMERS_WRITE,
            body=Labelling,
            answer=LabelledView,
            refusals=[NOT_FOUND, CUSTOMER_FORGOTTEN],
        ),
    )
    async def label_customers(self, request: ApiRequest) -> Response[bytes]:
        """Add segments to many customers and remove some: all of them or none. Said twice it changes nothing more."""
        asked = await read_body(request, Labelling)
        app = app_of(request)
        changed = await customers.label_customers(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            customer_ids=[uuid_of(id_) for id_ in asked.customer_ids],
            add=frozenset(asked.add),
            remove=frozenset(asked.remove),
            by=actor_of(request),
        )
        return answer(changed, LabelledView)

    @post(
        "/{id:str}/verify",
        **operation(
            Scope.CUSTOMERS_WRITE,
            path={"id": CustomerId},
            body=Check,
            answer=VerificationView,
            refusals=[
                CUSTOMER_FORGOTTEN,
                CUSTOMER_CHANGED,
                IDENTITY_PROVIDER_MISSING,
                IDENTITY_EVIDENCE_MISSING,
                IDENTITY_LOCKED,
                IDENTITY_CHECK_RUNNING,
                BUSY,
            ],
        ),
    )
    async def verify_customer(self, request: ApiRequest) -> Response[bytes]:
        """Have the identity provider check who a customer is; a match raises their level."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, Check)
        app = app_of(request)
        checked = await customers.verify_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            mode=request.user.mode,
            id_=id_,
            level=asked.level,
            proof=customers.Proof(
                bank_card_number=asked.bank_card_number, bank_phone=asked.bank_phone, face_token=asked.face_token
            ),
            provider=app.identity,
            rules=app.attempt_rules,
            timeout_ms=app.settings.identity_timeout_ms,
            by=actor_of(request),
        )
        return answer(checked, show_verification)

    @post(
        "/{id:str}/reveal",
        **operation(
            Scope.CUSTOMERS_REVEAL, path={"id": CustomerId}, body=Reveal, answer=PersonalView, refusals=[NOT_FOUND]
        ),
    )
    async def reveal_customer(self, request: ApiRequest) -> Response[bytes]:
        """Reveal what is known of a customer; who asked and why is recorded."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, Reveal)
        app = app_of(request)
        revealed = await customers.reveal_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            fields=frozenset(asked.fields),
            reason=asked.reason,
            by=actor_of(request),
        )
        return answer(revealed, show_personal)

    @post(
        "/{id:str}/export",
        **operation(Scope.CUSTOMERS_REVEAL, path={"id": CustomerId}, answer=CustomerExportView, refusals=[NOT_FOUND]),
    )
    async def export_customer(self, request: ApiRequest) -> Response[bytes]:
        """Hand out everything that is held on a customer, for that customer; who asked is recorded."""
        app = app_of(request)
        exported = await customers.export_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=uuid_of(read_path(request, CustomerId)),
            by=actor_of(request),
        )
        return answer(exported, show_export)

    @post(
        "/{id:str}/forget",
        **operation(
            Scope.CUSTOMERS_FORGET,
            path={"id": CustomerId},
            body=Forget,
            answer=CustomerView,
            refusals=[NOT_FOUND, BUSY],
        ),
    )
    async def forget_customer(self, request: ApiRequest) -> Response[bytes]:
        """Erase what is known of a customer but for what a rule asks to keep; the id stays."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, Forget)
        app = app_of(request)
        retention = None
        if asked.retain is not None:
            until = in_utc(asked.retain.until)
            assert until is not None
            retention = customers.Retention(frozenset(asked.retain.fields), asked.retain.rule, until)
        await app.policy.refresh()  # what is erased does not come back: no rule is overlooked
        law = await find_retention(
            app.pool, app.clock, app.policy.rules, book_id=request.user.book_id, slots=app.slots, customer_id=id_
        )
        forgotten = await customers.forget_customer(
            app.pool,
            app.keyring,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=id_,
            retention=retention,
            law=law,
            by=actor_of(request),
        )
        if not isinstance(forgotten, Refusal) and forgotten.retained_until is None:
            await erase_openings_of(app.pool, app.clock, book_id=request.user.book_id, slots=app.slots, customer_id=id_)
        return answer(forgotten, show_customer)

    @post(
        "/{id:str}/receipts",
        **operation(
            Scope.CUSTOMERS_REVEAL,
            path={"id": CustomerId},
            body=ReceiptAsked,
            answer=str,
            refusals=[NOT_FOUND, RECEIPT_NOT_READY, RECEIPT_CONTRADICTED],
        ),
    )
    async def open_receipt_for_holder(self, request: ApiRequest) -> Response[bytes]:
        """Get the receipt of a transaction on a customer's own card, with what opens their private fields in it."""
        id_ = uuid_of(read_path(request, CustomerId))
        asked = await read_body(request, ReceiptAsked)
        app = app_of(request)
        found = await customers.get_customer(app.pool, app.keyring, book_id=request.user.book_id, id_=id_)
        if isinstance(found, Refusal):
            return problem_response(found)
        receipt = await reveal_receipt(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            slots=app.slots,
            transaction_id=uuid_of(asked.transaction_id),
            by=actor_of(request),
            holder_id=id_,
        )
        return await answer_receipt(request, receipt, None)


def _show_month_day(birthday: tuple[int, int] | None) -> str | None:
    return None if birthday is None else f"{birthday[0]:02}-{birthday[1]:02}"


def _month_day(text: str | None) -> tuple[int, int] | None:
    return None if text is None else (int(text[:2]), int(text[3:]))


def _document(body: DocumentBody | None) -> customers.Document | None:
    return None if body is None else customers.Document(body.kind, body.number)
