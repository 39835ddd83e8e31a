"""Profiles are fitted on one half of the rows and counted on the other, whatever the rows hold."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.build import build_profile, categorical_profile, numeric_profile
from monitors.profile.reference import CategoricalProfile, NumericProfile
from registry.card import Card, Feature, FeatureType, Policy, Task
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.samples import CARD, SIGNATURE, columns, model, profile


def halves(rows: int) -> NDArray[np.bool_]:
    """Every other row chooses bins."""
    even: NDArray[np.bool_] = np.arange(rows) % 2 == 0
    return even


def test_quantile_bins_hold_even_shares_of_the_other_half() -> None:
    """20 bins between 21 edges, about a twentieth of the counted rows in each."""
    values = np.random.default_rng(0).standard_normal(20_000)
    feature = numeric_profile(values, halves(20_000))
    assert len(feature.edges) == 21
    assert sum(feature.counts) == feature.rows == 10_000
    assert min(feature.counts[2:-1]) > 400
    assert max(feature.counts) < 600
    assert feature.mean == pytest.approx(values.mean())
    assert feature.deviation == pytest.approx(values.std())


def test_every_kind_of_odd_value_has_its_bin() -> None:
    """Missing, infinite, below the smallest and above the largest are counted apart."""
    values = np.array([1.0, np.nan, 2.0, np.inf, 3.0, -np.inf, 4.0, 0.0, 5.0, 9.0, 6.0, 1.0])
    feature = numeric_profile(values, halves(12))
    assert feature.edges == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert feature.counts == (1, 1, 0, 0, 0, 0, 0, 1)
    assert (feature.missing, feature.non_finite, feature.missing_choosing) == (1, 2, 0)


@pytest.mark.parametrize(
    "values",
    [
        np.full(50, 7.0),
        np.full(50, np.nan),
        np.full(50, np.inf),
        np.array([1.0]),
        np.full(9, 1e308),
    ],
    ids=["constant", "missing", "infinite", "one row", "huge"],
)
def test_degenerate_columns_make_a_valid_profile(values: NDArray[np.float64]) -> None:
    """No column is too dull to be described and read back."""
    feature = numeric_profile(values, halves(len(values)))
    assert NumericProfile.model_validate_json(feature.model_dump_json()) == feature


def test_categories_are_ranked_and_the_rest_kept_apart() -> None:
    """Counts come from the other half; what that half alone has is unseen."""
    values = np.array(["a", "a", "b", "c", "a", "", "b", "b"], dtype=np.object_)
    feature = categorical_profile(values, halves(8), by_hash=False)
    assert feature.categories == ("a", "b")
    assert feature.counts == (1, 1)
    assert (feature.unseen, feature.other, feature.missing, feature.cut) == (1, 0, 1, False)
    assert feature.choosing == (2, 2, 0, 0)


def test_a_long_list_of_categories_is_cut() -> None:
    """At most 200 are named; all others are other."""
    values = np.array([f"c{n // 2}" for n in range(2000)], dtype=np.object_)
    feature = categorical_profile(values, halves(2000), by_hash=False)
    assert len(feature.categories) == 200
    assert feature.cut
    assert (sum(feature.counts), feature.other, feature.unseen) == (200, 800, 0)


def test_hashed_categories_do_not_show_their_names() -> None:
    """The policy `hash` keeps text out of the profile, and counting still works."""
    town = CARD.features[2].model_copy(update={"policy": Policy.HASH})
    card = CARD.model_copy(update={"features": (*CARD.features[:2], town)})
    table = columns(np.random.default_rng(0), 200)
    table["town"][:] = "secret"
    whole = build_profile(card, SIGNATURE, table, model)
    assert b"secret" not in whole.to_json()
    feature = whole.features["town"]
    assert isinstance(feature, CategoricalProfile)
    assert feature.counts == (whole.counted,)


def test_score_and_groups_are_described() -> None:
    """The model is run on the rows; groups have rows, decisions and selections."""
    whole = profile(np.random.default_rng(0))
    assert whole.score is not None
    assert 0 < whole.score.edges[0] < whole.score.edges[-1] < 1
    groups = {share.name: share for share in whole.groups["sex"]}
    assert set(groups) == {"f", "m", "unknown"}
    assert sum(share.rows for share in groups.values()) == 2000
    assert groups["f"].selected / groups["f"].decided == pytest.approx(0.5, abs=0.08)


def test_one_row_is_enough_for_a_profile() -> None:
    """A single row gives a profile without counted rows."""
    whole = profile(np.random.default_rng(0), rows=1)
    assert (whole.rows, whole.counted) == (1, 0)


def test_what_must_not_be_kept_is_not_in_the_profile() -> None:
    """A feature with policy `drop` feeds the model but is not described."""
    features = (CARD.features[0].model_copy(update={"policy": Policy.DROP}), *CARD.features[1:])
    card = CARD.model_copy(update={"features": features})
    whole = build_profile(card, SIGNATURE, columns(np.random.default_rng(0), 100), model)
    assert set(whole.features) == {"debt", "town"}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda c: c.pop("debt"), "lacks the columns debt"),
        (lambda c: c.update(age=c["age"][:5]), "same number of rows"),
        (lambda c: c.update({k: v[:0] for k, v in c.items()}), "same number of rows"),
    ],
    ids=["missing", "unequal", "empty"],
)
def test_unusable_columns_are_refused(spoil: Any, reason: str) -> None:
    """The message says what is wrong."""
    table = columns(np.random.default_rng(0), 50)
    spoil(table)
    with pytest.raises(Refused, match=reason):
        build_profile(CARD, SIGNATURE, table, model)


def test_missing_numbers_for_an_integer_input_are_refused() -> None:
    """A NaN cannot become an integer, and must not silently become one."""
    card = Card(task=Task.OTHER, features=(Feature(name="n", input="n"),))
    spec = TensorSpec(name="n", datatype=Datatype.INT64, shape=(-1,))
    signature = Signature(inputs=(spec,), outputs=())
    with pytest.raises(Refused, match="column 'n'"):
        build_profile(card, signature, {"n": np.array([1.0, np.nan])}, model)
    whole = build_profile(card, signature, {"n": np.arange(40)}, model)
    assert whole.score is None


def test_a_card_that_does_not_fill_the_input_is_refused() -> None:
    """The model cannot be run when a column of its matrix has no feature."""
    card = CARD.model_copy(update={"features": (CARD.features[0], CARD.features[2])})
    with pytest.raises(Refused, match="input 'x' cannot be filled"):
        build_profile(card, SIGNATURE, columns(np.random.default_rng(0), 50), model)


def test_numbers_and_booleans_can_be_categories() -> None:
    """3, 3.0 and their float32 forms are one category; booleans are true and false."""
    for values in (np.array([3, 3, 3, 3]), np.array([3.0, 3, 3, 3], dtype=np.float32)):
        assert categorical_profile(values, halves(4), by_hash=False).categories == ("3",)
    flags = categorical_profile(np.array([True, True, False]), np.ones(3, bool), by_hash=False)
    assert isinstance(flags, CategoricalProfile)
    assert flags.categories == ("true", "false")


def test_a_feature_of_strings_goes_to_a_text_input() -> None:
    """Missing texts reach the model as empty texts, and count as missing."""
    seen: list[Any] = []

    def note(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        seen.extend(inputs["town"].ravel().tolist())
        return model(inputs)

    table = columns(np.random.default_rng(0), 60)
    table["town"][:] = None
    whole = build_profile(CARD, SIGNATURE, table, note)
    assert set(seen) == {""}
    assert CARD.features[2].type is FeatureType.CATEGORICAL
    assert whole.features["town"].missing == whole.counted
