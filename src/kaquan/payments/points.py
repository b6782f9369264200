"""Points in a payment, purely: what it earns, what they pay, and what a refund takes and gives back; and the terms of
every programme in memory, so that a payment asks the database for none."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan import points
from kaquan.cards import Pocket
from kaquan.kit.db import Pool
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg
from kaquan.parties import load_book_versions
from kaquan.payments.kept import Kept, KeptPart, PartKind
from kaquan.payments.part import Left, nets_of
from kaquan.payments.plan import fill
from kaquan.payments.price import MERCHANT_PAYABLE, Parties, sum_fundings
from kaquan.payments.types import AccountName, Facts, PaymentFacts, PointsFacts, Unopened
from kaquan.points import NO_MOVE, NOTHING_EARNED, Bought, BoughtLine, Earning, Ends, PointsMove, Tender, TermsVersion
from kaquan.points.outcomes import POINTS_NOT_OFFERED
from kaquan.promotions import GrantKind

POINTS_EXPENSE = "points_expense"
"""The issuer's account in money that points pay out of."""

Terms = Mapping[UUID, Sequence[TermsVersion]]


class PointsBook:
    """The copy in memory. Its owner calls :meth:`refresh` about once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._books: dict[int, tuple[int, Terms]] = {}

    async def refresh(self) -> None:
        """Read again the terms of every book whose version has moved; one small query when none has."""
        versions = await load_book_versions(self._pool)
        changed = {id_: version for id_, version in versions.items() if self.version(id_) != version}
        if not changed:
            return
        # The versions were read before the rows: they may be newer than those, and are then read again.
        found = await points.load_all_terms(self._pool, book_ids=list(changed))
        self._books.update({book_id: (version, found[book_id]) for book_id, version in changed.items()})

    def get(self, book_id: int, programme_id: UUID) -> Sequence[TermsVersion]:
        """Every version of the terms of a programme, the newest last."""
        known = self._books.get(book_id)
        return () if known is None else known[1].get(programme_id, ())

    def version(self, book_id: int) -> int:
        """The version of the book whose terms are known; 0 for a book that no refresh has seen."""
        known = self._books.get(book_id)
        return 0 if known is None else known[0]


def pay_with_points(facts: Facts, asked: int, *, payable_fen: int) -> Tender | Refusal:
    """What points pay of a spend. Refused: ``points_not_offered``, what :func:`kaquan.points.plan_tender` refuses."""
    known = facts.points
    terms = None if known is None else known.in_force
    if known is None or terms is None:
        return POINTS_NOT_OFFERED.refuse("points")
    return points.plan_tender(
        terms.terms, known.member, known.issuer, points=asked, payable_fen=payable_fen, now=facts.now
    )


def earn(
    known: PointsFacts,
    bought: Bought | None,
    gifts: Ends,
    *,
    transaction_id: UUID,
    payment_id: UUID | None = None,
    time_zone: str,
    now: datetime,
) -> tuple[PointsMove, Earning] | None:
    """What a purchase, a capture of ``payment_id`` or a load earns, and what offers give with it; None: nothing."""
    terms = known.in_force
    if terms is None:
        return None
    earned = NOTHING_EARNED if bought is None else points.price_points(terms.terms, bought)
    if not (earned.points or gifts):
        return None
    return points.plan_earning(
        terms.terms,
        terms.version,
        earned,
        known.member,
        known.issuer,
        transaction_id=transaction_id,
        at=now,
        time_zone=time_zone,
        gifts=gifts,
        payment_id=payment_id,
    )


def bought_of(
    known: PointsFacts,
    kept: Kept | None,
    nets: Sequence[int],
    takings: Iterable[tuple[Pocket, int]],
    *,
    merchant_id: UUID,
    store_id: UUID,
    trade: str | None,
    local: datetime,
) -> Bought | None:
    """What earns: the money that is taken from the pockets of a card, over the lines by what of each is paid (``nets``:
    by card and points); None: there is no such money."""
    if known.in_force is None:
        return None
    terms = known.in_force.terms
    money_fen = sum(amount_fen for pocket, amount_fen in takings if terms.earn_on_bonus or pocket is not Pocket.BONUS)
    if not money_fen:
        return None
    lines: tuple[BoughtLine, ...] = (BoughtLine(1, frozenset(), money_fen),)
    if kept is not None:
        paid = allocate(money_fen, nets)
        lines = tuple(BoughtLine(line.number, line.categories, fen) for line, fen in zip(kept.lines, paid, strict=True))
    return Bought(local, merchant_id, store_id, trade, lines, known.member.tier, known.birth_month)


class Taken(NamedTuple):
    """What a refund takes back of what a payment earned: ``from_refund_fen`` is what it should take of the money for
    points that were spent; ``earnings`` are those that it changes, before and after."""

    points: int
    move: PointsMove
    from_refund_fen: int
    earnings: tuple[tuple[Earning, Earning], ...]


def take_back(
    known: PointsFacts,
    kept: Kept | None,
    left: Left | None,
    rest: Left | None,
    *,
    share: tuple[int, int],
    gifts: Ends,
) -> Taken:
    """What a refund takes back of what its purchase, or the captures of its authorization, earned. ``left`` and
    ``rest`` are what is left of the payment before and after it; without a pricing ``share`` is which part of the money
    that is left comes back. ``gifts`` is what it takes back of what offers gave, by account."""
    member, taken, from_refund_fen = known.member, 0, 0
    move = PointsMove([], [], [])
    changed: list[tuple[Earning, Earning]] = []
    waiting = list(gifts)
    for earning in known.earnings:
        terms = next((one for one in known.versions if one.version == earning.terms_version), None)
        if terms is None:
            continue
        returned = _returned_of(earning, kept, left, rest, share=share)
        own, waiting = _split_gifts(waiting, earning.granted - earning.granted_taken)
        if not (own or any(returned.values())):
            continue
        one = points.plan_clawback(
            terms.terms, earning, {n: fen for n, fen in returned.items() if fen}, member, known.issuer, gifts=own
        )
        member = points.after_move(member, one.move.legs)
        move = join(move, one.move)
        taken, from_refund_fen = taken + one.points, from_refund_fen + one.from_refund_fen
        changed.append((earning, one.after))
    return Taken(taken, move, from_refund_fen, tuple(changed))


def _returned_of(
    earning: Earning, kept: Kept | None, left: Left | None, rest: Left | None, *, share: tuple[int, int]
) -> dict[int, int]:
    """Of each line how much of what it earned by comes back: the part that comes back of what is left of it."""
    there = {part.number: part.basis_fen - earning.returned.get(part.number, 0) for part in earning.parts}
    if kept is None or left is None or rest is None:
        return {number: fen * share[0] // share[1] if share[1] else 0 for number, fen in there.items()}
    returned: dict[int, int] = {}
    before, after = nets_of(kept, left), nets_of(kept, rest)
    for line, line_left, net_before, net_after in zip(kept.lines, rest.lines, before, after, strict=True):
        fen = there.get(line.number, 0)
        back_fen = max(net_before - net_after, 0)
        returned[line.number] = fen if not line_left else fen * back_fen // net_before if net_before > 0 else 0
    return returned


def _split_gifts(gifts: Ends, most: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The first points of gifts, so many at the most, and the rest."""
    own: list[tuple[int, int]] = []
    rest: list[tuple[int, int]] = []
    for account, number in gifts:
        part = min(number, most)
        most -= part
        own += [(account, part)] if part else []
        rest += [(account, number - part)] if number > part else []
    return own, rest


