"""A reference learned from the first live rows, for a version that came without one."""

from __future__ import annotations

import numpy as np

from monitors.blocks import SampleBlock
from monitors.profile.build import describe
from monitors.profile.reading import feature_values, group_values, score_columns, watched
from monitors.profile.reference import ReferenceProfile
from monitors.profile.seen import Seen, joined, seen
from registry.card import Card

_CELLS_MAX = 2**22
_ROWS_MIN = 200


class Learner:
    """A fold over blocks that ends when it has seen enough rows, and then gives their profile.

    It holds at most `rows` rows, and of more than 2,000 features or columns of the score fewer; in
    memory only, as raw values are not to be written down. It takes the scores from the rows' own
    outputs: no model is run.
    """

    def __init__(self, card: Card, rows: int) -> None:
        self._card = card
        self._by_hour = card.strata is not None and card.strata.hour_of_week
        self.wanted = _affordable(rows, len(watched(card)))
        self._parts: list[tuple[int, Seen]] = []
        self._profile: ReferenceProfile | None = None

    @property
    def rows(self) -> int:
        """How many rows have been seen."""
        return sum(part.rows for _, part in self._parts)

    @property
    def rows_needed(self) -> int:
        """How many more rows are needed."""
        return max(0, self.wanted - self.rows)

    def update(self, block: SampleBlock) -> None:
        """Take in as many rows of a block as are needed still."""
        if block.rows and not self._parts:
            columns = score_columns(self._card, block.outputs)
            self.wanted = _affordable(self.wanted, 1 if columns is None else columns.shape[1])
        rows = min(block.rows, self.rows_needed)
        if not rows:
            return
        inputs = {name: tensor[:rows] for name, tensor in block.inputs.items()}
        outputs = {name: tensor[:rows] for name, tensor in block.outputs.items()}
        groups = {name: values[:rows] for name, values in block.groups.items()}
        features = {each.name: feature_values(each, inputs) for each in watched(self._card)}
        in_groups = group_values(self._card, inputs, groups, rows)
        minutes = np.full(rows, block.minute, dtype=np.int64) if self._by_hour else None
        self._parts.append(
            (block.minute, seen(self._card, features, outputs, in_groups, rows, minutes)),
        )

    def forget(self, minute: int) -> bool:
        """Drop the rows that came before a minute; says whether there were any."""
        before = len(self._parts)
        self._parts = [(came, part) for came, part in self._parts if came >= minute]
        return len(self._parts) < before

    def profile(self) -> ReferenceProfile | None:
        """The profile of the rows, or None while there are too few."""
        if self._profile is None and self.rows and not self.rows_needed:
            whole = joined([part for _, part in self._parts])
            self._profile = describe(self._card, whole, "learned")
        return self._profile


def _affordable(rows: int, columns: int) -> int:
    """So many rows, or fewer of so many columns that they would be too much to hold."""
    return min(rows, max(_ROWS_MIN, _CELLS_MAX // max(columns, 1)))
