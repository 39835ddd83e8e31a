"""What people are shown beside the guardrails, and nothing is decided by.

How long answers took, by arm, and by how much scores changed: with intervals that hold at every
look at once, if what they are about stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from monitors.stats.anytime_quantiles import Band, quantile_band
from serve.rollout.paired import PairsSeen
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Times

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Within:
    """Within how many seconds a share of an arm's answers comes; None beyond the longest bucket."""

    share: float
    estimate_s: float | None
    lower_s: float
    upper_s: float | None

    @property
    def says(self) -> str:
        """Such as `14 ms (8.7 ms to 17 ms)`, or as much of it as is known."""
        bounds = f"more than {seconds(self.lower_s)}"
        if self.upper_s is not None:
            bounds = f"{seconds(self.lower_s)} to {seconds(self.upper_s)}"
        return bounds if self.estimate_s is None else f"{seconds(self.estimate_s)} ({bounds})"


@dataclass(frozen=True, slots=True)
class ArmTimes:
    """How long the answers of an arm took; `none` are those that did not come in time.

    They count as longer than all others.
    """

    arm: JudgedArm
    answers: int
    none: int
    within: tuple[Within, ...]
    says: str


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """The candidate's score less the stable version's, on average over the rows with both.

    Without bounds that every score keeps, there is no interval.
    """

    rows: int
    estimate: float | None
    lower: float | None
    upper: float | None
    says: str


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is shown only; `times` of the arms that have any, `score_change` if pairs came."""

    times: tuple[ArmTimes, ...] = ()
    score_change: ScoreChange | None = None


NOTHING = Shown()


def shown(latency: Mapping[JudgedArm, Times], pairs: PairsSeen) -> Shown:
    """What is shown of what was counted so far."""
    times = ((arm, latency[arm]) for arm in JudgedArm if arm in latency)
    return Shown(
        tuple(_arm_times(arm, each) for arm, each in times if each.total),
        _score_change(pairs) if pairs.rows else None,
    )


def seconds(value: float) -> str:
    """A time as people write it: `9.8 ms`, `1.2 s`."""
    return f"{value:.2g} s" if value >= 1 else f"{1000 * value:.2g} ms"


def _arm_times(arm: JudgedArm, times: Times) -> ArmTimes:
    # The bucket of what never came is above all edges, as the last one of answers is.
    counts = (*times.answers, times.none)
    within = tuple(_within(share, quantile_band(counts, LATENCY_BOUNDS, share)) for share in SHARES)
    answers = times.total - times.none
    return ArmTimes(arm, answers, times.none, within, _says_times(arm, answers, times.none, within))


def _within(share: float, band: Band) -> Within:
    return Within(share, _finite(band.estimate), band.lower, _finite(band.upper))


def _says_times(arm: JudgedArm, answers: int, none: int, within: tuple[Within, ...]) -> str:
    missing = f"; {none:,} more requests had none in time" if none else ""
    parts = ", ".join(f"{100 * each.share:g} % within {each.says}" for each in within)
    return f"{arm.value}, {answers:,} answers: {parts}{missing}"


def _score_change(pairs: PairsSeen) -> ScoreChange:
    if not pairs.scored:
        says = f"of {pairs.rows:,} compared answers none has a score in both versions"
        return ScoreChange(0, None, None, None, says)
    estimate = pairs.score_change / pairs.scored
    counted = (
        f"with the candidate scores changed by {estimate:+.2g} on average over "
        f"{pairs.scored:,} compared answers"
    )
    change = pairs.change
    if change is None:
        says = (
            f"{counted}; no interval, as {pairs.beyond:,} of them have a score that is not "
            "between 0 and 1, and what has no bounds can change by any amount in the next"
        )
        return ScoreChange(pairs.scored, estimate, None, None, says)
    lower, upper = (2 * bound - 1 for bound in change.interval())
    says = f"{counted} ({lower:+.2g} to {upper:+.2g}, if all scores lie between 0 and 1)"
    return ScoreChange(pairs.scored, estimate, lower, upper, says)


def _finite(value: float) -> float | None:
    return value if value < inf else None
