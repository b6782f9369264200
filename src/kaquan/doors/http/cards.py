"""``/v1/programmes``, ``/v1/batches``, ``/v1/cards``"""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec
from litestar import Controller, get, patch, post
from litestar.response import Response
from msgspec import Meta

from kaquan import cards
from kaquan.cards import (
    UNUSABLE,
    Acceptance,
    AcceptedMerchant,
    Activation,
    Batch,
    BlockReason,
    Card,
    CardClass,
    CardForm,
    CardStatus,
    Clauses,
    Ending,
    Fees,
    Hand,
    OperatingMode,
    Pocket,
    PocketBalance,
    Press,
    Programme,
    ProgrammeStatus,
    Search,
)
from kaquan.cards.create_programme import (
    MAX_LOSS_EFFECTIVE_S,
    MAX_PIN_ATTEMPTS,
)
from kaquan.cards.issue_batch import MAX_BATCH_CARDS
from kaquan.cards.outcomes import (
    CARD_ALREADY_BLOCKED,
    CARD_CLOSED,
    CARD_EXPIRED,
    CARD_IN_SALE,
    CARD_REPLACED,
    FACE_VALUE_NOT_ALLOWED,
    NUMBER_SPACE_TOO_SMALL,
    PROGRAMME_STOPPED,
    SALE_REQUIRED,
    STORE_OF_ANOTHER_MERCHANT,
)
from kaquan.cards.types import DEFAULT_PIN_ATTEMPTS
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.callers import caller_of_key
from kaquan.doors.http.fields import (
    AmountFen,
    ApprovalId,
    BatchId,
    CardId,
    Code,
    Cursor,
    CustomerId,
    IssuerId,
    MerchantId,
    Name,
    ProgrammeEndId,
    ProgrammeId,
    Reason,
    StoreId,
    Trade,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, ApprovalQuery, four_eyes, payload_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.programme_fields import (
    AuthorizationTtl,
    ClauseFields,
    CustomRange,
    Denominations,
    FeeFields,
    RestrictionFields,
    ValidDays,
    read_range,
    read_restriction,
    rules_of,
    show_restriction,
)
from kaquan.doors.http.programme_terms import TermsChange, TermsVersionView, read_change, show_version
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from kaquan.parties import Scope
from kaquan.parties.outcomes import APPROVAL_FOR_SOMETHING_ELSE, APPROVAL_NOT_APPROVED, MERCHANT_OUTSIDE_SCHEME
from kaquan.parties.staff import ApprovalKind
from kaquan.policy.outcomes import TERMS_BREAK_RULE
from kaquan.vault import mask_number

if TYPE_CHECKING:
    from kaquan.app import App

MAX_PLACES = 500
"""Places in one change of acceptance; it keeps the body below the size limit."""
MAX_TRADES = 100

CardNumber = Annotated[
    str, Meta(pattern=r"^[0-9]{13,19}$(?!\n)", description="13 to 19 digits", extra={"zh": " 13 到 19 位数字"})
]
Last4 = Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)", description="4 digits", extra={"zh": " 4 位数字"})]


# --- programmes


