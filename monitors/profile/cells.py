"""Columns of Arrow as arrays of numbers or texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitors.profile.reading import MISSING

_BYTES = (pa.types.is_binary, pa.types.is_large_binary)
_TEXTS = (pa.types.is_string, pa.types.is_large_string)


def parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as what all of them are: whole numbers, numbers, booleans, or else texts."""
    trimmed = pc.utf8_trim_whitespace(column)
    absent = pc.is_in(trimmed, value_set=pa.array(sorted(MISSING)))
    present = pc.if_else(absent, pa.scalar(None, pa.string()), trimmed)
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            return present.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def values_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """The values, shape (rows,): numbers, or objects with None where they are missing.

    Floating-point numbers are NaN there. Moments are seconds since 1970, in UTC where they do not
    say otherwise.

    `pa.ArrowInvalid` for bytes that are not UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if any(test(kind) for test in _BYTES):
        column = column.cast(pa.large_string())
    if any(test(column.type) for test in _TEXTS):
        return np.concatenate([_texts(chunk) for chunk in column.chunks])
    if pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        column = pc.divide(whole.cast(pa.float64(), safe=False), 1e6)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if pa.types.is_integer(kind) and column.null_count:
        # As floating-point numbers they would be other texts, and large ones other numbers.
        return np.array(column.to_pylist(), dtype=np.object_)
    values: NDArray[Any] = column.to_numpy()
    return values


def _texts(chunk: pa.Array) -> NDArray[np.object_]:
    # Rows with the same text share one object.
    encoded = chunk.dictionary_encode()
    distinct = np.array([*encoded.dictionary.to_pylist(), None], dtype=np.object_)
    places = encoded.indices.fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)
    texts: NDArray[np.object_] = distinct[places]
    return texts