def join(*moves: PointsMove) -> PointsMove:
    """Several moves of one posting, each account guarded once."""
    return PointsMove(
        [leg for move in moves for leg in move.legs],
        list(dict.fromkeys(guard for move in moves for guard in move.guards)),
        [lot for move in moves for lot in move.lots],
    )


def tender_leg(
    facts: Facts,
    effect: Effect,
    *,
    slot: int,
    issuer_id: UUID,
    payable: int,
    currency: str,
    amount_fen: int,
    back: bool = False,
) -> Leg | Unopened:
    """The entry that says what points paid: the issuer pays it to the merchant, or gets it back."""
    expense = expense_of(facts, slot=slot, issuer_id=issuer_id, currency=currency)
    if isinstance(expense, Unopened):
        return expense
    debit, credit = (payable, expense) if back else (expense, payable)
    return Leg(effect, debit, None, credit, None, amount_fen)


def expense_of(facts: Facts, *, slot: int, issuer_id: UUID, currency: str) -> int | Unopened:
    """The issuer's account of what points pay."""
    name = AccountName(slot, issuer_id, POINTS_EXPENSE, currency)
    expense = facts.opened.get(name)
    return Unopened((name,), ()) if expense is None else expense


# --- what of a payment's points is where


class PointsLeft(NamedTuple):
    """Where the points of a payment are by now. ``held`` is set aside and ``spent`` is gone, lot by lot of its tender;
    ``promised`` was not yet given and ``given`` was, by position of the grant and funder by funder."""

    held: list[int]
    spent: list[int]
    promised: dict[int, list[int]]
    given: dict[int, list[int]]


