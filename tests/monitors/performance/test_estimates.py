"""Expected performance is what many draws of the labels would give on average."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from monitors.performance import confusion
from monitors.performance.calibrator import Curve, OfClasses, OfScores, Rows, expectation_of
from monitors.performance.estimates import Estimates
from monitors.profile.truth import LossByScore, Moments
from monitors.stats.anytime_normal import at_one_look
from tests.monitors.performance.samples import BINARY, EMPTY, binary, curve, estimates, truth

ORACLE = Rows(np.array([0.9, 0.8, 0.4, 0.2]), None, np.array([1.0, 1.0, 0.0, 0.0]))
STEPS = [0.2, 0.4, 0.8, 0.9]


def test_four_rows_give_the_figures_of_nannyml() -> None:
    """Expected confusion TP 1.7, FP 0.3, FN 0.6, TN 1.4; AUC as NannyML's own function has it."""
    figures = estimates(STEPS, ORACLE).figures()
    expected = {
        "accuracy": 0.775,
        "precision": 0.85,
        "recall": 1.7 / 2.3,
        "specificity": 1.4 / 1.7,
        "f1": 0.7906976744186046,
        "auc": 0.8196930946291561,
    }
    assert {name: figures[name].value for name in expected} == pytest.approx(expected, abs=1e-9)


def test_a_row_counts_as_a_share_of_each_class() -> None:
    """All figures are scikit-learn's of every row twice, weighted by the chance of each label."""
    rng = np.random.default_rng(0)
    steps = np.sort(rng.random(40)).round(6)
    scores = rng.choice(steps, 500)
    decisions = (scores + 0.2 * rng.standard_normal(500) > 0.6).astype(np.float64)
    figures = estimates(steps.tolist(), Rows(scores, None, decisions)).figures()
    twice = {
        "y_true": np.repeat([1, 0], 500),
        "sample_weight": np.concatenate([scores, 1 - scores]),
    }
    said, scored = np.tile(decisions, 2), np.tile(scores, 2)
    expected = {
        "outcome": scores.mean(),
        "accuracy": metrics.accuracy_score(y_pred=said, **twice),
        "precision": metrics.precision_score(y_pred=said, **twice),
        "recall": metrics.recall_score(y_pred=said, **twice),
        "specificity": metrics.recall_score(y_pred=said, pos_label=0, **twice),
        "f1": metrics.f1_score(y_pred=said, **twice),
        "auc": metrics.roc_auc_score(y_score=scored, **twice),
        "brier": metrics.brier_score_loss(y_proba=scored, **twice),
        "log_loss": metrics.log_loss(y_proba=scored, **twice),
    }
    assert {name: each.value for name, each in figures.items()} == pytest.approx(expected, abs=1e-9)


def test_errors_are_the_spread_over_samples_of_rows() -> None:
    """2,000 samples of 400 rows: their figures differ as much as each says of itself."""
    rng = np.random.default_rng(1)
    steps = np.linspace(0.05, 0.95, 19).round(6)
    values: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for _ in range(2000):
        scores = rng.choice(steps, 400, p=np.linspace(1, 3, 19) / 38)
        figures = estimates(
            steps.tolist(), Rows(scores, None, (scores > 0.42).astype(np.float64))
        ).figures()
        for name, each in figures.items():
            values.setdefault(name, []).append(each.value)
            errors.setdefault(name, []).append(each.error)
    for name, drawn in values.items():
        assert np.mean(errors[name]) == pytest.approx(np.std(drawn), rel=0.06), name


def test_errors_grow_with_what_the_reference_does_not_know() -> None:
    """2,000 references of 300 rows a step: figures of the same rows differ as they say."""
    rng = np.random.default_rng(2)
    steps = np.linspace(0.1, 0.9, 9).round(6)
    scores = rng.choice(steps, 200_000)
    decisions = (scores > 0.42).astype(np.float64)
    told = estimates(steps.tolist(), Rows(scores, None, decisions), known_rows=300).figures()
    cells = confusion.counted(curve(steps.tolist()).steps(scores), decisions, len(steps))
    drawn: dict[str, list[float]] = {}
    for _ in range(2000):
        chances = rng.binomial(300, steps) / 300
        figures = confusion.expected(cells, chances, np.zeros(len(steps)))
        values = {name: each.value for name, each in figures.items()}
        values["outcome"] = float(chances @ cells.sum(axis=1)) / len(scores)
        for name, value in values.items():
            drawn.setdefault(name, []).append(value)
    for name, of_references in drawn.items():
        assert told[name].error == pytest.approx(np.std(of_references), rel=0.06), name


