"""Features that matter are told from those that do not, and a change of it from chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitors.contributions.background import Background
from monitors.contributions.explained import Explainer
from monitors.contributions.importance import ROWS, importance, moved
from monitors.profile.reference import Importance, ReferenceProfile
from tests.monitors.why.rows import CARD, SIGNATURE, Tensors, inputs, linear, model, reference

WEIGHTS = (2.0, -1.0, 0.0)


@pytest.fixture(name="profile", scope="module")
def profile_of_rows() -> ReferenceProfile:
    """A reference of three normal numbers and three towns."""
    return reference(np.random.default_rng(1))


def found(
    profile: ReferenceProfile, rows: Tensors, weights: tuple[float, ...] = WEIGHTS
) -> dict[str, Importance]:
    """The importance of features over rows."""
    explainer = Explainer(
        CARD, Background(CARD, SIGNATURE, profile), model(linear(*weights)), lambda: 0.0
    )
    measured = importance(explainer, rows, lambda: 0.0)
    assert measured is not None
    return measured


def test_it_is_the_mean_distance_times_the_weight(profile: ReferenceProfile) -> None:
    """Of standard normal rows under a linear score: the weight times the root of two over pi."""
    measured = found(profile, inputs(np.random.default_rng(2), 400))
    mean = np.sqrt(2 / np.pi)
    for name, weight in zip(("a", "b", "c"), WEIGHTS, strict=True):
        assert measured[name].value == pytest.approx(abs(weight) * mean, rel=0.15, abs=1e-9)
        spread = abs(weight) * np.sqrt((1 - 2 / np.pi) / 400)
        assert measured[name].error == pytest.approx(spread, rel=0.2, abs=1e-9)
    assert measured["town"] == Importance(value=0.0, error=0.0)


@pytest.mark.slow
def test_rows_like_those_before_move_nothing(profile: ReferenceProfile) -> None:
    """In 200 pairs of samples of three features, one at most is taken for another."""
    rng = np.random.default_rng(3)
    told = [
        name
        for _ in range(200)
        for name in moved(*(found(profile, inputs(rng, ROWS)) for _ in range(2)))
    ]
    assert len(told) <= 1


def test_a_feature_that_comes_to_matter_is_named_first(profile: ReferenceProfile) -> None:
    """Rows whose values are far off get more of the score from them."""
    before = found(profile, inputs(np.random.default_rng(4), ROWS))
    far = inputs(np.random.default_rng(5), ROWS, (3.0, 3.0, 3.0))
    assert moved(before, found(profile, far)) == ("a", "b")
    assert moved(before, {}) == ()


def test_a_model_that_is_too_slow_is_not_asked_for_long(profile: ReferenceProfile) -> None:
    """One row shows it."""
    now, runs = [0.0], [0]

    def slow(rows: Any) -> Any:
        now[0] += 0.01 * len(rows["x"])
        runs[0] += 1
        return model(linear(*WEIGHTS))(rows)

    explainer = Explainer(CARD, Background(CARD, SIGNATURE, profile), slow, lambda: now[0])
    assert importance(explainer, inputs(np.random.default_rng(6), ROWS), lambda: now[0]) is None
    assert runs[0] == 2


def test_a_profile_keeps_it(profile: ReferenceProfile) -> None:
    """And one without any has the bytes that it had before there was any."""
    measured = found(profile, inputs(np.random.default_rng(7), ROWS))
    kept = profile.model_copy(update={"importance": measured})
    assert ReferenceProfile.from_json(kept.to_json()).importance == measured
    assert b"importance" not in profile.to_json()
