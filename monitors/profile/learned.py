"""A reference learned from the first live rows, for a version that came without one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.profile.build import describe
from monitors.profile.reading import feature_values, group_values, watched
from monitors.profile.reference import ReferenceProfile
from monitors.profile.seen import Seen, joined, seen
from monitors.signal import State, from_words, packed, unpacked, words
from registry.card import Card

_CELLS_MAX = 2**22
_ROWS_MIN = 200


class Learner:
    """A fold over blocks that ends when it has seen enough rows, and then gives their profile.

    It holds at most `rows` rows, and of more than 2,000 features fewer. It takes the
    scores from the rows' own outputs: no model is run.
    """

    def __init__(self, card: Card, rows: int) -> None:
        self._card = card
        self._wanted = min(rows, max(_ROWS_MIN, _CELLS_MAX // max(len(watched(card)), 1)))
        self._parts: list[Seen] = []
        self._profile: ReferenceProfile | None = None

    @property
    def rows(self) -> int:
        """How many rows have been seen."""
        return sum(part.rows for part in self._parts)

    @property
    def rows_needed(self) -> int:
        """How many more rows are needed."""
        return self._wanted - self.rows

    def update(self, block: SampleBlock) -> None:
        """Take in as many rows of a block as are needed still."""
        rows = min(block.rows, self.rows_needed)
        if not rows:
            return
        inputs = {name: tensor[:rows] for name, tensor in block.inputs.items()}
        outputs = {name: tensor[:rows] for name, tensor in block.outputs.items()}
        groups = {name: values[:rows] for name, values in block.groups.items()}
        features = {each.name: feature_values(each, inputs) for each in watched(self._card)}
        in_groups = group_values(self._card, inputs, groups, rows)
        self._parts.append(seen(self._card, features, outputs, in_groups, rows))

    def profile(self) -> ReferenceProfile | None:
        """The profile of the rows, or None while there are too few."""
        if self._profile is None and self.rows and not self.rows_needed:
            self._profile = describe(self._card, joined(self._parts), "learned")
        return self._profile

    def state(self) -> State:
        """The rows so far: values, or their hashes where the card's policy is `hash`."""
        if not self._parts:
            return {}
        rows = joined(self._parts)
        self._parts = [rows]
        optional = {"score": rows.score, "decided": rows.decided}
        return packed(
            {
                "all": {"rows": words(rows.rows)},
                "features": {name: _held(values) for name, values in rows.features.items()},
                "groups": {name: _held(names) for name, names in rows.groups.items()},
                "outputs": {name: held for name, held in optional.items() if held is not None},
            }
        )

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` if it is not one of this card."""
        if not state:
            return
        outputs = unpacked(state, "outputs")
        rows = Seen(
            rows=from_words(unpacked(state, "all")["rows"]),
            features={name: _values(held) for name, held in unpacked(state, "features").items()},
            score=outputs.get("score"),
            decided=outputs.get("decided"),
            groups={name: _values(held) for name, held in unpacked(state, "groups").items()},
        )
        self._check(rows)
        self._parts = [rows]

    def _check(self, rows: Seen) -> None:
        features = {each.name for each in watched(self._card)}
        groups = {group.name for group in self._card.groups}
        columns = [*rows.features.values(), *rows.groups.values(), rows.score, rows.decided]
        lengths = {len(column) for column in columns if column is not None}
        if (
            set(rows.features) != features
            or set(rows.groups) != groups
            or not lengths <= {rows.rows}
            or rows.rows > self._wanted
        ):
            message = "not the first rows of a version with this card"
            raise ValueError(message)


def _held(values: NDArray[Any]) -> NDArray[Any]:
    return words(values.tolist()) if values.dtype == np.object_ else values


def _values(held: NDArray[Any]) -> NDArray[Any]:
    return np.array(from_words(held), dtype=np.object_) if held.dtype == np.uint8 else held
