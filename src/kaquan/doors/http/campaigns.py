"""``/v1/campaigns``, ``/v1/stacking-policy`` and ``/v1/offer-kinds``: what purchases and top-ups are priced with."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.response import Response
from msgspec import UNSET, Meta, UnsetType

from kaquan import promotions
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import ApprovalId, CampaignId, Code, IssuerId, uuid_of
from kaquan.doors.http.four_eyes import APPROVED, ApprovalQuery, four_eyes, payload_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import Problem, RefusedError, problem_of, problem_response
from kaquan.doors.http.reading import decode_body, read_bytes, read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import ALREADY_EXISTS, NOT_FOUND, Refusal
from kaquan.kit.paging import Page
from kaquan.parties import Scope
from kaquan.parties.staff import ApprovalKind, Approve
from kaquan.promotions import (
    CampaignSearch,
    CampaignStatus,
    CampaignTerms,
    CampaignVersion,
    Hand,
    KeptCampaign,
    StackingPolicy,
    find_kinds,
    read_terms,
    refuse_file,
    show_terms,
)
from kaquan.promotions import outcomes as refused
from kaquan.promotions.kind import PurchaseKind

MAX_VERSION = 2**31 - 1

_FILE = (refused.CAMPAIGN_FILE_WRONG, refused.CAMPAIGN_BREAKS_RULE, NOT_FOUND)
_EVERY_CAMPAIGN = show_id(Prefix.CAMPAIGN, UUID(int=0))
"""What an approval of a change of the stacking policy is about."""


class CampaignFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign as its file tells of it; looked at as a whole, so that every fault is told at once.

    Times are the wall clock of the issuer. ``funders`` are lists of kind, id of a party, and share in basis points,
    the issuer alone if they are left out; ``params`` of an offer are those of its kind (``GET /v1/offer-kinds``).
    """

    code: Code
    name: str
    issuer_id: IssuerId
    starts_at: str
    ends_at: str
    offers: list[dict[str, Any]]
    budgets: list[dict[str, Any]] = []
    funders: list[list[Any]] | UnsetType = UNSET
    control_bp: Annotated[int, Meta(ge=0, le=10_000)] = 1_000


class CampaignCheck(msgspec.Struct, frozen=True):
    """Everything that a campaign would be refused for; empty: it may be stored."""

    faults: list[Problem]


class CampaignQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code | None = None
    issuer_id: IssuerId | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version. An operator names an approval of the kind ``campaign`` whose payload is this body without it."""

    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    approval_id: ApprovalId | None = None


class VersionView(msgspec.Struct, frozen=True):
    """One version of the terms; ``published_at`` null: a draft."""

    version: int
    terms: dict[str, Any]
    made_at: datetime
    made_by: str
    published_at: datetime | None
    published_by: str | None
    approval_id: str | None


class CampaignView(msgspec.Struct, frozen=True):
    """``newest`` is what was written last, ``published`` what is in force within its time."""

    id: str
    code: str
    issuer_id: str
    time_zone: str
    status: CampaignStatus
    created_at: datetime
    ended_at: datetime | None
    newest: VersionView
    published: VersionView | None


class CampaignVersions(msgspec.Struct, frozen=True):
    data: list[VersionView]


class PolicyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What binds all campaigns together in one basket, offers from outside counted in; null: no bound."""

    max_discount_bp: Annotated[int, Meta(ge=0, le=10_000)] = 10_000
    max_discount_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)] | None = None
    max_offers: Annotated[int, Meta(ge=1, le=100)] | None = None
    max_day_fen: Annotated[int, Meta(ge=1, le=MAX_FEN)] | None = None
    approval_id: ApprovalId | None = None


class PolicyView(msgspec.Struct, frozen=True):
    max_discount_bp: int
    max_discount_fen: int | None
    max_offers: int | None
    max_day_fen: int | None


class OfferKindView(msgspec.Struct, frozen=True):
    """A kind of offer; ``params`` is the JSON Schema of its parameters."""

    name: str
    en: str
    zh: str
    prices: str
    params: dict[str, Any]


class OfferKinds(msgspec.Struct, frozen=True):
    data: list[OfferKindView]


def _show_version(version: CampaignVersion) -> VersionView:
    return VersionView(
        version=version.version,
        terms=show_terms(version.terms),
        made_at=version.made_at,
        made_by=version.made_by,
        published_at=version.published_at,
        published_by=version.published_by,
        approval_id=None if version.approval_id is None else show_id(Prefix.APPROVAL, version.approval_id),
    )


def _show_at(now: datetime) -> Any:
    def show(campaign: KeptCampaign) -> CampaignView:
        return CampaignView(
            id=show_id(Prefix.CAMPAIGN, campaign.id),
            code=campaign.code,
            issuer_id=show_id(Prefix.ISSUER, campaign.issuer_id),
            time_zone=campaign.time_zone,
            status=campaign.status_at(now),
            created_at=campaign.created_at,
            ended_at=campaign.ended_at,
            newest=_show_version(campaign.newest),
            published=None if campaign.published is None else _show_version(campaign.published),
        )

    return show


