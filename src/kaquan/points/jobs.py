"""What happens to points as time goes by: they mature and end, holders are told, tiers rise and fall. For the worker.

Each may be stopped at any moment and run again, also by two at once: what is posted is posted with its row and its
notice, once, and what moved meanwhile is looked at again the next time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Write, post_together
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.ledger import Posting
from kaquan.notices import Event, NewNotice, write_notices
from kaquan.points import store
from kaquan.points.events import POINTS_EXPIRED, POINTS_EXPIRING, POINTS_MATURED, POINTS_TIER_CHANGED
from kaquan.points.members import Programmes, member_id
from kaquan.points.plan import plan_expiry, plan_follow, plan_maturing
from kaquan.points.price import assess_tier, rank_of
from kaquan.points.types import Member, TierMetric

CHUNK = 500

LONGEST_REMINDER = timedelta(days=365)


async def mature_points(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Let points be spent that have waited long enough; of how many purchases."""
    done = 0
    programmes = Programmes(pool)
    for slot in slots:
        while due := await store.load_due(pool, slot=slot, now=clock.now(), limit=CHUNK):
            settled = 0
            for earning in due:
                (member,) = await store.load_members(pool, slot=slot, ids=[earning.member_id])
                terms = await programmes.version_of(member, earning.terms_version)
                zone = await programmes.zone_of(member)
                move, points = plan_maturing(terms.terms, earning, member, time_zone=zone)
                now = clock.now()
                posting = Posting(
                    ids.new_near(member.id), "points_maturing", now, move.legs, move.guards, move.lots,
                    related_id=earning.id,
                )  # fmt: skip
                writes = [
                    store.mark_matured(earning),
                    store.post(posting, book_id=member.book_id, slot=slot, at=now),
                ]
                if points:
                    writes.append(_notice(ids, member, POINTS_MATURED, now, points=points))
                settled += await post_together(pool, *writes)
            done += settled
            if not settled or len(due) < CHUNK:
                break
    return done


async def expire_points(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Take points that have ended; of how many members."""
    done = 0
    for slot in slots:
        after = UUID(int=0)
        while ended := await store.load_ended(pool, slot=slot, now=clock.now(), after=after, limit=CHUNK):
            for member in await store.load_members(pool, slot=slot, ids=ended):
                issuer = await store.load_issuer_accounts(
                    pool, book_id=member.book_id, slot=slot, issuer_id=member.issuer_id
                )
                now = clock.now()
                move, points = plan_expiry(member, issuer, now=now)
                if points:
                    posting = Posting(ids.new_near(member.id), "points_expiry", now, move.legs, move.guards, move.lots)
                    done += await post_together(
                        pool,
                        store.post(posting, book_id=member.book_id, slot=slot, at=now),
                        _notice(ids, member, POINTS_EXPIRED, now, points=points),
                    )
            after = ended[-1]
    return done


async def remind_of_points(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Tell holders once of each lot that ends soon, as their programme wants it; of how many lots."""
    done = 0
    for slot in slots:
        now = clock.now()
        while lots := await store.load_ending(pool, slot=slot, now=now, until=now + LONGEST_REMINDER, limit=CHUNK):
            ids_ = list({lot.member_id for lot in lots})
            members = {member.id: member for member in await store.load_members(pool, slot=slot, ids=ids_)}
            for lot in lots:
                notice = _notice(
                    ids, members[lot.member_id], POINTS_EXPIRING, now, points=lot.points, expires_at=lot.expires_at
                )
                done += await post_together(pool, store.mark_reminded(lot), notice)
            if len(lots) < CHUNK:
                break
    return done


async def follow_replacements(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Move what replaced cards have to the cards that have their place, in the slot of both; of how many cards."""
    done = 0
    for slot in slots:
        after = UUID(int=0)
        while left := await store.load_left_behind(pool, slot=slot, after=after, limit=CHUNK):
            for id_, successor_id in left:
                (member,) = await store.load_members(pool, slot=slot, ids=[id_])
                successor = await _successor_of(pool, clock, member, successor_id)
                first_lot = await store.load_first_lot(pool, slot=slot, account_id=successor.points.id)
                move, now = plan_follow(member, successor, first_lot=first_lot), clock.now()
                posting = Posting(ids.new_near(member.id), "points_transfer", now, move.legs, move.guards, move.lots)
                if move.legs:
                    done += await post_together(pool, store.post(posting, book_id=member.book_id, slot=slot, at=now))
            after = left[-1][0]
    return done


async def _successor_of(pool: Pool, clock: Clock, member: Member, card_id: UUID) -> Member:
    id_ = member_id(card_id)
    async with pool.connection() as connection, connection.transaction():
        await store.open_members(
            connection, book_id=member.book_id, slot=member.slot, at=clock.now(),
            cards=[(id_, card_id, member.programme_id, member.issuer_id)],
        )  # fmt: skip
    (found,) = await store.load_members(pool, slot=member.slot, ids=[id_])
    return found


async def renew_tiers(pool: Pool, clock: Clock, ids: Ids, *, slots: Sequence[int]) -> int:
    """Put members into the tier that they have reached; of how many it changed.

    A higher one counts at once; a lower one when the time is over for which the present one stays at the least.
    """
    changed = 0
    programmes = Programmes(pool)
    for slot in slots:
        after = UUID(int=0)
        while ids_ := await store.load_some_members(pool, slot=slot, after=after, limit=CHUNK):
            for member in await store.load_members(pool, slot=slot, ids=ids_):
                changed += await _assess(pool, clock, ids, programmes, member)
            after = ids_[-1]
    return changed


async def _assess(pool: Pool, clock: Clock, ids: Ids, programmes: Programmes, member: Member) -> bool:
    now = clock.now()
    version = await programmes.terms_of(member, at=now)
    if version is None or not version.terms.tiers:
        return False
    terms = version.terms
    since = now - timedelta(days=terms.tier_window_days)
    points, fen = (await store.load_reached(pool, slot=member.slot, ids=[member.id], since=since)).get(
        member.id, (0, 0)
    )
    tier = assess_tier(terms, points if terms.tier_metric is TierMetric.POINTS else fen)
    was, is_ = rank_of(terms, member.tier), rank_of(terms, tier)
    if is_ == was or (is_ < was and member.tier_until is not None and now < member.tier_until):
        return False
    until = None if tier is None else now + timedelta(days=terms.tier_keep_days)
    return await post_together(
        pool,
        store.change_tier(member, tier=tier, until=until),
        _notice(ids, member, POINTS_TIER_CHANGED, now, tier=tier or "-"),
    )


def _notice(ids: Ids, member: Member, event: Event, at: datetime, **data: Any) -> Write:
    notice = NewNotice(
        member.slot, ids.new_near(member.id), member.book_id, event, member.card_id,
        {"card_id": show_id(Prefix.CARD, member.card_id), **data},
    )  # fmt: skip

    async def write(connection: Connection) -> bool:
        await write_notices(connection, [notice], at=at)
        return True

    return write
