"""What moves points beside purchases: adjustments by two, exchanges with partners, benefits. Each once for a key."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.cards import Hand, get_card
from kaquan.kit.db import Connection, Pool, Write
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.ledger import Answer, Effect, Leg, Posting, RequestKey, slot_of
from kaquan.parties.customers import get_birthday
from kaquan.parties.staff import Approve
from kaquan.parties.trail import Actor, record_action
from kaquan.points import store
from kaquan.points.members import check_active, find_member, member_id
from kaquan.points.outcomes import (
    BENEFIT_GONE,
    BENEFIT_NOT_FOR_MEMBER,
    EXCHANGE_CLOSED,
    EXCHANGE_KNOWN,
    EXCHANGE_NOT_WHOLE,
    missing,
)
from kaquan.points.plan import NO_MOVE, plan_gain, plan_loss
from kaquan.points.price import end_of_points
from kaquan.points.types import (
    Benefit,
    Deed,
    DeedKind,
    Member,
    Partner,
    PointsMove,
    Search,
    TermsVersion,
)

MAX_PLANS = 8

RenderDeed = Callable[[Deed], Answer]


class _Facts(NamedTuple):
    member: Member
    terms: TermsVersion
    time_zone: str
    now: datetime


class _Decision(NamedTuple):
    deed: Deed
    move: PointsMove
    kind: str
    also: tuple[Write, ...] = ()


async def _carry_out(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    key: RequestKey,
    render: RenderDeed,
    decide: Callable[[_Facts], Awaitable[_Decision | Refusal]],
    refusals: list[Refusal],
) -> Answer | Refusal:
    """Decide on the member as it is, post once, with the deed and the answer; decided again when it moved meanwhile.

    ``refusals`` gets what one of the writes refuses.
    """
    for _ in range(MAX_PLANS):
        found = await find_member(pool, hand.clock, book_id=book_id, slots=slots, card_id=card_id)
        if isinstance(found, Refusal):
            return found
        now = hand.clock.now()
        decided = await decide(_Facts(*found, now))
        if isinstance(decided, Refusal):
            return decided
        deed, move = decided.deed, decided.move
        answer = render(deed)
        posting = Posting(
            deed.id, decided.kind, now, move.legs, move.guards, move.lots, related_id=deed.subject_id,
            reference=deed.reference,
        )  # fmt: skip
        done = await store.post_unique(
            pool,
            *decided.also,
            store.post(posting, book_id=book_id, slot=deed.slot, at=now, key=key, answer=answer),
            store.add_deed(deed),
        )
        if done is True:
            return answer
        if done == "points_deed_reference":
            return EXCHANGE_KNOWN.refuse("reference")
        if refusals:
            return refusals[0]
    return BUSY.refuse()


def _deed(
    hand: Hand, facts: _Facts, kind: DeedKind, points: int, *, subject_id: UUID | None = None, units: int | None = None,
    reference: str | None = None, approval_id: UUID | None = None,
) -> Deed:  # fmt: skip
    member = facts.member
    return Deed(
        member.slot, hand.ids.new_near(member.card_id), member.book_id, member.id, kind, points, subject_id, units,
        reference, approval_id, hand.actor, facts.now,
    )  # fmt: skip


async def adjust_points(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    points: int,
    note: str,
    approval_id: UUID,
    approve: Approve,
    by: Actor,
    key: RequestKey,
    render: RenderDeed,
) -> Answer | Refusal:
    """Put points on a card by hand, or take them off (below zero), as two wanted; approval and posting are one commit.

    Refused: ``not_found`` (card_id), ``points_not_offered``, ``points_too_few``, what ``approve`` refuses, ``busy``.
    """
    refused: list[Refusal] = []

    async def claim(connection: Connection) -> bool:
        told = await approve(connection)
        refused[:] = [] if told is None else [told]
        return told is None

    async def decide(facts: _Facts) -> _Decision | Refusal:
        member = facts.member
        issuer = await store.load_issuer_accounts(pool, book_id=book_id, slot=member.slot, issuer_id=member.issuer_id)
        if points > 0:
            ends = end_of_points(facts.terms.terms, facts.now, time_zone=facts.time_zone)
            move: PointsMove | Refusal = plan_gain(member, source=issuer.adjusted, points=points, ends=ends)
        else:
            move = plan_loss(member, target=issuer.adjusted, points=-points, now=facts.now)
        if isinstance(move, Refusal):
            return move
        deed = _deed(hand, facts, DeedKind.ADJUSTMENT, points, reference=note, approval_id=approval_id)

        async def tell(connection: Connection) -> bool:
            await record_action(
                connection, hand.clock, hand.ids, book_id=book_id, by=by, kind="points.adjusted", prefix=Prefix.CARD,
                subject_id=card_id,
                after={"points": points, "approval_id": show_id(Prefix.APPROVAL, approval_id)},
            )  # fmt: skip
            return True

        return _Decision(deed, move, "points_adjustment", (claim, tell))

    return await _carry_out(
        pool, hand, book_id=book_id, slots=slots, card_id=card_id, key=key, render=render, decide=decide,
        refusals=refused,
    )  # fmt: skip


def exchange_out(partner: Partner, points: int) -> int | Refusal:
    """What a partner owes for points of ours, in its units; only whole steps are exchanged, so that nothing is lost.

    Refused: ``points_exchange_closed``, ``points_exchange_not_whole``.
    """
    if partner.out_points is None or partner.out_units is None or partner.ended_at is not None:
        return EXCHANGE_CLOSED.refuse("partner_id")
    if points % partner.out_points:
        return EXCHANGE_NOT_WHOLE.refuse("points", step=partner.out_points)
    return points // partner.out_points * partner.out_units


def exchange_in(partner: Partner, units: int) -> int | Refusal:
    """What units of a partner become in points of ours. Refused: as :func:`exchange_out` (field units)."""
    if partner.in_points is None or partner.in_units is None or partner.ended_at is not None:
        return EXCHANGE_CLOSED.refuse("partner_id")
    if units % partner.in_units:
        return EXCHANGE_NOT_WHOLE.refuse("units", step=partner.in_units)
    return units // partner.in_units * partner.in_points


async def exchange_points(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    partner_id: UUID,
    points: int | None = None,
    units: int | None = None,
    reference: str,
    key: RequestKey,
    render: RenderDeed,
) -> Answer | Refusal:
    """Exchange with a partner: ``points`` of ours go out, or ``units`` of theirs come in (one of the two is given).

    One transaction moves both books, each balanced in its own currency: the card's points against the partner's
    account, and the partner's units between the issuer's account with it and its own. ``reference`` is the partner's;
    one that came in counts once. Refused: ``not_found`` (card_id, partner_id), ``points_not_offered``, the codes of
    cards that cannot be used, as :func:`exchange_out` and :func:`exchange_in`, ``points_too_few``,
    ``points_exchange_known``, ``busy``.
    """
    partners = await store.load_partners(pool, book_id, Search(), partner_id)
    if not partners:
        return missing("partner", "partner_id")
    (partner,) = partners

    async def decide(facts: _Facts) -> _Decision | Refusal:
        member = facts.member
        if (unusable := await check_active(pool, book_id=book_id, slots=slots, card_id=card_id)) is not None:
            return unusable
        exchanged, ours, theirs = await store.open_partner_accounts(
            pool, partner, slot=member.slot, issuer_id=member.issuer_id
        )
        move: PointsMove | Refusal
        if points is not None:
            there = exchange_out(partner, points)
            if isinstance(there, Refusal):
                return there
            move = plan_loss(member, target=exchanged, points=points, now=facts.now)
            other = Leg(Effect.POST, ours, None, theirs, None, there)
            kind, gained, moved = DeedKind.EXCHANGE_OUT, -points, there
        else:
            assert units is not None
            here = exchange_in(partner, units)
            if isinstance(here, Refusal):
                return here
            ends = end_of_points(facts.terms.terms, facts.now, time_zone=facts.time_zone)
            move = plan_gain(member, source=exchanged, points=here, ends=ends)
            other = Leg(Effect.POST, theirs, None, ours, None, units)
            kind, gained, moved = DeedKind.EXCHANGE_IN, here, units
        if isinstance(move, Refusal):
            return move
        deed = _deed(hand, facts, kind, gained, subject_id=partner.id, units=moved, reference=reference)
        return _Decision(deed, move._replace(legs=[*move.legs, other]), "points_exchange")

    return await _carry_out(
        pool, hand, book_id=book_id, slots=slots, card_id=card_id, key=key, render=render, decide=decide, refusals=[]
    )


def check_benefit(benefit: Benefit, member: Member, *, birth_month: int | None, local: datetime) -> Refusal | None:
    """Whether a member may take a benefit now, but for how often. Refused: ``points_benefit_not_for_member``,
    ``points_benefit_gone``."""
    if benefit.ended_at is not None:
        return BENEFIT_GONE.refuse("benefit_id", why="it has ended", why_zh="已停用")
    if benefit.programme_id != member.programme_id:
        return BENEFIT_NOT_FOR_MEMBER.refuse("benefit_id", why="another programme's", why_zh="属于其他卡种")
    if benefit.tiers and member.tier not in benefit.tiers:
        names = ", ".join(sorted(benefit.tiers))
        return BENEFIT_NOT_FOR_MEMBER.refuse("benefit_id", why=f"tiers {names}", why_zh=f"限等级 {names}")
    if benefit.birthday_only and birth_month != local.month:
        return BENEFIT_NOT_FOR_MEMBER.refuse("benefit_id", why="in the month of the birthday", why_zh="限生日当月")
    return None


async def take_benefit(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    benefit_id: UUID,
    birth_month: int | None,
    key: RequestKey,
    render: RenderDeed,
    give: Callable[[Benefit, Deed], Write] | None = None,
) -> Answer | Refusal:
    """Take a benefit for its points, as often as a calendar year allows and while there are some.

    ``birth_month`` is what the caller knows of the holder; what is known here goes before it. ``give`` gives in the
    same commit what this room does not know. Refused: ``not_found`` (card_id, benefit_id), ``points_not_offered``, the
    codes of cards that cannot be used, as :func:`check_benefit`, ``points_too_few``, ``busy``.
    """
    found = await store.load_benefits(pool, book_id, Search(), benefit_id)
    if not found:
        return missing("benefit", "benefit_id")
    (benefit,) = found
    refused: list[Refusal] = []
    if benefit.birthday_only:
        birth_month = await _birth_month(pool, book_id=book_id, slots=slots, card_id=card_id) or birth_month

    async def decide(facts: _Facts) -> _Decision | Refusal:
        member, now = facts.member, facts.now
        if (unusable := await check_active(pool, book_id=book_id, slots=slots, card_id=card_id)) is not None:
            return unusable
        local = now.astimezone(ZoneInfo(facts.time_zone))
        if (wrong := check_benefit(benefit, member, birth_month=birth_month, local=local)) is not None:
            return wrong
        issuer = await store.load_issuer_accounts(pool, book_id=book_id, slot=member.slot, issuer_id=member.issuer_id)
        move: PointsMove | Refusal = NO_MOVE
        if benefit.cost_points:
            move = plan_loss(member, target=issuer.benefits, points=benefit.cost_points, now=now)
        if isinstance(move, Refusal):
            return move
        year = datetime(local.year, 1, 1, tzinfo=local.tzinfo)

        async def count(connection: Connection) -> bool:
            most = benefit.max_per_year
            if most is not None and await store.count_taken(connection, member, benefit, since=year) >= most:
                refused[:] = [BENEFIT_GONE.refuse("benefit_id", why=f"{most} a year", why_zh=f"每年限 {most} 次")]
                return False
            if not await store.take_benefit(connection, benefit):
                refused[:] = [BENEFIT_GONE.refuse("benefit_id", why="none is left", why_zh="已领完")]
                return False
            return True

        deed = _deed(hand, facts, DeedKind.BENEFIT, -benefit.cost_points, subject_id=benefit.id)
        return _Decision(deed, move, "points_benefit", (count,) if give is None else (count, give(benefit, deed)))

    return await _carry_out(
        pool, hand, book_id=book_id, slots=slots, card_id=card_id, key=key, render=render, decide=decide,
        refusals=refused,
    )  # fmt: skip


async def _birth_month(pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID) -> int | None:
    """That of the customer whose card it is, if it is known."""
    card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
    if isinstance(card, Refusal) or card.customer_id is None:
        return None
    birthday = await get_birthday(pool, book_id=book_id, id_=card.customer_id)
    return None if birthday is None else birthday[0]


async def list_deeds(
    pool: Pool, *, book_id: int, slots: tuple[int, ...], card_id: UUID, after_id: UUID | None, limit: int
) -> Page[Deed]:
    """Adjustments, exchanges and benefits of a card, the newest first."""
    slot = slot_of(card_id, slots)
    rows = await store.load_deeds(
        pool, book_id=book_id, slot=slot, member_id=member_id(card_id), after_id=after_id, limit=limit
    )
    return cut_page(rows, limit=limit, last_id=rows[limit - 1].id if len(rows) > limit else None)
