"""``/v1/campaigns/{id}/budgets``, ``…/costs`` and ``/v1/campaign-reports/funding``: what offers use, and who pays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan import payments, promotions
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import CampaignId, Cursor, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import Moment, in_utc
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.reading import read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.doors.http.vouchers import FundingQuery, ReportForm, write_sheet
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.parties import Scope
from kaquan.payments import BudgetStanding, BudgetUser, Cost, CostKind
from kaquan.promotions import (
    BudgetMetric,
    BudgetPeriod,
    BudgetReturn,
    BudgetScope,
    CampaignSearch,
    FunderKind,
    KeptCampaign,
)

BudgetId = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{32}$(?!\\n)",
        description="an id of a budget: 32 lower-case hexadecimal digits",
        extra={"zh": "预算编号：32 位小写十六进制数字"},
    ),
]

FUNDER_PREFIXES = {
    FunderKind.ISSUER: Prefix.ISSUER,
    FunderKind.MERCHANT: Prefix.MERCHANT,
    FunderKind.PARTY: Prefix.FUNDER,
}


class BudgetUserQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those who used most first."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None


class CostQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time by when payments were recorded: after ``from`` (ever, if it is left out) up to ``to`` (now)."""

    since: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = msgspec.field(default=None, name="to")
    form: ReportForm = ReportForm.JSON

    def __post_init__(self) -> None:
        force_setattr(self, "since", in_utc(self.since))
        force_setattr(self, "until", in_utc(self.until))


class BudgetView(msgspec.Struct, frozen=True):
    """A budget of the version in force now, in minor units, payments or points by its metric. ``when`` is the day,
    month or year that is counted in, as 20260131, 202601 or 2026; 0: all time.

    ``used`` and ``left`` are null for a budget that each holder, card, store or merchant has for itself: its users are
    listed under its id. ``exhausted_at`` is when it first left no room in this period; what returns gave back since is
    in ``left``.
    """

    id: BudgetId
    name: str
    metric: BudgetMetric
    scope: BudgetScope
    period: BudgetPeriod
    on_return: BudgetReturn
    maximum: int
    when: int
    used: int | None
    left: int | None
    exhausted: bool
    exhausted_at: datetime | None


class BudgetsView(msgspec.Struct, frozen=True):
    data: list[BudgetView]


class BudgetUserView(msgspec.Struct, frozen=True):
    """What a holder (a person, or an unregistered card), card, store or merchant used of its part of a budget."""

    id: str
    used: int
    left: int


class CostView(msgspec.Struct, frozen=True):
    """What one who pays gave of one kind and got back, in minor units of ``currency``: discounts and bonuses by the
    entries of the ledger; granted vouchers at their face value, and points as points, by the pricings of payments.
    ``reserved_fen`` is set aside by authorizations at the end of the time."""

    funder_kind: FunderKind
    funder_id: str
    kind: CostKind
    currency: str | None
    given_fen: int
    taken_back_fen: int
    net_fen: int
    reserved_fen: int


class CostsView(msgspec.Struct, frozen=True):
    data: list[CostView]


class CampaignFundingView(msgspec.Struct, frozen=True):
    """The same over all campaigns, and the vouchers that were redeemed: ``code`` and ``campaign_id`` are null for what
    vouchers of the template ``voucher_template_id`` took off."""

    funder_kind: FunderKind
    funder_id: str
    campaign_id: str | None
    code: str | None
    voucher_template_id: str | None
    kind: CostKind
    currency: str | None
    given_fen: int
    taken_back_fen: int
    net_fen: int
    reserved_fen: int


def _show_budget(standing: BudgetStanding) -> BudgetView:
    budget = standing.budget
    return BudgetView(
        standing.id.hex, budget.name, budget.metric, budget.scope, budget.period, budget.on_return, budget.maximum,
        standing.when, standing.used, standing.left, standing.is_exhausted, standing.exhausted_at,
    )  # fmt: skip


def _show_cost(cost: Cost) -> CostView:
    funding = cost.funding
    return CostView(
        funding.kind, show_id(FUNDER_PREFIXES[funding.kind], funding.party_id), cost.kind, cost.currency,
        cost.given_fen, cost.taken_back_fen, cost.net_fen, cost.reserved_fen,
    )  # fmt: skip


def _sheet(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], form: ReportForm, name: str) -> Response[bytes]:
    """A table as a file for a spreadsheet."""
    cells = [list(msgspec.structs.astuple(row)) for row in rows]
    return Response(
        write_sheet(kind.__struct_fields__, cells, form, title=name),
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}.{form}"'},
    )


async def _campaign_of(request: ApiRequest) -> KeptCampaign:
    """The campaign that an address names. Raises RefusedError."""
    id_ = uuid_of(read_path(request, CampaignId))
    found = await promotions.get_campaign(app_of(request).pool, book_id=request.user.book_id, id_=id_)
    if isinstance(found, Refusal):
        raise RefusedError(found)
    return found


