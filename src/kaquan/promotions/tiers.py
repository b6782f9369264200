"""Checks that the parameters of several kinds share."""

from collections.abc import Sequence

from kaquan.kit.money import MAX_FEN
from kaquan.promotions.kind import Fault

MAX_TIERS = 20
MAX_POINTS = 10**9


def check_tiers(name: str, tiers: Sequence[tuple[int, int]], *, most_bp: int | None = None) -> list[Fault]:
    """Tiers as (threshold, what it gives): 1 to 20 of them, both ascending, so that none overlaps another.

    ``name`` is the field of the second; ``most_bp`` the most that it may be of the threshold.
    """
    if not 1 <= len(tiers) <= MAX_TIERS:
        return [Fault("tiers", f"must be 1 to {MAX_TIERS} tiers", f"应为 1 至 {MAX_TIERS} 档")]
    faults = []
    for position, (from_fen, gives) in enumerate(tiers):
        field = f"tiers[{position}]"
        faults += check_amount(f"{field}.from_fen", from_fen)
        faults += check_amount(f"{field}.{name}", gives)
        if most_bp is not None and gives * 10_000 > from_fen * most_bp:
            faults.append(
                Fault(
                    f"{field}.{name}",
                    f"must be at most {most_bp / 100:g} % of from_fen",
                    f"不得超过 from_fen 的 {most_bp / 100:g}%",
                )
            )
        if position and from_fen <= tiers[position - 1][0]:
            faults.append(
                Fault(
                    f"{field}.from_fen",
                    "must be above that of the tier before: tiers may not overlap",
                    "应高于上一档：档位不得重叠",
                )
            )
        if position and gives <= tiers[position - 1][1]:
            faults.append(Fault(f"{field}.{name}", "must be above that of the tier before", "应高于上一档"))
    return faults


def check_each_time(each_time: bool, tiers: Sequence[object]) -> list[Fault]:
    """What is given each time has one threshold."""
    if not each_time or len(tiers) == 1:
        return []
    return [Fault("each_time", "needs exactly one tier", "每满赠减只能设一档")]


def check_bp(field: str, value: int) -> list[Fault]:
    """A share: above nothing, not above the whole."""
    if 0 < value <= 10_000:
        return []
    return [Fault(field, "must be from 1 to 10000 (100 %)", "应为 1 至 10000（100%）")]


def check_amount(field: str, value: int, *, least: int = 1) -> list[Fault]:
    """An amount that doors accept."""
    if least <= value <= MAX_FEN:
        return []
    return [Fault(field, f"must be from {least} to {MAX_FEN}", f"应为 {least} 至 {MAX_FEN}")]


def check_most(most_fen: int | None) -> list[Fault]:
    """A cap, where there is one."""
    return [] if most_fen is None else check_amount("most_fen", most_fen)


def check_count(field: str, value: int | None, *, least: int = 1, most: int = 10_000) -> list[Fault]:
    """A number of things, where it is told."""
    if value is None or least <= value <= most:
        return []
    return [Fault(field, f"must be from {least} to {most}", f"应为 {least} 至 {most}")]


def most_share_bp(tiers: Sequence[tuple[int, int]]) -> int:
    """The largest share of its threshold that a tier gives, in basis points, rounded up."""
    return max(-(-gives * 10_000 // from_fen) for from_fen, gives in tiers)
