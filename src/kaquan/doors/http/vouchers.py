"""``/v1/voucher-templates``, ``/v1/voucher-batches``, ``/v1/vouchers`` and what they owe."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import openpyxl
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan import vouchers
from kaquan.app import App
from kaquan.cards import UNUSABLE, Pocket, get_card
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.callers import caller_of_client, client_of
from kaquan.doors.http.cards import hand_of
from kaquan.doors.http.fields import (
    ApprovalId,
    CardId,
    Code,
    Cursor,
    CustomerId,
    FunderId,
    IssuerId,
    Name,
    Reason,
    TransactionId,
    VoucherBatchId,
    VoucherId,
    VoucherTemplateId,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, four_eyes, payload_of
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_file, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS
from kaquan.imports.kinds import NUMBER_CELL, FileError, kind_of
from kaquan.imports.outcomes import FILE_UNREADABLE
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope, customers
from kaquan.parties.identity import IdentityLevel
from kaquan.parties.staff import ApprovalKind
from kaquan.promotions import Funder, FunderKind
from kaquan.vouchers import (
    BatchSource,
    Eligibility,
    FundedRow,
    Happened,
    HeldBy,
    HolderKind,
    LiabilityRow,
    Loaded,
    Mint,
    Person,
    Search,
    Template,
    Voucher,
    VoucherBatch,
    VoucherEvent,
    VoucherKind,
    VoucherSearch,
    VoucherStatus,
)
from kaquan.vouchers.claim import MAX_AT_ONCE
from kaquan.vouchers.codes import DEFAULT_LENGTH, MAX_LENGTH, MIN_LENGTH, group
from kaquan.vouchers.issue import MAX_BATCH_VOUCHERS
from kaquan.vouchers.outcomes import (
    CODE_SPACE_TOO_SMALL,
    FILE_HAS_BAD_LINES,
    LOAD_EXCEEDS_CAP,
    NOT_ELIGIBLE,
    NOT_LOADABLE,
    NOT_TRANSFERABLE,
    TEMPLATE_ENDED,
    VOUCHER_EXPIRED,
    VOUCHER_LIMIT,
    VOUCHER_NOT_HELD,
    VOUCHER_NOT_USABLE,
    VOUCHER_NOT_YET,
    VOUCHERS_GONE,
)

VoucherCode = Annotated[
    str,
    Meta(
        pattern=r"^[ -~]{4,128}$(?!\n)",
        description="4 to 128 visible ASCII characters; spaces and hyphens are not looked at",
        extra={"zh": " 4 到 128 个可见 ASCII 字符，空格和连字符忽略"},
    ),
]
Segment = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,64}$(?!\n)", description="1 to 64 characters")]
Age = Annotated[int, Meta(ge=0, le=150)]

CLAIM_REFUSALS = [TEMPLATE_ENDED, VOUCHER_EXPIRED, NOT_ELIGIBLE, VOUCHER_LIMIT]

_encode = msgspec.json.Encoder().encode


class FunderShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who pays which share; ``funder_id`` names a party outside and belongs to the kind ``party`` alone."""

    kind: FunderKind
    share_bp: Annotated[int, Meta(ge=1, le=10_000)]
    funder_id: FunderId | None = None


class EligibilityFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may claim; what is left out asks nothing."""

    min_level: IdentityLevel | None = None
    segments: Annotated[list[Segment], Meta(max_length=50)] = []
    min_age: Age | None = None
    max_age: Age | None = None


class NewVoucherTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What vouchers shall promise.

    ``offer_kind``, ``offer_params``, ``offer_conditions`` and ``offer_stacking`` are the effect, as an offer of a
    campaign file has them. Exactly one of ``valid_until`` and ``valid_days`` (after the day of the claim).
    """

    issuer_id: IssuerId
    code: Code
    name: Name
    kind: VoucherKind
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="three capitals, such as CNY")]
    face_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)]
    offer_kind: Code
    offer_params: dict[str, Any]
    offer_conditions: dict[str, Any] = {}
    offer_stacking: dict[str, Any] = {}
    funders: Annotated[list[FunderShare], Meta(min_length=1, max_length=10)]
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    valid_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    max_per_holder: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    transferable: bool = False
    returnable: bool = True
    load_pocket: Pocket | None = None
    district: Name | None = None
    eligibility: EligibilityFields | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "valid_from", in_utc(self.valid_from))
        force_setattr(self, "valid_until", in_utc(self.valid_until))


class VoucherTemplateQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is the beginning of a name."""

    code: Code | None = None
    name: Name | None = None


class VoucherTemplateView(msgspec.Struct, frozen=True, kw_only=True):
    id: VoucherTemplateId
    issuer_id: IssuerId
    code: str
    name: str
    kind: VoucherKind
    currency: str
    face_fen: int
    offer_kind: str
    offer_params: dict[str, Any]
    offer_conditions: dict[str, Any]
    offer_stacking: dict[str, Any]
    funders: list[FunderShare]
    valid_from: datetime | None
    valid_until: datetime | None
    valid_days: int | None
    max_per_holder: int | None
    transferable: bool
    returnable: bool
    load_pocket: Pocket | None
    district: str | None
    eligibility: EligibilityFields | None
    created_at: datetime
    ended_at: datetime | None


def show_template(template: Template) -> VoucherTemplateView:
    asked = template.eligibility
    return VoucherTemplateView(
        id=show_id(Prefix.VOUCHER_TEMPLATE, template.id),
        issuer_id=show_id(Prefix.ISSUER, template.issuer_id),
        code=template.code,
        name=template.name,
        kind=template.kind,
        currency=template.currency,
        face_fen=template.face_fen,
        offer_kind=template.offer_kind,
        offer_params=template.offer_params,
        offer_conditions=template.offer_conditions,
        offer_stacking=template.offer_stacking,
        funders=[
            FunderShare(
                kind=one.kind,
                share_bp=one.share_bp,
                funder_id=show_id(Prefix.FUNDER, one.party_id) if one.party_id else None,
            )
            for one in template.funders
        ],
        valid_from=template.valid_from,
        valid_until=template.valid_until,
        valid_days=template.valid_days,
        max_per_holder=template.max_per_holder,
        transferable=template.transferable,
        returnable=template.returnable,
        load_pocket=template.load_pocket,
        district=template.district,
        eligibility=None
        if asked is None
        else EligibilityFields(
            min_level=asked.min_level, segments=sorted(asked.segments), min_age=asked.min_age, max_age=asked.max_age
        ),
        created_at=template.created_at,
        ended_at=template.ended_at,
    )


class NewVoucherBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vouchers to be made by a job. ``code_length`` counts the two check characters; null: without codes, for whoever
    asks first. A key of an operator needs an approval of the kind ``voucher_issue`` for the template."""

    template_id: VoucherTemplateId
    name: Name
    voucher_count: Annotated[int, Meta(ge=1, le=MAX_BATCH_VOUCHERS)]
    code_length: Annotated[int, Meta(ge=MIN_LENGTH, le=MAX_LENGTH)] | None = DEFAULT_LENGTH
    approval_id: ApprovalId | None = None


class VoucherFileQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    template_id: VoucherTemplateId
    name: Name


class VoucherBatchQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | None = None
    template_id: VoucherTemplateId | None = None


class VoucherBatchView(msgspec.Struct, frozen=True):
    id: VoucherBatchId
    template_id: VoucherTemplateId
    name: str
    source: BatchSource
    voucher_count: int
    issued_count: int
    code_length: int | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


def show_batch(batch: VoucherBatch) -> VoucherBatchView:
    return VoucherBatchView(
        show_id(Prefix.VOUCHER_BATCH, batch.id),
        show_id(Prefix.VOUCHER_TEMPLATE, batch.template_id),
        batch.name,
        batch.source,
        batch.voucher_count,
        batch.issued_count,
        batch.code_length,
        batch.created_by,
        batch.created_at,
        batch.finished_at,
    )


class VoucherCancelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of an operator needs an approval of the kind ``voucher_cancelling`` with the reason as payload."""

    reason: Reason
    approval_id: ApprovalId | None = None


class CancelledVoucherBatch(msgspec.Struct, frozen=True):
    batch: VoucherBatchView
    cancelled_count: int


class HolderFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who: a card, which stands for its person if it is registered, or a customer. ``segments`` and ``age`` are what
    the shop's system knows of them besides, for vouchers that are not for everybody."""

    card_id: CardId | None = None
    customer_id: CustomerId | None = None
    segments: Annotated[list[Segment], Meta(max_length=50)] = []
    age: Age | None = None


