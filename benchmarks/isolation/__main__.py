"""What bad candidates cost users, on a real gateway: `python -m benchmarks.isolation [part ...]`.

Parts are `registration`, `canary`, `staged`, `shadow`, `sleeper`, `cycles` and `rollouts`, all by
default; docs/isolation.md says what they show.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.isolation import figures, models
from benchmarks.isolation.asking import Met
from benchmarks.isolation.stage import Stage, stage
from benchmarks.isolation.trials import (
    Candidate,
    Trial,
    as_canary,
    as_shadow,
    at_registration,
    candidates,
    ratio,
)

DEADLINE_S = 10.0
PARTS = ("registration", "canary", "staged", "shadow", "sleeper", "cycles", "rollouts")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, and print tables."""
    args = _parser().parse_args(arguments)
    print(f"{machine.describe()}\n", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="weir-isolation-") as folder,
        stage(Path(folder), args.replicas, args.deadline) as up,
    ):
        for part in args.part or PARTS:
            _take(part, up, args)


def _take(part: str, up: Stage, args: argparse.Namespace) -> None:
    wanted = [one for one in candidates() if not args.only or args.only in one.name]
    print(f"## {part}\n", flush=True)
    if part == "registration":
        for name, model in models.at_once().items():
            print(f"| {name} | {at_registration(up, name.split()[0], model)} |", flush=True)
    elif part in ("canary", "staged"):
        staged = part == "staged"
        print(_CANARY)
        _each(
            wanted,
            lambda number, one: _canary(as_canary(up, one, number, args.rounds, shadow=staged)),
        )
    elif part == "shadow":
        print(_SHADOW)
        _each(wanted, lambda number, one: _shadow(as_shadow(up, one, number, args.rounds)))
    elif part == "sleeper":
        print(figures.sleeper(up, args.turns), flush=True)
    elif part == "cycles":
        print(figures.cycles(up, args.cycles), flush=True)
    else:
        print(figures.rollouts(up, args.rollouts), flush=True)
    print(flush=True)


def _each(wanted: list[Candidate], row: Callable[[int, Candidate], str]) -> None:
    for number, one in enumerate(wanted):
        print(row(number, one), flush=True)


_CANARY = (
    "| candidate | requests | failed | fell back | p50, p99 in shadow | p50, p99 as canary "
    "| longest | copies dropped | out after | its memory | the rollout said |\n" + "|---" * 11 + "|"
)
_SHADOW = (
    "| candidate | requests | failed | p50, p99 | longest | copies sent, failed, dropped "
    "| its memory |\n" + "|---" * 7 + "|"
)


def _canary(trial: Trial) -> str:
    counts = trial.counts
    back = ", ".join(f"{seconds:.0f}" for seconds in trial.back_s)
    return _row(
        trial.name,
        f"{trial.requests:,}",
        _failed(trial),
        f"{counts.get('canary failed', 0):.0f}",
        _beside(trial.shadowed, trial.quiet),
        _beside(trial.canary, trial.quiet),
        _longest([*trial.canary, *trial.shadowed]),
        f"{counts.get('copies dropped', 0):.0f}",
        f"{back} s",
        f"{trial.most_mib:,.0f} MiB",
        " / ".join(Counter(trial.ends)),
    )


def _shadow(trial: Trial) -> str:
    copies = (trial.counts.get(f"copies {end}", 0) for end in ("sent", "failed", "dropped"))
    return _row(
        trial.name,
        f"{trial.requests:,}",
        _failed(trial),
        _beside(trial.shadowed, trial.quiet),
        _longest(trial.shadowed),
        ", ".join(f"{count:.0f}" for count in copies),
        f"{trial.most_mib:,.0f} MiB",
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _failed(trial: Trial) -> str:
    kinds = Counter(trial.failures).most_common(3)
    return str(len(trial.failures)) + "".join(f"; {count} x {kind}" for kind, count in kinds)


def _beside(of: list[Met], quiet: list[Met]) -> str:
    if not of:
        return "-"
    p50, p99 = (ratio(of, quiet, each) for each in (lambda met: met.p50_s, lambda met: met.p99_s))
    return f"{p50:.2f}, {p99:.2f}"


def _longest(met: list[Met]) -> str:
    return f"{max((one.longest_s for one in met), default=0.0):.2f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    add = parser.add_argument
    add("part", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    add("--only", help="a part of a candidate's name")
    add("--rounds", type=int, default=3, help="rounds of each candidate (3)")
    add("--replicas", type=int, default=1, help="gateway replicas (1)")
    add("--deadline", type=float, default=DEADLINE_S, help="limits.deadline_s (10)")
    add("--turns", type=int, default=40, help="turns with and without the sleeping shadow (40)")
    add("--cycles", type=int, default=100, help="promotions and rollbacks (100)")
    add("--rollouts", type=int, default=20, help="rollouts that are promoted and aborted (20)")
    return parser


if __name__ == "__main__":
    main()
