"""Where a distribution has moved: bins whose parts add up to the distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.explain import Bins, numeric_labels, shares
from monitors.panel import Panel
from monitors.profile.bins import numeric_bins
from monitors.profile.reference import NumericProfile
from monitors.stats.distances import psi, smoothed, total_variation
from tests.monitors.samples import CARD, SIGNATURE, block, columns, profile


def test_the_parts_add_up_to_the_distances() -> None:
    """Of PSI on smoothed shares, none of them negative; of total variation on plain ones."""
    bins = Bins(tuple("abcd"), np.array([250] * 4), np.array([100, 200, 0, 700]))
    found = shares(bins)
    p, q = smoothed(bins.reference), smoothed(bins.live)
    assert sum(each.psi for each in found) == pytest.approx(psi(p, q), rel=1e-12)
    plain = bins.reference / 1000, bins.live / 1000
    assert sum(each.total_variation for each in found) == pytest.approx(
        total_variation(*plain), rel=1e-12
    )
    assert min(each.psi for each in found) >= 0
    assert [each.live for each in found] == [0.1, 0.2, 0.0, 0.7]


def test_no_live_rows_are_no_shares() -> None:
    """Nothing is divided by nothing."""
    found = shares(Bins(("a", "b"), np.array([1, 3]), np.array([0, 0])))
    assert [each.live for each in found] == [0.0, 0.0]


def test_labels_say_what_the_bins_hold() -> None:
    """One for each bin number that values can get."""
    edges = np.array([[1.0, 2.0, 5.0]])
    labels = numeric_labels(edges[0].tolist())
    values = {0.5: "below 1", 1.0: "1", 1.5: "1 to 2", 2.0: "1 to 2", 5.0: "2 to 5", 9.0: "above 5"}
    codes = numeric_bins(edges, np.array([list(values)]))[0].tolist()
    assert [labels[code] for code in codes] == list(values.values())
    assert len(labels) == len(edges[0]) + 2


def test_a_panel_shows_all_rows_or_the_last() -> None:
    """Ten minutes of rows: all of them, those of three minutes, those of one category."""
    reference = profile(np.random.default_rng(0))
    panel = Panel(CARD, SIGNATURE, reference, Monitors())
    for minute in range(10):
        rows = block(columns(np.random.default_rng(minute), 100), first=100 * minute)
        panel.update(replace(rows, made_at=60.0 * (1000 + minute)))
    age = reference.features["age"]
    assert isinstance(age, NumericProfile)
    whole, last = panel.bins("age", None), panel.bins("age", 3)
    assert whole is not None
    assert last is not None
    assert (whole.live.sum(), last.live.sum()) == (1000, 300)
    assert whole.reference.tolist() == list(age.counts)
    town, score = panel.bins("town", None), panel.bins("score", 1)
    assert town is not None
    assert score is not None
    assert set(town.labels) >= {"a", "b", "c", "(unseen)"}
    assert score.live.sum() == 100
    assert panel.bins("nothing", None) is None


def test_what_was_armed_anew_keeps_its_windows() -> None:
    """Rows from before the arming are in the last minutes, and no longer in those of the signal."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), Monitors())
    panel.update(block(columns(np.random.default_rng(1), 200)))
    panel.rearm(("drift", "input_drift", "age"))
    whole, last = panel.bins("age", None), panel.bins("age", 1)
    assert whole is not None
    assert last is not None
    assert (whole.live.sum(), last.live.sum()) == (0, 200)
