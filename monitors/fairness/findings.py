"""What the counts of a group say beside those of all others: a difference with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from monitors.fairness.cells import BET, NOW
from monitors.fairness.measures import RESIDUAL_PARTS, Measure
from monitors.stats.anytime_gaps import (
    Allowed,
    anytime_gap,
    anytime_ratio,
    log_evidence,
    log_mixture,
)
from monitors.stats.anytime_residuals import anytime_residual, log_residual_evidence
from monitors.stats.intervals import Z95, log_ratio, newcombe, wilson

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Interval = tuple[float, float]

ALPHA = 0.05
"""How often an interval may leave out the truth."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What the reference counted of each cell and of its others: hits and rows, (cells, 2)."""

    own: Counts
    others: Counts


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference from all others (of calibration: from the scores) with its 95 % interval.

    `outside`: the interval that holds at every look is wholly outside of what is allowed. `inside`:
    the one for this look is wholly inside. `beyond`: the value itself is outside. `times` says how
    many times the rows would be enough, about, for the interval of one look to be on one side;
    infinite where none would.
    """

    value: float
    lower: float
    upper: float
    outside: bool
    inside: bool
    beyond: bool
    times: float
    told: str


def evidence(
    measure: Measure, own: Counts, others: Counts, allowed: Allowed, prior: Prior | None
) -> Floats:
    """Logarithms of e-values for "it is as is allowed", from counts of shape (..., shares, 2).

    Of several shares it is the mean of their e-values, which is an e-value too.
    """
    if measure.of_scores:
        return log_residual_evidence(_residuals(own[..., 0, :]), allowed.gap)
    each = []
    for at in range(own.shape[-2]):
        one, other = own[..., at, :], others[..., at, :]
        each.append(log_evidence(one, other, _won(one, other, prior), allowed))
    return np.asarray(np.logaddexp.reduce(each, axis=0) - log(len(each)))


def find(
    measure: Measure, own: Counts, others: Counts, allowed: Allowed, prior: Prior | None
) -> list[Finding]:
    """What is found of each cell, from counts of shape (cells, 2, shares, 2), now and bet on.

    There must be rows of each share in each cell, and in its others unless scores are compared.
    """
    if measure.of_scores:
        return _of_scores(own[:, :, 0], allowed.gap)
    shares = own.shape[2]
    each = [
        _of_share(
            f"{measure.what}{measure.shares[at]}",
            (own[:, :, at], others[:, :, at]),
            allowed,
            prior,
            ALPHA / shares,
        )
        for at in range(shares)
    ]
    return [_largest(found) for found in zip(*each, strict=True)]


class _Place(NamedTuple):
    """Where an estimate and its intervals lie beside a limit to either side of zero."""

    outside: bool
    inside: bool
    beyond: bool
    times: float


def _place(value: float, now: Interval, always: Interval, limit: float) -> _Place:
    inside = -limit <= now[0] and now[1] <= limit
    clear = inside or now[0] > limit or now[1] < -limit
    distance = abs(abs(value) - limit)
    # The width shrinks with the square root of the rows.
    times = ((now[1] - now[0]) / 2 / distance) ** 2 if distance > 0 else inf
    return _Place(
        always[0] > limit or always[1] < -limit, inside, abs(value) > limit, 1.0 if clear else times
    )


def _together(places: Sequence[_Place]) -> _Place:
    """One outside is enough; all must be inside."""
    beyond = [place.times for place in places if place.beyond]
    times = min(beyond) if beyond else max(place.times for place in places)
    return _Place(
        any(place.outside for place in places),
        all(place.inside for place in places),
        bool(beyond),
        times,
    )


def _of_share(
    what: str,
    counts: tuple[Counts, Counts],
    allowed: Allowed,
    prior: Prior | None,
    alpha: float,
) -> list[Finding]:
    """What is found of one share in each cell and its others, both (cells, 2, 2)."""
    own, others = counts
    won = _won(own[:, BET], others[:, BET], prior)
    gaps = np.stack(anytime_gap(own[:, BET], others[:, BET], won, alpha), axis=1).tolist()
    ratios = np.zeros((len(own), 2))
    if allowed.ratio:
        ratios = np.stack(anytime_ratio(own[:, BET], others[:, BET], won, alpha), axis=1)
    z = Z95 if alpha == ALPHA else -float(ndtri(alpha / 2))
    found = []
    for cell, (gap, ratio) in enumerate(zip(gaps, ratios.tolist(), strict=True)):
        one, other = own[cell, NOW].tolist(), others[cell, NOW].tolist()
        share, theirs = one[0] / one[1], other[0] / other[1]
        lower, upper = newcombe(one, other, z)
        places = [_place(share - theirs, (lower, upper), gap, allowed.gap)]
        low, high = wilson(*one)
        told = (
            f"{what} {share:.3f} ({low:.3f} to {high:.3f}), others {theirs:.3f}; "
            f"at any look {gap[0]:+.3f} to {gap[1]:+.3f}"
        )
        if allowed.ratio:
            now = log_ratio(one, other, z)
            value = (one[0] + 0.5) / (one[1] + 0.5) / ((other[0] + 0.5) / (other[1] + 0.5))
            logs = (_log(now[0]), _log(now[1])), (_log(ratio[0]), _log(ratio[1]))
            places.append(_place(log(value), *logs, -log(allowed.ratio)))
            told += f"; ratio {value:.3f} ({now[0]:.3f} to {now[1]:.3f})"
        found.append(Finding(share - theirs, lower, upper, *_together(places), told))
    return found


def _largest(found: Sequence[Finding]) -> Finding:
    """Several shares as one finding: the larger of their gaps, in size, with bounds of that."""
    if len(found) == 1:
        return found[0]
    largest = max(found, key=lambda each: abs(each.value))
    times = [each.times for each in found if not each.inside] or [1.0]
    return Finding(
        value=abs(largest.value),
        lower=max(max(0.0, each.lower, -each.upper) for each in found),
        upper=max(max(-each.lower, each.upper) for each in found),
        outside=any(each.outside for each in found),
        inside=all(each.inside for each in found),
        beyond=any(each.beyond for each in found),
        times=max(times),
        told="; ".join(each.told for each in found),
    )


def _of_scores(own: Counts, gap: float) -> list[Finding]:
    now, bet_on = _residuals(own[:, NOW]), _residuals(own[:, BET])
    bounds = np.stack(anytime_residual(bet_on, ALPHA), axis=1).tolist()
    found = []
    for (total, rows), always in zip(now.tolist(), bounds, strict=True):
        mean = total / rows
        # A residual has a range of one, so a deviation of a half at most.
        half = Z95 / 2 / sqrt(rows)
        lower, upper = max(mean - half, -1.0), min(mean + half, 1.0)
        place = _place(mean, (lower, upper), always, gap)
        told = f"labels less scores {mean:+.3f}; at any look {always[0]:+.3f} to {always[1]:+.3f}"
        found.append(Finding(mean, lower, upper, *place, told))
    return found


def _won(own: Counts, others: Counts, prior: Prior | None) -> Floats:
    if prior is None:
        return log_mixture(own) + log_mixture(others)
    return log_mixture(own, prior.own) + log_mixture(others, prior.others)


def _residuals(counts: Counts) -> Floats:
    return np.asarray(counts / np.array([RESIDUAL_PARTS, 1.0]))


def _log(ratio: float) -> float:
    return log(ratio) if ratio > 0 else -inf
