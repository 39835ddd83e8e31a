"""What the truth of the reference's rows tells: how scores turn into chances, and what was lost."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field, FiniteFloat, model_validator

from monitors.profile.part import Count, Part
from monitors.stats.knots import KNOTS

STEPS = 64
"""A calibrator has no more steps, and a score no more bins of losses."""

CLASSES = 64
"""A score of more classes has no calibrators."""

Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Edges = Annotated[tuple[FiniteFloat, ...], Field(max_length=STEPS - 1)]


def _check_steps(edges: tuple[float, ...], *columns: tuple[float, ...]) -> None:
    if any(a >= b for a, b in pairwise(edges)):
        message = "edges must rise strictly"
        raise ValueError(message)
    if any(len(column) != len(edges) + 1 for column in columns):
        message = "there must be one entry a step"
        raise ValueError(message)


class Calibrator(Part):
    """The chance of a class by the score, as a step function that never falls.

    The first step goes up to the first of `edges`, included; the last has no end. `rows` of the
    half that chooses, of which `hits` are of the class, gave each step its chance; `counted` and
    `counted_hits` are those of the other half, which show how well it holds.
    """

    edges: Edges
    chances: tuple[Chance, ...]
    rows: tuple[Count, ...]
    hits: tuple[Count, ...]
    counted: tuple[Count, ...]
    counted_hits: tuple[Count, ...]

    @model_validator(mode="after")
    def _steps_fit(self) -> Calibrator:
        _check_steps(
            self.edges, self.chances, self.rows, self.hits, self.counted, self.counted_hits
        )
        return self


class Moments(Part):
    """Mean and standard deviation of a number over so many rows."""

    mean: FiniteFloat
    deviation: Annotated[FiniteFloat, Field(ge=0.0)]
    rows: Count


class Spread(Part):
    """A loss of the rows that are counted, in parts of `limit`, beyond which it counts as that.

    `on_knots` is how much of it lies on each of the knots of `monitors.stats.knots`.
    """

    limit: Annotated[FiniteFloat, Field(gt=0.0)]
    on_knots: Annotated[
        tuple[Annotated[FiniteFloat, Field(ge=0.0)], ...],
        Field(min_length=len(KNOTS), max_length=len(KNOTS)),
    ]


class LossByScore(Part):
    """What the half that chooses lost, by bins of its score.

    Edges are as those of a calibrator's steps. `losses` has the moments of each loss in every bin;
    of the label (`outcome`) it is those of how far it is above the score.
    """

    edges: Edges
    losses: Mapping[str, tuple[Moments, ...]]

    @model_validator(mode="after")
    def _bins_fit(self) -> LossByScore:
        for moments in self.losses.values():
            _check_steps(self.edges, tuple(each.mean for each in moments))
        return self


class Truth(Part):
    """What the reference's rows with a truth tell.

    `rows` have one, of which `counted` are in the half that is counted. `calibrators` belong to the
    positive class of a binary task, or to every class in its order; `by_score` is what a regression
    has instead. Both are of the half that chooses. `losses` of the other half are by the names of
    `monitors.performance.losses`, and so is the `spread` of bounded ones, `figures` of it by those
    of `monitors.performance.measures`. `outside` of its `inside_or_outside` rows have a feature or
    score that the first half never reached, as `monitors.performance.support` has it.
    """

    rows: Count
    counted: Count
    calibrators: Annotated[tuple[Calibrator, ...], Field(max_length=CLASSES)] = ()
    by_score: LossByScore | None = None
    losses: Mapping[str, Moments] = {}
    spread: Mapping[str, Spread] = {}
    figures: Mapping[str, FiniteFloat] = {}
    outside: Count = 0
    inside_or_outside: Count = 0
