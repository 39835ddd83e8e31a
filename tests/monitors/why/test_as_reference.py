"""Live values are put back to the reference, and no more of them than must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from monitors.profile.reference import CategoricalProfile, NumericProfile, ReferenceProfile
from monitors.stats.uniforms import mixed
from monitors.why.as_reference import as_reference
from registry.card import Feature, FeatureType, Policy
from tests.monitors.why.rows import reference

NUMBER = Feature(name="a", input="x", column=0)
TOWN = Feature(name="town", input="town", type=FeatureType.CATEGORICAL)
ROWS = 4000


@pytest.fixture(name="profile", scope="module")
def profile_of_rows() -> ReferenceProfile:
    """A reference of normal numbers and three towns."""
    return reference(np.random.default_rng(1))


def put_back(profile: ReferenceProfile, feature: Feature, values: NDArray[Any]) -> NDArray[Any]:
    """The values as the reference would have them."""
    known = profile.features[feature.name]
    return as_reference(feature, known, values, mixed(np.arange(len(values), dtype=np.uint64)))


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (4.0, 1.0), (0.0, 3.0), (-50.0, 0.1)])
def test_numbers_that_moved_are_those_of_the_reference(
    profile: ReferenceProfile, shift: float, scale: float
) -> None:
    """In distribution, and in the order of their own."""
    live = np.random.default_rng(2).standard_normal(ROWS) * scale + shift
    found = put_back(profile, NUMBER, live)
    other = np.random.default_rng(3).standard_normal(ROWS)
    assert ks_2samp(found, other).statistic < 0.04
    assert found.mean() == pytest.approx(0.0, abs=0.05)
    assert np.corrcoef(np.argsort(np.argsort(live)), np.argsort(np.argsort(found)))[0, 1] > 0.98


def test_numbers_that_have_not_moved_stay(profile: ReferenceProfile) -> None:
    """But for the few whose bin is another one by chance."""
    live = np.random.default_rng(2).standard_normal(ROWS)
    found = put_back(profile, NUMBER, live)
    assert (found == live).mean() > 0.85
    assert np.abs(found - live).mean() < 0.02


def test_missing_values_get_the_references_share() -> None:
    """Too many are filled from all of the reference, too few are made, whichever rows they are."""
    counts = (0, 10, *[10] * 20, 0)
    edges = tuple(float(edge) for edge in range(21))
    profile = NumericProfile(
        edges=edges, counts=counts, missing=90, non_finite=0, missing_choosing=90,
        mean=10.0, deviation=6.0,
    )  # fmt: skip
    live = np.random.default_rng(4).uniform(0, 20, ROWS)
    some = as_reference(NUMBER, profile, live, mixed(np.arange(ROWS, dtype=np.uint64)))
    assert np.isnan(some).mean() == pytest.approx(90 / 300, abs=0.03)

    live[: ROWS * 8 // 10] = np.nan
    fewer = as_reference(NUMBER, profile, live, mixed(np.arange(ROWS, dtype=np.uint64)))
    assert np.isnan(fewer).mean() == pytest.approx(90 / 300, abs=0.03)
    assert np.nanmean(fewer) == pytest.approx(2000 / 210, abs=0.4)


@pytest.mark.parametrize("kind", [np.int32, np.float32, np.uint8, np.bool_, np.object_])
def test_a_type_is_kept(kind: type) -> None:
    """Whole numbers stay whole, and what a type cannot hold is not made."""
    profile = NumericProfile(
        edges=(0.0, 1.0), counts=(0, 500, 500, 0), missing=0, non_finite=0, missing_choosing=0,
        mean=0.5, deviation=0.5,
    )  # fmt: skip
    live: NDArray[Any] = np.ones(ROWS, dtype=np.float64).astype(kind)
    if kind is np.object_:
        live = np.full(ROWS, "1", dtype=np.object_)
    found = as_reference(NUMBER, profile, live, mixed(np.arange(ROWS, dtype=np.uint64)))
    assert found.dtype == live.dtype
    assert found.astype(np.float64).mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(found.astype(np.float64))) == {0.0, 1.0}


def test_coarse_bins_are_filled_between_their_edges() -> None:
    """A feature with the policy `bucket` has few edges though its values do not repeat."""
    profile = NumericProfile(
        edges=(1.0, 2.0, 3.0), counts=(0, 0, 500, 500, 0), missing=0, non_finite=0,
        missing_choosing=0, mean=None, deviation=None,
    )  # fmt: skip
    bucket = NUMBER.model_copy(update={"policy": Policy.BUCKET})
    live = np.random.default_rng(5).uniform(7, 8, ROWS)
    ranks = mixed(np.arange(ROWS, dtype=np.uint64))
    assert as_reference(bucket, profile, live, ranks).mean() == pytest.approx(2.0, abs=0.03)
    assert as_reference(NUMBER, profile, live, ranks).mean() == pytest.approx(2.5, abs=0.03)


def test_categories_get_the_references_shares(profile: ReferenceProfile) -> None:
    """Rows leave what has become frequent; those of other categories stay."""
    rng = np.random.default_rng(6)
    live = rng.choice(np.array(["p", "q", "new"], dtype=np.object_), ROWS, p=[0.2, 0.3, 0.5])
    found = put_back(profile, TOWN, live)
    shares = {name: float((found == name).mean()) for name in ("p", "q", "r", "new")}
    assert shares == pytest.approx({"p": 0.6, "q": 0.3, "r": 0.1, "new": 0.0}, abs=0.03)
    assert (found == live)[live == "p"].all()
    assert (found == live)[live == "q"].mean() > 0.95


def test_a_hashed_category_is_written_as_live_rows_write_it(profile: ReferenceProfile) -> None:
    """What no live row shows is not made up."""
    known = profile.features["town"]
    assert isinstance(known, CategoricalProfile)
    hidden = known.model_copy(update={"hashed": True, "categories": ("#p", "#q", "#r")})
    live = np.random.default_rng(7).choice(np.array(["x", "y"], dtype=np.object_), ROWS)
    ranks = mixed(np.arange(ROWS, dtype=np.uint64))
    assert (as_reference(TOWN, hidden, live, ranks) == live).all()


@pytest.mark.parametrize(
    ("live", "names"),
    [
        (np.array([b"p"] * 100, dtype=np.object_), {b"p", b"q", b"r"}),
        (np.array(["p"] * 100, dtype=np.object_), {"p", "q", "r"}),
    ],
)
def test_texts_are_of_the_kind_that_came(
    profile: ReferenceProfile, live: NDArray[np.object_], names: set[object]
) -> None:
    """Bytes where live rows hold bytes."""
    assert set(put_back(profile, TOWN, live).tolist()) == names


def test_numbers_can_be_categories() -> None:
    """They are written as the type of the tensor."""
    profile = CategoricalProfile(
        categories=("1", "2"), counts=(50, 50), other=0, unseen=0, missing=0, cut=False,
        hashed=False, choosing=(50, 50, 0, 0), missing_choosing=0,
    )  # fmt: skip
    live = np.full(ROWS, 1, dtype=np.int64)
    found = as_reference(TOWN, profile, live, mixed(np.arange(ROWS, dtype=np.uint64)))
    assert found.dtype == np.int64
    assert (found == 2).mean() == pytest.approx(0.5, abs=0.03)


def test_the_same_rows_give_the_same(profile: ReferenceProfile) -> None:
    """Chance comes from the rows themselves."""
    live = np.random.default_rng(8).standard_normal(ROWS) + 1
    assert (put_back(profile, NUMBER, live) == put_back(profile, NUMBER, live)).all()