class CodeClaim(HolderFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: VoucherCode


class StockClaim(HolderFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    voucher_count: Annotated[int, Meta(ge=1, le=MAX_AT_ONCE)] = 1


class CodeEnquiry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: VoucherCode


class VoucherTransfer(HolderFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom. ``from_card_id`` or ``from_customer_id`` is who has it now."""

    from_card_id: CardId | None = None
    from_customer_id: CustomerId | None = None


class VoucherLoad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId


class VoucherQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``code_last4`` are the last four characters of a code."""

    template_id: VoucherTemplateId | None = None
    batch_id: VoucherBatchId | None = None
    card_id: CardId | None = None
    customer_id: CustomerId | None = None
    status: VoucherStatus | None = None
    code_last4: Annotated[str, Meta(pattern=r"^[0-9A-Z]{4}$(?!\n)", description="four characters")] | None = None


class VoucherHistoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None


class VoucherView(msgspec.Struct, frozen=True, kw_only=True):
    """``redeemed_fen`` is what it took off, ``returned_fen`` what of that came back with refunds."""

    id: VoucherId
    template_id: VoucherTemplateId
    batch_id: VoucherBatchId | None
    status: VoucherStatus
    card_id: CardId | None
    customer_id: CustomerId | None
    code_masked: str | None
    face_fen: int
    valid_from: datetime | None
    valid_until: datetime | None
    redeemed_by: TransactionId | None
    redeemed_fen: int
    returned_fen: int
    granted_by: TransactionId | None
    created_at: datetime


class VoucherList(msgspec.Struct, frozen=True):
    data: list[VoucherView]


class VoucherEventView(msgspec.Struct, frozen=True):
    kind: VoucherEvent
    from_status: VoucherStatus
    to_status: VoucherStatus
    at: datetime
    actor: str
    card_id: CardId | None
    customer_id: CustomerId | None
    transaction_id: TransactionId | None
    amount_fen: int
    reason: str | None


class VoucherCodeView(msgspec.Struct, frozen=True):
    id: VoucherId
    code: str


class VoucherLoadView(msgspec.Struct, frozen=True):
    """A voucher's value on a card."""

    id: TransactionId
    voucher_id: VoucherId
    card_id: CardId
    amount_fen: int


class ReportForm(StrEnum):
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``at``: as of which moment; now if it is left out."""

    at: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "at", in_utc(self.at))


class FundingQuery(ReportQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    form: ReportForm = ReportForm.JSON


class LiabilityView(msgspec.Struct, frozen=True):
    template_id: VoucherTemplateId
    status: VoucherStatus
    voucher_count: int
    face_fen: int
    redeemed_fen: int


class FundingView(msgspec.Struct, frozen=True):
    """What one who pays owes for the vouchers of a template, in minor units of its currency."""

    funder_kind: FunderKind
    funder_id: FunderId | None
    district: str | None
    template_id: VoucherTemplateId
    currency: str
    outstanding_count: int
    outstanding_fen: int
    redeemed_count: int
    redeemed_fen: int
    loaded_count: int
    loaded_fen: int
    expired_count: int
    expired_fen: int
    cancelled_count: int
    cancelled_fen: int


def mask_code(last4: str) -> str:
    """A code as everybody may see it."""
    return f"****{last4}"


def _ids(holder: HeldBy | None) -> tuple[str | None, str | None]:
    """The public ids of a holder: of the card, of the customer."""
    if holder is None:
        return None, None
    if holder.kind is HolderKind.CARD:
        return show_id(Prefix.CARD, holder.id), None
    return None, show_id(Prefix.CUSTOMER, holder.id)


def show_voucher(voucher: Voucher) -> VoucherView:
    card_id, customer_id = _ids(voucher.holder)
    return VoucherView(
        id=show_id(Prefix.VOUCHER, voucher.id),
        template_id=show_id(Prefix.VOUCHER_TEMPLATE, voucher.template_id),
        batch_id=show_id(Prefix.VOUCHER_BATCH, voucher.batch_id) if voucher.batch_id else None,
        status=voucher.status,
        card_id=card_id,
        customer_id=customer_id,
        code_masked=mask_code(voucher.code_last4) if voucher.code_last4 else None,
        face_fen=voucher.face_fen,
        valid_from=voucher.valid_from,
        valid_until=voucher.valid_until,
        redeemed_by=show_id(Prefix.TRANSACTION, voucher.redeemed_by) if voucher.redeemed_by else None,
        redeemed_fen=voucher.redeemed_fen,
        returned_fen=voucher.returned_fen,
        granted_by=show_id(Prefix.TRANSACTION, voucher.granted_by) if voucher.granted_by else None,
        created_at=voucher.created_at,
    )


def show_event(one: Happened) -> VoucherEventView:
    card_id, customer_id = _ids(one.holder)
    return VoucherEventView(
        one.kind,
        one.from_status,
        one.to_status,
        one.at,
        one.actor,
        card_id,
        customer_id,
        show_id(Prefix.TRANSACTION, one.transaction_id) if one.transaction_id else None,
        one.amount_fen,
        one.reason,
    )


def show_liability(row: LiabilityRow) -> LiabilityView:
    return LiabilityView(
        show_id(Prefix.VOUCHER_TEMPLATE, row.template_id), row.status, row.voucher_count, row.face_fen, row.redeemed_fen
    )


def show_funding(row: FundedRow) -> FundingView:
    kind, party_id, district, template_id, *rest = row
    return FundingView(
        kind,
        show_id(Prefix.FUNDER, party_id) if party_id else None,
        district,
        show_id(Prefix.VOUCHER_TEMPLATE, template_id),
        *rest,  # type: ignore[arg-type]  # the rest of a row is the rest of its view
    )


def mint_of(app: App) -> Mint:
    return Mint(app.keyring, app.slots, app.ids)


async def find_holder(
    request: ApiRequest, *, card_id: str | None, customer_id: str | None, field: str = ""
) -> HeldBy | Refusal:
    """Whoever is named: a customer, or a card for its person. Refused: ``invalid_field``, ``not_found``."""
    app, book_id = app_of(request), request.user.book_id
    if (card_id is None) == (customer_id is None):
        return INVALID_FIELD.refuse(
            f"{field}card_id",
            allowed=f"give either {field}card_id or {field}customer_id",
            allowed_zh=f"{field}card_id 与 {field}customer_id 须且只能提供一个",
        )
    if customer_id is not None:
        id_ = uuid_of(customer_id)
        missing = await app.check_customer(book_id, id_)
        return HeldBy(HolderKind.CUSTOMER, id_) if missing is None else missing
    assert card_id is not None
    card = await get_card(app.pool, book_id=book_id, slots=app.slots, card_id=uuid_of(card_id))
    return NOT_FOUND.refuse(f"{field}card_id", what="card") if isinstance(card, Refusal) else vouchers.holder_of(card)


async def find_person(request: ApiRequest, holder: HeldBy, asked: HolderFields) -> Person:
    """What is known of a holder: their level and segments here, and what the shop's system tells."""
    level, segments = None, frozenset(asked.segments)
    if holder.kind is HolderKind.CUSTOMER:
        app = app_of(request)
        found = await customers.get_customer(app.pool, app.keyring, book_id=request.user.book_id, id_=holder.id)
        if not isinstance(found, Refusal):
            level, segments = found.level, segments.union(found.segments)
    return Person(level, segments, asked.age)


async def read_rows(request: ApiRequest) -> list[tuple[int, list[str]]]:
    """The rows of a file in the body. Raises RefusedError with ``file_unreadable``."""
    content = bytes(await read_file(request, limit=app_of(request).settings.max_import_bytes))
    try:
        rows = list(kind_of(content).rows(content))
    except FileError as error:
        raise RefusedError(FILE_UNREADABLE.refuse("file", why=error.en, why_zh=error.zh)) from None
    return [(line, [cell.removeprefix(NUMBER_CELL) for cell in cells]) for line, cells in rows]


class VoucherTemplateController(Controller):
    path = "/v1/voucher-templates"
    tags = ("vouchers",)

    @post(
        **operation(
            Scope.VOUCHERS_WRITE,
            body=NewVoucherTemplate,
            answer=VoucherTemplateView,
            status=201,
            refusals=[NOT_FOUND, ALREADY_EXISTS],
        )
    )
    async def create_template(self, request: ApiRequest) -> Response[bytes]:
        """Create a voucher template; what it promises never changes."""
        asked = await read_body(request, NewVoucherTemplate)
        app = app_of(request)
        wanted = asked.eligibility
        fields = {
            **{name: getattr(asked, name) for name in NewVoucherTemplate.__struct_fields__},
            "issuer_id": uuid_of(asked.issuer_id),
            "funders": tuple(
                Funder(one.kind, uuid_of(one.funder_id) if one.funder_id else None, one.share_bp)
                for one in asked.funders
            ),
            "eligibility": None
            if wanted is None
            else Eligibility(wanted.min_level, frozenset(wanted.segments), wanted.min_age, wanted.max_age),
        }
        made = await vouchers.create_template(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=vouchers.NewTemplate(**fields),
            by=actor_of(request),
        )
        return answer(made, show_template, status=201)

    @get(**operation(Scope.VOUCHERS_READ, query=VoucherTemplateQuery, answer=Page[VoucherTemplateView]))
    async def list_templates(self, request: ApiRequest) -> Response[bytes]:
        """List voucher templates, the newest first."""
        query = read_query(request, VoucherTemplateQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            name=query.name,
        )
        page = await vouchers.list_templates(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_template)

    @get(
        "/{id:str}",
        **operation(
            Scope.VOUCHERS_READ, path={"id": VoucherTemplateId}, answer=VoucherTemplateView, refusals=[NOT_FOUND]
        ),
    )
    async def get_template(self, request: ApiRequest) -> Response[bytes]:
        """Get a voucher template."""
        id_ = uuid_of(read_path(request, VoucherTemplateId))
        found = await vouchers.get_template(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, show_template)

    @post(
        "/{id:str}/end",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherTemplateId},
            answer=VoucherTemplateView,
            refusals=[NOT_FOUND, TEMPLATE_ENDED],
        ),
    )
    async def end_template(self, request: ApiRequest) -> Response[bytes]:
        """Give out no more vouchers of a template; those that are held stay good."""
        app = app_of(request)
        ended = await vouchers.end_template(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            id_=uuid_of(read_path(request, VoucherTemplateId)),
            by=actor_of(request),
        )
        return answer(ended, show_template)

    @post(
        "/{id:str}/claim",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherTemplateId},
            body=StockClaim,
            answer=VoucherList,
            refusals=[INVALID_FIELD, NOT_FOUND, *CLAIM_REFUSALS, VOUCHERS_GONE],
            takes_key=True,
        ),
    )
    async def claim_vouchers(self, request: ApiRequest) -> Response[bytes]:
        """Claim vouchers that are for whoever asks first: all that are asked for, or none."""
        body = await read_bytes(request)
        asked = decode_body(body, StockClaim)
        template_id = uuid_of(read_path(request, VoucherTemplateId))
        app = app_of(request)
        holder = await find_holder(request, card_id=asked.card_id, customer_id=asked.customer_id)
        if isinstance(holder, Refusal):
            return problem_response(holder)
        person = await find_person(request, holder, asked)

        async def work(key: RequestKey) -> Answer | Refusal:
            return await vouchers.claim_once(
                app.pool,
                hand_of(request),
                book_id=request.user.book_id,
                slots=app.slots,
                template_id=template_id,
                holder=holder,
                person=person,
                count=asked.voucher_count,
                key=key,
                render=lambda made: Answer(200, _encode(VoucherList([show_voucher(one) for one in made]))),
            )

        return await answer_once(request, body, near=holder.id, work=work)


