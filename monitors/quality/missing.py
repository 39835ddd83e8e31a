"""Missing values: whether more, or fewer, are missing than in the reference."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.categories import texts
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import feature_values, watched
from monitors.profile.reference import FeatureProfile, ReferenceProfile
from monitors.quality.events import EventShares, Expected, in_profile
from registry.card import Card, FeatureType


class MissingValues(EventShares):
    """**Detector** of changed shares of missing values, one signal per feature."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        features = watched(card)
        said = {each.name: in_profile(profile, each, _missing) for each in features}
        super().__init__("missing_values", said, settings)
        self._features = [each for each in features if each.name in self.subjects]
        texts_at = [each.type is FeatureType.CATEGORICAL for each in self._features]
        self._numeric = np.flatnonzero(np.logical_not(texts_at))
        self._other = np.flatnonzero(texts_at).tolist()
        self._columns = NumberColumns([self._features[at] for at in self._numeric])

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        missing = np.isnan(self._columns.read_rows(block.inputs, block.rows))
        if self._other:
            of_numbers = missing
            missing = np.empty((block.rows, len(self._features)), dtype=np.bool_)
            missing[:, self._numeric] = of_numbers
            for at in self._other:
                values = feature_values(self._features[at], block.inputs)
                missing[:, at] = [text is None for text in texts(values)]
        self.take_rows(block, missing)


def _missing(reference: FeatureProfile) -> Expected:
    return Expected(reference.missing, reference.rows)
