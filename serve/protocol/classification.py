"""The highest classes of an output in its place (v2 classification extension)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


def highest(values: NDArray[Any], classes: int, *, batched: bool) -> NDArray[np.object_]:
    """Give `value:index` for the highest elements of each row, highest first, lowest index first.

    Shape [rows, k] of strings, or [k] for a model without rows; k is at most a row's elements.
    """
    count = len(values) if batched else 1
    rows = values.reshape(count, prod(values.shape[1:]) if batched else values.size)
    kept = min(classes, rows.shape[1])
    # Whole numbers are not made negative, nor floating: either would lose some of them.
    downward = -rows if values.dtype.kind == "f" else ~rows
    order = np.argsort(downward, axis=1, kind="stable")[:, :kept]
    number = "{:f}".format if values.dtype.kind == "f" else str
    named = np.empty(order.shape, dtype=object)
    for row, places in enumerate(order):
        named[row] = [f"{number(rows[row, place])}:{place}" for place in places]
    return named if batched else named[0]
