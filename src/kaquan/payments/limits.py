"""Limits: what the cards of a programme may spend or load, for each card, person, terminal … and in each period.

A decision names the *uses* of a payment: whose limits it counts in, and the most that these allow. The database counts
them under its lock, in the posting call, so they hold under any concurrency; nothing is read before. Only when it finds
one broken is the usage read, and the payment planned again knowing it: that gives the refusal its figures.

What counts: purchases and authorizations when they are made, with their whole amount, and loads with what is paid.
Voids and refunds give nothing back. A calendar period is one of the issuer's zone. What happened before the period that
a subject has arrived in counts in that one. A trailing window is counted in sixteenths and never less than whole.

Rows R10, X5 and J1 of the requirements; features 17 and 18 of ``anchors/features.md``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from kaquan.kit.ids import uuid_from
from kaquan.kit.outcomes import Refusal
from kaquan.payments.outcomes import LIMIT_EXCEEDED

STEPS = 16
"""Into how many a trailing window is divided."""

MINUTES_A_DAY = 24 * 60


class Movement(StrEnum):
    """What is limited."""

    SPEND = "spend"
    LOAD = "load"


class LimitScope(StrEnum):
    """Whose payments are counted together."""

    CARD = "card"
    PERSON = "person"
    """All cards that are registered to one person, in all programmes of the issuer."""
    DEVICE = "device"
    TERMINAL = "terminal"
    STORE = "store"
    MERCHANT = "merchant"
    PROGRAMME = "programme"


class Holder(StrEnum):
    """Which cards a limit is for."""

    ANY = "any"
    REGISTERED = "registered"
    UNREGISTERED = "unregistered"


class Metric(StrEnum):
    """What is counted."""

    AMOUNT = "amount"
    COUNT = "count"


class Period(StrEnum):
    """Over what it is counted."""

    TRANSACTION = "transaction"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    TRAILING = "trailing"


class Hours(NamedTuple):
    """A part of each day, in minutes since midnight; past midnight when it ends before it begins."""

    from_minute: int
    to_minute: int

    def holds_at(self, minute: int) -> bool:
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class Limit(msgspec.Struct, frozen=True):
    """One limit of a programme. ``maximum`` is in minor units for an amount, else a number of payments.

    It is never changed: it ends (``ended_at``), and perhaps another ``replaces_id`` it.
    """

    id: UUID
    book_id: int
    programme_id: UUID
    name: str
    movement: Movement
    scope: LimitScope
    holder: Holder
    metric: Metric
    period: Period
    trailing_s: int | None
    maximum: int
    hours: Hours | None
    replaces_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


class Maxima(NamedTuple):
    """The most that there may be of a subject's calendar periods; None: no limit."""

    day_fen: int | None = None
    day_count: int | None = None
    month_fen: int | None = None
    month_count: int | None = None
    year_fen: int | None = None
    year_count: int | None = None


AMOUNT_ALONE = Maxima(year_count=-1)
"""Of a use that is given back: the amount comes back, the payment still counts."""


class Use(NamedTuple):
    """A payment counts in the calendar periods of one subject."""

    key: UUID
    amount_fen: int
    day: int
    month: int
    year: int
    maxima: Maxima
    is_shared: bool = False
    """Whether cards of other slots count in it too: it is not the card's own."""


class TrailUse(NamedTuple):
    """A payment counts in one trailing window of one subject. ``step`` is the number of its sixteenth since 1970."""

    key: UUID
    amount_fen: int
    step: int
    max_fen: int | None
    max_count: int | None
    is_shared: bool = False
    """As of :class:`Use`."""


class Uses(NamedTuple):
    """Everything that a payment counts in."""

    calendar: list[Use]
    trails: list[TrailUse]


class Usage(NamedTuple):
    """What was used in the calendar periods of a subject, as read: each period with its amount and count."""

    day: int
    day_fen: int
    day_count: int
    month: int
    month_fen: int
    month_count: int
    year: int
    year_fen: int
    year_count: int


class Trail(NamedTuple):
    """What was used in a trailing window, step by step, the last one under way."""

    step: int
    fen: list[int]
    uses: list[int]


class UsageFacts(NamedTuple):
    """What was used, by key; a subject that is not here has used nothing."""

    calendar: Mapping[UUID, Usage]
    trails: Mapping[UUID, Trail]


class Subjects(NamedTuple):
    """Whose limits a payment could count in; None where it has none such."""

    programme_id: UUID
    issuer_id: UUID
    card_id: UUID
    person_id: UUID | None
    device_id: UUID | None
    terminal_id: UUID | None
    store_id: UUID | None
    merchant_id: UUID | None

    def of(self, scope: LimitScope) -> UUID | None:
        """The id that is counted in this scope."""
        found: UUID | None = self[_SUBJECT[scope]]
        return found


