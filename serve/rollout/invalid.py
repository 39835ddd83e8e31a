"""Whether an answer is one that the version's signature promises, and holds only numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.signature import DTYPES, Datatype, Signature, TensorSpec

_FEW = 8
_FLOATS = frozenset({Datatype.FP16, Datatype.FP32, Datatype.FP64})
Tensors = Sequence[NDArray[Any]]
Check = Callable[[NDArray[Any]], bool]


class Validity:
    """Checks the answers of one version against what it promises; strings are not looked into."""

    def __init__(self, signature: Signature) -> None:
        self._batched = signature.batched
        self._specs = tuple(
            (DTYPES[spec.datatype], _fixed(spec), len(spec.shape)) for spec in signature.outputs
        )
        self._finite = tuple(
            (place, _check(spec.datatype))
            for place, spec in enumerate(signature.outputs)
            if spec.datatype in _FLOATS
        )

    def holds(self, answer: Tensors, rows: int) -> bool:
        """Whether an answer for so many rows fits, without NaN or infinity among its numbers."""
        if not self.fits(answer, rows):
            return False
        for place, finite in self._finite:  # noqa: SIM110 - twice as quick as a generator
            if not finite(answer[place]):
                return False
        return True

    def fits(self, answer: Tensors, rows: int) -> bool:
        """Whether the number of outputs, their datatypes, shapes and rows are as promised."""
        specs = self._specs
        if len(answer) != len(specs):
            return False
        for values, (dtype, fixed, dimensions) in zip(answer, specs, strict=True):
            shape = values.shape
            if values.dtype != dtype or len(shape) != dimensions:
                return False
            if self._batched and shape[0] != rows:
                return False
            for place, size in fixed:
                if shape[place] != size:
                    return False
        return True


def _fixed(spec: TensorSpec) -> tuple[tuple[int, int], ...]:
    return tuple((place, size) for place, size in enumerate(spec.shape) if size >= 0)


def _check(datatype: Datatype) -> Check:
    return _finite_each if datatype is Datatype.FP16 else _finite


def _finite(values: NDArray[Any]) -> bool:
    """Whether all of some floats are finite; if their squares add up to a number, they are.

    Each way is the quickest for so many. Not every BLAS takes what lies askew in memory.
    """
    if values.size <= _FEW:
        return all(map(isfinite, values.ravel().tolist()))
    if values.flags.aligned and isfinite(np.vdot(values, values)):
        return True
    return _finite_each(values)


def _finite_each(values: NDArray[Any]) -> bool:
    return bool(np.isfinite(values).all())