class VoucherBatchController(Controller):
    path = "/v1/voucher-batches"
    tags = ("vouchers",)

    @post(
        **operation(
            Scope.VOUCHERS_WRITE,
            body=NewVoucherBatch,
            answer=VoucherBatchView,
            status=201,
            refusals=[NOT_FOUND, TEMPLATE_ENDED, ALREADY_EXISTS, CODE_SPACE_TOO_SMALL, *APPROVED],
        )
    )
    async def create_voucher_batch(self, request: ApiRequest) -> Response[bytes]:
        """Have vouchers made by a job; the batch counts how far it has come."""
        body = await read_bytes(request)
        asked = decode_body(body, NewVoucherBatch)
        approve = four_eyes(
            request,
            kind=ApprovalKind.VOUCHER_ISSUE,
            subject=asked.template_id,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app = app_of(request)
        made = await vouchers.create_batch(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=vouchers.NewVoucherBatch(
                template_id=uuid_of(asked.template_id),
                name=asked.name,
                voucher_count=asked.voucher_count,
                code_length=asked.code_length,
            ),
            by=actor_of(request),
            approve=approve,
        )
        return answer(made, show_batch, status=201)

    @post(
        "/assign",
        **operation(
            Scope.VOUCHERS_WRITE,
            query=VoucherFileQuery,
            body=bytes,
            answer=VoucherBatchView,
            status=201,
            refusals=[NOT_FOUND, TEMPLATE_ENDED, ALREADY_EXISTS, FILE_UNREADABLE, FILE_HAS_BAD_LINES],
        ),
    )
    async def assign_vouchers(self, request: ApiRequest) -> Response[bytes]:
        """Give vouchers to everybody in a file (CSV or .xlsx: card or customer_id, count), or to nobody."""
        query = read_query(request, VoucherFileQuery)
        app = app_of(request)
        made = await vouchers.assign_vouchers(
            app.pool,
            hand_of(request),
            app.finder,
            book_id=request.user.book_id,
            slots=app.slots,
            template_id=uuid_of(query.template_id),
            name=query.name,
            rows=await read_rows(request),
        )
        return answer(made, show_batch, status=201)

    @post(
        "/import",
        **operation(
            Scope.VOUCHERS_WRITE,
            query=VoucherFileQuery,
            body=bytes,
            answer=VoucherBatchView,
            status=201,
            refusals=[NOT_FOUND, TEMPLATE_ENDED, ALREADY_EXISTS, FILE_UNREADABLE, FILE_HAS_BAD_LINES],
        ),
    )
    async def import_codes(self, request: ApiRequest) -> Response[bytes]:
        """Take in vouchers with foreign codes (CSV or .xlsx: code, valid_until): all of a file, or none."""
        query = read_query(request, VoucherFileQuery)
        app = app_of(request)
        made = await vouchers.import_codes(
            app.pool,
            mint_of(app),
            hand_of(request),
            book_id=request.user.book_id,
            template_id=uuid_of(query.template_id),
            name=query.name,
            rows=await read_rows(request),
        )
        return answer(made, show_batch, status=201)

    @get(**operation(Scope.VOUCHERS_READ, query=VoucherBatchQuery, answer=Page[VoucherBatchView]))
    async def list_voucher_batches(self, request: ApiRequest) -> Response[bytes]:
        """List batches of vouchers, the newest first."""
        query = read_query(request, VoucherBatchQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            name=query.name,
            template_id=uuid_of(query.template_id) if query.template_id else None,
        )
        page = await vouchers.list_batches(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_batch)

    @get(
        "/{id:str}",
        **operation(Scope.VOUCHERS_READ, path={"id": VoucherBatchId}, answer=VoucherBatchView, refusals=[NOT_FOUND]),
    )
    async def get_voucher_batch(self, request: ApiRequest) -> Response[bytes]:
        """Get a batch of vouchers, as far as it has come."""
        id_ = uuid_of(read_path(request, VoucherBatchId))
        found = await vouchers.get_batch(app_of(request).pool, book_id=request.user.book_id, batch_id=id_)
        return answer(found, show_batch)

    @post(
        "/{id:str}/cancel",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherBatchId},
            body=VoucherCancelling,
            answer=CancelledVoucherBatch,
            refusals=[NOT_FOUND, *APPROVED],
        ),
    )
    async def cancel_batch(self, request: ApiRequest) -> Response[bytes]:
        """Make void what of a batch nobody has claimed, as another operator approved, and make no more of it."""
        id_ = read_path(request, VoucherBatchId)
        asked, approve = await read_cancelling(request, id_)
        app = app_of(request)
        done = await vouchers.cancel_batch(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            batch_id=uuid_of(id_),
            reason=asked.reason,
            by=actor_of(request),
            approve=approve,
        )
        return answer(done, lambda both: CancelledVoucherBatch(show_batch(both[0]), both[1]))


