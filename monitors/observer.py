"""The observer: keeps the panels of all versions and turns blocks into signals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from configs.errors import NotFound
from configs.settings import Monitors
from monitors.alarm import Standing
from monitors.blocks import Folded, SampleBlock, Series, Snapshot
from monitors.kept import Kept, KeptNowhere, Place
from monitors.merging import FOLD_ROWS, alike, joined
from monitors.panel import Key, Panel
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict, from_words, packed, unpacked, words
from monitors.telemetry import names
from monitors.telemetry.signals import distance_gauges, signal_gauges
from registry.records import Role, Version

_PANEL = "panel"

_SOURCES_MAX = 64
"""So many gateway processes are remembered by the rows that came from them, the latest ones."""

_log = logging.getLogger("weir.monitors")

Describe = Callable[[str, int], tuple[Version, bytes | None]]
"""Gives a version and the bytes of its reference profile; `NotFound` if there is none."""


@dataclass(slots=True)
class Watched:
    """One version in one role: its panel, and what it said last.

    `rows` counts those that wait to be folded too, `taken` the same by the process that sent them;
    `looked` says that nothing came since the last look. `reference` tells the profile and the
    promise that the panel's state belongs to. `raised_at` is when each alarm that stands was
    raised, in seconds since 1970.
    """

    model: str
    version: int
    role: str
    panel: Panel
    reference: str
    rows: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    waiting: list[SampleBlock] = field(default_factory=list)
    looked: bool = False
    changed: bool = False
    signals: tuple[Signal, ...] = ()
    in_alarm: set[Key] = field(default_factory=set)
    raised_at: dict[Key, float] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """The version in its role."""
        return self.model, self.version, self.role

    def take(self, block: SampleBlock) -> None:
        """Count the rows of a block."""
        self.rows += block.rows
        self.taken[block.source] += block.rows
        while len(self.taken) > _SOURCES_MAX:
            del self.taken[next(iter(self.taken))]
        self.looked, self.changed = False, True

    def state(self) -> State:
        """All that must outlive the process, as copies; nothing may wait to be folded."""
        own = {
            "reference": words(self.reference),
            "rows": words(self.rows),
            "taken": words(self.taken),
            "raised_at": words([[*key, at] for key, at in sorted(self.raised_at.items())]),
        }
        panel = {name: held.copy() for name, held in self.panel.state().items()}
        return packed({"watched": own, "panel": panel})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it belongs to another reference or promise."""
        own = unpacked(state, "watched")
        if not own or from_words(own["reference"]) != self.reference:
            message = "it was kept for another reference or another promise about false alarms"
            raise ValueError(message)
        self.panel.restore(unpacked(state, "panel"))
        self.rows = from_words(own["rows"])
        self.taken = Counter(from_words(own["taken"]))
        self.raised_at = {(f, n, s): at for f, n, s, at in from_words(own["raised_at"])}
        self.in_alarm = set(self.raised_at)