class NewProgramme(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``currency`` and ``number_prefix`` are fixed for ever.

    ``spend_order`` names each pocket once, the one that a purchase empties first in front. An authorization
    stays open for ``authorization_ttl_s`` seconds unless it says otherwise. Without ``*_valid_days`` loaded
    value never expires. A spend of more than ``pin_required_above_fen`` asks for the card's PIN, which is locked
    after ``pin_max_attempts`` wrong tries in a row. The loss report of a physical card takes effect within
    ``loss_effective_within_s`` seconds, that of a digital card at once.

    ``operating_mode`` and ``card_class`` tell which rules of law the terms are held against; what is not declared is
    not judged. Cards are sold with the face values of ``denominations_fen`` or within ``custom_range_fen`` (least,
    most). With ``restricted_to`` they have a pocket that is spent there alone. With ``activation`` paid_sale they are
    activated and loaded by paid sales and top-ups alone.
    """

    issuer_id: IssuerId
    code: Code
    name: Name
    currency: Annotated[str, Meta(examples=["CNY"])]
    number_prefix: Annotated[str, Meta(examples=["888801"])]
    spend_order: list[Pocket] = msgspec.field(default_factory=lambda: [Pocket.BONUS, Pocket.PRINCIPAL])
    max_balance_fen: AmountFen | None = None
    authorization_ttl_s: AuthorizationTtl = 7 * 86_400
    principal_valid_days: ValidDays | None = None
    bonus_valid_days: ValidDays | None = None
    pin_required_above_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)] | None = None
    pin_max_attempts: Annotated[int, Meta(ge=1, le=MAX_PIN_ATTEMPTS)] = DEFAULT_PIN_ATTEMPTS
    loss_effective_within_s: Annotated[int, Meta(ge=0, le=MAX_LOSS_EFFECTIVE_S)] = 0
    operating_mode: OperatingMode | None = None
    card_class: CardClass | None = None
    denominations_fen: Denominations = []
    custom_range_fen: CustomRange | None = None
    restricted_to: RestrictionFields | None = None
    clauses: ClauseFields = ClauseFields()
    fees: FeeFields = FeeFields()
    activation: Activation = Activation.DIRECT


class ProgrammeQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code | None = None
    issuer_id: IssuerId | None = None


class EndingView(msgspec.Struct, frozen=True):
    """The announced end: from ``stops_at`` on nothing is sold, issued, activated or loaded; cards are taken up to and
    including ``last_day``."""

    id: ProgrammeEndId
    announced_at: datetime
    stops_at: datetime
    last_day: date


class ProgrammeView(msgspec.Struct, frozen=True):
    """``accepted_places`` counts the merchants and single stores of its acceptance. The terms are those of ``version``,
    the newest: cards that were issued before ``effective_from`` keep theirs."""

    id: ProgrammeId
    issuer_id: IssuerId
    code: str
    name: str
    currency: str
    number_prefix: str
    spend_order: list[Pocket]
    max_balance_fen: int | None
    authorization_ttl_s: int
    principal_valid_days: int | None
    bonus_valid_days: int | None
    pin_required_above_fen: int | None
    pin_max_attempts: int
    loss_effective_within_s: int
    operating_mode: OperatingMode | None
    card_class: CardClass | None
    denominations_fen: list[int]
    custom_range_fen: list[int] | None
    restricted_to: RestrictionFields | None
    clauses: ClauseFields
    fees: FeeFields
    activation: Activation
    version: int
    effective_from: datetime
    time_zone: str
    accepted_places: int
    accepted_trades: list[str]
    created_at: datetime
    status: ProgrammeStatus
    ending: EndingView | None


class PlaceFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A store of a merchant, or without ``store_id`` the whole merchant."""

    merchant_id: MerchantId
    store_id: StoreId | None = None


class AcceptanceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is removed is removed before the rest is added; all is done, or nothing. A trade stands for every store of
    it whose merchant fits the programme's ``operating_mode``."""

    add: Annotated[list[PlaceFields], Meta(max_length=MAX_PLACES)] = []
    remove: Annotated[list[PlaceFields], Meta(max_length=MAX_PLACES)] = []
    add_trades: Annotated[list[Trade], Meta(max_length=MAX_TRADES)] = []
    remove_trades: Annotated[list[Trade], Meta(max_length=MAX_TRADES)] = []


class AcceptanceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None


class AcceptedMerchantView(msgspec.Struct, frozen=True):
    """``whole``: at every store of the merchant; ``store_ids``: the stores that were added singly."""

    merchant_id: MerchantId
    whole: bool
    store_ids: list[StoreId]


def show_programme(at: datetime, programme: Programme) -> ProgrammeView:
    """A programme as it is ``at`` a moment."""
    return ProgrammeView(
        id=show_id(Prefix.PROGRAMME, programme.id),
        issuer_id=show_id(Prefix.ISSUER, programme.issuer_id),
        code=programme.code,
        name=programme.name,
        currency=programme.currency,
        number_prefix=programme.number_prefix,
        spend_order=list(programme.spend_order),
        max_balance_fen=programme.max_balance_fen,
        authorization_ttl_s=programme.authorization_ttl_s,
        principal_valid_days=programme.principal_valid_days,
        bonus_valid_days=programme.bonus_valid_days,
        pin_required_above_fen=programme.pin_required_above_fen,
        pin_max_attempts=programme.pin_max_attempts,
        loss_effective_within_s=programme.loss_effective_within_s,
        operating_mode=programme.operating_mode,
        card_class=programme.card_class,
        denominations_fen=list(programme.denominations_fen),
        custom_range_fen=None if programme.custom_range_fen is None else list(programme.custom_range_fen),
        restricted_to=show_restriction(programme.restricted_to),
        clauses=same_fields(programme.clauses, ClauseFields),
        fees=same_fields(programme.fees, FeeFields),
        activation=programme.activation,
        version=programme.version,
        effective_from=programme.effective_from or programme.created_at,
        time_zone=programme.time_zone,
        accepted_places=len(programme.accepts),
        accepted_trades=sorted(programme.accepted_trades),
        created_at=programme.created_at,
        status=programme.status_at(at),
        ending=show_ending(programme.ending),
    )


def show_ending(ending: Ending | None) -> EndingView | None:
    if ending is None:
        return None
    return EndingView(show_id(Prefix.PROGRAMME_END, ending.id), ending.announced_at, ending.stops_at, ending.last_day)


def _shower(request: ApiRequest) -> Callable[[Programme], ProgrammeView]:
    """What shows programmes as they are now."""
    return partial(show_programme, app_of(request).clock.now())


def show_accepted(accepted: AcceptedMerchant) -> AcceptedMerchantView:
    return AcceptedMerchantView(
        merchant_id=show_id(Prefix.MERCHANT, accepted.merchant_id),
        whole=accepted.whole,
        store_ids=[show_id(Prefix.STORE, store_id) for store_id in accepted.store_ids],
    )


def _place(fields: PlaceFields) -> Acceptance:
    return uuid_of(fields.merchant_id), uuid_of(fields.store_id) if fields.store_id else None


class ProgrammeController(Controller):
    path = "/v1/programmes"
    tags = ("programmes",)

    @post(
        **operation(
            Scope.PROGRAMMES_WRITE,
            body=NewProgramme,
            answer=ProgrammeView,
            status=201,
            refusals=[ALREADY_EXISTS, NOT_FOUND, TERMS_BREAK_RULE],
        )
    )
    async def create_programme(self, request: ApiRequest) -> Response[bytes]:
        """Create a programme; it is accepted nowhere yet."""
        asked = await read_body(request, NewProgramme)
        app = app_of(request)
        new = cards.NewProgramme(
            issuer_id=uuid_of(asked.issuer_id),
            code=asked.code,
            name=asked.name,
            currency=asked.currency,
            number_prefix=asked.number_prefix,
            spend_order=tuple(asked.spend_order),
            max_balance_fen=asked.max_balance_fen,
            authorization_ttl_s=asked.authorization_ttl_s,
            principal_valid_days=asked.principal_valid_days,
            bonus_valid_days=asked.bonus_valid_days,
            pin_required_above_fen=asked.pin_required_above_fen,
            pin_max_attempts=asked.pin_max_attempts,
            loss_effective_within_s=asked.loss_effective_within_s,
            operating_mode=asked.operating_mode,
            card_class=asked.card_class,
            denominations_fen=tuple(asked.denominations_fen),
            custom_range_fen=read_range(asked.custom_range_fen),
            restricted_to=read_restriction(asked.restricted_to),
            clauses=same_fields(asked.clauses, Clauses),
            fees=same_fields(asked.fees, Fees),
            activation=asked.activation,
        )
        made = await cards.create_programme(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=new,
            rules=await rules_of(app, request.user.book_id, new.issuer_id),
            by=actor_of(request),
        )
        return answer(made, _shower(request), status=201)

    @get(**operation(Scope.PROGRAMMES_READ, query=ProgrammeQuery, answer=Page[ProgrammeView]))
    async def list_programmes(self, request: ApiRequest) -> Response[bytes]:
        """List programmes, the newest first."""
        query = read_query(request, ProgrammeQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            issuer_id=uuid_of(query.issuer_id) if query.issuer_id else None,
        )
        page = await cards.list_programmes(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, _shower(request))

    @get(
        "/{id:str}",
        **operation(Scope.PROGRAMMES_READ, path={"id": ProgrammeId}, answer=ProgrammeView, refusals=[NOT_FOUND]),
    )
    async def get_programme(self, request: ApiRequest) -> Response[bytes]:
        """Get a programme."""
        found = await cards.get_programme(
            app_of(request).pool,
            book_id=request.user.book_id,
            programme_id=uuid_of(read_path(request, ProgrammeId)),
        )
        return answer(found, _shower(request))

    @post(
        "/{id:str}/acceptance",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeId},
            body=AcceptanceChange,
            answer=ProgrammeView,
            refusals=[NOT_FOUND, STORE_OF_ANOTHER_MERCHANT, MERCHANT_OUTSIDE_SCHEME],
        ),
    )
    async def change_acceptance(self, request: ApiRequest) -> Response[bytes]:
        """Change where the cards of a programme are taken; what is so already stays so."""
        programme_id = uuid_of(read_path(request, ProgrammeId))
        asked = await read_body(request, AcceptanceChange)
        app, book_id = app_of(request), request.user.book_id
        found = await cards.get_programme(app.pool, book_id=book_id, programme_id=programme_id)
        if isinstance(found, Refusal):
            return problem_response(found)
        changed = await cards.change_acceptance(
            app.pool,
            app.clock,
            app.ids,
            book_id=book_id,
            programme_id=programme_id,
            add=[_place(place) for place in asked.add],
            remove=[_place(place) for place in asked.remove],
            add_trades=asked.add_trades,
            remove_trades=asked.remove_trades,
            rules=await rules_of(app, book_id, found.issuer_id),
            at=app.clock.now(),
            by=actor_of(request),
        )
        return answer(changed, _shower(request))

    @get(
        "/{id:str}/acceptance",
        **operation(
            Scope.PROGRAMMES_READ,
            path={"id": ProgrammeId},
            query=AcceptanceQuery,
            answer=Page[AcceptedMerchantView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_acceptance(self, request: ApiRequest) -> Response[bytes]:
        """List where the cards of a programme are taken, merchant by merchant."""
        query = read_query(request, AcceptanceQuery)
        page = await cards.list_acceptance(
            app_of(request).pool,
            book_id=request.user.book_id,
            programme_id=uuid_of(read_path(request, ProgrammeId)),
            search=Search(limit=query.limit, after_id=after_id(ListQuery(cursor=query.cursor))),
        )
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_accepted)

    @patch(
        "/{id:str}",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeId},
            body=TermsChange,
            answer=ProgrammeView,
            refusals=[
                NOT_FOUND,
                TERMS_BREAK_RULE,
                MERCHANT_OUTSIDE_SCHEME,
                APPROVAL_NOT_APPROVED,
                APPROVAL_FOR_SOMETHING_ELSE,
                BUSY,
            ],
        ),
    )
    async def change_programme(self, request: ApiRequest) -> Response[bytes]:
        """Change terms that a second person approved: a new version, for cards that are issued from now on."""
        programme_id = uuid_of(read_path(request, ProgrammeId))
        body = await read_bytes(request)
        asked = decode_body(body, TermsChange)
        app, book_id = app_of(request), request.user.book_id
        found = await cards.get_programme(app.pool, book_id=book_id, programme_id=programme_id)
        if isinstance(found, Refusal):
            return problem_response(found)
        changed = await cards.change_programme(
            app.pool,
            app.clock,
            app.ids,
            book_id=book_id,
            programme_id=programme_id,
            change=read_change(asked),
            approved=cards.Approved(uuid_of(asked.approval_id), payload_of(body)),
            rules=await rules_of(app, book_id, found.issuer_id),
            by=actor_of(request),
        )
        return answer(changed, _shower(request))

    @get(
        "/{id:str}/versions",
        **operation(
            Scope.PROGRAMMES_READ, path={"id": ProgrammeId}, answer=Page[TermsVersionView], refusals=[NOT_FOUND]
        ),
    )
    async def list_versions(self, request: ApiRequest) -> Response[bytes]:
        """List every version of a programme's terms, the newest first."""
        found = await cards.list_terms(
            app_of(request).pool,
            book_id=request.user.book_id,
            programme_id=uuid_of(read_path(request, ProgrammeId)),
        )
        return problem_response(found) if isinstance(found, Refusal) else answer_page(Page(found), show_version)


