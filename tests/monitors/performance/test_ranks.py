"""The order of scores: bins that rise with the score, and errors that are what samples show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from monitors.performance.figures import Estimate
from monitors.performance.measures import tally_of
from monitors.performance.ranks import area, average_precision, by_bin, largest_error, score_bins
from monitors.performance.rows import Rows
from registry.card import Task
from tests.monitors.performance.rows import judged

Floats = NDArray[np.float64]

SCORES = st.floats(allow_nan=False) | st.floats(-0.01, 1.01)


@given(st.lists(SCORES, min_size=2, max_size=50))
def test_a_higher_score_never_has_a_lower_bin(scores: list[float]) -> None:
    """Below nothing, between nothing and one, and beyond; infinities too."""
    bins = score_bins(np.array(sorted(scores)))
    assert (np.diff(bins) >= 0).all()


def test_bins_are_fine_at_both_ends_and_no_wider_than_a_five_hundredth() -> None:
    """Scores a thousandth of their distance from the end apart are told apart."""
    grid = np.linspace(0, 1, 501)
    assert (np.diff(score_bins(grid)) > 0).all()
    for tiny in 10.0 ** -np.arange(1, 9):
        near = np.array([0.0, tiny, tiny * 1.01, 1 - tiny * 1.01, 1 - tiny, 1.0])
        assert (np.diff(score_bins(near)) > 0).all()


def counts(scores: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Negatives and positives by bin."""
    tally = tally_of(Rows.of(Task.BINARY, judged(labels, scores)), ["auc"])
    return by_bin(tally, "scores")


def sample(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Scores that are all different, and labels that follow them a little."""
    scores = rng.beta(0.6, 1.4, rows)
    return scores, (rng.random(rows) < scores).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_area_is_as_near_as_is_said(seed: int) -> None:
    """With scores that share bins: no farther than the bound, which is small."""
    scores, labels = sample(np.random.default_rng(seed), 5000)
    found = counts(scores, labels)
    binned, most = area(*found), largest_error(*found)
    assert binned is not None
    assert abs(binned.value - roc_auc_score(labels, scores)) <= most < 0.002


def delong(scores: Floats, labels: Floats) -> float:
    """The standard error of the area, by all pairs (DeLong et al. 1988)."""
    some, none = scores[labels == 1][:, None], scores[labels == 0][None, :]
    wins = (some > none) + 0.5 * (some == none)
    return float(
        np.sqrt(
            wins.mean(axis=1).var(ddof=1) / len(wins)
            + wins.mean(axis=0).var(ddof=1) / wins.shape[1]
        )
    )


def test_the_error_of_the_area_is_delongs() -> None:
    """To nine digits, on scores that have bins of their own."""
    rng = np.random.default_rng(0)
    scores = rng.integers(1, 128, 800) / 128
    labels = (rng.random(800) < scores).astype(np.float64)
    found = area(*counts(scores, labels))
    assert found is not None
    assert found.deviation is not None
    assert found.deviation / np.sqrt(800) == pytest.approx(delong(scores, labels), rel=1e-9)


@pytest.mark.parametrize("measure", [area, average_precision])
def test_the_error_is_the_spread_of_many_samples(
    measure: Callable[[Floats, Floats], Estimate | None],
) -> None:
    """400 samples of 600 rows: the mean of what is said is within a tenth of what is seen."""
    rng = np.random.default_rng(1)
    found = [each for _ in range(400) if (each := measure(*counts(*sample(rng, 600))))]
    said = np.mean([(each.deviation or 0) / np.sqrt(each.rows) for each in found])
    assert len(found) == 400
    assert said == pytest.approx(np.std([each.value for each in found]), rel=0.1)


def test_a_perfect_order_is_not_taken_for_sure() -> None:
    """Without a single pair the wrong way round there is still an error."""
    scores = np.r_[np.linspace(0, 0.4, 60), np.linspace(0.6, 1, 60)]
    labels = np.r_[np.zeros(60), np.ones(60)]
    for found in (area(*counts(scores, labels)), average_precision(*counts(scores, labels))):
        assert found is not None
        assert found.value == 1
        interval = found.at_one_look(0.05)
        assert interval is not None
        assert 0.95 < interval[0] < 0.98


def test_one_kind_of_row_alone_has_no_order() -> None:
    """No positive, no negative, nothing."""
    empty, some = np.zeros(3), np.ones(3)
    assert area(some, empty) is None
    assert average_precision(empty, some) is None
    assert largest_error(empty, some) == 0