def points_left(kept: Kept, parts: Iterable[KeptPart], *, authorized: bool) -> PointsLeft:
    """Found by going through what became of the payment: a capture spends what ends soonest and gives what offers
    promised, a refund gives back what ends last. Both are exact, whatever comes in which order."""
    lots = [] if kept.tender is None else [points for _, points in kept.tender.parts]
    grants = {
        at: allocate(grant.amount_fen, [funder.share_bp for funder in grant.funders])
        for at, grant in enumerate(kept.grants)
        if grant.kind is GrantKind.POINTS and grant.card_id is None
    }
    nothing = [0] * len(lots)
    none = {at: [0] * len(by_funder) for at, by_funder in grants.items()}
    if not authorized:
        return _after_parts(PointsLeft(nothing, lots, none, grants), parts)
    return _after_parts(PointsLeft(lots, nothing, grants, none), parts)


def _after_parts(left: PointsLeft, parts: Iterable[KeptPart]) -> PointsLeft:
    for part in parts:
        lots, grants = moved_by(left, part)
        if part.what is PartKind.REFUND:
            left = PointsLeft(left.held, _less(left.spent, lots), left.promised, _all_less(left.given, grants))
        else:
            spent, given = left.spent, left.given
            if part.what is PartKind.CAPTURE:
                spent = _more(spent, lots)
                given = {at: _more(by, grants.get(at, [0] * len(by))) for at, by in given.items()}
            left = PointsLeft(_less(left.held, lots), spent, _all_less(left.promised, grants), given)
    return left


def moved_by(left: PointsLeft, part: KeptPart) -> tuple[list[int], dict[int, list[int]]]:
    """What a part moves: of the tender lot by lot, of grants by position and funder."""
    back = part.what is PartKind.REFUND
    lots = fill(part.points, left.spent[::-1])[::-1] if back else fill(part.points, left.held)
    source = left.given if back else left.promised
    return lots, {at: allocate(number, source[at]) for at, number, _ in part.grants if at in source}


def _less(ones: Sequence[int], others: Sequence[int]) -> list[int]:
    return [one - other for one, other in zip(ones, others, strict=True)]


def _more(ones: Sequence[int], others: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(ones, others, strict=True)]


def _all_less(ones: Mapping[int, list[int]], others: Mapping[int, list[int]]) -> dict[int, list[int]]:
    return {at: _less(one, others.get(at, [0] * len(one))) for at, one in ones.items()}


def points_of_part(kept: Kept, parts: Iterable[KeptPart], part: KeptPart) -> int:
    """How many points of the tender go with a capture or a refund: as much of them as of what they pay, rounded down
    over all such parts together, so that the last has all."""
    tender = kept.tender
    if tender is None:
        return 0
    same = [one for one in parts if one.what is part.what]
    fen = sum(one.points_fen for one in same) + part.points_fen
    return tender.points * fen // tender.amount_fen - sum(one.points for one in same)


