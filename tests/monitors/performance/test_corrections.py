"""Corrected figures are right whatever scores mean, and never wider than labels alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.performance.calibrator import Rows, expectation_of
from monitors.performance.corrections import Corrections
from monitors.performance.estimates import Estimates
from monitors.performance.rectified import AllRows, Corrected, Labelled, corrected, labelled
from monitors.profile.truth import Truth
from monitors.stats.anytime_normal import at_one_look
from registry.card import Task
from tests.monitors.performance.samples import BINARY, Floats, binary, judged, truth


def corrected_of(lost: Floats, expected: Floats, others: Floats) -> Corrected:
    """From rows with a label and what was expected of the other rows."""
    every = AllRows(len(expected) + len(others), float(expected.sum() + others.sum()))
    sums = labelled(lost, expected, np.ones(len(lost), dtype=np.int8)).tolist()
    found = corrected(every, Labelled(len(lost), *sums[1:]))
    assert found is not None
    return found


def test_it_is_the_regression_estimator_of_survey_sampling() -> None:
    """Value and weight as numpy's least squares has them (Cochran 1977, 7.3)."""
    rng = np.random.default_rng(0)
    expected, others = rng.random(50), rng.random(950)
    lost = 0.7 * expected + 0.1 * rng.standard_normal(50)
    found = corrected_of(lost, expected, others)
    slope, cut = np.polyfit(expected, lost, 1)
    everywhere = np.concatenate([expected, others]).mean()
    assert found.weight == pytest.approx(slope)
    assert found.mean.value == pytest.approx(cut + slope * everywhere)
    left = np.sum((lost - cut - slope * expected) ** 2) / 48
    explained = slope**2 * expected.var(ddof=1)
    assert found.mean.error**2 == pytest.approx(left / 50 + explained / 1000)
    assert found.alone.error**2 == pytest.approx(lost.var(ddof=1) / 50)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=3, max_size=40),
    st.lists(st.floats(-5, 5), max_size=100),
)
def test_it_is_never_wider_than_labels_alone(
    pairs: list[tuple[float, float]], others: list[float]
) -> None:
    """Whatever was lost and expected, however many rows there are."""
    lost, expected = np.array(pairs).T
    found = corrected_of(lost, expected, np.array(others))
    assert found.mean.error <= found.alone.error
    assert found.alone.value == pytest.approx(lost.mean())


def test_what_says_nothing_is_given_no_weight_to_speak_of() -> None:
    """Constant expectations, none but labelled rows, and noise."""
    rng = np.random.default_rng(1)
    lost, noise = rng.standard_normal(400), rng.standard_normal(400)
    assert corrected_of(lost, np.full(400, 0.3), np.full(9000, 0.3)).weight == 0
    assert corrected_of(lost, lost, np.zeros(0)).weight == 0
    assert abs(corrected_of(lost, noise, rng.standard_normal(9000)).weight) < 0.15


def test_labels_that_are_taken_back_leave_nothing_behind() -> None:
    """A row that counts once and is taken back once is as if it had never come."""
    lost, expected = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.7, 0.2, 0.5, 0.9])
    signs = np.array([1, 1, 1, -1], dtype=np.int8)
    once = labelled(lost[:2], expected[:2], signs[:2])
    lost[3], expected[3] = lost[2], expected[2]
    assert labelled(lost, expected, signs) == pytest.approx(once)


Covered = dict[str, dict[str, float]]


def coverage(offset: float, seeds: int, share: float = 0.05) -> tuple[Covered, list[float]]:
    """How often intervals hold the truth, by measure and kind; and how wide the outcome's are.

    References of 4,000 rows, 10,000 live rows, a share of them with a label.
    """
    held: dict[str, dict[str, list[bool]]] = {}
    widths: list[float] = []
    for seed in range(seeds):
        rng = np.random.default_rng((2, seed))
        known = truth(BINARY, *binary(rng, 4000))
        many = binary(rng, 100_000, offset)
        scores, labels = many[0][:10_000], many[1][:10_000]
        estimates, corrections = both(known, scores, labels, rng.random(10_000) < share)
        decided = many[0] >= 0.5
        true = {"outcome": many[1].mean(), "accuracy": (decided == many[1]).mean()}
        true["brier"] = ((many[0] - many[1]) ** 2).mean()
        for name, value in true.items():
            found = corrections.figures()[name]
            kinds = {
                "estimated": estimates.figures()[name],
                "alone": found.alone,
                "corrected": found.mean,
            }
            for kind, each in kinds.items():
                lower, upper = each.interval(at_one_look())
                held.setdefault(name, {}).setdefault(kind, []).append(lower <= value <= upper)
        outcome = corrections.figures()["outcome"]
        widths.append(outcome.mean.error / outcome.alone.error)
    shares = {
        name: {kind: float(np.mean(each)) for kind, each in kinds.items()}
        for name, kinds in held.items()
    }
    return shares, widths


def both(
    known: Truth, scores: Floats, labels: Floats, has_label: np.ndarray
) -> tuple[Estimates, Corrections]:
    """Estimates of all rows, and their correction by those that have a label."""
    expectation = expectation_of(BINARY, known)
    assert expectation is not None
    rows = Rows(scores, None, (scores >= 0.5).astype(np.float64))
    estimates = Estimates(expectation, known)
    estimates.update(rows)
    corrections = Corrections(Task.BINARY, expectation, known)
    corrections.update(rows)
    block = judged(scores[has_label], labels[has_label])
    corrections.judge(block, np.ones(block.rows, dtype=np.bool_))
    return estimates, corrections


def test_under_concept_drift_the_correction_holds_the_truth_and_the_estimate_does_not() -> None:
    """Labels come true less often than scores say: 100 trials, of 95 % intervals."""
    shares, _ = coverage(-1.5, 100)
    for name in ("outcome", "accuracy", "brier"):
        assert shares[name]["corrected"] >= 0.88, shares
        assert shares[name]["alone"] >= 0.88, shares
        assert shares[name]["estimated"] <= 0.05, shares


def test_the_mean_outcome_gains_a_fifth_and_more() -> None:
    """At an AUC of 0.93, with a label for 5 % of the rows: narrower by 20 %, in every trial."""
    shares, widths = coverage(0.0, 40)
    assert max(widths) <= 0.8
    assert shares["outcome"]["corrected"] >= 0.85


def corrections_of(decided_share: dict[float, float], rows: int = 2000) -> Corrections:
    """Rows of both decisions, of each of which a share has a label."""
    rng = np.random.default_rng(3)
    scores, labels = binary(rng, rows)
    decisions = (scores >= 0.5).astype(np.float64)
    shares = np.where(decisions == 1, decided_share[1.0], decided_share[0.0])
    known = truth(BINARY, *binary(rng, 4000))
    return both(known, scores, labels, rng.random(rows) < shares)[1]


def test_labels_for_one_decision_only_are_noticed() -> None:
    """Loans that were refused are never paid back."""
    bare = corrections_of({1.0: 0.3, 0.0: 0.0}).uncovered()
    assert bare is not None
    assert (bare.decision, bare.labelled) == (0, 0)
    assert bare.rows > 900
    hardly = corrections_of({1.0: 0.3, 0.0: 0.005}).uncovered()
    assert hardly is not None
    assert hardly.labelled > 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 1.0])
def test_labels_for_all_decisions_are_enough(share: float) -> None:
    """Few labels, or none at all, are no reason for suspicion."""
    assert corrections_of({1.0: share, 0.0: share}).uncovered() is None
