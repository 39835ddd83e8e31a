"""Values as 64-bit words: equal values have equal words, and missing ones a word of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.categories import texts
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import Floats, Tensors, as_floats, feature_values
from monitors.stats.uniforms import mixed, stream_keys
from registry.card import Feature, FeatureType

Words = NDArray[np.uint64]

GAP = np.uint64(0x7FF8_0000_0000_0000)
"""The word of a missing value: the bits of the usual NaN."""


def words_of(feature: Feature, values: NDArray[Any]) -> Words:
    """The words of a feature's values, shape (rows,)."""
    if feature.type is FeatureType.CATEGORICAL:
        return _text_words(values)
    return _number_words(as_floats(values))


class WordColumns:
    """Reads the words of features out of the model's inputs."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        texts_at = [each.type is FeatureType.CATEGORICAL for each in features]
        self._numeric = np.flatnonzero(np.logical_not(texts_at))
        self._other = np.flatnonzero(texts_at).tolist()
        self._columns = NumberColumns([self._features[at] for at in self._numeric])

    def read(self, inputs: Tensors, rows: int) -> Words:
        """The features' words, shape (rows, features)."""
        numbers = _number_words(self._columns.read_rows(inputs, rows))
        if not self._other:
            return numbers
        words = np.empty((rows, len(self._features)), dtype=np.uint64)
        words[:, self._numeric] = numbers
        for at in self._other:
            words[:, at] = _text_words(feature_values(self._features[at], inputs))
        return words


class RowHash:
    """Hashes of whole rows, feature by feature; equal rows have equal hashes.

    Different ones as good as never: the sum of the words times random odd numbers, modulo 2^64.
    """

    def __init__(self, features: int) -> None:
        self._factors = mixed(np.arange(features, dtype=np.uint64)) | np.uint64(1)

    def rows(self, words: Words) -> Words:
        """The hashes of rows, shape (rows,), from words (rows, features)."""
        return np.asarray((_spread(words) * self._factors).sum(axis=1, dtype=np.uint64))

    def columns(self, words: Iterable[Words], rows: int) -> Words:
        """The same, from the features' words one after the other, each of shape (rows,)."""
        hashes = np.zeros(rows, dtype=np.uint64)
        for factor, column in zip(self._factors, words, strict=True):
            hashes += _spread(column) * factor
        return hashes


def any_twice(groups: Words) -> NDArray[np.bool_]:
    """Whether a group of hashes, (groups, rows), holds one of them twice, shape (groups,)."""
    ordered = np.sort(groups, axis=1)
    return np.asarray((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))


def _spread(words: Words) -> Words:
    # Short numbers end in zeros, which a product would keep.
    return words ^ (words >> np.uint64(32))


def _number_words(values: Floats) -> Words:
    # Adding 0 makes the negative zero equal to the other.
    words = (values + 0.0).view(np.uint64)
    words[np.isnan(values)] = GAP
    return words


def _text_words(values: NDArray[Any]) -> Words:
    names = texts(values)
    distinct = [name for name in dict.fromkeys(names) if name is not None]
    words: dict[str | None, int] = dict(zip(distinct, stream_keys(distinct).tolist(), strict=True))
    words[None] = int(GAP)
    return np.array([words[name] for name in names], dtype=np.uint64)
