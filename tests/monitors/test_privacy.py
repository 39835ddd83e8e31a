"""What few people share is not told, and no value leaves that the card keeps in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import Refused
from configs.settings import Monitors
from monitors.panel import Panel
from monitors.privacy import blame, coarse_edges, told, withheld
from monitors.profile.build import build_profile
from monitors.profile.reference import CategoricalProfile, NumericProfile
from monitors.telemetry.signals import signal_gauges
from registry.card import Card, Policy
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model

MARKER = "Erika Mustermann"
INCOME = 43217.125


def test_a_name_is_told_from_ten_rows_on() -> None:
    """Of the reference, or of live rows."""
    assert told("a", 10, 0) == told("a", 0, 10) == "a"
    assert told("a", 9, 9) == "(rare)"


@pytest.mark.parametrize(
    ("rows", "small", "with_them"),
    [
        ({"f": 500, "m": 400}, "", ""),
        ({"f": 500, "m": 400, "x": 9}, "x", "m"),
        ({"f": 500, "m": 400, "x": 9, "unknown": 900}, "x", "unknown"),
        ({"f": 500, "m": 400, "unknown": 2}, "", ""),
        ({"f": 500, "x": 6, "y": 7}, "xy", ""),
        ({"f": 500, "m": 400, "x": 1, "y": 2}, "xy", "m"),
        ({"x": 3}, "x", ""),
        ({}, "", ""),
    ],
)
def test_a_small_group_is_never_withheld_alone(
    rows: dict[str, int], small: str, with_them: str
) -> None:
    """The next smallest goes with it, or what is no group; and more until they have ten rows."""
    found = withheld(rows, nobody=("unknown",))
    assert found.small == set(small)
    assert found.with_them == ({with_them} if with_them else set())


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 40), max_size=8))
def test_no_total_gives_a_small_group_away(rows: dict[str, int]) -> None:
    """What is withheld is nothing, or everything, or two groups and ten rows at least."""
    small, with_them = withheld(rows)
    hidden = small | with_them
    assert small == {name for name, count in rows.items() if count < 10}
    assert not (small & with_them)
    if hidden and hidden != set(rows):
        assert len(hidden) > 1
        assert sum(rows[name] for name in hidden) >= 10
    assert not with_them or small


def test_coarse_edges_are_nobodys_values() -> None:
    """Rounded, and none at the ends; about as many values between two as between any others."""
    values = np.random.default_rng(0).lognormal(10, 1, 5000)
    edges = coarse_edges(values, 20)
    assert len(edges) == 19
    assert not set(edges.tolist()) & set(values.tolist())
    assert edges[0] > values.min()
    assert edges[-1] < values.max()
    between = np.histogram(values, edges)[0]
    assert between.min() > 200
    assert between.max() < 300


@pytest.mark.parametrize("rows", [40, 57, 100, 399])
def test_ten_values_are_between_two_coarse_edges(rows: int) -> None:
    """Fewer rows have fewer edges; and under forty none at all, since each would be a person's."""
    values = np.random.default_rng(rows).standard_normal(rows)
    edges = coarse_edges(values, 20)
    # Rounding may move a value or two to the other side.
    assert np.histogram(values, edges)[0].min() >= 8
    assert not len(coarse_edges(values[:39], 20))


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        (np.full(50, 7.25), [7.25]),
        (np.repeat([0.0, 1.0], [30, 30]), [0.0, 1.0]),
        (np.repeat([-1e308, 1e308], 30), []),
        (np.repeat([0.0, 5e-324], 30), []),
        (np.zeros(0), []),
    ],
    ids=["constant", "two values", "too far apart", "too near", "none"],
)
def test_odd_values_have_coarse_edges_or_none(values: Any, edges: list[float]) -> None:
    """What many share may be told; what cannot be rounded is not."""
    assert coarse_edges(values, 20).tolist() == edges


