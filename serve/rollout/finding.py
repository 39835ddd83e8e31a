"""What the evidence says of one guardrail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, isnan

from configs.policy import Metric
from serve.rollout.tallies import JudgedArm


@dataclass(frozen=True, slots=True)
class Finding:
    """One guardrail at one moment.

    `harm_log10` and `good_log10` are logarithms of e-values: that the candidate is worse, and that
    it is not worse by the margin; `harm_at` and `good_at` what they must reach. `events` and
    `units` are by arm, of the candidate and of what it is compared with. `estimate` with its
    interval that holds at any time is in `measure`: a ratio of rates, a difference of shares, or a
    share.
    `more_units` is about how many more units of the candidate it takes to tell, at the rates seen
    so far; None where that cannot be said.
    """

    metric: Metric
    harmful: bool = False
    good: bool = False
    optional: bool = False
    compared_with: JudgedArm | None = None
    harm_log10: float = 0.0
    harm_at: float = 0.0
    good_log10: float = 0.0
    good_at: float = 0.0
    events: Mapping[JudgedArm, int] = field(default_factory=dict)
    units: Mapping[JudgedArm, int] = field(default_factory=dict)
    measure: str = ""
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    more_units: int | None = None
    message: str = ""


_LOG10_MAX = 999.0


def bounded(found: Finding) -> Finding:
    """The same in numbers that JSON has: what is not known is -999 or None, and so is no bound."""
    return replace(
        found,
        harm_log10=_within(found.harm_log10),
        harm_at=_within(found.harm_at),
        good_log10=_within(found.good_log10),
        good_at=_within(found.good_at),
        estimate=_finite(found.estimate),
        lower=_finite(found.lower),
        upper=_finite(found.upper),
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _within(log10: float) -> float:
    return -_LOG10_MAX if isnan(log10) else min(max(log10, -_LOG10_MAX), _LOG10_MAX)
