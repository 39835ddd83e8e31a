"""A quick look at a panel: whether anything can have enough evidence at all.

A look that makes every signal takes ten times as long as the rows between two looks. Wherever
evidence is held, in whatever detector, there is a `log_wealth`; no subject's e-value is above the
largest of them, and no subject needs less than the one that has the whole budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from monitors.panel import Panel

Wealth = Callable[[], NDArray[np.float64] | float]


def held(panel: Panel) -> list[Wealth]:
    """Whatever tells logarithms of e-values, found by going through all that a panel is made of."""
    found: list[Wealth] = []
    seen: set[int] = set()
    waiting: list[object] = [panel]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        wealth = getattr(each, "log_wealth", None)
        if callable(wealth):
            found.append(wealth)
        else:
            waiting.extend(_within(each))
    return found


def largest(wealth: list[Wealth]) -> float:
    """The largest logarithm of an e-value."""
    return float(np.concatenate([[-np.inf], *(np.ravel(each()) for each in wealth)]).max())


def _within(thing: object) -> Iterator[object]:
    if isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif type(thing).__module__.startswith("monitors."):
        yield from getattr(thing, "__dict__", {}).values()
        for name in getattr(type(thing), "__slots__", ()):
            yield getattr(thing, name, None)
