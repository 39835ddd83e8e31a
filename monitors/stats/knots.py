"""Losses spread on knots: what a bet on their mean has to know of them, and no more.

The logarithm of a bet's pay-off, log(1 + f (loss - bound)), is concave in the loss. So the straight
lines between its values at a few knots lie nowhere above it: a bet that is paid by them is paid too
little, and never too much. What it wins over many losses is then linear in how much of them lies on
each knot. For losses that are 0 or 1 the lines are exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KNOTS = np.linspace(0.0, 1.0, 17)


def on_knots(losses: Floats) -> Floats:
    """Each loss shared between the two knots beside it, shape (rows, knots): its mean is kept.

    `losses` (rows,) lie in [0, 1]; a row of NaN lies on no knot.
    """
    known = ~np.isnan(losses)
    places = np.where(known, losses, 0.0) * (len(KNOTS) - 1)
    lower = np.minimum(places.astype(np.intp), len(KNOTS) - 2)
    upper_share = places - lower
    rows = np.arange(len(losses))
    shares = np.zeros((len(losses), len(KNOTS)))
    shares[rows, lower] = (1.0 - upper_share) * known
    shares[rows, lower + 1] = upper_share * known
    return shares
