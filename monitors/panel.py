"""All monitors of one version in one role, under one budget of false alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log

import numpy as np

from configs.errors import Refused
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift.input import InputDrift
from monitors.drift.prediction import PredictionDrift
from monitors.fairness.selection_rate import SelectionRate
from monitors.profile.reference import ReferenceProfile
from monitors.quality.missing import MissingValues
from monitors.signal import Detector, Signal, Verdict
from monitors.stats.ebh import first_then_e_bh
from registry.card import Card
from registry.records import Role
from registry.signature import Signature

DetectorFactory = Callable[[Card, ReferenceProfile | None, Monitors], Detector]

DETECTORS: tuple[tuple[str, str, DetectorFactory], ...] = (
    ("drift", "input_drift", InputDrift),
    ("drift", "prediction_drift", PredictionDrift),
    ("quality", "missing_values", MissingValues),
    ("fairness", "selection_rate", SelectionRate),
)
"""Every detector, by family and name: a new one is one file and one line here."""


class Panel:
    """The monitors of one (version, role): blocks go in, signals with final verdicts come out.

    All subjects with an e-value, of every family, share `budget.alarm_budget` by e-BH: with m
    of them, the first alarm needs an e-value of m / budget, so that each holds an equal part,
    and the chance of any such alarm ever, while nothing changes, is at most the budget. An
    alarm stands in all later readings. Selection rates have no e-value and stand outside
    the budget: see `monitors.fairness.selection_rate`.

    `Refused` when the card's features name inputs that the signature lacks.
    """

    def __init__(
        self,
        card: Card,
        signature: Signature,
        profile: ReferenceProfile | None,
        budget: Monitors,
    ) -> None:
        inputs = {spec.name for spec in signature.inputs}
        strays = sorted({f.input for f in card.features if f.input not in inputs})
        if strays:
            message = f"the card's features name inputs that the model lacks: {', '.join(strays)}"
            raise Refused(message)
        self.failures = 0
        self._budget = budget.alarm_budget
        self._raised: set[tuple[str, str, str]] = set()
        self._stations = [
            _Station(family, name, make(card, profile, budget)) for family, name, make in DETECTORS
        ]
        # Counted once: a detector that fails later does not make the others' share larger.
        self._hypotheses = sum(
            signal.log10_evidence is not None for s in self._stations for signal in s.last
        )

    def update(self, block: SampleBlock) -> None:
        """Take in one block; pinned requests chose their version, and are not traffic to judge."""
        if block.role == Role.PINNED:
            return
        for station in self._stations:
            self._guarded(station, lambda detector: detector.update(block))

    def signals(self) -> tuple[Signal, ...]:
        """Every monitor's signals, in the order of registration."""
        for station in self._stations:
            self._guarded(station, station.read)
        return self._weighed([signal for station in self._stations for signal in station.last])

    def _guarded(self, station: _Station, act: Callable[[Detector], None]) -> None:
        if station.failed:
            return
        try:
            act(station.detector)
        except Exception as error:  # noqa: BLE001 - one broken detector must not silence the rest
            self.failures += 1
            station.fail(f"{type(error).__name__}: {error}")

    def _weighed(self, signals: list[Signal]) -> tuple[Signal, ...]:
        weighed = [s for s in signals if s.log10_evidence is not None]
        log_e = np.array([(s.log10_evidence or 0.0) * log(10) for s in weighed])
        chosen = first_then_e_bh(log_e, self._budget, max(self._hypotheses, 1))
        together = {_key(s) for s, passes in zip(weighed, chosen, strict=True) if passes}
        return tuple(self._final(signal, _key(signal) in together) for signal in signals)

    def _final(self, signal: Signal, together: bool) -> Signal:
        if signal.log10_evidence is None:
            return signal
        if signal.verdict is Verdict.ALARM and together:
            self._raised.add(_key(signal))
        elif _key(signal) in self._raised:
            stands = f"{signal.message}; raised earlier, stands until the reference is replaced"
            return replace(signal, verdict=Verdict.ALARM, message=stands)
        elif signal.verdict is Verdict.ALARM:
            alone = f"{signal.message}; not yet enough evidence among all that is watched"
            return replace(signal, verdict=Verdict.OK, message=alone)
        return signal


class _Station:
    """A detector in its place: what it said last, and whether it has failed."""

    def __init__(self, family: str, name: str, detector: Detector) -> None:
        self.family = family
        self.name = name
        self.detector = detector
        self.failed = False
        self.last = detector.signals()

    def read(self, detector: Detector) -> None:
        """Keep what the detector says now."""
        self.last = detector.signals()

    def fail(self, reason: str) -> None:
        """Turn all that the detector said into errors; its state can no longer be trusted."""
        self.failed = True
        message = f"the monitor failed and is off until the next start: {reason}"
        nobody = Signal(self.family, self.name, "", Verdict.ERROR, 0)
        self.last = tuple(
            Signal(s.family, s.name, s.subject, Verdict.ERROR, s.rows, message=message)
            for s in self.last or (nobody,)
        )


def _key(signal: Signal) -> tuple[str, str, str]:
    return signal.family, signal.name, signal.subject
