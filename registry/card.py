"""What a version declares about itself: task, score, decision, features, groups, label, lineage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

FAIRNESS_OF_LABELS = (
    "equal_opportunity",
    "false_positive_rate",
    "false_negative_rate",
    "equalised_odds",
    "predictive_parity",
    "calibration",
)
"""Measures of fairness that compare decisions or scores with what was true."""

HOURS_OF_WEEK = 168
STRATA_OF_FEATURES_MAX = 20_000
"""Strata times watched features: what is remembered of them takes some megabytes."""

Hours = Literal[1, 2, 3, 4, 6, 8, 12, 24]
"""So many hours may be one stratum: a day is a whole number of them."""


class Part(BaseModel):
    """A part of a card: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(StrEnum):
    """What kind of question the model answers."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"
    OTHER = "other"


class Column(Part):
    """An output, and which of its columns; none is named where it has one only."""

    output: str
    column: Annotated[int, Field(ge=0)] | None = None


class Score(Column):
    """Which output is the score, and which of its columns belongs to the positive class.

    The score of a regression may be the `quantile` of what will be true: with 0.9 nine in ten
    labels should be below it.
    """

    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None


class Interval(Part):
    """The ends of what a regression says it will be, and how often it says it will be between."""

    lower: Column
    upper: Column
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]


class Decision(Part):
    """How the score becomes a decision: exactly one of threshold, arg-max, an output of its own.

    `favourable` is the decision value that counts as selected in selection rates.
    """

    threshold: float | None = None
    argmax: bool = False
    output: str | None = None
    favourable: int = 1

    @model_validator(mode="after")
    def _exactly_one(self) -> Decision:
        if (self.threshold is not None) + self.argmax + (self.output is not None) != 1:
            message = "decision takes exactly one of threshold, argmax, output"
            raise ValueError(message)
        return self


class FeatureType(StrEnum):
    """How a feature's values are compared."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


class Policy(StrEnum):
    """What may be kept of a feature's values."""

    KEEP = "keep"
    BUCKET = "bucket"
    HASH = "hash"
    DROP = "drop"


class Feature(Part):
    """One feature: where its values are found, and how they are treated.

    A value of a feature that is not `nullable` must be there: null and NaN are refused.
    `importance` says how much of the alarm budget it gets, relative to the other features.
    """

    name: str
    input: str
    column: Annotated[int, Field(ge=0)] | None = None
    type: FeatureType = FeatureType.NUMERIC
    policy: Policy = Policy.KEEP
    nullable: bool = False
    importance: Annotated[float, Field(gt=0.0, le=1e6)] = 1.0


class Group(Part):
    """A group attribute, and where it comes from.

    An extra input is removed before the model runs; `feature` names one of the features; `label`
    comes with the truth; `audit` comes by itself, on a channel of its own, and is never kept beside
    features. `max_gap` is the allowed difference in selection rate between any group and all
    others, unless `fairness.selection_rate` says it for all attributes. With `proxy` the attribute
    is not the group itself but something that hints at it: for each of its values, the chance of
    each group among the rows that have it.
    """

    name: str
    source: Literal["extra_input", "feature", "label", "audit"] = "extra_input"
    max_gap: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    proxy: Annotated[
        dict[str, dict[str, Annotated[float, Field(ge=0.0, le=1.0)]]], Field(max_length=1000)
    ] = {}

    @model_validator(mode="after")
    def _chances_sum_to_one(self) -> Group:
        for value, chances in self.proxy.items():
            if abs(sum(chances.values()) - 1) > 1e-6:
                message = f"the chances of the groups among rows with {value!r} must sum to one"
                raise ValueError(message)
        return self


class Band(Part):
    """How far a group may be from all others: by a difference, by a ratio, or by both.

    `min_ratio` is the smaller of two shares over the larger; the rule of four fifths is 0.8.
    """

    max_gap: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    min_ratio: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @model_validator(mode="after")
    def _something_is_said(self) -> Band:
        if self.max_gap is None and self.min_ratio is None:
            message = "say max_gap, min_ratio or both"
            raise ValueError(message)
        return self


class GapBand(Part):
    """How far a group may be from where it should be, as a difference."""

    max_gap: Annotated[float, Field(gt=0.0, le=1.0)]


class Fairness(Part):
    """Which measures of fairness are judged, by which bands, for which groups.

    `attributes` names those of the card's groups that are compared; all, if it names none. To a
    `depth` of 2 or 3, groups of two or three attributes at once are compared too. All measures but
    `selection_rate` need labels.
    """

    attributes: tuple[str, ...] = ()
    depth: Literal[1, 2, 3] = 1
    selection_rate: Band | None = None
    equal_opportunity: Band | None = None
    false_positive_rate: Band | None = None
    false_negative_rate: Band | None = None
    equalised_odds: GapBand | None = None
    predictive_parity: Band | None = None
    calibration: GapBand | None = None

    @property
    def of_labels(self) -> tuple[str, ...]:
        """The measures that are asked for and need labels."""
        return tuple(name for name in FAIRNESS_OF_LABELS if getattr(self, name) is not None)


