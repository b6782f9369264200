"""``/v1/simulations`` and ``/v1/campaigns/{id}/effect``: what drafts would have cost, and what a campaign did."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr, replace

from kaquan import promotions
from kaquan.app import App
from kaquan.doors.http.answers import answer
from kaquan.doors.http.campaigns import CampaignFile
from kaquan.doors.http.fields import CampaignId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import Moment, in_utc
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.reading import decode_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.parties import Scope
from kaquan.payments import CampaignEffect, History, measure_effect, simulate
from kaquan.payments.outcomes import TOO_MANY_PURCHASES
from kaquan.promotions import Campaign, CampaignTerms, ReplayReport, read_terms, refuse_file
from kaquan.promotions import outcomes as refused

MAX_DRAFTS = 20

_WHY = {
    "no_control_group": (
        "The campaign has no control group: nothing tells what its holders would have bought without it.",
        "活动没有设置对照组，无法得知若无活动持卡人会如何消费。",
    ),
    "control_group_changed": (
        "The control group changed its size while the campaign ran: some holders were in both groups.",
        "活动期间对照组比例有过变更，部分持卡人先后属于两组，不予估计。",
    ),
    "too_few_holders": (
        "One of the groups has too few holders who bought before: an interval would not be what it says.",
        "其中一组活动前有消费的持卡人过少，区间估计不可靠。",
    ),
}
_ESTIMATED = (
    "The difference per holder by chance alone would be in the interval; where zero is in it, an effect is not shown.",
    "区间包含零时，不能认为活动有效果。",
)

Ranged = TypeVar("Ranged", "NewSimulation", "EffectQuery")


class NewSimulation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Drafts over the purchases that were recorded from ``from`` until before ``to`` with cards of their issuers.

    ``campaign_ids``: the newest versions of campaigns that are written; ``campaigns``: files, which are checked and not
    stored. ``whole_time``: as if the drafts had been in force all that time; false: within their own dates.
    """

    since: Moment = msgspec.field(name="from")
    until: Moment = msgspec.field(name="to")
    campaign_ids: Annotated[list[CampaignId], Meta(max_length=MAX_DRAFTS)] = []
    campaigns: Annotated[list[CampaignFile], Meta(max_length=MAX_DRAFTS)] = []
    whole_time: bool = True

    def __post_init__(self) -> None:
        _put_in_utc(self)


class EffectQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which the campaign was in force; what of it was before, after, or is yet to come is left out."""

    since: Moment = msgspec.field(name="from")
    until: Moment = msgspec.field(name="to")

    def __post_init__(self) -> None:
        _put_in_utc(self)


class EstimateView(msgspec.Struct, frozen=True):
    """Treated less control, in minor units per holder: an estimate and not money. ``explained`` is the share of the
    variance that the holders' past explains; ``raw_difference_fen`` is without it."""

    difference_fen: float
    low_fen: float
    high_fen: float
    confidence: float
    raw_difference_fen: float
    explained: float


class EffectView(msgspec.Struct, frozen=True):
    """What holders paid with their cards from ``from`` to ``to``, net of discounts and refunds, for those with the
    campaign against its control group. Holders are those who bought since ``before`` and before it began."""

    since: datetime = msgspec.field(name="from")
    until: datetime = msgspec.field(name="to")
    before: datetime
    control_bp: int
    treated_holders: int
    control_holders: int
    effect: EstimateView | None
    why: str | None
    """Why nothing is estimated: ``no_control_group``, ``control_group_changed`` or ``too_few_holders``."""
    statement: str
    statement_zh: str


def _put_in_utc(range_: Ranged) -> None:
    force_setattr(range_, "since", in_utc(range_.since))
    force_setattr(range_, "until", in_utc(range_.until))


def _history(app: App, book_id: int, range_: Ranged) -> History:
    """Raises RefusedError."""
    if range_.since >= range_.until:
        raise RefusedError(INVALID_FIELD.refuse("to", allowed="must be after from", allowed_zh="应晚于 from"))
    return History(
        app.pool,
        app.slots,
        book_id,
        range_.since,
        range_.until,
        app.programmes.get,
        lambda book, terminal: app.directory.book(book).places.get(terminal),
    )


async def _drafts(app: App, book_id: int, asked: NewSimulation, files: list[Any]) -> list[Campaign]:
    """The drafts that a body names and tells of. Raises RefusedError."""
    drafts = []
    for place, shown in enumerate(asked.campaign_ids):
        found = await promotions.get_campaign(app.pool, book_id=book_id, id_=uuid_of(shown))
        if isinstance(found, Refusal):
            raise RefusedError(NOT_FOUND.refuse(f"campaign_ids[{place}]", what="campaign"))
        drafts.append(Campaign(found.id, found.newest.version, found.newest.terms))
        await _check(app, book_id, found.newest.terms, f"campaign_ids[{place}]")
    for place, file in enumerate(files):
        read = read_terms(file)
        if isinstance(read, list):
            raise RefusedError(_within(f"campaigns[{place}]", refuse_file(read)))
        await _check(app, book_id, read, f"campaigns[{place}]")
        # not stored: of the same file the same control group and the same red packets
        drafts.append(Campaign(UUID(int=1 + place), 1, read))
    if not 1 <= len(drafts) <= MAX_DRAFTS or len({draft.id for draft in drafts}) < len(drafts):
        raise RefusedError(
            INVALID_FIELD.refuse(
                "campaign_ids",
                allowed=f"must be 1 to {MAX_DRAFTS} drafts with campaigns, each once",
                allowed_zh=f"与 campaigns 合计应为 1 至 {MAX_DRAFTS} 个，且不得重复",
            )
        )
    return drafts


