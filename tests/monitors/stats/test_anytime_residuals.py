"""Evidence that labels are not as scores say is fair while they are, and finds it when not."""

from itertools import product

import numpy as np
import pytest

from monitors.stats import anytime_residuals
from monitors.stats.anytime_residuals import anytime_residual, log_residual_evidence
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

SCORES = np.array([0.5, 0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.5, 0.6, 0.4])


def check_means(gap: float, shifts: np.ndarray) -> None:
    """All outcomes of ten rows whose labels are as their scores say but for a shift each."""
    labels = np.array(list(product((0, 1), repeat=len(SCORES))))
    sums = np.stack([(labels - SCORES).sum(axis=1), np.full(len(labels), len(SCORES))], axis=1)
    chances = np.where(labels == 1, SCORES + shifts, 1 - SCORES - shifts).prod(axis=1)
    assert_mean_at_most_one(np.exp(log_residual_evidence(sums, gap)), chances)


@pytest.mark.parametrize("gap", [0.02, 0.1])
@pytest.mark.parametrize("way", [1.0, -1.0, 0.0])
def test_the_mean_is_at_most_one(gap: float, way: float) -> None:
    """All labels more often true by just what is allowed, all less often, or some of each."""
    check_means(gap, np.full(len(SCORES), way * gap))
    check_means(gap, way * gap * np.array([1, -1] * 5))


def test_a_broken_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """To take the variance of a row for a tenth of what it may be wins too much."""
    monkeypatch.setattr(anytime_residuals, "_A_ROW", 0.025)
    monkeypatch.setattr(anytime_residuals, "_TUNED", 0.5)
    with pytest.raises(AssertionError):
        check_means(0.02, np.zeros(len(SCORES)))


def sums(seed: int, rows: int, shift: float) -> np.ndarray:
    """Sums after each row of one stream."""
    rng = np.random.default_rng([5, seed])
    scores = rng.uniform(0.2, 0.8, rows)
    labels = rng.random(rows) < scores + shift
    return np.stack([(labels - scores).cumsum(), np.arange(1, rows + 1)], axis=1)


def test_no_alarm_at_the_edge_of_what_is_allowed() -> None:
    """Labels true more often by just what is allowed, 300 streams, a budget of 10 %."""
    assert_alarms_within(
        0.1,
        300,
        lambda seed: bool((log_residual_evidence(sums(seed, 500, 0.05), 0.05) >= np.log(10)).any()),
    )


def test_the_interval_covers_at_every_look_at_once() -> None:
    """300 streams of 500 rows, looked at after each."""
    covered = 0
    for seed in range(300):
        lower, upper = anytime_residual(sums(seed, 500, 0.1))
        covered += bool(((lower <= 0.1) & (upper >= 0.1)).all())
    assert covered >= 0.95 * 300
    assert [float(bound) for bound in anytime_residual(np.zeros(2))] == [-1, 1]


def test_scores_that_are_wrong_are_found() -> None:
    """Labels true more often by two tenths where a twentieth is allowed: beyond 1,000."""
    assert log_residual_evidence(sums(0, 600, 0.2), 0.05)[-1] > np.log(1000)
    assert log_residual_evidence(sums(0, 600, -0.2), 0.05)[-1] > np.log(1000)
