"""Which arm of a rollout a unit was assigned to, and how many units were answered wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from registry.card import Card, Task


class Assigned(NamedTuple):
    """The arm that a unit was assigned to at its first request, in a generation of the route."""

    rollout: str
    generation: int
    arm: str


@dataclass(frozen=True, slots=True)
class LabelledUnits:
    """How many units that were assigned alike have their label, and how many were answered wrongly.

    Both only grow. `source` is new with every file that they are counted in.
    """

    source: str
    assigned: Assigned
    labelled: int
    wrong: int


def can_be_wrong(card: Card) -> bool:
    """Whether labels tell of every decision of a version if it is wrong."""
    classes = card.task in (Task.BINARY, Task.MULTICLASS)
    return classes and card.decision is not None and card.label is not None
