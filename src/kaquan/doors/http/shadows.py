"""``/v1/campaigns/{id}/shadow``: a draft beside live traffic, and what it would have done."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan import payments, promotions
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.campaign_costs import FUNDER_PREFIXES
from kaquan.doors.http.fields import CampaignId, Cursor, StoreId, TransactionId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import Moment, in_utc
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.parties import Scope
from kaquan.payments import Fate, ShadowReport, ShadowRow, ShadowSearch
from kaquan.payments.shadow_report import ASSUMPTIONS
from kaquan.promotions import BudgetMetric, BudgetPeriod, BudgetScope, FunderKind, Hand, Shadow
from kaquan.promotions import outcomes as refused

MAX_NUMBER = 2**31 - 1

_SUBJECTS = {BudgetScope.STORE: Prefix.STORE, BudgetScope.MERCHANT: Prefix.MERCHANT, BudgetScope.CARD: Prefix.CARD}


class NewShadow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest version, a draft, until when it runs beside live traffic."""

    version: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    until: Moment

    def __post_init__(self) -> None:
        force_setattr(self, "until", in_utc(self.until))


class ShadowQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``number``: which of the campaign's shadows, from 1; the newest if it is left out."""

    number: Annotated[int, Meta(ge=1, le=MAX_NUMBER)] | None = None


