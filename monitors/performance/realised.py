"""Realised performance: how good a version has turned out to be, once the truth has come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.performance.bands import brier_of
from monitors.performance.figures import Estimate, Figure
from monitors.performance.judging import Judge, Watch, watches_of
from monitors.performance.measures import figure, judged_rows
from monitors.performance.periods import Means, Tallies, period_of
from monitors.performance.probabilities import brier_most
from monitors.performance.rows import Rows
from monitors.performance.segments import segments_of
from monitors.performance.tally import Tally
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, from_words, packed, unpacked, words
from registry.card import Card

_BRIER = "brier"


class RealisedPerformance:
    """**Detector** of performance that is worse than the card allows: a signal for each measure.

    Figures are of rows that were predicted in the present period of 30 days and the one before,
    with labels as they stand now. Evidence is of all rows since a measure was armed, each with the
    first label that came. By segment there are figures and verdicts, but no evidence.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._task = card.task
        self._quantile = card.score.quantile if card.score else None
        self._watches = watches_of(card, profile)
        self._names = [watch.name for watch in self._watches]
        self._judge = Judge(settings)
        self._tallies = Tallies()
        self._before: dict[str, Tallies] = {}
        # Brier scores are bounded: their interval is exact also where nothing is bet on them.
        self._values = {
            watch.name: watch.bet.values if watch.bet else brier_of
            for watch in self._watches
            if watch.bet or watch.name == _BRIER
        }
        self._means = {name: Means() for name in self._values}
        self._segments = segments_of(card, profile, settings)

    def update(self, block: SampleBlock) -> None:
        """Rows without their truth say nothing here."""

    def judge(self, block: JudgedBlock) -> None:
        """Take in judged rows; those that are taken back are no bets."""
        if not self._watches or not block.rows:
            return
        rows, periods = Rows.of(self._task, block, self._quantile), period_of(block.predicted_at)
        self._tallies.add(rows, periods, self._names)
        first = rows.where(block.first)
        for name, values in self._values.items():
            numbers = values(first)
            known = ~np.isnan(numbers)
            self._means[name].update(numbers[known], periods[block.first][known])
        for name, segments in self._segments.items():
            segments.judge(rows, periods, block.groups.get(name))

    def signals(self) -> tuple[Signal, ...]:
        """One signal for each measure, then those of the segments; none where labels never come."""
        whole = self._tallies.whole()
        told = [self._signal(watch, self._since(watch.name, whole)) for watch in self._watches]
        for segments in self._segments.values():
            told += segments.signals()
        return tuple(told)

    def _since(self, name: str, whole: Tally) -> Tally:
        """What has come since a measure was armed."""
        before = self._before.get(name)
        return whole if before is None else self._tallies.less(before)

    def _signal(self, watch: Watch, tally: Tally) -> Signal:
        found = self._exact(watch.name, figure(self._task, watch.name, tally))
        log_wealth = self._means[watch.name].log_wealth(watch.bet.won) if watch.bet else None
        return self._judge.signal(watch.name, watch, found, judged_rows(tally), log_wealth)

    def _exact(self, name: str, found: Figure | None) -> Figure | None:
        """A figure with the exact interval where there is one."""
        if name != _BRIER or not isinstance(found, Estimate):
            return found
        mean, most = self._means[name].recent(), brier_most(self._task)
        return replace(found, half=lambda alpha: most * mean.half_width(alpha))

    def rearm(self, subject: str) -> None:
        """Forget the rows of one measure, and what was bet on it; segments cannot be armed."""
        if subject not in self._names:
            return
        self._before[subject] = self._tallies.copy()
        if subject in self._means:
            self._means[subject] = Means()

    def forget(self, minute: int) -> bool:
        """Drop what ended before a minute since 1970; says whether there was any."""
        dropped = [segments.forget(minute) for segments in self._segments.values()]
        return self._tallies.forget(minute) or any(dropped)

    def state(self) -> State:
        """All counts, and what has been bet."""
        counts = {
            "tallies": words(self._tallies.plain()),
            "before": words({name: each.plain() for name, each in self._before.items()}),
            "segments": words({name: each.plain() for name, each in self._segments.items()}),
        }
        bets = {f"bet on {name}": means.state() for name, means in self._means.items()}
        return packed({"counts": counts, **bets})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is one of other measures or segments."""
        counts = unpacked(state, "counts")
        bets = {name: unpacked(state, f"bet on {name}") for name in self._means}
        segments, before = from_words(counts["segments"]), from_words(counts["before"])
        if set(segments) != set(self._segments) or not all(bets.values()):
            message = f"a state of the segments {sorted(segments)}, or of other measures"
            raise ValueError(message)
        self._tallies = Tallies.of_plain(from_words(counts["tallies"]))
        self._before = {name: Tallies.of_plain(each) for name, each in before.items()}
        for name, each in self._segments.items():
            each.restore(segments[name])
        for name, means in self._means.items():
            means.restore(bets[name])