class Observer:
    """Folds blocks into panels, one for each version in each role that answers callers.

    Rows of pinned requests are left out: whoever pins a version is not the traffic it was made for.
    What was `kept` by an earlier start is gone on from, at the first thing that is asked.
    """

    def __init__(
        self,
        settings: Monitors,
        describe: Describe,
        source: str,
        clock: Callable[[], float],
        processor_time: Callable[[], float],
        kept: Kept | None = None,
    ) -> None:
        self._settings = settings
        self._describe = describe
        self._source = source
        self._clock = clock
        self._processor_time = processor_time
        self._kept = kept or KeptNowhere()
        self._recalled = False
        self.folded = Folded()
        self._lag_s = 0.0
        self._watched: dict[Place, Watched] = {}
        self._counters: dict[Series, int] = {}
        self._sequence = 0

    def fold(self, block: SampleBlock) -> None:
        """Take in a block; a small one waits for others, or for the next look."""
        self._recall()
        self._lag_s = max(0.0, self._clock() - block.made_at)
        self._count(names.MONITOR_BLOCKS.name, block.model, str(block.version))
        if block.role == Role.PINNED:
            return
        watched = self._watch(block)
        watched.take(block)
        if watched.waiting and not alike(watched.waiting[-1], block):
            self._fold_waiting(watched)
        watched.waiting.append(block)
        if sum(each.rows for each in watched.waiting) >= FOLD_ROWS:
            self._fold_waiting(watched)

    def taken(self, source: str) -> int:
        """How many rows of a gateway process the panels hold."""
        return sum(watched.taken[source] for watched in self._watched.values())

    def signals(self, model: str) -> tuple[Watched, ...]:
        """Give what there is to say of a model's versions, now."""
        self.look()
        return tuple(
            watched for _, watched in sorted(self._watched.items()) if watched.model == model
        )

    def look(self) -> None:
        """Ask every panel to which rows came for its signals; count those that went into alarm."""
        self._recall()
        for watched in self._watched.values():
            if watched.looked:
                continue
            self._fold_waiting(watched)
            watched.looked = True
            watched.signals = watched.panel.signals()
            self._note_alarms(watched)

    def alarms(self) -> tuple[Standing, ...]:
        """Every alarm that stands and can be armed anew."""
        self.look()
        return tuple(
            _standing(watched, signal, arming)
            for watched in self._watched.values()
            for signal in watched.signals
            if (arming := watched.panel.standing().get(_key(signal))) is not None
        )

    def rearm(self, place: Place, key: Key) -> None:
        """Begin anew with one signal of a version in a role; `NotFound` where it is not watched."""
        self._recall()
        watched = self._watched.get(place)
        if watched is None:
            model, version, role = place
            message = f"version {version} of {model!r} as {role} is not watched"
            raise NotFound(message)
        self._fold_waiting(watched)
        watched.panel.rearm(key)
        watched.raised_at.pop(key, None)
        watched.looked, watched.changed = False, True

    def states(self) -> dict[Place, State]:
        """What has changed since this was asked last, as copies that may be written at leisure."""
        self.look()
        changed = [watched for watched in self._watched.values() if watched.changed]
        for watched in changed:
            watched.changed = False
        return {watched.place: watched.state() for watched in changed}

    def _recall(self) -> None:
        """Go on from what was kept, once."""
        if self._recalled:
            return
        for place, state in self._kept.all():
            try:
                watched = self._made(place)
                watched.restore(state)
            except (NotFound, ValueError, KeyError) as error:
                _log.warning("the monitors of %s begin anew: %s", place, error)
                self._kept.forget(place)
            else:
                self._watched[place] = watched
        self._recalled = True

    def _note_alarms(self, watched: Watched) -> None:
        alarms = {_key(each) for each in watched.signals if each.verdict is Verdict.ALARM}
        for key in sorted(alarms - watched.in_alarm):
            self._count(names.ALARMS.name, watched.model, str(watched.version), watched.role, *key)
            watched.raised_at[key] = self._clock()
        for key in watched.in_alarm - alarms:
            watched.raised_at.pop(key, None)
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
        watched_arms = ((w.model, w.version, w.role, w.signals) for w in self._watched.values())
        gauges.update(distance_gauges(watched_arms))
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
        place = (block.model, block.version, block.role)
        watched = self._watched.get(place)
        if watched is None:
            watched = self._watched[place] = self._made(place)
        return watched

    def _made(self, place: Place) -> Watched:
        """A panel without any rows for a version in a role."""
        model, version_number, _ = place
        version, profile = self._describe(model, version_number)
        panel = Panel(
            version.card,
            version.signature,
            ReferenceProfile.from_json(profile) if profile is not None else None,
            self._settings,
        )
        return Watched(*place, panel, _reference(profile, self._settings))

    def _count(self, name: str, *attributes: str) -> None:
        series = (name, attributes)
        self._counters[series] = self._counters.get(series, 0) + 1


def _reference(profile: bytes | None, settings: Monitors) -> str:
    """What tells the reference and the promise that evidence was collected under."""
    return f"{settings.alarm_mode.value} {sha256(profile or b'').hexdigest()}"


def _standing(watched: Watched, signal: Signal, arming: int) -> Standing:
    return Standing(
        *watched.place,
        *_key(signal),
        raised_at=watched.raised_at.get(_key(signal), 0.0),
        arming=arming,
        log10_evidence=signal.log10_evidence or 0.0,
        value=signal.value,
        lower=signal.lower,
        upper=signal.upper,
        message=signal.message,
    )


def _key(signal: Signal) -> Key:
    return signal.family, signal.name, signal.subject
