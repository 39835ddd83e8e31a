"""Features read together are what each read alone is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import as_floats, feature_values
from registry.card import Feature

FEATURES = [
    Feature(name="last", input="x", column=2),
    Feature(name="whole", input="n"),
    Feature(name="first", input="x", column=0),
    Feature(name="words", input="w", column=1),
]


def tensors(rows: int) -> dict[str, NDArray[Any]]:
    """Floats, integers and text, in the shapes that models take."""
    words = np.array([["a", "1.5"]] * rows, dtype=np.object_).reshape(rows, 2)
    return {
        "x": np.arange(rows * 4, dtype=np.float32).reshape(rows, 2, 2),
        "n": np.arange(rows, dtype=np.int64),
        "w": words,
    }


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_columns_are_what_each_feature_has(rows: int) -> None:
    """In the order of the features, whatever tensor they come from; text is read as numbers."""
    inputs = tensors(rows)

    values = NumberColumns(FEATURES).read(inputs, rows)

    assert values.shape == (4, rows)
    assert values.dtype == np.float64
    for row, feature in zip(values, FEATURES, strict=True):
        np.testing.assert_array_equal(row, as_floats(feature_values(feature, inputs)))


@pytest.mark.parametrize(
    ("feature", "why"),
    [
        (Feature(name="far", input="x", column=4), "no column 4"),
        (Feature(name="which", input="x"), "must name one"),
        (Feature(name="gone", input="y"), "not there"),
    ],
)
def test_a_feature_that_is_not_there_is_named(feature: Feature, why: str) -> None:
    """A column too many, none where there are several, a tensor that is missing."""
    with pytest.raises(Refused, match=why) as refused:
        NumberColumns([*FEATURES, feature]).read(tensors(3), 3)
    assert feature.name in str(refused.value)


def test_without_features_there_is_nothing_to_read() -> None:
    """No features: no columns."""
    assert NumberColumns([]).read({}, 3).shape == (0, 3)
