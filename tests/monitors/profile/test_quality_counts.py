"""Fences and repeats of a reference are what counting one by one gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.profile.build import numeric_profile
from monitors.profile.columns import NumberColumns
from monitors.profile.quality_counts import GROUP_ROWS, fences, repeats, with_fences
from monitors.profile.words import GAP, RowHash, WordColumns, any_twice, words_of
from registry.card import Feature, FeatureType

NUMBER = Feature(name="n", input="x", column=0)
TEXT = Feature(name="t", input="t", type=FeatureType.CATEGORICAL)


def halves(rows: int) -> NDArray[np.bool_]:
    """Every other row chooses."""
    return np.asarray(np.arange(rows) % 2 == 0)


def test_fences_are_three_spreads_beyond_the_quartiles() -> None:
    """Quartiles 2 and 6 of nine numbers: -10 and 18; infinities and gaps take no part."""
    values = np.r_[np.arange(9.0), np.inf, -np.inf, np.nan]
    assert fences(values) == (2.0 - 12.0, 6.0 + 12.0)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.full(50, 7.0), (7.0, 7.0)),
        (np.r_[np.zeros(90), np.full(10, 5.0)], (-15.0, 20.0)),
        (np.array([np.nan, np.inf]), None),
        (np.zeros(0), None),
        (np.array([-1.7e308, 1.7e308]), (-np.finfo(float).max, np.finfo(float).max)),
    ],
    ids=["constant", "mostly one value", "nothing finite", "empty", "huge"],
)
def test_odd_columns_have_fences_that_make_sense(
    values: np.ndarray, wanted: tuple[float, float] | None
) -> None:
    """Where quartiles are equal the outer percentiles are taken; no fence is infinite."""
    assert fences(values) == wanted


def test_what_lies_beyond_is_counted_in_the_other_half() -> None:
    """Finite values only, one by one."""
    rng = np.random.default_rng(0)
    values = rng.standard_cauchy(4000)
    values[::7] = np.inf
    values[::11] = np.nan
    found = with_fences(numeric_profile(values, halves(4000)), values, halves(4000))
    assert found.fences is not None
    low, high = found.fences
    wanted = [v for v in values[1::2].tolist() if abs(v) < np.inf and not low <= v <= high]
    assert found.beyond == len(wanted) > 50


def test_pairs_and_groups_are_drawn_by_chance_from_the_counted_half() -> None:
    """A third of equal values in any order gives a ninth of equal pairs, sorted or not.

    Of ten values, most groups of 32 rows hold one twice; of different rows, none does.
    """
    rows = 24_000
    rng = np.random.default_rng(1)
    few = np.sort(rng.integers(0, 3, rows)).astype(np.float64)
    few[rng.random(rows) < 0.1] = np.nan
    pairs, groups = repeats((NUMBER,), {"n": few}, halves(rows))
    assert pairs["n"].compared / (rows / 4) == pytest.approx(0.81, abs=0.02)
    assert pairs["n"].equal / pairs["n"].compared == pytest.approx(1 / 3, abs=0.02)
    assert groups.groups == groups.repeated == rows // 2 // GROUP_ROWS
    _, different = repeats((NUMBER, TEXT), {"n": few, "t": np.arange(rows)}, halves(rows))
    assert (different.groups, different.repeated) == (rows // 2 // GROUP_ROWS, 0)


def test_rows_are_the_same_if_all_their_values_are() -> None:
    """In both ways of hashing; the zeros are one, and a gap equals a gap."""
    numbers = np.array([[0.0, 1.0], [-0.0, 1.0], [np.nan, 1.0], [-np.nan, 1.0], [1.0, 0.0]])
    first, second = (words_of(NUMBER, numbers[:, at]) for at in (0, 1))
    hashes = RowHash(2).columns([first, second], 5)
    np.testing.assert_array_equal(hashes, RowHash(2).rows(np.stack([first, second], axis=1)))
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert len(set(hashes.tolist())) == 3
    assert first[2] == words_of(TEXT, np.array([None], dtype=np.object_))[0] == GAP
    assert any_twice(hashes.reshape(1, 5)).tolist() == [True]
    assert any_twice(hashes[[0, 2, 4]].reshape(1, 3)).tolist() == [False]


def test_short_numbers_do_not_collide() -> None:
    """Rows of small whole numbers, as floats of 32 bits: 200,000 rows, as many hashes."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 30)] * 3, np.arange(8)), axis=-1).reshape(-1, 4)
    words = np.stack([words_of(NUMBER, c.astype(np.float32)) for c in grid.T], axis=1)
    assert len(np.unique(RowHash(4).rows(words))) == len(grid)


def test_words_are_read_as_they_are_made() -> None:
    """Live tensors and reference columns give the same words, feature by feature."""
    features = (
        Feature(name="a", input="x", column=2),
        TEXT,
        Feature(name="b", input="x", column=0),
    )
    rng = np.random.default_rng(2)
    x = rng.standard_normal((7, 3)).astype(np.float32)
    t = np.array(["a", None, "b", b"a", "", 3, 3.0], dtype=np.object_)
    words = WordColumns(features).read({"x": x, "t": t[:, None]}, 7)
    for at, (feature, values) in enumerate(zip(features, (x[:, 2], t, x[:, 0]), strict=True)):
        np.testing.assert_array_equal(words[:, at], words_of(feature, values))
    assert words[0, 1] == words[3, 1] != words[2, 1]
    assert words[5, 1] == words[6, 1]


@pytest.mark.parametrize("places", [(0, 1, 2), (1, 2), (2, 0), (1,)])
def test_numbers_are_the_same_by_rows_and_by_columns(places: tuple[int, ...]) -> None:
    """Whether the columns that are read follow one another or not."""
    features = [Feature(name=f"f{place}", input="x", column=place) for place in places]
    x = np.random.default_rng(3).standard_normal((5, 3)).astype(np.float32)
    columns = NumberColumns(features)
    np.testing.assert_array_equal(columns.read({"x": x}, 5), x[:, places].T)
    np.testing.assert_array_equal(columns.read_rows({"x": x}, 5), x[:, places])
    assert columns.read_rows({"x": x}, 0).shape == (0, len(places))
