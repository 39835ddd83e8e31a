"""Estimated performance: how right the model is, if its scores mean what they meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.performance.calibrator import Expectation
from monitors.performance.estimates import Estimates, estimands_of
from monitors.performance.recent import OfRecent, Recent
from monitors.performance.speaking import Speaker, Voice
from monitors.performance.support import Support
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Truth
from monitors.signal import Signal, Verdict
from monitors.stats.intervals import wilson
from registry.card import Card

DAYS = 7.0

OUTSIDE_MAX = 0.05
"""So many more rows than in the reference may be outside of its support."""

OUTSIDE = "outside_support"

_ASSUMES = "this takes a score to mean what it meant in the reference, which only labels can show"
_NOT_OF_THESE = "no row has what this takes: a score that is a chance, or a decision"


class EstimatedPerformance(OfRecent["_Sums"]):
    """**Detector** of performance that is estimated from scores, before any label comes.

    One signal for each measure and one for the share of rows outside of the reference's support,
    over the last one or two weeks of rows. Where that share is too large, estimates are
    insufficient data: of such rows the calibrator knows nothing.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        super().__init__()
        self._speaker = speaker = Speaker("estimated", card, profile, settings)
        self._voices: tuple[Voice, ...] = ()
        expectation = speaker.expectation
        if expectation is not None and profile is not None:
            self._voices = speaker.about(estimands_of(expectation))
            self._support = Support(card, profile)
            self._recent = Recent(lambda: _Sums(expectation, speaker.truth), DAYS)

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs and outputs of one block."""
        if self._recent is None or not block.rows:
            return
        sums = self._recent.of(self._recent.period_of(block.made_at))
        if sums is None:
            return
        rows = self._speaker.read(block.outputs)
        sums.estimates.update(rows)
        outside = self._support.outside(block.inputs, rows.scores, block.rows)
        sums.support += int(outside.sum()), block.rows

    def signals(self) -> tuple[Signal, ...]:
        """What is estimated, each as a signal, and the share of rows that nothing is known of."""
        if self._recent is None:
            return self._speaker.silent
        whole = self._recent.whole()
        outside, rows = whole.support.tolist()
        support, doubt = self._supported(outside, rows)
        figures, scored = whole.estimates.figures(), whole.estimates.rows
        more = f"{outside / max(rows, 1):.1%} of rows outside the reference's support; {_ASSUMES}"
        told: list[Signal] = []
        for voice in self._voices:
            waiting, estimate = voice.waits(scored, "rows with a score"), figures.get(voice.name)
            if waiting is not None:
                told.append(waiting)
            elif estimate is None:
                told.append(voice.has_nothing(scored, _NOT_OF_THESE))
            else:
                told.append(voice.says(estimate, doubt, more))
        return (*told, support)

    def _supported(self, outside: int, rows: int) -> tuple[Signal, str | None]:
        """The signal about the share of rows outside the support, and what doubt it casts."""
        monitor, truth = self._speaker.monitor, self._speaker.truth
        needed = monitor.settings.minimum_rows - rows
        if needed > 0:
            why = f"{rows} rows so far; {needed} more are needed"
            silent = monitor.silent(OUTSIDE, why, rows)
            return replace(silent, rows_needed=needed), None
        share, (lower, upper) = outside / rows, wilson(outside, rows)
        of_reference = truth.outside, truth.inside_or_outside
        most = wilson(*of_reference)[1] + OUTSIDE_MAX
        usual = truth.outside / max(truth.inside_or_outside, 1)
        said = f"{share:.1%} of rows outside the reference's support, where it had {usual:.1%}"
        doubt = None
        if lower > most:
            doubt = (
                f"{said}, so nothing is known of what they mean: estimates are not to be relied on"
            )
        signal = Signal(
            monitor.family,
            monitor.name,
            OUTSIDE,
            Verdict.OK if doubt is None else Verdict.INSUFFICIENT_DATA,
            rows,
            value=share,
            lower=lower,
            upper=upper,
            message=doubt or f"{said}; up to {most:.1%} estimates stand",
        )
        return signal, doubt


class _Sums:
    """Estimates, and rows outside of the support and in all."""

    def __init__(self, expectation: Expectation, truth: Truth) -> None:
        self.estimates = Estimates(expectation, truth)
        self.support = np.zeros(2, dtype=np.int64)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All of them."""
        return {**self.estimates.arrays(), "support": self.support}
