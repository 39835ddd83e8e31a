"""Every measure is what scikit-learn says, and counts of parts add up to those of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from monitors.labels.judged import JudgedBlock
from monitors.performance.figures import Share
from monitors.performance.measures import COUNTED, figure, of, tally_of
from monitors.performance.rows import Rows
from monitors.performance.tally import Tally
from registry.card import Task
from registry.measures import MEASURES
from tests.monitors.performance.rows import binary, cut, judged, several


def test_every_named_measure_is_counted_and_no_other() -> None:
    """What a card may name is what there is."""
    for task in Task:
        assert list(COUNTED[task]) == [measure.name for measure in MEASURES[task]]


def test_binary_measures_are_scikit_learns() -> None:
    """Scores that have bins of their own, many of them equal."""
    scores, labels = binary(np.random.default_rng(0), 3000)
    decisions = (scores >= 0.5).astype(np.float64)
    expected = {
        "accuracy": metrics.accuracy_score(labels, decisions),
        "precision": metrics.precision_score(labels, decisions),
        "recall": metrics.recall_score(labels, decisions),
        "specificity": metrics.recall_score(labels, decisions, pos_label=0),
        "f1": metrics.f1_score(labels, decisions),
        "auc": metrics.roc_auc_score(labels, scores),
        "average_precision": metrics.average_precision_score(labels, scores),
        "log_loss": metrics.log_loss(labels, scores),
        "brier": metrics.brier_score_loss(labels, scores),
    }
    found = of(Task.BINARY, scores, None, decisions, labels)
    error = found.pop("calibration_error")
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    bins = np.minimum(scores * 10, 9).astype(int)
    gaps = [abs((labels - scores)[bins == at].sum()) for at in range(10)]
    assert error == pytest.approx(sum(gaps) / 3000, rel=1e-9)


def test_measures_of_several_classes_are_scikit_learns() -> None:
    """Five classes, of which one is never decided for."""
    chances, labels = several(np.random.default_rng(1), 2000)
    decisions = chances[:, :4].argmax(axis=1).astype(np.float64)
    kinds = np.arange(5)
    options = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": metrics.accuracy_score(labels, decisions),
        "top_3_accuracy": metrics.top_k_accuracy_score(labels, chances, k=3),
        "macro_precision": metrics.precision_score(labels, decisions, **options),
        "macro_recall": metrics.recall_score(labels, decisions, **options),
        "macro_f1": metrics.f1_score(labels, decisions, **options),
        "log_loss": metrics.log_loss(labels, chances),
        "brier": float(((chances - (labels[:, None] == kinds)) ** 2).sum(axis=1).mean()),
    }
    found = of(Task.MULTICLASS, None, chances, decisions, labels)
    assert found == pytest.approx(expected, rel=1e-9)


def test_equal_scores_are_ranked_as_scikit_learn_ranks_them() -> None:
    """Of classes that score the same, the later one leads."""
    chances = np.full((40, 5), 0.2)
    labels = np.arange(40.0) % 5
    expected = metrics.top_k_accuracy_score(labels, chances, k=3)
    found = of(Task.MULTICLASS, None, chances, None, labels)
    assert found["top_3_accuracy"] == expected


def test_measures_of_a_regression_are_scikit_learns() -> None:
    """Errors with a bias."""
    rng = np.random.default_rng(2)
    labels = rng.standard_normal(1000) * 3 + 40
    scores = labels + rng.standard_normal(1000) + 0.3
    expected = {
        "mae": metrics.mean_absolute_error(labels, scores),
        "rmse": metrics.root_mean_squared_error(labels, scores),
        "bias": float((scores - labels).mean()),
        "r2": metrics.r2_score(labels, scores),
    }
    assert of(Task.REGRESSION, scores, None, None, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_what_quantiles_lose_is_scikit_learns_pinball_loss(quantile: float) -> None:
    """Scores that are no good quantiles; without a level there is no such measure."""
    rng = np.random.default_rng(5)
    labels, scores = rng.standard_normal(1000), rng.standard_normal(1000)
    found = of(Task.REGRESSION, scores, None, None, labels, quantile)
    expected = metrics.mean_pinball_loss(labels, scores, alpha=quantile)
    assert found["pinball"] == pytest.approx(expected, rel=1e-9)
    assert "pinball" not in of(Task.REGRESSION, scores, None, None, labels)


def test_a_label_is_within_an_interval_that_it_is_at_the_end_of() -> None:
    """Rows of which an end or the label is missing do not count; ends that cross hold nothing."""
    ends = np.array([[0, 1], [1, 2], [0, 0.5], [2, 0], [np.nan, 2], [0, 2]])
    labels = np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.nan])
    block = replace(judged(labels, np.zeros(6)), ends=ends)
    tally = tally_of(Rows.of(Task.REGRESSION, block), ["interval_coverage"])
    found = figure(Task.REGRESSION, "interval_coverage", tally)
    assert found == Share(2, 4)


def _binary(rng: np.random.Generator) -> JudgedBlock:
    scores, labels = binary(rng, 400)
    return judged(labels, scores)


def _several(rng: np.random.Generator) -> JudgedBlock:
    chances, labels = several(rng, 400)
    return judged(labels, None, chances.argmax(axis=1), columns=chances)


def _regression(rng: np.random.Generator) -> JudgedBlock:
    block = judged(rng.standard_normal(400) * 1e3, rng.standard_normal(400) / 7)
    return replace(block, ends=np.sort(rng.standard_normal((400, 2)) * 1e3, axis=1))


BLOCKS: dict[Task, Callable[[np.random.Generator], JudgedBlock]] = {
    Task.BINARY: _binary,
    Task.MULTICLASS: _several,
    Task.REGRESSION: _regression,
}


def counted(task: Task, block: JudgedBlock) -> Tally:
    """The tally of all measures."""
    return tally_of(Rows.of(task, block, 0.9), COUNTED[task])


@pytest.mark.parametrize("task", BLOCKS)
def test_counts_add_up_and_can_be_taken_away_to_the_last_digit(task: Task) -> None:
    """In odd parts and any order; rows that are taken back leave nothing at all behind."""
    block = BLOCKS[task](np.random.default_rng(3))
    whole, parts = counted(task, block), Tally()
    for at in (250, 0, 399, 100):
        ends = {0: 100, 100: 250, 250: 399, 399: 400}
        parts.merge(counted(task, cut(block, slice(at, ends[at]))))
    assert parts.plain() == whole.plain()
    back = BLOCKS[task](np.random.default_rng(3))
    back.signs[:] = -1
    parts.merge(counted(task, back))
    assert not any(parts.plain().values())
    assert all(figure(task, name, parts) is None for name in COUNTED[task])


@pytest.mark.parametrize("task", BLOCKS)
def test_a_label_that_is_corrected_counts_as_if_it_had_come_so(task: Task) -> None:
    """A tenth of the rows is taken back and comes again with another label."""
    block = BLOCKS[task](np.random.default_rng(4))
    tally = counted(task, block)
    some = cut(block, slice(0, 40))
    some.signs[:] = -1
    tally.merge(counted(task, some))
    again = cut(block, slice(0, 40))
    again.signs[:] = 1
    again.labels[:] = again.labels[::-1].copy()
    tally.merge(counted(task, again))
    fresh = BLOCKS[task](np.random.default_rng(4))
    fresh.labels[:40] = fresh.labels[:40][::-1].copy()
    assert tally.plain() == counted(task, fresh).plain()
    kept = Tally.of_plain(tally.plain())
    assert kept.plain() == tally.plain()
    assert kept.less(tally).plain() == {name: {} for name in tally.plain()}


def test_rows_that_say_nothing_do_not_count() -> None:
    """No score, no decision, no label, or a label that is none of the two."""
    nothing = np.array([np.nan, np.nan, 0.7, 0.2, 0.9])
    labels = np.array([1.0, 0.0, np.nan, 2.0, 1.0])
    found = of(Task.BINARY, nothing, None, None, labels)
    expected = {"log_loss": -np.log(0.9), "brier": 0.01, "calibration_error": 0.1}
    assert found == pytest.approx(expected)
    assert of(Task.BINARY, None, None, None, labels) == {}
    assert of(Task.REGRESSION, None, None, None, labels) == {}
    assert of(Task.RANKING, nothing, None, None, labels) == {}


def test_scores_that_are_no_chances_have_an_order_and_nothing_else() -> None:
    """Margins: there is an area under the curve, and no log loss."""
    rng = np.random.default_rng(5)
    margins = rng.integers(-40, 40, 500) / 4
    labels = (rng.standard_normal(500) * 5 < margins).astype(np.float64)
    found = of(Task.BINARY, margins, None, None, labels)
    assert "log_loss" not in found
    assert "brier" not in found
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, margins), rel=1e-9)


def test_infinite_and_huge_errors_do_not_spoil_the_rest() -> None:
    """They cannot be added up, and do not count."""
    labels = np.array([1.0, 2.0, np.inf, 1e300, 5.0])
    scores = np.array([1.5, 2.5, 1.0, -1e300, -np.inf])
    found = of(Task.REGRESSION, scores, None, None, labels)
    assert found["rmse"] == 0.5
    assert found["r2"] == 0.0
