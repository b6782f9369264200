"""What a posting must carry so that points are earned, spent, given back, taken back or moved: pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import replace

from kaquan.cards import end_of_day
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Guard, Leg, NewLot
from kaquan.points.outcomes import POINTS_ABOVE_SHARE, POINTS_NOT_TENDER, POINTS_OUT_OF_STEP, POINTS_TOO_FEW
from kaquan.points.price import due_of, end_of_points
from kaquan.points.types import (
    WHOLE_BP,
    Account,
    Clawback,
    ClawbackMode,
    Earned,
    Earning,
    IssuerAccounts,
    Lot,
    Member,
    PointsMove,
    PointsTerms,
    Tender,
)

NO_MOVE = PointsMove([], [], [])

Ends = Sequence[tuple[int, int]]
"""Accounts with how many points come out of each, or go to it."""

_End = tuple[int, int | None, int]
"""An account, perhaps one of its lots, and how many points."""

_FOREVER = datetime.max.replace(tzinfo=UTC)


def new_lot_of(account: Account) -> int:
    """The number of the lot that a posting opens: a version is used once, so it names the lot."""
    return account.version + 1


def guard(*accounts: Account) -> list[Guard]:
    """That these accounts are still as they were read."""
    return [Guard(account.id, account.version) for account in accounts]


def plan_earning(
    terms: PointsTerms,
    terms_version: int,
    earned: Earned,
    member: Member,
    issuer: IssuerAccounts,
    *,
    transaction_id: UUID,
    at: datetime,
    time_zone: str,
    gifts: Ends = (),
    payment_id: UUID | None = None,
) -> tuple[PointsMove, Earning]:
    """The points of a purchase, or of a capture of ``payment_id``: what is owed is paid first, the rest waits in a lot
    of its own, or can be spent at once where nothing is pending. ``gifts`` is what offers give with it, by the account
    that it comes out of. The move has no legs when nothing is earned; the earning is kept all the same."""
    granted = sum(points for _, points in gifts)
    points = earned.points + granted
    paid = min(member.owed, points)
    rest = points - paid
    guards: list[Guard] = []
    lots: list[NewLot] = []
    targets: list[_End] = []
    lot = matures_at = None
    if paid:
        targets.append((member.debt.id, None, paid))
        guards += guard(member.debt)
    if rest:
        waits = terms.pending_days > 0
        account = member.pending if waits else member.points
        number = new_lot_of(account)
        if waits:
            lot, matures_at = number, end_of_day(at, valid_days=terms.pending_days, time_zone=time_zone)
        ends = None if waits else end_of_points(terms, at, time_zone=time_zone)
        targets.append((account.id, number, rest))
        guards += guard(account)
        lots.append(NewLot(account.id, number, 0, rest, ends))
    earning = Earning(
        member.slot, transaction_id, member.book_id, member.id, terms_version, points, earned.basis_fen, earned.parts,
        {}, 0, 0, lot, matures_at, False, at, payment_id, granted,
    )  # fmt: skip
    return PointsMove(_pair(_ends(issuer.granted, earned.points, gifts), targets), guards, lots), earning


def plan_clawback(
    terms: PointsTerms,
    earning: Earning,
    returned: Mapping[int, int],
    member: Member,
    issuer: IssuerAccounts,
    *,
    gifts: Ends = (),
) -> Clawback:
    """What a refund takes back of what its purchase earned. ``returned`` is by line what this refund brings back, in
    the same money as the parts of the earning; ``gifts`` what it takes of what offers gave, by the account that it goes
    back to.

    First out of the lot that the purchase is still waiting in, then out of what can be spent, the soonest end first;
    for what is missing the programme's mode decides. The value of points in a refund is rounded down.
    """
    total = {line: earning.returned.get(line, 0) + fen for line, fen in returned.items()}
    together = {**earning.returned, **total}
    basis = {part.number: part.basis_fen for part in earning.parts}
    together = {line: min(fen, basis.get(line, 0)) for line, fen in together.items() if line in basis}
    earned = due_of(earning.parts, together) - (earning.taken - earning.granted_taken)
    granted = sum(points for _, points in gifts)
    wanted = earned + granted
    after = replace(
        earning,
        returned=together,
        returned_fen=sum(together.values()),
        taken=earning.taken + wanted,
        granted_taken=earning.granted_taken + granted,
    )
    guards: list[Guard] = []
    waiting = [lot for lot in member.pending_lots if lot.lot == earning.lot and lot.origin_id == earning.id]
    from_pending = _draw(waiting, wanted, member.pending)
    sources = [*from_pending, *_draw(member.lots, wanted - sum(end[2] for end in from_pending), member.points)]
    guards += guard(member.pending) if from_pending else []
    guards += guard(member.points) if len(sources) > len(from_pending) else []
    short = wanted - sum(end[2] for end in sources)
    owed = waived = from_refund_fen = 0
    if short and terms.clawback is ClawbackMode.DEBT:
        owed = short
        sources.append((member.debt.id, None, short))
        guards += guard(member.debt)
    elif short:
        waived = short
        if terms.clawback is ClawbackMode.REFUND and terms.spend_points:
            from_refund_fen = short * terms.spend_fen // terms.spend_points
    legs = _pair(sources, _ends(issuer.granted, earned, gifts))
    return Clawback(wanted, PointsMove(legs, guards, []), owed, waived, from_refund_fen, after)


def after_move(member: Member, legs: Iterable[Leg]) -> Member:
    """A member as it is after these entries, for what the same posting decides next; its versions stay those that were
    read."""
    owed = member.owed
    kept = {member.points.id: list(member.lots), member.pending.id: list(member.pending_lots)}
    for leg in legs:
        for account, lot, points in (
            (leg.debit_account, leg.debit_lot, -leg.amount_fen),
            (leg.credit_account, leg.credit_lot, leg.amount_fen),
        ):
            if account == member.debt.id:
                owed -= points
            elif account in kept and lot is not None:
                _change(kept[account], lot, points)
    return member._replace(
        debt=member.debt._replace(posted=owed), lots=kept[member.points.id], pending_lots=kept[member.pending.id]
    )


def _change(lots: list[Lot], number: int, points: int) -> None:
    for place, lot in enumerate(lots):
        if lot.lot == number:
            lots[place] = lot._replace(available=lot.available + points)
            return
    lots.append(Lot(number, UUID(int=0), None, points))


def quote_tender(terms: PointsTerms, member: Member, *, payable_fen: int, now: datetime) -> tuple[int, int]:
    """The most points that may pay this much, and what they are worth; (0, 0): none may."""
    if not terms.spend_points:
        return 0, 0
    most_fen = payable_fen * terms.spend_max_bp // WHOLE_BP
    points = min(spendable(member, now), most_fen * terms.spend_points // terms.spend_fen)
    points -= points % terms.spend_step
    return (points, points * terms.spend_fen // terms.spend_points) if points >= terms.spend_least else (0, 0)


def plan_tender(
    terms: PointsTerms, member: Member, issuer: IssuerAccounts, *, points: int, payable_fen: int, now: datetime
) -> Tender | Refusal:
    """Pay with points: the soonest end first. Their worth is the issuer's to pay to whoever sold the goods.

    Refused: ``points_not_tender``, ``points_out_of_step``, ``points_above_share``, ``points_too_few`` (field points).
    """
    if not terms.spend_points:
        return POINTS_NOT_TENDER.refuse("points")
    if points < terms.spend_least or points % terms.spend_step:
        return POINTS_OUT_OF_STEP.refuse("points", least=terms.spend_least, step=terms.spend_step)
    amount_fen = points * terms.spend_fen // terms.spend_points
    most_fen = payable_fen * terms.spend_max_bp // WHOLE_BP
    if amount_fen > most_fen:
        return POINTS_ABOVE_SHARE.refuse("points", most_fen=most_fen)
    legs = _take(_alive(member.lots, now), points, member.points, issuer.spent)
    if _sum(legs) < points:
        return POINTS_TOO_FEW.refuse("points", available=spendable(member, now))
    parts = tuple((leg.debit_lot, leg.amount_fen) for leg in legs if leg.debit_lot is not None)
    return Tender(points, amount_fen, PointsMove(legs, guard(member.points), []), parts)


def plan_tender_return(
    parts: Sequence[tuple[int, int]], back: Sequence[int], *, member: Member, issuer: IssuerAccounts
) -> PointsMove:
    """Give points back that paid for what is refunded: into the lots that they came from, with the ends that these
    have. ``parts`` is what :class:`Tender` told, ``back`` how many go back to each of these lots."""
    legs = [
        Leg(Effect.POST, issuer.spent, None, member.points.id, lot, points)
        for (lot, _), points in zip(parts, back, strict=True)
        if points
    ]
    return PointsMove(legs, guard(member.points), []) if legs else NO_MOVE


def plan_maturing(terms: PointsTerms, earning: Earning, member: Member, *, time_zone: str) -> tuple[PointsMove, int]:
    """What of a purchase waits and may be spent now; how many points. Their days count from the purchase."""
    waiting = sum(lot.available for lot in member.pending_lots if lot.lot == earning.lot)
    if not waiting:
        return NO_MOVE, 0
    number = new_lot_of(member.points)
    ends = end_of_points(terms, earning.at, time_zone=time_zone)
    legs = [Leg(Effect.POST, member.pending.id, earning.lot, member.points.id, number, waiting)]
    lots = [NewLot(member.points.id, number, 0, waiting, ends)]
    return PointsMove(legs, guard(member.pending, member.points), lots), waiting


def plan_follow(member: Member, successor: Member, *, first_lot: int) -> PointsMove:
    """Everything that a replaced card can spend or owes goes to its successor, each lot with its end; what waits comes
    when it has matured. ``first_lot`` is the successor's lowest lot number: lots that come in are counted down."""
    legs, lots = [], []
    guards: list[Guard] = []
    for number, lot in enumerate(member.lots, start=first_lot - len(member.lots)):
        legs.append(Leg(Effect.POST, member.points.id, lot.lot, successor.points.id, number, lot.available))
        lots.append(NewLot(successor.points.id, number, 0, lot.available, lot.expires_at))
    if legs:
        guards += guard(member.points, successor.points)
    if member.owed:
        legs.append(Leg(Effect.POST, successor.debt.id, None, member.debt.id, None, member.owed))
        guards += guard(member.debt, successor.debt)
    return PointsMove(legs, guards, lots)


