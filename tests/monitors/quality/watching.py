"""The detectors of data quality with a fault for each, and references and streams to try them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.quality.events import EventShares
from monitors.quality.missing import MissingValues
from monitors.quality.non_finite import NonFiniteValues
from monitors.quality.out_of_range import OutOfRange
from monitors.quality.outliers import Outliers
from monitors.quality.repeated_rows import SUBJECT, RepeatedRows
from monitors.quality.stuck import StuckFeatures
from monitors.quality.unseen import UnseenCategories
from monitors.signal import Signal
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model

Columns = dict[str, NDArray[Any]]
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A detector, the subject that a fault is planted in, and how: in some share of rows."""

    detector: Any
    subject: str
    plant: Callable[[Columns, NDArray[np.bool_]], None]

    @property
    def name(self) -> str:
        """The name that its signals have."""
        return str(self.detector(CARD, None, Monitors()).signals()[0].name)


def put(column: str, value: object) -> Callable[[Columns, NDArray[np.bool_]], None]:
    """Plants a value."""

    def plant(table: Columns, where: NDArray[np.bool_]) -> None:
        table[column][where] = value

    return plant


def repeat(*names: str) -> Callable[[Columns, NDArray[np.bool_]], None]:
    """Plants what the row before has."""

    def plant(table: Columns, where: NDArray[np.bool_]) -> None:
        for row in np.flatnonzero(where[1:]) + 1:
            for name in names or tuple(table):
                table[name][row] = table[name][row - 1]

    return plant


CASES = (
    Case(MissingValues, "town", put("town", None)),
    Case(MissingValues, "debt", put("debt", np.nan)),
    Case(NonFiniteValues, "debt", put("debt", -np.inf)),
    Case(OutOfRange, "age", put("age", 9.0)),
    Case(OutOfRange, "debt", put("debt", -0.5)),
    Case(Outliers, "age", put("age", -40.0)),
    Case(UnseenCategories, "town", put("town", "new")),
    Case(StuckFeatures, "age", repeat("age")),
    Case(RepeatedRows, SUBJECT, repeat()),
)


def reference(table: Columns) -> ReferenceProfile:
    """The profile of reference rows."""
    return build_profile(CARD, SIGNATURE, table, model)


def clean(seed: int, rows: int) -> Columns:
    """Clean rows."""
    return columns(np.random.default_rng([17, seed]), rows)


def faulty(case: Case, seed: int, rows: int, share: float) -> Columns:
    """Rows of which a share has the fault."""
    table = clean(seed, rows)
    case.plant(table, np.random.default_rng([18, seed]).random(rows) < share)
    return table


def feed(detector: EventShares, table: Columns, step: int = 100, first: int = 0) -> None:
    """Give a detector rows, some at a time."""
    rows = len(table["age"])
    for at in range(0, rows, step):
        some = {name: values[at : at + step] for name, values in table.items()}
        detector.update(block(some, first=first + at))  # type: ignore[attr-defined]


def by_subject(detector: EventShares) -> dict[str, Signal]:
    """The detector's signals."""
    return {signal.subject: signal for signal in detector.signals()}
