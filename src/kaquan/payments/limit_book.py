"""How limits are made and ended, and every book's in memory, compiled, so that a payment asks the database for none."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec

from kaquan import cards
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Rollback
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.ledger import slot_of
from kaquan.parties import Place, load_book_versions
from kaquan.parties.staff import Approve
from kaquan.parties.trail import SYSTEM, Actor, record_action
from kaquan.payments import store
from kaquan.payments.limits import (
    NO_LIMITS,
    Holder,
    Hours,
    Limit,
    LimitScope,
    LimitSet,
    Metric,
    Movement,
    Period,
    Standing,
    Subjects,
    compile_limits,
    moment_of,
    standings,
    uses_of,
)
from kaquan.payments.outcomes import LIMIT_ENDED
from kaquan.payments.places import PlaceRule, PlaceRuleKind

Rule = TypeVar("Rule", Limit, PlaceRule)

CompiledPlaces = dict[tuple[UUID, bool], tuple[PlaceRule, ...]]
Compiled = dict[tuple[UUID, Movement, bool], LimitSet]


class LimitBook:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, Compiled]] = {}
        self._places: dict[int, CompiledPlaces] = {}
        self._tracks_places = False

    async def refresh(self) -> None:
        """Read again the limits of every book whose version has moved; one small query when none has."""
        versions = await load_book_versions(self._pool)
        changed = {id_: version for id_, version in versions.items() if self.version(id_) != version}
        if not changed:
            return
        # The versions were read before the rows: they may be newer than those, and are then read again.
        place_rules: dict[int, list[PlaceRule]] = {book_id: [] for book_id in changed}
        limits: dict[int, list[Limit]] = {book_id: [] for book_id in changed}
        for rule in await store.load_place_rules_in_force(self._pool, list(changed)):
            place_rules[rule.book_id].append(rule)
        for limit in await store.load_limits_in_force(self._pool, list(changed)):
            limits[limit.book_id].append(limit)
        self._places.update({book_id: _compile_places(rules) for book_id, rules in place_rules.items()})
        self._tracks_places = any(
            rule.kind is PlaceRuleKind.TRAVEL
            for places in self._places.values()
            for rules in places.values()
            for rule in rules
        )
        self._books.update({book_id: (version, _compile(limits[book_id])) for book_id, version in changed.items()})

    def get(self, book_id: int, programme_id: UUID, movement: Movement, registered: bool) -> LimitSet:
        """The limits of a programme's registered cards, or of its others, as of the last refresh."""
        known = self._books.get(book_id)
        return NO_LIMITS if known is None else known[1].get((programme_id, movement, registered), NO_LIMITS)

    def get_place_rules(self, book_id: int, programme_id: UUID, registered: bool) -> tuple[PlaceRule, ...]:
        """The place rules of a programme's registered cards, or of its others, as of the last refresh."""
        known = self._places.get(book_id)
        return () if not known else known.get((programme_id, registered), ())

    def tracks_places(self) -> bool:
        """Whether any rule of any book wants to know where a card was last."""
        return self._tracks_places

    def version(self, book_id: int) -> int:
        """The version of the book whose limits are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]


def _compile(limits: list[Limit]) -> Compiled:
    by_programme: dict[UUID, list[Limit]] = {}
    for limit in limits:
        by_programme.setdefault(limit.programme_id, []).append(limit)
    compiled: Compiled = {}
    for programme_id, members in by_programme.items():
        for movement in Movement:
            for registered in (False, True):
                found = compile_limits(members, movement=movement, registered=registered)
                if not found.is_empty:
                    compiled[programme_id, movement, registered] = found
    return compiled


def _compile_places(rules: list[PlaceRule]) -> CompiledPlaces:
    compiled: CompiledPlaces = {}
    for rule in rules:
        for registered in (False, True):
            if rule.holder is Holder.ANY or (rule.holder is Holder.REGISTERED) is registered:
                key = (rule.programme_id, registered)
                compiled[key] = (*compiled.get(key, ()), rule)
    return compiled


class NewLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit to be made; see :class:`kaquan.payments.limits.Limit`."""

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


class LimitStatus(StrEnum):
    """Whether a limit holds."""

    IN_FORCE = "in_force"
    ENDED = "ended"


class LimitSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of limits is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    programme_id: UUID | None = None
    status: LimitStatus | None = None


