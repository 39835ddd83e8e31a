"""Weir's own monitors on a stream: the panel of a version, with both gates and with each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.evidence import held, largest
from benchmarks.accuracy.results import Run
from benchmarks.accuracy.streams import CHANGE_AT, FEATURES, Rows, Scenario, make, seconds
from benchmarks.processes import BenchmarkError
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.budget import Budget, arming_share
from monitors.detectors import detectors
from monitors.drift.input import SHARE_FLOOR, SHIFT_FLOOR
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.reading import Tensors
from monitors.profile.reference import NumericProfile, ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Feature, FeatureType, Score, Strata, Task
from registry.signature import Datatype, Signature, TensorSpec

BOTH = "Weir"
EVIDENCE = "Weir, evidence gate alone"
EFFECT = "Weir, effect gate alone"
GATES = (BOTH, EVIDENCE, EFFECT)
BROKEN = "Weir, broken on purpose"
BROKEN_EVIDENCE = "Weir, broken on purpose, evidence gate alone"
BY_HOUR = "Weir, strata by hour"
BY_HOUR_EVIDENCE = "Weir, strata by hour, evidence gate alone"

LOOK_ROWS = 200
NEAR_ROWS = 10
NEAR = 600
FAR_ROWS = 50
"""Rows between looks: always, right after a change, how long that is, and later on."""

EFFECT_SEEDS = 40
"""Clean streams on which the effect gate alone is read, which takes ten times as long."""

_BROKEN_ROWS = 200
_BROKEN_FACTOR = 100

TIME = "time"
HOUR_S = 3_600

DRIFT = "input_drift"
Subject = tuple[str, str]
"""A signal's name, and what it is about."""

Alarms = Mapping[str, frozenset[Subject]]
"""What is alarmed about, by gate."""


def name(column: int) -> str:
    """What the card calls the feature in a column."""
    return f"f{column:02d}"


def card(categorical: Sequence[int], by_hour: bool = False) -> Card:
    """Features in their order: numbers in one tensor, categories in another; and a score.

    `by_hour`: rows are compared within hours of the week.
    """
    numbers = [column for column in range(FEATURES) if column not in categorical]
    features = [Feature(name=name(each), input="x", column=at) for at, each in enumerate(numbers)]
    features += [
        Feature(name=name(each), input="c", column=at, type=FeatureType.CATEGORICAL)
        for at, each in enumerate(categorical)
    ]
    strata = Strata(hour_of_week=True, time=TIME) if by_hour else None
    return Card(task=Task.BINARY, score=Score(output="p"), features=tuple(features), strata=strata)


def signature(categorical: Sequence[int]) -> Signature:
    """The tensors that the card speaks of."""
    shape = (-1, FEATURES - len(categorical))
    inputs = [TensorSpec(name="x", datatype=Datatype.FP32, shape=shape)]
    if categorical:
        shape = (-1, len(categorical))
        inputs.append(TensorSpec(name="c", datatype=Datatype.INT64, shape=shape))
    outputs = (TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 1)),)
    return Signature(inputs=tuple(inputs), outputs=outputs)


def model(inputs: Tensors) -> dict[str, NDArray[Any]]:
    """A logistic model of all numbers alike."""
    margin = inputs["x"].sum(axis=1, keepdims=True) / np.sqrt(inputs["x"].shape[1])
    return {"p": (1 / (1 + np.exp(-margin))).astype(np.float32)}


def profile(reference: Rows, categorical: Sequence[int], by_hour: bool = False) -> ReferenceProfile:
    """The profile that registration would make of the reference rows."""
    columns: dict[str, NDArray[Any]] = {
        name(column): reference[:, column] for column in range(FEATURES)
    }
    if by_hour:
        columns[TIME] = seconds(0, len(reference))
    return build_profile(card(categorical, by_hour), signature(categorical), columns, model)


