"""How late labels come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from monitors.labels.coverage import AGES_S, PREDICTED, Cells


@dataclass(frozen=True, slots=True)
class Delays:
    """Labels by how long after their prediction they came: by each of the ages, and later."""

    counts: tuple[int, ...] = (0,) * (len(AGES_S) + 1)

    @classmethod
    def of(cls, cells: Cells) -> Delays:
        """The delays that cohorts have counted."""
        found = Counter[int]()
        for (_, _, delay), count in cells.items():
            found[delay] += count
        found.pop(PREDICTED, None)
        return cls(tuple(found[place] for place in range(len(AGES_S) + 1)))

    def __add__(self, other: Delays) -> Delays:
        """The delays of both."""
        return Delays(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def labels(self) -> int:
        """How many labels have come."""
        return sum(self.counts)

    def within_s(self, share: float) -> float | None:
        """The age by which so great a share of the labels had come, in seconds.

        None where no label has come, or the share had not come by the greatest age.
        """
        wanted, so_far = share * self.labels, 0
        for age, count in zip(AGES_S, self.counts, strict=False):
            so_far += count
            if self.labels and so_far >= wanted:
                return float(age)
        return None
