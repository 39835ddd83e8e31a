"""Categories as text: one spelling for the same value, however it travelled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT_MAX = 64
"""Longer values are cut, so that a caller cannot fill memory with names."""

_TEXT_OR_MISSING = {str, type(None)}


def text_of(value: object) -> str | None:
    """A value as text; None for a missing one (None, NaN, empty text).

    Whole numbers are written alike whether they came as integers or floats.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if np.isnan(value):
            return None
        if value.is_integer():
            value = int(value)
    return str(value)[:TEXT_MAX].encode("utf-8", errors="replace").decode("utf-8")


def texts(values: NDArray[Any]) -> list[str | None]:
    """The texts of an array of shape (rows,); each distinct number or text is converted once."""
    if values.dtype.kind in "biuf":
        distinct, places = np.unique(values, return_inverse=True)
        names = [text_of(value) for value in distinct.tolist()]
        return [names[place] for place in places.tolist()]
    each = values.tolist()
    if set(map(type, each)) <= _TEXT_OR_MISSING:
        known = {value: text_of(value) for value in set(each)}
        return [known[value] for value in each]
    return [text_of(value) for value in each]


def hashed(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text.

    It does not show the text, but whoever has the hash can try texts until one fits.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


class CategoryCoder:
    """Maps values to the numbers of known categories; `unknown` for others, -1 for missing."""

    def __init__(self, codes: Mapping[str, int], unknown: int, by_hash: bool) -> None:
        self._codes = codes
        self._unknown = unknown
        self._by_hash = by_hash

    def encode(self, values: NDArray[Any]) -> NDArray[np.int16]:
        """The numbers of the values' categories, shape (rows,)."""
        if values.dtype.kind in "biuf":
            distinct, places = np.unique(values, return_inverse=True)
            codes = [self._code(text_of(value)) for value in distinct.tolist()]
            return np.array(codes, dtype=np.int16)[places]
        found: dict[str | None, int] = {}
        out = np.empty(len(values), dtype=np.int16)
        for row, text in enumerate(texts(values)):
            code = found.get(text)
            if code is None:
                code = found[text] = self._code(text)
            out[row] = code
        return out

    def _code(self, text: str | None) -> int:
        if text is None:
            return -1
        return self._codes.get(hashed(text) if self._by_hash else text, self._unknown)
