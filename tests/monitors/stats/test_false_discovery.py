"""Many p-values together, against an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from monitors.stats.false_discovery import benjamini_yekutieli


@pytest.mark.parametrize("seed", range(20))
def test_the_same_are_rejected_as_by_scipy(seed: int) -> None:
    """Some hypotheses are false, by much or by little; ties are there too."""
    rng = np.random.default_rng(seed)
    p_values = np.round(rng.uniform(size=200) ** rng.choice([1, 4, 12], 200), 5)
    adjusted = false_discovery_control(p_values, method="by")
    found = benjamini_yekutieli(p_values, 0.05)
    assert (found == (adjusted <= 0.05)).all()
    assert found.any()


def test_of_no_hypotheses_none_is_rejected() -> None:
    """Nor of those that are all likely."""
    assert benjamini_yekutieli(np.zeros(0), 0.05).shape == (0,)
    assert not benjamini_yekutieli(np.full(5, 0.5), 0.05).any()
