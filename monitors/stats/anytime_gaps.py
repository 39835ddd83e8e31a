"""Two shares that differ by more than is allowed: evidence and intervals that hold at every look.

Rows come from two streams, each row a hit with the chance of its stream: p in the first, q in the
second. What a mixture of bets has won against the pair (p, q) is

    W(p, q) = M1 M2 / (p^hits1 (1-p)^misses1 q^hits2 (1-q)^misses2)

where M is the chance of the rows of a stream, in their order, under a mixture of all chances. It
is a martingale of mean one for the true pair, in whatever order the streams take turns. So

- the least of W over all allowed pairs is at most what is won against the true pair if that one is
  allowed: an e-process for "the pair is allowed" (Wasserman, Ramdas, Balakrishnan, Universal
  inference, 2020; Ramdas, Grünwald, Vovk, Shafer, Game-theoretic statistics, 2023, section 3);
- the gaps p - q, and the ratios p / q, for which some pair has W < 1 / alpha are an interval that
  covers the true one at all times at once with a chance of at least 1 - alpha (Ville).

Both need the largest likelihood along a line, which is the root of a cubic for a gap and of a
quadratic for a ratio (Miettinen, Nurminen 1985; Farrington, Manning 1990). Hits and rows are in the
last dimension of all arrays of counts; the others are of any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | NDArray[np.float64]

_HALVINGS = 26
"""Bounds are right to eight digits behind the point, which is more than anybody reads."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Pairs of shares that differ by at most `gap`, the smaller at least `ratio` of the larger."""

    gap: float = 1.0
    ratio: float = 0.0


def log_mixture(counts: Counts, prior: Counts | None = None) -> Floats:
    """Logarithm of the chance of the rows, in their order, under a mixture of all chances.

    The prior is Beta(1/2, 1/2); where hits and rows are known from elsewhere, half of it is what
    they leave of that. Any prior is as valid; one that is near the truth wins more.
    """
    hits, misses = _split(counts)
    plain = betaln(hits + 0.5, misses + 0.5) - betaln(0.5, 0.5)
    if prior is None:
        return np.asarray(plain)
    known, others = _split(prior)
    told = betaln(hits + known + 0.5, misses + others + 0.5) - betaln(known + 0.5, others + 0.5)
    return np.asarray(np.logaddexp(plain, told) - log(2))