_SUBJECT = {
    LimitScope.PROGRAMME: 0,
    LimitScope.CARD: 2,
    LimitScope.PERSON: 3,
    LimitScope.DEVICE: 4,
    LimitScope.TERMINAL: 5,
    LimitScope.STORE: 6,
    LimitScope.MERCHANT: 7,
}

_EVERY_PERSON = frozenset({Holder.ANY, Holder.REGISTERED})
_NO_PERSON = frozenset({Holder.ANY, Holder.UNREGISTERED})


class _Group(NamedTuple):
    """The limits of one scope and one part of the day: they are counted in one row."""

    scope: LimitScope
    hours: Hours | None
    limits: tuple[Limit, ...]
    maxima: Maxima
    key_parts: str


class _Trailing(NamedTuple):
    limit: Limit
    key_parts: str


class LimitSet(NamedTuple):
    """The limits of a programme for one movement and one kind of holder, ready to be asked."""

    transaction: tuple[Limit, ...]
    groups: tuple[_Group, ...]
    trailing: tuple[_Trailing, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.transaction or self.groups or self.trailing)


NO_LIMITS = LimitSet((), (), ())


def compile_limits(limits: Iterable[Limit], *, movement: Movement, registered: bool) -> LimitSet:
    """Those of ``limits`` (of one programme) for this movement and kind of holder, grouped as they are counted.

    Of several limits on the same thing the least is the limit.
    """
    holders = _EVERY_PERSON if registered else _NO_PERSON
    ours = [limit for limit in limits if limit.movement is movement and limit.holder in holders]
    groups: dict[tuple[LimitScope, Hours | None], list[Limit]] = {}
    for limit in ours:
        if limit.period in _CALENDAR:
            groups.setdefault((limit.scope, limit.hours), []).append(limit)
    return LimitSet(
        tuple(limit for limit in ours if limit.period is Period.TRANSACTION),
        tuple(
            _Group(scope, hours, tuple(members), _maxima(members), _parts(movement, scope, hours, None))
            for (scope, hours), members in groups.items()
        ),
        tuple(
            _Trailing(limit, _parts(movement, limit.scope, limit.hours, limit.trailing_s))
            for limit in ours
            if limit.period is Period.TRAILING
        ),
    )


_CALENDAR = (Period.DAY, Period.MONTH, Period.YEAR)


def _maxima(limits: Iterable[Limit]) -> Maxima:
    least: dict[str, int] = {}
    for limit in limits:
        name = _field(limit)
        least[name] = min(limit.maximum, least.get(name, limit.maximum))
    return Maxima(**least)


def _field(limit: Limit) -> str:
    return f"{limit.period}_{'fen' if limit.metric is Metric.AMOUNT else 'count'}"


def _parts(movement: Movement, scope: LimitScope, hours: Hours | None, trailing_s: int | None) -> str:
    day = "" if hours is None else f"{hours.from_minute}-{hours.to_minute}"
    return f"{movement}/{scope}/{day}/{'' if trailing_s is None else trailing_s}"


@lru_cache(maxsize=65_536)
def usage_key(owner_id: UUID, subject_id: UUID, parts: str) -> UUID:
    """Whose usage it is: the first half of SHA-256 over the programme (for a person: the issuer), the subject's id and
    ``<movement>/<scope>/<hours>/<trailing seconds>``."""
    return uuid_from(int.from_bytes(sha256(owner_id.bytes + subject_id.bytes + parts.encode()).digest()[:16], "big"))


class Moment(NamedTuple):
    """A time as limits look at it, in the issuer's zone."""

    minute: int
    day: int
    month: int
    year: int
    epoch_s: int


def moment_of(at: datetime, time_zone: str) -> Moment:
    """``at`` as limits look at it."""
    local = at.astimezone(_zone(time_zone))
    month = local.year * 100 + local.month
    return Moment(local.hour * 60 + local.minute, month * 100 + local.day, month, local.year, int(at.timestamp()))


_zone = lru_cache(maxsize=256)(ZoneInfo)


def uses_of(limits: LimitSet, subjects: Subjects, *, amount_fen: int, moment: Moment) -> Uses | Refusal:
    """What a payment of this amount counts in at this moment.

    Refused with ``limit_exceeded`` when it is more than one payment may be.
    """
    for limit in limits.transaction:
        if _now(limit, moment) and amount_fen > limit.maximum:
            return _refuse(limit, used=0)
    calendar = []
    for scope, hours, _, maxima, parts in limits.groups:
        subject_id = subjects.of(scope)
        if subject_id is None or (hours is not None and not hours.holds_at(moment.minute)):
            continue
        key = usage_key(_owner(scope, subjects), subject_id, parts)
        is_shared = scope is not LimitScope.CARD
        calendar.append(Use(key, amount_fen, moment.day, moment.month, moment.year, maxima, is_shared))
    trails = []
    for limit, parts in limits.trailing:
        subject_id = subjects.of(limit.scope)
        if subject_id is None or (limit.hours is not None and not limit.hours.holds_at(moment.minute)):
            continue
        key = usage_key(_owner(limit.scope, subjects), subject_id, parts)
        by_amount = limit.metric is Metric.AMOUNT
        trails.append(
            TrailUse(
                key,
                amount_fen,
                step_of(limit, moment),
                limit.maximum if by_amount else None,
                None if by_amount else limit.maximum,
                limit.scope is not LimitScope.CARD,
            )
        )
    return Uses(calendar, trails)


