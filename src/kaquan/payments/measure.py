"""What a campaign did: holders with it held against its control group, by what their cards paid.

The holders are those who bought in a time as long before it began: who they are was settled before anything happened,
so that being among them is no work of the campaign. All of them are compared, whether they redeemed or not.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.payments import store
from kaquan.payments.history import History, check_size, params_of
from kaquan.promotions import (
    Bought,
    CampaignStatus,
    CampaignVersion,
    Effect,
    KeptCampaign,
    estimate_effect,
    is_in_control,
)
from kaquan.promotions.outcomes import CAMPAIGN_NOT_IN_STATE

MAX_PURCHASES = 500_000
"""How many purchases are read for one estimate, those before counted in."""
CHUNK = 5_000


class NoEffect(StrEnum):
    """Why nothing is estimated."""

    NO_CONTROL_GROUP = "no_control_group"
    CONTROL_GROUP_CHANGED = "control_group_changed"
    """Its versions had control groups of different sizes: some holders were in both groups."""
    TOO_FEW_HOLDERS = "too_few_holders"


class CampaignEffect(NamedTuple):
    """The estimate, or why there is none. ``treated`` and ``control`` are numbers of holders."""

    since: datetime
    until: datetime
    before: datetime
    """Since when purchases count as the holder's past; until ``since``."""
    control_bp: int
    treated: int
    control: int
    effect: Effect | None
    why: NoEffect | None


async def measure_effect(
    history: History,
    campaign: KeptCampaign,
    versions: list[CampaignVersion],
    *,
    now: datetime,
    maximum: int = MAX_PURCHASES,
) -> CampaignEffect | Refusal:
    """What a campaign did from ``history.since`` to ``history.until``, as far as it was in force and is past.

    Refused: ``campaign_not_in_state`` (never published), ``invalid_field`` (nothing of it was in that time),
    ``too_many_purchases``.
    """
    published = [version for version in versions if version.published_at is not None]
    if campaign.published is None or not published:
        allowed = f"{CampaignStatus.LIVE}, {CampaignStatus.ENDED}"
        return CAMPAIGN_NOT_IN_STATE.refuse(status=campaign.status_at(now).value, allowed=allowed)
    begin, end = _in_force(campaign, published)
    since, until = max(history.since, begin), min(history.until, end, now)
    if since >= until:
        return INVALID_FIELD.refuse(
            "from",
            allowed=f"must be in a time in which the campaign was in force, which is from {_show(begin)} to "
            f"{_show(min(end, now))}",
            allowed_zh=f"应在活动生效期间内：{_show(begin)} 至 {_show(min(end, now))}",
        )
    # The past ends where the campaign begins, also where the time that is asked for begins later.
    try:
        before = begin - (until - since)
    except OverflowError:
        return INVALID_FIELD.refuse("from", allowed="must be later", allowed_zh="应更晚")
    whole = history._replace(since=before, until=until)
    if (refused := await check_size(whole, maximum=maximum)) is not None:
        return refused
    control_bp = campaign.published.terms.control_bp
    bought = await _read_bought(whole, campaign, begin=begin, since=since)
    control = sum(one.is_control for one in bought)
    told = CampaignEffect(since, until, before, control_bp, len(bought) - control, control, None, None)
    if any(version.terms.control_bp != control_bp for version in published):
        return told._replace(why=NoEffect.CONTROL_GROUP_CHANGED)
    if not control_bp:
        return told._replace(why=NoEffect.NO_CONTROL_GROUP)
    effect = estimate_effect(bought)
    return told._replace(effect=effect, why=NoEffect.TOO_FEW_HOLDERS if effect is None else None)


def _show(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _in_force(campaign: KeptCampaign, published: list[CampaignVersion]) -> tuple[datetime, datetime]:
    """From when to when any version was: the end excluded."""
    zone = ZoneInfo(campaign.time_zone)
    begins = [
        max(version.published_at, version.terms.starts_at.replace(tzinfo=zone))
        for version in published
        if version.published_at is not None
    ]
    end = max(version.terms.ends_at.replace(tzinfo=zone) for version in published)
    return min(begins), end if campaign.ended_at is None else min(end, campaign.ended_at)


async def _read_bought(history: History, campaign: KeptCampaign, *, begin: datetime, since: datetime) -> list[Bought]:
    """What every holder bought who bought before ``begin``; nothing counts from there to ``since``."""
    before_fen: dict[UUID, int] = {}
    after_fen: dict[UUID, int] = {}
    params = dict(params_of(history)) | {"programme_ids": _programmes(campaign)}
    while True:
        async with history.pool.connection() as connection:
            rows = await store.load_paid(connection, params, slots=history.slots, limit=CHUNK)
        for _, holder_id, paid_fen, at in rows:
            if at < begin:
                before_fen[holder_id] = before_fen.get(holder_id, 0) + paid_fen
            elif at >= since:
                after_fen[holder_id] = after_fen.get(holder_id, 0) + paid_fen
        if len(rows) < CHUNK:
            break
        params["from_id"] = UUID(int=rows[-1][0].int + 1)
    assert campaign.published is not None
    bp = campaign.published.terms.control_bp
    return [
        Bought(is_in_control(campaign.id, bp, holder_id), after_fen.get(holder_id, 0), fen)
        for holder_id, fen in before_fen.items()
    ]


def _programmes(campaign: KeptCampaign) -> list[UUID] | None:
    """The programmes whose cards the campaign is for; None: all."""
    assert campaign.published is not None
    asked = [offer.conditions.programme_ids for offer in campaign.published.terms.offers]
    return sorted({id_ for ids in asked for id_ in ids}) if all(asked) else None
