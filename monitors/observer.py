"""The observer: keeps the panels of all versions and turns blocks into signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from configs.settings import Monitors
from monitors.blocks import Folded, SampleBlock, Series, Snapshot
from monitors.merging import FOLD_ROWS, alike, joined
from monitors.panel import Panel
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.telemetry import names
from monitors.telemetry.signals import signal_gauges
from registry.records import Role, Version

_PANEL = "panel"

Describe = Callable[[str, int], tuple[Version, bytes | None]]
"""Gives a version and the bytes of its reference profile."""


@dataclass(slots=True)
class Watched:
    """One version in one role: its panel, and what it said last.

    `rows` counts those that wait to be folded too; `looked` says that nothing came since the last
    look.
    """

    model: str
    version: int
    role: str
    panel: Panel
    rows: int = 0
    waiting: list[SampleBlock] = field(default_factory=list)
    looked: bool = False
    signals: tuple[Signal, ...] = ()
    in_alarm: set[tuple[str, str]] = field(default_factory=set)


class Observer:
    """Folds blocks into panels, one for each version in each role that answers callers.

    Rows of pinned requests are left out: whoever pins a version is not the traffic it was made for.
    """

    def __init__(
        self,
        settings: Monitors,
        describe: Describe,
        source: str,
        clock: Callable[[], float],
        processor_time: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._describe = describe
        self._source = source
        self._clock = clock
        self._processor_time = processor_time
        self.folded = Folded()
        self._lag_s = 0.0
        self._watched: dict[tuple[str, int, str], Watched] = {}
        self._counters: dict[Series, int] = {}
        self._sequence = 0

    def fold(self, block: SampleBlock) -> None:
        """Take in a block; a small one waits for others, or for the next look."""
        self._lag_s = max(0.0, self._clock() - block.made_at)
        self._count(names.MONITOR_BLOCKS.name, block.model, str(block.version))
        if block.role == Role.PINNED:
            return
        watched = self._watch(block)
        watched.rows += block.rows
        watched.looked = False
        if watched.waiting and not alike(watched.waiting[-1], block):
            self._fold_waiting(watched)
        watched.waiting.append(block)
        if sum(each.rows for each in watched.waiting) >= FOLD_ROWS:
            self._fold_waiting(watched)

    def signals(self, model: str) -> tuple[Watched, ...]:
        """Give what there is to say of a model's versions, now."""
        self.look()
        return tuple(
            watched for _, watched in sorted(self._watched.items()) if watched.model == model
        )

    def look(self) -> None:
        """Ask every panel to which rows came for its signals; count those that went into alarm."""
        for watched in self._watched.values():
            if watched.looked:
                continue
            self._fold_waiting(watched)
            watched.looked = True
            watched.signals = watched.panel.signals()
            alarms = {
                (signal.name, signal.subject)
                for signal in watched.signals
                if signal.verdict is Verdict.ALARM
            }
            for signal in watched.signals:
                if (signal.name, signal.subject) in alarms - watched.in_alarm:
                    self._count(
                        names.ALARMS.name,
                        watched.model,
                        str(watched.version),
                        watched.role,
                        signal.family,
                        signal.name,
                        signal.subject,
                    )
            watched.in_alarm = alarms

    def snapshot(self) -> Snapshot:
        """Give the signals as gauges, with the observer's own counts."""
        self.look()
        self._sequence += 1
        gauges: dict[Series, float] = {(names.MONITOR_LAG.name, (_PANEL,)): self._lag_s}
        failures = 0
        for watched in self._watched.values():
            gauges.update(
                signal_gauges(watched.model, watched.version, watched.role, watched.signals)
            )
            failures += watched.panel.failures
        counters = {**self._counters, (names.MONITOR_FAILURES.name, (_PANEL,)): failures}
        return Snapshot(self._source, self._sequence, counters, {}, gauges)

    def _fold_waiting(self, watched: Watched) -> None:
        waiting, watched.waiting = watched.waiting, []
        if not waiting:
            return
        block = joined(waiting)
        before = self._processor_time()
        watched.panel.update(block)
        if block.rows >= FOLD_ROWS:
            seconds = self._processor_time() - before
            self.folded = Folded(self.folded.rows + block.rows, self.folded.seconds + seconds)

    def _watch(self, block: SampleBlock) -> Watched:
        key = (block.model, block.version, block.role)
        watched = self._watched.get(key)
        if watched is None:
            version, profile = self._describe(block.model, block.version)
            panel = Panel(
                version.card,
                version.signature,
                ReferenceProfile.from_json(profile) if profile is not None else None,
                self._settings,
            )
            watched = self._watched[key] = Watched(*key, panel)
        return watched

    def _count(self, name: str, *attributes: str) -> None:
        series = (name, attributes)
        self._counters[series] = self._counters.get(series, 0) + 1
