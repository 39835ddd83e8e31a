"""Input drift is measured in the feature's own unit, and respects what may be shown."""

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.drift.input import InputDrift
from monitors.profile.build import build_profile
from monitors.signal import Signal, Verdict
from registry.card import Policy
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model, profile


def signals(detector: InputDrift) -> dict[str, Signal]:
    """The signals by feature."""
    return {signal.subject: signal for signal in detector.signals()}


def test_effects_are_shifts_and_shares() -> None:
    """A shift of 0.8 standard deviations, and a category that falls from 60 % to 30 %."""
    rng = np.random.default_rng(0)
    detector = InputDrift(CARD, profile(rng, 5000), Monitors())
    rows = columns(rng, 600, shift=0.8)
    rows["town"][(rows["town"] == "a") & (np.arange(600) % 2 == 0)] = "b"
    detector.update(block(rows))
    found = signals(detector)
    assert found["age"].verdict is found["town"].verdict is Verdict.ALARM
    assert found["age"].value == pytest.approx(0.8, abs=0.15)
    assert abs(found["town"].value or 0) == pytest.approx(0.3, abs=0.06)
    assert found["debt"].verdict is Verdict.OK


def test_a_change_of_spread_alone_is_found() -> None:
    """Twice the standard deviation around the same mean."""
    rng = np.random.default_rng(1)
    detector = InputDrift(CARD, profile(rng), Monitors())
    rows = columns(rng, 500)
    rows["age"] *= 2
    detector.update(block(rows))
    signal = signals(detector)["age"]
    assert signal.verdict is Verdict.ALARM
    assert "spread" in signal.message


def test_hashed_categories_are_compared_by_hash() -> None:
    """Under the policy `hash` clean rows stay ok, and no name appears."""
    town = CARD.features[2].model_copy(update={"policy": Policy.HASH})
    card = CARD.model_copy(update={"features": (*CARD.features[:2], town)})
    rng = np.random.default_rng(2)
    detector = InputDrift(
        card, build_profile(card, SIGNATURE, columns(rng, 2000), model), Monitors()
    )
    detector.update(block(columns(rng, 1000)))
    signal = signals(detector)["town"]
    assert signal.verdict is Verdict.OK
    assert not any(f"category {name}:" in signal.message for name in "abc")
