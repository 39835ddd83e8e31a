"""Rounds of equal load on every contestant, one contestant at a time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx

from benchmarks import answers, h2load, open_loop, processor, wrk
from benchmarks.contestants import Contestant, Running, running
from benchmarks.processes import BenchmarkError, on_cores
from benchmarks.questions import Questions
from benchmarks.wrk import Load

LATENCY = "row-json"
"""The workload that is also asked over one connection, and at a fixed rate."""

Kind = Literal["closed", "single", "open"]
Tell = Callable[[str], None]
_FAILURES = (BenchmarkError, httpx.HTTPError, KeyError, subprocess.TimeoutExpired)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often, on which cores (None leaves those to the system), and what."""

    rounds: int
    seconds: int
    warm_s: int
    server_cores: frozenset[int] | None
    load_cores: frozenset[int] | None
    load_threads: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One contestant under one load in one round.

    `closed` keeps the workload's connections busy, `single` one connection, `open` asks at a fixed
    rate: there `requests_per_s` is that rate, and latencies count from when a request was due.
    `processor_us` is the processor time of all of the server's processes for each request, `parts`
    the same by process.
    """

    contestant: str
    workload: str
    kind: Kind
    round: int
    requests_per_s: float
    p50_us: float
    p99_us: float
    processor_us: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured, and why."""

    contestant: str
    workload: str
    round: int
    reason: str


def measure(
    contestants: Sequence[Contestant],
    questions: Sequence[Questions],
    plan: Plan,
    rate: float,
    tell: Tell,
) -> tuple[list[Sample], list[Missing]]:
    """Measure all contestants in every round; each round begins with another of them.

    `rate` is the fixed rate of the open loop; who cannot answer twice as much in a closed one is
    asked at half of what it can.
    """
    samples: list[Sample] = []
    missing: list[Missing] = []
    for number in range(plan.rounds):
        turn = number * max(1, len(contestants) // plan.rounds) % len(contestants)
        for contestant in (*contestants[turn:], *contestants[:turn]):
            taken, lost = _visit(contestant, questions, plan, rate, number, tell)
            for sample in taken:
                tell(_line(sample, plan.rounds))
            for one in lost:
                why = one.reason.splitlines()[0]
                tell(f"{one.contestant}, {one.workload}: nothing measured: {why}")
            samples += taken
            missing += lost
    return samples, missing


def throughput(contestant: Contestant, questions: Questions, plan: Plan) -> float:
    """What one contestant does in a start of its own, to set the rate of the open loop by."""
    cores = None if plan.server_cores is None else set(plan.server_cores)
    with running(contestant, cores) as up, _load_cores(plan):
        processor.settle(up.server.pid)
        _warm(up, questions, plan)
        return _closed(up, questions, plan, questions.connections, plan.seconds).requests_per_s


def _visit(
    contestant: Contestant,
    questions: Sequence[Questions],
    plan: Plan,
    rate: float,
    number: int,
    tell: Tell,
) -> tuple[list[Sample], list[Missing]]:
    """A fresh server: for each workload checked, warmed up, measured; then ended."""
    mine = [one for one in questions if one.name in contestant.answers]
    samples: list[Sample] = []
    missing: list[Missing] = []
    cores = None if plan.server_cores is None else set(plan.server_cores)
    try:
        with running(contestant, cores) as up, _load_cores(plan):
            processor.settle(up.server.pid)
            tell(f"round {number + 1}: {contestant.name} is ready after {up.ready_s:.1f} s")
            for one in mine:
                try:
                    for sample in _workload(contestant.name, up, one, plan, rate, number):
                        samples.append(sample)  # noqa: PERF402 - a later failure leaves it
                except _FAILURES as failure:
                    missing.append(Missing(contestant.name, one.name, number, str(failure)))
    except _FAILURES as failure:
        seen = {sample.workload for sample in samples} | {one.workload for one in missing}
        lost = [one.name for one in mine if one.name not in seen]
        missing += [Missing(contestant.name, name, number, str(failure)) for name in lost]
    return samples, missing


def _load_cores(plan: Plan) -> AbstractContextManager[None]:
    return on_cores(None if plan.load_cores is None else set(plan.load_cores))


def _workload(
    name: str, up: Running, questions: Questions, plan: Plan, rate: float, number: int
) -> Iterator[Sample]:
    """Give each sample as it is taken: what fails later does not undo it."""
    address = up.grpc if questions.protocol == "grpc" else up.url(questions.model)
    answers.check_questions(address, questions)
    _warm(up, questions, plan)

    def sample(kind: Kind, load: Callable[[], Load]) -> Sample:
        before = processor.used(up.server.pid)
        met = load()
        parts = processor.between(before, processor.used(up.server.pid))
        each = {part: 1e6 * seconds / met.requests for part, seconds in parts.items()}
        figures = met.requests_per_s, met.p50_us, met.p99_us, sum(each.values())
        return Sample(name, questions.name, kind, number, *figures, parts=each)

    connections = questions.connections
    busy = sample("closed", lambda: _closed(up, questions, plan, connections, plan.seconds))
    yield busy
    if questions.name == LATENCY:
        yield sample("single", lambda: _closed(up, questions, plan, 1, plan.seconds))
        asked = min(rate, busy.requests_per_s / 2)
        yield sample("open", lambda: _open(up, questions, plan, asked))


def _warm(up: Running, questions: Questions, plan: Plan) -> None:
    """Load a server as it will be measured, and let it end what its first requests began."""
    _closed(up, questions, plan, questions.connections, plan.warm_s)
    processor.settle(up.server.pid)


def _closed(up: Running, questions: Questions, plan: Plan, connections: int, seconds: int) -> Load:
    if questions.protocol == "grpc":
        least = questions.rights[0].nbytes
        return h2load.run(up.grpc, questions.bodies, connections, seconds, least)
    bodies = [str(questions.bodies)]
    if questions.protocol == "binary":
        bodies += [str(questions.length), str(questions.header_length)]
    url = up.url(questions.model)
    return wrk.run(url, bodies, connections, seconds, plan.load_threads)


def _open(up: Running, questions: Questions, plan: Plan, rate: float) -> Load:
    """Every request has a moment at which it is due; one that fails fails the run."""
    path = urlsplit(up.url(questions.model)).path
    phases = [open_loop.Phase(rate, float(plan.seconds))]
    (met,) = open_loop.ask(open_loop.Plan(up.http_port, path, str(questions.bodies), phases))
    if met.failed:
        message = f"{met.failed} of {met.due} requests failed at {rate:,.0f} requests/s"
        raise BenchmarkError(message)
    return Load(met.ok, met.seconds, 1e6 * met.ok_p50_s, 1e6 * met.ok_p99_s)


def _line(sample: Sample, rounds: int) -> str:
    return (
        f"round {sample.round + 1} of {rounds}: {sample.contestant:<17.17} {sample.workload:<12} "
        f"{sample.kind:<6} {sample.requests_per_s:9,.0f} requests/s, p50 {sample.p50_us:8,.0f} µs, "
        f"p99 {sample.p99_us:9,.0f} µs, {sample.processor_us:8,.1f} µs of processor"
    )
