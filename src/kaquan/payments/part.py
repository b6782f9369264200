"""Parts of a priced payment, purely: what of it is captured or given back, and what is left.

The splitting is :mod:`kaquan.promotions.refund`'s; here it is told what the parts before left of the payment, and what
comes out is written down by position, as it is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.payments.kept import Kept, KeptPart, PartKind
from kaquan.payments.limits import AMOUNT_ALONE, Use
from kaquan.promotions import (
    BudgetReturn,
    Grant,
    GrantKind,
    KeptLine,
    KeptPricing,
    OnReturn,
    Pricing,
    RefundPricing,
    Share,
    price_refund,
    price_refund_of,
)


class Left(NamedTuple):
    """What is left of a priced payment: of each line at list price, of what was taken off outside, of each share and
    of each grant with how many things it is, in their order."""

    lines: list[int]
    outside: list[int]
    shares: list[int]
    grants: list[tuple[int, int]]
    points: list[int]
    """One number: what is left of what points paid."""

    @property
    def is_empty(self) -> bool:
        return not any(self.lines)

    @property
    def some_grants(self) -> tuple[tuple[int, int, int], ...]:
        """The grants that are left, by position."""
        return tuple(
            (at, amount_fen, count) for at, (amount_fen, count) in enumerate(self.grants) if amount_fen or count
        )


def whole(kept: Kept) -> Left:
    """All of it."""
    return Left(
        [line.amount_fen for line in kept.lines],
        list(kept.outside_fen),
        [share.amount_fen for share in kept.shares],
        [(grant.amount_fen, _pieces(grant)) for grant in kept.grants],
        [kept.points_fen],
    )


def nothing(kept: Kept) -> Left:
    """None of it."""
    return Left([0] * len(kept.lines), [0] * len(kept.lines), [0] * len(kept.shares), [(0, 0)] * len(kept.grants), [0])


def uncaptured(kept: Kept, parts: Iterable[KeptPart]) -> Left:
    """What of an authorization is neither captured nor given up."""
    left = whole(kept)
    for part in parts:
        if part.what is not PartKind.REFUND:
            _add(kept, left, part, -1)
    return left


def unrefunded(kept: Kept, parts: Sequence[KeptPart], *, authorized: bool) -> Left:
    """What was spent of it and not given back yet; ``authorized``: what was spent is what was captured."""
    left = nothing(kept) if authorized else whole(kept)
    for part in parts:
        if part.what is PartKind.REFUND:
            _add(kept, left, part, -1)
        elif part.what is PartKind.CAPTURE and authorized:
            _add(kept, left, part, 1)
    return left


def _add(kept: Kept, left: Left, part: KeptPart, sign: int) -> None:
    positions = {line.number: at for at, line in enumerate(kept.lines)}
    for number, amount_fen, outside_fen in part.lines:
        left.lines[positions[number]] += sign * amount_fen
        left.outside[positions[number]] += sign * outside_fen
    for at, amount_fen in part.shares:
        left.shares[at] += sign * amount_fen
    for at, amount_fen, count in part.grants:
        had_fen, had = left.grants[at]
        left.grants[at] = (had_fen + sign * amount_fen, had + sign * count)
    left.points[0] += sign * part.points_fen


def part_of_money(kept: Kept, left: Left, money_fen: int, *, what: PartKind) -> KeptPart:
    """The part that so much of the card's money is of what is left; all of it, if it is all the money."""
    pricing = _pricing_of(kept, left)
    if what is PartKind.CAPTURE:  # what an offer lets the holder keep when goods come back is given all the same
        grants = tuple(grant._replace(on_return=OnReturn.SHARE) for grant in pricing.grants)
        pricing = pricing._replace(grants=grants)
    points_fen = left.points[0]
    whole_fen = pricing.paid_fen - points_fen
    back_fen = points_fen if money_fen == whole_fen else points_fen * money_fen // whole_fen
    part = _part(kept, left, price_refund_of(pricing, money_fen + back_fen), what)
    return part._replace(points_fen=back_fen)


def part_of_lines(kept: Kept, left: Left, returned: Mapping[int, int], *, again: Pricing | None) -> KeptPart:
    """The part of what is left that goods are which come back: of each line, by number, so much at list price.

    ``again`` is what the goods that stay would cost, for offers that are earned by them.
    """
    pricing = _pricing_of(kept, left)
    taken = price_refund(pricing, returned, again=again)
    part = _part(kept, left, taken, PartKind.REFUND)
    points_fen = left.points[0]
    if not is_all(left, part):
        points_fen = points_fen * taken.paid_fen // pricing.paid_fen if pricing.paid_fen else 0
    return part._replace(points_fen=points_fen)


def all_of(kept: Kept, left: Left, *, what: PartKind) -> KeptPart:
    """Everything that is left."""
    lines = tuple(
        (line.number, line_fen, outside_fen)
        for line, line_fen, outside_fen in zip(kept.lines, left.lines, left.outside, strict=True)
        if line_fen
    )
    return KeptPart(what, lines, _some(left.shares), left.some_grants, False, left.points[0])