class CampaignCostController(Controller):
    path = "/v1/campaigns"
    tags = ("campaigns",)

    @get("/{id:str}/budgets", **operation(Scope.CAMPAIGNS_READ, path={"id": CampaignId}, answer=BudgetsView))
    async def list_budgets(self, request: ApiRequest) -> Response[bytes]:
        """Tell how much of each budget of a campaign is used now, and how much is left."""
        campaign, app = await _campaign_of(request), app_of(request)
        found = await payments.report_budgets(app.pool, campaign, slots=app.slots, now=app.clock.now())
        return answer(BudgetsView([_show_budget(one) for one in found]), lambda told: told)

    @get(
        "/{id:str}/budgets/{budget_id:str}/users",
        **operation(
            Scope.CAMPAIGNS_READ,
            path={"id": CampaignId, "budget_id": BudgetId},
            query=BudgetUserQuery,
            answer=Page[BudgetUserView],
        ),
    )
    async def list_budget_users(self, request: ApiRequest) -> Response[bytes]:
        """List who used a budget that each holder, card, store or merchant has for itself, the most used first."""
        campaign, query, app = await _campaign_of(request), read_query(request, BudgetUserQuery), app_of(request)
        asked_id = uuid_of(read_path(request, BudgetId, "budget_id"))
        now = app.clock.now()
        page = await payments.list_budget_users(
            app.pool,
            campaign,
            slots=app.slots,
            asked_id=asked_id,
            now=now,
            limit=query.limit,
            after_id=None if query.cursor is None else read_cursor(query.cursor),
        )
        if isinstance(page, Refusal):
            return problem_response(page)
        standings = await payments.report_budgets(app.pool, campaign, slots=app.slots, now=now)
        maximum = next(one.budget.maximum for one in standings if one.id == asked_id)

        def show(user: BudgetUser) -> BudgetUserView:
            return BudgetUserView(show_id(user.prefix, user.id), user.used, max(maximum - user.used, 0))

        return answer_page(page, show)

    @get(
        "/{id:str}/costs",
        **operation(
            Scope.CAMPAIGNS_READ,
            path={"id": CampaignId},
            query=CostQuery,
            answer=CostsView,
            other_media_types=["application/octet-stream"],
        ),
    )
    async def report_costs(self, request: ApiRequest) -> Response[bytes]:
        """Tell who paid what for a campaign; ``form``: also as a CSV or .xlsx file."""
        campaign, query, app = await _campaign_of(request), read_query(request, CostQuery), app_of(request)
        until = query.until or app.clock.now()
        if query.since is not None and query.since >= until:
            refusal = INVALID_FIELD.refuse("to", allowed="must be after from", allowed_zh="应晚于 from")
            return problem_response(refusal)
        book_id = request.user.book_id
        costs = await payments.report_costs(
            app.pool, book_id=book_id, slots=app.slots, campaign_id=campaign.id, since=query.since, until=until
        )
        costs += await payments.report_grants(
            app.pool,
            book_id=book_id,
            slots=app.slots,
            campaign_id=campaign.id,
            issuer_id=campaign.issuer_id,
            since=query.since,
            until=until,
        )
        rows = [_show_cost(cost) for cost in costs]
        if query.form is ReportForm.JSON:
            return answer(CostsView(rows), lambda told: told)
        return _sheet(rows, CostView, query.form, "campaign-costs")


class CampaignReportController(Controller):
    path = "/v1/campaign-reports"
    tags = ("campaigns",)

    @get(
        "/funding",
        **operation(
            Scope.CAMPAIGNS_READ,
            query=FundingQuery,
            answer=Page[CampaignFundingView],
            other_media_types=["application/octet-stream"],
        ),
    )
    async def report_campaign_funding(self, request: ApiRequest) -> Response[bytes]:
        """What every funder has paid for discounts and bonuses by a moment, campaign by campaign; ``form``: also as a
        CSV or .xlsx file."""
        query, app = read_query(request, FundingQuery), app_of(request)
        book_id = request.user.book_id
        costs = await payments.report_costs(
            app.pool, book_id=book_id, slots=app.slots, until=query.at or app.clock.now()
        )
        codes: dict[UUID, str] = {}
        search = CampaignSearch(limit=MAX_LIMIT)
        while True:
            page = await promotions.list_campaigns(app.pool, book_id=book_id, search=search)
            codes |= {one.id: one.code for one in page.data}
            if page.next_cursor is None:
                break
            search = CampaignSearch(limit=MAX_LIMIT, after_id=read_cursor(page.next_cursor))
        rows = []
        for cost in sorted(costs, key=lambda one: (one.funding.kind, one.funding.party_id.int)):
            shown, code = _show_cost(cost), codes.get(cost.funding.campaign_id)
            owner = cost.funding.campaign_id
            rows.append(
                CampaignFundingView(
                    shown.funder_kind,
                    shown.funder_id,
                    None if code is None else show_id(Prefix.CAMPAIGN, owner),
                    code,
                    show_id(Prefix.VOUCHER_TEMPLATE, owner) if code is None else None,
                    *msgspec.structs.astuple(shown)[2:],
                )
            )
        if query.form is ReportForm.JSON:
            return answer_page(Page(rows), lambda row: row)
        return _sheet(rows, CampaignFundingView, query.form, "campaign-funding")


CAMPAIGN_COST_CONTROLLERS: list[type[Controller]] = [CampaignCostController, CampaignReportController]
