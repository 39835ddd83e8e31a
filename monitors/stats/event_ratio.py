"""Evidence on the ratio of two rates, from who of two arms had each event.

Units are assigned at random, so given an event, and all before, it is the candidate's with chance

    q(r) = w r / (w r + 1 - w)

where w is the candidate's share of the units of both arms at that time, and r the ratio of its rate
of events to the other arm's. How often events come, and that this changes over the day, is in
neither: both arms meet the same hours. A bet on the ratio r against the ratio b multiplies its
stake by q(r) / q(b) for an event of the candidate and by (1 - q(r)) / (1 - q(b)) for one of the
other arm. Its mean is one if the ratio is b; with r > b it is less if the ratio is smaller than b,
with r < b if it is larger, as it is linear in the chance. So a mixture of such bets is an
e-process, whatever w does from one stretch to the next, as long as it is known before.
(Lindon, Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022.)

The same bets are right for a share: an event is a unit with it, w the bound of the share, and r the
ratio of the odds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import exp, inf, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

WORSE = tuple(64.0 ** (k / 12) for k in range(1, 13))
"""Ratios that are bet on against 1, all alike: from 1.4 to 64."""

_LARGEST = 64.0
_FINE = np.exp(np.linspace(-log(1024.0), log(1024.0), 113))
"""Ratios in whose mixture an interval is found: each 13 % above the last."""

UNEQUAL = tuple(
    exp(sign * size) for size in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) for sign in (-1.0, 1.0)
)
"""Ratios that are bet on against 1, up and down, all alike."""


class Split(NamedTuple):
    """Events of the candidate and of the other arm while the candidate's share was `share`.

    0 < share < 1. Events may be fractions, where somebody asks what twice as many would tell.
    """

    share: float
    candidate: float
    other: float


@lru_cache(maxsize=4096)
def log_gains(
    share: float, ratios: tuple[float, ...], against: float = 1.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Logarithms of what bets on each ratio win by an event of the candidate, and of the other."""
    base = share * against + 1 - share
    others = tuple(log(base / (share * ratio + 1 - share)) for ratio in ratios)
    return tuple(
        log(ratio / against) + other for ratio, other in zip(ratios, others, strict=True)
    ), others


def log_won(splits: Iterable[Split], ratios: tuple[float, ...], against: float = 1.0) -> float:
    """The natural logarithm of what bets on each ratio, of equal stakes, have won together."""
    won = [0.0] * len(ratios)
    for share, candidate, other in splits:
        by_candidate, by_other = log_gains(share, ratios, against)
        won = [
            before + candidate * up + other * down
            for before, up, down in zip(won, by_candidate, by_other, strict=True)
        ]
    return log_sum(won) - log(len(ratios))


def log_worse(splits: Iterable[Split]) -> float:
    """The natural logarithm of the e-value against "the candidate's rate is no larger"."""
    return log_won(splits, WORSE)


def log_not_worse(splits: Iterable[Split], margin: float) -> float:
    """The natural logarithm of the e-value against "the ratio is 1 + margin or larger".

    `margin` is positive.
    """
    return log_won(splits, smaller_than(1 + margin), 1 + margin)


@lru_cache(maxsize=256)
def smaller_than(bound: float) -> tuple[float, ...]:
    """Ratios that are bet on against `bound`, which is 1 or more: ever further below it.

    Their distances double, as what a bet wins depends on how far it is from where it should be, in
    proportion. Above 1 they begin half of the way to it, so that 1 is one of them.
    """
    distance, ratios = log(bound) / 2 if bound > 1 else log(2) / 8, []
    while distance < log(_LARGEST * bound):
        ratios.append(bound * exp(-distance))
        distance *= 2
    return tuple(ratios)


def log_unequal(splits: Iterable[Split]) -> float:
    """The natural logarithm of the e-value against "both rates are equal"."""
    return log_won(splits, UNEQUAL)


def ratio_interval(splits: Sequence[Split], alpha: float = 0.05) -> tuple[float, float]:
    """The interval of the ratio of rates that covers the true one at all times with 1 - alpha.

    If it is the same at all times: those ratios against which a mixture of bets on all others has
    not won 1 / alpha. (0, inf) without events.
    """
    shares, ours, theirs = _columns(splits)
    if not ours.sum() + theirs.sum():
        return 0.0, inf

    def likelihood(log_ratio: Floats | float) -> Floats:
        ratio = np.exp(np.asarray(log_ratio))[..., None]
        whole = np.log(shares * ratio + 1 - shares)
        return np.asarray((ours * (np.log(ratio) - whole) - theirs * whole).sum(axis=-1))

    fine = likelihood(np.log(_FINE))
    least = float(np.logaddexp.reduce(fine)) - log(len(_FINE)) + log(alpha)
    middle = _likeliest(shares, ours, theirs)
    lower, upper = -40.0, 40.0
    if ours.sum() and float(likelihood(lower)) < least:
        lower = float(brentq(lambda at: float(likelihood(at)) - least, lower, middle))
    if theirs.sum() and float(likelihood(upper)) < least:
        upper = float(brentq(lambda at: float(likelihood(at)) - least, middle, upper))
    return exp(lower) if lower > -40 else 0.0, exp(upper) if upper < 40 else inf


def likeliest_ratio(splits: Sequence[Split]) -> float | None:
    """The ratio of rates under which the events were most likely; None without events."""
    shares, ours, theirs = _columns(splits)
    if not ours.sum() + theirs.sum():
        return None
    if not ours.sum():
        return 0.0
    return exp(_likeliest(shares, ours, theirs)) if theirs.sum() else inf


def _columns(splits: Sequence[Split]) -> Floats:
    """Shares, events of the candidate, events of the other arm: (3, stretches)."""
    return np.array(splits, dtype=np.float64).reshape(-1, 3).T


def _likeliest(shares: Floats, ours: Floats, theirs: Floats) -> float:
    """The logarithm of the likeliest ratio, within 40 of nought."""
    count = ours + theirs

    def slope(at: float) -> float:
        weighted = shares * exp(at)
        return float((ours - count * weighted / (weighted + 1 - shares)).sum())

    if slope(-40.0) <= 0:
        return -40.0
    if slope(40.0) >= 0:
        return 40.0
    return float(brentq(slope, -40.0, 40.0))


def log_sum(logarithms: Sequence[float]) -> float:
    """The logarithm of the sum of numbers given by their logarithms, of which one is finite."""
    largest = max(logarithms)
    return largest + log(sum(exp(each - largest) for each in logarithms))
