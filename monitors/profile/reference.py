"""The reference profile: what inputs, scores and groups looked like when a version was made.

Half of the reference rows choose the bins (edges, categories), the other half is counted in
them, so that the counts can be ranked with live rows as equals. Serialised as canonical JSON:
the same profile has the same bytes, and so the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from configs.errors import Refused
from monitors.profile.part import Count, Part
from monitors.profile.truth import Truth
from registry.card import HOURS_OF_WEEK, Hours

BINS = 20
TOP_CATEGORIES = 200
TOP_GROUPS = 32
SCORE_COLUMNS = 64

Source = Literal["reference", "learned"]

_ADDED_LATER = ("strata", "score_vector", "decision", "truth", "importance")


class Pairs(Part):
    """Counted rows in pairs drawn by chance: of how many both have a value, and it is the same."""

    compared: Count
    equal: Count


class Repeats(Part):
    """Counted rows in groups of 32 drawn by chance, and how many of these hold a row twice."""

    groups: Count
    repeated: Count


class NumericProfile(Part):
    """A numeric feature, or the score.

    With edges e0 < e1 < ... < ek the bins are: below e0, exactly e0, (e0, e1], ..., above ek;
    `counts` has one entry each, k + 3 in all. `mean` and `deviation` are those of the finite
    values of all rows; None where there are none, or where the card's policy keeps them in.
    `missing_choosing` counts missing and non-finite values in the half that chose the bins.
    `beyond` counts finite values outside of `fences`, which that half chose too. Profiles of old
    have no fences and no pairs.
    """

    kind: Literal["numeric"] = "numeric"
    edges: Annotated[tuple[FiniteFloat, ...], Field(max_length=BINS + 1)]
    counts: tuple[Count, ...]
    missing: Count
    non_finite: Count
    missing_choosing: Count
    mean: FiniteFloat | None
    deviation: FiniteFloat | None
    fences: tuple[FiniteFloat, FiniteFloat] | None = None
    beyond: Count = 0
    pairs: Pairs | None = None

    @model_validator(mode="after")
    def _bins_fit(self) -> NumericProfile:
        if any(a >= b for a, b in pairwise(self.edges)):
            message = "edges must rise strictly"
            raise ValueError(message)
        if len(self.counts) != (len(self.edges) + 2 if self.edges else 0):
            message = "counts must have one entry per bin"
            raise ValueError(message)
        return self

    @property
    def rows(self) -> int:
        """How many rows were counted, missing ones included."""
        return sum(self.counts) + self.missing + self.non_finite


class CategoricalProfile(Part):
    """A categorical feature: its most frequent categories, and three bins for all else.

    `other` counts known categories beyond the list, `unseen` those that the half which chose
    the list did not have; when the list was cut (`cut`), the two cannot be told apart, and
    all of it is `other`. The list is cut too where categories are too rare to be named under the
    card's policy. `hashed` says that categories stand here by their hash only.
    `choosing` counts list, other and unseen in the half that chose the bins,
    `missing_choosing` the missing values there.
    """

    kind: Literal["categorical"] = "categorical"
    categories: Annotated[tuple[str, ...], Field(max_length=TOP_CATEGORIES)]
    counts: tuple[Count, ...]
    other: Count
    unseen: Count
    missing: Count
    cut: bool
    hashed: bool
    choosing: tuple[Count, ...]
    missing_choosing: Count
    pairs: Pairs | None = None

    @model_validator(mode="after")
    def _bins_fit(self) -> CategoricalProfile:
        known = len(self.categories)
        if len(set(self.categories)) != known or len(self.counts) != known:
            message = "categories must differ and have one count each"
            raise ValueError(message)
        if len(self.choosing) != known + 2:
            message = "choosing must have one entry per category, other and unseen"
            raise ValueError(message)
        return self

    @property
    def rows(self) -> int:
        """How many rows were counted, missing ones included."""
        return sum(self.counts) + self.other + self.unseen + self.missing


FeatureProfile = Annotated[NumericProfile | CategoricalProfile, Field(discriminator="kind")]


class ScoreVector(Part):
    """A score of `width` columns, such as one for each class: those that are described.

    Of more than 64 columns these are the ones that are the largest of their row most often, in the
    half that chooses.
    """

    width: Count
    columns: Annotated[tuple[Count, ...], Field(max_length=SCORE_COLUMNS)]
    profiles: tuple[NumericProfile, ...]

    @model_validator(mode="after")
    def _columns_fit(self) -> ScoreVector:
        if len(self.columns) != len(self.profiles) or len(set(self.columns)) != len(self.columns):
            message = "columns must differ and have one profile each"
            raise ValueError(message)
        if any(column >= self.width for column in self.columns):
            message = f"there is no column {max(self.columns)}, only {self.width}"
            raise ValueError(message)
        return self


class GroupShare(Part):
    """Rows of one group and, where a decision is declared, how many were decided and selected."""

    name: str
    rows: Count
    decided: Count
    selected: Count


def bin_counts(profile: NumericProfile | CategoricalProfile) -> tuple[int, ...]:
    """The counted rows in all bins, those of other and unseen categories last."""
    if isinstance(profile, NumericProfile):
        return profile.counts
    return (*profile.counts, profile.other, profile.unseen)


def _fits(table: tuple[tuple[int, ...], ...], profile: FeatureProfile | None) -> bool:
    """Whether counts by stratum are in the bins of a profile."""
    return profile is not None and all(len(row) == len(bin_counts(profile)) for row in table)


class WholeRows(Part):
    """The reference's rows as projections of their numeric features.

    `directions` (directions, features) apply to features from which `centres` are taken away and
    which are divided by `scales`; missing values stand at the centre. `projections` are binned like
    any numeric feature. `cosines` are sums over the `rows` that were counted, of cosines of
    projection plus phase, in parts of 2^-20.
    """

    features: tuple[str, ...]
    centres: tuple[FiniteFloat, ...]
    scales: tuple[FiniteFloat, ...]
    directions: tuple[tuple[FiniteFloat, ...], ...]
    phases: tuple[FiniteFloat, ...]
    projections: Annotated[tuple[NumericProfile, ...], Field(max_length=64)]
    cosines: tuple[int, ...]
    rows: Count

    @model_validator(mode="after")
    def _shapes_fit(self) -> WholeRows:
        features = len(self.features)
        wide = {features, len(self.centres), len(self.scales), *map(len, self.directions)}
        deep = {len(self.directions), len(self.phases), len(self.projections), len(self.cosines)}
        if len(wide) > 1 or len(deep) > 1 or min(self.scales, default=1.0) <= 0:
            message = (
                "there must be one centre and scale a feature, and one of all else a direction"
            )
            raise ValueError(message)
        return self


Table = tuple[tuple[Count, ...], ...]
"""Counts by stratum and bin."""


class StrataProfile(Part):
    """The counted rows of the reference by stratum, which live rows of the same stratum meet.

    A stratum is a value of `feature`, of those in `names` (`hashed`: by their hash), and the last
    one is of all other rows; or, without a feature, so many `hours` of the week, the first of
    which begin on Monday at 0:00 UTC. `features`, `predictions` and `projections` (of whole rows)
    hold a row of counts a stratum, in the bins of the profile, for categories with other and unseen
    behind. What has no counts by stratum is not there: nothing has, where nobody said when the rows
    of the reference were.
    """

    feature: str | None = None
    names: Annotated[tuple[str, ...], Field(max_length=HOURS_OF_WEEK)] = ()
    hashed: bool = False
    hours: Hours = 1
    features: Mapping[str, Table] = {}
    predictions: Mapping[str, Table] = {}
    projections: tuple[Table, ...] = ()

    @property
    def count(self) -> int:
        """How many strata there are."""
        return HOURS_OF_WEEK // self.hours if self.feature is None else len(self.names) + 1

    @model_validator(mode="after")
    def _strata_fit(self) -> StrataProfile:
        tables = [*self.features.values(), *self.predictions.values(), *self.projections]
        if any(len(table) != self.count for table in tables):
            message = "there must be a row of counts for each stratum"
            raise ValueError(message)
        return self


class Importance(Part):
    """The mean size of what a feature adds to the score of a row, with its standard error."""

    value: FiniteFloat
    error: FiniteFloat


class ReferenceProfile(Part):
    """Everything that monitors compare with. `counted` of the `rows` are counted.

    `source` says whether these are rows that came with the version, or its own first live rows.
    A score is in `score`, or in `score_vector` if it has several columns of which the card names
    none. Profiles of old have no `decision`. `truth` is there where the rows came with theirs.
    `importance` is by feature, for those that can be drawn, where the model is quick enough to be
    asked.
    """

    format: Literal[1] = 1
    source: Source = "reference"
    rows: Count
    counted: Count
    features: Mapping[str, FeatureProfile]
    score: NumericProfile | None
    groups: Mapping[str, tuple[GroupShare, ...]]
    whole_rows: WholeRows | None = None
    repeats: Repeats | None = None
    strata: StrataProfile | None = None
    score_vector: ScoreVector | None = None
    decision: CategoricalProfile | None = None
    truth: Truth | None = None
    importance: Mapping[str, Importance] | None = None

    @model_validator(mode="after")
    def _strata_have_the_bins(self) -> ReferenceProfile:
        if self.strata is None:
            return self
        strata, predictions = self.strata, self.predictions
        fits = [_fits(table, self.features.get(name)) for name, table in strata.features.items()]
        fits += [_fits(table, predictions.get(name)) for name, table in strata.predictions.items()]
        tables, whole = strata.projections, self.whole_rows
        projections = whole.projections if whole and tables else ()
        fits.append(len(tables) == len(projections) and all(map(_fits, tables, projections)))
        if not all(fits):
            message = "counts by stratum must be in the bins of all rows"
            raise ValueError(message)
        return self

    @property
    def predictions(self) -> dict[str, NumericProfile | CategoricalProfile]:
        """The score or each of its columns, and the decision, by the subjects of their signals."""
        found: dict[str, NumericProfile | CategoricalProfile] = {}
        if self.score is not None:
            found["score"] = self.score
        if self.score_vector is not None:
            each = zip(self.score_vector.columns, self.score_vector.profiles, strict=True)
            found |= {f"score[{column}]": profile for column, profile in each}
        if self.decision is not None:
            found["decision"] = self.decision
        return found

    @property
    def origin(self) -> str:
        """Where a profile that came with no version is from; empty for one that did."""
        return f"learned from the first {self.rows:,} live rows" if self.source == "learned" else ""

    def to_json(self) -> bytes:
        """The profile as canonical JSON: sorted keys, no spaces, UTF-8."""
        # Where they are not used the bytes are those that profiles had before there were any.
        unused = {name for name in _ADDED_LATER if getattr(self, name) is None}
        content = self.model_dump(mode="json", exclude=unused)
        text = json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")

    @classmethod
    def from_json(cls, data: bytes) -> ReferenceProfile:
        """Read a profile back; `Refused` for anything that is not one."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"]) or "the document"
            message = f"not a reference profile: {where}: {first['msg']}"
            raise Refused(message) from error
