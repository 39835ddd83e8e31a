"""Rounds of equal load on every contestant, one contestant at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import answers, wrk
from benchmarks.contestants import Contestant, running
from benchmarks.model import Workload
from benchmarks.processes import on_cores

CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often, and on which cores (None leaves those to the system)."""

    rounds: int = 5
    seconds: int = 6
    warm_s: int = 2
    server_cores: frozenset[int] | None = None
    load_cores: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One contestant in one round: requests a second under load, p50 in µs at one connection."""

    contestant: str
    round: int
    requests_per_s: float
    p99_us: float
    p50_us: float


def measure(
    contestants: Sequence[Contestant], workload: Workload, plan: Plan, tell: Callable[[str], None]
) -> list[Sample]:
    """Measure all contestants in every round; each round begins with another of them."""
    samples = []
    for number in range(plan.rounds):
        turn = number % len(contestants)
        for contestant in (*contestants[turn:], *contestants[:turn]):
            sample = _one(contestant, workload, plan, number)
            tell(
                f"round {number + 1} of {plan.rounds}: {sample.contestant:<17} "
                f"{sample.requests_per_s:8,.0f} requests/s, p50 {sample.p50_us:,.0f} µs"
            )
            samples.append(sample)
    return samples


def _one(contestant: Contestant, workload: Workload, plan: Plan, number: int) -> Sample:
    """A fresh server: checked, warmed up, measured, ended."""
    server_cores = None if plan.server_cores is None else set(plan.server_cores)
    load_cores = None if plan.load_cores is None else set(plan.load_cores)
    with running(contestant, server_cores) as up, on_cores(load_cores):
        answers.check(up.infer, workload)
        wrk.run(up.infer, workload.bodies, CONNECTIONS, plan.warm_s)
        load = wrk.run(up.infer, workload.bodies, CONNECTIONS, plan.seconds)
        single = wrk.run(up.infer, workload.bodies, 1, plan.seconds)
    return Sample(contestant.name, number, load.requests_per_s, load.p99_us, single.p50_us)
