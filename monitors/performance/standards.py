"""What an estimate is held against: the reference's own figure, and what the card allows."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, sqrt

from monitors.performance.bands import Band, band_of
from monitors.performance.estimands import Estimand, Estimated
from monitors.profile.truth import Truth
from monitors.signal import Verdict
from monitors.verdicts import more_rows
from registry.card import Card
from registry.measures import Better, measures_of

_SHOWN_ONLY = "shown without a verdict: it is no measure of performance"
_NOTHING_DECLARED = (
    "no verdict, since the card does not say what is good enough: "
    "declare performance.tolerance.{name} or performance.{limit}.{name}"
)


@dataclass(frozen=True, slots=True)
class Standard:
    """The reference's figure, if it is known, and what a measure may be, if the card says it.

    `error` is the standard error of the edges: that of the reference where they rest on it. `why`
    says what is allowed, or why there can be no verdict.
    """

    reference: Estimated | None
    band: Band | None
    error: float
    why: str


def standard_of(card: Card, truth: Truth, estimand: Estimand) -> Standard:
    """What a measure is held against."""
    reference = reference_of(truth, estimand)
    measure = measures_of(card).get(estimand.name)
    if measure is None:
        return Standard(reference, None, 0.0, _SHOWN_ONLY)
    performance = card.performance
    known = None if reference is None else reference.value
    band = None if performance is None else band_of(performance, measure, known)
    if performance is None or band is None:
        limit = "maximum" if measure.better is Better.LOWER else "minimum"
        why = _NOTHING_DECLARED.format(name=estimand.name, limit=limit)
        return Standard(reference, None, 0.0, why)
    compared = reference is not None and estimand.name in performance.tolerance
    error = reference.error if reference is not None and compared else 0.0
    return Standard(reference, band, error, band.why)


def reference_of(truth: Truth, estimand: Estimand) -> Estimated | None:
    """What the measure was on the reference's counted rows; None where that is not known.

    Its error is 0 where the reference does not say it.
    """
    lost = truth.losses.get(estimand.loss or "")
    known = truth.figures.get(estimand.name)
    if lost is None or not lost.rows:
        return None if known is None else Estimated(known, 0.0, truth.counted)
    mean = Estimated(lost.mean, lost.deviation / sqrt(lost.rows), lost.rows)
    of_loss = estimand.of_mean(mean)
    return of_loss if known is None else Estimated(known, of_loss.error, lost.rows)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on an estimate, and how many more rows would tell where it is not known yet."""

    verdict: Verdict
    rows_needed: int | None = None


def judged(estimate: Estimated, standard: Standard, width: float) -> Judgement:
    """Whether an estimate is surely inside or outside of what is allowed.

    `width` says how many standard errors are sure.
    """
    band = standard.band
    if band is None:
        return Judgement(Verdict.INSUFFICIENT_DATA)
    error = hypot(estimate.error, standard.error)
    lower, upper = Estimated(estimate.value, error, estimate.rows).interval(width)
    if band.left(lower, upper):
        return Judgement(Verdict.ALARM)
    if band.holds(lower, upper):
        return Judgement(Verdict.OK)
    away = band.away(estimate.value)
    times = (width * error / away) ** 2 if away > 0 else inf
    needed = more_rows(estimate.rows, times)
    return Judgement(Verdict.INSUFFICIENT_DATA, needed)
