"""Every detector by family and name, and how much of the alarm budget each of them holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from configs.settings import Monitors
from monitors.drift.input import InputDrift
from monitors.drift.prediction import PredictionDrift
from monitors.drift.rows import RowDrift
from monitors.fairness.selection_rate import SelectionRate
from monitors.profile.reference import ReferenceProfile
from monitors.quality.missing import MissingValues
from monitors.quality.non_finite import NonFiniteValues
from monitors.quality.out_of_range import OutOfRange
from monitors.quality.outliers import Outliers
from monitors.quality.repeated_rows import RepeatedRows
from monitors.quality.stuck import StuckFeatures
from monitors.quality.unseen import UnseenCategories
from monitors.signal import Detector
from registry.card import Card

Make = Callable[[Card, ReferenceProfile | None, Monitors], Detector]


@dataclass(frozen=True, slots=True)
class Registered:
    """A detector in the list: its names, how to make it, and its part of the alarm budget.

    `part` is relative to those of the other detectors that watch something of the version; the
    subjects of one detector share its part. A detector without e-values has no use for one.
    """

    family: str
    name: str
    make: Make
    part: float = 1.0


DETECTORS = (
    Registered("drift", "input_drift", InputDrift, part=9.0),
    Registered("drift", "prediction_drift", PredictionDrift, part=2.0),
    Registered("drift", "row_drift", RowDrift),
    Registered("quality", "missing_values", MissingValues, part=2.0),
    Registered("quality", "non_finite", NonFiniteValues),
    Registered("quality", "out_of_range", OutOfRange),
    Registered("quality", "outliers", Outliers),
    Registered("quality", "unseen_categories", UnseenCategories),
    Registered("quality", "stuck", StuckFeatures),
    Registered("quality", "repeated_rows", RepeatedRows),
    Registered("fairness", "selection_rate", SelectionRate),
)
"""A new detector is one file, and one line here."""
