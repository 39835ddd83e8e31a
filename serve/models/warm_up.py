"""The first runs of a model: they take its allocations on themselves, and are timed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.signature import DTYPES, Signature, TensorSpec
from serve.models.curve import Curve
from serve.models.frames import Tensors
from serve.models.waiting import MAX_BYTES

_TIME_S = 0.3
"""How long measuring may take, but that two sizes are always measured."""
_FEWEST, _MOST = 3, 10
"""How often a size runs while there is time."""


def warm_up(
    run: Callable[[Tensors], object],
    signature: Signature,
    max_rows: int,
    clock: Callable[[], float] = perf_counter,
) -> Curve:
    """Run batches of 1, 2, 4, ... up to `max_rows` rows of zeros, and give how long they took.

    The quickest run of a size counts. When the time is over, larger batches are not run: a model
    that is so slow is seldom given one.
    """
    last = max_rows if signature.batched else 1
    sizes = sorted({*(2**power for power in range(last.bit_length())), last})
    began = clock()
    run_once(run, signature)
    first_s = clock() - began
    ends = clock() + _TIME_S
    measured: list[tuple[int, float]] = []
    for place, rows in enumerate(sizes):
        batch = _zeros(signature, rows)
        too_large = sum(tensor.nbytes for tensor in batch) > MAX_BYTES
        if len(measured) > 1 and (too_large or clock() + measured[-1][1] > ends):
            break
        if rows == 1 and first_s > _TIME_S:
            measured.append((1, first_s))
            continue
        share_s = (ends - clock()) / (len(sizes) - place)
        measured.append((rows, _quickest(partial(run, batch), share_s, clock)))
    return Curve.of(measured)


def run_once(run: Callable[[Tensors], object], signature: Signature) -> None:
    """Run one row of zeros: all that a model needs whose runs were measured before."""
    run(_zeros(signature, 1))


def _quickest(run: Callable[[], object], share_s: float, clock: Callable[[], float]) -> float:
    """Run a few times, up to a share of the time; give the seconds of the quickest run."""
    began = now = clock()
    quickest = float("inf")
    for repeat in range(1, _MOST + 1):
        run()
        before, now = now, clock()
        quickest = min(quickest, now - before)
        spent = now - began
        if spent > share_s and (repeat >= _FEWEST or spent > _FEWEST * share_s):
            break
    return quickest


def _zeros(signature: Signature, rows: int) -> Tensors:
    return tuple(_zeros_of(spec, rows, signature.batched) for spec in signature.inputs)


def _zeros_of(spec: TensorSpec, rows: int, batched: bool) -> NDArray[Any]:
    shape = tuple(max(size, 1) if size != 0 else 0 for size in spec.shape)
    if batched:
        shape = (rows, *shape[1:])
    dtype = DTYPES[spec.datatype]
    return np.full(shape, "", dtype) if dtype.kind == "O" else np.zeros(shape, dtype)
