"""Which of many e-values are large enough together: the e-BH procedure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def e_bh(log_e: NDArray[np.float64], budget: float, hypotheses: int) -> NDArray[np.bool_]:
    """Which hypotheses e-BH rejects at `budget`, given natural logarithms of their e-values.

    The k largest are rejected for the greatest k whose k-th largest is at least
    hypotheses / (budget k). The expected share of false ones is at most `budget` under any
    dependence (Wang, Ramdas, False discovery rate control with e-values, 2022).
    """
    descending = np.sort(log_e)[::-1]
    needed = np.log(hypotheses / budget) - np.log(np.arange(1, len(log_e) + 1))
    passed = np.flatnonzero(descending >= needed)
    if not len(passed):
        return np.zeros(len(log_e), dtype=np.bool_)
    return np.asarray(log_e >= descending[passed[-1]], dtype=np.bool_)


def first_then_e_bh(
    log_e: NDArray[np.float64], budget: float, hypotheses: int
) -> NDArray[np.bool_]:
    """e-BH, but nothing is rejected until one e-value reaches hypotheses / budget by itself.

    Then, at whatever times one looks, the chance of any rejection while nothing has changed is
    at most `budget`: by Ville's inequality for each e-process in its own filtration, and a sum
    over hypotheses. (The e-BH bound alone holds at one time, or in a common filtration.)
    """
    if not len(log_e) or log_e.max() < np.log(hypotheses / budget):
        return np.zeros(len(log_e), dtype=np.bool_)
    return e_bh(log_e, budget, hypotheses)
