"""A model's input tensors put together from feature columns, as the card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.reading import MISSING, as_floats
from registry.card import Card, Feature
from registry.signature import DTYPES, Datatype, Signature, TensorSpec

Columns = Mapping[str, NDArray[Any]]


def cast_column(feature: Feature, signature: Signature, column: NDArray[Any]) -> NDArray[Any]:
    """A feature's column, shape (rows,), in the element type of the tensor it goes to.

    Missing texts become the empty text. `Refused` when a value cannot be had in that type.
    """
    spec = next((spec for spec in signature.inputs if spec.name == feature.input), None)
    if spec is None:
        message = f"feature '{feature.name}' goes to input '{feature.input}', which the model lacks"
        raise Refused(message)
    if column.ndim != 1:
        message = f"column '{feature.name}' must hold one value per row"
        raise Refused(message)
    dtype = DTYPES[spec.datatype]
    if spec.datatype is Datatype.BYTES:
        return np.array(["" if _absent(v) else _as_text(v) for v in column.tolist()], dtype=dtype)
    numbers = column if column.dtype.kind in "biuf" else _numbers(feature.name, column)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return numbers.astype(dtype, copy=False)
    return _exactly(feature.name, numbers, dtype)


def _numbers(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    numbers = as_floats(column)
    strays = sum(_is_other_text(value) for value in column[np.isnan(numbers)].tolist())
    if strays:
        message = (
            f"column '{name}' goes to a numeric input, and {strays:,} of {len(column):,} rows hold "
            "texts that are not numbers: mend them, or leave them empty where the number is missing"
        )
        raise Refused(message)
    return numbers


def _is_other_text(value: object) -> bool:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return isinstance(value, str) and value.strip() not in MISSING


def _exactly(name: str, numbers: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        cast = numbers.astype(dtype, copy=False)
    if not np.array_equal(cast.astype(numbers.dtype), numbers):
        message = (
            f"column '{name}' has values that are missing or do not fit the model's {dtype} input"
        )
        raise Refused(message)
    return cast


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _as_text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def assemble_inputs(card: Card, signature: Signature, cast: Columns) -> dict[str, NDArray[Any]]:
    """All input tensors, by name, from columns that `cast_column` has given their types.

    `Refused` when the card's features do not fill an input.
    """
    return {
        spec.name: _tensor(spec, [f for f in card.features if f.input == spec.name], cast)
        for spec in signature.inputs
    }


def _tensor(spec: TensorSpec, features: Sequence[Feature], cast: Columns) -> NDArray[Any]:
    if len(spec.shape) == 1 or (len(spec.shape) == 2 and features[:1] and len(features) == 1):
        _check_filled(spec, 1, {feature.column or 0 for feature in features})
        column = cast[features[0].name]
        return column if len(spec.shape) == 1 else column[:, None]
    if len(spec.shape) != 2:
        message = f"input '{spec.name}' of shape {spec.shape} cannot be made from feature columns"
        raise Refused(message)
    by_column = {feature.column: feature.name for feature in features if feature.column is not None}
    width = spec.shape[1] if spec.shape[1] > 0 else max(by_column, default=-1) + 1
    _check_filled(spec, width, set(by_column))
    return np.stack([cast[by_column[column]] for column in range(width)], axis=1)


def _check_filled(spec: TensorSpec, width: int, have: set[int]) -> None:
    needed = spec.shape[1] if len(spec.shape) == 2 and spec.shape[1] > 0 else width
    lacking = sorted(set(range(needed)) - have)
    if lacking or not have:
        message = (
            f"input '{spec.name}' cannot be filled: the card names no feature for column "
            f"{lacking[0] if lacking else 0} ({len(lacking)} of {needed} are without one)"
        )
        raise Refused(message)
