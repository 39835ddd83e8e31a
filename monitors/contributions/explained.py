"""Rows of a request explained: what each feature adds to the score, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadInput, DeadlineExceeded, Refused
from monitors.contributions.background import Background, Held
from monitors.contributions.walks import Masks, Parts, walked
from monitors.contributions.wish import Wish
from monitors.profile.reading import (
    Floats,
    Tensors,
    as_floats,
    feature_values,
    score_columns,
    scores,
)
from monitors.why.model import Model
from registry.card import Card
from registry.records import Version

ROWS_MAX = 16
"""So many rows are explained at once, at most."""

_BATCH_ROWS = 256
_BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its `score`, of `column` where the card names none, and its parts."""

    column: int | None
    score: float
    parts: Parts


@dataclass(frozen=True, slots=True)
class Explanation:
    """Rows, the names of the features that their parts belong to, and of those without a part."""

    features: tuple[str, ...]
    held: tuple[Held, ...]
    rows: tuple[Row, ...]


def refuse_unexplainable(version: Version, rows: int) -> None:
    """`Refused` where a version lacks what it takes, `BadInput` for no rows or too many."""
    what = f"version {version.number} of {version.model}"
    if version.profile is None:
        message = f"{what} has no reference to compare a row with"
        raise Refused(f"{message}: register it with --reference")
    if version.card.score is None:
        raise Refused(f"the card of {what} names no score that could be explained")
    if not version.signature.batched:
        raise Refused(f"{what} takes one row at a time, which is too slow to be explained")
    if not 0 < rows <= ROWS_MAX:
        raise BadInput(f"1 to {ROWS_MAX} rows are explained at once, not {rows}")


class Explainer:
    """Explains rows of one version; `clock` gives seconds that never go back.

    The model is run in batches of no more rows than those who serve take by default.
    """

    def __init__(
        self, card: Card, background: Background, model: Model, clock: Callable[[], float]
    ) -> None:
        self._card = card
        self._background = background
        self._model = model
        self._clock = clock
        self._drawn: tuple[tuple[int, int], Mapping[str, NDArray[Any]]] | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that get parts, in their order."""
        return tuple(feature.name for feature in self._background.features)

    def explain(self, inputs: Tensors, wish: Wish, deadline: float) -> Explanation:
        """Explain the rows of a request one after the other; `DeadlineExceeded` by the clock.

        Once there is a first batch of walks, a row's budget of time ends it early.
        """
        rows = len(next(iter(inputs.values())))
        for feature in self._background.features:
            feature_values(feature, inputs)  # Refuses a column that is not there.
        drawn = self._rows_of(wish)
        each = [self._row(_only(inputs, at), drawn, wish, deadline) for at in range(rows)]
        return Explanation(self.features, self._background.held, tuple(each))

    def _rows_of(self, wish: Wish) -> Mapping[str, NDArray[Any]]:
        """The background; that of the last question once more if it is the same."""
        key = (wish.samples, wish.seed)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = (key, self._background.draw(*key))
        return self._drawn[1]

    def _row(
        self, row: Tensors, drawn: Mapping[str, NDArray[Any]], wish: Wish, deadline: float
    ) -> Row:
        began = before = self._clock()
        own = _columns(self._card, self._model(row))[0]
        column = _chosen(own, wish.column)
        score = float(own[column or 0])
        if not np.isfinite(score):
            raise Refused("the score of a row is not a number, so it has no parts")

        def value(masks: Masks, begins: NDArray[np.intp]) -> Floats:
            nonlocal before
            before = self._clock()
            return self._scores(row, drawn, masks, begins, column or 0, deadline)

        def goes_on() -> bool:
            now = self._clock()
            return now + (now - before) <= began + wish.budget_s

        features = len(self._background.features)
        parts = walked(features, score, value, wish.samples, wish.seed, goes_on)
        return Row(column, score, parts)

    def _scores(
        self,
        row: Tensors,
        drawn: Mapping[str, NDArray[Any]],
        masks: Masks,
        begins: NDArray[np.intp],
        column: int,
        deadline: float,
    ) -> Floats:
        """Scores of rows between the row and the background, in batches that there is room for."""
        row_bytes = sum(tensor.nbytes for tensor in row.values()) or 1
        size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // row_bytes))
        found = []
        for at in range(0, len(masks), size):
            if self._clock() >= deadline:
                raise DeadlineExceeded("no answer within the deadline")
            mixed = self._mixed(row, drawn, masks[at : at + size], begins[at : at + size])
            found.append(_columns(self._card, self._model(mixed))[:, column])
        values = np.concatenate(found)
        if not np.isfinite(values).all():
            message = "the model gives no number for some rows between this one and the reference"
            raise Refused(f"{message}, so it has no parts")
        return values

    def _mixed(
        self,
        row: Tensors,
        drawn: Mapping[str, NDArray[Any]],
        masks: Masks,
        begins: NDArray[np.intp],
    ) -> Tensors:
        made = {}
        for name, tensor in row.items():
            copies = np.repeat(tensor, len(masks), axis=0)
            place = self._background.places.get(name)
            if place is not None:
                own = tensor.reshape(1, -1)[:, place.columns]
                other = drawn[name][begins]
                flat = copies.reshape(len(masks), -1)
                flat[:, place.columns] = np.where(masks[:, place.features], own, other)
            made[name] = copies
        return made


def _only(inputs: Tensors, at: int) -> Tensors:
    return {name: tensor[at : at + 1] for name, tensor in inputs.items()}


def _columns(card: Card, outputs: Tensors) -> Floats:
    """The score's columns that could be explained, shape (rows, columns): one, if the card says."""
    columns = score_columns(card, outputs)
    if columns is not None:
        return as_floats(columns)
    score = scores(card, outputs)
    if score is None:
        raise Refused("the card names no score that could be explained")
    return score[:, None]


def _chosen(own: Floats, wanted: int | None) -> int | None:
    """The column that is explained: the wanted one, else the row's largest; None if it has one."""
    if len(own) == 1:
        if wanted is not None:
            raise BadInput("'column' is for scores of several columns, and this one has one")
        return None
    if wanted is None:
        return int(np.nanargmax(own)) if np.isfinite(own).any() else 0
    if wanted >= len(own):
        raise BadInput(f"the score has no column {wanted}, only {len(own)}")
    return wanted


def told(explanation: Explanation, wish: Wish) -> dict[str, object]:
    """An explanation as plain values, in the words of the API."""
    return {
        "explanations": [_row_told(row, explanation.features) for row in explanation.rows],
        "held": [each._asdict() for each in explanation.held],
        "seed": wish.seed,
    }


def _row_told(row: Row, features: tuple[str, ...]) -> dict[str, object]:
    parts = row.parts
    said: dict[str, object] = {} if row.column is None else {"column": row.column}
    return {
        **said,
        "prediction": row.score,
        "base_value": parts.base,
        "base_error": parts.base_error,
        "contributions": [
            {"feature": name, "value": value, "standard_error": error}
            for name, value, error in zip(
                features, parts.parts.tolist(), parts.errors.tolist(), strict=True
            )
        ],
        "samples": parts.samples,
        "model_runs": parts.runs + 1,
    }
