"""Compares what the candidate and the stable version answered to the same request.

One row of a request is compared, so that no unit weighs more than another: the rows of one request
are alike. Which one, the prediction's draw says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.labels.assigned import can_be_wrong
from monitors.labels.codes import decision_codes
from monitors.profile.categories import texts
from monitors.profile.reading import decision_values, decisions, group_values, scores
from registry.card import Card, Task, Tolerance
from registry.records import Version
from serve.rollout.invalid import Validity
from serve.rollout.tallies import GROUPS_MAX, GroupPairs, Pairs

ANY_OUTPUT = Tolerance(relative=1e-3, absolute=1e-6)
"""How far outputs may be apart that make no decision, where the card does not say."""
_CHANGE_MAX = 1e100
"""The most that one pair adds to the change of scores: sums of squares must stay finite."""
_LATE = ("label", "audit")
ALIKE = ("type", "classes", "within", "expected_delay_days")
"""What two cards must say alike of labels, for one label to tell of both versions."""

Tensors = tuple[NDArray[Any], ...]


class Request(NamedTuple):
    """What both versions were asked: the inputs, and the extra inputs that say groups, row by row.

    Of its `rows` the one that is compared is `row`.
    """

    row: int
    rows: int
    inputs: Tensors
    groups: Mapping[str, NDArray[np.object_]]


@dataclass(frozen=True, slots=True)
class Pair:
    """What comes of one row: whether the answers agree, and from which decision to which.

    `score_change` is the candidate's score less the stable version's, None where one has none, and
    `chances` whether both scores are between 0 and 1.
    `groups` are the values of the row's attributes. `turned` is 1 if only the candidate's decision
    is favourable, -1 if only the stable version's is, else 0, and `yes` whether the latter is.
    `rival` is what the stable version said in the numbers that labels have, NaN for nothing; None
    where no label will tell which of the two is wrong.
    """

    agrees: bool
    score_change: float | None = None
    turned: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)
    yes: bool = False
    chances: bool = False
    rival: float | None = None


class Comparison:
    """Compares two versions by what their cards say."""

    def __init__(self, stable: Version, candidate: Version) -> None:
        self._stable, self._candidate = _Reader(stable), _Reader(candidate)
        self._card = stable.card
        self._inputs = [spec.name for spec in stable.signature.inputs]
        self._batched = stable.signature.batched
        self._within = {near.output: near for near in candidate.card.same_within}
        self._labels_tell = labels_tell(stable.card, candidate.card)
        self._attributes = frozenset(
            group.name
            for group in stable.card.groups
            if group.source not in _LATE and not group.proxy
        )

    def pair(self, request: Request, answer: Tensors, shadowed: Tensors) -> Pair | None:
        """Compare two answers to a request; None if the stable version's cannot be read.

        What cannot be read of the candidate's does not agree.
        """
        try:
            ours = self._stable.read(answer, request)
            groups = self._groups(request)
        except Refused:
            return None
        try:
            theirs = self._candidate.read(shadowed, request)
        except Refused:
            turned = -int(ours.favourable)
            return Pair(agrees=False, turned=turned, groups=groups, yes=ours.favourable)
        change = theirs.score - ours.score
        return Pair(
            ours.agrees_with(theirs, self._within),
            change if isfinite(change) else None,
            int(theirs.favourable) - int(ours.favourable),
            groups,
            ours.favourable,
            0 <= ours.score <= 1 and 0 <= theirs.score <= 1,
            self._stable.judged(ours) if self._labels_tell else None,
        )

    def _groups(self, request: Request) -> dict[str, str]:
        """The values of the row's attributes, of those that are known."""
        if not self._attributes:
            return {}
        row = request.row
        inputs = _row(request.inputs, row, batched=self._batched)
        named = dict(zip(self._inputs, inputs, strict=True))
        said = {name: values[row : row + 1] for name, values in request.groups.items()}
        found = group_values(self._card, named, said, 1)
        return {
            name: value
            for name, values in found.items()
            if name in self._attributes and (value := texts(values)[0]) is not None
        }


