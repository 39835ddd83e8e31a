"""How much each feature matters to the score on the whole: the mean size of its contributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import hypot, inf

import numpy as np

from monitors.contributions.explained import Explainer
from monitors.contributions.wish import Wish
from monitors.profile.reading import Tensors
from monitors.profile.reference import Importance

ROWS = 32
"""So many rows stand for all."""

SAMPLES = 16
"""For each row. Chance makes sizes larger, and fewer samples more so: only the like is compared."""

_BUDGET_S = 0.25
_SURE = 4.0
"""Standard errors: of a thousand features that are as before, one is taken for another in ten
questions."""


def importance(
    explainer: Explainer, inputs: Tensors, clock: Callable[[], float]
) -> dict[str, Importance] | None:
    """The importance of each feature over rows, two at least; None where the model is too slow.

    `clock` gives seconds that never go back.
    """
    sizes = []
    for at in range(len(next(iter(inputs.values())))):
        began = clock()
        row = {name: tensor[at : at + 1] for name, tensor in inputs.items()}
        found = explainer.explain(row, Wish(samples=SAMPLES, budget_s=_BUDGET_S), inf)
        (explained,) = found.rows
        if explained.parts.samples < SAMPLES or clock() - began > _BUDGET_S:
            return None
        sizes.append(np.abs(explained.parts.parts))
    each = np.stack(sizes)
    errors = each.std(axis=0, ddof=1) / np.sqrt(len(each))
    return {
        name: Importance(value=value, error=error)
        for name, value, error in zip(
            explainer.features, each.mean(axis=0).tolist(), errors.tolist(), strict=True
        )
    }


def moved(before: Mapping[str, Importance], now: Mapping[str, Importance]) -> tuple[str, ...]:
    """The features that matter more or less than before, beyond doubt; the largest change first."""
    change = {
        name: abs(now[name].value - then.value) for name, then in before.items() if name in now
    }
    sure = [
        name
        for name, size in change.items()
        if size > _SURE * hypot(before[name].error, now[name].error)
    ]
    return tuple(sorted(sure, key=lambda name: -change[name]))
