"""Numbers beyond limits that the reference has set: what out-of-range values and outliers share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.columns import NumberColumns
from monitors.profile.reference import NumericProfile, ReferenceProfile
from monitors.quality.events import EventShares, Said, in_profile, numbers, of_type
from registry.card import Card, FeatureType, Policy

Limits = tuple[float, float]

KEPT_IN = (
    "the policy that the card has for this feature keeps its range out of the profile: with the "
    "policy keep it would be watched"
)


class BeyondLimits(EventShares):
    """Finite values below the lower or above the upper limit, by numeric feature.

    `look` gives what the reference has of a feature, `limits` its limits where it has any.
    """

    def __init__(
        self,
        name: str,
        card: Card,
        profile: ReferenceProfile | None,
        settings: Monitors,
        look: Callable[[NumericProfile], Said],
        limits: Callable[[NumericProfile], Limits],
    ) -> None:
        features = of_type(card, FeatureType.NUMERIC)
        said: dict[str, Said] = {
            each.name: in_profile(profile, each, numbers(look))
            if each.policy is Policy.KEEP
            else KEPT_IN
            for each in features
        }
        super().__init__(name, said, settings)
        known = profile.features if profile else {}
        found = [known[subject] for subject in self.subjects]
        pairs = [limits(each) for each in found if isinstance(each, NumericProfile)]
        self._lower, self._upper = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        self._columns = NumberColumns([each for each in features if each.name in self.subjects])

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        values = self._columns.read_rows(block.inputs, block.rows)
        finite = np.isfinite(values)
        beyond = (values < self._lower) | (values > self._upper)
        self.take_rows(block, beyond & finite, finite)