async def read_cancelling(request: ApiRequest, subject: str) -> tuple[VoucherCancelling, Any]:
    """What is asked, and what claims its approval. Raises RefusedError."""
    body = await read_bytes(request)
    asked = decode_body(body, VoucherCancelling)
    approve = four_eyes(
        request,
        kind=ApprovalKind.VOUCHER_CANCELLING,
        subject=subject,
        payload=payload_of(body),
        approval_id=asked.approval_id,
    )
    if isinstance(approve, Refusal):
        raise RefusedError(approve)
    return asked, approve


class VoucherController(Controller):
    path = "/v1/vouchers"
    tags = ("vouchers",)

    @get(**operation(Scope.VOUCHERS_READ, query=VoucherQuery, answer=Page[VoucherView]))
    async def list_vouchers(self, request: ApiRequest) -> Response[bytes]:
        """List vouchers, the newest first."""
        query = read_query(request, VoucherQuery)
        holder_id = query.card_id or query.customer_id
        search = VoucherSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            template_id=uuid_of(query.template_id) if query.template_id else None,
            batch_id=uuid_of(query.batch_id) if query.batch_id else None,
            holder_id=uuid_of(holder_id) if holder_id else None,
            status=query.status,
            code_last4=query.code_last4,
        )
        app = app_of(request)
        page = await vouchers.list_vouchers(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_voucher)

    @post(
        "/search",
        **operation(
            Scope.VOUCHERS_READ,
            body=CodeEnquiry,
            answer=VoucherView,
            refusals=[NOT_FOUND, TOO_MANY_WRONG_ANSWERS],
        ),
    )
    async def find_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Find a voucher by its code; wrong codes are counted for each Kaquan-Client."""
        asked = await read_body(request, CodeEnquiry)
        app = app_of(request)
        caller = caller_of_client(request.user, client_of(request))
        if (waits := app.guesses.must_wait(caller)) is not None:
            return problem_response(waits)
        found = await vouchers.find_by_code(
            app.pool, app.keyring, book_id=request.user.book_id, slots=app.slots, code=asked.code
        )
        if isinstance(found, Refusal):
            return problem_response(await app.guesses.note_failure(caller) or found)
        return answer(found, show_voucher)

    @post(
        "/claim",
        **operation(
            Scope.VOUCHERS_WRITE,
            body=CodeClaim,
            answer=VoucherView,
            refusals=[INVALID_FIELD, NOT_FOUND, VOUCHER_NOT_USABLE, *CLAIM_REFUSALS, TOO_MANY_WRONG_ANSWERS],
        ),
    )
    async def claim_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Claim a voucher by its code, once; wrong codes are counted for each Kaquan-Client."""
        asked = await read_body(request, CodeClaim)
        app = app_of(request)
        caller = caller_of_client(request.user, client_of(request))
        if (waits := app.guesses.must_wait(caller)) is not None:
            return problem_response(waits)
        holder = await find_holder(request, card_id=asked.card_id, customer_id=asked.customer_id)
        if isinstance(holder, Refusal):
            return problem_response(holder)
        claimed = await vouchers.claim_by_code(
            app.pool,
            app.keyring,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            code=asked.code,
            holder=holder,
            person=await find_person(request, holder, asked),
        )
        if isinstance(claimed, Refusal) and claimed.outcome is NOT_FOUND:
            return problem_response(await app.guesses.note_failure(caller) or claimed)
        return answer(claimed, show_voucher)

    @get(
        "/{id:str}",
        **operation(Scope.VOUCHERS_READ, path={"id": VoucherId}, answer=VoucherView, refusals=[NOT_FOUND]),
    )
    async def get_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Get a voucher; its code is masked."""
        app = app_of(request)
        found = await vouchers.get_voucher(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            voucher_id=uuid_of(read_path(request, VoucherId)),
        )
        return answer(found, show_voucher)

    @get(
        "/{id:str}/events",
        **operation(
            Scope.VOUCHERS_READ,
            path={"id": VoucherId},
            query=VoucherHistoryQuery,
            answer=Page[VoucherEventView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_events(self, request: ApiRequest) -> Response[bytes]:
        """List what happened to a voucher, the newest first; each has a leaf in the transparency log."""
        query = read_query(request, VoucherHistoryQuery)
        app = app_of(request)
        page = await vouchers.list_voucher_events(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            voucher_id=uuid_of(read_path(request, VoucherId)),
            before_id=None if query.cursor is None else read_cursor(query.cursor),
            limit=query.limit,
        )
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_event)

    @post(
        "/{id:str}/transfer",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherId},
            body=VoucherTransfer,
            answer=VoucherView,
            refusals=[
                INVALID_FIELD,
                NOT_FOUND,
                VOUCHER_NOT_USABLE,
                VOUCHER_NOT_HELD,
                VOUCHER_EXPIRED,
                NOT_TRANSFERABLE,
                NOT_ELIGIBLE,
                VOUCHER_LIMIT,
            ],
        ),
    )
    async def transfer_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Give a voucher from its holder to another one."""
        voucher_id = uuid_of(read_path(request, VoucherId))
        asked = await read_body(request, VoucherTransfer)
        giver = await find_holder(
            request, card_id=asked.from_card_id, customer_id=asked.from_customer_id, field="from_"
        )
        if isinstance(giver, Refusal):
            return problem_response(giver)
        taker = await find_holder(request, card_id=asked.card_id, customer_id=asked.customer_id)
        if isinstance(taker, Refusal):
            return problem_response(taker)
        app = app_of(request)
        moved = await vouchers.transfer_voucher(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            voucher_id=voucher_id,
            giver=giver,
            taker=taker,
            person=await find_person(request, taker, asked),
        )
        return answer(moved, show_voucher)

    @post(
        "/{id:str}/cancel",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherId},
            body=VoucherCancelling,
            answer=VoucherView,
            refusals=[NOT_FOUND, VOUCHER_NOT_USABLE, *APPROVED],
        ),
    )
    async def cancel_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Make a voucher void, as another operator approved."""
        id_ = read_path(request, VoucherId)
        asked, approve = await read_cancelling(request, id_)
        app = app_of(request)
        done = await vouchers.cancel_voucher(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            voucher_id=uuid_of(id_),
            reason=asked.reason,
            by=actor_of(request),
            approve=approve,
        )
        return answer(done, show_voucher)

    @post(
        "/{id:str}/reveal",
        **operation(Scope.VOUCHERS_REVEAL, path={"id": VoucherId}, answer=VoucherCodeView, refusals=[NOT_FOUND]),
    )
    async def reveal_code(self, request: ApiRequest) -> Response[bytes]:
        """Show the code of a voucher; the trail tells of it."""
        id_ = read_path(request, VoucherId)
        app = app_of(request)
        code = await vouchers.reveal_code(
            app.pool,
            app.keyring,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            voucher_id=uuid_of(id_),
            by=actor_of(request),
        )
        return answer(code, lambda shown: VoucherCodeView(id_, group(shown)))

    @post(
        "/{id:str}/load",
        **operation(
            Scope.VOUCHERS_WRITE,
            path={"id": VoucherId},
            body=VoucherLoad,
            answer=VoucherLoadView,
            status=201,
            refusals=[
                NOT_FOUND,
                VOUCHER_NOT_HELD,
                VOUCHER_NOT_USABLE,
                VOUCHER_NOT_YET,
                VOUCHER_EXPIRED,
                NOT_LOADABLE,
                LOAD_EXCEEDS_CAP,
                *UNUSABLE.values(),
            ],
            takes_key=True,
        ),
    )
    async def load_voucher(self, request: ApiRequest) -> Response[bytes]:
        """Pay a voucher into a card of its holder; who pays for it is charged."""
        voucher_id = uuid_of(read_path(request, VoucherId))
        body = await read_bytes(request)
        card_id = uuid_of(decode_body(body, VoucherLoad).card_id)
        app = app_of(request)

        async def work(key: RequestKey) -> Answer | Refusal:
            return await vouchers.load_voucher(
                app.pool,
                hand_of(request),
                book_id=request.user.book_id,
                slots=app.slots,
                voucher_id=voucher_id,
                card_id=card_id,
                key=key,
                render=lambda made: Answer(201, _encode(show_load(made))),
            )

        return await answer_once(request, body, near=card_id, work=work)


def show_load(made: Loaded) -> VoucherLoadView:
    return VoucherLoadView(
        show_id(Prefix.TRANSACTION, made.transaction_id),
        show_id(Prefix.VOUCHER, made.voucher.id),
        show_id(Prefix.CARD, made.card_id),
        made.amount_fen,
    )


class VoucherReportController(Controller):
    path = "/v1/voucher-reports"
    tags = ("vouchers",)

    @get("/liability", **operation(Scope.VOUCHERS_READ, query=ReportQuery, answer=Page[LiabilityView]))
    async def report_voucher_liability(self, request: ApiRequest) -> Response[bytes]:
        """How many vouchers of each template there were in each status at a moment, and their face value."""
        query = read_query(request, ReportQuery)
        app = app_of(request)
        rows = await vouchers.report_liability(
            app.pool, book_id=request.user.book_id, slots=app.slots, at=query.at or app.clock.now()
        )
        return answer_page(Page(rows), show_liability)

    @get(
        "/funding",
        **operation(
            Scope.VOUCHERS_READ,
            query=FundingQuery,
            answer=Page[FundingView],
            other_media_types=["application/octet-stream"],
        ),
    )
    async def report_funding(self, request: ApiRequest) -> Response[bytes]:
        """What every funder pays for vouchers, by district and template; ``form``: also as a CSV or .xlsx file."""
        query = read_query(request, FundingQuery)
        app = app_of(request)
        rows = await vouchers.report_funding(
            app.pool, book_id=request.user.book_id, slots=app.slots, at=query.at or app.clock.now()
        )
        if query.form is ReportForm.JSON:
            return answer_page(Page(rows), show_funding)
        cells = [list(msgspec.structs.astuple(show_funding(row))) for row in rows]
        content = write_sheet(FundingView.__struct_fields__, cells, query.form)
        return Response(
            content,
            media_type="application/octet-stream",
            headers={"content-disposition": f'attachment; filename="voucher-funding.{query.form}"'},
        )


def write_sheet(names: Iterable[str], rows: Iterable[list[Any]], form: ReportForm, *, title: str = "vouchers") -> bytes:
    """A table as a file for a spreadsheet: CSV in UTF-8 with the mark that Excel looks for, or .xlsx."""
    lines = [list(names), *rows]
    if form is ReportForm.CSV:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([["" if cell is None else _plain(cell) for cell in line] for line in lines])
        return text.getvalue().encode("utf-8-sig")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for line in lines:
        sheet.append([_plain(cell) for cell in line])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _plain(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{cell}"
    return cell


VOUCHER_CONTROLLERS: list[type[Controller]] = [
    VoucherTemplateController,
    VoucherBatchController,
    VoucherController,
    VoucherReportController,
]
