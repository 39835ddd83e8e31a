"""Which arm of a rollout a unit was assigned to, and how many units were answered wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from registry.card import Card, Label, Task

SHADOW = "shadow"
"""The arm of an answer that nobody got, and that is compared with the one that somebody did."""


class Assigned(NamedTuple):
    """The arm that a unit was assigned to at its first request, in a generation of the route.

    Of a shadow's answer, `rival` is what the stable version said of the same row, in the numbers
    that labels have: its decision, or the score of a regression; NaN if it said nothing. It belongs
    to no generation in particular, which is 0.
    """

    rollout: str
    generation: int
    arm: str
    rival: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledUnits:
    """How many units that were assigned alike have their label, and how many were answered wrongly.

    Of a shadow's answers: how many of their rivals were wrong, and how often both. All only grow.
    `source` is new with every file that they are counted in.
    """

    source: str
    assigned: Assigned
    labelled: int
    wrong: int
    rival_wrong: int = 0
    both_wrong: int = 0


def can_be_wrong(card: Card) -> bool:
    """Whether labels tell of every answer of a version if it is wrong."""
    if card.label is None:
        return False
    if card.task is Task.REGRESSION:
        return card.score is not None and card.label.within is not None
    return card.task in (Task.BINARY, Task.MULTICLASS) and card.decision is not None


def is_wrong(said: float | None, truth: float, label: Label) -> bool:
    """Whether what a version said of a row is not what was true; nothing said is wrong."""
    if said is None:
        return True
    return said != truth if label.within is None else not label.within.allows(said, truth)