# --- batches


class NewBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``face_fen`` is the face value that its cards are made for, such as the one printed on them: they are sold with
    no other one. An operator needs an approval of the kind ``batch_issue`` for the programme, with the other fields as
    payload."""

    programme_id: ProgrammeId
    name: Name
    form: CardForm
    card_count: Annotated[int, Meta(ge=1, le=MAX_BATCH_CARDS)]
    face_fen: AmountFen | None = None
    approval_id: ApprovalId | None = None


class BatchQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name | None = None
    programme_id: ProgrammeId | None = None


class BatchView(msgspec.Struct, frozen=True):
    """``issued_count`` of ``card_count`` cards are made; when all are, ``finished_at`` is set."""

    id: BatchId
    programme_id: ProgrammeId
    name: str
    form: CardForm
    card_count: int
    issued_count: int
    created_at: datetime
    finished_at: datetime | None
    face_fen: int | None


def show_batch(batch: Batch) -> BatchView:
    return BatchView(
        id=show_id(Prefix.BATCH, batch.id),
        programme_id=show_id(Prefix.PROGRAMME, batch.programme_id),
        name=batch.name,
        form=batch.form,
        card_count=batch.card_count,
        issued_count=batch.issued_count,
        created_at=batch.created_at,
        finished_at=batch.finished_at,
        face_fen=batch.face_fen,
    )


class BatchController(Controller):
    path = "/v1/batches"
    tags = ("batches",)

    @post(
        **operation(
            Scope.CARDS_WRITE,
            body=NewBatch,
            answer=BatchView,
            status=201,
            refusals=[
                ALREADY_EXISTS,
                NOT_FOUND,
                PROGRAMME_STOPPED,
                FACE_VALUE_NOT_ALLOWED,
                NUMBER_SPACE_TOO_SMALL,
                *APPROVED,
                BUSY,
            ],
        )
    )
    async def create_batch(self, request: ApiRequest) -> Response[bytes]:
        """Create a batch; a job issues its cards, and ``issued_count`` tells how far it has come."""
        body = await read_bytes(request)
        asked = decode_body(body, NewBatch)
        approve = four_eyes(
            request,
            kind=ApprovalKind.BATCH_ISSUE,
            subject=asked.programme_id,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app = app_of(request)
        new = cards.NewBatch(
            programme_id=uuid_of(asked.programme_id),
            name=asked.name,
            form=asked.form,
            card_count=asked.card_count,
            face_fen=asked.face_fen,
        )
        made = await cards.create_batch(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            slots=app.slots,
            new=new,
            guesses_per_card=app.settings.guesses_per_card,
            by=actor_of(request),
            approve=approve,
        )
        return answer(made, show_batch, status=201)

    @get(**operation(Scope.CARDS_READ, query=BatchQuery, answer=Page[BatchView]))
    async def list_batches(self, request: ApiRequest) -> Response[bytes]:
        """List batches, the newest first."""
        query = read_query(request, BatchQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            name=query.name,
            programme_id=uuid_of(query.programme_id) if query.programme_id else None,
        )
        page = await cards.list_batches(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_batch)

    @get(
        "/{id:str}",
        **operation(Scope.CARDS_READ, path={"id": BatchId}, answer=BatchView, refusals=[NOT_FOUND]),
    )
    async def get_batch(self, request: ApiRequest) -> Response[bytes]:
        """Get a batch, as far as it has come."""
        found = await cards.get_batch(
            app_of(request).pool,
            book_id=request.user.book_id,
            batch_id=uuid_of(read_path(request, BatchId)),
        )
        return answer(found, show_batch)


# --- cards


class NewCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    programme_id: ProgrammeId
    form: CardForm


class Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: BlockReason
    note: Reason | None = None


class NumberSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: CardNumber


class CardQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole number is searched by ``POST /v1/cards/search``: addresses are logged on their way."""

    last4: Last4 | None = None
    batch_id: BatchId | None = None
    programme_id: ProgrammeId | None = None
    status: CardStatus | None = None
    customer_id: CustomerId | None = None


