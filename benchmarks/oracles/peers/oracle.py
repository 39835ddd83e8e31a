"""What other libraries say of data sets: it runs in their environment, and knows nothing of Weir.

The folder named on the command line has `task.json`, a list of functions for each data set, and
the data sets as `0.npz`, `1.npz` and so on. The numbers go to `answers.json`, in the same order.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fairlearn import metrics as fair
from nannyml import CBPE
from nannyml.calibration import NoopCalibrator
from nannyml.performance_estimation.confidence_based import metrics as cbpe
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats import multitest, proportion

Data = Mapping[str, Any]
Answer = Callable[[Data], Any]


def _decided(function: Callable[..., Any], **options: Any) -> Answer:
    return lambda data: function(data["labels"], data["decisions"], **options)


def _scored(function: Callable[..., Any], **options: Any) -> Answer:
    return lambda data: function(data["labels"], data["scores"], **options)


def _calibration_error(data: Data) -> float:
    """scikit-learn has the curve; the error is its mean distance from the diagonal, by rows."""
    came, said = calibration_curve(data["labels"], data["scores"], n_bins=10)
    rows, _ = np.histogram(data["scores"], bins=10, range=(0, 1))
    return float((abs(came - said) * rows[rows > 0]).sum() / rows.sum())


def _by_group(metric: Callable[..., Any]) -> Answer:
    """The metric of each group, groups in order."""
    return lambda data: (
        fair.MetricFrame(
            metrics=metric,
            y_true=data["labels"],
            y_pred=data["decisions"],
            sensitive_features=data["groups"],
        )
        .by_group.sort_index()
        .tolist()
    )


def _residual_by_group(data: Data) -> list[float]:
    """Mean label less mean score."""
    frame = fair.MetricFrame(
        metrics={"came": lambda true, _: true.mean(), "said": fair.mean_prediction},
        y_true=data["labels"],
        y_pred=data["scores"],
        sensitive_features=data["groups"],
    ).by_group.sort_index()
    return (frame["came"] - frame["said"]).tolist()


def _one_and_others(function: Callable[..., Any]) -> Answer:
    """A difference or ratio between each group and all others; `masks` has a row for a group."""
    return lambda data: [
        function(data["labels"], data["decisions"], sensitive_features=one)
        for one in data["masks"].astype(int)
    ]


def _among_all(function: Callable[..., Any]) -> Answer:
    return lambda data: function(
        data["labels"], data["decisions"], sensitive_features=data["groups"]
    )


def _difference(metric: Callable[..., Any]) -> Callable[..., float]:
    def between(labels: Any, decisions: Any, sensitive_features: Any) -> float:
        return fair.MetricFrame(
            metrics=metric,
            y_true=labels,
            y_pred=decisions,
            sensitive_features=sensitive_features,
        ).difference()

    return between


def _expected(function: Callable[..., Any]) -> Answer:
    return lambda data: function(data["decisions"], data["chances"])


def _expected_of_classes(data: Data) -> float:
    """NannyML's whole way, but that chances come calibrated: each class by itself, unscaled."""
    names = {at: f"p{at}" for at in range(data["chances"].shape[1])}

    def frame(chances: Any, decisions: Any, labels: Any) -> pd.DataFrame:
        made = pd.DataFrame(chances, columns=list(names.values()))
        return made.assign(said=decisions.astype(int), came=labels.astype(int))

    estimator = CBPE(
        metrics=["accuracy"],
        y_pred_proba=names,
        y_pred="said",
        y_true="came",
        problem_type="classification_multiclass",
        chunk_number=1,
        calibrator=NoopCalibrator(),
    )
    known = frame(data["chances"], data["decisions"], data["labels"])
    return _estimate(estimator, known, known, "accuracy")


def _own_calibrator(measure: str) -> Answer:
    """NannyML's whole way, with the calibrator that it fits to the reference."""

    def answer(data: Data) -> float:
        estimator = CBPE(
            metrics=[measure],
            y_pred_proba="score",
            y_pred="said",
            y_true="came",
            problem_type="classification_binary",
            chunk_number=1,
        )
        reference, live = (
            pd.DataFrame(
                {
                    "score": data[f"{part}scores"],
                    "said": data[f"{part}decisions"].astype(int),
                    "came": data[f"{part}labels"].astype(int),
                }
            )
            for part in ("reference_", "")
        )
        return _estimate(estimator, reference, live, measure)

    return answer


def _estimate(estimator: Any, reference: pd.DataFrame, live: pd.DataFrame, measure: str) -> float:
    found = estimator.fit(reference).estimate(live).filter(period="analysis").to_df()
    return float(found[measure, "value"].iloc[0])


def _share(data: Data) -> list[float]:
    bounds = proportion.proportion_confint(data["hits"], data["rows"], method="wilson")
    return np.stack(bounds).ravel().tolist()


