"""A million rows for Weir: a change after so many clean ones, and small changes that last.

A panel that has seen a million rows is copied, and each copy sees another of the features change:
the past of each feature is its own, so that one fold of the past gives thirty changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from zlib import crc32

import numpy as np

from benchmarks.accuracy.results import Run
from benchmarks.accuracy.streams import FEATURES, REFERENCE_ROWS, Rows, independent
from benchmarks.accuracy.weir import (
    BOTH,
    DRIFT,
    EVIDENCE,
    FAR_ROWS,
    NEAR,
    NEAR_ROWS,
    Watch,
    name,
    profile,
)

CLEAN_ROWS = 1_000_000
AFTER_ROWS = 4_000
SIZES = (0.25, 0.5, 1.0)
UNIMPORTANT = 0.07
IMPORTANT = 0.38
"""Shifts that move 3 % and 15 % of a normal distribution: below and above what is worth a page."""

PLANTED_AT = 200_000
_FOLD_ROWS = 10_000


def late(size: float) -> str:
    """What a shift after a million clean rows is called."""
    return f"shift {size:g} after a million clean rows"


def planted(size: float) -> str:
    """What a shift that lasts for a million rows is called."""
    return f"shift {size:g} from row {PLANTED_AT:,} to a million"


def late_changes(seed: int) -> list[Run]:
    """A million clean rows, then a shift of each size in each feature, one at a time."""
    rng = _rng("late", seed)
    watch = _watch(rng, seed)
    first: int | None = None
    for end in range(_FOLD_ROWS, CLEAN_ROWS + 1, _FOLD_ROWS):
        watch.fold(_rows(rng, _FOLD_ROWS))
        if first is None and watch.glance().get(BOTH):
            first = end
    return [
        _after(watch, size, column, seed, first) for size in SIZES for column in range(FEATURES)
    ]


def _after(past: Watch, size: float, column: int, seed: int, first: int | None) -> Run:
    rng = _rng(f"{size:g} of {column}", seed)
    watch = deepcopy(past)
    found: int | None = None
    rows = 0
    for end in _ends():
        values = _rows(rng, end - rows)
        values[:, column] += np.float32(size)
        watch.fold(values)
        rows = end
        if (DRIFT, name(column)) in watch.glance().get(BOTH, ()):
            found = rows
            break
    return Run(BOTH, late(size), seed * FEATURES + column, CLEAN_ROWS + rows, first, found)


def _ends() -> Iterator[int]:
    yield from range(NEAR_ROWS, NEAR, NEAR_ROWS)
    yield from range(NEAR, AFTER_ROWS + 1, FAR_ROWS)


def planted_changes(seed: int, size: float) -> list[Run]:
    """A million rows, in which every feature moves after `PLANTED_AT`: a run for each feature."""
    rng = _rng(f"planted {size:g}", seed)
    watch = _watch(rng, seed)
    found: dict[tuple[str, str], int] = {}
    for end in range(_FOLD_ROWS, CLEAN_ROWS + 1, _FOLD_ROWS):
        watch.fold(_rows(rng, _FOLD_ROWS) + np.float32(size if end > PLANTED_AT else 0.0))
        alarms = watch.look()
        for gate in (BOTH, EVIDENCE):
            for _, subject in alarms[gate]:
                found.setdefault((gate, subject), end)
    return [
        Run(
            gate,
            planted(size),
            seed * FEATURES + column,
            CLEAN_ROWS,
            found.get((gate, name(column))),
            found.get((gate, name(column))),
        )
        for gate in (BOTH, EVIDENCE)
        for column in range(FEATURES)
    ]


def _watch(rng: np.random.Generator, seed: int) -> Watch:
    return Watch(profile(_rows(rng, REFERENCE_ROWS), ()), (), seed)


def _rows(rng: np.random.Generator, rows: int) -> Rows:
    return independent(rng, rows).astype(np.float32)


def _rng(what: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(what.encode())])
