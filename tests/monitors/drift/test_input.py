"""Input drift is measured in the feature's own unit, and respects what may be shown."""

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.drift.input import InputDrift
from monitors.profile.build import build_profile, numeric_profile
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.stats.familiar import Distance, Familiar
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


def distances(signal: Signal) -> dict[str, Distance]:
    """The familiar distances of a signal by name."""
    return {each.name: each for each in signal.distances}


def test_familiar_distances_come_with_every_measured_feature() -> None:
    """All seven for numbers, five for categories, and the sentence tells three of the same."""
    rng = np.random.default_rng(3)
    detector = InputDrift(CARD, profile(rng, 5000), Monitors())
    detector.update(block(columns(rng, 2000, shift=0.8)))
    found = signals(detector)

    age, town = distances(found["age"]), distances(found["town"])

    assert list(age) == [name.value for name in Familiar]
    assert list(town) == [name.value for name in Familiar][:5]
    assert age["wasserstein"].value == pytest.approx(0.8, abs=0.1)
    assert age["kolmogorov_smirnov"].value == pytest.approx(0.31, abs=0.05)
    assert town["psi"].lower == 0
    for name, of_feature in (("age", age), ("town", town)):
        assert f"PSI {of_feature['psi'].value:.3f}" in found[name].message
        assert f"total variation {of_feature['total_variation'].value:.3f}" in found[name].message


def test_familiar_distances_are_of_the_rows_since_the_change() -> None:
    """After many clean rows a change is not thinned out by them, as in the effect."""
    rng = np.random.default_rng(4)
    detector = InputDrift(CARD, profile(rng, 5000), Monitors())
    detector.update(block(columns(rng, 10_000)))
    detector.update(block(columns(rng, 1000, shift=0.8), first=10_000))
    age = signals(detector)["age"]
    assert distances(age)["wasserstein"].value == pytest.approx(abs(age.value or 0), abs=0.15)


def test_there_are_no_distances_of_too_few_rows() -> None:
    """Insufficient data has none, nor has a feature without a reference."""
    rng = np.random.default_rng(5)
    detector = InputDrift(CARD, profile(rng, 5000), Monitors())
    detector.update(block(columns(rng, 3)))
    assert {signal.distances for signal in detector.signals()} == {()}
    unknown = InputDrift(CARD, None, Monitors())
    unknown.update(block(columns(rng, 900)))
    assert {signal.distances for signal in unknown.signals()} == {()}


def test_a_boolean_is_one_apart_from_its_opposite() -> None:
    """Both values stand at themselves, so that Wasserstein is the change of the share."""
    rng = np.random.default_rng(6)
    card = CARD.model_copy(update={"features": CARD.features[:1], "groups": ()})
    known = (rng.random(6000) < 0.1).astype(float)
    reference = numeric_profile(known, np.arange(6000) % 2 == 0)
    detector = InputDrift(
        card,
        ReferenceProfile(
            rows=6000, counted=3000, features={"age": reference}, score=None, groups={}
        ),
        Monitors(),
    )
    live = (rng.random(4000) < 0.4).astype(float)
    detector.update(block(columns(rng, 4000) | {"age": live}))
    found = distances(signals(detector)["age"])
    first = np.array(reference.counts)[[1, 2]] / 3000
    change = live.mean() - first[1]
    assert found["wasserstein"].value * (reference.deviation or 0) == pytest.approx(change)
    assert found["total_variation"].value == pytest.approx(change)
