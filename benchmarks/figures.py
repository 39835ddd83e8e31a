"""Take the figures that Weir is held to: `python -m benchmarks.figures`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks import (
    compare,
    environments,
    field,
    lifecycle,
    machine,
    otlp_sink,
    questions,
    replacement,
    summary,
    table,
    tools,
)
from benchmarks.compare import LATENCY, Missing, Plan, Sample, Tell
from benchmarks.contestants import running
from benchmarks.field import Field
from benchmarks.processes import BenchmarkError, on_cores
from benchmarks.weir import Weir, alone

PARTS = ("comparison", "lifecycle", "replacement")
MODEL_BOUND = ("slow-json",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; gives 1 if a run failed, or with `--check` if a target was missed."""
    args = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C
    folder = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        reached = _take(args, folder, console)
    except (BenchmarkError, httpx.HTTPError) as failure:
        console.print(f"no figures: {failure}", style="red", markup=False)
        console.print(f"the logs are in {folder}", markup=False)
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if args.keep:
        console.print(f"the logs are in {folder}", markup=False)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if reached or not args.check else 1


def _take(args: argparse.Namespace, folder: Path, console: Console) -> bool:
    """Take all figures that were asked for; gives whether every target was reached."""
    some = bool(args.only or args.contestant)
    parts = args.part or (PARTS[:1] if some else PARTS)
    plan = _plan(args)
    facts = machine.describe() | _conditions(plan)
    if machine.busy():
        console.print("others use this machine: trust the ratios only", style="yellow")
    who = field.prepare(folder)
    samples: list[Sample] = []
    missing: list[Missing] = []
    lives, outcomes = [], []

    def tell(line: str) -> None:
        console.print(line, style="dim", markup=False, highlight=False)

    if "comparison" in parts:
        samples, missing, rate = _compare(args, folder, who, plan, tell)
        facts["rate of the open loop"] = f"{rate:,.0f}/s"
    weir = Weir("single", alone(who.workload), folder)
    if "lifecycle" in parts:
        lives = lifecycle.measure(weir, who.workload, args.repetitions, tell)
    if "replacement" in parts:
        outcomes = replacement.measure(weir, who.workload, args.replacements, tell)
    figures = [
        *summary.of_ratios(samples),
        *summary.of_field(samples, MODEL_BOUND),
        *summary.of_lives(lives),
        *summary.of_outcomes(outcomes),
    ]
    rows = summary.rows(samples)
    table.show(console, facts, rows, figures)
    if args.json is not None:
        facts |= environments.versions()
        measured = {"samples": samples, "missing": missing, "lives": lives, "outcomes": outcomes}
        summed = [asdict(one) | {"median": one.median, "reached": one.reached} for one in figures]
        titles = {one.name: one.title for one in who.questions}
        head = {"machine": facts, "workloads": titles, "figures": summed, "rows": rows}
        table.write(args.json, head | measured)
    return all(figure.reached is not False for figure in figures)


def _compare(
    args: argparse.Namespace, folder: Path, who: Field, plan: Plan, tell: Tell
) -> tuple[list[Sample], list[Missing], float]:
    """All rounds; the rate of the open loop is half of what FastAPI does in a start before them."""
    tools.find("wrk")
    tools.find("h2load")
    asked = [one for one in who.questions if not args.only or one.name in args.only]
    load_cores = None if plan.load_cores is None else set(plan.load_cores)
    with on_cores(load_cores), otlp_sink.listening() as sink:
        wanted = args.contestant or ()
        contestants = field.contestants(who, folder, wanted, _workers(), sink.endpoint)
        rate = 0.0
        for one in asked:
            if one.name == LATENCY:
                everyone = field.contestants(who, folder, (field.FASTAPI,), _workers(), "")
                rate = round(compare.throughput(everyone[0], one, plan) / 2, -2)
        for contestant in contestants:
            if isinstance(contestant, Weir):
                with running(contestant):
                    tell(f"{contestant.name}: its models are registered")
        samples, missing = compare.measure(contestants, asked, plan, rate, tell)
        if any(sample.contestant == field.WEIR for sample in samples) and not sink.traces:
            message = "Weir sent no spans: it was not measured with everything on"
            raise BenchmarkError(message)
    return samples, missing, rate


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _workers() -> int:
    """The processes that a server of one core each gets: half of the cores; the rest are load's."""
    return max(1, len(_cores()) // 2)


def _plan(args: argparse.Namespace) -> Plan:
    cores = _cores()
    threads = max(1, len(cores) - _workers())
    if args.free:
        return Plan(args.rounds, args.seconds, args.warm, None, None, threads)
    if len(cores) < 2:
        message = "two cores are needed, one for the load: or give --free"
        raise BenchmarkError(message)
    servers, load = frozenset(cores[: _workers()]), frozenset(cores[_workers() :])
    return Plan(args.rounds, args.seconds, args.warm, servers, load, threads)


def _conditions(plan: Plan) -> dict[str, str]:
    pinned = "not pinned"
    if plan.server_cores is not None and plan.load_cores is not None:
        pinned = f"servers on {len(plan.server_cores)}, load on {len(plan.load_cores)} other"
    return {"processors": pinned, "rounds": str(plan.rounds), "seconds": str(plan.seconds)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    add = parser.add_argument
    add("--part", action="append", choices=PARTS, help="take these parts only; repeatable")
    add("--only", action="append", choices=questions.NAMES, help="a workload; repeatable")
    add("--contestant", action="append", choices=field.NAMES, help="compare it; repeatable")
    add("--rounds", type=_count, default=5, help="rounds of the comparison (5)")
    add("--seconds", type=_count, default=3, help="whole seconds of each measured run (3)")
    add("--warm", type=_count, default=3, help="whole seconds of load before it (3)")
    add("--repetitions", type=_count, default=5, help="starts and stops (5)")
    add("--replacements", type=_count, default=3, help="how often each part is replaced (3)")
    add("--free", action="store_true", help="pin nothing: servers and load share all cores")
    add("--json", type=Path, metavar="FILE", help="write figures and samples to a file too")
    add("--keep", action="store_true", help="keep the logs")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    return parser


def _count(text: str) -> int:
    """A whole number from one up: wrk counts time in whole seconds, and nobody measures zero."""
    number = int(text)
    if number < 1:
        message = f"{text} is less than one"
        raise argparse.ArgumentTypeError(message)
    return number


if __name__ == "__main__":
    sys.exit(main())
