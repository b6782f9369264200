"""Change the terms of a programme: a new version, for cards that are issued from now on, by the eyes of two.

A card keeps the version that it was issued under, whatever becomes of its programme.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from kaquan.cards import store
from kaquan.cards.accept import find_outsiders
from kaquan.cards.change import MAX_PLANS
from kaquan.cards.create_programme import check_restricted_places, check_values, day_of, name_of
from kaquan.cards.law import check_law
from kaquan.cards.outcomes import invalid, missing
from kaquan.cards.types import (
    Activation,
    CardClass,
    OperatingMode,
    Pocket,
    Programme,
    ProgrammeTerms,
    Restriction,
    Search,
    TermsVersion,
)
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties import get_issuer
from kaquan.parties.staff import ApprovalKind, claim_approval
from kaquan.parties.trail import Actor, record_action
from kaquan.policy import RuleBook, released_book


class ProgrammeChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of the terms changes; UNSET leaves a term as it is, None takes it away. ``clauses`` and ``fees`` hold those
    that change by their names."""

    spend_order: tuple[Pocket, ...] | UnsetType = UNSET
    max_balance_fen: int | UnsetType | None = UNSET
    authorization_ttl_s: int | UnsetType = UNSET
    principal_valid_days: int | UnsetType | None = UNSET
    bonus_valid_days: int | UnsetType | None = UNSET
    pin_required_above_fen: int | UnsetType | None = UNSET
    pin_max_attempts: int | UnsetType = UNSET
    loss_effective_within_s: int | UnsetType = UNSET
    operating_mode: OperatingMode | UnsetType | None = UNSET
    card_class: CardClass | UnsetType | None = UNSET
    denominations_fen: tuple[int, ...] | UnsetType = UNSET
    custom_range_fen: tuple[int, int] | UnsetType | None = UNSET
    restricted_to: Restriction | UnsetType | None = UNSET
    clauses: Mapping[str, int | None] | UnsetType = UNSET
    fees: Mapping[str, int] | UnsetType = UNSET
    activation: Activation | UnsetType = UNSET


class Approved(msgspec.Struct, frozen=True):
    """By which approval a change is made, and the text of the change, which must be what was approved."""

    approval_id: UUID
    payload: Mapping[str, Any]


def plan_change(before: ProgrammeTerms, change: ProgrammeChange) -> ProgrammeTerms | Refusal:
    """The terms after a change. What was declared of the law stays declared. Refused: ``invalid_field``."""
    given = {name: value for name, value in asdict(change).items() if value is not UNSET}
    for field in ("operating_mode", "card_class"):
        if field in given and given[field] is None and getattr(before, field) is not None:
            return invalid(field, "may change but not be taken away", allowed_zh="可以变更，但不能取消")
    if "clauses" in given:
        given["clauses"] = replace(before.clauses, **given["clauses"])
    if "fees" in given:
        given["fees"] = replace(before.fees, **given["fees"])
    after = replace(before, **given)
    return check_values(after) or after


async def change_programme(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    programme_id: UUID,
    change: ProgrammeChange,
    approved: Approved,
    rules: RuleBook | None = None,
    by: Actor,
) -> Programme | Refusal:
    """Make a new version of a programme's terms, in force at once for cards that are issued from now on.

    Terms that stay as they are make no version and use no approval. ``rules`` are what binds the issuer (None: the law
    as it was released). Refused: ``not_found`` (id, approval_id, or a merchant or store of restricted_to),
    ``invalid_field``, ``terms_break_rule``, ``merchant_outside_scheme`` (operating_mode: a place that takes the cards
    now), ``approval_not_approved``, ``approval_for_something_else``, ``busy``; then nothing changed.
    """
    for _ in range(MAX_PLANS):
        found = await store.load_programmes(pool, book_id, Search(), programme_id)
        if not found:
            return missing("programme")
        (before,) = found
        after = plan_change(before.terms, change)
        if isinstance(after, Refusal):
            return after
        if after == before.terms:
            return before
        at = clock.now()
        changed = replace(before, **asdict(after), version=before.version + 1, effective_from=at)
        if (refused := await _check(pool, before, changed, rules or released_book())) is not None:
            return refused
        made = TermsVersion(programme_id, changed.version, book_id, after, at, name_of(by), approved.approval_id, at)
        deed = _Deed(clock, ids, before, changed, approved, by)
        if await store.post_together(pool, store.add_terms(made), deed.claim, deed.record):
            return changed
        if deed.refused is not None:
            return deed.refused
    return BUSY.refuse()


async def _check(pool: Pool, before: Programme, after: Programme, rules: RuleBook) -> Refusal | None:
    """What the law says to the new terms, and of the places where the cards are taken already."""
    assert after.effective_from is not None, "a change has its time"
    issuer = await get_issuer(pool, book_id=after.book_id, id_=after.issuer_id)
    assert not isinstance(issuer, Refusal), "issuers are never removed"
    on = day_of(after.effective_from, after.time_zone)
    refused = check_law(rules, issuer, after.terms, on=on)
    refused = refused or await check_restricted_places(pool, after.book_id, after.terms)
    if refused is not None or after.operating_mode is before.operating_mode:
        return refused
    merchants = {merchant_id for merchant_id, _ in after.accepts}
    outside = await find_outsiders(pool, after, merchants, after.accepted_trades, rules=rules, at=after.effective_from)
    return next((replace(refusal, field="operating_mode") for refusal in outside.values()), None)


class _Deed:
    """What the transaction of a change does besides writing the version."""

    def __init__(
        self, clock: Clock, ids: Ids, before: Programme, after: Programme, approved: Approved, by: Actor
    ) -> None:
        self._clock, self._ids, self._before, self._after = clock, ids, before, after
        self._approved, self._by = approved, by
        self.refused: Refusal | None = None

    async def claim(self, connection: Connection) -> bool:
        """Use the approval; given back if the transaction does not commit."""
        claimed = await claim_approval(
            connection,
            self._clock,
            self._ids,
            book_id=self._after.book_id,
            id_=self._approved.approval_id,
            kind=ApprovalKind.PROGRAMME_CHANGE,
            subject=show_id(Prefix.PROGRAMME, self._after.id),
            payload=self._approved.payload,
            by=self._by,
        )
        self.refused = claimed if isinstance(claimed, Refusal) else None
        return self.refused is None

    async def record(self, connection: Connection) -> bool:
        """Write down what changed."""
        was = msgspec.to_builtins(self._before.terms, str_keys=True)
        is_ = msgspec.to_builtins(self._after.terms, str_keys=True)
        changed = asdict(self._after.terms)
        names = [name for name, value in asdict(self._before.terms).items() if changed[name] != value]
        await record_action(
            connection,
            self._clock,
            self._ids,
            book_id=self._after.book_id,
            by=self._by,
            kind="programme.changed",
            prefix=Prefix.PROGRAMME,
            subject_id=self._after.id,
            before={"version": self._before.version, **{name: was[name] for name in names}},
            after={"version": self._after.version, **{name: is_[name] for name in names}},
        )
        return True
