"""Sampled rows: appended on the request path, made into columns off it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from registry.records import Role
from registry.signature import Signature

DRAWS = 1 << 32
"""How many values the draw of a prediction can take; see `Dial`."""

_LEAST_SHED = 1 / 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version, in which role, rows come from."""

    model: str
    version: int
    role: Role
    signature: Signature


class Sample(NamedTuple):
    """The tensors of one request and its answer, as they passed."""

    origin: Origin
    prediction_id: str
    rows: int
    inputs: Sequence[NDArray[Any]]
    outputs: Sequence[NDArray[Any]]
    groups: Mapping[str, NDArray[np.object_]]


class Dial:
    """The sampling rate, set so that about `target` rows a second are kept.

    A prediction is kept when the last 32 bits of its id are below `limit`: the id alone decides,
    so that a prediction, its shadow answers and its label are kept together. The rate moves in
    halves, so that what is kept at a lower rate is part of what is kept at a higher one. While
    requests are refused it only falls, to no less than 1/1024.
    """

    def __init__(self, target: float) -> None:
        self._target = target
        self.rate = 1.0 if target > 0 else 0.0
        self.limit = int(self.rate * DRAWS)

    def turn(self, kept_rows: int, seconds: float, *, refusing: bool = False) -> None:
        """Set the rate by the rows that were kept in the last `seconds`."""
        if self.rate == 0.0 or seconds <= 0.0:
            return
        per_second = kept_rows / seconds
        while per_second > self._target:
            self.rate, per_second = self.rate / 2, per_second / 2
        if refusing:
            self.rate = max(self.rate / 2, min(self.rate, _LEAST_SHED))
        elif self.rate < 1.0 and per_second < 0.45 * self._target:
            self.rate *= 2
        self.limit = int(self.rate * DRAWS)


def blocks(
    samples: Iterable[Sample], source: str, rate: float, now: float
) -> tuple[list[SampleBlock], int]:
    """Give the samples as blocks made `now`, one an origin, and how many rows did not fit."""
    by_origin: defaultdict[Origin, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_origin[sample.origin].append(sample)
    made = []
    lost = 0
    for origin, members in by_origin.items():
        try:
            made.append(replace(_block(origin, members, source, rate), made_at=now))
        except ValueError:  # Shapes that vary beyond the rows cannot stand in one column.
            lost += sum(sample.rows for sample in members)
    return made, lost


def _block(origin: Origin, samples: list[Sample], source: str, rate: float) -> SampleBlock:
    signature = origin.signature
    ids = np.repeat(
        np.array([sample.prediction_id.encode() for sample in samples], dtype="S32"),
        [sample.rows for sample in samples],
    )
    names = sorted({name for sample in samples for name in sample.groups})
    return SampleBlock(
        model=origin.model,
        version=origin.version,
        role=origin.role.value,
        source=source,
        rate=rate,
        prediction_ids=ids,
        row_numbers=np.concatenate([np.arange(sample.rows) for sample in samples]),
        inputs={
            spec.name: _column([sample.inputs[place] for sample in samples], signature)
            for place, spec in enumerate(signature.inputs)
        },
        outputs={
            spec.name: _column([sample.outputs[place] for sample in samples], signature)
            for place, spec in enumerate(signature.outputs)
        },
        groups={name: _group(name, samples) for name in names},
    )


def _column(tensors: Sequence[NDArray[Any]], signature: Signature) -> NDArray[Any]:
    if signature.batched:
        return np.concatenate(tensors)
    return np.stack(tensors)


def _group(name: str, samples: Sequence[Sample]) -> NDArray[np.object_]:
    return np.concatenate(
        [sample.groups.get(name, np.full(sample.rows, None, dtype=object)) for sample in samples]
    )