class ShadowPaymentQuery(ShadowQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest first. ``why`` is a reason why an offer would not have applied."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    fate: Fate | None = None
    why: Annotated[str, Meta(pattern="^[a-z_]{1,40}$(?!\\n)")] | None = None
    day: date | None = None


class ShadowView(msgspec.Struct, frozen=True):
    """A version of a campaign that runs beside live traffic, or ran, from ``started_at`` until before ``ends_at``."""

    campaign_id: CampaignId
    number: int
    version: int
    running: bool
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    """When it was ended before its time."""


class ShadowFundingView(msgspec.Struct, frozen=True):
    """What one who pays would have paid of discounts on a day, by the wall clock of the issuer."""

    day: date
    funder_kind: FunderKind
    funder_id: str
    discount_fen: int


class ShadowStoreView(msgspec.Struct, frozen=True):
    """What would have been given in a store; null: top-ups that are made at none, or the other stores together."""

    store_id: StoreId | None
    payments: int
    discount_fen: int
    granted_fen: int


class ShadowSkipView(msgspec.Struct, frozen=True):
    """How often an offer of the draft would not have applied, and why."""

    offer: str
    why: str
    count: int


class ShadowBudgetView(msgspec.Struct, frozen=True):
    """What would have been used of a budget, or of one subject's part, in a period (such as 2026-05-01; empty: in all);
    minor units, payments or points, by its metric. ``exhausted_at``: when it first left no room."""

    name: str
    metric: BudgetMetric
    scope: BudgetScope
    period: BudgetPeriod
    when: str
    subject_id: str | None
    maximum: int
    used: int
    left: int
    exhausted_at: datetime | None


class ShadowReportView(msgspec.Struct, frozen=True):
    """What the draft would have done so far. Amounts are minor units; ``granted_fen`` is bonuses and the face value of
    vouchers.

    ``others_fen`` is what everything else would have given beside the draft and ``gave_fen`` what it gave;
    ``gave_own_fen`` is what the version in force of the same campaign gave. Winners are payments for which the holder
    would have got more in all, losers less. ``waiting`` payments of the book are not priced yet.
    """

    shadow: ShadowView
    waiting: int
    purchases: int
    loads: int
    amount_fen: int
    applied: int
    held_back: int
    over_budget: int
    holders: int
    discount_fen: int
    granted_fen: int
    points: int
    others_fen: int
    gave_own_fen: int
    gave_fen: int
    winners: int
    won_fen: int
    losers: int
    lost_fen: int
    first_at: datetime | None
    last_at: datetime | None
    first_applied_at: datetime | None
    last_applied_at: datetime | None
    by_day: list[ShadowFundingView]
    by_store: list[ShadowStoreView]
    other_stores: ShadowStoreView | None
    skipped: list[ShadowSkipView]
    budgets: list[ShadowBudgetView]
    assumptions: list[str]


class OfferSkipView(msgspec.Struct, frozen=True):
    offer: str
    why: str


class ShadowPaymentView(msgspec.Struct, frozen=True):
    """What the draft would have done with one payment."""

    transaction_id: TransactionId
    recorded_at: datetime
    day: date
    is_load: bool
    store_id: StoreId | None
    amount_fen: int
    fate: Fate
    discount_fen: int
    granted_fen: int
    points: int
    others_fen: int
    gave_own_fen: int
    gave_fen: int
    skipped: list[OfferSkipView]


def _show_shadow(shadow: Shadow, now: datetime) -> ShadowView:
    return ShadowView(
        show_id(Prefix.CAMPAIGN, shadow.campaign_id),
        shadow.number,
        shadow.version,
        shadow.is_on(now),
        shadow.started_at,
        shadow.ends_at,
        shadow.ended_at,
    )


def _show_report(report: ShadowReport, now: datetime) -> ShadowReportView:
    return ShadowReportView(
        _show_shadow(report.shadow, now),
        report.waiting,
        *report.sums,
        [
            ShadowFundingView(one.day, kind, show_id(FUNDER_PREFIXES[kind], one.party_id), one.discount_fen)
            for one in report.days
            for kind in (FunderKind(one.kind),)
        ],
        [_show_store(one) for one in report.stores],
        None if report.others is None else _show_store(report.others),
        [ShadowSkipView(*one) for one in report.skips],
        [
            ShadowBudgetView(
                one.name,
                one.metric,
                one.scope,
                one.period,
                one.when,
                # a holder is a person or a card: which, the counter does not tell
                None if one.subject_id is None else show_subject(one.scope, one.subject_id),
                one.maximum,
                one.used,
                max(one.maximum - one.used, 0),
                one.exhausted_at,
            )
            for one in report.budgets
        ],
        list(ASSUMPTIONS),
    )


def show_subject(scope: BudgetScope, subject_id: object) -> str:
    """Whose part of a budget: as ids are shown; of a holder, who is a person or a card, the digits alone."""
    prefix = _SUBJECTS.get(scope)
    digits = str(subject_id).replace("-", "")
    return digits if prefix is None else f"{prefix}_{digits}"


def _show_store(one: payments.ShadowStore) -> ShadowStoreView:
    shown = None if one.store_id is None else show_id(Prefix.STORE, one.store_id)
    return ShadowStoreView(shown, one.payments, one.discount_fen, one.granted_fen)


def _show_payment(row: ShadowRow) -> ShadowPaymentView:
    return ShadowPaymentView(
        transaction_id=show_id(Prefix.TRANSACTION, row.transaction_id),
        recorded_at=row.recorded_at,
        day=row.day,
        is_load=row.is_load,
        store_id=None if row.store_id is None else show_id(Prefix.STORE, row.store_id),
        amount_fen=row.amount_fen,
        fate=Fate(row.fate),
        discount_fen=row.discount_fen,
        granted_fen=row.granted_fen,
        points=row.points,
        others_fen=row.others_fen,
        gave_own_fen=row.gave_own_fen,
        gave_fen=row.gave_fen,
        skipped=[OfferSkipView(offer, why) for offer, why in zip(row.offers, row.whys, strict=True)],
    )


async def _shadow_of(request: ApiRequest, number: int | None) -> Shadow:
    """The shadow that an address names. Raises RefusedError."""
    id_ = uuid_of(read_path(request, CampaignId))
    found = await promotions.get_shadow(app_of(request).pool, book_id=request.user.book_id, id_=id_, number=number)
    if isinstance(found, Refusal):
        raise RefusedError(found)
    return found


class ShadowController(Controller):
    path = "/v1/campaigns"
    tags = ("campaigns",)

    @post(
        "/{id:str}/shadow",
        **operation(
            Scope.CAMPAIGNS_WRITE,
            path={"id": CampaignId},
            body=NewShadow,
            answer=ShadowView,
            status=201,
            refusals=[
                NOT_FOUND,
                refused.CAMPAIGN_CHANGED,
                refused.CAMPAIGN_NOT_IN_STATE,
                refused.CAMPAIGN_BREAKS_RULE,
                refused.CAMPAIGN_FILE_WRONG,
                refused.SHADOW_RUNNING,
                refused.TOO_MANY_SHADOWS,
            ],
        ),
    )
    async def start_shadow(self, request: ApiRequest) -> Response[bytes]:
        """Let a draft run beside live traffic: what it would have done is recorded, and nothing moves by it."""
        id_, asked = uuid_of(read_path(request, CampaignId)), await read_body(request, NewShadow)
        app, book_id = app_of(request), request.user.book_id
        found = await promotions.get_campaign(app.pool, book_id=book_id, id_=id_)
        if isinstance(found, Refusal):
            return problem_response(found)
        started = await promotions.start_shadow(
            app.pool,
            Hand(app.clock, app.ids, actor_of(request)),
            book_id=book_id,
            id_=id_,
            version=asked.version,
            until=asked.until,
            rules=app.policy.rules(book_id, found.issuer_id),
        )
        return answer(started, lambda shadow: _show_shadow(shadow, app.clock.now()), status=201)

    @delete(
        "/{id:str}/shadow",
        **operation(Scope.CAMPAIGNS_WRITE, path={"id": CampaignId}, answer=ShadowView, refusals=[refused.NO_SHADOW]),
    )
    async def end_shadow(self, request: ApiRequest) -> Response[bytes]:
        """End the shadow of a campaign before its time; what it found is kept."""
        id_, app = uuid_of(read_path(request, CampaignId)), app_of(request)
        ended = await promotions.end_shadow(
            app.pool, Hand(app.clock, app.ids, actor_of(request)), book_id=request.user.book_id, id_=id_
        )
        return answer(ended, lambda shadow: _show_shadow(shadow, app.clock.now()))

    @get(
        "/{id:str}/shadow",
        **operation(
            Scope.CAMPAIGNS_READ,
            path={"id": CampaignId},
            query=ShadowQuery,
            answer=ShadowReportView,
            refusals=[refused.NO_SHADOW],
        ),
    )
    async def report_shadow(self, request: ApiRequest) -> Response[bytes]:
        """Tell what a draft beside live traffic would have done so far."""
        shadow, app = await _shadow_of(request, read_query(request, ShadowQuery).number), app_of(request)
        version = await promotions.get_shadowed(app.pool, shadow)
        report = await payments.report_shadow(app.pool, shadow, version.terms, slots=app.slots)
        return answer(report, lambda told: _show_report(told, app.clock.now()))

    @get(
        "/{id:str}/shadow/transactions",
        **operation(
            Scope.CAMPAIGNS_READ,
            path={"id": CampaignId},
            query=ShadowPaymentQuery,
            answer=Page[ShadowPaymentView],
            refusals=[refused.NO_SHADOW],
        ),
    )
    async def list_shadow_payments(self, request: ApiRequest) -> Response[bytes]:
        """List the payments that a draft has seen, with what it would have done or why not."""
        query, app = read_query(request, ShadowPaymentQuery), app_of(request)
        shadow = await _shadow_of(request, query.number)
        search = ShadowSearch(
            limit=query.limit,
            after_id=None if query.cursor is None else read_cursor(query.cursor),
            fate=query.fate,
            why=query.why,
            day=query.day,
        )
        page = await payments.list_shadow_payments(app.pool, shadow, slots=app.slots, search=search)
        return answer_page(page, _show_payment)
