"""A detector of somebody else's, plugged into Weir: ADWIN of river, one for each numeric feature.

Put this folder on Python's path and name the detector in the configuration:

    PYTHONPATH=examples weir up --config weir.yaml

    # weir.yaml
    monitors:
      detectors: ["river_adwin:ADWIN"]

ADWIN (Bifet, Gavaldà, Learning from time-changing data with adaptive windowing, 2007) compares a
stream with its own past, and needs no reference. It has no e-value, so that its alarms stand
outside the budget of false alarms: on clean data it raises some, ever more of them as time goes by.
"""

from __future__ import annotations

import pickle

import numpy as np
from river import drift

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.detectors import Registered
from monitors.profile.reading import as_floats, feature_values, watched
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict
from registry.card import Card, FeatureType

LARGEST = 1e100
"""Beyond it the variance of a window would be infinite."""


class AdwinDrift:
    """**Detector** of a changed mean. One signal per numeric feature, in alarm from a change on."""

    def __init__(self, card: Card, _: ReferenceProfile | None, settings: Monitors) -> None:
        self._features = [f for f in watched(card) if f.type is FeatureType.NUMERIC]
        self._minimum = settings.minimum_rows
        self._adwins = {feature.name: drift.ADWIN() for feature in self._features}
        self._rows = dict.fromkeys(self._adwins, 0)
        self._changed = dict.fromkeys(self._adwins, 0)

    def update(self, block: SampleBlock) -> None:
        """Take in the rows of one block, one by one."""
        for feature in self._features:
            values = as_floats(feature_values(feature, block.inputs))
            for value in values[np.abs(values) <= LARGEST].tolist():
                self._take(feature.name, value)

    def _take(self, name: str, value: float) -> None:
        self._rows[name] += 1
        self._adwins[name].update(value)
        if self._adwins[name].drift_detected:
            self._changed[name] = self._rows[name]

    def signals(self) -> tuple[Signal, ...]:
        """One signal per numeric feature; one that there are none to watch."""
        if not self._features:
            return (self._signal("", Verdict.INSUFFICIENT_DATA, 0, "no numeric features"),)
        return tuple(self._said(feature.name) for feature in self._features)

    def _said(self, name: str) -> Signal:
        rows, changed = self._rows[name], self._changed[name]
        if changed:
            return self._signal(name, Verdict.ALARM, rows, f"its mean changed before row {changed}")
        if rows < self._minimum:
            lacking, said = self._minimum - rows, f"{rows} rows so far"
            return self._signal(name, Verdict.INSUFFICIENT_DATA, rows, said, lacking)
        return self._signal(name, Verdict.OK, rows, f"mean {self._adwins[name].estimation:.4g}")

    def _signal(
        self, subject: str, verdict: Verdict, rows: int, message: str, lacking: int | None = None
    ) -> Signal:
        return Signal(
            "drift", "adwin", subject, verdict, rows, rows_needed=lacking, message=message
        )

    def rearm(self, subject: str) -> None:
        """Begin anew with one feature."""
        if subject in self._adwins:
            self._adwins[subject] = drift.ADWIN()
            self._rows[subject] = self._changed[subject] = 0

    def state(self) -> State:
        """Everything as river's own objects, pickled: they are read from Weir's own files only."""
        held = pickle.dumps((self._adwins, self._rows, self._changed))
        return {"river": np.frombuffer(held, dtype=np.uint8)}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        held = pickle.loads(state["river"].tobytes())  # noqa: S301 - Weir's own file
        self._adwins, self._rows, self._changed = held


ADWIN = Registered("drift", "adwin", AdwinDrift)
