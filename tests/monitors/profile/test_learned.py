"""A version without a reference learns one from its first live rows, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.learned import Learner
from monitors.profile.reference import CategoricalProfile, ReferenceProfile
from monitors.signal import Verdict
from registry.card import Card, Policy
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model, part

ROWS = 600


def learned(sizes: list[int], card: Card = CARD) -> ReferenceProfile | None:
    """What is learned from blocks of these sizes."""
    whole = block(columns(np.random.default_rng(0), sum(sizes)))
    learner = Learner(card, ROWS)
    at = 0
    for size in sizes:
        learner.update(part(whole, at, at + size))
        at += size
    return learner.profile()


def test_enough_rows_make_the_profile_that_a_reference_would_have_made() -> None:
    """The same rows as a file, scored by the same model, differ in nothing but the source."""
    rows = columns(np.random.default_rng(0), ROWS)
    rows["age"] = rows["age"].astype(np.float32)
    rows["debt"] = rows["debt"].astype(np.float32)
    reference = build_profile(CARD, SIGNATURE, rows, model)
    learner = Learner(CARD, ROWS)
    learner.update(block(rows))
    assert learner.profile() == reference.model_copy(update={"source": "learned"})


@pytest.mark.parametrize("sizes", [[ROWS], [1, 0, 250, 349], [100, 2000]])
def test_the_split_into_blocks_does_not_matter(sizes: list[int]) -> None:
    """The first rows are learned from, whatever they came with; the rest is left alone."""
    found = learned(sizes)
    assert found is not None
    assert found.rows == ROWS
    if sum(sizes) == ROWS:
        assert found == learned([ROWS])


def test_too_few_rows_are_no_profile() -> None:
    """And it is said how many are needed."""
    assert learned([ROWS - 1]) is None
    assert Learner(CARD, ROWS).profile() is None
    learner = Learner(CARD, ROWS)
    learner.update(block(columns(np.random.default_rng(0), 150)))
    assert (learner.rows, learner.rows_needed) == (150, 450)


def test_signals_say_that_their_reference_was_learned() -> None:
    """Whoever reads an alarm knows that it compares live rows with live rows."""
    found = learned([ROWS])
    assert found is not None
    panel = Panel(CARD, SIGNATURE, found, Monitors())
    panel.update(block(columns(np.random.default_rng(1), 400, shift=1.0), first=ROWS))
    signals = {(signal.name, signal.subject): signal for signal in panel.signals()}
    moved = signals["input_drift", "age"]
    assert moved.verdict is Verdict.ALARM
    for signal in (moved, signals["missing_values", "debt"], signals["prediction_drift", "score"]):
        assert signal.message.endswith("the reference was learned from the first 600 live rows")
    assert "learned" not in signals["selection_rate", "sex=f"].message


def test_a_reference_from_a_file_is_not_called_learned() -> None:
    """Also one that was written before there were any others."""
    whole = build_profile(CARD, SIGNATURE, columns(np.random.default_rng(0), 50), model)
    assert whole.origin == ""
    old = whole.to_json().replace(b',"source":"reference"', b"")
    assert ReferenceProfile.from_json(old) == whole


def test_hashed_categories_are_learned_as_hashes() -> None:
    """They meet the hashes of later rows."""
    town = CARD.features[2].model_copy(update={"policy": Policy.HASH})
    card = CARD.model_copy(update={"features": (*CARD.features[:2], town)})
    found = learned([ROWS], card)
    assert found is not None
    profile = found.features["town"]
    assert isinstance(profile, CategoricalProfile)
    assert profile.hashed
    assert sum(profile.counts) == found.counted
    panel = Panel(card, SIGNATURE, found, Monitors())
    panel.update(block(columns(np.random.default_rng(1), 1000), first=ROWS))
    signals = {(signal.name, signal.subject): signal for signal in panel.signals()}
    assert signals["input_drift", "town"].verdict is Verdict.OK


def test_rows_from_before_a_moment_are_dropped() -> None:
    """They are lacking again; those that came since are learned from."""
    whole = block(columns(np.random.default_rng(0), 300))
    learner = Learner(CARD, ROWS)
    for minute, start in ((10, 0), (11, 100), (12, 200)):
        learner.update(replace(part(whole, start, start + 100), made_at=60.0 * minute))
    assert not learner.forget(10)
    assert learner.forget(12)
    assert (learner.rows, learner.rows_needed) == (100, ROWS - 100)
