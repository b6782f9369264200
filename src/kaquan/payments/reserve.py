"""Limits that cards of several slots share, such as those of a person: reserve, post, settle (ADR 0016).

A counter of such a limit lives in one slot, by its key. A payment first counts there, then is posted in its card's
slot, and then is settled: what was posted stays counted, the rest is given back. A refund that gives uses of a budget
back says so there first, and is settled the other way round. Whatever dies in between has counted too much and never
too little; :func:`settle_left` ends what it left, after it has made sure that the payment cannot be posted any more. An
installation of one slot does none of this: there the posting call counts.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import slot_of
from kaquan.payments import store
from kaquan.payments.limits import Use, Uses
from kaquan.payments.store import APPLIED
from kaquan.payments.types import Plan

PATIENCE = timedelta(seconds=30)
"""A reservation that is older has been left by whoever made it."""

CHUNK = 500

Held = dict[int, set[UUID]]
"""The transactions that have reservations, by the slot of the counters."""


class Reserved(NamedTuple):
    """One status for each decision, and what is held now. What has another status than APPLIED holds nothing."""

    statuses: list[int]
    held: Held
    back: Held
    """Those that will give something back."""

    @property
    def ids(self) -> list[UUID]:
        """Every transaction that holds something or gives something back."""
        return sorted(set().union(*self.held.values(), *self.back.values()))


def own_part(decision: Plan | Refusal) -> Plan | Refusal:
    """A decision with those of its uses that the posting call counts or gives back: the card's."""
    if isinstance(decision, Refusal):
        return decision
    if decision.gives_back:
        decision = decision._replace(gives_back=tuple(use for use in decision.gives_back if not use.is_shared))
    if decision.uses is None:
        return decision
    own = Uses(
        [use for use in decision.uses.calendar if not use.is_shared],
        [use for use in decision.uses.trails if not use.is_shared],
    )
    return decision._replace(uses=own)


def shared_parts(uses: Uses, slots: Sequence[int]) -> dict[int, Uses]:
    """The uses that cards of several slots share, by the slot of their counters."""
    parts: dict[int, Uses] = {}
    for use in uses.calendar:
        if use.is_shared:
            parts.setdefault(slot_of(use.key, slots), Uses([], [])).calendar.append(use)
    for trail in uses.trails:
        if trail.is_shared:
            parts.setdefault(slot_of(trail.key, slots), Uses([], [])).trails.append(trail)
    return parts


async def reserve(
    connection: Connection, decisions: Sequence[Plan | Refusal], *, slot: int, slots: Sequence[int], clock: Clock
) -> Reserved:
    """Count what these payments of ``slot`` use of limits that cards of several slots share, all of each or nothing."""
    by_home: dict[int, list[tuple[int, UUID, Uses]]] = {}
    for n, decision in enumerate(decisions):
        if isinstance(decision, Plan) and decision.uses is not None:
            for home, uses in shared_parts(decision.uses, slots).items():
                by_home.setdefault(home, []).append((n, decision.posting.transaction_id, uses))
    statuses = [APPLIED] * len(decisions)
    held: Held = {}
    for home, asked in sorted(by_home.items()):
        asked = [entry for entry in asked if statuses[entry[0]] == APPLIED]
        told = await store.reserve_uses(
            connection, slot=home, paid_in=slot, at=clock.now(), asked=[(id_, uses) for _, id_, uses in asked]
        )
        for (n, id_, _), status in zip(asked, told, strict=True):
            if status == APPLIED:
                held.setdefault(home, set()).add(id_)
            else:
                statuses[n] = status
    kept = {
        decision.posting.transaction_id
        for decision, status in zip(decisions, statuses, strict=True)
        if isinstance(decision, Plan) and status == APPLIED
    }
    for home, ids in held.items():
        if vain := ids - kept:
            await store.settle_uses(connection, slot=home, paid=(), unpaid=vain)
            ids -= vain
    back = await _reserve_back(connection, decisions, slot=slot, slots=slots, clock=clock)
    return Reserved(statuses, held, back)


async def _reserve_back(
    connection: Connection, decisions: Sequence[Plan | Refusal], *, slot: int, slots: Sequence[int], clock: Clock
) -> Held:
    """Say at the counters what these payments will give back."""
    by_home: dict[int, list[tuple[UUID, list[Use]]]] = {}
    for decision in decisions:
        if isinstance(decision, Plan) and decision.gives_back:
            for home, uses in shared_parts(Uses(list(decision.gives_back), []), slots).items():
                by_home.setdefault(home, []).append((decision.posting.transaction_id, uses.calendar))
    for home, asked in sorted(by_home.items()):
        await store.reserve_back(connection, slot=home, paid_in=slot, at=clock.now(), asked=asked)
    return {home: {id_ for id_, _ in asked} for home, asked in by_home.items()}


async def settle(connection: Connection, held: Held, back: Held, *, posted: Collection[UUID]) -> None:
    """End the reservations of payments of which it is known whether they were posted."""
    for home in sorted({*held, *back}):
        mine, returned = held.get(home, set()), back.get(home, set())
        # what gives back is not counted any more once it was posted
        paid = mine.intersection(posted) | returned.difference(posted)
        if mine or returned:
            await store.settle_uses(connection, slot=home, paid=paid, unpaid=(mine | returned) - paid)


async def settle_left(pool: Pool, clock: Clock, *, slots: Sequence[int]) -> int:
    """End reservations whose process died or lost its database; how many. For the worker, any number at once."""
    done = 0
    async with pool.connection() as connection:
        for home in slots if len(slots) > 1 else ():
            until = clock.now() - PATIENCE
            for id_, paid_in, gives_back in await store.load_old_reservations(
                connection, slot=home, until=until, limit=CHUNK
            ):
                unpaid = await store.give_up(connection, slot=paid_in, transaction_id=id_, at=clock.now())
                ended, stays = {id_}, unpaid is gives_back
                await store.settle_uses(
                    connection, slot=home, paid=ended if stays else (), unpaid=() if stays else ended
                )
                done += 1
    return done