def broken_profile(reference: Rows, categorical: Sequence[int]) -> ReferenceProfile:
    """A few rows that are said to be a hundred times as many.

    Ranks among them take the reference for the truth, as many a drift test does, so that the
    p-values are not uniform, and what is called an e-value is none.
    """
    honest = profile(reference[:_BROKEN_ROWS], categorical)
    features = {
        each: known.model_copy(update={"counts": _many(known.counts)})
        for each, known in honest.features.items()
        if isinstance(known, NumericProfile)
    }
    return honest.model_copy(update={"features": {**honest.features, **features}})


def _many(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(_BROKEN_FACTOR * count for count in counts)


class Watch:
    """A panel that is shown rows and asked which alarms stand, by each gate.

    Evidence alone: enough evidence for the panel's threshold, however small the effect. Effect
    alone: the bound of a drifted input is above its floor, whatever the evidence. `by_hour`: rows
    come at the pace of a daily stream, and are compared within hours.
    """

    def __init__(
        self,
        known: ReferenceProfile,
        categorical: Sequence[int],
        seed: int,
        by_hour: bool = False,
    ) -> None:
        settings = Monitors()
        self._categorical = list(categorical)
        self._numeric = [each for each in range(FEATURES) if each not in categorical]
        self._shares = {name(column) for column in categorical}
        self._rng = np.random.default_rng([seed, 1])
        self._budget = Budget.of(settings)
        described = card(categorical, by_hour)
        self.panel = Panel(described, signature(categorical), known, settings)
        self._by_hour = by_hour
        self._rows = 0
        self._parts = parts(self.panel.signals())
        self._wealth = held(self.panel)

    def fold(self, rows: Rows) -> None:
        """Take in rows, those of each hour by themselves if hours matter."""
        times = seconds(self._rows, len(rows)) if self._by_hour else np.zeros(len(rows))
        ends = np.flatnonzero(np.diff(times // HOUR_S)) + 1
        for at, end in pairwise([0, *ends.tolist(), len(rows)]):
            self.panel.update(self._block(rows[at:end], float(times[at])))
        self._rows += len(rows)

    def glance(self) -> Alarms:
        """The alarms by evidence, as `look` would give them; what effect says alone is left out.

        Only good while no alarm stands, since one that does outlives its evidence.
        """
        if largest(self._wealth) < self._budget.log_alone and not self.panel.failures:
            return {}
        alarms = self.look()
        return {gate: alarms[gate] for gate in (BOTH, EVIDENCE)}

    def look(self) -> Alarms:
        """The alarms that stand now."""
        signals = self.panel.signals()
        if self.panel.failures:
            message = "a monitor failed, so there is no figure"
            raise BenchmarkError(message)
        weighed = [signal for signal in signals if signal.log10_evidence is not None]
        log_e = np.array([(signal.log10_evidence or 0.0) * np.log(10) for signal in weighed])
        shares = np.array([self._parts[_subject(signal)] for signal in weighed])
        proved = self._budget.passed(log_e, shares)
        return {
            BOTH: frozenset(_subject(s) for s in signals if s.verdict is Verdict.ALARM),
            EVIDENCE: frozenset(_subject(s) for s, is_ in zip(weighed, proved, strict=True) if is_),
            EFFECT: frozenset(_subject(s) for s in signals if self._large(s)),
        }

    def _large(self, signal: Signal) -> bool:
        if signal.name != DRIFT or signal.lower is None or signal.upper is None:
            return False
        floor = SHARE_FLOOR if signal.subject in self._shares else SHIFT_FLOOR
        return max(signal.lower, -signal.upper) > floor

    def _block(self, rows: Rows, made_at: float) -> SampleBlock:
        # Only the look-up of columns needs a copy; the monitors are shown what a gateway shows.
        inputs: dict[str, NDArray[Any]] = {"x": rows[:, self._numeric]}
        if self._categorical:
            inputs["c"] = rows[:, self._categorical].astype(np.int64)
        ids = np.frombuffer(self._rng.bytes(16 * len(rows)).hex().encode("ascii"), dtype="S32")
        numbers = np.zeros(len(rows), dtype=np.int64)
        return SampleBlock(
            "m", 1, "stable", "s", 1.0, ids, numbers, inputs, model(inputs), made_at=made_at
        )


def parts(signals: Sequence[Signal]) -> dict[Subject, float]:
    """The part of the budget that each subject with evidence holds in its first arming."""
    held: dict[Subject, float] = {}
    for registered in detectors(Monitors()):
        mine = [
            _subject(signal)
            for signal in signals
            if (signal.family, signal.name) == (registered.family, registered.name)
            and signal.log10_evidence is not None
        ]
        held |= {subject: registered.part / len(mine) for subject in mine}
    whole = sum(held.values())
    return {subject: part / whole * arming_share(1) for subject, part in held.items()}


def _subject(signal: Signal) -> Subject:
    return signal.name, signal.subject


def replay(scenario: Scenario, seed: int) -> list[Run]:
    """One stream for the panel: a run for each gate, but for the effect's in later clean ones."""
    stream = make(scenario, seed)
    watch = Watch(profile(stream.reference, scenario.categorical), scenario.categorical, seed)
    gates = GATES if scenario.change is not None or seed < EFFECT_SEEDS else GATES[:2]
    return followed(watch, scenario, seed, stream.live, gates)


def replay_broken(scenario: Scenario, seed: int) -> list[Run]:
    """One stream for a panel whose evidence is broken on purpose."""
    stream = make(scenario, seed)
    known = broken_profile(stream.reference, scenario.categorical)
    watch = Watch(known, scenario.categorical, seed)
    runs = {r.contestant: r for r in followed(watch, scenario, seed, stream.live, GATES[:2])}
    names = ((BOTH, BROKEN), (EVIDENCE, BROKEN_EVIDENCE))
    return [_renamed(runs[gate], broken) for gate, broken in names]


def replay_by_hour(scenario: Scenario, seed: int) -> list[Run]:
    """One stream for a panel that compares rows within hours of the week."""
    stream = make(scenario, seed)
    known = profile(stream.reference, scenario.categorical, by_hour=True)
    watch = Watch(known, scenario.categorical, seed, by_hour=True)
    runs = {r.contestant: r for r in followed(watch, scenario, seed, stream.live, GATES[:2])}
    names = ((BOTH, BY_HOUR), (EVIDENCE, BY_HOUR_EVIDENCE))
    return [_renamed(runs[gate], by_hour) for gate, by_hour in names]


def _renamed(run: Run, contestant: str) -> Run:
    return Run(contestant, run.scenario, run.seed, run.rows, run.first, run.found)


def followed(
    watch: Watch, scenario: Scenario, seed: int, live: Rows, gates: Sequence[str]
) -> list[Run]:
    """The first alarms by each gate; ends once there is nothing more to learn."""
    first: dict[str, int] = {}
    found: dict[str, int] = {}
    sought = (DRIFT, name(scenario.changed))
    rows = 0
    for end in looks(scenario):
        watch.fold(live[rows:end])
        rows = end
        for gate, alarms in (watch.look() if EFFECT in gates else watch.glance()).items():
            if alarms:
                first.setdefault(gate, rows)
            if scenario.change is not None and rows > CHANGE_AT and sought in alarms:
                found.setdefault(gate, rows - CHANGE_AT)
        if len(found if scenario.change is not None else first) == len(gates):
            break
    return [
        Run(gate, scenario.name, seed, rows, first.get(gate), found.get(gate)) for gate in gates
    ]


def looks(scenario: Scenario) -> Iterator[int]:
    """After how many rows there is a look: often right after a change, so that delays are exact."""
    if scenario.change is None:
        yield from range(LOOK_ROWS, scenario.rows + 1, LOOK_ROWS)
        return
    yield from range(LOOK_ROWS, CHANGE_AT + 1, LOOK_ROWS)
    yield from range(CHANGE_AT + NEAR_ROWS, CHANGE_AT + NEAR, NEAR_ROWS)
    yield from range(CHANGE_AT + NEAR, scenario.rows + 1, FAR_ROWS)


REPLAYS: Mapping[str, Callable[[Scenario, int], list[Run]]] = {
    BOTH: replay,
    BROKEN: replay_broken,
    BY_HOUR: replay_by_hour,
}