def _owner(scope: LimitScope, subjects: Subjects) -> UUID:
    return subjects.issuer_id if scope is LimitScope.PERSON else subjects.programme_id


def step_of(limit: Limit, moment: Moment) -> int:
    """The number of the sixteenth of this trailing window that a moment is in, counted from 1970."""
    assert limit.trailing_s is not None, "only a trailing limit has steps"
    return moment.epoch_s * STEPS // limit.trailing_s


class Standing(NamedTuple):
    """How a subject stands with one limit."""

    limit: Limit
    used: int

    @property
    def left(self) -> int:
        return max(0, self.limit.maximum - self.used)


def standings(limits: LimitSet, subjects: Subjects, *, usage: UsageFacts, moment: Moment) -> list[Standing]:
    """How the subjects of a payment stand with each of its limits at this moment; transaction limits have used nothing.

    Limits of other hours are left out.
    """
    found = [Standing(limit, 0) for limit in limits.transaction if _now(limit, moment)]
    for scope, hours, members, _, parts in limits.groups:
        subject_id = subjects.of(scope)
        if subject_id is None or (hours is not None and not hours.holds_at(moment.minute)):
            continue
        used = usage.calendar.get(usage_key(_owner(scope, subjects), subject_id, parts))
        found += [Standing(limit, _used(limit, used, moment)) for limit in members]
    for limit, parts in limits.trailing:
        subject_id = subjects.of(limit.scope)
        if subject_id is None or not _now(limit, moment):
            continue
        trail = usage.trails.get(usage_key(_owner(limit.scope, subjects), subject_id, parts))
        found.append(Standing(limit, 0 if trail is None else _trailed(limit, trail, moment)))
    return found


def _now(limit: Limit, moment: Moment) -> bool:
    return limit.hours is None or limit.hours.holds_at(moment.minute)


def _used(limit: Limit, usage: Usage | None, moment: Moment) -> int:
    if usage is None:
        return 0
    period, fen, count, now = {
        Period.DAY: (usage.day, usage.day_fen, usage.day_count, moment.day),
        Period.MONTH: (usage.month, usage.month_fen, usage.month_count, moment.month),
        Period.YEAR: (usage.year, usage.year_fen, usage.year_count, moment.year),
    }[limit.period]
    if period < now:
        return 0
    return fen if limit.metric is Metric.AMOUNT else count


def _trailed(limit: Limit, trail: Trail, moment: Moment) -> int:
    ring = trail.fen if limit.metric is Metric.AMOUNT else trail.uses
    return sum(ring[max(0, step_of(limit, moment) - trail.step) :])


def judge(
    limits: LimitSet, subjects: Subjects, *, amount_fen: int, moment: Moment, usage: UsageFacts
) -> Refusal | None:
    """Refused with ``limit_exceeded`` if this payment would go through a limit, given what was used. The first limit in
    the order in which they were made is named."""
    broken = [
        standing
        for standing in standings(limits, subjects, usage=usage, moment=moment)
        if standing.limit.period is not Period.TRANSACTION
        and standing.used + (amount_fen if standing.limit.metric is Metric.AMOUNT else 1) > standing.limit.maximum
    ]
    if not broken:
        return None
    first = min(broken, key=lambda standing: standing.limit.id.int)
    return _refuse(first.limit, used=first.used)


_SCOPE_ZH = {
    LimitScope.CARD: "单卡",
    LimitScope.PERSON: "同一持卡人",
    LimitScope.DEVICE: "同一设备",
    LimitScope.TERMINAL: "同一终端",
    LimitScope.STORE: "同一门店",
    LimitScope.MERCHANT: "同一商户",
    LimitScope.PROGRAMME: "整个卡种",
}
_PERIOD_ZH = {Period.TRANSACTION: "单笔", Period.DAY: "每日", Period.MONTH: "每月", Period.YEAR: "每年"}


def _refuse(limit: Limit, *, used: int) -> Refusal:
    return LIMIT_EXCEEDED.refuse(
        "amount_fen" if limit.metric is Metric.AMOUNT else "card_id",
        limit=limit.name,
        scope=limit.scope.value,
        scope_zh=_SCOPE_ZH[limit.scope],
        period=limit.period.value if limit.trailing_s is None else f"{limit.trailing_s} s",
        period_zh=_PERIOD_ZH[limit.period] if limit.trailing_s is None else f"{limit.trailing_s} 秒内",
        maximum=limit.maximum,
        left=max(0, limit.maximum - used),
    )
