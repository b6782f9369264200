"""Parts of a priced payment, purely: what belongs to an amount of its money, and what is left of it.

A part that is captured or refunded takes of every line what it takes of the line's price after offers, and of every
share on that line in the same proportion. Everything is split over what is left (:func:`kaquan.kit.money.allocate`), so
nothing is ever taken twice, and the last part takes all that is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kaquan.kit.money import allocate
from kaquan.payments.kept import Kept, KeptPart, PartKind


class Left(NamedTuple):
    """What is left of a priced payment: of each line at list price, of what was taken off outside, and of each share
    and grant, in their order."""

    lines: list[int]
    outside: list[int]
    shares: list[int]
    grants: list[int]

    @property
    def is_empty(self) -> bool:
        return not any(self.lines)


def whole(kept: Kept) -> Left:
    """All of it."""
    return Left(
        [line.amount_fen for line in kept.lines],
        list(kept.outside_fen),
        [share.amount_fen for share in kept.shares],
        [grant.amount_fen for grant in kept.grants],
    )


def nothing(kept: Kept) -> Left:
    """None of it."""
    return Left([0] * len(kept.lines), [0] * len(kept.lines), [0] * len(kept.shares), [0] * len(kept.grants))


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
    for at, amount_fen in part.grants:
        left.grants[at] += sign * amount_fen


def nets_of(kept: Kept, left: Left) -> list[int]:
    """What the card paid of what is left of each line."""
    nets = [line_fen - outside_fen for line_fen, outside_fen in zip(left.lines, left.outside, strict=True)]
    positions = {line.number: at for at, line in enumerate(kept.lines)}
    for share, amount_fen in zip(kept.shares, left.shares, strict=True):
        nets[positions[share.line]] -= amount_fen
    return nets


def part_of_money(kept: Kept, left: Left, money_fen: int, *, what: PartKind, gives_back: bool = False) -> KeptPart:
    """The part that ``money_fen`` of the card's money is of what is left; all of it, if it is all the money."""
    nets = nets_of(kept, left)
    total_fen = sum(nets)
    if money_fen == total_fen:
        return all_of(kept, left, what=what, gives_back=gives_back)
    by_line = allocate(money_fen, nets)
    lines: list[tuple[int, int, int]] = []
    taken = [0] * len(left.shares)
    for at, (line, money, net) in enumerate(zip(kept.lines, by_line, nets, strict=True)):
        if not money:
            continue
        # what the funders and the outside pay of this line, each in its own proportion
        mine = [n for n, share in enumerate(kept.shares) if share.line == line.number]
        weights = [left.outside[at], *(left.shares[n] for n in mine)]
        off = allocate(sum(weights) * money // net, weights)
        for n, amount_fen in zip(mine, off[1:], strict=True):
            taken[n] = amount_fen
        lines.append((line.number, money + sum(off), off[0]))
    return KeptPart(what, tuple(lines), _some(taken), _share_grants(left, money_fen, total_fen), gives_back)


def part_of_lines(kept: Kept, left: Left, returned: Mapping[int, int], *, gives_back: bool = False) -> KeptPart:
    """The part of what is left that these goods are: of each line, by number, so much at list price."""
    lines: list[tuple[int, int, int]] = []
    taken = [0] * len(left.shares)
    for at, line in enumerate(kept.lines):
        amount_fen = returned.get(line.number, 0)
        if not amount_fen:
            continue
        mine = [n for n, share in enumerate(kept.shares) if share.line == line.number]
        weights = [left.outside[at], *(left.shares[n] for n in mine)]
        off = allocate(sum(weights) * amount_fen // left.lines[at], weights)
        for n, off_fen in zip(mine, off[1:], strict=True):
            taken[n] = off_fen
        lines.append((line.number, amount_fen, off[0]))
    grants = _share_grants(left, sum(returned.values()), sum(left.lines))
    return KeptPart(PartKind.REFUND, tuple(lines), _some(taken), grants, gives_back)


def is_all(left: Left, part: KeptPart) -> bool:
    """Whether a part is everything that is left."""
    return sum(line_fen for _, line_fen, _ in part.lines) == sum(left.lines)


def money_of(part: KeptPart) -> int:
    """What the card pays, or gets back, of a part."""
    return sum(line_fen - outside_fen for _, line_fen, outside_fen in part.lines) - sum(fen for _, fen in part.shares)


def _share_grants(left: Left, part_fen: int, whole_fen: int) -> tuple[tuple[int, int], ...]:
    """What belongs to a part of what was granted, rounded down."""
    return _some([grant_fen * part_fen // whole_fen for grant_fen in left.grants])


def all_of(kept: Kept, left: Left, *, what: PartKind, gives_back: bool = False) -> KeptPart:
    """Everything that is left."""
    lines = tuple(
        (line.number, line_fen, outside_fen)
        for line, line_fen, outside_fen in zip(kept.lines, left.lines, left.outside, strict=True)
        if line_fen
    )
    return KeptPart(what, lines, _some(left.shares), _some(left.grants), gives_back)


def minus(amounts: Sequence[int], taken: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What is left of amounts, by position, after some were taken."""
    left = list(amounts)
    for at, amount_fen in taken:
        left[at] -= amount_fen
    return _some(left)


def _some(amounts: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((at, amount_fen) for at, amount_fen in enumerate(amounts) if amount_fen)
