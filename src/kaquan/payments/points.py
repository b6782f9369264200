"""Points in a payment, purely: what it earns, what they pay, and what a refund takes and gives back; and the terms of
every programme in memory, so that a payment asks the database for none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kaquan import points
from kaquan.cards import Pocket, Programme
from kaquan.kit.db import Pool
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg
from kaquan.parties import Place, load_book_versions
from kaquan.payments.kept import Kept
from kaquan.payments.part import Left, nets_of, whole
from kaquan.payments.plan import Taking
from kaquan.payments.types import AccountName, Facts, PointsFacts, Unopened
from kaquan.points import Bought, BoughtLine, Clawback, Earning, PointsMove, Tender, TermsVersion
from kaquan.points.outcomes import POINTS_NOT_OFFERED

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
    terms: TermsVersion,
    programme: Programme,
    place: Place,
    kept: Kept | None,
    takings: Sequence[Taking],
    *,
    transaction_id: UUID,
    occurred_at: datetime,
    local: datetime,
    now: datetime,
) -> tuple[PointsMove, Earning] | None:
    """What a purchase earns with the money that it takes from the card; None: nothing."""
    money_fen = sum(
        taking.amount_fen for taking in takings if terms.terms.earn_on_bonus or taking.pocket.pocket is not Pocket.BONUS
    )
    if not money_fen:
        return None
    lines: tuple[BoughtLine, ...] = (BoughtLine(1, frozenset(), money_fen),)
    if kept is not None:
        paid = allocate(money_fen, nets_of(kept, whole(kept)))
        lines = tuple(BoughtLine(line.number, line.categories, fen) for line, fen in zip(kept.lines, paid, strict=True))
    bought = Bought(local, place.merchant_id, place.store_id, place.trade, lines, known.member.tier, known.birth_month)
    earned = points.price_points(terms.terms, bought)
    if not earned.points:
        return None
    return points.plan_earning(
        terms.terms,
        terms.version,
        earned,
        known.member,
        known.issuer,
        transaction_id=transaction_id,
        at=now,
        time_zone=programme.time_zone,
    )


def take_back(
    known: PointsFacts, kept: Kept | None, left: Left | None, rest: Left | None, *, share: tuple[int, int]
) -> Clawback | None:
    """What a refund takes back of what its purchase earned. ``left`` and ``rest`` are what is left of the payment
    before and after it; without a pricing ``share`` is which part of the money that is left comes back."""
    earning = known.earning
    if earning is None:
        return None
    terms = next((one for one in known.versions if one.version == earning.terms_version), None)
    if terms is None:
        return None
    there = {part.number: part.basis_fen - earning.returned.get(part.number, 0) for part in earning.parts}
    returned: dict[int, int] = {}
    if kept is None or left is None or rest is None:
        returned = {number: fen * share[0] // share[1] for number, fen in there.items()}
    else:
        before, after = nets_of(kept, left), nets_of(kept, rest)
        for line, line_left, net_before, net_after in zip(kept.lines, rest.lines, before, after, strict=True):
            fen = there.get(line.number, 0)
            back_fen = max(net_before - net_after, 0)
            returned[line.number] = fen if not line_left else fen * back_fen // net_before if net_before > 0 else 0
    return points.plan_clawback(
        terms.terms, earning, {number: fen for number, fen in returned.items() if fen}, known.member, known.issuer
    )


def tender_leg(
    facts: Facts, *, slot: int, issuer_id: UUID, payable: int, currency: str, amount_fen: int, back: bool = False
) -> Leg | Unopened:
    """The entry that says what points paid: the issuer pays it to the merchant, or gets it back."""
    name = AccountName(slot, issuer_id, POINTS_EXPENSE, currency)
    expense = facts.opened.get(name)
    if expense is None:
        return Unopened((name,), ())
    debit, credit = (payable, expense) if back else (expense, payable)
    return Leg(Effect.POST, debit, None, credit, None, amount_fen)