async def create_limit(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    new: NewLimit,
    replaces_id: UUID | None = None,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> Limit | Refusal:
    """Make a limit, which holds for payments that begin after the answer, in every process. With ``replaces_id`` that
    limit ends at the same moment; what was used stays counted where scope, period and hours are the same.

    ``approve`` is asked in the transaction of the change. Refused: ``not_found`` (the programme, or the limit to
    replace), ``invalid_field``, ``limit_ended``, what ``approve`` refuses.
    """
    if (refusal := _check(new)) is not None:
        return refusal
    programme = await cards.get_programme(pool, book_id=book_id, programme_id=new.programme_id)
    if isinstance(programme, Refusal):
        return NOT_FOUND.refuse("programme_id", what="programme")
    if replaces_id is not None:
        replaced = await get_limit(pool, book_id=book_id, limit_id=replaces_id)
        if isinstance(replaced, Refusal):
            return replaced
        if replaced.programme_id != new.programme_id:
            return INVALID_FIELD.refuse(
                "programme_id",
                allowed="must be the programme of the limit that is replaced",
                allowed_zh="应与被替换限额的卡种相同",
            )
    limit = Limit(
        id=ids.new(),
        book_id=book_id,
        replaces_id=replaces_id,
        created_at=clock.now(),
        ended_at=None,
        **msgspec.structs.asdict(new),
    )

    async def write(connection: Connection) -> bool:
        return await store.insert_limit(connection, limit)

    change = _Change("limit.created" if replaces_id is None else "limit.replaced", Prefix.LIMIT, limit.id, _told(limit))
    refused = await _write(pool, clock, ids, change, write, book_id=book_id, by=by, approve=approve)
    if refused is _UNCHANGED:
        return LIMIT_ENDED.refuse()
    return limit if refused is None else refused


class _Change(NamedTuple):
    """What the trail tells."""

    kind: str
    prefix: Prefix
    subject_id: UUID
    after: dict[str, object] | None = None


_UNCHANGED = LIMIT_ENDED.refuse()
"""Nothing was there to change."""


def _told(made: "Limit | PlaceRule") -> dict[str, object]:
    return {name: value for name, value in msgspec.to_builtins(made).items() if value is not None}


async def _write(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    change: _Change,
    write: Callable[[Connection], Awaitable[bool]],
    *,
    book_id: int,
    by: Actor,
    approve: Approve | None,
) -> Refusal | None:
    """Approval, change and trail in one commit, or nothing; ``_UNCHANGED`` if there was nothing to change."""
    refused: Refusal | None = None
    async with pool.connection() as connection, connection.transaction():
        refused = None if approve is None else await approve(connection)
        if refused is None and not await write(connection):
            refused = _UNCHANGED
        if refused is None:
            await record_action(
                connection, clock, ids, book_id=book_id, by=by, kind=change.kind, prefix=change.prefix,
                subject_id=change.subject_id, after=change.after,
            )  # fmt: skip
        else:
            raise Rollback  # of the approval too, if it was claimed
    return refused


def _check(new: NewLimit) -> Refusal | None:
    if (new.trailing_s is not None) != (new.period is Period.TRAILING):
        return INVALID_FIELD.refuse(
            "trailing_s",
            allowed="is given for the period trailing, and for no other",
            allowed_zh="仅在 period 为 trailing 时提供，且必须提供",
        )
    if new.period is Period.TRANSACTION and new.metric is Metric.COUNT:
        return INVALID_FIELD.refuse(
            "metric",
            allowed="must be amount for the period transaction",
            allowed_zh="period 为 transaction 时应为 amount",
        )
    if (refusal := _check_hours(new.hours)) is not None:
        return refusal
    return None


class NewPlaceRule(msgspec.Struct, frozen=True, kw_only=True):
    """A place rule to be made; see :class:`kaquan.payments.places.PlaceRule`."""

    programme_id: UUID
    name: str
    kind: PlaceRuleKind
    holder: Holder
    latitude_udeg: int | None
    longitude_udeg: int | None
    radius_m: int | None
    max_speed_kmh: int | None
    grace_m: int | None
    hours: Hours | None


def _check_hours(hours: Hours | None) -> Refusal | None:
    if hours is not None and hours.from_minute == hours.to_minute:
        return INVALID_FIELD.refuse(
            "hours", allowed="must not end in the minute in which they begin", allowed_zh="开始与结束时间不得相同"
        )
    return None


async def create_place_rule(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    new: NewPlaceRule,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> PlaceRule | Refusal:
    """Make a place rule, which holds for spends that begin after the answer, in every process.

    Refused: ``not_found`` (the programme), ``invalid_field``, what ``approve`` refuses.
    """
    circle = {"latitude_udeg": new.latitude_udeg, "longitude_udeg": new.longitude_udeg, "radius_m": new.radius_m}
    travel = {"max_speed_kmh": new.max_speed_kmh, "grace_m": new.grace_m}
    wanted, unwanted = (travel, circle) if new.kind is PlaceRuleKind.TRAVEL else (circle, travel)
    for name in [name for name, value in wanted.items() if value is None]:
        return INVALID_FIELD.refuse(
            name, allowed=f"is required for the kind {new.kind}", allowed_zh=f"kind 为 {new.kind} 时必填"
        )
    for name in [name for name, value in unwanted.items() if value is not None]:
        return INVALID_FIELD.refuse(
            name, allowed=f"is not given for the kind {new.kind}", allowed_zh=f"kind 为 {new.kind} 时不得提供"
        )
    if (refusal := _check_hours(new.hours)) is not None:
        return refusal
    programme = await cards.get_programme(pool, book_id=book_id, programme_id=new.programme_id)
    if isinstance(programme, Refusal):
        return NOT_FOUND.refuse("programme_id", what="programme")
    rule = PlaceRule(
        id=ids.new(), book_id=book_id, created_at=clock.now(), ended_at=None, **msgspec.structs.asdict(new)
    )

    async def write(connection: Connection) -> bool:
        return await store.insert_place_rule(connection, rule)

    change = _Change("place_rule.created", Prefix.PLACE_RULE, rule.id, _told(rule))
    refused = await _write(pool, clock, ids, change, write, book_id=book_id, by=by, approve=approve)
    return rule if refused is None else refused


async def get_place_rule(pool: Pool, *, book_id: int, rule_id: UUID) -> PlaceRule | Refusal:
    """The place rule with this id, in force or ended. Refused: ``not_found``."""
    found = await store.load_place_rules(pool, _criteria(book_id, LimitSearch(limit=1), rule_id))
    return found[0] if found else NOT_FOUND.refuse("id", what="place rule")


async def list_place_rules(pool: Pool, *, book_id: int, search: LimitSearch) -> Page[PlaceRule]:
    """Place rules of a book, the newest first."""
    return _cut(await store.load_place_rules(pool, _criteria(book_id, search, None)), search)


async def end_place_rule(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    rule_id: UUID,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> PlaceRule | Refusal:
    """End a place rule; one that has ended is returned as it is. Refused: ``not_found``, what ``approve`` refuses."""

    async def write(connection: Connection) -> bool:
        return await store.end_place_rule(connection, book_id=book_id, rule_id=rule_id, at=clock.now())

    change = _Change("place_rule.ended", Prefix.PLACE_RULE, rule_id)
    refused = await _write(pool, clock, ids, change, write, book_id=book_id, by=by, approve=approve)
    if refused is not None and refused is not _UNCHANGED:
        return refused
    return await get_place_rule(pool, book_id=book_id, rule_id=rule_id)


async def get_limit(pool: Pool, *, book_id: int, limit_id: UUID) -> Limit | Refusal:
    """The limit with this id, in force or ended. Refused: ``not_found``."""
    found = await store.load_limits(pool, _criteria(book_id, LimitSearch(limit=1), limit_id))
    return found[0] if found else NOT_FOUND.refuse("id", what="limit")


async def list_limits(pool: Pool, *, book_id: int, search: LimitSearch) -> Page[Limit]:
    """Limits of a book, the newest first."""
    return _cut(await store.load_limits(pool, _criteria(book_id, search, None)), search)


def _cut(rows: Sequence[Rule], search: LimitSearch) -> Page[Rule]:
    has_more = len(rows) > search.limit
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if has_more else None)


def _criteria(book_id: int, search: LimitSearch, limit_id: UUID | None) -> dict[str, object]:
    return {
        "book_id": book_id,
        "id": limit_id,
        "programme_id": search.programme_id,
        "in_force": search.status is LimitStatus.IN_FORCE or None,
        "ended": search.status is LimitStatus.ENDED or None,
        "after_id": search.after_id,
        "created_after": search.created_after,
        "created_before": search.created_before,
        "limit": search.limit + 1,
    }


async def end_limit(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    limit_id: UUID,
    by: Actor = SYSTEM,
    approve: Approve | None = None,
) -> Limit | Refusal:
    """End a limit; one that has ended is returned as it is. Refused: ``not_found``, what ``approve`` refuses."""

    async def write(connection: Connection) -> bool:
        return await store.end_limit(connection, book_id=book_id, limit_id=limit_id, at=clock.now())

    change = _Change("limit.ended", Prefix.LIMIT, limit_id)
    refused = await _write(pool, clock, ids, change, write, book_id=book_id, by=by, approve=approve)
    if refused is not None and refused is not _UNCHANGED:
        return refused
    return await get_limit(pool, book_id=book_id, limit_id=limit_id)


async def list_standings(
    pool: Pool,
    book: LimitBook,
    programme: cards.Programme,
    *,
    slots: tuple[int, ...],
    card: cards.Card,
    place: Place | None,
    at: datetime,
) -> list[Standing]:
    """How a card stands with each limit that holds for it at this moment, spending first; with a place, also how its
    terminal, store and merchant stand."""
    subjects = Subjects(
        programme.id,
        programme.issuer_id,
        card.id,
        card.customer_id,
        None,
        place.terminal_id if place is not None else None,
        place.store_id if place is not None else None,
        place.merchant_id if place is not None else None,
    )
    moment = moment_of(at, programme.time_zone)
    registered = card.customer_id is not None
    found: list[Standing] = []
    async with pool.connection() as connection:
        for movement in (Movement.SPEND, Movement.LOAD):
            limits = book.get(card.book_id, programme.id, movement, registered)
            counted = uses_of(limits, subjects, amount_fen=0, moment=moment)
            assert not isinstance(counted, Refusal), "nothing is not too much"
            usage = await store.read_usage(connection, slot=slot_of(card.id, slots), slots=slots, uses=[counted])
            found += standings(limits, subjects, usage=usage, moment=moment)
    return found
