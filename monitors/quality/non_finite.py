"""Non-finite values: whether more, or fewer, numbers are infinite than in the reference."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.columns import NumberColumns
from monitors.profile.reference import NumericProfile, ReferenceProfile
from monitors.quality.events import EventShares, Expected, in_profile, numbers, of_type
from registry.card import Card, FeatureType


class NonFiniteValues(EventShares):
    """**Detector** of infinite values among those that are not missing, by numeric feature."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        features = of_type(card, FeatureType.NUMERIC)
        said = {each.name: in_profile(profile, each, numbers(_infinite)) for each in features}
        super().__init__("non_finite", said, settings)
        self._columns = NumberColumns([each for each in features if each.name in self.subjects])

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        values = self._columns.read_rows(block.inputs, block.rows)
        self.take_rows(block, np.isinf(values), ~np.isnan(values))


def _infinite(reference: NumericProfile) -> Expected:
    return Expected(reference.non_finite, reference.rows - reference.missing)
