"""Values are drawn as the reference has them, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from monitors.contributions.draws import draw_of
from monitors.profile.reference import CategoricalProfile, NumericProfile
from registry.card import Feature, FeatureType, Policy
from tests.monitors.why.rows import reference

NUMBER = Feature(name="a", input="x", column=0)
TOWN = Feature(name="town", input="town", type=FeatureType.CATEGORICAL)
FLOAT, TEXT = np.dtype(np.float32), np.dtype(np.object_)
CHANCES = np.random.default_rng(1).random((4000, 2))
BITS = NumericProfile(
    edges=(0.0, 1.0), counts=(0, 500, 500, 0), missing=0, non_finite=0, missing_choosing=0,
    mean=0.5, deviation=0.5,
)  # fmt: skip


def towns(*, hashed: bool = False, other: int = 0, missing: int = 0) -> CategoricalProfile:
    """Three towns, and rows in none of them."""
    return CategoricalProfile(
        categories=("p", "q", "r"), counts=(60, 30, 10), other=other, unseen=0, missing=missing,
        cut=False, hashed=hashed, choosing=(60, 30, 10, 0, 0), missing_choosing=missing,
    )  # fmt: skip


def drawn(feature: Feature, profile: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values of all chances."""
    draw = draw_of(feature, profile, dtype)
    assert draw is not None
    found = draw(CHANCES)
    assert found.dtype == dtype
    return found


def test_numbers_have_the_distribution_of_the_reference() -> None:
    """As far as straight lines between its quantiles go."""
    profile = reference(np.random.default_rng(1)).features["a"]
    found = drawn(NUMBER, profile, FLOAT)
    other = np.random.default_rng(2).standard_normal(4000)
    assert ks_2samp(found, other).statistic < 0.04
    assert found.mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("kind", [np.int32, np.float32, np.uint8, np.bool_])
def test_whole_numbers_stay_whole(kind: type) -> None:
    """In whatever type the tensor has them."""
    found = drawn(NUMBER, BITS, np.dtype(kind)).astype(np.float64)
    assert set(np.unique(found)) == {0.0, 1.0}
    assert found.mean() == pytest.approx(0.5, abs=0.03)


def test_numbers_as_texts_are_written_so() -> None:
    """A tensor of strings may hold numbers."""
    assert set(drawn(NUMBER, BITS, TEXT).tolist()) == {"0", "1"}


def test_missing_numbers_get_their_share() -> None:
    """Where the type can say that one is missing."""
    profile = BITS.model_copy(update={"missing": 200, "non_finite": 50})
    assert np.isnan(drawn(NUMBER, profile, FLOAT)).mean() == pytest.approx(0.2, abs=0.03)
    assert drawn(NUMBER, profile, np.dtype(np.int64)).mean() == pytest.approx(0.5, abs=0.03)


def test_categories_get_their_shares() -> None:
    """And so do rows without one."""
    found = drawn(TOWN, towns(missing=100), TEXT)
    shares = {name: float((found == name).mean()) for name in ("p", "q", "r", "")}
    assert shares == pytest.approx({"p": 0.3, "q": 0.15, "r": 0.05, "": 0.5}, abs=0.03)


def test_categories_without_a_name_are_left_out_while_they_are_few() -> None:
    """Most rows must have a name that can be drawn."""
    found = drawn(TOWN, towns(other=90), TEXT)
    assert float((found == "p").mean()) == pytest.approx(0.6, abs=0.03)
    assert draw_of(TOWN, towns(other=110), TEXT) is None


def test_what_is_known_by_its_hash_cannot_be_drawn() -> None:
    """Nobody could write the value."""
    hidden = TOWN.model_copy(update={"policy": Policy.HASH})
    assert draw_of(hidden, towns(hashed=True), TEXT) is None


def test_categories_can_be_numbers() -> None:
    """They are written as the type of the tensor; names that are no number are left out."""
    profile = towns().model_copy(update={"categories": ("1", "2", "x")})
    assert set(drawn(TOWN, profile, np.dtype(np.int64)).tolist()) == {1, 2}


def test_a_feature_that_was_never_there_cannot_be_drawn() -> None:
    """Its reference has no value."""
    empty = NumericProfile(
        edges=(), counts=(), missing=10, non_finite=0, missing_choosing=10, mean=None,
        deviation=None,
    )  # fmt: skip
    assert draw_of(NUMBER, empty, FLOAT) is None