async def _check(app: App, book_id: int, terms: CampaignTerms, field: str) -> None:
    """Whether a draft could be published, by the rules of now. Raises RefusedError with all of its faults."""
    rules = app.policy.rules(book_id, terms.issuer_id)
    checked = await promotions.check_terms(app.pool, book_id, terms, rules)
    if isinstance(checked, Refusal):
        raise RefusedError(_within(field, checked))


def _within(field: str, refusal: Refusal) -> Refusal:
    """A refusal of a draft, and all that is wrong besides, as one of the body that it is in."""
    also = tuple(_within(field, one) for one in refusal.details.get("also", ()))
    inner = None if refusal.field is None else f"{field}.{refusal.field}"
    return replace(refusal, field=inner, details={**refusal.details, "also": also} if also else refusal.details)


def _show(found: CampaignEffect) -> EffectView:
    estimate = None
    if (effect := found.effect) is not None:
        estimate = EstimateView(
            effect.difference_fen,
            effect.low_fen,
            effect.high_fen,
            effect.confidence,
            effect.raw_difference_fen,
            effect.explained,
        )
    statement, statement_zh = _ESTIMATED if found.why is None else _WHY[found.why]
    return EffectView(
        since=found.since,
        until=found.until,
        before=found.before,
        control_bp=found.control_bp,
        treated_holders=found.treated,
        control_holders=found.control,
        effect=estimate,
        why=found.why,
        statement=statement,
        statement_zh=statement_zh,
    )


class SimulationController(Controller):
    path = "/v1/simulations"
    tags = ("campaigns",)

    def __init__(self, owner: Any) -> None:
        super().__init__(owner)
        self._turn = asyncio.Lock()

    @post(
        **operation(
            Scope.CAMPAIGNS_READ,
            body=NewSimulation,
            answer=ReplayReport,
            refusals=[
                NOT_FOUND,
                refused.CAMPAIGN_FILE_WRONG,
                refused.CAMPAIGN_BREAKS_RULE,
                TOO_MANY_PURCHASES,
                BUSY,
            ],
        )
    )
    async def simulate(self, request: ApiRequest) -> Response[bytes]:
        """Tell what drafts would have cost over recorded purchases; nothing is written.

        Beside the cost: whom they would have reached, what running campaigns lose to them, and when budgets end. Each
        process works on one at a time.
        """
        body = await read_bytes(request)
        asked = decode_body(body, NewSimulation)
        app, book_id = app_of(request), request.user.book_id
        history = _history(app, book_id, asked)
        drafts = await _drafts(app, book_id, asked, msgspec.json.decode(body).get("campaigns", []))
        if self._turn.locked():
            return problem_response(BUSY.refuse())
        async with self._turn:
            await app.refresh()
            issuers = {one.terms.issuer_id for one in drafts}
            history = history._replace(
                issuers={issuer_id: app.programmes.of_issuer(book_id, issuer_id) for issuer_id in issuers}
            )
            running = await promotions.list_in_force(app.pool, book_id=book_id)
            policy = await promotions.get_policy(app.pool, book_id=book_id)
            report = await simulate(history, drafts, running, policy, whole_time=asked.whole_time)
        return answer(report, lambda told: told)


class EffectController(Controller):
    path = "/v1/campaigns"
    tags = ("campaigns",)

    @get(
        "/{id:str}/effect",
        **operation(
            Scope.CAMPAIGNS_READ,
            path={"id": CampaignId},
            query=EffectQuery,
            answer=EffectView,
            refusals=[refused.CAMPAIGN_NOT_IN_STATE, TOO_MANY_PURCHASES],
        ),
    )
    async def get_effect(self, request: ApiRequest) -> Response[bytes]:
        """Estimate what a campaign did against its control group, or say why that cannot be told."""
        id_, asked = uuid_of(read_path(request, CampaignId)), read_query(request, EffectQuery)
        app, book_id = app_of(request), request.user.book_id
        history = _history(app, book_id, asked)
        found = await promotions.get_campaign(app.pool, book_id=book_id, id_=id_)
        if isinstance(found, Refusal):
            return problem_response(found)
        versions = await promotions.list_versions(app.pool, book_id=book_id, id_=id_)
        if isinstance(versions, Refusal):
            return problem_response(versions)
        return answer(await measure_effect(history, found, versions, now=app.clock.now()), _show)


SIMULATION_CONTROLLERS = [SimulationController, EffectController]
