"""Shapley values of one row by walks from rows of a background to the row.

A walk begins at a row of the background and puts in the row's own values, one feature after the
other in a drawn order; what each step adds to the score belongs to its feature, so that the parts
of a walk add up to the score of the row less that of where it began. Every order is walked both
ways round, from the same row (antithetic; Mitchell, Cooper, Frank and Holmes, "Sampling
permutations for Shapley value estimation", 2022). The mean over walks estimates the Shapley values
of the game in which a coalition's worth is the mean score with all other features replaced
(Strumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
contributions", 2014).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitors.contributions.wish import SAMPLES_MIN
from monitors.profile.reading import Floats

Masks = NDArray[np.bool_]
Value = Callable[[Masks, NDArray[np.intp]], Floats]
"""Scores of rows that have the row's own value where a mask, (rows, features), is true, and else
that of a row of the background, which is named by number for each row."""

ROWS_AT_ONCE = 256
"""About so many rows run together, or as many as one pair of walks takes."""

_ORDERS = 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What each feature adds, with its standard error, both of shape (features,).

    `parts` add up to the score of the row less `base`, the mean score of the background. Errors are
    those of a mean over `samples` pairs of walks, which know the chance in orders and background.
    `runs` counts the rows that ran.
    """

    parts: Floats
    errors: Floats
    base: float
    base_error: float
    samples: int
    runs: int


def walked(
    features: int, score: float, value: Value, samples: int, seed: int, goes_on: Callable[[], bool]
) -> Parts:
    """The parts of a row of such a score, from at most so many pairs of walks, two at least.

    `goes_on` is asked before each batch of walks after the first.
    """
    orders = np.random.default_rng((seed, _ORDERS))
    length = 2 * features - 1
    at_once = max(SAMPLES_MIN, ROWS_AT_ONCE // length)
    parts: list[Floats] = []
    bases: list[Floats] = []
    done = 0
    while done < samples and (not done or goes_on()):
        pairs = min(at_once, samples - done)
        places = orders.random((pairs, features)).argsort(axis=1)
        begins = np.arange(done, done + pairs)
        values = value(coalitions(places), np.repeat(begins, length)).reshape(pairs, length)
        parts.append(steps(places, values, score))
        bases.append(values[:, 0])
        done += pairs
    each, base = np.concatenate(parts), np.concatenate(bases)
    return Parts(
        each.mean(axis=0),
        each.std(axis=0, ddof=1) / np.sqrt(done),
        float(base.mean()),
        float(base.std(ddof=1) / np.sqrt(done)),
        done,
        done * length,
    )


def coalitions(places: NDArray[np.intp]) -> Masks:
    """The rows that pairs of walks pass, (pairs * (2 * features - 1), features).

    `places` (pairs, features) says as the how many-th each feature is put in. First come the steps
    of the order, from nobody on, then those of its reverse, from the first one on; the whole row
    need not run again.
    """
    _, features = places.shape
    steps_there = np.arange(features)[:, None]
    there = places[:, None, :] < steps_there
    back = (features - 1 - places)[:, None, :] < steps_there[1:]
    return np.concatenate([there, back], axis=1).reshape(-1, features)


def steps(places: NDArray[np.intp], values: Floats, score: float) -> Floats:
    """What each feature added, by the scores of `coalitions`, (pairs, features)."""
    pairs, features = places.shape
    whole = np.full((pairs, 1), score)
    there = np.diff(np.concatenate([values[:, :features], whole], axis=1))
    back = np.diff(np.concatenate([values[:, :1], values[:, features:], whole], axis=1))
    added: Floats = (
        np.take_along_axis(there, places, axis=1)
        + np.take_along_axis(back, features - 1 - places, axis=1)
    ) / 2
    return added
