"""Rows drawn from seeds, and Weir's figures of them, by the functions that the monitors use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.oracles.asked import Asked, Case
from configs.settings import Monitors
from monitors.fairness.attributes import AND
from monitors.fairness.cells import NOW, Cells
from monitors.fairness.detector import GroupFairness
from monitors.fairness.measures import MEASURES, Outcomes
from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import Curve, Expectation, OfClasses, OfTwoClasses, Rows
from monitors.performance.estimates import Estimates
from monitors.performance.measures import of
from monitors.performance.ranks import largest_error, score_bins
from monitors.profile.truth import Calibrator, Truth
from monitors.profile.truth_counts import calibrator
from monitors.stats.ebh import e_bh
from monitors.stats.intervals import log_ratio, newcombe, wilson
from registry.card import Card, Decision, Fairness, Group, Label, Score, Task

Floats = NDArray[np.float64]

ROWS = 2_000
_PARTS = 128
"""Scores in such parts of one have a bin each."""

_LEARN, _FAIR, _NANNY, _MODELS = "scikit-learn", "fairlearn", "NannyML", "statsmodels"

_BINARY = {
    "accuracy": "accuracy_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "specificity": "recall_score(pos_label=0)",
    "f1": "f1_score",
    "log_loss": "log_loss",
    "brier": "brier_score_loss",
    "calibration_error": "calibration_curve",
}
_ORDER = {"auc": "roc_auc_score", "average_precision": "average_precision_score"}
_MULTICLASS = {
    "accuracy": "accuracy_score",
    "top_3_accuracy": "top_k_accuracy_score(k=3)",
    "macro_precision": "precision_score(average='macro')",
    "macro_recall": "recall_score(average='macro')",
    "macro_f1": "f1_score(average='macro')",
    "log_loss": "log_loss",
    "brier": "brier_score_loss(scale_by_half=False)",
}
_REGRESSION = {
    "mae": "mean_absolute_error",
    "rmse": "root_mean_squared_error",
    "r2": "r2_score",
    "pinball": "mean_pinball_loss(alpha=0.9)",
}
_ESTIMATED = {
    "accuracy": "estimate_accuracy",
    "precision": "estimate_precision",
    "recall": "estimate_recall",
    "specificity": "estimate_specificity",
    "f1": "estimate_f1",
}
_RATES = {
    "selection_rate": "MetricFrame(selection_rate)",
    "equal_opportunity": "MetricFrame(true_positive_rate)",
    "false_positive_rate": "MetricFrame(false_positive_rate)",
    "false_negative_rate": "MetricFrame(false_negative_rate)",
    "predictive_parity": "MetricFrame(precision_score)",
}
_GAPS = {
    "selection_rate": "demographic_parity_difference",
    "equal_opportunity": "equal_opportunity_difference",
    "equalised_odds": "equalized_odds_difference",
    "false_positive_rate": "false_positive_rate_difference",
    "false_negative_rate": "false_negative_rate_difference",
    "predictive_parity": "precision_score_difference",
}
_MEASURES = {measure.name: measure for measure in MEASURES}

_IN_BINS = "scores within a bin count as equal; AUC within the bound that Weir tells with it"
_TIES = "scores within a bin count as equal"
_EDGES = "a score on the edge of two bins is in the upper one, with scikit-learn in the lower"
_EXTREMES = "fairlearn has the largest gap of any two groups, Weir each group's to all others"
_HALVES = "Weir counts half a row more of each kind, so that nothing is divided by nothing"
_PARTS_OF = "Weir counts labels less scores in parts of 2^-20"
_ROUNDED = "NannyML rounds the numbers of expected hits to five digits"
_OWN = "each its own calibrator: Weir's has at most 64 steps, and half of the reference's rows"
_SMALLEST = "Weir takes a chance to be 1e-15 at least, scikit-learn 2.2e-16"


def cases(seed: int) -> Iterator[Case]:
    """All cases of a seed."""
    rng = np.random.default_rng(seed)
    for rare in (False, True):
        yield _binary(rng, rare=rare)
    yield _any_scores(rng)
    yield _certain(rng)
    yield _several(rng)
    yield _regression(rng)
    yield _groups(rng, 2)
    yield _groups(rng, 5)
    yield _estimated(rng)
    yield _calibrated(rng)
    yield _of_classes(rng)
    yield _shares(rng)
    yield _rejected(rng)


def _asked(
    found: Mapping[str, float], functions: Mapping[str, str], library: str, what: str
) -> list[Asked]:
    return [
        Asked(f"{what} {name}", library, function, (found[name],))
        for name, function in functions.items()
    ]


def _labels(rng: np.random.Generator, chances: Floats) -> Floats:
    return (rng.random(len(chances)) < chances).astype(np.float64)


def _decided(scores: Floats) -> Floats:
    return (scores >= 0.5).astype(np.float64)


def _data(scores: Floats, labels: Floats, decisions: Floats | None = None) -> dict[str, Floats]:
    return {
        "scores": scores,
        "labels": labels,
        "decisions": _decided(scores) if decisions is None else decisions,
    }


def _binary(rng: np.random.Generator, *, rare: bool) -> Case:
    """Many equal scores, each with a bin of its own; once with one positive in twenty."""
    drawn = rng.beta(0.5, 6, ROWS) if rare else rng.random(ROWS)
    scores = (np.floor(drawn * (_PARTS - 1)) + 1) / _PARTS
    data = _data(scores, _labels(rng, np.clip(scores + 0.1 * rng.standard_normal(ROWS), 0, 1)))
    found = of(Task.BINARY, scores, None, data["decisions"], data["labels"])
    functions = {**_BINARY, **_ORDER}
    what, error = "binary calibration_error, scores on edges", (found["calibration_error"],)
    on_edges = Asked(what, _LEARN, functions.pop("calibration_error"), error, _EDGES, inf)
    return Case(data, [*_asked(found, functions, _LEARN, "binary"), on_edges])


def _any_scores(rng: np.random.Generator) -> Case:
    """Scores that are no two alike."""
    scores = expit(2 * rng.standard_normal(ROWS))
    data = _data(scores, _labels(rng, scores))
    found = of(Task.BINARY, scores, None, data["decisions"], data["labels"])
    bins = score_bins(scores)
    places = np.unique(bins)
    counts = [
        (bins[data["labels"] == label][:, None] == places).sum(axis=0).astype(np.float64)
        for label in (0, 1)
    ]
    most = {"auc": (largest_error(*counts), _IN_BINS), "average_precision": (inf, _TIES)}
    order = [
        Asked(f"binary {name}, any scores", _LEARN, _ORDER[name], (found[name],), why, allowed)
        for name, (allowed, why) in most.items()
    ]
    return Case(data, [*_asked(found, _BINARY, _LEARN, "binary"), *order])


def _certain(rng: np.random.Generator) -> Case:
    """Scores that are 0 or 1, and sometimes wrong."""
    labels = _labels(rng, np.full(ROWS, 0.5))
    scores = np.where(rng.random(ROWS) < 0.05, 1 - labels, labels)
    found = of(Task.BINARY, scores, None, scores, labels)
    most = log(1e-15 / np.finfo(np.float64).eps)
    told = (found["log_loss"],)
    return Case(
        _data(scores, labels),
        [
            Asked("binary brier", _LEARN, "brier_score_loss", (found["brier"],)),
            Asked("binary log_loss, scores of 0 and 1", _LEARN, "log_loss", told, _SMALLEST, most),
        ],
    )


def _several(rng: np.random.Generator) -> Case:
    """Six classes, of which one is never decided for."""
    chances = rng.dirichlet(np.full(6, 0.7), ROWS) * 0.98 + 0.02 / 6
    labels = (rng.random(ROWS)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(0, 5)
    decisions = chances[:, :5].argmax(axis=1)
    found = of(
        Task.MULTICLASS,
        None,
        chances,
        decisions.astype(np.float64),
        labels.astype(np.float64),
    )
    data = {"scores": chances, "labels": labels, "decisions": decisions}
    return Case(data, _asked(found, _MULTICLASS, _LEARN, "several classes"))


def _regression(rng: np.random.Generator) -> Case:
    """Numbers around forty with errors that have a bias."""
    labels = 40 + 3 * rng.standard_normal(ROWS)
    scores = labels + rng.standard_t(5, ROWS) + 0.3
    found = of(Task.REGRESSION, scores, None, None, labels, 0.9)
    data = {"scores": scores, "labels": labels}
    return Case(data, _asked(found, _REGRESSION, _LEARN, "regression"))


def _groups(rng: np.random.Generator, count: int) -> Case:
    """Groups of unlike size that are treated unlike, within each of two others."""
    places = (count * rng.random(ROWS) ** 1.5).astype(int)
    groups = np.array([f"g{at}" for at in range(count)])[places]
    halves = np.where(rng.random(ROWS) < 0.4, "h0", "h1")
    labels = _labels(rng, np.where(groups == "g0", 0.4, 0.6))
    scores = np.floor(1000 * expit(rng.standard_normal(ROWS) + labels - (groups == "g0"))) / 1000
    block = _judged(scores, labels, {"group": groups, "half": halves})
    subjects = list(_of_detector("selection_rate", block, depth=2))
    masks = [_members(subject, {"group": groups, "half": halves}) for subject in subjects]
    ratios = tuple(_ratio(block.decisions, mask) for mask in masks)
    asked = [
        *_of_each(block, groups),
        *_against_others(block, subjects),
        Asked("selection_rate, ratio", _FAIR, "demographic_parity_ratio", ratios, _HALVES, inf),
    ]
    data = _data(scores, labels) | {"groups": groups, "masks": np.stack(masks)}
    return Case(data, asked)


def _of_each(block: JudgedBlock, groups: NDArray[np.str_]) -> Iterator[Asked]:
    """The rate of each group, in order, and how far its labels are from its scores."""
    outcomes = Outcomes(block.decisions, 1, block.labels, block.scores)
    for name, function in _RATES.items():
        rates = _rates(name, outcomes, groups)
        yield Asked(f"{name} of each group", _FAIR, function, rates)
    found = _of_detector("calibration", block, depth=1)
    apart = tuple(found[f"group={group}"] for group in np.unique(groups).tolist())
    what, function = "calibration of each group", "MetricFrame(mean_prediction)"
    yield Asked(what, _FAIR, function, apart, _PARTS_OF, 2.0**-20)


def _against_others(block: JudgedBlock, subjects: Sequence[str]) -> Iterator[Asked]:
    """The gap of each group, also of two attributes at once, to all others."""
    for name, function in _GAPS.items():
        gaps = _of_detector(name, block, depth=2)
        ours = tuple(abs(gaps[subject]) for subject in subjects)
        yield Asked(f"{name}, a group and all others", _FAIR, function, ours)
    gaps = _of_detector("selection_rate", block, depth=1)
    of_groups = [abs(gap) for subject, gap in gaps.items() if subject.startswith("group=")]
    if len(of_groups) > 2:
        function = f"{_GAPS['selection_rate']}, all groups"
        largest = (max(of_groups),)
        yield Asked("selection_rate, largest gap", _FAIR, function, largest, _EXTREMES, inf)


def _rates(name: str, outcomes: Outcomes, groups: NDArray[np.str_]) -> tuple[float, ...]:
    """The rate of each group, in order."""
    measure, kinds = _MEASURES[name], np.unique(groups).tolist()
    cells, rows = Cells(kinds, len(measure.shares)), len(groups)
    every = np.ones(rows, dtype=np.int64)
    cells.take(0, groups.tolist(), measure.count(outcomes), every, every > 0)
    hits_and_rows = [cells.counts[NOW, cells.names[kind], 0].tolist() for kind in kinds]
    return tuple(hits / of for hits, of in hits_and_rows)


def _of_detector(name: str, block: JudgedBlock, depth: int) -> dict[str, float]:
    """What the monitor of a measure says of each group, by subject."""
    card = Card(
        task=Task.BINARY,
        score=Score(output="p"),
        decision=Decision(threshold=0.5),
        label=Label(),
        groups=tuple(Group(name=each, source="label") for each in block.groups),
        fairness=Fairness.model_validate({"depth": depth, name: {"max_gap": 0.1}}),
    )
    detector = GroupFairness(_MEASURES[name], card, None, Monitors(minimum_rows=1))
    detector.judge(block)
    return {
        signal.subject: signal.value
        for signal in detector.signals()
        if signal.value is not None and "=" in signal.subject
    }


def _members(subject: str, columns: Mapping[str, NDArray[np.str_]]) -> NDArray[np.bool_]:
    """Who is in the group of a subject, such as `group & half=g0 & h1`."""
    names, _, values = subject.partition("=")
    pairs = zip(names.split(AND), values.split(AND), strict=True)
    within = [columns[name] == value for name, value in pairs]
    return np.asarray(np.logical_and.reduce(within), dtype=np.bool_)


def _ratio(decisions: Floats, mask: NDArray[np.bool_]) -> float:
    """The middle of Weir's interval of a ratio, the smaller share over the larger."""
    own, others = (_hits_and_rows(decisions[those]) for those in (mask, ~mask))
    lower, upper = log_ratio(own, others)
    middle = sqrt(lower * upper)
    return min(middle, 1 / middle)


