"""The page about monitoring says what the formulas say."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from monitors.stats.distances import psi_without_change
from monitors.stats.familiar import Familiar
from monitors.telemetry.signals import DISTANCE_SUBJECTS_MAX
from monitors.telemetry.state import SERIES_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
REFERENCE_ROWS = 10_000
BINS = 20


@pytest.mark.parametrize("rows", [100, 200, 1000, 10_000])
def test_psi_without_change_is_as_the_page_says(rows: int) -> None:
    """Mean, quantile, and how often the usual thresholds are passed."""
    noise = 1 / rows + 1 / REFERENCE_ROWS
    above = (float(stats.chi2.sf(limit / noise, BINS - 1)) for limit in (0.1, 0.2))
    cells = [
        f"{rows:,}",
        f"{(BINS - 1) * noise:.3f}",
        f"{psi_without_change(rows, REFERENCE_ROWS, BINS, 0.95):.3f}",
        *(f"{share:.1%}".replace("%", " %") for share in above),
    ]
    assert f"| {' | '.join(cells)} |" in PAGE


def test_every_distance_and_the_limits_are_on_the_page() -> None:
    """By the names under which they are told."""
    assert all(f"| `{name.value}` |" in PAGE for name in Familiar)
    assert f"{SERIES_MAX:,} series" in PAGE
    assert f"{DISTANCE_SUBJECTS_MAX} watched subjects" in " ".join(PAGE.split())
