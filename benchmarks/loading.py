"""What live traffic feels of a large model that is registered and promoted beside it.

`python -m benchmarks.loading`: a small model is asked in an open loop at a share of what it can
answer; meanwhile a large one, of another name, is registered and promoted, again and again. Each
time the p99 of the small one is taken before, while it registers, and while it loads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import orjson

from benchmarks import answers, big_model, machine
from benchmarks.contestants import running
from benchmarks.model import NAME, Workload, build, card
from benchmarks.open_loop import Phase, Plan, Summary, ask, quantile
from benchmarks.processes import BenchmarkError
from benchmarks.weir import Weir, alone
from registry.card import Card
from serve.control.client import ControlClient

TARGET = 1.3
PATH = f"/v2/models/{NAME}/infer"
_BIG = "large"
_FIRST_RATE = 500.0
_DOUBLINGS = 8
_MARGIN = 3.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """The size of the model in megabytes, the share of the capacity that is asked, and seconds."""

    megabytes: float
    share: float
    quiet_s: float
    rest_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """The p99 of the small model, in seconds, in each window, and how long the large one took."""

    quiet_p99_s: float
    register_p99_s: float
    load_p99_s: float
    register_s: float
    load_s: float
    failed: int
    late_p99_s: float


class Bench:
    """One gateway with the small model under load."""

    def __init__(
        self, port: int, control: ControlClient, workload: Workload, folder: Path, pace: Pace
    ) -> None:
        self._port = port
        self._control = control
        self._workload = workload
        self._folder = folder
        self._pace = pace
        self._rate = 0.0
        self._span_s = 0.0
        self._number = 0

    def find_rate(self) -> float:
        """The share of the highest rate that is answered with a p99 of thrice the unloaded one."""
        (calm, *_) = self._ask([Phase(_FIRST_RATE, 2.0)])
        rate = _FIRST_RATE
        for _ in range(_DOUBLINGS):
            (met,) = self._ask([Phase(rate * 2, 2.0)])
            if met.failed or met.ok_p99_s > 3 * calm.ok_p99_s:
                break
            rate *= 2
        self._rate = rate * self._pace.share
        return self._rate

    def rehearse(self) -> None:
        """Register and promote one large model without load: so long the load must last."""
        with self._large() as (name, file):
            (began, ended), _ = _spent(lambda: self._bring(name, file))
        self._span_s = _MARGIN * (ended - began)

    def round(self) -> Round:
        """Ask all the time; be quiet, then register a large model, then promote it."""
        pace = self._pace
        phases = [Phase(self._rate, pace.quiet_s + pace.rest_s + self._span_s)]
        with self._large() as (name, file), ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self._ask, phases, each=True)
            time.sleep(pace.rest_s)
            quiet, _ = _spent(lambda: time.sleep(pace.quiet_s))
            register, version = _spent(lambda: self._register(name, file))
            load, _ = _spent(lambda: self._promote(name, version))
            (met,) = asking.result()
        if load[1] > max(due for due, _ in met.each):
            message = "loading took so long that the load had ended"
            raise BenchmarkError(message)
        return Round(
            quiet_p99_s=_p99(met, quiet),
            register_p99_s=_p99(met, register),
            load_p99_s=_p99(met, load),
            register_s=register[1] - register[0],
            load_s=load[1] - load[0],
            failed=met.failed,
            late_p99_s=met.late_p99_s,
        )

    @contextmanager
    def _large(self) -> Iterator[tuple[str, Path]]:
        """The name and file of a model that nobody has seen; it is served no longer after."""
        self._number += 1
        name = f"{_BIG}_{self._number}"
        file = self._folder / f"{name}.onnx"
        big_model.write(file, self._pace.megabytes, seed=self._number)
        yield name, file
        self._control.unload(name)
        file.unlink()
        time.sleep(self._pace.rest_s)

    def _bring(self, name: str, file: Path) -> None:
        self._promote(name, self._register(name, file))

    def _promote(self, name: str, version: int) -> None:
        self._control.promote(name, version, "benchmark")

    def _register(self, name: str, file: Path) -> int:
        artifact = self._control.upload(file)
        made = self._control.register(name, artifact, Card.model_validate(card()))
        return made.version.version

    def _ask(self, phases: list[Phase], *, each: bool = False) -> list[Summary]:
        bodies = str(self._workload.bodies)
        return ask(Plan(self._port, PATH, bodies, phases, each=each))


def _spent(work: Callable[[], T]) -> tuple[tuple[float, float], T]:
    """Do something; gives from when to when, by the system's monotonic clock, and what came out."""
    began = time.perf_counter()
    result = work()
    return (began, time.perf_counter()), result


def _p99(met: Summary, window: tuple[float, float]) -> float:
    """The 99th percentile of the latency, in seconds, of the requests due within a window."""
    begin, end = window
    return quantile([took for due, took in met.each if begin <= due < end], 0.99)


def measure(megabytes: float, rounds: int, share: float) -> list[Round]:
    """Start a gateway, and go through a first round, which does not count, and the others."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as name:
        folder = Path(name)
        workload = build(folder)
        with running(Weir("weir", alone(workload), folder)) as up:
            answers.check(up.infer, workload)
            with ControlClient(up.control, actor="benchmark") as control:
                pace = Pace(megabytes, share, quiet_s=5.0)
                bench = Bench(up.http_port, control, workload, folder, pace)
                print(f"asking {bench.find_rate():,.0f} requests/s")
                bench.rehearse()
                return [_told(bench.round()) for _ in range(rounds)]


def _told(one: Round) -> Round:
    print(
        f"p99 quiet {_ms(one.quiet_p99_s)}, registering {_ms(one.register_p99_s)} "
        f"({one.register_s:.1f} s), loading {_ms(one.load_p99_s)} ({one.load_s:.1f} s); "
        f"{one.failed} failed, client late {_ms(one.late_p99_s)}",
        flush=True,
    )
    return one


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def main() -> None:
    """Measure, print a table, and with --check fail when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=300.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.3, help="of the capacity that is asked")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args()
    rounds = measure(wanted.megabytes, wanted.rounds, wanted.share)
    ratios = {
        "registering": [one.register_p99_s / one.quiet_p99_s for one in rounds],
        "loading": [one.load_p99_s / one.quiet_p99_s for one in rounds],
    }
    for what, values in ratios.items():
        each = ", ".join(f"{value:.2f}" for value in values)
        print(f"p99 while {what} to quiet: median {statistics.median(values):.2f} ({each})")
    if wanted.json:
        told = {"machine": machine.describe(), "rounds": [asdict(one) for one in rounds]}
        wanted.json.write_bytes(orjson.dumps(told | ratios, option=orjson.OPT_INDENT_2))
    if wanted.check and any(statistics.median(values) > TARGET for values in ratios.values()):
        raise SystemExit(f"the p99 rises by more than {TARGET}")


if __name__ == "__main__":
    main()