def _hits_and_rows(decisions: Floats) -> tuple[float, float]:
    return float(decisions.sum()), float(len(decisions))


def _judged(scores: Floats, labels: Floats, groups: Mapping[str, NDArray[np.str_]]) -> JudgedBlock:
    rows = len(labels)
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.arange(rows, dtype=np.uint64),
        scores=scores,
        decisions=_decided(scores),
        labels=labels,
        predicted_at=np.zeros(rows),
        labelled_at=np.zeros(rows),
        signs=np.ones(rows, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
        groups={name: values.astype(np.object_) for name, values in groups.items()},
    )


def _estimates(expectation: Expectation, rows: Rows) -> dict[str, float]:
    estimates = Estimates(expectation, Truth(rows=0, counted=0))
    estimates.update(rows)
    return {name: each.value for name, each in estimates.figures().items()}


def _estimated(rng: np.random.Generator) -> Case:
    """A calibrator whose chances have five digits, so that nothing is lost by rounding."""
    chances = np.sort(rng.choice(np.arange(1, 100_000), 20, replace=False)) / 100_000
    edges = np.sort(rng.random(19))
    of_steps = (1,) * 20
    curve = Curve(
        Calibrator(
            edges=tuple(edges.tolist()),
            chances=tuple(chances.tolist()),
            rows=of_steps,
            hits=of_steps,
            counted=of_steps,
            counted_hits=of_steps,
        )
    )
    scores = rng.random(ROWS)
    data = _data(scores, np.zeros(ROWS)) | {"chances": chances[curve.steps(scores)]}
    found = _estimates(OfTwoClasses(curve, decides=True), Rows(scores, None, data["decisions"]))
    functions = {**_ESTIMATED, "auc": "estimate_roc_auc"}
    return Case(data, _asked(found, functions, _NANNY, "estimated"))


