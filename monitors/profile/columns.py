"""Numeric features read together, all columns of a tensor at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitors.profile.reading import Tensors, as_floats, column_of
from registry.card import Feature


class NumberColumns:
    """Reads numeric features out of the model's inputs."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = len(features)
        self._tensors = [
            _Tensor(name, [(at, each) for at, each in enumerate(features) if each.input == name])
            for name in sorted({feature.input for feature in features})
        ]

    def read(self, inputs: Tensors, rows: int) -> NDArray[np.float64]:
        """The features' values, shape (features, rows); `Refused` where one is not there."""
        values = np.empty((self._features, rows))
        self._read_into(values, inputs)
        return values

    def read_rows(self, inputs: Tensors, rows: int) -> NDArray[np.float64]:
        """The same values row by row, shape (rows, features), as they lie in most tensors."""
        values = np.empty((rows, self._features))
        self._read_into(values.T, inputs)
        return values

    def _read_into(self, values: NDArray[np.float64], inputs: Tensors) -> None:
        for tensor in self._tensors if values.shape[1] else ():
            tensor.read_into(values, inputs)


class _Tensor:
    """The features that one input tensor holds, each with its place among all."""

    def __init__(self, name: str, features: Sequence[tuple[int, Feature]]) -> None:
        self._name = name
        self._places = _run([place for place, _ in features])
        self._columns = _run([feature.column or 0 for _, feature in features])
        # What fits these fits the others: whoever names no column, and whoever names the last.
        unnamed = [feature for _, feature in features if feature.column is None]
        last = max((feature for _, feature in features), key=lambda each: each.column or 0)
        self._demanding = [*unnamed[:1], last]

    def read_into(self, values: NDArray[np.float64], inputs: Tensors) -> None:
        for each in self._demanding:
            column_of(inputs, each.input, each.column, f"feature '{each.name}'")
        columns = inputs[self._name].reshape(values.shape[1], -1).T[self._columns]
        values[self._places] = columns if columns.dtype.kind in "biuf" else as_floats(columns)


def _run(places: list[int]) -> NDArray[np.intp] | slice:
    """Places as a slice if they follow one another: what it names is not copied."""
    first = places[0]
    if places == list(range(first, first + len(places))):
        return slice(first, first + len(places))
    return np.array(places, dtype=np.intp)