def is_all(left: Left, part: KeptPart) -> bool:
    """Whether a part is everything that is left."""
    return sum(line_fen for _, line_fen, _ in part.lines) == sum(left.lines)


def money_of(part: KeptPart) -> int:
    """What the card pays, or gets back, of a part."""
    paid_fen = sum(line_fen - outside_fen for _, line_fen, outside_fen in part.lines)
    return paid_fen - sum(fen for _, fen in part.shares) - part.points_fen


def minus(amounts: Sequence[int], taken: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What is left of amounts, by position, after some were taken."""
    left = list(amounts)
    for at, amount_fen in taken:
        left[at] -= amount_fen
    return _some(left)


def after(kept: Kept, left: Left, part: KeptPart) -> Left:
    """What is left after a part was given back."""
    rest = Left(list(left.lines), list(left.outside), list(left.shares), list(left.grants), list(left.points))
    _add(kept, rest, part, -1)
    return rest


def uses_back(
    kept: Kept, shares: Iterable[tuple[int, int]], grants: Iterable[tuple[int, int, int]], *, everything: bool
) -> tuple[Use, ...]:
    """What uses of budgets give back for shares and grants (by position) that came back; ``everything``: no more of the
    payment is spent or will be.

    Of an amount never more comes back than was counted: parts of shares and grants sum to them (see
    :mod:`kaquan.promotions.refund`), and what they were together is what was counted.
    """
    given: dict[UUID | None, int] = {}
    for at, amount_fen in shares:
        campaign_id = kept.shares[at].campaign_id
        given[campaign_id] = given.get(campaign_id, 0) + amount_fen
    for at, amount_fen, _ in grants:
        grant = kept.grants[at]
        if grant.kind is not GrantKind.POINTS:
            given[grant.campaign_id] = given.get(grant.campaign_id, 0) + amount_fen
    back = []
    for one in kept.uses:
        if one.on_return is BudgetReturn.SHARE:
            fen = given.get(one.campaign_id, 0)
            if everything:
                back.append(one.use._replace(amount_fen=fen))
            elif fen:
                back.append(one.use._replace(amount_fen=fen, maxima=AMOUNT_ALONE))
        elif one.on_return is BudgetReturn.WHOLE and everything:
            back.append(one.use)
    return tuple(back)


def nets_of(kept: Kept, left: Left) -> list[int]:
    """What card and points together paid of what is left of each line."""
    return [line.paid_fen for line in _pricing_of(kept, left).lines]


def _pricing_of(kept: Kept, left: Left) -> KeptPricing:
    paid = [line_fen - outside_fen for line_fen, outside_fen in zip(left.lines, left.outside, strict=True)]
    positions = {line.number: at for at, line in enumerate(kept.lines)}
    for share, amount_fen in zip(kept.shares, left.shares, strict=True):
        paid[positions[share.line]] -= amount_fen
    return KeptPricing(
        tuple(
            KeptLine(line.number, *fen) for line, *fen in zip(kept.lines, left.lines, paid, left.outside, strict=True)
        ),
        tuple(share._replace(amount_fen=fen) for share, fen in zip(kept.shares, left.shares, strict=True)),
        tuple(
            grant._replace(amount_fen=fen, count=count)
            for grant, (fen, count) in zip(kept.grants, left.grants, strict=True)
        ),
        kept.applied,
    )


def _part(kept: Kept, left: Left, taken: RefundPricing, what: PartKind) -> KeptPart:
    lines = tuple(
        (line.number, line_fen - rest.amount_fen, outside_fen - rest.outside_fen)
        for line, line_fen, outside_fen, rest in zip(
            kept.lines, left.lines, left.outside, taken.left.lines, strict=True
        )
        if line_fen > rest.amount_fen
    )
    positions = {_share_name(share): at for at, share in enumerate(kept.shares)}
    shares = tuple((positions[_share_name(share)], share.amount_fen) for share in taken.shares)
    grants = []
    at = 0
    for back in taken.grants:  # in their order, some of them left out
        while _grant_name(kept.grants[at]) != _grant_name(back):
            at += 1
        grants.append((at, back.amount_fen, _pieces(back)))
        at += 1
    return KeptPart(what, lines, shares, tuple(grants), False)


def _share_name(share: Share) -> tuple[object, ...]:
    return share[:-1]


def _grant_name(grant: Grant) -> tuple[object, ...]:
    return grant.campaign_id, grant.offer, grant.kind, grant.template_id, grant.card_id, grant.due_on


def _pieces(grant: Grant) -> int:
    """How many things a grant is; what is given by amount alone is none."""
    return grant.count if grant.kind is GrantKind.VOUCHERS else 0


def _some(amounts: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((at, amount_fen) for at, amount_fen in enumerate(amounts) if amount_fen)