def gift_ends(
    facts: Facts,
    kept: Kept,
    moved: Mapping[int, Sequence[int]],
    *,
    slot: int,
    merchant_id: UUID | None,
    issuer_id: UUID,
) -> list[tuple[int, int]] | Unopened:
    """The accounts that points of offers come out of, or go back to: one for each campaign and who pays for it."""
    parties = Parties(issuer_id, merchant_id)
    sums = sum_fundings(
        parties,
        [
            (kept.grants[at].campaign_id, funder, number)
            for at, by_funder in moved.items()
            for funder, number in zip(kept.grants[at].funders, by_funder, strict=True)
        ],
    )
    names = {funding: AccountName(slot, funding.id, points.OFFERED, points.CURRENCY) for funding in sums}
    missing = [funding for funding, name in names.items() if name not in facts.opened]
    if missing:
        return Unopened(tuple(names[funding] for funding in missing), tuple(missing))
    return [(facts.opened[names[funding]], number) for funding, number in sums.items()]


class Captured(NamedTuple):
    """What a capture moves of a tender, and what it takes of each grant of points, funder by funder."""

    move: PointsMove
    grants: dict[int, list[int]]


def captured_points(
    facts: Facts, found: PaymentFacts, part: KeptPart, left: Left, *, done: bool
) -> Captured | Unopened:
    """What a capture takes of the points that are set aside; ``done``: the others are free again."""
    kept = found.kept
    assert kept is not None, "it was priced"
    there = points_left(kept, found.parts, authorized=True)
    lots, grants = moved_by(there, part)
    ends = [(Effect.CAPTURE, part.points_fen, lots)]
    if done:
        ends.append((Effect.RELEASE, left.points[0] - part.points_fen, _less(there.held, lots)))
    moves = []
    for effect, amount_fen, by_lot in ends:
        move = _move_held(facts, found, effect, by_lot, points_fen=amount_fen)
        if isinstance(move, Unopened):
            return move
        moves.append(move)
    return Captured(join(*moves), grants)


def release_points(facts: Facts, found: PaymentFacts, held: Sequence[int], *, points_fen: int) -> PointsMove | Unopened:
    """Free the points that are set aside, and what they would have paid."""
    return _move_held(facts, found, Effect.RELEASE, held, points_fen=points_fen)


def _move_held(
    facts: Facts, found: PaymentFacts, effect: Effect, by_lot: Sequence[int], *, points_fen: int
) -> PointsMove | Unopened:
    """Capture or release points that are set aside, lot by lot of the tender, and what they pay."""
    kept, known = found.kept, facts.points
    if kept is None or kept.tender is None or not (points_fen or any(by_lot)):
        return NO_MOVE
    assert known is not None, "points were set aside"
    legs = [
        Leg(effect, known.member.points.id, lot, known.issuer.spent, None, number)
        for (lot, _), number in zip(kept.tender.parts, by_lot, strict=True)
        if number
    ]
    if points_fen:
        worth = pay_leg(facts, found, effect, points_fen)
        if isinstance(worth, Unopened):
            return worth
        legs.append(worth)
    return PointsMove(legs, points.guard(known.member.points) if len(legs) > bool(points_fen) else [], [])


def pay_leg(
    facts: Facts, found: PaymentFacts, effect: Effect, amount_fen: int, *, back: bool = False
) -> Leg | Unopened:
    """The entry that says what points pay of a payment that was made, or get back of it."""
    payment, programme = found.payment, facts.programme
    assert programme is not None, "a card's programme is always known"
    assert payment.merchant_id is not None, "what is spent is spent at a merchant"
    name = AccountName(payment.slot, payment.merchant_id, MERCHANT_PAYABLE, payment.currency)
    payable = facts.opened.get(name)
    if payable is None:
        return Unopened((name,), ())
    return tender_leg(
        facts, effect, slot=payment.slot, issuer_id=programme.issuer_id, payable=payable, currency=payment.currency,
        amount_fen=amount_fen, back=back,
    )  # fmt: skip
