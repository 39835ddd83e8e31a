"""What the monitors of estimated and of corrected performance have in common when they speak."""

from __future__ import annotations

from collections.abc import Sequence

from configs.settings import Monitors
from monitors.labels.codes import decision_codes
from monitors.performance.calibrator import Expectation, Rows, expectation_of
from monitors.performance.estimands import Estimand, Estimated
from monitors.performance.standards import judged, standard_of
from monitors.profile.reading import Tensors, score_columns, scores
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import CLASSES, Truth
from monitors.signal import Signal, Verdict
from monitors.stats.anytime_normal import at_every_look
from monitors.verdicts import NO_REFERENCE, Monitor
from registry.card import Card, Task

MAIN = {Task.BINARY: "accuracy", Task.MULTICLASS: "accuracy", Task.REGRESSION: "mae"}
"""The subject that speaks where nothing can be estimated; other tasks have nothing to estimate."""

NO_TRUTH = (
    "the reference does not say what was true of its rows, so nobody knows what a score means: "
    "name that column as label.column and register the version with a reference that has it"
)
TOO_LITTLE_TRUTH = (
    "the reference has too few rows with a label, or the score is one that nothing can be learned "
    f"from (no score of one column, or more than {CLASSES} classes)"
)


class Speaker:
    """Who speaks of a version's estimates, and against what.

    `expectation` is None where nothing can be estimated; then `silent` says why, or is empty where
    the card awaits no labels.
    """

    def __init__(
        self, name: str, card: Card, profile: ReferenceProfile | None, settings: Monitors
    ) -> None:
        self.card = card
        self.monitor = Monitor("performance", name, 0.0, settings)
        self.truth = (profile.truth if profile else None) or Truth(rows=0, counted=0)
        self.expectation: Expectation | None = None
        self.silent: tuple[Signal, ...] = ()
        if card.label is None or card.task not in MAIN:
            return
        self.expectation = expectation_of(card, self.truth)
        if self.expectation is None:
            why = NO_REFERENCE if profile is None else TOO_LITTLE_TRUTH
            if profile is not None and profile.truth is None:
                why = NO_TRUTH
            self.silent = (self.monitor.silent(MAIN[card.task], why),)

    def read(self, outputs: Tensors) -> Rows:
        """What is read of the rows of a block."""
        columns = score_columns(self.card, outputs)
        score = scores(self.card, outputs) if columns is None else None
        return Rows(score, columns, decision_codes(self.card, outputs))

    def about(self, estimands: Sequence[Estimand]) -> tuple[Voice, ...]:
        """Who says each of some measures."""
        # All alarms of a monitor together have the budget.
        alpha = self.monitor.settings.alarm_budget / max(len(estimands), 1)
        return tuple(Voice(self, estimand, alpha) for estimand in estimands)


class Voice:
    """Says one measure of a version. `alpha` is the chance that it ever calls anybody by chance."""

    def __init__(self, speaker: Speaker, estimand: Estimand, alpha: float) -> None:
        self.name = estimand.name
        self._monitor = speaker.monitor
        self._estimand = estimand
        self._alpha = alpha
        self._standard = standard_of(speaker.card, speaker.truth, estimand)

    def waits(self, rows: int, what: str) -> Signal | None:
        """A signal that says how many rows are needed, if there are too few; else None."""
        needed = self._monitor.settings.minimum_rows - rows
        if needed <= 0:
            return None
        why = f"{rows} {what} so far; {needed} more are needed"
        if self._standard.band is None:
            return self._signal(rows, f"{why}; {self._standard.why}")
        return self._signal(rows, why, rows_needed=needed)

    def has_nothing(self, rows: int, what: str) -> Signal:
        """A signal that says why rows do not have what the measure takes."""
        return self._signal(rows, what)

    def says(self, estimate: Estimated, doubt: str | None, more: str) -> Signal:
        """An estimate, with an interval for every look; a `doubt` says why not to rely on it.

        `more` is what else is to be known about it.
        """
        standard = self._standard
        lower, upper = estimate.interval(at_every_look(estimate.rows), self._estimand.limits)
        judgement = judged(estimate, standard, at_every_look(estimate.rows, self._alpha))
        known = standard.reference
        said = [f"{self.name} {estimate.value:.3f} ({lower:.3f} to {upper:.3f})"]
        if known is not None:
            said.append(f"in the reference {known.value:.3f}")
        parts = [*([doubt] if doubt else []), ", ".join(said), standard.why, more]
        return Signal(
            self._monitor.family,
            self._monitor.name,
            self.name,
            Verdict.INSUFFICIENT_DATA if doubt else judgement.verdict,
            estimate.rows,
            value=estimate.value,
            lower=lower,
            upper=upper,
            rows_needed=None if doubt else judgement.rows_needed,
            message="; ".join(parts),
        )

    def _signal(self, rows: int, message: str, rows_needed: int | None = None) -> Signal:
        return Signal(
            self._monitor.family,
            self._monitor.name,
            self.name,
            Verdict.INSUFFICIENT_DATA,
            rows,
            rows_needed=rows_needed,
            message=message,
        )
