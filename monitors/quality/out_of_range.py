"""Values out of range: below the smallest or above the largest that the reference had."""

from __future__ import annotations

from configs.settings import Monitors
from monitors.profile.reference import NumericProfile, ReferenceProfile
from monitors.quality.events import Expected
from monitors.quality.limits import BeyondLimits, Limits
from registry.card import Card


class OutOfRange(BeyondLimits):
    """**Detector** of values outside of the range of the half of the reference that chose the bins.

    The other half has some too, if few, and their share is what is compared with.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        super().__init__("out_of_range", card, profile, settings, _outside, _range)


def _outside(reference: NumericProfile) -> Expected:
    counts = reference.counts or (0,)
    return Expected(counts[0] + counts[-1], sum(counts))


def _range(reference: NumericProfile) -> Limits:
    return reference.edges[0], reference.edges[-1]
