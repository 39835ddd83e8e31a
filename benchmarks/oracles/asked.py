"""What is compared: a figure of Weir's, and whose function is asked for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = 1e-9

Data = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Weir's figures under the name of a measure, and the library and function that has them too.

    Where the definition is another, `differs` says how, and `allowed` how far apart they may be,
    if that is known.
    """

    measure: str
    library: str
    function: str
    ours: tuple[float, ...]
    differs: str = ""
    allowed: float = ALLOWED


@dataclass(frozen=True, slots=True)
class Case:
    """Rows, and what is asked about them."""

    data: Data
    asked: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure over all cases: so many figures, and how far from another's the farthest was.

    `held`: none was farther than is allowed; None where any distance is.
    """

    measure: str
    library: str
    function: str
    differs: str
    figures: int
    largest: float
    held: bool | None


def apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How far figures are from another's: absolute, or relative to what is larger than one.

    Endless where one has a figure that the other lacks, or both have another number of them.
    """
    if len(ours) != len(theirs):
        return inf
    one, other = np.array(ours, dtype=np.float64), np.array(theirs, dtype=np.float64)
    if (np.isnan(one) | np.isnan(other)).any():
        return inf
    return float((np.abs(one - other) / np.maximum(1, np.abs(other))).max(initial=0.0))


def compared(asked: Sequence[Asked], theirs: Sequence[Sequence[float]]) -> list[Compared]:
    """One line for each measure and function, in the order in which they were asked."""
    lines: dict[tuple[str, str, str], list[tuple[Asked, float]]] = {}
    for each, other in zip(asked, theirs, strict=True):
        key = each.measure, each.library, each.function
        lines.setdefault(key, []).append((each, apart(each.ours, other)))
    return [_line(found) for found in lines.values()]


def _line(found: Sequence[tuple[Asked, float]]) -> Compared:
    first = found[0][0]
    free = all(isinf(each.allowed) for each, _ in found)
    return Compared(
        first.measure,
        first.library,
        first.function,
        first.differs,
        sum(len(each.ours) for each, _ in found),
        max(far for _, far in found),
        None if free else all(far <= each.allowed for each, far in found),
    )
