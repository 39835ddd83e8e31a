"""One bad candidate under load: as a canary of a rollout, and as a mere shadow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, sleep
from typing import Any

from benchmarks.isolation import models
from benchmarks.isolation.asking import Asked, Met, Window, within
from benchmarks.isolation.stage import CARD, Stage, StandStill, resident_mib
from configs.errors import Refused, WeirError
from registry.rollouts import RolloutState
from serve.control.rollout_schemas import RolloutView

RATE = 50.0
"""Requests a second: two busy cores have room for them beside hosts that start."""
QUIET_S = 5.0
SHADOW_S = 5.0
LONGEST_S = 75.0
GOOD_S = 8.0
"""How long the good candidate stays a canary, for comparison."""
_LOOK_S = 0.2
_COUNTED_S = 1.5
"""Counts are told every half second."""

POLICY: Mapping[str, Any] = {
    "steps": [10, 50],
    "dwell_s": 5,
    "min_units": 50,
    "bake_s": 5,
    "shadow": {"min_pairs": 200},
    "guardrails": [
        {"metric": "error_ratio", "margin_abs": 0.02},
        {"metric": "timeout_ratio", "margin_abs": 0.02},
        {"metric": "invalid_output", "margin_abs": 0.02},
        {"metric": "signals", "optional": True},
    ],
}


UNSEEN = {**POLICY, "shadow": {"fraction": 0.0}}
"""Without a shadow stage: users meet the candidate at once."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """How one misbehaves; `stands_still` if its processes are stopped, `sizes` for the load."""

    name: str
    model: bytes
    stands_still: bool = False
    sizes: tuple[int, ...] = ()


def candidates() -> list[Candidate]:
    """All that are tried; the first does nothing wrong."""
    return [
        Candidate("good (for comparison)", models.good("retrained")),
        Candidate("fails", models.failing()),
        Candidate("crashes its process", models.crashing()),
        Candidate("counts for ever, on one core", models.endless()),
        Candidate("sleeps 30 s", models.sleeping()),
        Candidate("its process stands still", models.good("still"), stands_still=True),
        Candidate("leaks 24 MiB with every 40th request", models.eating(), sizes=(40, 24, 3000)),
        Candidate("NaN", models.not_a_number()),
        Candidate("the wrong shape", models.wide()),
        Candidate("1 GiB", models.wide(megabytes=1024)),
        Candidate("0.4 GiB", models.wide(megabytes=400)),
    ]


@dataclass(slots=True)
class Trial:
    """What was met of one candidate, over all rounds; see `docs/isolation.md` for the columns."""

    name: str
    quiet: list[Met] = field(default_factory=list)
    shadowed: list[Met] = field(default_factory=list)
    canary: list[Met] = field(default_factory=list)
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    back_s: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    most_mib: float = 0.0


@dataclass(slots=True)
class _Course:
    """When a rollout was first seen in each state, how it ended, and how much memory it took."""

    seen: dict[RolloutState, float]
    last: RolloutView
    most_mib: float = 0.0
    over_at: float = 0.0
    said: str = ""


def as_canary(
    stage: Stage, candidate: Candidate, number: int, rounds: int, *, shadow: bool
) -> Trial:
    """Roll a candidate out so often, each time after a window without one."""
    model, policy = (f"staged-{number}", POLICY) if shadow else (f"canary-{number}", UNSEEN)
    trial = Trial(candidate.name)
    stage.prepare(model, candidate.model)
    courses: list[_Course] = []
    quiet: list[Window] = []
    before = stage.counts(model)
    with stage.load(model, RATE, *candidate.sizes) as asking:
        for _ in range(rounds):
            quiet.append(_pass(QUIET_S))
            courses.append(_roll_out(stage, candidate, model, policy))
            sleep(_COUNTED_S)
        asked = asking.stop()
    sleep(_COUNTED_S)
    _take(trial, asked, _more(before, stage.counts(model)))
    trial.quiet = [within(asked, [window]) for window in quiet]
    for course in courses:
        _add(trial, asked, course)
    return trial


def as_shadow(stage: Stage, candidate: Candidate, number: int, rounds: int) -> Trial:
    """Copy all requests to a candidate, in turns with none."""
    model = f"shadow-{number}"
    trial = Trial(candidate.name)
    stage.prepare(model, candidate.model)
    stage.control.set_route(model, {1: 100}, shadow=(2, 100), reason="shadow")
    before = stage.counts(model)
    quiet: list[Window] = []
    shadowed: list[Window] = []
    still = StandStill(stage, model, 2) if candidate.stands_still else nullcontext()
    with stage.load(model, RATE, *candidate.sizes) as asking, still:
        for _ in range(rounds):
            shadowed.append(_pass(SHADOW_S))
            trial.most_mib = max(trial.most_mib, resident_mib(stage.hosts(model, 2)))
            # What is out to the shadow, or kept busy by it, must not be in the other window.
            stage.control.set_route(model, {1: 100}, reason="none")
            sleep(_COUNTED_S)
            quiet.append(_pass(QUIET_S))
            stage.control.set_route(model, {1: 100}, shadow=(2, 100), reason="shadow")
        asked = asking.stop()
    with suppress(WeirError):
        stage.control.set_route(model, {1: 100}, reason="over")
    sleep(_COUNTED_S)
    _take(trial, asked, _more(before, stage.counts(model)))
    trial.quiet = [within(asked, [window]) for window in quiet]
    trial.shadowed = [within(asked, [window]) for window in shadowed]
    return trial


def at_registration(stage: Stage, name: str, model: bytes) -> str:
    """What is said to a model that misbehaves at once."""
    try:
        stage.control.register(f"at-once-{name}", stage.control.upload(model), CARD)
    except Refused as refused:
        return refused.message
    return "registered"


def ratio(of: list[Met], to: list[Met], quantile: Callable[[Met], float]) -> float:
    """The median ratio of a quantile, round by round."""
    pairs = [(quantile(one), quantile(other)) for one, other in zip(of, to, strict=False)]
    return median([one / other for one, other in pairs if one and other] or [0.0])


def _roll_out(stage: Stage, candidate: Candidate, model: str, policy: Mapping[str, Any]) -> _Course:
    begun = stage.control.start_rollout(model, 2, policy, "benchmark").rollout
    course = _Course({}, begun)
    with suppress(WeirError):
        _follow(stage, candidate, course, begun.id)
    course.over_at = perf_counter()
    with suppress(WeirError):
        changes = stage.control.rollout_changes(begun.id)
        course.said = next(
            (one.reason for one in changes if one.action == "roll back"), changes[-1].reason
        )
    if not course.last.state.over:
        stage.control.command_rollout(begun.id, "abort", "benchmark")
    return course


def _follow(stage: Stage, candidate: Candidate, course: _Course, rollout: str) -> None:
    """Look on until it is over, or has taken too long."""
    began = perf_counter()
    with _standing_still(stage, candidate, course.last.model) as stop_it:
        while perf_counter() - began < LONGEST_S:
            now = course.last = stage.control.rollout(rollout)
            course.seen.setdefault(now.state, perf_counter())
            if now.state.over or (now.state is RolloutState.HELD):
                return
            if now.state in (RolloutState.SHADOW, RolloutState.CANARY):
                stop_it()
            hosts = stage.hosts(now.model, 2)
            course.most_mib = max(course.most_mib, resident_mib(hosts))
            since = course.seen.get(RolloutState.CANARY)
            if "good" in candidate.name and since and perf_counter() - since > GOOD_S:
                return
            sleep(_LOOK_S)


@contextmanager
def _standing_still(stage: Stage, candidate: Candidate, model: str) -> Iterator[Callable[[], None]]:
    """Give what stops the candidate's processes from now on, if it is such a candidate."""
    still = StandStill(stage, model, 2)
    entered = False

    def stop_it() -> None:
        nonlocal entered
        if candidate.stands_still and not entered:
            entered = True
            still.__enter__()

    try:
        yield stop_it
    finally:
        if entered:
            still.__exit__()


def _add(trial: Trial, asked: list[Asked], course: _Course) -> None:
    seen, end = course.seen, course.over_at
    canary = seen.get(RolloutState.CANARY)
    shadow = seen.get(RolloutState.SHADOW)
    if shadow is not None:
        trial.shadowed.append(within(asked, [(shadow, canary or end)]))
    if canary is not None:
        trial.canary.append(within(asked, [(canary, end)]))
        if course.last.state in (RolloutState.ROLLED_BACK, RolloutState.HELD):
            trial.back_s.append(end - canary)
    hold = f" ({course.last.hold.value})" if course.last.hold else ""
    trial.ends.append(f"{course.last.state.value}{hold}: {course.said}")
    trial.most_mib = max(trial.most_mib, course.most_mib)


def _take(trial: Trial, asked: list[Asked], counts: dict[str, float]) -> None:
    trial.requests = len(asked)
    trial.failures = [one.failure for one in asked if one.failure is not None]
    trial.counts = counts


def _pass(seconds: float) -> Window:
    begun = perf_counter()
    sleep(seconds)
    return begun, perf_counter()


def _more(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}
