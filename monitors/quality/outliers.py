"""Outliers: values far outside of the middle half of the reference (Tukey's outer fences, 1977)."""

from __future__ import annotations

from configs.settings import Monitors
from monitors.profile.reference import NumericProfile, ReferenceProfile
from monitors.quality.events import REGISTER_AGAIN, Expected, Said
from monitors.quality.limits import BeyondLimits, Limits
from registry.card import Card


class Outliers(BeyondLimits):
    """**Detector** of values beyond the fences that the reference's quartiles have set."""

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        super().__init__("outliers", card, profile, settings, _beyond, _fences)


def _beyond(reference: NumericProfile) -> Said:
    if reference.edges and reference.fences is None:
        return REGISTER_AGAIN
    return Expected(reference.beyond, sum(reference.counts))


def _fences(reference: NumericProfile) -> Limits:
    # Without edges there are too few rows to compare with, and nobody asks.
    return reference.fences or (0.0, 0.0)
