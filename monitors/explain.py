"""Where a distribution has moved: the bins of a subject, and what each adds to a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from monitors.stats import distances

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bins:
    """Rows in the bins of one subject: in the reference, and live."""

    labels: tuple[str, ...]
    reference: Counts
    live: Counts


@dataclass(frozen=True, slots=True)
class BinShare:
    """One bin: its shares of the rows, and its part of two distances, which add up to them.

    PSI is that of shares with half a row added to every bin.
    """

    label: str
    reference: float
    live: float
    psi: float
    total_variation: float


@runtime_checkable
class Explains(Protocol):
    """**Protocol:** a detector that can show the bins behind its signals."""

    def bins(self, subject: str, minutes: int | None) -> Bins | None:
        """The bins of a subject, None if it has none; live rows of the last minutes, or all."""


@runtime_checkable
class DatesChanges(Protocol):
    """**Protocol:** a detector that estimates since when a subject is another."""

    def rows_since_change(self, subject: str) -> int | None:
        """Rows since the subject's change, or all while none is estimated; None if not watched."""


def shares(bins: Bins) -> tuple[BinShare, ...]:
    """The bins, in their order, with what each adds."""
    before, now = distances.shares(bins.reference), distances.shares(bins.live)
    p, q = distances.smoothed(bins.reference), distances.smoothed(bins.live)
    psi = (q - p) * np.log(q / p)
    moved = np.abs(before - now) / 2
    numbers = zip(before.tolist(), now.tolist(), psi.tolist(), moved.tolist(), strict=True)
    return tuple(BinShare(label, *each) for label, each in zip(bins.labels, numbers, strict=True))


def numeric_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """What the bins of a numeric feature hold, for one edge at least; all upper edges inclusive."""
    told = [f"{edge:.6g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(told)]
    return (f"below {told[0]}", told[0], *between, f"above {told[-1]}")
