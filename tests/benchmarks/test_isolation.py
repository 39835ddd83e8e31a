"""Bad candidates behave when they are verified and misbehave on live rows; windows are cut."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.isolation import models
from benchmarks.isolation.asking import Asked, within
from configs.errors import ModelFailed
from registry.trial import try_model
from serve.models.session import Session
from serve.rollout.invalid import Validity

IDLE = np.zeros((2, models.COLUMNS), np.float32)
LIVE = np.array([[3, 1, 0, 1], [4, 1, 0, 1]], np.float32)


def _outcome(made: bytes, rows: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> str:
    signature = try_model(made)
    try:
        answer = Session(made, signature, threads=1).run([rows])
    except ModelFailed:
        return "failed"
    if not Validity(signature).holds(answer, len(rows)):
        return "invalid"
    return str(answer[0].ravel().tolist())


@pytest.mark.parametrize(
    ("made", "live"),
    [
        pytest.param(models.good(), "[6.0, 7.0]", id="good"),
        pytest.param(models.failing(), "failed", id="fails"),
        pytest.param(models.not_a_number(), "invalid", id="nan"),
        pytest.param(models.wide(), "invalid", id="shape"),
        pytest.param(models.wide(megabytes=1), "invalid", id="large"),
    ],
)
def test_a_bad_candidate_misbehaves_on_live_rows_only(made: bytes, live: str) -> None:
    """Else it would be refused at its registration."""
    assert _outcome(made, IDLE) == "[1.0, 1.0]"
    assert _outcome(made, LIVE) == live


def test_a_window_has_what_was_due_in_it() -> None:
    """Failures count, and have no part in the latencies."""
    asked = [Asked(at, 0.1 * at, "1", "stable", None) for at in range(10)]
    asked.append(Asked(4.0, 9.0, "", "", "500"))

    met = within(asked, [(2.0, 5.0), (7.0, 8.0)])

    assert (met.requests, met.failures) == (5, ("500",))
    assert met.longest_s == pytest.approx(0.7)
