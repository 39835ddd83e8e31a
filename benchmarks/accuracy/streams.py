"""Streams of rows drawn from a seed: clean ones, ones with a rhythm, and ones that change.

All have `FEATURES` columns. A category is a small whole number, so that a stream is one matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

FEATURES = 30
REFERENCE_ROWS = 20_000
CLEAN_ROWS = 20_000
CHANGE_AT = 1_000
AFTER_ROWS = 4_000
"""Rows after a change in which it must be found to count as found."""

CATEGORICAL = tuple(range(20, FEATURES))
CHANGED_CATEGORY = 20
SHARES = (0.4, 0.3, 0.15, 0.10, 0.05)
GROWN = 3
GROWN_TO = 0.15
"""The category `GROWN` of the column `CHANGED_CATEGORY` goes from 10 % to this share."""

DAY_ROWS = 2_000
WAVE = 0.5
SESSION_ROWS = 20
SESSION_NOISE = 0.1

Draw = Callable[[np.random.Generator, int], Floats]
Change = Callable[[np.random.Generator, Floats], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of stream. `change` is made in place to all rows from `CHANGE_AT` on.

    `information` is what one row after the change tells, in nats, to somebody who knows both
    distributions: their Kullback-Leibler divergence.
    """

    name: str
    about: str
    draw: Draw
    rows: int = CLEAN_ROWS
    categorical: tuple[int, ...] = ()
    change: Change | None = None
    changed: int = 0
    information: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Reference rows and live rows, each of shape (rows, features)."""

    reference: Rows
    live: Rows


def make(scenario: Scenario, seed: int) -> Stream:
    """The stream of a scenario that belongs to a seed."""
    rng = np.random.default_rng([seed, crc32(scenario.name.encode())])
    reference = scenario.draw(rng, REFERENCE_ROWS)
    live = scenario.draw(rng, scenario.rows)
    if scenario.change is not None:
        scenario.change(rng, live[CHANGE_AT:])
    return Stream(reference.astype(np.float32), live.astype(np.float32))


def independent(rng: np.random.Generator, rows: int) -> Floats:
    """Standard normal features that know nothing of each other."""
    return rng.standard_normal((rows, FEATURES))


def correlated(rng: np.random.Generator, rows: int) -> Floats:
    """Standard normal features, each correlated by 0.7 with every other."""
    common = rng.standard_normal((rows, 1))
    return sqrt(0.7) * common + sqrt(0.3) * rng.standard_normal((rows, FEATURES))


def mixed(rng: np.random.Generator, rows: int) -> Floats:
    """Ten normal features, ten log-normal ones, and ten of two to twelve categories."""
    values = independent(rng, rows)
    values[:, 10:20] = np.exp(values[:, 10:20])
    for column in CATEGORICAL:
        values[:, column] = _categories(rng, rows, _shares(column))
    return values


def daily(rng: np.random.Generator, rows: int) -> Floats:
    """Independent features, ten of which rise and fall by half a standard deviation every day."""
    values = independent(rng, rows)
    values[:, :10] += WAVE * np.sin(2 * pi * np.arange(rows) / DAY_ROWS)[:, None]
    return values


def seconds(first: int, rows: int) -> Floats:
    """When rows of a daily stream come, from the first one at midnight on."""
    return np.arange(first, first + rows, dtype=np.float64) * (86_400 / DAY_ROWS)


def bursty(rng: np.random.Generator, rows: int) -> Floats:
    """Sessions of some twenty rows one after the other, those of a session nearly equal."""
    lengths = rng.geometric(1 / SESSION_ROWS, rows)
    user = np.repeat(np.arange(rows), lengths)[:rows]
    users = rng.standard_normal((int(user[-1]) + 1, FEATURES))
    noise = rng.standard_normal((rows, FEATURES))
    return (users[user] + SESSION_NOISE * noise) / sqrt(1 + SESSION_NOISE**2)


def shift(by: float) -> Change:
    """The first feature moves by so many standard deviations."""

    def change(_: np.random.Generator, rows: Floats) -> None:
        rows[:, 0] += by

    return change


def stretch(by: float) -> Change:
    """The spread of the first feature grows by a factor."""

    def change(_: np.random.Generator, rows: Floats) -> None:
        rows[:, 0] *= by

    return change


def grow_a_category(rng: np.random.Generator, rows: Floats) -> None:
    """A category of 10 % becomes one of 15 %, at the cost of all others in proportion."""
    rest = (1 - GROWN_TO) / (1 - SHARES[GROWN])
    shares = [GROWN_TO if at == GROWN else rest * share for at, share in enumerate(SHARES)]
    rows[:, CHANGED_CATEGORY] = _categories(rng, len(rows), np.array(shares))


def scale_information(by: float) -> float:
    """Nats a row of a normal distribution whose spread has grown by a factor."""
    return (by**2 - 1) / 2 - log(by)


def share_information(before: float, after: float) -> float:
    """Nats a row of an event whose chance has gone from one share to another."""
    return after * log(after / before) + (1 - after) * log((1 - after) / (1 - before))


def _shares(column: int) -> Floats:
    if column == CHANGED_CATEGORY:
        return np.array(SHARES)
    weights = 1 / np.arange(1, 3 + column - CATEGORICAL[0])
    return np.asarray(weights / weights.sum())


def _categories(rng: np.random.Generator, rows: int, shares: Floats) -> Floats:
    return np.searchsorted(np.cumsum(shares[:-1]), rng.random(rows), side="right").astype(float)


CLEAN = (
    Scenario("independent", "30 independent normal features", independent),
    Scenario(
        "correlated", "30 normal features, each correlated by 0.7 with all others", correlated
    ),
    Scenario(
        "mixed", "10 normal, 10 log-normal, 10 categorical features", mixed, categorical=CATEGORICAL
    ),
)
"""Nothing changes, and rows are exchangeable with the reference: what is promised must hold."""

RHYTHMIC = (
    Scenario("daily", "10 of 30 features follow the hour: half a deviation up and down", daily),
    Scenario("bursty", "sessions of some 20 rows, those of a session nearly equal", bursty),
)
"""Nothing changes, but rows are not exchangeable: what is promised rests on an assumption."""

_LONG = CHANGE_AT + AFTER_ROWS
CHANGING = (
    Scenario("placebo", "nothing changes", independent, _LONG, change=shift(0.0)),
    *(
        Scenario(
            f"shift {by:g}",
            f"one of 30 normal features moves by {by:g} standard deviations",
            independent,
            _LONG,
            change=shift(by),
            information=by**2 / 2,
        )
        for by in (0.25, 0.5, 1.0)
    ),
    Scenario(
        "scale 1.5",
        "the spread of one of 30 normal features grows by half",
        independent,
        _LONG,
        change=stretch(1.5),
        information=scale_information(1.5),
    ),
    Scenario(
        "category 10 to 15 %",
        "a category of one of 10 categorical and 20 other features goes from 10 to 15 %",
        mixed,
        _LONG,
        CATEGORICAL,
        change=grow_a_category,
        changed=CHANGED_CATEGORY,
        information=share_information(SHARES[GROWN], GROWN_TO),
    ),
)
"""What changes does so after `CHANGE_AT` clean rows."""

SCENARIOS = {scenario.name: scenario for scenario in (*CLEAN, *RHYTHMIC, *CHANGING)}
