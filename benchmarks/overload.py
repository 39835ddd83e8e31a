"""What becomes of a model that is asked for more than it can answer.

`python -m benchmarks.overload`: a gateway with a model of 5 ms a row, then one with a model of a
few µs; for each its capacity, then half of it, all of it, and two and five times as much.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks import answers, machine
from benchmarks.contestants import running
from benchmarks.model import NAME, Workload, build
from benchmarks.open_loop import Phase, Plan, Summary, ask
from benchmarks.slow_model import slowed
from benchmarks.weir import Weir, alone

ROW_S = 0.005
TIMES = (0.5, 1.0, 2.0, 5.0)
PATH = f"/v2/models/{NAME}/infer"
AFTER_S = 5.0
_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each step takes, in seconds, and how often the capacity is halved in."""

    calm_s: float = 4.0
    step_s: float = 2.5
    load_s: float = 20.0
    bisections: int = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, the rate at which it is surely calm, and the first that may be too much."""

    name: str
    workload: Workload
    calm_rate: float
    first_rate: float


class Bench:
    """One gateway under load."""

    def __init__(self, port: int, subject: Subject, pace: Pace) -> None:
        self._port = port
        self._subject = subject
        self._pace = pace
        self.calm_p99_s = 0.0
        self.capacity = 0.0

    def measure(self) -> list[dict[str, object]]:
        """Find the capacity, then ask for multiples of it."""
        pace, subject = self._pace, self._subject
        self._ask(Phase(subject.first_rate / 2, 2.0))
        (calm,) = self._ask(Phase(subject.calm_rate, pace.calm_s))
        self.calm_p99_s = calm.ok_p99_s
        print(f"{subject.name}: unloaded p50 {_ms(calm.ok_p50_s)}, p99 {_ms(calm.ok_p99_s)}")
        self.capacity = self._find_capacity()
        print(f"{subject.name}: capacity {self.capacity:,.0f} requests/s")
        return [self._load(times) for times in TIMES]

    def _find_capacity(self) -> float:
        """The highest rate with no error and a p99 of at most three times the unloaded one."""
        low, high = self._subject.calm_rate, self._subject.first_rate
        for _ in range(_DOUBLINGS):
            if not self._copes(high):
                break
            low, high = high, 2 * high
        for _ in range(self._pace.bisections):
            middle = (low + high) / 2
            low, high = (middle, high) if self._copes(middle) else (low, middle)
        return low

    def _copes(self, rate: float) -> bool:
        """Whether it does in one of two tries: a neighbour's moment is not the model's limit."""
        return any(self._coped(rate) for _ in range(2))

    def _coped(self, rate: float) -> bool:
        (met,) = self._ask(Phase(rate, self._pace.step_s))
        time.sleep(0.5)
        return met.failed == 0 and met.ok_p99_s <= 3 * self.calm_p99_s

    def _load(self, times: float) -> dict[str, object]:
        pace = self._pace
        load, after = self._ask(
            Phase(times * self.capacity, pace.load_s), Phase(self.capacity / 4, AFTER_S)
        )
        row = self._row(times, load, after)
        print(_line(row))
        return row

    def _row(self, times: float, load: Summary, after: Summary) -> dict[str, object]:
        asked = self.capacity * load.seconds
        return {
            "model": self._subject.name,
            "times capacity": times,
            "answers a second": load.ok / load.seconds,
            "goodput to capacity": load.ok / asked,
            "goodput within 1 s": load.ok_in_1s / asked,
            "accepted p50 ms": 1e3 * load.ok_p50_s,
            "accepted p99 ms": 1e3 * load.ok_p99_s,
            "refused p99 ms": 1e3 * load.refused_p99_s,
            "share refused": load.refused / max(load.due, 1),
            "calm again after s": after.restless_s,
            "not sent": load.unsent,
            "not answered": load.unanswered,
            "refused without Retry-After": load.without_retry_after,
            "client late p99 ms": 1e3 * load.late_p99_s,
            "other": load.other,
            "raw": [asdict(load), asdict(after)],
        }

    def _ask(self, *phases: Phase) -> list[Summary]:
        bodies = str(self._subject.workload.bodies)
        calm_s = max(3 * self.calm_p99_s, 0.02)
        return ask(Plan(self._port, PATH, bodies, phases, calm_s=calm_s))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--json` also writes everything that was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=Pace().load_s, help="of each load")
    parser.add_argument("--only", choices=("slow", "quick"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    print(orjson.dumps(machine.describe()).decode())
    with tempfile.TemporaryDirectory(prefix="weir-overload-") as folder:
        subjects = _subjects(Path(folder))
        told = [
            _measure(subject, Path(folder), Pace(load_s=given.seconds))
            for name, subject in subjects.items()
            if given.only in (None, name)
        ]
    if given.json is not None:
        report = {"machine": machine.describe(), "models": told}
        given.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _subjects(folder: Path) -> dict[str, Subject]:
    quick = build(folder)
    slow, took_s = slowed(quick, ROW_S, folder / "slow.onnx")
    print(f"the slow model takes {_ms(took_s)} a row")
    return {
        "slow": Subject("slow", slow, calm_rate=0.1 / took_s, first_rate=0.8 / took_s),
        "quick": Subject("quick", quick, calm_rate=200.0, first_rate=2000.0),
    }


def _measure(subject: Subject, folder: Path, pace: Pace) -> dict[str, object]:
    with running(Weir(subject.name, alone(subject.workload), folder)) as up:
        answers.check(up.infer, subject.workload)
        bench = Bench(up.http_port, subject, pace)
        rows = bench.measure()
    return {"capacity": bench.capacity, "calm p99 s": bench.calm_p99_s, "loads": rows}


def _line(row: dict[str, object]) -> str:
    shown = []
    for name, value in row.items():
        if isinstance(value, float):
            shown.append(f"{name} {value:,.3g}" if value < 100 else f"{name} {value:,.0f}")
        elif name != "raw":
            shown.append(f"{name} {value}")
    return "  ".join(shown)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


if __name__ == "__main__":
    main()
