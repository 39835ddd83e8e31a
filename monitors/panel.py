"""All monitors of one version in one role, under one budget of false alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import log
from types import MappingProxyType

import numpy as np

from configs.errors import NotFound, Refused
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.budget import Budget, arming_share
from monitors.detectors import Registered, detectors
from monitors.explain import Bins, DatesChanges, Explains
from monitors.labels.judged import JudgedBlock
from monitors.performance.cause import with_cause
from monitors.privacy import blame
from monitors.profile.reference import ReferenceProfile
from monitors.signal import (
    Detector,
    Judges,
    Key,
    Signal,
    State,
    Verdict,
    from_words,
    packed,
    unpacked,
    words,
)
from monitors.windows import Forgets
from registry.card import Card
from registry.records import Role
from registry.signature import Signature

NOTHING: Mapping[Key, int] = MappingProxyType({})


class Panel:
    """The monitors of one (version, role): blocks go in, signals with final verdicts come out.

    All subjects with an e-value, of every family, share one budget of false alarms: each detector
    has its part, which its subjects share, features by the importance that the card gives them. An
    alarm stands in all later readings until it is armed anew. One that lacks evidence among all is
    `ok`, or insufficient data if the detector says how many rows more would be enough. `armings`
    says how often each subject has been armed anew before.

    `Refused` when the card's features name inputs that the signature lacks.
    """

    def __init__(
        self,
        card: Card,
        signature: Signature,
        profile: ReferenceProfile | None,
        settings: Monitors,
        armings: Mapping[Key, int] = NOTHING,
    ) -> None:
        inputs = {spec.name for spec in signature.inputs}
        strays = sorted({f.input for f in card.features if f.input not in inputs})
        if strays:
            message = f"the card's features name inputs that the model lacks: {', '.join(strays)}"
            raise Refused(message)
        self.failures = 0
        self._origin = profile.origin if profile else ""
        self._budget = Budget.of(settings)
        self._raised: set[Key] = set()
        self.armings = Counter[Key](armings)
        self._stations = [
            _Station(each, each.make(card, profile, settings)) for each in detectors(settings)
        ]
        # Shared out once: a detector that fails later does not make the others' parts larger.
        self._parts = _parts(self._stations, {each.name: each.importance for each in card.features})
        self._apart = {each.name for each in detectors(settings) if not each.of_reference}

    def update(self, block: SampleBlock) -> None:
        """Take in one block; pinned requests chose their version, and are not traffic to judge."""
        if block.role == Role.PINNED:
            return
        for station in self._stations:
            self._guarded(station, lambda detector: detector.update(block))

    def judge(self, block: JudgedBlock) -> None:
        """Take in rows whose truth has come."""

        def act(detector: Detector) -> None:
            if isinstance(detector, Judges):
                detector.judge(block)

        for station in self._stations:
            self._guarded(station, act)

    def signals(self) -> tuple[Signal, ...]:
        """Every monitor's signals, in the order of registration."""
        for station in self._stations:
            self._guarded(station, station.read)
        said = self._weighed([signal for station in self._stations for signal in station.last])
        return with_cause(said)

    def rearm(self, key: Key) -> None:
        """Forget the evidence about one subject and begin anew, on a smaller part of the budget.

        `NotFound` when nothing of that key is watched by its evidence.
        """
        if key not in self._parts:
            message = f"no alarm can be raised about {' / '.join(key)}"
            raise NotFound(message)
        family, name, subject = key
        for station in self._stations:
            if (station.family, station.name) == (family, name):
                self._guarded(station, lambda detector: detector.rearm(subject))
        self._raised.discard(key)
        self.armings[key] += 1

    def bins(self, subject: str, minutes: int | None) -> Bins | None:
        """The bins of a feature, a score or the decision, None where there are none."""
        for station in self._stations:
            if isinstance(station.detector, Explains) and not station.failed:
                found = station.detector.bins(subject, minutes)
                if found is not None:
                    return found
        return None

    def forget(self, minute: int) -> bool:
        """Drop what detectors keep of before a minute since 1970; says whether there was any."""
        dropped: list[bool] = []

        def act(detector: Detector) -> None:
            if isinstance(detector, Forgets):
                dropped.append(detector.forget(minute))

        for station in self._stations:
            self._guarded(station, act)
        return any(dropped)

    def rows_since_change(self, key: Key) -> int | None:
        """Rows since the estimated change of what a signal is about, None where none is dated."""
        found: list[int | None] = []

        def ask(detector: Detector) -> None:
            if isinstance(detector, DatesChanges):
                found.append(detector.rows_since_change(key[2]))

        for station in self._stations:
            if (station.family, station.name) == key[:2]:
                self._guarded(station, ask)
        return found[0] if found else None

    def armed_anew(self) -> Counter[Key]:
        """How often each subject will have been armed anew once all of them are."""
        return self.armings + Counter(dict.fromkeys(self._parts, 1))

    def standing(self) -> dict[Key, int]:
        """The alarms that stand, and how many times each of them has been armed."""
        return {key: 1 + self.armings[key] for key in sorted(self._raised)}

    def state(self) -> State:
        """All that must outlive the process; a detector that has failed is left out."""
        own = {
            "raised": words(sorted(self._raised)),
            "armings": words([[*key, times] for key, times in sorted(self.armings.items())]),
        }
        states: dict[str, State] = {}
        for station in self._stations:
            self._guarded(station, partial(_remember, states, station.name))
        return packed({"panel": own, **states})

    def restore(self, state: State) -> None:
        """Go on from a state; a detector that was not there then begins anew.

        `ValueError` where it is not the state of a panel of the same version and settings.
        """
        own = unpacked(state, "panel")
        if not own:
            message = "not the state of a panel"
            raise ValueError(message)
        for station in self._stations:
            if held := unpacked(state, station.name):
                self._restore(station, held)
        self._raised = {
            (family, name, subject) for family, name, subject in from_words(own["raised"])
        }
        armings = from_words(own["armings"])
        self.armings = Counter({(f, n, s): times for f, n, s, times in armings})

    def _restore(self, station: _Station, held: State) -> None:
        refused: list[Exception] = []

        def act(detector: Detector) -> None:
            try:
                detector.restore(held)
            except (ValueError, KeyError) as error:  # What the protocol allows it to say.
                refused.append(error)
            else:
                station.read(detector)

        self._guarded(station, act)
        if refused:
            message = f"not a state of {station.name}: {refused[0]}"
            raise ValueError(message) from refused[0]

    def _guarded(self, station: _Station, act: Callable[[Detector], None]) -> None:
        if station.failed:
            return
        try:
            act(station.detector)
        except Exception as error:  # noqa: BLE001 - one broken detector must not silence the rest
            self.failures += 1
            station.fail(blame(error))

    def _weighed(self, signals: list[Signal]) -> tuple[Signal, ...]:
        weighed = [s for s in signals if s.log10_evidence is not None]
        log_e = np.array([(s.log10_evidence or 0.0) * log(10) for s in weighed])
        parts = np.array([self._part(s.key) for s in weighed])
        chosen = self._budget.passed(log_e, parts)
        together = {s.key for s, passes in zip(weighed, chosen, strict=True) if passes}
        final = (self._final(signal, signal.key in together) for signal in signals)
        return tuple(self._with_origin(signal) for signal in final)

    def _with_origin(self, signal: Signal) -> Signal:
        if not self._origin or signal.log10_evidence is None or signal.name in self._apart:
            return signal
        return replace(signal, message=f"{signal.message}; the reference was {self._origin}")

    def _part(self, key: Key) -> float:
        return self._parts.get(key, 0.0) * arming_share(1 + self.armings[key])

    def _final(self, signal: Signal, together: bool) -> Signal:
        if signal.log10_evidence is None:
            return signal
        if signal.verdict is Verdict.ALARM and together:
            self._raised.add(signal.key)
            return replace(signal, rows_needed=None)
        if signal.key in self._raised:
            stands = f"{signal.message}; raised earlier, stands until it is armed anew"
            return replace(signal, verdict=Verdict.ALARM, message=stands, rows_needed=None)
        if signal.verdict is Verdict.ALARM:
            alone = f"{signal.message}; not yet enough evidence among all that is watched"
            wanting = Verdict.OK if signal.rows_needed is None else Verdict.INSUFFICIENT_DATA
            return replace(signal, verdict=wanting, message=alone)
        return signal


class _Station:
    """A detector in its place: what it said last, and whether it has failed."""

    def __init__(self, registered: Registered, detector: Detector) -> None:
        self.family = registered.family
        self.name = registered.name
        self.part = registered.part
        self.of_features = registered.of_features
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


def _parts(stations: list[_Station], importance: Mapping[str, float]) -> dict[Key, float]:
    """The part of the budget that each subject with evidence holds; all of them sum to one."""
    parts: dict[Key, float] = {}
    for station in stations:
        keys = [signal.key for signal in station.last if signal.log10_evidence is not None]
        known = importance if station.of_features else {}
        weights = [known.get(subject, 1.0) for _, _, subject in keys]
        for key, weight in zip(keys, weights, strict=True):
            parts[key] = station.part * weight / sum(weights)
    whole = sum(parts.values())
    return {key: part / whole for key, part in parts.items()}


def _remember(states: dict[str, State], name: str, detector: Detector) -> None:
    states[name] = detector.state()
