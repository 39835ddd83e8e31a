"""Requests that break the contract alarm by evidence when they are more than one in a hundred."""

from dataclasses import replace

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.quality.refused_requests import RefusedRequests
from monitors.signal import Signal, Verdict
from tests.monitors.samples import CARD, block, columns, part

EMPTY = part(block(columns(np.random.default_rng(0), 1)), 0, 0)
SETTINGS = Monitors(alarm_budget=0.01 / 30)


def after(share: float, requests: int, before: int = 1000) -> Signal:
    """The signal after clean requests, and some of which a share was refused; a second a block."""
    detector = RefusedRequests(CARD, None, SETTINGS)
    rng = np.random.default_rng(1)
    for at in range(0, before + requests, 100):
        refused = int(rng.binomial(100, share if at >= before else 0.002))
        detector.update(replace(EMPTY, answered=100 - refused, refused=refused))
    (signal,) = detector.signals()
    return signal


@pytest.mark.parametrize(("share", "requests"), [(0.05, 1000), (0.3, 200), (1.0, 100)])
def test_a_share_well_above_is_found(share: float, requests: int) -> None:
    """One in twenty within 1,000 requests; all of them at once."""
    signal = after(share, requests)
    assert signal.verdict is Verdict.ALARM
    assert signal.rows == 1000 + requests


@pytest.mark.parametrize("share", [0.0, 0.005, 0.012])
def test_a_share_at_or_below_is_not(share: float) -> None:
    """Nor one that is barely above, over 30,000 requests."""
    assert after(share, 30_000).verdict is Verdict.OK


def test_no_requests_are_no_data() -> None:
    """Rows without a count of requests say nothing."""
    detector = RefusedRequests(CARD, None, SETTINGS)
    detector.update(replace(block(columns(np.random.default_rng(2), 500)), answered=0))
    (signal,) = detector.signals()
    assert signal.verdict is Verdict.INSUFFICIENT_DATA