def _calibrated(rng: np.random.Generator) -> Case:
    """Weir's calibrator of a reference whose scores are not its chances."""
    reference, scores = (expit(2 * rng.standard_normal(5 * ROWS)) for _ in range(2))
    came = _labels(rng, reference**1.5)
    half = np.arange(len(reference)) % 2 == 0
    curve = Curve(calibrator(reference, came == 1, half, ~half))
    decisions = _decided(scores)
    found = _estimates(OfTwoClasses(curve, decides=True), Rows(scores, None, decisions))
    data = _data(scores, _labels(rng, scores**1.5)) | {
        "chances": curve.chances[curve.steps(scores)],
        **{f"reference_{name}": each for name, each in _data(reference, came).items()},
    }
    asked = _asked(found, _ESTIMATED, _NANNY, "estimated")
    auc = (found["auc"],)
    differing = [
        Asked("estimated auc, any chances", _NANNY, "estimate_roc_auc", auc, _ROUNDED, 1e-5),
        Asked("estimated auc, from the reference", _NANNY, "CBPE, roc_auc", auc, _OWN, inf),
        Asked(
            "estimated accuracy, from the reference",
            _NANNY,
            "CBPE, accuracy",
            (found["accuracy"],),
            _OWN,
            inf,
        ),
    ]
    return Case(data, [*asked, *differing])