class Strata(Part):
    """Within what rows are compared: within the hour of the week (UTC), or within a segment.

    Exactly one of `feature`, a categorical feature whose value is the segment, and `hour_of_week`,
    of which so many `hours` make one stratum. `time` is the column of the reference that says when
    each of its rows was, in seconds since 1970 or as ISO 8601.
    """

    feature: str | None = None
    hour_of_week: bool = False
    hours: Hours = 1
    time: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Strata:
        if (self.feature is not None) + self.hour_of_week != 1:
            message = "strata takes exactly one of feature, hour_of_week"
            raise ValueError(message)
        if self.feature is not None and (self.time is not None or self.hours != 1):
            message = "hours and time go with hour_of_week"
            raise ValueError(message)
        return self

    def most(self, features: int) -> int:
        """How many strata there are at most, of so many watched features."""
        if self.hour_of_week:
            return HOURS_OF_WEEK // self.hours
        return min(HOURS_OF_WEEK, STRATA_OF_FEATURES_MAX // max(features, 1))


class Tolerance(Part):
    """How far a number may be from another one and be as good.

    By `absolute`, and by `relative` times the size of the other one.
    """

    relative: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    absolute: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0

    def allows(self, number: float, other: float) -> bool:
        """Whether a number is that near to the other one; NaN is near to nothing."""
        return abs(number - other) <= self.absolute + self.relative * abs(other)


class Label(Part):
    """What the truth looks like when it comes, and when it is expected.

    `classes` names the classes in the order of the score's columns (of a binary task: the negative
    one, then the positive one); a label of type string is one of them. A label counts from when its
    prediction is `expected_delay_days` old, so that labels that come early weigh no more than they
    should. `column` is the column of the reference that holds the truth of its rows. `within` says
    of a regression how far its score may be from the label before it is wrong.
    """

    type: Literal["boolean", "integer", "number", "string"] = "boolean"
    classes: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    expected_delay_days: Annotated[float, Field(ge=0.0, le=3650.0)] = 0.0
    column: str | None = None
    within: Tolerance | None = None

    @model_validator(mode="after")
    def _classes_have_names_of_their_own(self) -> Label:
        if len(set(self.classes)) != len(self.classes):
            message = "label.classes must differ from one another"
            raise ValueError(message)
        if self.type == "string" and not self.classes:
            message = "label.classes is missing: a label that is a string must be one of them"
            raise ValueError(message)
        return self


class Performance(Part):
    """How good the version has to stay, by the names of the measures of its task.

    `tolerance`: how much worse than in the reference a measure may be. `minimum` and `maximum`:
    what it must keep whatever the reference says. `segments` names groups, for each of which
    measures are told as well.
    """

    tolerance: Mapping[str, Annotated[FiniteFloat, Field(gt=0.0)]] = {}
    minimum: Mapping[str, FiniteFloat] = {}
    maximum: Mapping[str, FiniteFloat] = {}
    segments: tuple[str, ...] = ()


class Near(Tolerance):
    """How far one output may be from that of the stable version and agree with it."""

    output: str


class Lineage(Part):
    """Where the version comes from, and who answers for it."""

    git_commit: str | None = None
    datasets: tuple[str, ...] = ()
    training_run: str | None = None
    owner: str | None = None
    licence: str | None = None
    intended_use: str | None = None


class Card(Part):
    """The whole declaration of one version.

    `same_within` says of outputs when those of a shadow agree with the stable version's.
    """

    task: Task
    score: Score | None = None
    interval: Interval | None = None
    decision: Decision | None = None
    features: tuple[Feature, ...] = ()
    groups: tuple[Group, ...] = ()
    fairness: Fairness | None = None
    strata: Strata | None = None
    label: Label | None = None
    performance: Performance | None = None
    change: Literal["same-behaviour", "improvement"] = "improvement"
    same_within: tuple[Near, ...] = ()
    lineage: Lineage = Lineage()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Card:
        for kind, names in (
            ("feature", [feature.name for feature in self.features]),
            ("group", [group.name for group in self.groups]),
            ("output of same_within", [near.output for near in self.same_within]),
        ):
            twice = sorted(name for name, times in Counter(names).items() if times > 1)
            if twice:
                message = f"{kind} named twice: {', '.join(twice)}"
                raise ValueError(message)
        return self

    @property
    def extra_inputs(self) -> tuple[str, ...]:
        """The inputs that a request may carry beside those of the model."""
        return tuple(group.name for group in self.groups if group.source == "extra_input")

    @property
    def truth_column(self) -> str | None:
        """The column of the reference that holds the truth of its rows."""
        return self.label.column if self.label else None

    @property
    def reference_time(self) -> str | None:
        """The column of the reference that says when its rows were."""
        return self.strata.time if self.strata else None