def log_evidence(first: Counts, second: Counts, log_won: Floats, allowed: Allowed) -> Floats:
    """Logarithm of the e-value for "the two shares are an allowed pair".

    `log_won` is the sum of both streams' `log_mixture`, of the shape of the result.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = _share(first), _share(second)
    # A share of which nothing is known is whatever the other one allows.
    p, q = np.where(np.isnan(p), q, p), np.where(np.isnan(q), p, q)
    close = np.abs(p - q) <= allowed.gap
    outside = ~(close & (np.minimum(p, q) >= allowed.ratio * np.maximum(p, q)) | np.isnan(p))
    most = _log_likelihood(first, p) + _log_likelihood(second, q)
    most = np.where(np.isnan(p), 0.0, most)
    if outside.any():
        one, other = first[outside], second[outside]
        edges = _edge_above(one, other, allowed), _edge_above(other, one, allowed)
        most[outside] = np.maximum(*edges)
    return np.asarray(log_won - most)


def anytime_gap(
    first: Counts, second: Counts, log_won: Floats, alpha: float = 0.05
) -> tuple[Floats, Floats]:
    """The interval of p - q at every look at once; (-1, 1) where a stream has no rows."""

    def log_likelihood(gap: Floats) -> Floats:
        above = (gap >= 0)[..., None]
        high, low = np.where(above, first, second), np.where(above, second, first)
        return _along_gap(high, low, np.abs(gap), np.abs(gap))

    some = (first[..., 1] > 0) & (second[..., 1] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(some, _share(first) - _share(second), 0.0)
        limit = log_won + log(alpha)
        lower, upper = _last_inside(log_likelihood, limit, middle, (-1.0, 1.0))
    return np.where(some, lower, -1.0), np.where(some, upper, 1.0)


def anytime_ratio(
    first: Counts, second: Counts, log_won: Floats, alpha: float = 0.05
) -> tuple[Floats, Floats]:
    """The interval of p / q at every look at once; (0, inf) where a stream has no rows."""

    def log_likelihood(part: Floats) -> Floats:
        ratio = part / (1 - part)
        return _along_ratio(second, first, ratio, np.minimum(1.0, 1 / ratio))

    # A ratio as p / (p + q), which lies between 0 and 1.
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = _share(first), _share(second)
        middle = p / (p + q)
        some = ~np.isnan(middle)
        middle = np.where(some, middle, 0.5)
        limit = log_won + log(alpha)
        lower, upper = _last_inside(log_likelihood, limit, middle, (0.0, 1.0))
        bounds = lower / (1 - lower), upper / (1 - upper)
    return np.where(some, bounds[0], 0.0), np.where(some, bounds[1], np.inf)


def _last_inside(
    log_likelihood: Callable[[Floats], Floats],
    limit: Floats,
    point: Floats,
    ends: tuple[float, float],
) -> Floats:
    """Where the likelihood falls below the limit between a point and either end, on the far side.

    Both ends at once, along a first dimension.
    """
    inside = np.stack([point, point])
    outside = np.stack([np.full_like(point, end) for end in ends])
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        holds = log_likelihood(middle) > limit
        inside = np.where(holds, middle, inside)
        outside = np.where(holds, outside, middle)
    return outside


def _edge_above(high: Counts, low: Counts, allowed: Allowed) -> Floats:
    """The largest likelihood where the share of `high` is above by just as much as is allowed."""
    # Where both limits meet: below it the ratio binds, above it the gap.
    corner = allowed.gap / (1 - allowed.ratio) if allowed.ratio < 1 else np.inf
    best = np.full(high.shape[:-1], -np.inf)
    if corner <= 1:
        best = _along_gap(high, low, np.full_like(best, allowed.gap), np.full_like(best, corner))
    if allowed.ratio > 0:
        ratio, most = np.full_like(best, allowed.ratio), np.full_like(best, min(corner, 1.0))
        best = np.maximum(best, _along_ratio(high, low, ratio, most))
    return best


def _along_gap(high: Counts, low: Counts, gap: Floats, least: Floats) -> Floats:
    """The largest likelihood with p - q = gap, p of `high` and at least `least`; gap from 0 to 1.

    The likelihood's slope is a cubic in p over what is positive, of whose roots the middle one lies
    between gap and 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q, times = _share(high), _share(low), low[..., 1] / high[..., 1]
        a = 1 + times
        b = -(1 + times + p + times * q + gap * (times + 2)) / a
        c = (gap * gap + gap * (2 * p + times + 1) + p + times * q) / a
        d = -p * gap * (1 + gap) / a
        cube = b**3 / 27 - b * c / 6 + d / 2
        size = np.sqrt(np.maximum(b * b / 9 - c / 3, 0.0))
        turned = np.where(cube < 0, -size, size)
        angle = np.arccos(np.clip(cube / turned**3, -1.0, 1.0))
        root = 2 * turned * np.cos((np.pi + angle) / 3) - b / 3
    # Of three roots in one, the angle is not known and does not matter.
    share = np.clip(np.where(np.isnan(root), -b / 3, root), np.maximum(least, gap), 1.0)
    return _log_likelihood(high, share) + _log_likelihood(low, share - gap)


def _along_ratio(high: Counts, low: Counts, ratio: Floats, most: Floats) -> Floats:
    """The largest likelihood with q = ratio p, p of `high` and at most `most`."""
    hits = high[..., 0] + low[..., 0]
    half = high[..., 1] + low[..., 0] + ratio * (low[..., 1] + high[..., 0])
    square = half * half - 4 * ratio * (high[..., 1] + low[..., 1]) * hits
    with np.errstate(divide="ignore", invalid="ignore"):
        root = 2 * hits / (half + np.sqrt(np.maximum(square, 0.0)))
    share = np.clip(np.where(np.isnan(root), 0.0, root), 0.0, most)
    return _log_likelihood(high, share) + _log_likelihood(low, ratio * share)


def _log_likelihood(counts: Counts, share: Floats) -> Floats:
    hits, misses = _split(counts)
    share = np.clip(share, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(xlogy(hits, share) + xlog1py(misses, -share))


def _split(counts: Counts) -> tuple[Floats, Floats]:
    hits = counts[..., 0].astype(np.float64)
    return hits, counts[..., 1] - hits


def _share(counts: Counts) -> Floats:
    return np.asarray(counts[..., 0] / counts[..., 1], dtype=np.float64)
