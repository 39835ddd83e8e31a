"""Whether an answer is one that the version's signature promises, and holds only numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.signature import DTYPES, Datatype, Signature, TensorSpec

_SUMMED = frozenset({Datatype.FP32, Datatype.FP64})
_FLOATS = _SUMMED | {Datatype.FP16}
Check = Callable[[NDArray[Any]], bool]


class Validity:
    """Checks the answers of one version: number, datatypes, shapes, rows, and no NaN or infinity.

    Strings are not looked into.
    """

    def __init__(self, signature: Signature) -> None:
        self._batched = signature.batched
        self._specs = tuple(
            (DTYPES[spec.datatype], _fixed(spec), len(spec.shape), _check(spec))
            for spec in signature.outputs
        )

    def holds(self, answer: Sequence[NDArray[Any]], rows: int) -> bool:
        """Whether an answer for so many rows is valid."""
        specs = self._specs
        if len(answer) != len(specs):
            return False
        for values, (dtype, fixed, dimensions, finite) in zip(answer, specs, strict=True):
            shape = values.shape
            if values.dtype != dtype or len(shape) != dimensions:
                return False
            if self._batched and shape[0] != rows:
                return False
            for place, size in fixed:
                if shape[place] != size:
                    return False
            if not finite(values):
                return False
        return True


def _fixed(spec: TensorSpec) -> tuple[tuple[int, int], ...]:
    return tuple((place, size) for place, size in enumerate(spec.shape) if size >= 0)


def _check(spec: TensorSpec) -> Check:
    if spec.datatype in _SUMMED:
        return _finite
    return _finite_each if spec.datatype in _FLOATS else _anything


def _finite(values: NDArray[Any]) -> bool:
    """Whether all of some floats are finite; if their squares add up to a number, they are.

    Four times as quick for a few numbers. Not every BLAS takes what lies askew in memory.
    """
    if values.flags.aligned and isfinite(np.vdot(values, values)):
        return True
    return _finite_each(values)


def _finite_each(values: NDArray[Any]) -> bool:
    return bool(np.isfinite(values).all())


def _anything(_values: NDArray[Any]) -> bool:
    return True
