"""Every detector by family and name, and how much of the alarm budget each of them holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from configs.errors import ConfigError
from configs.settings import Monitors
from monitors.business.kpi import BusinessValue
from monitors.drift.input import InputDrift
from monitors.drift.prediction import PredictionDrift
from monitors.drift.rows import RowDrift
from monitors.fairness.detector import GroupFairness
from monitors.fairness.measures import MEASURES, SELECTION_RATE
from monitors.fairness.proxies import SelectionBounds
from monitors.performance.calibration import CalibrationDrift
from monitors.performance.corrected import CorrectedPerformance
from monitors.performance.estimated import EstimatedPerformance
from monitors.performance.loss import LossRise
from monitors.performance.realised import RealisedPerformance
from monitors.profile.reference import ReferenceProfile
from monitors.quality.missing import MissingValues
from monitors.quality.non_finite import NonFiniteValues
from monitors.quality.out_of_range import OutOfRange
from monitors.quality.outliers import Outliers
from monitors.quality.refused_requests import RefusedRequests
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
    `of_features` says that the subjects are features, so that the importance of these counts;
    `of_reference` that they are compared with the reference.
    """

    family: str
    name: str
    make: Make
    part: float = 1.0
    of_features: bool = True
    of_reference: bool = True


DETECTORS = (
    Registered("drift", "input_drift", InputDrift, part=12.0),
    Registered("drift", "prediction_drift", PredictionDrift, part=3.0, of_features=False),
    Registered("drift", "row_drift", RowDrift),
    Registered("quality", "missing_values", MissingValues, part=2.0),
    Registered("quality", "non_finite", NonFiniteValues),
    Registered("quality", "out_of_range", OutOfRange),
    Registered("quality", "outliers", Outliers),
    Registered("quality", "unseen_categories", UnseenCategories),
    Registered("quality", "stuck", StuckFeatures),
    Registered("quality", "repeated_rows", RepeatedRows),
    Registered("quality", "refused_requests", RefusedRequests),
    *(
        Registered(
            "fairness",
            each.name,
            partial(GroupFairness, each),
            part=2.0 if each is SELECTION_RATE else 1.0,
            of_features=False,
            of_reference=False,
        )
        for each in MEASURES
    ),
    Registered(
        "fairness", "selection_bounds", SelectionBounds, of_features=False, of_reference=False
    ),
    Registered("business", "kpi", BusinessValue, of_features=False),
    Registered("performance", "realised", RealisedPerformance, part=3.0, of_features=False),
    Registered("performance", "estimated", EstimatedPerformance, of_features=False),
    Registered("performance", "corrected", CorrectedPerformance, of_features=False),
    Registered("performance", "loss", LossRise, part=4.0, of_features=False),
    Registered("performance", "miscalibration", CalibrationDrift, of_features=False),
)
"""A new detector is one file, and one line here."""


def detectors(settings: Monitors) -> tuple[Registered, ...]:
    """Weir's own detectors and those that the settings name.

    `ConfigError` when one cannot be imported, is not a `Registered`, or has the name of another.
    """
    found = [*DETECTORS]
    for path in settings.detectors:
        extra = _named(path)
        if extra.name in {each.name for each in found}:
            message = f"monitors.detectors: {path} is called '{extra.name}', as another one is"
            raise ConfigError(message)
        found.append(extra)
    return tuple(found)


def _named(path: str) -> Registered:
    module, _, name = path.partition(":")
    try:
        extra = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"monitors.detectors: {path} cannot be had: {error}"
        raise ConfigError(message) from error
    if not isinstance(extra, Registered):
        message = f"monitors.detectors: {path} is not a monitors.detectors.Registered"
        raise ConfigError(message)
    return extra