def _show_policy(policy: StackingPolicy) -> PolicyView:
    return PolicyView(policy.max_discount_bp, policy.max_discount_fen, policy.max_offers, policy.max_day_fen)


async def _read_terms(request: ApiRequest) -> CampaignTerms:
    """The terms that a body tells of. Raises RefusedError."""
    body = await read_bytes(request)
    decode_body(body, CampaignFile)
    read = read_terms(msgspec.json.decode(body))
    if isinstance(read, list):
        raise RefusedError(refuse_file(read))
    return read


def _answer(request: ApiRequest, result: KeptCampaign | Refusal, *, status: int = 200) -> Response[bytes]:
    return answer(result, _show_at(app_of(request).clock.now()), status=status)


def _hand(request: ApiRequest) -> Hand:
    app = app_of(request)
    return Hand(app.clock, app.ids, actor_of(request))


def _four_eyes(request: ApiRequest, body: bytes, subject: str, approval_id: str | None) -> Approve | Refusal | None:
    payload = payload_of(body)
    return four_eyes(request, kind=ApprovalKind.CAMPAIGN, subject=subject, payload=payload, approval_id=approval_id)


class CampaignController(Controller):
    path = "/v1/campaigns"
    tags = ("campaigns",)

    @post(
        **operation(
            Scope.CAMPAIGNS_WRITE,
            body=CampaignFile,
            answer=CampaignView,
            status=201,
            refusals=[*_FILE, ALREADY_EXISTS],
        )
    )
    async def create_campaign(self, request: ApiRequest) -> Response[bytes]:
        """Write a campaign: a draft, which gives nothing until it is published."""
        terms, book_id = await _read_terms(request), request.user.book_id
        app = app_of(request)
        rules = app.policy.rules(book_id, terms.issuer_id)
        made = await promotions.create_campaign(app.pool, _hand(request), book_id=book_id, terms=terms, rules=rules)
        return _answer(request, made, status=201)

    @post("/check", **operation(Scope.CAMPAIGNS_READ, body=CampaignFile, answer=CampaignCheck))
    async def check_campaign(self, request: ApiRequest) -> Response[bytes]:
        """Check a campaign as a whole, law and house rules too; nothing is stored."""
        body = await read_bytes(request)
        decode_body(body, CampaignFile)
        read = read_terms(msgspec.json.decode(body))
        faults = read if isinstance(read, list) else await self._broken(request, read)
        return Response(
            msgspec.json.encode(CampaignCheck([problem_of(f) for f in faults])), media_type="application/json"
        )

    async def _broken(self, request: ApiRequest, terms: CampaignTerms) -> list[Refusal]:
        app, book_id = app_of(request), request.user.book_id
        rules = app.policy.rules(book_id, terms.issuer_id)
        return await promotions.find_broken_rules(app.pool, book_id=book_id, terms=terms, rules=rules)

    @get(**operation(Scope.CAMPAIGNS_READ, query=CampaignQuery, answer=Page[CampaignView]))
    async def list_campaigns(self, request: ApiRequest) -> Response[bytes]:
        """List campaigns, the newest first."""
        query, app = read_query(request, CampaignQuery), app_of(request)
        search = CampaignSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            code=query.code,
            issuer_id=None if query.issuer_id is None else uuid_of(query.issuer_id),
        )
        page = await promotions.list_campaigns(app.pool, book_id=request.user.book_id, search=search)
        return answer_page(page, _show_at(app.clock.now()))

    @get("/{id:str}", **operation(Scope.CAMPAIGNS_READ, path={"id": CampaignId}, answer=CampaignView))
    async def get_campaign(self, request: ApiRequest) -> Response[bytes]:
        """Get a campaign."""
        id_ = uuid_of(read_path(request, CampaignId))
        found = await promotions.get_campaign(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return _answer(request, found)

    @get("/{id:str}/versions", **operation(Scope.CAMPAIGNS_READ, path={"id": CampaignId}, answer=CampaignVersions))
    async def list_campaign_versions(self, request: ApiRequest) -> Response[bytes]:
        """Every version of a campaign, the newest first: what was bought under one keeps it."""
        id_ = uuid_of(read_path(request, CampaignId))
        found = await promotions.list_versions(app_of(request).pool, book_id=request.user.book_id, id_=id_)
        return answer(found, lambda versions: CampaignVersions([_show_version(one) for one in versions]))

    @put(
        "/{id:str}",
        **operation(
            Scope.CAMPAIGNS_WRITE,
            path={"id": CampaignId},
            body=CampaignFile,
            answer=CampaignView,
            refusals=[*_FILE, refused.CAMPAIGN_NOT_IN_STATE],
        ),
    )
    async def change_campaign(self, request: ApiRequest) -> Response[bytes]:
        """Write another version, a draft; what is in force stays so until it is published."""
        id_, terms = uuid_of(read_path(request, CampaignId)), await _read_terms(request)
        app, book_id = app_of(request), request.user.book_id
        rules = app.policy.rules(book_id, terms.issuer_id)
        changed = await promotions.change_campaign(
            app.pool, _hand(request), book_id=book_id, id_=id_, terms=terms, rules=rules
        )
        return _answer(request, changed)

    @post(
        "/{id:str}/publish",
        **operation(
            Scope.CAMPAIGNS_WRITE,
            path={"id": CampaignId},
            body=Publication,
            answer=CampaignView,
            refusals=[
                refused.CAMPAIGN_CHANGED,
                refused.CAMPAIGN_NOT_IN_STATE,
                refused.CAMPAIGN_BREAKS_RULE,
                refused.CAMPAIGN_FILE_WRONG,
                *APPROVED,
            ],
        ),
    )
    async def publish_campaign(self, request: ApiRequest) -> Response[bytes]:
        """Put the newest version in force, for what is bought from now on and within its time."""
        shown, body = read_path(request, CampaignId), await read_bytes(request)
        asked = decode_body(body, Publication)
        approve = _four_eyes(request, body, shown, asked.approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        app, book_id, id_ = app_of(request), request.user.book_id, uuid_of(shown)
        found = await promotions.get_campaign(app.pool, book_id=book_id, id_=id_)
        if isinstance(found, Refusal):
            return problem_response(found)
        published = await promotions.publish_campaign(
            app.pool,
            _hand(request),
            book_id=book_id,
            id_=id_,
            version=asked.version,
            rules=app.policy.rules(book_id, found.issuer_id),
            approve=approve,
            approval_id=None if asked.approval_id is None else uuid_of(asked.approval_id),
        )
        return _answer(request, published)

    @post(
        "/{id:str}/end",
        **operation(
            Scope.CAMPAIGNS_WRITE,
            path={"id": CampaignId},
            query=ApprovalQuery,
            answer=CampaignView,
            refusals=[refused.CAMPAIGN_NOT_IN_STATE, *APPROVED],
        ),
    )
    async def end_campaign(self, request: ApiRequest) -> Response[bytes]:
        """End a campaign before its time, or discard a draft. What it granted is still good."""
        shown, app = read_path(request, CampaignId), app_of(request)
        approve = _four_eyes(request, b"{}", shown, read_query(request, ApprovalQuery).approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        ended = await promotions.end_campaign(
            app.pool, _hand(request), book_id=request.user.book_id, id_=uuid_of(shown), approve=approve
        )
        return _answer(request, ended)


class StackingPolicyController(Controller):
    path = "/v1/stacking-policy"
    tags = ("campaigns",)

    @get(**operation(Scope.CAMPAIGNS_READ, answer=PolicyView))
    async def get_policy(self, request: ApiRequest) -> Response[bytes]:
        """What binds all campaigns together in one basket."""
        found = await promotions.get_policy(app_of(request).pool, book_id=request.user.book_id)
        return answer(found, _show_policy)

    @put(**operation(Scope.CAMPAIGNS_WRITE, body=PolicyTerms, answer=PolicyView, refusals=APPROVED))
    async def change_policy(self, request: ApiRequest) -> Response[bytes]:
        """Bind all campaigns otherwise, for what is bought from now on. The subject of an
        operator's approval is the campaign of 32 zeros."""
        body = await read_bytes(request)
        asked = decode_body(body, PolicyTerms)
        approve = _four_eyes(request, body, _EVERY_CAMPAIGN, asked.approval_id)
        if isinstance(approve, Refusal):
            return problem_response(approve)
        changed = await promotions.change_policy(
            app_of(request).pool,
            _hand(request),
            book_id=request.user.book_id,
            policy=StackingPolicy(
                max_discount_bp=asked.max_discount_bp,
                max_discount_fen=asked.max_discount_fen,
                max_offers=asked.max_offers,
                max_day_fen=asked.max_day_fen,
            ),
            approve=approve,
            approval_id=None if asked.approval_id is None else uuid_of(asked.approval_id),
        )
        return answer(changed, _show_policy)


class OfferKindController(Controller):
    path = "/v1/offer-kinds"
    tags = ("campaigns",)

    @get(**operation(Scope.CAMPAIGNS_READ, answer=OfferKinds))
    async def list_kinds(self, request: ApiRequest) -> Response[bytes]:
        """Every kind of offer with the form of its parameters."""
        kinds = [
            OfferKindView(
                kind.name,
                kind.en,
                kind.zh,
                "purchase" if isinstance(kind, PurchaseKind) else "load",
                msgspec.json.schema(kind.params),
            )
            for _, kind in sorted(find_kinds().items())
        ]
        return Response(msgspec.json.encode(OfferKinds(kinds)), media_type="application/json")


CAMPAIGN_CONTROLLERS = [CampaignController, StackingPolicyController, OfferKindController]