def plan_expiry(member: Member, issuer: IssuerAccounts, *, now: datetime) -> tuple[PointsMove, int]:
    """Everything of a member that has ended by now; how many points."""
    over = [lot for lot in member.lots if lot.expires_at is not None and lot.expires_at <= now]
    legs = _take(over, sum(lot.available for lot in over), member.points, issuer.expired)
    return (PointsMove(legs, guard(member.points), []), _sum(legs)) if legs else (NO_MOVE, 0)


def plan_gain(member: Member, *, source: int, points: int, ends: datetime | None) -> PointsMove:
    """Points that a member gets at once: what is owed is paid first, the rest is a lot."""
    paid = min(member.owed, points)
    legs, guards, lots = [], [], []
    if paid:
        legs.append(Leg(Effect.POST, source, None, member.debt.id, None, paid))
        guards += guard(member.debt)
    if points > paid:
        number = new_lot_of(member.points)
        legs.append(Leg(Effect.POST, source, None, member.points.id, number, points - paid))
        lots.append(NewLot(member.points.id, number, 0, points - paid, ends))
        guards += guard(member.points)
    return PointsMove(legs, guards, lots)


def plan_loss(member: Member, *, target: int, points: int, now: datetime) -> PointsMove | Refusal:
    """Points that a member gives, the soonest end first. Refused: ``points_too_few``."""
    legs = _take(_alive(member.lots, now), points, member.points, target)
    if _sum(legs) < points:
        return POINTS_TOO_FEW.refuse("points", available=spendable(member, now))
    return PointsMove(legs, guard(member.points), [])


