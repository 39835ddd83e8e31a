"""Sampled rows: appended on the request path, made into columns off it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.labels.assigned import Assigned
from monitors.labels.message import KEY_MAX
from monitors.profile.reading import tensors_read
from registry.card import Card
from registry.records import Role
from registry.signature import Signature, TensorSpec
from serve.recorder.dial import DRAWS


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version, in which role, rows come from.

    `inputs` and `outputs` are the places of the tensors that a monitor reads, None for all.
    `labelled` says that truth is to come, perhaps under the id that the caller gave its request.
    """

    model: str
    version: int
    role: Role
    signature: Signature
    inputs: tuple[int, ...] | None = None
    outputs: tuple[int, ...] | None = None
    labelled: bool = False

    @classmethod
    def watched(
        cls, model: str, version: int, role: Role, signature: Signature, card: Card
    ) -> Origin:
        """Give the origin of rows of which no more is kept than what the card has monitors read."""
        inputs, outputs = tensors_read(card)
        return cls(
            model,
            version,
            role,
            signature,
            _places(signature.inputs, inputs),
            _places(signature.outputs, outputs),
            card.label is not None,
        )


class Sample(NamedTuple):
    """The tensors of one request and its answer that its origin keeps, as they passed.

    `request_id` is what the caller calls its request, where truth is to come for it, and `assigned`
    the arm of a rollout of which the request's unit is.
    """

    origin: Origin
    prediction_id: str
    rows: int
    inputs: Sequence[NDArray[Any]]
    outputs: Sequence[NDArray[Any]]
    groups: Mapping[str, NDArray[np.object_]]
    request_id: str | None = None
    assigned: Assigned | None = None


def kept(tensors: Sequence[NDArray[Any]], places: tuple[int, ...] | None) -> Sequence[NDArray[Any]]:
    """Give the tensors in some places, all for None."""
    return tensors if places is None else tuple([tensors[place] for place in places])


def within(rate: float, samples: Iterable[Sample]) -> list[Sample]:
    """Give the samples that are kept at a rate, of those that were kept at it or a higher one."""
    limit = int(rate * DRAWS)
    return [sample for sample in samples if _draw(sample) < limit]


def _draw(sample: Sample) -> int:
    return int(sample.prediction_id[-8:], 16)


def blocks(
    samples: Iterable[Sample], source: str, rate: float, now: float
) -> tuple[list[SampleBlock], int]:
    """Give the samples as blocks made `now`, one an origin, and how many rows did not fit."""
    # By identity first: a comparison of origins goes through the whole signature.
    together: dict[int, list[Sample]] = {}
    for sample in samples:
        together.setdefault(id(sample.origin), []).append(sample)
    by_origin: defaultdict[Origin, list[Sample]] = defaultdict(list)
    for members in together.values():
        by_origin[members[0].origin] += members
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
    rows = np.array([sample.rows for sample in samples])
    ids = np.array([sample.prediction_id for sample in samples], dtype="S32")
    names = sorted({name for sample in samples for name in sample.groups})
    return SampleBlock(
        model=origin.model,
        version=origin.version,
        role=origin.role.value,
        source=source,
        rate=rate,
        prediction_ids=ids.repeat(rows),
        row_numbers=np.arange(rows.sum()) - (rows.cumsum() - rows).repeat(rows),
        inputs={
            name: _column([sample.inputs[at] for sample in samples], signature)
            for at, name in enumerate(_names(signature.inputs, origin.inputs))
        },
        outputs={
            name: _column([sample.outputs[at] for sample in samples], signature)
            for at, name in enumerate(_names(signature.outputs, origin.outputs))
        },
        groups={name: _group(name, samples) for name in names},
        request_ids=_request_ids(samples, rows) if origin.labelled else None,
        assigned=_assigned(samples, rows),
    )


def no_rows(origin: Origin, source: str, rate: float, now: float) -> SampleBlock:
    """Give a block made `now` that brings no rows of its origin, only counts of requests."""
    inputs, outputs = (
        {name: np.zeros((0, 1)) for name in _names(specs, places)}
        for specs, places in (
            (origin.signature.inputs, origin.inputs),
            (origin.signature.outputs, origin.outputs),
        )
    )
    return SampleBlock(
        model=origin.model,
        version=origin.version,
        role=origin.role.value,
        source=source,
        rate=rate,
        prediction_ids=np.zeros(0, dtype="S32"),
        row_numbers=np.zeros(0, dtype=np.int64),
        inputs=inputs,
        outputs=outputs,
        made_at=now,
        request_ids=np.zeros(0, dtype=object) if origin.labelled else None,
    )


def _column(tensors: Sequence[NDArray[Any]], signature: Signature) -> NDArray[Any]:
    if signature.batched:
        return np.concatenate(tensors)
    return np.stack(tensors)


def _places(specs: Sequence[TensorSpec], read: frozenset[str]) -> tuple[int, ...] | None:
    """Give the places of the tensors that are read, None when all are."""
    places = tuple(place for place, spec in enumerate(specs) if spec.name in read)
    return places if len(places) < len(specs) else None


def _names(specs: Sequence[TensorSpec], places: tuple[int, ...] | None) -> list[str]:
    return [specs[place].name for place in (range(len(specs)) if places is None else places)]


def _request_ids(samples: Sequence[Sample], rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """Give the caller's own id for every row; one that is empty or too long to be a key is none."""
    ids = np.empty(len(samples), dtype=object)
    for place, sample in enumerate(samples):
        own = sample.request_id
        ids[place] = own if own and len(own) <= KEY_MAX else None
    return ids.repeat(rows)


def _assigned(samples: Sequence[Sample], rows: NDArray[np.int64]) -> NDArray[np.object_] | None:
    """Give the arm of each unit at the one row that stands for it, by the prediction's draw."""
    if all(sample.assigned is None for sample in samples):
        return None
    assigned = np.full(rows.sum(), None, dtype=np.object_)
    for sample, end in zip(samples, rows.cumsum().tolist(), strict=True):
        if sample.rows:
            assigned[end - sample.rows + _draw(sample) % sample.rows] = sample.assigned
    return assigned


def _group(name: str, samples: Sequence[Sample]) -> NDArray[np.object_]:
    return np.concatenate(
        [sample.groups.get(name, np.full(sample.rows, None, dtype=object)) for sample in samples]
    )