def with_policy(name: str, policy: Policy) -> Card:
    """The sample card with another policy for one feature."""
    features = [
        each.model_copy(update={"policy": policy}) if each.name == name else each
        for each in CARD.features
    ]
    return CARD.model_copy(update={"features": tuple(features)})


@pytest.mark.parametrize("policy", [Policy.BUCKET, Policy.HASH])
def test_a_private_number_leaves_counts_in_coarse_bins(policy: Policy) -> None:
    """No row's value, no extreme and no moment is in the profile; drift is seen all the same."""
    card = with_policy("debt", policy)
    table = columns(np.random.default_rng(0), 4000)
    table["debt"][[5, 6]] = [INCOME, -INCOME]
    whole = build_profile(card, SIGNATURE, table, model)
    debt = whole.features["debt"]
    assert isinstance(debt, NumericProfile)
    assert debt.mean is debt.deviation is None
    assert not set(debt.edges) & set(table["debt"].astype(np.float32).tolist())
    assert b"43217" not in whole.to_json()
    assert sum(debt.counts) == whole.counted

    panel = Panel(card, SIGNATURE, whole, Monitors())
    rows = columns(np.random.default_rng(1), 400)
    rows["debt"] += 1.0
    panel.update(block(rows))
    by_name = {(signal.name, signal.subject): signal for signal in panel.signals()}
    assert by_name["input_drift", "debt"].verdict.value == "alarm"
    for name in ("out_of_range", "outliers"):
        assert "keeps its range" in by_name[name, "debt"].message
        assert "keeps its range" not in by_name[name, "age"].message
    assert "43217" not in str(panel.signals())


@pytest.mark.parametrize(
    ("policy", "reference_rows"), [(Policy.BUCKET, 9), (Policy.HASH, 900), (Policy.DROP, 900)]
)
def test_a_value_that_the_card_keeps_in_is_in_no_profile_and_no_signal(
    policy: Policy, reference_rows: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is in the reference and in every live row, so that all alarms are about it."""
    card = with_policy("town", policy)
    table = columns(np.random.default_rng(0), 4000)
    table["town"][:reference_rows] = MARKER
    whole = build_profile(card, SIGNATURE, table, model)
    panel = Panel(card, SIGNATURE, whole, Monitors())
    rows = columns(np.random.default_rng(1), 400)
    rows["town"][:] = MARKER
    panel.update(block(rows))

    assert MARKER not in whole.to_json().decode()
    assert MARKER not in str(panel.signals())
    assert MARKER not in str(signal_gauges("m", 1, "stable", panel.signals()))
    assert MARKER not in caplog.text
    alarms = {signal.subject for signal in panel.signals() if signal.verdict.value == "alarm"}
    assert ("town" in alarms) is (policy is not Policy.DROP)


def test_a_rare_category_is_not_told_of_although_it_is_kept() -> None:
    """Four rows of the reference have it, and nine live ones; from ten on it has a name."""
    table = columns(np.random.default_rng(0), 60)
    table["town"][:] = [f"town {row % 8}" for row in range(60)]
    table["town"][[0, 1, 2, 3]] = MARKER
    whole = build_profile(CARD, SIGNATURE, table, model)
    town = whole.features["town"]
    assert isinstance(town, CategoricalProfile)
    assert MARKER in town.categories
    panel = Panel(CARD, SIGNATURE, whole, Monitors(minimum_rows=1))
    rows = columns(np.random.default_rng(1), 9)
    rows["town"][:] = MARKER
    panel.update(block(rows))
    assert "category (rare)" in str(panel.signals())
    assert MARKER not in str(panel.signals())
    panel.update(block(rows, first=9))
    assert f"category {MARKER}" in str(panel.signals())


def test_errors_of_others_are_told_without_their_words() -> None:
    """They may quote a value; our own sentences name tensors and columns."""
    with pytest.raises(ValueError, match=MARKER) as raised:
        float(MARKER)
    assert blame(raised.value).startswith("ValueError in test_privacy.py, line ")
    assert MARKER not in blame(raised.value)
    assert blame(Refused("no column 3")) == "Refused: no column 3"