def spendable(member: Member, now: datetime) -> int:
    """What a member can spend: neither waiting nor ended."""
    return sum(lot.available for lot in _alive(member.lots, now))


def _alive(lots: Iterable[Lot], now: datetime) -> list[Lot]:
    return [lot for lot in lots if lot.expires_at is None or lot.expires_at > now]


def _take(lots: Iterable[Lot], points: int, account: Account, target: int) -> list[Leg]:
    """What there is of so many points, out of the lots that end soonest."""
    return _pair(_draw(lots, points, account), [(target, None, points)])


def _draw(lots: Iterable[Lot], points: int, account: Account) -> list[_End]:
    """The lots that so many points come out of, those that end soonest first; fewer points where there are not so
    many."""
    ends: list[_End] = []
    for lot in sorted(lots, key=lambda lot: (lot.expires_at or _FOREVER, lot.lot)):
        part = min(lot.available, points)
        if part > 0:
            ends.append((account.id, lot.lot, part))
            points -= part
    return ends


def _ends(granted: int, earned: int, gifts: Ends) -> list[_End]:
    return [(granted, None, earned), *((account, None, points) for account, points in gifts)]


def _pair(sources: Sequence[_End], targets: Sequence[_End]) -> list[Leg]:
    """The entries from the first to the second, each in its order, until one side has no more."""
    legs: list[Leg] = []
    rooms = [points for _, _, points in targets]
    for account, lot, points in sources:
        left = points
        for at, (to_account, to_lot, _) in enumerate(targets):
            part = min(left, rooms[at])
            if part:
                legs.append(Leg(Effect.POST, account, lot, to_account, to_lot, part))
                rooms[at] -= part
                left -= part
    return legs


def _sum(legs: Iterable[Leg]) -> int:
    return sum(leg.amount_fen for leg in legs)
