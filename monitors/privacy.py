"""What must not be told of few people: rare names, small groups, and edges that are somebody's.

Ten rows are few: the rule is a convention of official statistics, not a proof of anonymity.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import floor, log10
from pathlib import Path
from traceback import extract_tb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import WeirError

ROWS_TOLD_MIN = 10
"""Fewer rows than these are never told of by name or by number."""

RARE = "(rare)"

_PARTS_MIN = 4
_DIGITS_MAX = 300


def told(name: str, reference_rows: int, live_rows: int) -> str:
    """A name, if enough rows of the reference or enough live ones have it; else `(rare)`."""
    return name if max(reference_rows, live_rows) >= ROWS_TOLD_MIN else RARE


class Withheld(NamedTuple):
    """Groups whose numbers are not told: the small, and those that they could be had from."""

    small: frozenset[str]
    with_them: frozenset[str]


def withheld(rows: Mapping[str, int], nobody: Collection[str] = ()) -> Withheld:
    """Which groups' numbers to withhold, by how many rows each has.

    Whoever knows the total and all groups but one has that one by subtraction. So with a small
    group the next smallest is withheld, and more until those withheld have ten rows together.
    `nobody` names what is no group of people, such as rows without one: never small, and withheld
    first.
    """
    small = frozenset(
        name for name, count in rows.items() if count < ROWS_TOLD_MIN and name not in nobody
    )
    rest = sorted(rows.keys() - small, key=lambda name: (name not in nobody, rows[name], name))
    hidden = list(small)
    while (
        hidden and rest and (len(hidden) < 2 or sum(map(rows.__getitem__, hidden)) < ROWS_TOLD_MIN)
    ):
        hidden.append(rest.pop(0))
    return Withheld(small, frozenset(hidden) - small)


def blame(error: Exception) -> str:
    """What failed, and where; in the error's words only if they are ours: others quote values."""
    if isinstance(error, WeirError):
        return f"{type(error).__name__}: {error}"
    steps = extract_tb(error.__traceback__)
    where = f" in {Path(steps[-1].filename).name}, line {steps[-1].lineno}" if steps else ""
    return f"{type(error).__name__}{where}"


def coarse_edges(values: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Edges between at most so many quantile parts of finite values, that are nobody's values.

    There is no edge at the smallest and largest, at least ten values lie between two, and edges are
    rounded to about a thousandth of the span of all. Too few values have no edges.
    """
    parts = min(parts, len(values) // ROWS_TOLD_MIN)
    if parts < _PARTS_MIN:
        return np.zeros(0)
    edges = np.quantile(values, np.linspace(0, 1, parts + 1)[1:-1], method="inverted_cdf")
    with np.errstate(over="ignore"):
        span = float(edges[-1] - edges[0])
    if span == 0:
        # Half of the values and more are the same: it is nobody's in particular.
        return edges[:1]
    digits = 3 - floor(log10(span)) if np.isfinite(span) else _DIGITS_MAX + 1
    if abs(digits) > _DIGITS_MAX:
        return np.zeros(0)
    return np.unique(np.round(edges, digits))
