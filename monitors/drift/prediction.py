"""Prediction drift: whether the distribution of the score has moved away from the reference."""

from __future__ import annotations

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift.input import SHIFT_FLOOR, TOO_FEW
from monitors.drift.numeric import NumericStreams, ready
from monitors.explain import Bins
from monitors.profile.reading import scores
from monitors.profile.reference import ReferenceProfile
from monitors.profile.strata import stratifier
from monitors.signal import Signal, State
from monitors.verdicts import NO_REFERENCE, Monitor
from registry.card import Card

SUBJECT = "score"


class PredictionDrift:
    """**Detector** of a changed score. One signal, whose subject is `score`."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        monitor = Monitor("drift", "prediction_drift", SHIFT_FLOOR, settings)
        self._streams: NumericStreams | None = None
        self._silent: tuple[Signal, ...] = ()
        self._strata = stratifier(card, profile)
        reference = profile.score if profile else None
        if card.score is None:
            why = "the card names no score, so its distribution cannot be watched"
            self._silent = (monitor.silent(SUBJECT, why),)
        elif reference is None:
            self._silent = (monitor.silent(SUBJECT, NO_REFERENCE),)
        elif not ready(reference):
            self._silent = (monitor.silent(SUBJECT, TOO_FEW),)
        else:
            within = [self._strata.score_counts(reference)] if self._strata else None
            self._streams = NumericStreams({SUBJECT: reference}, monitor, within)

    def update(self, block: SampleBlock) -> None:
        """Take in the outputs of one block, and the strata of its rows."""
        if self._streams is None:
            return
        score = scores(self._card, block.outputs)
        if score is not None:
            keys = block.keys()
            strata = self._strata.of(block) if self._strata else None
            self._streams.update(keys, score[None], block.minute, strata)

    def signals(self) -> tuple[Signal, ...]:
        """One signal about the score."""
        return tuple(self._streams.signals()) if self._streams else self._silent

    def bins(self, subject: str, minutes: int | None) -> Bins | None:
        """The bins of the score."""
        return self._streams.bins(subject, minutes) if self._streams else None

    def rows_since_change(self, subject: str) -> int | None:
        """Rows since the score's estimated change."""
        return self._streams.rows_since_change(subject) if self._streams else None

    def rearm(self, subject: str) -> None:
        """Begin anew with the score."""
        if self._streams:
            self._streams.rearm(subject)

    def state(self) -> State:
        """All that must be remembered."""
        return self._streams.state() if self._streams else {}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if self._streams:
            self._streams.restore(state)