class CardView(msgspec.Struct, frozen=True):
    """``loss_effective_at`` is by when a loss report makes the card refused everywhere. ``terms_version`` names the
    terms of its programme that the card was issued under and keeps."""

    id: CardId
    programme_id: ProgrammeId
    batch_id: BatchId | None
    form: CardForm
    status: CardStatus
    status_reason: BlockReason | None
    number_masked: str
    expires_at: datetime | None
    created_at: datetime
    activated_at: datetime | None
    card_class: CardClass
    customer_id: CustomerId | None
    registered_at: datetime | None
    terms_version: int
    loss_reported_at: datetime | None
    loss_effective_at: datetime | None
    replaces_card_id: CardId | None
    replaced_by_card_id: CardId | None


class CardShownView(CardView, frozen=True):
    """With whether its programme goes on: nothing is loaded from when it stops, nothing is spent when it has ended."""

    programme_status: ProgrammeStatus
    programme_ending: EndingView | None


class CardNumberView(msgspec.Struct, frozen=True):
    id: CardId
    number: CardNumber


class PocketView(msgspec.Struct, frozen=True):
    """``posted_fen`` is what the pocket holds, ``available_fen`` what can be spent: neither set aside by an
    authorization nor expired. ``expired_fen`` has expired and is still held, until the next sweep."""

    id: str
    pocket: Pocket
    currency: str
    posted_fen: int
    available_fen: int
    expired_fen: int


