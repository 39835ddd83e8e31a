"""Which of many p-values are small enough together, whatever they have to do with one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def benjamini_yekutieli(p_values: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected, so that the expected share of false ones is at most `level`.

    Under any dependence (Benjamini, Yekutieli, The control of the false discovery rate in multiple
    testing under dependency, 2001, theorem 1.3).
    """
    hypotheses = len(p_values)
    if not hypotheses:
        return np.zeros(0, dtype=np.bool_)
    places = np.arange(1, hypotheses + 1)
    allowed = level * places / (hypotheses * (1 / places).sum())
    passed = np.flatnonzero(np.sort(p_values) <= allowed)
    limit = allowed[passed[-1]] if len(passed) else -1.0
    return np.asarray(p_values <= limit, dtype=np.bool_)
