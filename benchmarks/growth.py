"""What a request costs as something grows: models, features, versions, or host replicas.

`python -m benchmarks.growth`: the processor time of a request of one row as JSON over 32
connections, all of Weir's processes counted, from a fresh gateway for each size in each round. It
is written to a JSON file and as charts into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks import charts, machine, processor, table, tools, wrk
from benchmarks.charts import EACH, ONE, THINGS, Missing, Sample, Thing
from benchmarks.compare import Plan, Tell
from benchmarks.contestants import running, slug
from benchmarks.field import WAIT_TARGET_S, WEIR
from benchmarks.many_models import FEATURES, Asked, build, build_one, check, write_lines
from benchmarks.processes import BenchmarkError, on_cores
from benchmarks.report import PAGE
from benchmarks.weir import Weir

CONNECTIONS = 32
JSON = Path(__file__).parent.parent / ".tools" / "growth.json"
TIMEOUT_S = 30.0
_FAILURES = (BenchmarkError, httpx.HTTPError, KeyError, subprocess.TimeoutExpired)


@dataclass(frozen=True, slots=True)
class Point:
    """One size of one thing: what is asked in each load, and the gateway's settings for hosts.

    The models lie in a data folder already: every gateway over it starts alike.
    """

    thing: Thing
    size: int
    folder: Path
    asked: Mapping[str, Sequence[Asked]]
    hosts: Mapping[str, object] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; gives 1 if nothing was measured."""
    args = _arguments(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C
    folder = Path(tempfile.mkdtemp(prefix="weir-growth-"))
    failed = True
    try:
        failed = not _take(args, folder, console)
    except (BenchmarkError, httpx.HTTPError, ValueError) as failure:
        console.print(f"no figures: {failure}", style="red", markup=False)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if args.keep or failed:
        console.print(f"the logs are in {folder}", markup=False)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def prepared(thing: Thing, size: int, folder: Path) -> Point:
    """Register what one size of a thing needs, in a folder of its own."""
    home = folder / f"{thing.name}-{size}"
    home.mkdir()
    data = home / slug(WEIR)
    if thing.name == "models":
        asked = build(data, size)
        return Point(thing, size, home, {EACH: asked, ONE: asked[:1]})
    # A version has a host of its own here, whether it shares the traffic or not.
    features, versions, hosts = FEATURES, 1, {"shared": 0, "replicas": 1}
    match thing.name:
        case "features":
            features, hosts = size, {}
        case "versions":
            versions = size
        case "replicas":
            hosts["replicas"] = size
    (load,) = thing.loads
    return Point(thing, size, home, {load: build_one(home, data, features, versions)}, hosts)


def measure(points: Sequence[Point], plan: Plan, tell: Tell) -> tuple[list[Sample], list[Missing]]:
    """Visit all points in every round; each round begins with another of them."""
    samples: list[Sample] = []
    missing: list[Missing] = []
    for number in range(plan.rounds):
        turn = number * max(1, len(points) // plan.rounds) % len(points)
        for point in (*points[turn:], *points[:turn]):
            taken, lost = _visit(point, number, plan, tell)
            samples += taken
            missing += lost
    return samples, missing


def _visit(point: Point, number: int, plan: Plan, tell: Tell) -> tuple[list[Sample], list[Missing]]:
    """A fresh gateway, and the loads of one point on it; what fails is missing."""
    name = point.thing.name
    samples: list[Sample] = []
    try:
        for sample in _loads(point, number, plan):
            samples.append(sample)
            tell(_line(sample, plan.rounds))
    except _FAILURES as failure:
        seen = {sample.load for sample in samples}
        lost = [load for load in point.asked if load not in seen]
        missing = [Missing(name, point.size, load, number, str(failure)) for load in lost]
        why = (str(failure).splitlines() or [type(failure).__name__])[0]
        tell(f"round {number + 1} of {plan.rounds}: {point.size} {name}: failed: {why}")
        return samples, missing
    return samples, []


def _loads(point: Point, number: int, plan: Plan) -> Iterator[Sample]:
    """Give each sample as it is taken: what fails later does not undo it."""
    weir = Weir(WEIR, (), point.folder, wait_target_s=WAIT_TARGET_S, hosts=point.hosts)
    server_cores, load_cores = set(plan.server_cores or ()), set(plan.load_cores or ())
    with running(weir, server_cores) as up, on_cores(load_cores):
        processor.settle(up.server.pid)
        url = f"http://127.0.0.1:{up.http_port}"
        # The load that asks least comes first: what the others ask is in memory after them.
        for load, asked in sorted(point.asked.items(), key=lambda each: len(each[1])):
            _check(url, asked)
            lines = write_lines(point.folder / "lines", asked)
            _ask(url, lines, plan.warm_s)
            before = processor.used(up.server.pid)
            met = _ask(url, lines, plan.seconds)
            spent = sum(processor.between(before, processor.used(up.server.pid)).values())
            if spent <= 0.0:
                message = "no processor time was counted"
                raise BenchmarkError(message)
            each_us = 1e6 * spent / met.requests
            thing = point.thing.name
            yield Sample(thing, point.size, load, number, each_us, met.requests_per_s)


def _ask(url: str, lines: Path, seconds: int) -> wrk.Load:
    return wrk.run(url, [str(lines)], CONNECTIONS, seconds, script="post_paths.lua")


def _check(url: str, asked: Sequence[Asked]) -> None:
    """Ask everything once, which also loads what was not in memory; each answer must be right."""
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as client:
        for each in asked:
            check(each, client.post(each.path, content=each.line))


def _take(args: argparse.Namespace, folder: Path, console: Console) -> bool:
    """Take what was asked for; gives whether anything was measured."""
    tools.find("wrk")
    things = [thing for thing in THINGS if not args.only or thing.name in args.only]
    plan = _plan(args)
    if not args.look:
        _with_charts(args.page, dict.fromkeys(things, ""))  # fails now, not after all rounds
    facts = machine.describe() | {
        "processors": "servers on 1, load on 1 other",
        "rounds": str(plan.rounds),
        "seconds": str(plan.seconds),
    }
    if machine.busy():
        console.print("others use this machine: trust the ratios only", style="yellow")

    def tell(line: str) -> None:
        console.print(line, style="dim", markup=False, highlight=False)

    points = [prepared(thing, size, folder) for thing in things for size in thing.sizes]
    tell(f"{len(points)} data folders are prepared")
    samples, missing = measure(points, plan, tell)
    texts = {thing: "\n".join(charts.lines(thing, samples, missing, facts)) for thing in things}
    for text in texts.values():
        console.print(text, markup=False, highlight=False)
    if samples and not args.look:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        table.write(args.json, {"machine": facts, "samples": samples, "missing": missing})
        args.page.write_text(_with_charts(args.page, texts), encoding="utf-8")
    return bool(samples)


def _with_charts(page: Path, texts: Mapping[Thing, str]) -> str:
    """The page with these charts in it; `BenchmarkError` if it has no place for one."""
    text = page.read_text(encoding="utf-8")
    try:
        for thing, chart in texts.items():
            text = charts.placed(text, thing, chart)
    except ValueError as failure:
        message = f"{page}: {failure}"
        raise BenchmarkError(message) from failure
    return text


def _plan(args: argparse.Namespace) -> Plan:
    """The servers keep to the first core, the load to the second."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        message = "two cores are needed, one for the load"
        raise BenchmarkError(message)
    server, load = frozenset(cores[:1]), frozenset(cores[1:2])
    return Plan(args.rounds, args.seconds, args.warm, server, load)


def _line(sample: Sample, rounds: int) -> str:
    return (
        f"round {sample.round + 1} of {rounds}: {sample.size:5} {sample.thing:<8} "
        f"{sample.load:<18} {sample.processor_us:8,.1f} µs of processor, "
        f"{sample.requests_per_s:9,.0f} requests/s"
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    add, names = parser.add_argument, [thing.name for thing in THINGS]
    add("--only", action="append", choices=names, help="let this grow only; repeatable")
    add("--rounds", type=int, default=3, help="rounds, each with a fresh gateway a size (3)")
    add("--seconds", type=int, default=3, help="whole seconds of each measured run (3)")
    add("--warm", type=int, default=3, help="whole seconds of load before it (3)")
    add("--json", type=Path, metavar="FILE", default=JSON, help="where figures and samples go")
    add("--page", type=Path, metavar="FILE", default=PAGE, help="where the charts go")
    add("--look", action="store_true", help="print only: write neither of the two")
    add("--keep", action="store_true", help="keep the logs")
    args = parser.parse_args(arguments)
    if min(args.rounds, args.seconds, args.warm) < 1:
        parser.error("--rounds, --seconds and --warm are whole numbers from one up")
    return args


if __name__ == "__main__":
    sys.exit(main())
