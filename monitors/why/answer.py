"""What is said when somebody asks why an alarm was raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monitors.explain import BinShare
from monitors.signal import Signal


@dataclass(frozen=True, slots=True)
class Moved:
    """A signal about a feature or the score that has moved, and the bins that moved most."""

    signal: Signal
    bins: tuple[BinShare, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What the drift of one feature did, with a 95 % interval."""

    feature: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A mean over rows, of the score or of who is selected: as it is, and without the drift.

    `now` minus `without` is the sum of the parts.
    """

    name: Literal["score", "selected"]
    now: float
    without: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What drift did, from so many rows in so many runs of the model.

    `same` is the share of rows to which the model gave the score that they were answered with;
    None where there is no score.
    """

    rows: int
    runs: int
    same: float | None
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows with features in some bins, by name; before a change, and since.

    `share_*` are of all rows, `score_*` means; None where they are few people's or nobody's.
    `p_value` is for this slice alone: that both its share and its scores are as before.
    """

    where: tuple[tuple[str, str], ...]
    share_before: float | None
    share_since: float | None
    score_before: float | None
    score_since: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices that are told, the surest first, and among how many they were found."""

    looked_at: int
    found: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """What is known about an alarm; `notes` are sentences about what is not, or only half.

    `changed_at` is in seconds since 1970: when what the alarm is about changed, as far as that is
    `estimated`, else when the alarm was raised.
    """

    changed_at: float
    estimated: bool
    moved: tuple[Moved, ...]
    attribution: Attribution | None
    slices: Slices | None
    notes: tuple[str, ...]