def show_card(card: Card) -> CardView:
    return CardView(
        id=show_id(Prefix.CARD, card.id),
        programme_id=show_id(Prefix.PROGRAMME, card.programme_id),
        batch_id=show_id(Prefix.BATCH, card.batch_id) if card.batch_id else None,
        form=card.form,
        status=card.status,
        status_reason=card.status_reason,
        number_masked=mask_number(card.number_last4),
        expires_at=card.expires_at,
        created_at=card.created_at,
        activated_at=card.activated_at,
        card_class=card.card_class,
        customer_id=show_id(Prefix.CUSTOMER, card.customer_id) if card.customer_id else None,
        registered_at=card.registered_at,
        terms_version=card.terms_version,
        loss_reported_at=card.loss_reported_at,
        loss_effective_at=card.loss_due_at,
        replaces_card_id=show_id(Prefix.CARD, card.replaces_id) if card.replaces_id else None,
        replaced_by_card_id=show_id(Prefix.CARD, card.replaced_by_id) if card.replaced_by_id else None,
    )


def show_card_whole(at: datetime, programme: Programme, card: Card) -> CardShownView:
    """A card and its programme as it is ``at`` a moment."""
    return CardShownView(
        **msgspec.structs.asdict(show_card(card)),
        programme_status=programme.status_at(at),
        programme_ending=show_ending(programme.ending),
    )


