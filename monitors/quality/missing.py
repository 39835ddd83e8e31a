"""Missing values: whether more, or fewer, are missing or not finite than in the reference."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.categories import texts
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import feature_values, watched
from monitors.profile.reference import FeatureProfile, NumericProfile, ReferenceProfile
from monitors.signal import Signal, State
from monitors.stats.effects import share_change
from monitors.stats.named import NamedStreams
from monitors.stats.tilts import share_tilts
from monitors.stats.uniforms import row_keys
from monitors.verdicts import NO_REFERENCE, REFERENCE_ROWS_MIN, Monitor
from registry.card import Card, Feature

SHARE_FLOOR = 0.01
"""Change of the share of missing values below which nobody is paged."""


class MissingValues:
    """**Detector** of changed shares of missing or non-finite values, one signal per feature."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._monitor = Monitor("quality", "missing_values", SHARE_FLOOR, settings)
        known = profile.features if profile else {}
        self._features: list[Feature] = []
        self._silent: list[Signal] = []
        for feature in watched(card):
            reference = known.get(feature.name)
            if reference is None:
                self._silent.append(self._monitor.silent(feature.name, NO_REFERENCE))
            elif reference.rows < REFERENCE_ROWS_MIN:
                why = "the reference has too few rows to compare with"
                self._silent.append(self._monitor.silent(feature.name, why))
            else:
                self._features.append(feature)
        profiles = [known[feature.name] for feature in self._features]
        numeric = [isinstance(reference, NumericProfile) for reference in profiles]
        self._numeric = np.flatnonzero(numeric)
        self._other = np.flatnonzero(np.logical_not(numeric)).tolist()
        self._columns = NumberColumns([self._features[at] for at in self._numeric])
        counts = np.array([_present_and_missing(reference) for reference in profiles])
        chosen = np.array([reference.missing_choosing for reference in profiles])
        choosing_rows = profile.rows - profile.counted if profile else 0
        shares = (chosen + 0.5) / (choosing_rows + 1)
        self._streams = NamedStreams(
            [f"missing_values/{feature.name}" for feature in self._features],
            counts.reshape(-1, 2),
            lambda part: share_tilts(shares[part]),
            settings.alarm_mode,
        )

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        missing = np.empty((len(self._features), block.rows), dtype=np.int16)
        missing[self._numeric] = ~np.isfinite(self._columns.read(block.inputs, block.rows))
        for at in self._other:
            values = feature_values(self._features[at], block.inputs)
            missing[at] = [text is None for text in texts(values)]
        keys = row_keys(block.prediction_ids, block.row_numbers)
        self._streams.update(keys, missing, block.minute)

    def signals(self) -> tuple[Signal, ...]:
        """One signal per watched feature: the change of its share of missing values."""
        wealth, since = self._streams.log_wealth(), self._streams.counts_since_change()
        rows = self._streams.counts.sum(axis=1)
        signals = []
        for at, feature in enumerate(self._features):
            present, missing = self._streams.reference[at].tolist()
            here = int(since[at, 1]), int(since[at].sum())
            effect = share_change((missing, present + missing), here) if here[1] else None
            signals.append(
                self._monitor.signal(feature.name, int(rows[at]), float(wealth[at]), effect)
            )
        return (*signals, *self._silent)

    def rearm(self, subject: str) -> None:
        """Begin anew with one feature."""
        for at, feature in enumerate(self._features):
            if feature.name == subject:
                self._streams.restart(at)

    def state(self) -> State:
        """All that must be remembered."""
        return self._streams.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._streams.restore(state)


def _present_and_missing(profile: FeatureProfile) -> tuple[int, int]:
    missing = profile.missing + (profile.non_finite if isinstance(profile, NumericProfile) else 0)
    return profile.rows - missing, missing
