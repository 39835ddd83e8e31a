"""Applicants as a client sees them: Open Inference Protocol requests over kept connections.

A process of its own: `python -m serve.demo.traffic --url http://127.0.0.1:8000 --model credit`.
It prints one JSON report at the end and exits 1 if any request failed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter

import click
import httpx
import numpy as np
import orjson

from configs.errors import WeirError
from serve.demo.data import APPROVE_AT, FEATURES, GROUP, MODEL, Arrival, arrivals, load

CONNECTIONS = 8
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came back: counts, shares and the times between a request and its answer."""

    sent: int
    answered: int
    failed: int
    seconds: float
    by_version: dict[str, int]
    by_arm: dict[str, int]
    failures: dict[str, int]
    keys: int
    keys_by_version: dict[str, int]
    keys_that_met_two_versions: int
    approval_share: float | None
    rows_by_race: dict[str, int]
    approvals_by_race: dict[str, int]
    latency_ms_p50: float | None
    latency_ms_p99: float | None


@dataclass(slots=True)
class Tally:
    """Counts as the answers come in."""

    versions: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    keys: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    approvals: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    milliseconds: list[float] = field(default_factory=list)

    def answer(self, arrival: Arrival, response: httpx.Response, milliseconds: float) -> None:
        """Count one good answer."""
        version = response.headers.get("Weir-Version", "none")
        self.versions[version] += 1
        self.arms[response.headers.get("Weir-Arm", "none")] += 1
        self.keys[arrival.key].add(version)
        self.approvals[arrival.race].append(score(response.content) >= APPROVE_AT)
        self.milliseconds.append(milliseconds)

    def report(self, seconds: float) -> Report:
        """The counts as a report."""
        failed = self.failures.total()
        answered = len(self.milliseconds)
        everybody = list(itertools.chain.from_iterable(self.approvals.values()))
        seen = Counter(next(iter(met)) for met in self.keys.values() if len(met) == 1)
        return Report(
            sent=answered + failed,
            answered=answered,
            failed=failed,
            seconds=round(seconds, 3),
            by_version=dict(self.versions),
            by_arm=dict(self.arms),
            failures=dict(self.failures),
            keys=len(self.keys),
            keys_by_version=dict(seen),
            keys_that_met_two_versions=sum(len(met) > 1 for met in self.keys.values()),
            approval_share=_rounded(np.mean(everybody)) if everybody else None,
            rows_by_race={race: len(answers) for race, answers in sorted(self.approvals.items())},
            approvals_by_race={
                race: sum(answers) for race, answers in sorted(self.approvals.items())
            },
            latency_ms_p50=_rounded(np.quantile(self.milliseconds, 0.5)) if answered else None,
            latency_ms_p99=_rounded(np.quantile(self.milliseconds, 0.99)) if answered else None,
        )


def request_body(arrival: Arrival) -> bytes:
    """One row as a request: the feature matrix, and race as an extra input beside it."""
    features = {
        "name": "features",
        "datatype": "FP32",
        "shape": [1, len(FEATURES)],
        "data": arrival.features.tolist(),
    }
    group = {"name": GROUP, "datatype": "BYTES", "shape": [1], "data": [arrival.race]}
    return orjson.dumps({"inputs": [features, group]})


def score(answer: bytes) -> float:
    """The probability of approval in a one-row answer; `KeyError` if it has none."""
    outputs = {output["name"]: output["data"] for output in orjson.loads(answer)["outputs"]}
    return float(outputs["probabilities"][1])


async def send(url: str, model: str, waiting: Iterator[Arrival], rate: float) -> Report:
    """Send everybody who waits, `rate` a second at most, and report what came back."""
    tally = Tally()
    began = perf_counter()
    due = (began + number / rate for number in itertools.count())
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    # No proxy out of the environment may stand between us and our own machine.
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=TIMEOUT_S, trust_env=False
    ) as client:

        async def connection() -> None:
            for arrival, moment in zip(waiting, due, strict=False):
                await asyncio.sleep(max(0.0, moment - perf_counter()))
                await _ask(client, f"/v2/models/{model}/infer", arrival, tally)

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return tally.report(perf_counter() - began)


async def _ask(client: httpx.AsyncClient, path: str, arrival: Arrival, tally: Tally) -> None:
    headers = {"Content-Type": "application/json", "Weir-Key": arrival.key}
    began = perf_counter()
    try:
        response = await client.post(path, content=request_body(arrival), headers=headers)
    except httpx.HTTPError as error:
        tally.failures[type(error).__name__] += 1
        return
    elapsed = (perf_counter() - began) * 1000.0
    if response.status_code != httpx.codes.OK:
        tally.failures[str(response.status_code)] += 1
        return
    tally.answer(arrival, response, elapsed)


def _open() -> Callable[[object], bool]:
    """Says whether standard input is still open."""
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return lambda _: not ended.is_set()


def _rounded(value: np.floating) -> float:
    return round(float(value), 4)


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where Weir is.")
@click.option("--model", default=MODEL, show_default=True, help="Which model to ask.")
@click.option("--rows", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=400.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--seed", default=1, show_default=True, help="Which applicants come.")
@click.option("--drift", is_flag=True, help="Applicants of a market that has moved.")
@click.option("--while-open", is_flag=True, help="Until standard input ends, at most --rows.")
def main(
    *, url: str, model: str, rows: int, rate: float, seed: int, drift: bool, while_open: bool
) -> None:
    """Send real applicants, drawn again and again, to a model and report the answers."""
    try:
        pool = load().stream
    except WeirError as error:
        raise click.ClickException(error.message) from error
    waiting: Iterator[Arrival] = itertools.islice(arrivals(pool, seed, drift=drift), rows)
    if while_open:
        waiting = itertools.takewhile(_open(), waiting)
    report = asyncio.run(send(url, model, waiting, rate))
    click.echo(orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2))
    if report.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