def labels_tell(stable: Card, candidate: Card) -> bool:
    """Whether a label tells of both versions' answers to a row if they are wrong."""
    one, other = stable.label, candidate.label
    if one is None or other is None or not (can_be_wrong(stable) and can_be_wrong(candidate)):
        return False
    # And when it does: what comes early is not like what comes late.
    return all(getattr(one, name) == getattr(other, name) for name in ALIKE)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a version answered to one row: its outputs, its decision and its score, NaN for none."""

    outputs: Mapping[str, NDArray[Any]]
    decision: str | None
    decides: bool
    favourable: bool
    score: float

    def agrees_with(self, other: _Said, within: Mapping[str, Tolerance]) -> bool:
        """Whether two versions decide alike; without decisions, whether outputs are about alike.

        Outputs of which it is said how far they may be apart must be `within` that in any case.
        """
        common = self.outputs.keys() & other.outputs.keys()
        if self.decides and other.decides:
            if self.decision != other.decision:
                return False
            common &= within.keys()
        elif not common:
            return False
        return all(
            _close(self.outputs[name], other.outputs[name], within.get(name, ANY_OUTPUT))
            for name in common
        )


class _Reader:
    """Reads answers as a version's card has them."""

    def __init__(self, version: Version) -> None:
        self._card = version.card
        self._signature = version.signature
        self._validity = Validity(version.signature)

    def read(self, answer: Tensors, request: Request) -> _Said:
        """Give what an answer says of the row that is compared; `Refused` if it says nothing."""
        if not self._validity.fits(answer, request.rows):
            message = "the answer is not what the signature says"
            raise Refused(message)
        signature, card = self._signature, self._card
        row = _row(answer, request.row, batched=signature.batched)
        outputs = {spec.name: values for spec, values in zip(signature.outputs, row, strict=True)}
        said = decision_values(card, outputs)
        if said is None:
            return _Said(outputs, None, False, False, _score(card, outputs))
        number = decisions(card, outputs)
        favourable = (
            card.decision is not None
            and number is not None
            and bool(number[0] == card.decision.favourable)
        )
        return _Said(outputs, texts(said)[0], True, favourable, _score(card, outputs))

    def judged(self, said: _Said) -> float:
        """Give what labels tell to be right or wrong, as a number; NaN for nothing."""
        if self._card.task is Task.REGRESSION:
            return said.score
        found = decision_codes(self._card, said.outputs)
        return float(found[0]) if found is not None else np.nan


class PairCount:
    """Adds up pairs; groups beyond 1,000 are left out."""

    def __init__(self) -> None:
        self._rows = self._disagreements = 0
        self._scored = self._beyond = 0
        self._change = self._change_squared = 0.0
        self._groups: dict[tuple[str, str], list[int]] = {}

    def add(self, pair: Pair) -> None:
        """Count one pair."""
        self._rows += 1
        self._disagreements += not pair.agrees
        if pair.score_change is not None:
            change = max(-_CHANGE_MAX, min(_CHANGE_MAX, pair.score_change))
            self._scored += 1
            self._beyond += not pair.chances
            self._change += change
            self._change_squared += change**2
        for key in pair.groups.items():
            counts = self._groups.get(key)
            if counts is None:
                if len(self._groups) >= GROUPS_MAX:
                    continue
                counts = self._groups[key] = [0, 0, 0, 0]
            counts[0] += 1
            counts[1] += pair.turned > 0
            counts[2] += pair.turned < 0
            counts[3] += pair.yes

    def pairs(self) -> Pairs:
        """Give the sums as they are now."""
        return Pairs(
            self._rows,
            self._disagreements,
            self._change,
            self._change_squared,
            {key: GroupPairs(*counts) for key, counts in self._groups.items()},
            self._scored,
            self._beyond,
        )


def _row(tensors: Tensors, row: int, *, batched: bool) -> Tensors:
    """Give one row of some tensors, as tensors of one row; a model without rows has but one."""
    return tuple([each[row : row + 1] for each in tensors]) if batched else tensors


def _close(one: NDArray[Any], other: NDArray[Any], within: Tolerance) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        return bool(np.allclose(other, one, within.relative, within.absolute, equal_nan=True))
    return texts(one.reshape(-1)) == texts(other.reshape(-1))


def _score(card: Card, outputs: Mapping[str, NDArray[Any]]) -> float:
    """The score of a row, NaN where there is none, or several of which the card names none."""
    score = card.score
    if score is None or score.output not in outputs:
        return np.nan
    if score.column is None and outputs[score.output].size != 1:
        return np.nan
    found = scores(card, outputs)
    return float(found[0]) if found is not None else np.nan