def show_pocket(found: PocketBalance) -> PocketView:
    pocket, account = found.pocket, found.account
    return PocketView(
        id=f"acc_{account.slot}_{account.id}",
        pocket=pocket,
        currency=account.currency,
        posted_fen=account.posted_fen,
        available_fen=found.spendable_fen,
        expired_fen=found.expired_fen,
    )


class CardController(Controller):
    path = "/v1/cards"
    tags = ("cards",)

    @post(
        **operation(
            Scope.CARDS_WRITE,
            body=NewCard,
            answer=CardView,
            status=201,
            refusals=[NOT_FOUND, PROGRAMME_STOPPED, NUMBER_SPACE_TOO_SMALL],
        )
    )
    async def issue_card(self, request: ApiRequest) -> Response[bytes]:
        """Issue a card; it cannot be spent before it is activated."""
        asked = await read_body(request, NewCard)
        app = app_of(request)
        new = cards.NewCard(programme_id=uuid_of(asked.programme_id), form=asked.form)
        made = await cards.issue_card(app.pool, press_of(app), app.clock, book_id=request.user.book_id, new=new)
        return answer(made, show_card, status=201)

    @get(**operation(Scope.CARDS_READ, query=CardQuery, answer=Page[CardView]))
    async def list_cards(self, request: ApiRequest) -> Response[bytes]:
        """List cards, the newest first."""
        query = read_query(request, CardQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            last4=query.last4,
            batch_id=uuid_of(query.batch_id) if query.batch_id else None,
            programme_id=uuid_of(query.programme_id) if query.programme_id else None,
            status=query.status,
            customer_id=uuid_of(query.customer_id) if query.customer_id else None,
        )
        app = app_of(request)
        page = await cards.list_cards(app.pool, book_id=request.user.book_id, slots=app.slots, search=search)
        return answer_page(page, show_card)

    @post(
        "/search",
        **operation(Scope.CARDS_READ, body=NumberSearch, answer=Page[CardView], refusals=[TOO_MANY_WRONG_ANSWERS]),
    )
    async def search_cards(self, request: ApiRequest) -> Response[bytes]:
        """Find the card with this number: a list of one, or of none; a key gets so many empty ones, then 429."""
        asked = await read_body(request, NumberSearch)
        app = app_of(request)
        caller = caller_of_key(request.user)
        if (waits := app.guesses.must_wait(caller)) is not None:
            return problem_response(waits)
        found = await cards.get_card_by_number(app.pool, app.finder, book_id=request.user.book_id, number=asked.number)
        if found is None and (waits := await app.guesses.note_failure(caller)) is not None:
            return problem_response(waits)
        return answer_page(Page([] if found is None else [found]), show_card)

    @get(
        "/{id:str}",
        **operation(Scope.CARDS_READ, path={"id": CardId}, answer=CardShownView, refusals=[NOT_FOUND]),
    )
    async def get_card(self, request: ApiRequest) -> Response[bytes]:
        """Get a card, with whether its programme goes on."""
        app = app_of(request)
        found = await cards.get_card(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(read_path(request, CardId)),
        )
        if isinstance(found, Refusal):
            return problem_response(found)
        programme = await cards.programme_of(app.pool, found)
        return answer(found, partial(show_card_whole, app.clock.now(), programme))

    @get(
        "/{id:str}/number",
        **operation(Scope.CARDS_REVEAL, path={"id": CardId}, answer=CardNumberView, refusals=[NOT_FOUND]),
    )
    async def reveal_number(self, request: ApiRequest) -> Response[bytes]:
        """Reveal a card's number; who asked is recorded."""
        app = app_of(request)
        card_id = uuid_of(read_path(request, CardId))
        number = await cards.reveal_number(
            app.pool,
            hand_of(request),
            app.keyring,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=card_id,
            key_id=request.user.key_id,
        )
        return answer(number, lambda shown: CardNumberView(show_id(Prefix.CARD, card_id), shown))

    @get(
        "/{id:str}/accounts",
        **operation(Scope.CARDS_READ, path={"id": CardId}, answer=Page[PocketView], refusals=[NOT_FOUND]),
    )
    async def list_pockets(self, request: ApiRequest) -> Response[bytes]:
        """List a card's pockets with their balances; there are none before it is activated."""
        app = app_of(request)
        found = await cards.list_balances(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(read_path(request, CardId)),
            now=app.clock.now(),
        )
        return problem_response(found) if isinstance(found, Refusal) else answer_page(Page(found), show_pocket)

    @post(
        "/{id:str}/activate",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            answer=CardView,
            refusals=[NOT_FOUND, PROGRAMME_STOPPED, SALE_REQUIRED, CARD_IN_SALE, *UNUSABLE.values(), BUSY],
        ),
    )
    async def activate_card(self, request: ApiRequest) -> Response[bytes]:
        """Make a card spendable; one that is active stays so."""
        app = app_of(request)
        changed = await cards.activate_card(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(read_path(request, CardId)),
        )
        return answer(changed, show_card)

    @post(
        "/{id:str}/block",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            body=Block,
            answer=CardView,
            refusals=[NOT_FOUND, CARD_ALREADY_BLOCKED, CARD_REPLACED, CARD_CLOSED, CARD_EXPIRED, BUSY],
        ),
    )
    async def block_card(self, request: ApiRequest) -> Response[bytes]:
        """Stop a card from being spent and loaded; one that is blocked for this reason stays so."""
        app = app_of(request)
        card_id = uuid_of(read_path(request, CardId))
        asked = await read_body(request, Block)
        changed = await cards.block_card(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=card_id,
            reason=asked.reason,
            note=asked.note,
        )
        return answer(changed, show_card)

    @post(
        "/{id:str}/unblock",
        **operation(
            Scope.CARDS_WRITE,
            path={"id": CardId},
            query=ApprovalQuery,
            answer=CardView,
            refusals=[NOT_FOUND, *APPROVED, BUSY],
        ),
    )
    async def unblock_card(self, request: ApiRequest) -> Response[bytes]:
        """Take a card back to where it was before it was blocked; one that is not blocked stays so."""
        app = app_of(request)
        card_id = read_path(request, CardId)
        approval_id = read_query(request, ApprovalQuery).approval_id
        approve = four_eyes(request, kind=ApprovalKind.UNBLOCKING, subject=card_id, payload={}, approval_id=approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        changed = await cards.unblock_card(
            app.pool,
            hand_of(request),
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(card_id),
            approve=approve,
        )
        return answer(changed, show_card)


def hand_of(request: ApiRequest) -> Hand:
    """Who asks, for the events of a card."""
    app = app_of(request)
    return Hand(app.clock, app.ids, show_id(Prefix.KEY, request.user.key_id))


def press_of(app: "App") -> Press:
    return Press(app.keyring, app.slots, app.ids)


CARD_CONTROLLERS: list[type[Controller]] = [ProgrammeController, BatchController, CardController]
