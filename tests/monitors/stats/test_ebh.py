"""e-BH rejects what its definition says, and nothing before one e-value suffices alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitors.stats.ebh import e_bh, first_then_e_bh


@given(st.lists(st.floats(-5, 12), min_size=1, max_size=12), st.sampled_from([0.01, 0.1, 0.5]))
def test_e_bh_agrees_with_its_definition(logs: list[float], budget: float) -> None:
    """The rejected ones are the k largest for the greatest k that passes, tried one by one."""
    log_e = np.array(logs)
    m = len(logs)
    best = 0
    for k in range(1, m + 1):
        if sorted(logs, reverse=True)[k - 1] >= np.log(m / budget) - np.log(k):
            best = k
    rejected = e_bh(log_e, budget, m)
    assert rejected.sum() >= best
    if best:
        assert rejected.min(where=log_e >= np.sort(log_e)[-best], initial=True)
    else:
        assert not rejected.any()


def test_two_middling_values_do_not_raise_the_first_alarm() -> None:
    """e-BH alone would reject two values of m/(2 budget); the first alarm needs m/budget."""
    log_e = np.log([160.0, 160.0, 1.0])
    assert e_bh(log_e, 0.01, 3).sum() == 2
    assert not first_then_e_bh(log_e, 0.01, 3).any()
    assert first_then_e_bh(np.log([301.0, 160.0, 1.0]), 0.01, 3).tolist() == [True, True, False]


def test_nothing_to_weigh_rejects_nothing() -> None:
    """No hypotheses, no rejections."""
    assert len(first_then_e_bh(np.zeros(0), 0.01, 1)) == 0
