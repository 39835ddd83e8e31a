"""Unseen categories: whether values come that the reference did not have."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.bins import CategoryBins
from monitors.profile.reading import feature_values
from monitors.profile.reference import CategoricalProfile, ReferenceProfile
from monitors.quality.events import EventShares, Expected, Said, categories, in_profile, of_type
from registry.card import Card, FeatureType

LIST_CUT = (
    "the profile does not hold all categories of the reference, so that a new one cannot be told "
    "from a rare one: fewer categories, 200 at most, or the policy keep would let it be watched"
)


class UnseenCategories(EventShares):
    """**Detector** of categories that the half of the reference which chose the list did not have.

    One signal per categorical feature, about the values that are not missing.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        features = of_type(card, FeatureType.CATEGORICAL)
        said = {each.name: in_profile(profile, each, categories(_unseen)) for each in features}
        super().__init__("unseen_categories", said, settings)
        known = profile.features if profile else {}
        references = {each: known[each] for each in self.subjects}
        self._bins = [
            (each, CategoryBins(reference), len(reference.categories) + 1)
            for each in features
            if isinstance(reference := references.get(each.name), CategoricalProfile)
        ]

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        codes = np.empty((block.rows, len(self._bins)), dtype=np.int16)
        for at, (feature, bins, _) in enumerate(self._bins):
            codes[:, at] = bins.encode(feature_values(feature, block.inputs))
        # The bins are the categories, then other, then unseen.
        unseen = np.array([number for _, _, number in self._bins], dtype=np.int16)
        self.take_rows(block, codes == unseen, codes >= 0)


def _unseen(reference: CategoricalProfile) -> Said:
    if reference.cut:
        return LIST_CUT
    return Expected(reference.unseen, reference.rows - reference.missing)