def _of_classes(rng: np.random.Generator) -> Case:
    """Four classes, each with a calibrator; chances that do not sum to one."""
    columns = rng.dirichlet(np.ones(4), ROWS)
    drawn = rng.dirichlet(np.ones(4), ROWS)
    came = (rng.random(ROWS)[:, None] > drawn.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    half = np.arange(ROWS) % 2 == 0
    curves = [Curve(calibrator(drawn[:, at], came == at, half, ~half)) for at in range(4)]
    decisions = columns.argmax(axis=1)
    rows = Rows(None, columns, decisions.astype(np.float64))
    found = _estimates(OfClasses(curves, decides=True), rows)
    steps = [curve.chances[curve.steps(columns[:, at])] for at, curve in enumerate(curves)]
    data = {"chances": np.stack(steps, axis=1), "decisions": decisions, "labels": decisions}
    function = "CBPE, multi-class accuracy"
    told = (found["accuracy"],)
    return Case(data, [Asked("estimated accuracy, several classes", _NANNY, function, told)])


def _shares(rng: np.random.Generator) -> Case:
    """Twenty shares of thirty to a thousand rows; some have no hit, or nothing but hits."""
    rows = rng.integers(30, 1000, 20)
    hits = rng.binomial(rows, rng.choice([0.0, 0.1, 0.5, 0.9, 1.0], 20))
    counts = list(zip(hits.tolist(), rows.tolist(), strict=True))
    pairs = list(zip(counts[::2], counts[1::2], strict=True))
    bounds = np.array([wilson(*each) for each in counts])
    asked = [
        Asked(
            "interval of a share",
            _MODELS,
            "proportion_confint(method='wilson')",
            tuple(bounds.T.ravel().tolist()),
        ),
        Asked(
            "interval of a difference",
            _MODELS,
            "confint_proportions_2indep(method='newcomb')",
            tuple(bound for each in pairs for bound in newcombe(*each)),
        ),
        Asked(
            "interval of a ratio",
            _MODELS,
            "confint_proportions_2indep(method='log-adjusted')",
            tuple(bound for each in pairs for bound in log_ratio(*each)),
        ),
    ]
    return Case({"hits": hits, "rows": rows}, asked)


def _rejected(rng: np.random.Generator) -> Case:
    """Which of fifty e-values are enough."""
    log_e = rng.normal(0, 2, 50) + np.where(np.arange(50) < 10, 6, 0)
    ours = tuple(e_bh(log_e, 0.05, 50).astype(float).tolist())
    function = "multipletests(method='fdr_bh')"
    return Case({"log_e": log_e}, [Asked("e-BH", _MODELS, function, ours)])
