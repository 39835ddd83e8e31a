"""Predictions whose truth has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JudgedBlock:
    """Rows of one version in one role with what was said of them and what was true.

    All arrays have the rows of the block as their first dimension. `keys` holds one 64-bit key a
    row, as `SampleBlock.keys` has it. `scores` are NaN where the version has no score of one
    column; `score_columns`, shape (rows, columns), is None unless it has one of several. `ends`,
    shape (rows, 2), are those of the interval that the card declares, None if it declares none.
    `decisions` and `labels` are numbers: of classes their place in the card's `label.classes`, of
    a boolean 0 or 1, NaN where there is none. `groups` are the group attributes wherever they came
    from (objects: str; None where none is known), `values` numbers that came with the labels, by
    name, NaN where missing. `predicted_at` and `labelled_at` are in seconds since 1970.

    `signs` are 1 for a row that counts from now on and -1 for one that is taken back, since another
    label has come for it: counts subtract it, evidence that was bet on it stands. The row with the
    new label follows, in the same block or a later one, and is marked in `corrected`: a sequential
    test leaves both out.
    """

    model: str
    version: int
    role: str
    keys: NDArray[np.uint64]
    scores: Floats
    decisions: Floats
    labels: Floats
    predicted_at: Floats
    labelled_at: Floats
    signs: NDArray[np.int8]
    corrected: NDArray[np.bool_]
    score_columns: NDArray[Any] | None = None
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    values: Mapping[str, Floats] = field(default_factory=dict)
    ends: Floats | None = None

    @property
    def rows(self) -> int:
        """How many rows the block holds, those that are taken back too."""
        return len(self.labels)

    @property
    def first(self) -> NDArray[np.bool_]:
        """The rows that no correction has touched, shape (rows,): those that may be bet on."""
        return np.asarray((self.signs > 0) & ~self.corrected, dtype=np.bool_)
