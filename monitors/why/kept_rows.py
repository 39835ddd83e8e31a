"""Rows that are kept in memory to explain an alarm: what went in, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.blocks import SampleBlock
from monitors.profile.reading import Floats, decisions, scores
from registry.card import Card, Feature

TEXT_MAX = 256
"""Rows with a longer text are not kept, so that a caller cannot fill memory with it."""


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows, all arrays with as many entries.

    `ranks` are numbers by chance that belong to the rows; `moments` are seconds since 1970.
    `score` and `selected` (1 or 0) are what was answered, NaN where it cannot be read.
    """

    ranks: NDArray[np.uint64]
    moments: NDArray[np.int64]
    score: Floats
    selected: Floats
    inputs: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ranks)

    def take(self, at: NDArray[Any]) -> KeptRows:
        """Some of the rows, by place or by mask."""
        return KeptRows(
            self.ranks[at],
            self.moments[at],
            self.score[at],
            self.selected[at],
            {name: tensor[at] for name, tensor in self.inputs.items()},
        )

    def smallest(self, count: int) -> KeptRows:
        """So many rows at most, those with the smallest ranks, in the order of the ranks."""
        return self.take(np.argsort(self.ranks)[:count])


def together(parts: Sequence[KeptRows]) -> KeptRows:
    """The rows of all parts, of which there is one at least, and which have the same inputs."""
    return KeptRows(
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.moments for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.selected for part in parts]),
        _joined([part.inputs for part in parts]),
    )


class Picked(NamedTuple):
    """Some rows of a block as they came, but for what the card forbids to keep."""

    ranks: NDArray[np.uint64]
    moment: int
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]


def picked(
    dropped: Sequence[Feature], block: SampleBlock, ranks: NDArray[np.uint64], at: NDArray[np.intp]
) -> Picked:
    """Some rows of a block, as copies; values of dropped features are zeros, or empty texts."""
    # In one piece, so that a reshaped tensor is the same memory and not a copy of it.
    inputs = {name: np.ascontiguousarray(tensor[at]) for name, tensor in block.inputs.items()}
    for feature in dropped:
        if feature.input in inputs:
            tensor, column = inputs[feature.input], feature.column or 0
            flat = tensor.reshape(len(at), -1)
            if column < flat.shape[1]:  # The model may take any number of columns.
                flat[:, column] = "" if tensor.dtype == np.object_ else 0
    outputs = {name: tensor[at] for name, tensor in block.outputs.items()}
    return Picked(ranks[at], int(block.made_at), inputs, outputs)


def read(card: Card, parts: Sequence[Picked]) -> KeptRows:
    """Rows that were picked, of one shape, with their scores; but those with a long text."""
    counts = [len(part.ranks) for part in parts]
    inputs = _joined([part.inputs for part in parts])
    outputs = _joined([part.outputs for part in parts])
    kept = KeptRows(
        np.concatenate([part.ranks for part in parts]),
        np.repeat(np.array([part.moment for part in parts], dtype=np.int64), counts),
        read_score(card, outputs, sum(counts)),
        read_selected(card, outputs, sum(counts)),
        inputs,
    )
    short = [_short(tensor) for tensor in inputs.values() if tensor.dtype == np.object_]
    return kept.take(np.logical_and.reduce(short)) if short else kept


def _joined(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_score(card: Card, outputs: Mapping[str, NDArray[Any]], rows: int) -> Floats:
    """The score of each row, NaN where there is none."""
    return _read(scores, card, outputs, rows)


def read_selected(card: Card, outputs: Mapping[str, NDArray[Any]], rows: int) -> Floats:
    """Whether each row is decided favourably, 1 or 0; NaN where nothing is decided."""
    decided = _read(decisions, card, outputs, rows)
    favourable = card.decision.favourable if card.decision is not None else 1
    return np.where(np.isnan(decided), np.nan, (decided == favourable).astype(np.float64))


def _read(
    reader: Callable[[Card, Mapping[str, NDArray[Any]]], Floats | None],
    card: Card,
    outputs: Mapping[str, NDArray[Any]],
    rows: int,
) -> Floats:
    try:
        found = reader(card, outputs)
    except Refused:  # A score of several columns, of which the card names none.
        found = None
    return np.full(rows, np.nan) if found is None else found


def _short(tensor: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have no long text."""
    rows = tensor.reshape(len(tensor), -1).tolist()
    return np.array(
        [all(len(v) <= TEXT_MAX for v in row if isinstance(v, str | bytes)) for row in rows],
        dtype=np.bool_,
    )
