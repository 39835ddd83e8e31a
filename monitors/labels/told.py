"""What there is to say of a model's labels: counts, how late they come, how many have come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitors.labels.coverage import (
    AGES_S,
    Cells,
    Covered,
    covered,
    covered_by_age,
    covered_by_decision,
)
from monitors.labels.delays import Delays


@dataclass(frozen=True, slots=True)
class ArmLabels:
    """The labels of one version in one role.

    `mature` are the predictions that are `expected_delay_s` old at least, as all of `by_decision`
    are. `by_age` goes with `AGES_S`. Decisions are numbers, as judged rows have them; -1 stands for
    none and for any that is no whole number from 0 to 31.
    """

    version: int
    role: str
    expected_delay_s: float
    all: Covered
    mature: Covered
    by_age: tuple[Covered, ...]
    by_decision: Mapping[int, Covered]
    delays: Delays


@dataclass(frozen=True, slots=True)
class LabelsTold:
    """The labels of a model; `counts` are since its first prediction, by what happened.

    `pending` predictions have no label yet, `waiting` labels no prediction.
    """

    model: str
    counts: Mapping[str, int]
    pending: int
    waiting: int
    arms: tuple[ArmLabels, ...]
    ages_s: tuple[int, ...] = AGES_S


def arm_labels(arm: tuple[int, str], delay_s: float, cells: Cells, now: float) -> ArmLabels:
    """What the counts of an arm say at `now`, in seconds since 1970."""
    return ArmLabels(
        *arm,
        expected_delay_s=delay_s,
        all=covered(cells, now, 0.0),
        mature=covered(cells, now, delay_s),
        by_age=covered_by_age(cells, now),
        by_decision=covered_by_decision(cells, now, delay_s),
        delays=Delays.of(cells),
    )
