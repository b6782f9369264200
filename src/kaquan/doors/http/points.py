"""``/v1/points``: terms, balances, adjustments by two, exchanges with partners, benefits, and what is outstanding."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan import payments, points
from kaquan.cards import UNUSABLE
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.cards import hand_of
from kaquan.doors.http.fields import (
    ApprovalId,
    CardId,
    Code,
    Cursor,
    MerchantId,
    Name,
    PointsBenefitId,
    PointsPartnerId,
    ProgrammeId,
    Reference,
    StoreId,
    Trade,
    TransactionId,
    VoucherTemplateId,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, four_eyes, payload_of
from kaquan.doors.http.once import answer_once
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.ledger import Answer, RequestKey
from kaquan.parties import Scope
from kaquan.parties.outcomes import APPROVAL_REQUIRED
from kaquan.parties.staff import ApprovalKind
from kaquan.points import (
    Benefit,
    ClawbackMode,
    Deed,
    DeedKind,
    EarningRule,
    Multiplier,
    Partner,
    PointsLiability,
    PointsTerms,
    Rounding,
    Search,
    Standing,
    TermsVersion,
    TierMetric,
    TierRule,
)
from kaquan.points.outcomes import (
    BENEFIT_GONE,
    BENEFIT_NOT_FOR_MEMBER,
    EXCHANGE_CLOSED,
    EXCHANGE_KNOWN,
    EXCHANGE_NOT_WHOLE,
    POINTS_NOT_OFFERED,
    POINTS_TOO_FEW,
)
from kaquan.vouchers.outcomes import TEMPLATE_ENDED

MAX_POINTS = 10**9

SomePoints = Annotated[int, Meta(ge=1, le=MAX_POINTS)]
SignedPoints = Annotated[int, Meta(ge=-MAX_POINTS, le=MAX_POINTS)]
Label = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,64}$(?!\n)", description="1 to 64 characters")]
Month = Annotated[int, Meta(ge=1, le=12)]

_encode = msgspec.json.Encoder().encode


class EarningRuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``points`` for each ``per_fen`` that money paid for what it names; the first rule that holds counts, 0: none."""

    name: Label
    points: Annotated[int, Meta(ge=0, le=1_000_000)]
    per_fen: Annotated[int, Meta(ge=1, le=100_000_000_000)]
    trades: Annotated[list[Trade], Meta(max_length=100)] = []
    merchant_ids: Annotated[list[MerchantId], Meta(max_length=1_000)] = []
    store_ids: Annotated[list[StoreId], Meta(max_length=1_000)] = []
    categories: Annotated[list[Label], Meta(max_length=1_000)] = []


class MultiplierFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``factor_bp`` 20000 doubles; of several that hold the highest counts."""

    name: Label
    factor_bp: Annotated[int, Meta(ge=0, le=1_000_000)]
    tiers: Annotated[list[Label], Meta(max_length=20)] = []
    weekdays: Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(max_length=7)] = []
    days_of_month: Annotated[list[Annotated[int, Meta(ge=1, le=31)]], Meta(max_length=31)] = []
    birthday_month: bool = False
    first_day: date | None = None
    last_day: date | None = None


class TierFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reached from ``least`` points or fen in the window on."""

    name: Label
    least: Annotated[int, Meta(ge=0, le=100_000_000_000)]


class NewPointsTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How cards of the programme earn, keep and spend points from ``effective_from`` (now) on."""

    rules: Annotated[list[EarningRuleFields], Meta(max_length=100)]
    multipliers: Annotated[list[MultiplierFields], Meta(max_length=100)] = []
    rounding: Rounding = Rounding.DOWN
    earn_on_bonus: bool = False
    pending_days: Annotated[int, Meta(ge=0, le=365)] = 0
    valid_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    valid_years: Annotated[int, Meta(ge=0, le=100)] | None = None
    spend_points: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    spend_fen: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    spend_least: SomePoints = 1
    spend_step: SomePoints = 1
    spend_max_bp: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    clawback: ClawbackMode = ClawbackMode.DEBT
    tiers: Annotated[list[TierFields], Meta(max_length=20)] = []
    tier_metric: TierMetric = TierMetric.POINTS
    tier_window_days: Annotated[int, Meta(ge=1, le=3_650)] = 365
    tier_keep_days: Annotated[int, Meta(ge=0, le=3_650)] = 365
    remind_days: Annotated[int, Meta(ge=0, le=365)] = 30
    effective_from: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "effective_from", in_utc(self.effective_from))


class PointsTermsView(msgspec.Struct, frozen=True):
    """One version; ``terms`` as they were set."""

    programme_id: ProgrammeId
    version: int
    terms: NewPointsTerms
    effective_from: datetime
    created_by: str
    created_at: datetime


class StandingView(msgspec.Struct, frozen=True):
    """``spendable`` can be spent, ``pending`` waits, ``owed`` is paid by what is earned next."""

    card_id: CardId
    spendable: int
    pending: int
    owed: int
    next_end: datetime | None
    next_end_points: int
    tier: str | None
    tier_until: datetime | None


class NewPointsAdjustment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``points`` below zero are taken. Every key needs an approval of the kind ``points_adjustment`` for the card, with
    the other fields as payload."""

    card_id: CardId
    points: SignedPoints
    note: Reference
    approval_id: ApprovalId | None = None


class NewPointsPartner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``out_points`` of ours become ``out_units`` of theirs, ``in_units`` of theirs ``in_points`` of ours; a direction
    without a rate is closed. ``currency`` is what their units are called."""

    code: Code
    name: Name
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3,8}$(?!\n)", description="three to eight capitals, such as MILES")]
    out_points: SomePoints | None = None
    out_units: SomePoints | None = None
    in_units: SomePoints | None = None
    in_points: SomePoints | None = None


class PointsPartnerView(msgspec.Struct, frozen=True):
    id: PointsPartnerId
    code: str
    name: str
    currency: str
    out_points: int | None
    out_units: int | None
    in_units: int | None
    in_points: int | None
    created_at: datetime
    ended_at: datetime | None


class NewPointsExchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``points`` go out, or ``units`` come in: one of the two. ``reference`` is the partner's; in it counts once."""

    card_id: CardId
    partner_id: PointsPartnerId
    points: SomePoints | None = None
    units: SomePoints | None = None
    reference: Reference


class NewPointsBenefit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What members may take: for points or for nothing, some tiers, in the month of a birthday, so often, so many.
    With ``template_id`` whoever takes it gets ``voucher_count`` vouchers of this template at once (1)."""

    programme_id: ProgrammeId
    code: Code
    name: Name
    cost_points: Annotated[int, Meta(ge=0, le=MAX_POINTS)]
    tiers: Annotated[list[Label], Meta(max_length=20)] = []
    birthday_only: bool = False
    max_per_year: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    stock: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    template_id: VoucherTemplateId | None = None
    voucher_count: Annotated[int, Meta(ge=1, le=100)] | None = None


class PointsBenefitView(msgspec.Struct, frozen=True):
    id: PointsBenefitId
    programme_id: ProgrammeId
    code: str
    name: str
    cost_points: int
    tiers: list[str]
    birthday_only: bool
    max_per_year: int | None
    stock: int | None
    taken: int
    created_at: datetime
    ended_at: datetime | None
    template_id: VoucherTemplateId | None
    voucher_count: int | None


class BenefitTaking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``birth_month`` is what the shop's system knows of the holder; a customer's birthday goes before it."""

    card_id: CardId
    birth_month: Month | None = None


class PointsDeedView(msgspec.Struct, frozen=True):
    """``points`` is what the card gained; ``units`` what moved on the partner's side."""

    id: TransactionId
    kind: DeedKind
    points: int
    partner_id: PointsPartnerId | None
    benefit_id: PointsBenefitId | None
    units: int | None
    reference: str | None
    approval_id: ApprovalId | None
    made_by: str
    made_at: datetime


class PartnerQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code | None = None


class BenefitQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code | None = None
    programme_id: ProgrammeId | None = None


class DeedQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None


class PointsLiabilityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``at``: as of which moment; now if it is left out."""

    at: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "at", in_utc(self.at))


class PointsLiabilityView(msgspec.Struct, frozen=True):
    """``outstanding`` = granted (by purchases) + offered (by offers) + adjusted − spent − expired − benefits −
    exchanged."""

    outstanding: int
    granted: int
    offered: int
    spent: int
    expired: int
    adjusted: int
    benefits: int
    exchanged: int


def read_terms(asked: NewPointsTerms) -> PointsTerms:
    """What is asked, as the room knows it."""
    plain = {
        name: getattr(asked, name)
        for name in PointsTerms.__struct_fields__
        if name not in ("rules", "multipliers", "tiers")
    }
    return PointsTerms(
        **plain,
        rules=tuple(
            EarningRule(
                name=one.name,
                points=one.points,
                per_fen=one.per_fen,
                trades=frozenset(one.trades),
                merchant_ids=frozenset(map(uuid_of, one.merchant_ids)),
                store_ids=frozenset(map(uuid_of, one.store_ids)),
                categories=frozenset(one.categories),
            )
            for one in asked.rules
        ),
        multipliers=tuple(
            Multiplier(
                name=one.name,
                factor_bp=one.factor_bp,
                tiers=frozenset(one.tiers),
                weekdays=frozenset(one.weekdays),
                days_of_month=frozenset(one.days_of_month),
                birthday_month=one.birthday_month,
                first_day=one.first_day,
                last_day=one.last_day,
            )
            for one in asked.multipliers
        ),
        tiers=tuple(TierRule(name=one.name, least=one.least) for one in asked.tiers),
    )


def show_terms(made: TermsVersion) -> PointsTermsView:
    terms = made.terms
    plain = {
        name: getattr(terms, name)
        for name in PointsTerms.__struct_fields__
        if name not in ("rules", "multipliers", "tiers")
    }
    shown = NewPointsTerms(
        **plain,
        rules=[
            EarningRuleFields(
                name=one.name,
                points=one.points,
                per_fen=one.per_fen,
                trades=sorted(one.trades),
                merchant_ids=sorted(show_id(Prefix.MERCHANT, id_) for id_ in one.merchant_ids),
                store_ids=sorted(show_id(Prefix.STORE, id_) for id_ in one.store_ids),
                categories=sorted(one.categories),
            )
            for one in terms.rules
        ],
        multipliers=[
            MultiplierFields(
                name=one.name,
                factor_bp=one.factor_bp,
                tiers=sorted(one.tiers),
                weekdays=sorted(one.weekdays),
                days_of_month=sorted(one.days_of_month),
                birthday_month=one.birthday_month,
                first_day=one.first_day,
                last_day=one.last_day,
            )
            for one in terms.multipliers
        ],
        tiers=[TierFields(name=one.name, least=one.least) for one in terms.tiers],
        effective_from=made.effective_from,
    )
    return PointsTermsView(
        show_id(Prefix.PROGRAMME, made.programme_id),
        made.version,
        shown,
        made.effective_from,
        made.created_by,
        made.created_at,
    )


def show_standing(told: Standing) -> StandingView:
    return StandingView(
        show_id(Prefix.CARD, told.member.card_id),
        told.spendable,
        told.pending,
        told.owed,
        told.next_end,
        told.next_end_points,
        told.member.tier,
        told.member.tier_until,
    )


def show_partner(partner: Partner) -> PointsPartnerView:
    return PointsPartnerView(
        show_id(Prefix.POINTS_PARTNER, partner.id),
        partner.code,
        partner.name,
        partner.currency,
        partner.out_points,
        partner.out_units,
        partner.in_units,
        partner.in_points,
        partner.created_at,
        partner.ended_at,
    )


def show_benefit(benefit: Benefit) -> PointsBenefitView:
    return PointsBenefitView(
        show_id(Prefix.POINTS_BENEFIT, benefit.id),
        show_id(Prefix.PROGRAMME, benefit.programme_id),
        benefit.code,
        benefit.name,
        benefit.cost_points,
        sorted(benefit.tiers),
        benefit.birthday_only,
        benefit.max_per_year,
        benefit.stock,
        benefit.taken,
        benefit.created_at,
        benefit.ended_at,
        None if benefit.template_id is None else show_id(Prefix.VOUCHER_TEMPLATE, benefit.template_id),
        benefit.voucher_count,
    )


def show_deed(deed: Deed) -> PointsDeedView:
    is_benefit = deed.kind is DeedKind.BENEFIT
    partner = deed.subject_id is not None and not is_benefit
    return PointsDeedView(
        show_id(Prefix.TRANSACTION, deed.id),
        deed.kind,
        deed.points,
        show_id(Prefix.POINTS_PARTNER, deed.subject_id) if partner and deed.subject_id else None,
        show_id(Prefix.POINTS_BENEFIT, deed.subject_id) if is_benefit and deed.subject_id else None,
        deed.units,
        deed.reference,
        show_id(Prefix.APPROVAL, deed.approval_id) if deed.approval_id else None,
        deed.made_by,
        deed.made_at,
    )


def show_points_liability(told: PointsLiability) -> PointsLiabilityView:
    return PointsLiabilityView(*told)


def render_deed(deed: Deed) -> Answer:
    return Answer(201, _encode(show_deed(deed)))


class PointsController(Controller):
    path = "/v1/points"
    tags = ("points",)

    @post(
        "/programmes/{id:str}/terms",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeId},
            body=NewPointsTerms,
            answer=PointsTermsView,
            status=201,
            refusals=[INVALID_FIELD, NOT_FOUND, BUSY],
        ),
    )
    async def set_terms(self, request: ApiRequest) -> Response[bytes]:
        """Set the points terms of a programme; what was earned keeps the terms it was earned under."""
        programme_id = uuid_of(read_path(request, ProgrammeId))
        asked = await read_body(request, NewPointsTerms)
        app = app_of(request)
        made = await points.set_terms(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            programme_id=programme_id,
            terms=read_terms(asked),
            effective_from=asked.effective_from,
            by=actor_of(request),
        )
        return answer(made, show_terms, status=201)

    @get(
        "/programmes/{id:str}/terms",
        **operation(Scope.POINTS_READ, path={"id": ProgrammeId}, answer=Page[PointsTermsView]),
    )
    async def list_terms(self, request: ApiRequest) -> Response[bytes]:
        """List the versions of a programme's points terms, the newest first."""
        programme_id = uuid_of(read_path(request, ProgrammeId))
        made = await points.list_terms(app_of(request).pool, book_id=request.user.book_id, programme_id=programme_id)
        return answer_page(Page(made), show_terms)

    @get(
        "/cards/{id:str}",
        **operation(
            Scope.POINTS_READ, path={"id": CardId}, answer=StandingView, refusals=[NOT_FOUND, POINTS_NOT_OFFERED]
        ),
    )
    async def get_standing(self, request: ApiRequest) -> Response[bytes]:
        """Get what a card has of points, and its tier."""
        app = app_of(request)
        told = await points.get_standing(
            app.pool,
            app.clock,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(read_path(request, CardId)),
        )
        return answer(told, show_standing)

    @get(
        "/cards/{id:str}/deeds",
        **operation(Scope.POINTS_READ, path={"id": CardId}, query=DeedQuery, answer=Page[PointsDeedView]),
    )
    async def list_deeds(self, request: ApiRequest) -> Response[bytes]:
        """List adjustments, exchanges and benefits of a card, the newest first."""
        query = read_query(request, DeedQuery)
        app = app_of(request)
        page = await points.list_deeds(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            card_id=uuid_of(read_path(request, CardId)),
            after_id=None if query.cursor is None else read_cursor(query.cursor),
            limit=query.limit,
        )
        return answer_page(page, show_deed)

    @post(
        "/adjustments",
        **operation(
            Scope.ADJUSTMENTS_WRITE,
            body=NewPointsAdjustment,
            answer=PointsDeedView,
            status=201,
            refusals=[INVALID_FIELD, NOT_FOUND, POINTS_NOT_OFFERED, POINTS_TOO_FEW, *APPROVED],
            takes_key=True,
        ),
    )
    async def adjust_points(self, request: ApiRequest) -> Response[bytes]:
        """Put points on a card, or take them off, as another operator approved."""
        body = await read_bytes(request)
        asked = decode_body(body, NewPointsAdjustment)
        if asked.points == 0:
            return problem_response(INVALID_FIELD.refuse("points", allowed="must not be 0", allowed_zh="不得为 0"))
        approve = four_eyes(
            request,
            kind=ApprovalKind.POINTS_ADJUSTMENT,
            subject=asked.card_id,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        app, card_id = app_of(request), uuid_of(asked.card_id)

        async def work(key: RequestKey) -> Answer | Refusal:
            if isinstance(approve, Refusal):
                return approve
            if approve is None or asked.approval_id is None:
                # value moves outside the rules: a system has no control of its own over that
                return APPROVAL_REQUIRED.refuse("approval_id", kind=ApprovalKind.POINTS_ADJUSTMENT.value)
            return await points.adjust_points(
                app.pool,
                hand_of(request),
                book_id=request.user.book_id,
                slots=app.slots,
                card_id=card_id,
                points=asked.points,
                note=asked.note,
                approval_id=uuid_of(asked.approval_id),
                approve=approve,
                by=actor_of(request),
                key=key,
                render=render_deed,
            )

        return await answer_once(request, body, near=card_id, work=work)

    @post(
        "/partners",
        **operation(
            Scope.POINTS_WRITE,
            body=NewPointsPartner,
            answer=PointsPartnerView,
            status=201,
            refusals=[INVALID_FIELD, ALREADY_EXISTS],
        ),
    )
    async def create_partner(self, request: ApiRequest) -> Response[bytes]:
        """Create a partner with whom points are exchanged at a rate."""
        asked = await read_body(request, NewPointsPartner)
        app = app_of(request)
        made = await points.create_partner(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=points.NewPartner(**msgspec.structs.asdict(asked)),
            by=actor_of(request),
        )
        return answer(made, show_partner, status=201)

    @get("/partners", **operation(Scope.POINTS_READ, query=PartnerQuery, answer=Page[PointsPartnerView]))
    async def list_partners(self, request: ApiRequest) -> Response[bytes]:
        """List partners, the newest first."""
        query = read_query(request, PartnerQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
        )
        page = await points.list_partners(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_partner)

    @post(
        "/exchanges",
        **operation(
            Scope.POINTS_WRITE,
            body=NewPointsExchange,
            answer=PointsDeedView,
            status=201,
            refusals=[
                INVALID_FIELD,
                NOT_FOUND,
                POINTS_NOT_OFFERED,
                POINTS_TOO_FEW,
                EXCHANGE_CLOSED,
                EXCHANGE_NOT_WHOLE,
                EXCHANGE_KNOWN,
                *UNUSABLE.values(),
            ],
            takes_key=True,
        ),
    )
    async def exchange_points(self, request: ApiRequest) -> Response[bytes]:
        """Exchange points with a partner; both books move in one transaction."""
        body = await read_bytes(request)
        asked = decode_body(body, NewPointsExchange)
        if (asked.points is None) == (asked.units is None):
            return problem_response(
                INVALID_FIELD.refuse(
                    "points", allowed="give either points or units", allowed_zh="points 与 units 须且只能提供一个"
                )
            )
        app, card_id = app_of(request), uuid_of(asked.card_id)

        async def work(key: RequestKey) -> Answer | Refusal:
            return await points.exchange_points(
                app.pool,
                hand_of(request),
                book_id=request.user.book_id,
                slots=app.slots,
                card_id=card_id,
                partner_id=uuid_of(asked.partner_id),
                points=asked.points,
                units=asked.units,
                reference=asked.reference,
                key=key,
                render=render_deed,
            )

        return await answer_once(request, body, near=card_id, work=work)

    @post(
        "/benefits",
        **operation(
            Scope.POINTS_WRITE,
            body=NewPointsBenefit,
            answer=PointsBenefitView,
            status=201,
            refusals=[INVALID_FIELD, NOT_FOUND, ALREADY_EXISTS, TEMPLATE_ENDED],
        ),
    )
    async def create_benefit(self, request: ApiRequest) -> Response[bytes]:
        """Create a benefit that members of a programme may take."""
        asked = await read_body(request, NewPointsBenefit)
        app = app_of(request)
        if asked.template_id is None and asked.voucher_count is not None:
            return problem_response(
                INVALID_FIELD.refuse(
                    "voucher_count",
                    allowed="must be absent without template_id",
                    allowed_zh="未给出 template_id 时不得填写",
                )
            )
        fields = {
            **msgspec.structs.asdict(asked),
            "programme_id": uuid_of(asked.programme_id),
            "tiers": frozenset(asked.tiers),
            "template_id": None if asked.template_id is None else uuid_of(asked.template_id),
            "voucher_count": None if asked.template_id is None else asked.voucher_count or 1,
        }
        made = await payments.create_benefit(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            new=points.NewBenefit(**fields),
            by=actor_of(request),
        )
        return answer(made, show_benefit, status=201)

    @get("/benefits", **operation(Scope.POINTS_READ, query=BenefitQuery, answer=Page[PointsBenefitView]))
    async def list_benefits(self, request: ApiRequest) -> Response[bytes]:
        """List benefits, the newest first."""
        query = read_query(request, BenefitQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            programme_id=uuid_of(query.programme_id) if query.programme_id else None,
        )
        page = await points.list_benefits(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_benefit)

    @post(
        "/benefits/{id:str}/take",
        **operation(
            Scope.POINTS_WRITE,
            path={"id": PointsBenefitId},
            body=BenefitTaking,
            answer=PointsDeedView,
            status=201,
            refusals=[
                NOT_FOUND,
                POINTS_NOT_OFFERED,
                POINTS_TOO_FEW,
                BENEFIT_NOT_FOR_MEMBER,
                BENEFIT_GONE,
                *UNUSABLE.values(),
            ],
            takes_key=True,
        ),
    )
    async def take_benefit(self, request: ApiRequest) -> Response[bytes]:
        """Take a benefit for its points, and get its vouchers if that is what it gives."""
        benefit_id = uuid_of(read_path(request, PointsBenefitId))
        body = await read_bytes(request)
        asked = decode_body(body, BenefitTaking)
        app, card_id = app_of(request), uuid_of(asked.card_id)

        async def work(key: RequestKey) -> Answer | Refusal:
            return await payments.take_benefit(
                app.pool,
                hand_of(request),
                book_id=request.user.book_id,
                slots=app.slots,
                card_id=card_id,
                benefit_id=benefit_id,
                birth_month=asked.birth_month,
                key=key,
                render=render_deed,
            )

        return await answer_once(request, body, near=card_id, work=work)

    @get("/liability", **operation(Scope.POINTS_READ, query=PointsLiabilityQuery, answer=PointsLiabilityView))
    async def report_points_liability(self, request: ApiRequest) -> Response[bytes]:
        """How many points were outstanding at a moment, and what made them so many."""
        query = read_query(request, PointsLiabilityQuery)
        app = app_of(request)
        told = await points.report_points(
            app.pool, book_id=request.user.book_id, slots=app.slots, at=query.at or app.clock.now()
        )
        return answer(told, show_points_liability)
