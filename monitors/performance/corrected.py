"""Corrected performance: estimates of all rows, set right by those whose label has come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.performance.corrections import Corrections, Coverage
from monitors.performance.estimates import means_of
from monitors.performance.recent import OfRecent, Recent
from monitors.performance.rectified import Corrected
from monitors.performance.speaking import Speaker, Voice
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal
from registry.card import Card

DAYS = 7.0

_DECISIONS_TOLD = 4

_ASSUMES = "this takes labels to come by chance, given the score and how long ago it was"
_NOT_OF_THESE = "no row with a label has what this takes: a score that is a chance, or a decision"


class CorrectedPerformance(OfRecent[Corrections]):
    """**Detector** of performance that is estimated on all rows and corrected on labelled ones.

    One signal for each mean, over the rows of the last one or two periods. A period is a week, and
    as much longer as labels take. Right whatever scores mean now, as long as labels come by chance;
    where they hardly come for one decision, it is insufficient data.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        super().__init__()
        self._speaker = speaker = Speaker("corrected", card, profile, settings)
        self._voices: tuple[Voice, ...] = ()
        expectation = speaker.expectation
        if expectation is not None and card.label is not None:
            self._voices = speaker.about(means_of(expectation))
            self._recent = Recent(
                lambda: Corrections(card.task, expectation, speaker.truth),
                DAYS + card.label.expected_delay_days,
            )

    def update(self, block: SampleBlock) -> None:
        """Take in the outputs of one block."""
        if self._recent is None or not block.rows:
            return
        sums = self._recent.of(self._recent.period_of(block.made_at))
        if sums is not None:
            sums.update(self._speaker.read(block.outputs))

    def judge(self, block: JudgedBlock) -> None:
        """Take in the judged rows of one block, with the period in which they were predicted."""
        if self._recent is None or not block.rows:
            return
        periods = self._recent.periods_of(block.predicted_at)
        for period in np.unique(periods).tolist():
            sums = self._recent.of(period)
            if sums is not None:
                sums.judge(block, periods == period)

    def signals(self) -> tuple[Signal, ...]:
        """What has been corrected, each as a signal."""
        if self._recent is None:
            return self._speaker.silent
        whole = self._recent.whole()
        figures, labels, bare = whole.figures(), whole.labels, whole.uncovered()
        doubt = None if bare is None else _in_words(bare)
        covered = _covered(whole.coverage())
        told: list[Signal] = []
        for voice in self._voices:
            waiting, found = voice.waits(labels, "rows with a label"), figures.get(voice.name)
            if waiting is not None:
                told.append(waiting)
            elif found is None:
                told.append(voice.has_nothing(labels, _NOT_OF_THESE))
            else:
                told.append(voice.says(found.mean, doubt, f"{_gained(found)}{covered}"))
        return tuple(told)


def _gained(found: Corrected) -> str:
    """How much narrower than labels alone it is, and on what word."""
    if not found.weight or not found.alone.error:
        return f"labels alone: what was expected does not help here; {_ASSUMES}"
    narrower = 1 - found.mean.error / found.alone.error
    return f"{narrower:.0%} narrower than labels alone; {_ASSUMES}"


def _covered(decisions: Sequence[Coverage]) -> str:
    """The share of rows with a label, by decision, of a few decisions."""
    if not 0 < len(decisions) <= _DECISIONS_TOLD:
        return ""
    shares = (
        f"{min(each.labelled / each.rows, 1):.1%} of decision {each.decision}" for each in decisions
    )
    return f"; labels have come for {', '.join(shares)}"


def _in_words(bare: Coverage) -> str:
    return (
        f"hardly any labels come for decision {bare.decision}: {bare.labelled:,} of its "
        f"{bare.rows:,} rows have one, fewer than a tenth of what others have, so nothing can be "
        "said of all rows"
    )
