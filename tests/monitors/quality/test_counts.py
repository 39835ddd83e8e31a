"""What the detectors count is what counting value by value gives, however the stream is cut."""

from __future__ import annotations

from math import isinf, isnan

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.profile.reference import NumericProfile
from monitors.quality.events import EventShares
from monitors.signal import Signal
from tests.monitors.quality.watching import CASES, Columns, clean, feed, reference
from tests.monitors.samples import CARD, close


def spoilt(seed: int, rows: int) -> Columns:
    """Rows with all that can be wrong with them, and few distinct values."""
    rng = np.random.default_rng([19, seed])
    table = clean(seed, rows)
    table["age"] = np.round(table["age"], 1)
    for column, value in (("age", np.nan), ("age", -np.inf), ("age", 60.0), ("debt", np.inf)):
        table[column][rng.random(rows) < 0.1] = value
    table["town"][rng.random(rows) < 0.1] = None
    table["town"][rng.random(rows) < 0.05] = "new"
    again = np.flatnonzero(rng.random(rows) < 0.05)
    for name in table:
        table[name][again] = table[name][again - 1]
    return table


THEN, NOW = spoilt(1, 3000), spoilt(2, 1234)
PROFILE = reference(THEN)


def counted(name: str, subject: str) -> tuple[int, int]:
    """Live units and events, one by one."""
    if name == "repeated_rows":
        rows = list(zip(*(NOW[c].tolist() for c in ("age", "debt", "town")), strict=True))
        # NaN is unlike itself; a gap is like a gap.
        same = [tuple("gap" if v != v else v for v in row) for row in rows]  # noqa: PLR0124
        groups = [same[at : at + 32] for at in range(0, 1234 - 31, 32)]
        return len(groups), sum(len(set(group)) < 32 for group in groups)
    values = NOW[subject].astype(np.float32 if subject != "town" else object).tolist()
    gap = [value is None or (isinstance(value, float) and isnan(value)) for value in values]
    there = [value for value, missing in zip(values, gap, strict=True) if not missing]
    if name == "missing_values":
        return len(values), sum(gap)
    if name == "unseen_categories":
        known = {str(each) for each in PROFILE.features["town"].model_dump()["categories"]}
        return len(there), sum(value not in known for value in there)
    if name == "non_finite":
        return len(there), sum(isinf(value) for value in there)
    if name == "stuck":
        pairs = [
            (a, b)
            for a, b, ga, gb in zip(values[::2], values[1::2], gap[::2], gap[1::2], strict=True)
            if not ga and not gb
        ]
        return len(pairs), sum(a == b for a, b in pairs)
    profile = PROFILE.features[subject]
    assert isinstance(profile, NumericProfile)
    low, high = (
        (profile.fences or (0, 0)) if name == "outliers" else (profile.edges[0], profile.edges[-1])
    )
    finite = [value for value in there if not isinf(value)]
    return len(finite), sum(not low <= value <= high for value in finite)


@pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each.name}-{each.subject}")
def test_counts_are_those_of_a_plain_loop(case: object) -> None:
    """Live units and events of every subject, in one part, in odd parts, and row by row."""
    kind = case.detector  # type: ignore[attr-defined]
    said: list[tuple[Signal, ...]] = []
    for step in (1234, 77, 1):
        detector: EventShares = kind(CARD, PROFILE, Monitors())
        feed(detector, NOW, step)
        for at, subject in enumerate(detector.subjects):
            units, events = counted(case.name, subject)  # type: ignore[attr-defined]
            assert detector._shares.counts[at].tolist() == [units - events, events]
        said.append(detector.signals())
    assert close(said[0], said[1])
    assert close(said[0], said[2])
