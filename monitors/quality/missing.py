"""Missing values: whether more, or fewer, are missing or not finite than in the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.categories import texts
from monitors.profile.reading import as_floats, feature_values, watched
from monitors.profile.reference import FeatureProfile, NumericProfile, ReferenceProfile
from monitors.signal import Signal
from monitors.stats.effects import share_change
from monitors.stats.streams import Streams
from monitors.stats.tilts import share_tilts
from monitors.stats.uniforms import row_keys, row_uniforms, stream_keys
from monitors.verdicts import NO_REFERENCE, REFERENCE_ROWS_MIN, Monitor
from registry.card import Card

SHARE_FLOOR = 0.01
"""Change of the share of missing values below which nobody is paged."""


class MissingValues:
    """**Detector** of changed shares of missing or non-finite values, one signal per feature."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        self._monitor = Monitor("quality", "missing_values", SHARE_FLOOR, settings)
        known = profile.features if profile else {}
        self._profiles: dict[str, FeatureProfile] = {}
        self._silent: list[Signal] = []
        for feature in watched(card):
            reference = known.get(feature.name)
            if reference is None:
                self._silent.append(self._monitor.silent(feature.name, NO_REFERENCE))
            elif reference.rows < REFERENCE_ROWS_MIN:
                why = "the reference has too few rows to compare with"
                self._silent.append(self._monitor.silent(feature.name, why))
            else:
                self._profiles[feature.name] = reference
        counts = np.array([_present_and_missing(p) for p in self._profiles.values()])
        chosen = np.array([p.missing_choosing for p in self._profiles.values()], dtype=np.float64)
        choosing_rows = profile.rows - profile.counted if profile else 0
        tilts = share_tilts((chosen + 0.5) / (choosing_rows + 1))
        self._streams = Streams(counts.reshape(-1, 2), tilts)
        self._keys = stream_keys(f"missing_values/{name}" for name in self._profiles)

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        if not self._profiles or not block.rows:
            return
        values = feature_values(self._card, block.inputs)
        missing = [_missing(values[name], p) for name, p in self._profiles.items()]
        keys = row_keys(block.prediction_ids, block.row_numbers)
        self._streams.update(
            np.stack(missing, axis=1).astype(np.int16), row_uniforms(keys, self._keys)
        )

    def signals(self) -> tuple[Signal, ...]:
        """One signal per watched feature: the change of its share of missing values."""
        if not self._profiles:
            return tuple(self._silent)
        wealth, since = self._streams.log_wealth(), self._streams.counts_since_change()
        signals = []
        for at, name in enumerate(self._profiles):
            present, missing = self._streams.reference[at].tolist()
            here = int(since[at, 1]), int(since[at].sum())
            effect = share_change((missing, present + missing), here) if here[1] else None
            rows = int(self._streams.counts[at].sum())
            signals.append(self._monitor.signal(name, rows, float(wealth[at]), effect))
        return (*signals, *self._silent)


def _present_and_missing(profile: FeatureProfile) -> tuple[int, int]:
    missing = profile.missing + (profile.non_finite if isinstance(profile, NumericProfile) else 0)
    return profile.rows - missing, missing


def _missing(values: NDArray[Any], profile: FeatureProfile) -> NDArray[np.bool_]:
    if isinstance(profile, NumericProfile):
        return ~np.isfinite(as_floats(values))
    return np.array([text is None for text in texts(values)], dtype=np.bool_)
