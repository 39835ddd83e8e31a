"""All that an alarm can be explained by: what has moved, and rows from before and since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from monitors.explain import BinShare, shares
from monitors.profile.reading import watched
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Key, Signal, Verdict
from monitors.watched import Watched
from monitors.why.answer import Moved
from monitors.why.attribution import ROWS_MAX
from monitors.why.kept_rows import KeptRows
from monitors.why.outcomes import FAMILIES, OF_ROWS
from registry.records import Version

MOVED_MAX = 8
_LIKELY = 1.0
"""Evidence of ten to one, as a power of ten: less is not worth a look."""
_BINS_TOLD = 3
_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Case:
    """An alarm by its `key`, and what is known about it; `changed_at` is in seconds since 1970.

    It is `estimated` where the monitor can date a change, else it is when the alarm was raised.
    `keeps` says whether rows are kept in memory at all; `before` and `since` are random samples.
    """

    key: Key
    version: Version
    reference: ReferenceProfile | None
    changed_at: float
    estimated: bool
    moved: tuple[Moved, ...]
    keeps: bool
    before: KeptRows | None
    since: KeptRows | None

    @property
    def of_outcomes(self) -> bool:
        """Whether the alarm is about how predictions turned out, and not about rows."""
        return self.key[0] in FAMILIES

    @property
    def features(self) -> tuple[str, ...]:
        """The features that have moved, each once, that of the alarm first.

        A group or a figure of the same name as a feature is none.
        """
        names = {feature.name for feature in watched(self.version.card)}
        of_rows = [each.signal for each in self.moved if each.signal.family not in FAMILIES]
        subjects = dict.fromkeys(signal.subject for signal in of_rows)
        return tuple(subject for subject in subjects if subject in names)


def open_case(watched_version: Watched, key: Key, now: float) -> Case:
    """What is known about a signal of a version in a role, after all of its rows were folded."""
    seen = watched_version
    estimate = seen.changed_at.get(key)
    changed_at = int(seen.raised_at.get(key, now)) if estimate is None else estimate
    minutes = max(1, ceil((now - changed_at) / 60) + 1)
    before = seen.reservoir.rows(0, changed_at)
    since = seen.reservoir.rows(changed_at, _EVER)
    return Case(
        key=key,
        version=seen.described,
        reference=seen.reference,
        changed_at=float(changed_at),
        estimated=estimate is not None,
        moved=tuple(
            Moved(signal, _moved_most(seen, signal, minutes))
            for signal in _in_motion(seen.signals, key)[:MOVED_MAX]
        ),
        keeps=seen.reservoir.keeps,
        before=before and before.smallest(ROWS_MAX),
        since=since and since.smallest(ROWS_MAX),
    )


def _in_motion(signals: Iterable[Signal], key: Key) -> list[Signal]:
    """Signals that say that something has moved: the alarm's own, alarms, then by evidence.

    Beside an alarm about outcomes, so do the other alarms of its family.
    """
    moving = [each for each in signals if each.key == key or _moves(each, key[0])]
    return sorted(
        moving,
        key=lambda each: (
            each.key != key,
            each.family not in FAMILIES,
            each.verdict is not Verdict.ALARM,
            -(each.log10_evidence or 0.0),
        ),
    )


def _moves(signal: Signal, family: str) -> bool:
    alarm = signal.verdict is Verdict.ALARM
    if signal.family in FAMILIES:
        return alarm and signal.family == family
    return signal.family in OF_ROWS and (alarm or (signal.log10_evidence or 0.0) >= _LIKELY)


def _moved_most(seen: Watched, signal: Signal, minutes: int) -> tuple[BinShare, ...]:
    if signal.family in FAMILIES:  # Its subject may have a feature's name, and is none.
        return ()
    bins = seen.panel.bins(signal.subject, minutes)
    if bins is None or not bins.live.sum():
        return ()
    moved = sorted(shares(bins), key=lambda each: -each.total_variation)
    return tuple(each for each in moved[:_BINS_TOLD] if each.total_variation > 0)
