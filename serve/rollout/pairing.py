"""Compares what the candidate and the stable version answered to the same request.

One row of a request is compared, so that no unit weighs more than another: the rows of one request
are alike. Which one, the prediction's draw says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.categories import texts
from monitors.profile.reading import decision_values, decisions, group_values, scores
from registry.card import Card
from registry.records import Version
from registry.signature import Signature
from serve.rollout.tallies import GroupPairs, Pairs

RELATIVE, ABSOLUTE = 1e-3, 1e-6
"""How far outputs may be apart that make no decision."""
_GROUPS_MAX = 1000
_LATE = ("label", "audit")

Tensors = tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a request: its inputs and the extra inputs that say its groups."""

    inputs: Tensors
    groups: Mapping[str, NDArray[np.object_]]


@dataclass(frozen=True, slots=True)
class Pair:
    """What comes of one row: whether the answers agree, and from which decision to which.

    `score_change` is the candidate's score less the stable version's, 0 where one has none.
    `groups` are the values of the row's attributes. `turned` is 1 if only the candidate's decision
    is favourable, -1 if only the stable version's is, else 0.
    """

    agrees: bool
    score_change: float = 0.0
    turned: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)


class Comparison:
    """Compares two versions by what their cards say."""

    def __init__(self, stable: Version, candidate: Version) -> None:
        self._stable, self._candidate = stable, candidate
        self._groups = any(g.source not in _LATE and not g.proxy for g in stable.card.groups)

    def pair(self, row: Row, answer: Tensors, shadowed: Tensors) -> Pair | None:
        """Compare two answers to a row; None if the stable version's cannot be read.

        What cannot be read of the candidate's does not agree.
        """
        stable, candidate = self._stable, self._candidate
        try:
            ours = _outputs(stable.signature, answer)
            ours_said = decision_values(stable.card, ours)
            groups = self._values(row)
        except Refused:
            return None
        try:
            theirs = _outputs(candidate.signature, shadowed)
            theirs_said = decision_values(candidate.card, theirs)
            if ours_said is None or theirs_said is None:
                agrees = _alike(ours, theirs)
            else:
                agrees = _same(ours_said, theirs_said)
            turned = _favourable(candidate.card, theirs) - _favourable(stable.card, ours)
            change = _score(candidate.card, theirs) - _score(stable.card, ours)
        except Refused:
            return Pair(agrees=False, groups=groups)
        return Pair(agrees, change if np.isfinite(change) else 0.0, turned, groups)

    def _values(self, row: Row) -> dict[str, str]:
        if not self._groups:
            return {}
        stable = self._stable
        specs = stable.signature.inputs
        inputs = {spec.name: values for spec, values in zip(specs, row.inputs, strict=True)}
        found = group_values(stable.card, inputs, row.groups, 1)
        known = {name: texts(np.asarray(values))[0] for name, values in found.items()}
        proxies = {group.name for group in stable.card.groups if group.proxy}
        return {
            name: value
            for name, value in known.items()
            if value is not None and name not in proxies
        }


class PairCount:
    """Adds up pairs; groups beyond 1,000 are left out."""

    def __init__(self) -> None:
        self._rows = self._disagreements = 0
        self._change = self._change_squared = 0.0
        self._groups: dict[tuple[str, str], list[int]] = {}

    def add(self, pair: Pair) -> None:
        """Count one pair."""
        self._rows += 1
        self._disagreements += not pair.agrees
        self._change += pair.score_change
        self._change_squared += pair.score_change**2
        for key in pair.groups.items():
            counts = self._groups.get(key)
            if counts is None:
                if len(self._groups) >= _GROUPS_MAX:
                    continue
                counts = self._groups[key] = [0, 0, 0]
            counts[0] += 1
            counts[1] += pair.turned > 0
            counts[2] += pair.turned < 0

    def pairs(self) -> Pairs:
        """Give the sums as they are now."""
        return Pairs(
            self._rows,
            self._disagreements,
            self._change,
            self._change_squared,
            {key: GroupPairs(*counts) for key, counts in self._groups.items()},
        )


def row_of(tensors: Tensors, row: int, rows: int, *, batched: bool) -> Tensors:
    """Give one of the rows of some tensors, as tensors of one row.

    An answer that does not have so many rows is given as it is: nobody can tell which is which.
    """
    if not batched or rows == 1:
        return tensors
    return tuple([each[row : row + 1] if len(each) == rows else each for each in tensors])


def _outputs(signature: Signature, tensors: Tensors) -> dict[str, NDArray[Any]]:
    if len(tensors) != len(signature.outputs):
        message = f"an answer of {len(tensors)} tensors, {len(signature.outputs)} are expected"
        raise Refused(message)
    return {spec.name: values for spec, values in zip(signature.outputs, tensors, strict=True)}


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two decisions are the same; a decision that is missing is like another."""
    return texts(one) == texts(other)


def _alike(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> bool:
    """Whether outputs of the same names hold about the same; they need not have the same type."""
    common = one.keys() & other.keys()
    return bool(common) and all(_close(one[name], other[name]) for name in common)


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        return bool(np.allclose(other, one, RELATIVE, ABSOLUTE, equal_nan=True))
    return texts(one.reshape(-1)) == texts(other.reshape(-1))


def _favourable(card: Card, outputs: Mapping[str, NDArray[Any]]) -> int:
    said = decisions(card, outputs)
    if said is None or card.decision is None or not len(said):
        return 0
    return int(said[0] == card.decision.favourable)


def _score(card: Card, outputs: Mapping[str, NDArray[Any]]) -> float:
    """The score of a row, NaN where there is none, or several of which the card names none."""
    score = card.score
    if score is None or score.output not in outputs:
        return np.nan
    if score.column is None and outputs[score.output].size != 1:
        return np.nan
    found = scores(card, outputs)
    return float(found[0]) if found is not None and len(found) else np.nan