def _two_shares(compare: str, method: str) -> Answer:
    def answer(data: Data) -> list[float]:
        counts = np.stack([data["hits"], data["rows"]], axis=1).reshape(-1, 4)
        return [
            float(bound)
            for pair in counts
            for bound in proportion.confint_proportions_2indep(
                *pair, method=method, compare=compare
            )
        ]

    return answer


def _rejected(data: Data) -> list[float]:
    """Benjamini and Hochberg's procedure on 1 / e, which e-BH is."""
    p = np.minimum(np.exp(-data["log_e"]), 1)
    return multitest.multipletests(p, alpha=0.05, method="fdr_bh")[0].astype(float).tolist()


_MACRO = {"average": "macro", "zero_division": 0}

ANSWERS: Mapping[str, Answer] = {
    "accuracy_score": _decided(metrics.accuracy_score),
    "precision_score": _decided(metrics.precision_score),
    "recall_score": _decided(metrics.recall_score),
    "recall_score(pos_label=0)": _decided(metrics.recall_score, pos_label=0),
    "f1_score": _decided(metrics.f1_score),
    "roc_auc_score": _scored(metrics.roc_auc_score),
    "average_precision_score": _scored(metrics.average_precision_score),
    "log_loss": _scored(metrics.log_loss),
    "brier_score_loss": _scored(metrics.brier_score_loss),
    "brier_score_loss(scale_by_half=False)": _scored(metrics.brier_score_loss, scale_by_half=False),
    "calibration_curve": _calibration_error,
    "top_k_accuracy_score(k=3)": _scored(metrics.top_k_accuracy_score, k=3),
    "precision_score(average='macro')": _decided(metrics.precision_score, **_MACRO),
    "recall_score(average='macro')": _decided(metrics.recall_score, **_MACRO),
    "f1_score(average='macro')": _decided(metrics.f1_score, **_MACRO),
    "mean_absolute_error": _scored(metrics.mean_absolute_error),
    "root_mean_squared_error": _scored(metrics.root_mean_squared_error),
    "mean_pinball_loss(alpha=0.9)": _scored(metrics.mean_pinball_loss, alpha=0.9),
    "r2_score": _scored(metrics.r2_score),
    "MetricFrame(selection_rate)": _by_group(fair.selection_rate),
    "MetricFrame(true_positive_rate)": _by_group(fair.true_positive_rate),
    "MetricFrame(false_positive_rate)": _by_group(fair.false_positive_rate),
    "MetricFrame(false_negative_rate)": _by_group(fair.false_negative_rate),
    "MetricFrame(precision_score)": _by_group(metrics.precision_score),
    "MetricFrame(mean_prediction)": _residual_by_group,
    "demographic_parity_difference": _one_and_others(fair.demographic_parity_difference),
    "demographic_parity_ratio": _one_and_others(fair.demographic_parity_ratio),
    "equal_opportunity_difference": _one_and_others(fair.equal_opportunity_difference),
    "equalized_odds_difference": _one_and_others(fair.equalized_odds_difference),
    "false_positive_rate_difference": _one_and_others(_difference(fair.false_positive_rate)),
    "false_negative_rate_difference": _one_and_others(_difference(fair.false_negative_rate)),
    "precision_score_difference": _one_and_others(_difference(metrics.precision_score)),
    "demographic_parity_difference, all groups": _among_all(fair.demographic_parity_difference),
    "estimate_accuracy": _expected(cbpe.estimate_accuracy),
    "estimate_precision": _expected(cbpe.estimate_precision),
    "estimate_recall": _expected(cbpe.estimate_recall),
    "estimate_specificity": _expected(cbpe.estimate_specificity),
    "estimate_f1": _expected(cbpe.estimate_f1),
    "estimate_roc_auc": lambda data: cbpe.estimate_roc_auc(data["chances"], data["scores"]),
    "CBPE, multi-class accuracy": _expected_of_classes,
    "CBPE, accuracy": _own_calibrator("accuracy"),
    "CBPE, roc_auc": _own_calibrator("roc_auc"),
    "proportion_confint(method='wilson')": _share,
    "confint_proportions_2indep(method='newcomb')": _two_shares("diff", "newcomb"),
    "confint_proportions_2indep(method='log-adjusted')": _two_shares("ratio", "log-adjusted"),
    "multipletests(method='fdr_bh')": _rejected,
}


def main() -> None:
    """Answer all that the folder asks."""
    folder = Path(sys.argv[1])
    answers = []
    for number, functions in enumerate(json.loads((folder / "task.json").read_bytes())):
        with np.load(folder / f"{number}.npz") as data:
            arrays = dict(data)
        answers.append([np.atleast_1d(ANSWERS[name](arrays)).tolist() for name in functions])
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
