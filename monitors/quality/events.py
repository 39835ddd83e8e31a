"""Shares of events by subject against the reference: what all detectors of data quality share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.reading import watched
from monitors.profile.reference import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    ReferenceProfile,
)
from monitors.signal import Signal, State
from monitors.stats.effects import Effect, share_change
from monitors.stats.shares import BLOCK_UNITS, NamedShares
from monitors.verdicts import NO_REFERENCE, REFERENCE_ROWS_MIN, Monitor
from registry.card import Card, Feature, FeatureType

Mask = NDArray[np.bool_]

SHARE_FLOOR = 0.01
"""Change of a share below which nobody is paged, unless a detector has a reason for another."""

TOO_FEW = "the reference has too few rows to compare with: register the version with more rows"
REGISTER_AGAIN = (
    "the reference profile was made before this was counted: register the version again to watch it"
)


class Expected(NamedTuple):
    """What was counted in the reference: so many events among so many units.

    `floor` is the change of their share below which nobody is paged.
    """

    events: int
    units: int
    floor: float = SHARE_FLOOR


Said = Expected | str
"""What the reference has of a subject, or why nothing can be said about it."""


class EventShares:
    """A fold over events, and one signal for each subject: the change of their share.

    `unit_rows` rows make a unit, of which some are a betting block. With `only_more`, fewer events
    than in the reference are nobody's concern.
    """

    def __init__(
        self,
        name: str,
        said: Mapping[str, Said],
        settings: Monitors,
        *,
        unit_rows: int = 1,
        block: int = BLOCK_UNITS,
        only_more: bool = False,
    ) -> None:
        self._unit_rows = unit_rows
        self._only_more = only_more
        expected: dict[str, Expected] = {}
        self._silent: list[Signal] = []
        for subject, each in said.items():
            if isinstance(each, Expected) and each.units >= REFERENCE_ROWS_MIN:
                expected[subject] = each
            else:
                why = each if isinstance(each, str) else TOO_FEW
                monitor = Monitor("quality", name, SHARE_FLOOR, settings)
                self._silent.append(monitor.silent(subject, why))
        self.subjects = tuple(expected)
        self._monitors = [
            Monitor("quality", name, each.floor, settings) for each in expected.values()
        ]
        counts = [(each.units - each.events, each.events) for each in expected.values()]
        self._shares = NamedShares(
            [f"{name}/{subject}" for subject in expected],
            np.array(counts, dtype=np.int64).reshape(-1, 2),
            settings.alarm_mode,
            block,
        )

    def take(
        self, keys: NDArray[np.uint64], minute: int, hits: Mask, present: Mask | None = None
    ) -> None:
        """Take in units by their keys, and which of the subjects' events they are.

        Shapes (units, subjects); what is not `present` says nothing, and must not be a hit.
        """
        self._shares.take(keys, minute, hits, present)

    def take_rows(self, block: SampleBlock, hits: Mask, present: Mask | None = None) -> None:
        """Take in the rows of a block, each of them a unit."""
        self.take(block.keys(), block.minute, hits, present)

    def signals(self) -> tuple[Signal, ...]:
        """One signal for each subject."""
        wealth, since = self._shares.log_wealth(), self._shares.counts_since_change()
        rows = self._shares.counts.sum(axis=1) * self._unit_rows
        signals = [
            monitor.signal(subject, int(rows[at]), float(wealth[at]), self._effect(at, since[at]))
            for at, (subject, monitor) in enumerate(zip(self.subjects, self._monitors, strict=True))
        ]
        return (*signals, *self._silent)

    def _effect(self, at: int, since: NDArray[np.int64]) -> Effect | None:
        if not since.sum():
            return None
        without, events = self._shares.reference[at].tolist()
        change = share_change((events, without + events), (int(since[1]), int(since.sum())))
        if not self._only_more:
            return change
        return Effect(change.kind, change.value, change.lower, 1.0)

    def rearm(self, subject: str) -> None:
        """Begin anew with one subject."""
        if subject in self.subjects:
            self._shares.restart(self.subjects.index(subject))

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        return self._shares.forget(minute)

    def state(self) -> State:
        """All that must be remembered."""
        return self._shares.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._shares.restore(state)


def of_type(card: Card, kind: FeatureType) -> tuple[Feature, ...]:
    """The watched features of a type."""
    return tuple(feature for feature in watched(card) if feature.type is kind)


def in_profile(
    profile: ReferenceProfile | None, feature: Feature, look: Callable[[FeatureProfile], Said]
) -> Said:
    """What there is to say of a feature by its profile."""
    reference = profile.features.get(feature.name) if profile else None
    return NO_REFERENCE if reference is None else look(reference)


def numbers(look: Callable[[NumericProfile], Said]) -> Callable[[FeatureProfile], Said]:
    """A look at numeric profiles only."""
    return lambda found: look(found) if isinstance(found, NumericProfile) else TOO_FEW


def categories(look: Callable[[CategoricalProfile], Said]) -> Callable[[FeatureProfile], Said]:
    """A look at categorical profiles only."""
    return lambda found: look(found) if isinstance(found, CategoricalProfile) else TOO_FEW
