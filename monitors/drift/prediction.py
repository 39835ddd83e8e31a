"""Prediction drift: whether scores and decisions have moved away from the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift import categorical
from monitors.drift.categorical import CategoricalComparison, CategoricalStream
from monitors.drift.input import SHARE_FLOOR, SHIFT_FLOOR, TOO_FEW
from monitors.drift.numeric import NumericStreams, ready
from monitors.explain import Bins
from monitors.profile.reading import Floats, as_floats, decision_values, score_columns, scores
from monitors.profile.reference import NumericProfile, ReferenceProfile, ScoreVector
from monitors.profile.strata import stratifier
from monitors.quality.events import REGISTER_AGAIN
from monitors.signal import Signal, State, packed, unpacked
from monitors.verdicts import NO_REFERENCE, Monitor
from monitors.windows import Forgets
from registry.card import Card

SCORE = "score"
DECISION = "decision"

NO_SCORE = "the card names no score, so its distribution cannot be watched: declare score in it"


class PredictionDrift:
    """**Detector** of changed predictions: the score, and the decision if the card declares one.

    A score of several columns, of which the card names none, has a signal for each of those that
    the reference describes: `score[0]`, `score[1]` and so on. The decision is a category.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        self._silent: list[Signal] = []
        by_shift = Monitor("drift", "prediction_drift", SHIFT_FLOOR, settings)
        by_share = Monitor("drift", "prediction_drift", SHARE_FLOOR, settings)
        self._width = 0
        self._columns: NDArray[np.intp] | None = None
        watched_scores = self._watched_scores(profile, by_shift)
        self._strata = strata = stratifier(card, profile)
        within = None
        if strata is not None:
            within = [strata.prediction_counts(*each) for each in watched_scores.items()]
        self._scores = NumericStreams(watched_scores, by_shift, within)
        self._decision = self._watched_decision(profile, by_share)
        self._compared = CategoricalComparison([self._decision] if self._decision else [])

    def _watched_scores(
        self, profile: ReferenceProfile | None, monitor: Monitor
    ) -> dict[str, NumericProfile]:
        """The score, or its columns, that can be watched; what cannot says why."""
        if self._card.score is None:
            self._silent.append(monitor.silent(SCORE, NO_SCORE))
            return {}
        vector = profile.score_vector if profile else None
        if vector is not None:
            return self._watched_columns(vector, monitor)
        reference = profile.score if profile else None
        if reference is not None and ready(reference):
            return {SCORE: reference}
        why = NO_REFERENCE if reference is None else TOO_FEW
        self._silent.append(monitor.silent(SCORE, why))
        return {}

    def _watched_columns(self, vector: ScoreVector, monitor: Monitor) -> dict[str, NumericProfile]:
        described = dict(zip(vector.columns, vector.profiles, strict=True))
        found = {column: each for column, each in described.items() if ready(each)}
        self._width = vector.width
        self._columns = np.array(list(found), dtype=np.intp)
        for column in sorted(described.keys() - found.keys()):
            self._silent.append(monitor.silent(f"{SCORE}[{column}]", TOO_FEW))
        if left_out := vector.width - len(described):
            self._silent.append(monitor.silent(SCORE, _left_out(left_out, vector.width)))
        return {f"{SCORE}[{column}]": each for column, each in found.items()}

    def _watched_decision(
        self, profile: ReferenceProfile | None, monitor: Monitor
    ) -> CategoricalStream | None:
        """The decision, if it can be watched; if it cannot, it says why."""
        if self._card.decision is None:
            return None
        reference = profile.decision if profile else None
        if reference is not None and categorical.ready(reference):
            strata = self._strata
            within = strata.prediction_counts(DECISION, reference) if strata else None
            return CategoricalStream(DECISION, reference, monitor, within)
        why = TOO_FEW
        if reference is None:
            why = NO_REFERENCE if profile is None else REGISTER_AGAIN
        self._silent.append(monitor.silent(DECISION, why))
        return None

    def update(self, block: SampleBlock) -> None:
        """Take in the outputs of one block."""
        if not block.rows:
            return
        strata = self._strata.of(block) if self._strata else None
        if self._scores.names:
            self._scores.update(block.keys(), self._read_scores(block), block.minute, strata)
        if self._decision:
            decided = decision_values(self._card, block.outputs)
            if decided is not None:
                self._decision.update(block.keys(), decided, block.minute, strata)

    def _read_scores(self, block: SampleBlock) -> Floats:
        """The scores that are watched, shape (subjects, rows)."""
        if self._columns is None:
            score = scores(self._card, block.outputs)
            return np.zeros((0, block.rows)) if score is None else score[None]
        columns = score_columns(self._card, block.outputs)
        width = 1 if columns is None else columns.shape[1]
        if columns is None or width != self._width:
            message = f"the score has {width} columns, and had {self._width} in the reference"
            raise Refused(message)
        return as_floats(columns.T[self._columns])

    def signals(self) -> tuple[Signal, ...]:
        """One signal about the score, or each of its columns, and one about the decision."""
        return (*self._scores.signals(), *self._compared.signals(), *self._silent)

    def bins(self, subject: str, minutes: int | None) -> Bins | None:
        """The bins of a score or of the decision."""
        if subject == DECISION and self._decision:
            return self._decision.bins(minutes)
        return self._scores.bins(subject, minutes)

    def rows_since_change(self, subject: str) -> int | None:
        """Rows since the estimated change of a score or of the decision."""
        if subject == DECISION and self._decision:
            return self._decision.rows_since_change()
        return self._scores.rows_since_change(subject)

    def rearm(self, subject: str) -> None:
        """Begin anew with a score or with the decision."""
        self._scores.rearm(subject)
        if subject == DECISION and self._decision:
            self._decision.rearm()

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        streams: list[Forgets] = [self._scores, *([self._decision] if self._decision else [])]
        dropped = [each.forget(minute) for each in streams]
        return any(dropped)

    def state(self) -> State:
        """All that must be remembered; scores lie at the top, as they did before decisions came."""
        own = self._scores.state() if self._scores.names else {}
        decision = self._decision.state() if self._decision else {}
        return {**own, **packed({DECISION: decision})}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if self._scores.names:
            self._scores.restore(state)
        if self._decision:
            self._decision.restore(unpacked(state, DECISION))


def _left_out(columns: int, width: int) -> str:
    return (
        f"{columns:,} of its {width:,} columns have no signal of their own, only the "
        f"{width - columns} that are the largest most often in the reference"
    )
