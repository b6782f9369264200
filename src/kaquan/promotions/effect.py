"""What a campaign did, estimated from its control group alone. Pure.

Holders were put into the group by chance before anything happened, so what differs between the groups beyond chance is
the campaign's. Holders of both groups are compared whether they redeemed or not: comparing those who redeemed with
those who did not would compare two kinds of people. What holders bought before explains much of what they buy after;
taking that part out (CUPED) narrows the interval and shifts nothing, since the past is no work of the campaign.

These are estimates and not money: they are floats, in minor units per holder.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean
from typing import NamedTuple

MIN_HOLDERS = 30
"""Fewer than that on one side are not compared: the interval would not be what it says."""


class Bought(NamedTuple):
    """What one holder bought, in minor units. ``before_fen``: in a time as long, before the campaign began."""

    is_control: bool
    after_fen: int
    before_fen: int


class Effect(NamedTuple):
    """The difference per holder, with its interval at ``confidence``."""

    holders: int
    control: int
    difference_fen: float
    low_fen: float
    high_fen: float
    raw_difference_fen: float
    """Without taking the past out."""
    explained: float
    """The share of the variance that the past explains: how much it narrows the interval."""
    confidence: float


def estimate_effect(bought: Sequence[Bought], *, confidence: float = 0.95) -> Effect | None:
    """The effect per holder, also zero and below; None where either side has fewer than ``MIN_HOLDERS``."""
    treated = [one for one in bought if not one.is_control]
    control = [one for one in bought if one.is_control]
    if min(len(treated), len(control)) < MIN_HOLDERS:
        return None
    mean_before = fmean(one.before_fen for one in bought)
    mean_after = fmean(one.after_fen for one in bought)
    spread = sum((one.before_fen - mean_before) ** 2 for one in bought)
    together = sum((one.before_fen - mean_before) * (one.after_fen - mean_after) for one in bought)
    theta = together / spread if spread else 0.0
    sides = [[one.after_fen - theta * (one.before_fen - mean_before) for one in side] for side in (treated, control)]
    means = [fmean(side) for side in sides]
    error = sqrt(sum(_variance(side, mean) / len(side) for side, mean in zip(sides, means, strict=True)))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    difference = means[0] - means[1]
    raw = fmean(one.after_fen for one in treated) - fmean(one.after_fen for one in control)
    whole = sum((one.after_fen - mean_after) ** 2 for one in bought)
    explained = together**2 / (spread * whole) if spread and whole else 0.0
    return Effect(
        len(treated), len(control), difference, difference - reach, difference + reach, raw, explained, confidence
    )


def _variance(values: Sequence[float], mean: float) -> float:
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
