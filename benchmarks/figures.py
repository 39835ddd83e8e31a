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

from benchmarks import lifecycle, machine, model, replacement, summary, table, throughput, wrk
from benchmarks.contestants import Baseline, Contestant, Weir
from benchmarks.model import Workload
from benchmarks.processes import BenchmarkError
from benchmarks.summary import BASELINE, UNRECORDED, WEIR
from benchmarks.throughput import Plan

PARTS = ("throughput", "lifecycle", "replacement")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; gives 1 if a run failed, or with `--check` if a target was missed."""
    args = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C
    folder = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        reached = _take(args, folder, console)
    except (BenchmarkError, httpx.HTTPError) as failure:
        console.print(f"no figures: {failure}", style="red", markup=False)
        console.print(f"the logs are in {folder}", markup=False)
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        return 130
    shutil.rmtree(folder)
    return 0 if reached or not args.check else 1


def _take(args: argparse.Namespace, folder: Path, console: Console) -> bool:
    """Take all figures that were asked for; gives whether every target was reached."""
    parts = args.only or PARTS
    if "throughput" in parts:
        wrk.find()
    facts = machine.describe()
    if machine.busy():
        console.print("others use this machine: trust the ratios only", style="yellow")
    workload = model.build(folder)
    weir = Weir(WEIR, workload, folder)

    def tell(line: str) -> None:
        console.print(line, style="dim", markup=False, highlight=False)

    samples, lives, outcomes = [], [], []
    if "throughput" in parts:
        contestants = _contestants(args.contestant, weir, workload, folder)
        samples = throughput.measure(contestants, workload, _plan(args), tell)
    if "lifecycle" in parts:
        lives = lifecycle.measure(weir, workload, args.repetitions, tell)
    if "replacement" in parts:
        outcomes = replacement.measure(weir, workload, args.replacements, tell)

    figures = [
        *summary.of_throughput(samples),
        *summary.of_ratios(samples),
        *summary.of_lives(lives),
        *summary.of_outcomes(outcomes),
    ]
    table.show(console, facts, figures)
    if args.json is not None:
        measured = {"samples": samples, "lives": lives, "outcomes": outcomes}
        summed = [asdict(one) | {"median": one.median, "reached": one.reached} for one in figures]
        table.write(args.json, {"machine": facts, "figures": summed, **measured})
    return all(figure.reached is not False for figure in figures)


def _contestants(
    names: Sequence[str] | None, weir: Weir, workload: Workload, folder: Path
) -> list[Contestant]:
    everyone: list[Contestant] = [
        Baseline(BASELINE, workload, folder),
        weir,
        Weir(UNRECORDED, workload, folder, recorder=False),
    ]
    return [one for one in everyone if not names or one.name in names]


def _plan(args: argparse.Namespace) -> Plan:
    cores = sorted(os.sched_getaffinity(0))
    if not args.pin:
        return Plan(args.rounds, args.seconds, args.warm)
    if len(cores) < 2:
        message = "--pin needs two cores: one for the load, the others for the servers"
        raise BenchmarkError(message)
    servers, load = frozenset(cores[:-1]), frozenset(cores[-1:])
    return Plan(args.rounds, args.seconds, args.warm, servers, load)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, help="take these figures only; repeatable")
    add(
        "--contestant",
        action="append",
        choices=(BASELINE, WEIR, UNRECORDED),
        help="compare these only; repeatable",
    )
    add("--rounds", type=_count, default=5, help="rounds of throughput and p50 (5)")
    add("--seconds", type=_count, default=6, help="whole seconds of each measured run (6)")
    add("--warm", type=_count, default=2, help="whole seconds of load before it (2)")
    add("--repetitions", type=_count, default=5, help="starts and stops (5)")
    add("--replacements", type=_count, default=3, help="how often each part is replaced (3)")
    add("--pin", action="store_true", help="the load on the last core, servers on the others")
    add("--json", type=Path, metavar="FILE", help="write figures and samples to a file too")
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
