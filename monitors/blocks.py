"""What travels from the request path to the monitors: sampled rows and exact counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.uniforms import row_keys


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Sampled rows of one version in one role, column by column.

    All arrays have the rows of the block as their first dimension. `prediction_ids` holds
    32-character hexadecimal ids (dtype S32), `row_numbers` the row inside its request.
    `inputs` and `outputs` are the model's tensors by name, `groups` the group attributes that
    came as extra inputs (objects: str; missing ones None). `request_ids` are the callers' own names
    of their requests (objects: str; None for requests without one), and None for a version whose
    card awaits no labels. `assigned` holds, of the one row that stands for a unit of a rollout, the
    arm that the unit was assigned to (objects: Assigned; None for all others), and is None where no
    row does. `rate` is the share of predictions
    that were kept, so that 1/rate is the weight of a row. `made_at` is when
    the block was made, in seconds since 1970. `answered` and `refused` count all requests since
    the block before, sampled or not: those that were answered, and those that broke the contract.
    """

    model: str
    version: int
    role: str
    source: str
    rate: float
    prediction_ids: NDArray[np.bytes_]
    row_numbers: NDArray[np.int64]
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    made_at: float = 0.0
    answered: int = 0
    refused: int = 0
    request_ids: NDArray[np.object_] | None = None
    assigned: NDArray[np.object_] | None = None
    # Not for whoever makes a block of another: its rows may differ.
    _keys: list[NDArray[np.uint64]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @property
    def rows(self) -> int:
        """How many rows the block holds."""
        return len(self.prediction_ids)

    @property
    def minute(self) -> int:
        """The minute since 1970 in which the block was made."""
        return int(self.made_at // 60)

    def keys(self) -> NDArray[np.uint64]:
        """One 64-bit key per row, shape (rows,); hashed once, for all who ask."""
        if not self._keys:
            self._keys.append(row_keys(self.prediction_ids, self.row_numbers))
        return self._keys[0]


@dataclass(frozen=True, slots=True)
class Folded:
    """What the observer has folded since it started, as the answer to a shipment.

    `seconds` is the processor time that `rows` took. Folds of a few rows are left out: they cost
    what they cost whatever the sampling rate. `taken` is how many rows of the shipment's source
    the observer holds in all: less than it has acknowledged once it began again from a state that
    was kept earlier.
    """

    rows: int = 0
    seconds: float = 0.0
    taken: int = 0


Series = tuple[str, tuple[str, ...]]
"""A signal's name and the values of its attributes, in the order that the signal declares them."""


@dataclass(frozen=True, slots=True)
class HistogramCounts:
    """Exact counts: one per bucket of the signal's bounds and one above, and the sum of values."""

    buckets: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cumulative counts of one source since it started, and its gauges as they are now.

    A snapshot replaces the earlier ones of its source, so that one that is lost costs nothing.
    `source` is new at every start of a process; `sequence` grows with every snapshot. A source that
    has much to say says it in parts: a snapshot replaces the earlier ones of its `part` only.
    """

    source: str
    sequence: int
    counters: Mapping[Series, int] = field(default_factory=dict)
    histograms: Mapping[Series, HistogramCounts] = field(default_factory=dict)
    gauges: Mapping[Series, float] = field(default_factory=dict)
    part: str = ""
