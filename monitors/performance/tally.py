"""What judged rows add up to: whole numbers only, so that rows can be taken away again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from monitors.stats.exact_sums import exact_sums, mean_and_deviation, squares

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Signs = NDArray[np.int8]

_OF, _HITS = 0, 1
_ROWS, _SUM, _SQUARES = 0, 1, 2

Plain = Mapping[str, Mapping[str, int]]
"""A tally as tables and texts."""


class Tally:
    """Whole numbers by table and place; those of parts add up to those of the whole, exactly.

    Rows come with signs: 1 for a row that counts, -1 for one that is taken back. Sums of floats
    are in the units of `exact_sum`.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Counter[int]] = {}

    def count(self, table: str, places: NDArray[np.int64], signs: Signs) -> None:
        """Count rows at their places."""
        kinds, at = np.unique(places, return_inverse=True)
        counts = np.bincount(at, signs, minlength=len(kinds)).astype(np.int64)
        self._add(table, dict(zip(kinds.tolist(), counts.tolist(), strict=True)))

    def add_share(self, table: str, of: Mask, hits: Mask, signs: Signs) -> None:
        """Count the rows `of` which some are `hits`; a hit that is none of them does not count."""
        counted = signs[of]
        found = {_OF: int(counted.sum()), _HITS: int(counted[hits[of]].sum())}
        self._add(table, found)

    def add_moments(self, table: str, values: Floats, signs: Signs) -> None:
        """Add finite numbers and their squares."""
        parts = np.concatenate([values, *squares(values)])
        places = np.repeat(np.array([_SUM, _SQUARES, _SQUARES]), len(values))
        self._add(table, {_ROWS: int(signs.sum()), **exact_sums(parts * np.tile(signs, 3), places)})

    def add_sums(self, table: str, places: NDArray[np.int64], values: Floats, signs: Signs) -> None:
        """Add finite numbers, a sum for each place."""
        self._add(table, exact_sums(values * signs, places))

    def share(self, table: str) -> tuple[int, int]:
        """Hits, and rows of which they are; never fewer than none, nor more than all."""
        rows = max(0, self._at(table, _OF))
        return min(max(0, self._at(table, _HITS)), rows), rows

    def moments(self, table: str) -> tuple[int, float, float]:
        """Rows, their mean and their deviation; without rows, no number."""
        rows = self._at(table, _ROWS)
        if rows <= 0:
            return 0, np.nan, np.nan
        sums = self._at(table, _SUM), self._at(table, _SQUARES)
        return rows, *mean_and_deviation(rows, *sums)

    def table(self, name: str) -> dict[int, int]:
        """The numbers of a table by their place, rising, without zeros."""
        return dict(sorted((at, n) for at, n in self._tables.get(name, {}).items() if n))

    def merge(self, other: Tally, times: int = 1) -> None:
        """Add all numbers of another tally, or take them away with -1."""
        for table, numbers in other._tables.items():
            self._add(table, {place: times * number for place, number in numbers.items()})

    def less(self, other: Tally) -> Tally:
        """What is left without the rows of another."""
        left = Tally()
        left.merge(self)
        left.merge(other, -1)
        return left

    def plain(self) -> dict[str, dict[str, int]]:
        """All numbers, by texts."""
        return {
            name: {str(place): number for place, number in self.table(name).items()}
            for name in self._tables
        }

    @classmethod
    def of_plain(cls, plain: Plain) -> Tally:
        """A tally of what `plain` gave."""
        tally = cls()
        for name, numbers in plain.items():
            tally._add(name, {int(place): number for place, number in numbers.items()})
        return tally

    def _add(self, table: str, numbers: Mapping[int, int]) -> None:
        held = self._tables.setdefault(table, Counter())
        for place, number in numbers.items():
            held[place] += number

    def _at(self, table: str, place: int) -> int:
        return self._tables.get(table, Counter())[place]