def test_several_classes_count_by_their_calibrated_chances() -> None:
    """Each class has its curve; chances are divided by their sum: by hand."""
    curves = [curve([0.1, 0.3, 0.6]), curve([0.2, 0.4]), curve([0.5])]
    columns = np.array([[0.6, 0.2, 0.2], [0.1, 0.4, 0.5]])
    figures = Estimates(OfClasses(curves, decides=True), EMPTY)
    figures.update(Rows(None, columns, np.array([0.0, 2.0])))
    # The chances are (0.6, 0.2, 0.5) / 1.3 and (0.1, 0.4, 0.5) / 1.
    assert figures.figures()["accuracy"].value == pytest.approx((0.6 / 1.3 + 0.5) / 2, abs=1e-12)
    logs = -np.log(columns)
    expected = (np.array([0.6, 0.2, 0.5]) @ logs[0] / 1.3 + np.array([0.1, 0.4, 0.5]) @ logs[1]) / 2
    assert figures.figures()["log_loss"].value == pytest.approx(expected, abs=1e-12)


def test_of_several_classes_the_slopes_are_derivatives() -> None:
    """How expected losses grow with a step of a class, against a small step of it."""
    rng = np.random.default_rng(3)
    columns = rng.dirichlet(np.ones(3), 50)
    rows = Rows(None, columns, columns.argmax(axis=1).astype(np.float64))
    small = 1e-6

    def made() -> list[Curve]:
        return [curve([0.1, 0.3, 0.6]), curve([0.2, 0.4]), curve([0.25, 0.5])]

    whole = OfClasses(made(), decides=True).of(rows)
    for number in range(3):
        for step in range(made()[number].count):
            moved = made()
            moved[number].chances[step] += small
            more = OfClasses(moved, decides=True).of(rows)
            for at, name in enumerate(("wrong", "brier", "log")):
                grown = (more.values[name].sum() - whole.values[name].sum()) / small
                assert whole.slopes[at, number * 64 + step] == pytest.approx(grown, abs=1e-4)


def test_a_regression_is_as_wrong_as_such_scores_were() -> None:
    """The mean errors of the bins, weighted by live rows; the mean label follows the score."""

    def moments(*means: float) -> tuple[Moments, ...]:
        return tuple(Moments(mean=mean, deviation=1.0, rows=100) for mean in means)

    losses = {"outcome": moments(0.5, -1), "absolute": moments(1, 3), "squared": moments(2, 12)}
    figures = Estimates(OfScores(LossByScore(edges=(10.0,), losses=losses)), EMPTY)
    figures.update(Rows(np.array([9.0, 10.0, 11.0, np.nan, np.inf]), None, None))
    found = {name: each.value for name, each in figures.figures().items()}
    assert found == pytest.approx({"outcome": 10.0, "mae": 5 / 3, "rmse": np.sqrt(16 / 3)})
    assert figures.rows == 3


def test_rows_without_a_score_are_left_out() -> None:
    """Missing and infinite scores, and decisions that are neither 0 nor 1."""
    scores = np.array([0.9, np.nan, np.inf, -np.inf, 0.2])
    decisions = np.array([1.0, 1.0, 1.0, np.nan, np.nan])
    found = estimates(STEPS, Rows(scores, None, decisions))
    assert found.rows == 2
    figures = found.figures()
    assert figures["accuracy"].value == pytest.approx(0.9)
    assert (figures["precision"].rows, figures["auc"].rows) == (1, 2)


def test_a_score_that_is_no_chance_has_no_brier() -> None:
    """Margins are calibrated and decided on like any score, and are no chances by themselves."""
    margins = Rows(np.array([-3.0, 0.4, 5.0]), None, np.array([0.0, 0.0, 1.0]))
    assert {"brier", "log_loss"} & estimates(STEPS, margins).figures().keys() == {
        "brier",
        "log_loss",
    }
    outside = Rows(np.array([-3.0, 5.0]), None, np.array([0.0, 1.0]))
    assert not {"brier", "log_loss"} & estimates(STEPS, outside).figures().keys()


def test_an_estimate_from_a_reference_covers_the_truth_while_scores_mean_the_same() -> None:
    """Inputs move, the relationship does not: 95 % intervals hold in nine of ten trials or so."""
    held: dict[str, list[bool]] = {}
    for seed in range(60):
        rng = np.random.default_rng((4, seed))
        known = truth(BINARY, *binary(rng, 4000))
        expectation = expectation_of(BINARY, known)
        assert expectation is not None
        scores, labels = binary(rng, 200_000)
        # Rows with high scores come twice as often as before.
        chosen = rng.random(len(scores)) < 0.5 + 0.5 * scores
        scores, labels = scores[chosen], labels[chosen]
        decisions = (scores >= 0.5).astype(np.float64)
        live = Estimates(expectation, known)
        live.update(Rows(scores[:5000], None, decisions[:5000]))
        true = {
            "outcome": labels.mean(),
            "accuracy": (decisions == labels).mean(),
            "recall": decisions[labels == 1].mean(),
            "auc": metrics.roc_auc_score(labels, scores),
        }
        for name, value in true.items():
            lower, upper = live.figures()[name].interval(at_one_look())
            held.setdefault(name, []).append(lower <= value <= upper)
    assert min(np.mean(each) for each in held.values()) >= 0.88, held
