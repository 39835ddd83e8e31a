"""What it costs to serve many models, of which few are hot.

`python -m benchmarks.models`: gateways with 1, 20 and 200 small models in a shared host; how long
they take to be ready, what they take when idle, what a first request waits for, and what a request
costs while 1, 20 or all of them are asked, and while most of them do not fit in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
import yaml

from benchmarks import machine, wrk
from benchmarks.many_models import Asked, build, check, write_lines
from benchmarks.processes import Process, end, family, free_ports, start, wait_until
from benchmarks.weir import COMMAND

CONNECTIONS = 32
HOT = 20
START_LIMIT_S = 180.0
COLD_SHARE = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many models, for how many seconds each load runs, and how often."""

    counts: tuple[int, ...]
    seconds: int
    rounds: int
    idle_s: float
    shared: int
    memory_mib: int
    tight_mib: int


@dataclass(frozen=True, slots=True)
class Up:
    """A gateway that is ready."""

    pid: int
    url: str
    control: str
    ready_s: float

    def processes(self) -> list[Process]:
        """All its processes."""
        return family(self.pid)

    def processor_s(self) -> float:
        """The processor time that its processes have used so far."""
        return sum(_processor_s(process.pid) for process in self.processes())

    def memory_mib(self) -> float:
        """The memory of its processes; what several share is divided among them."""
        return sum(_proportional_kib(process.pid) for process in self.processes()) / 1024


@contextmanager
def gateway(folder: Path, name: str, memory_mib: int, plan: Plan) -> Iterator[Up]:
    """A gateway over the data folder of this name."""
    http_port, control_port = free_ports(2)
    config = folder / f"{name}.yaml"
    listen = {"http_port": http_port, "grpc_port": 0, "control_port": control_port}
    hosts = {"shared": plan.shared, "memory_max_bytes": memory_mib * 2**20}
    config.write_text(yaml.safe_dump({"listen": listen, "hosts": hosts}), encoding="utf-8")
    command = [*COMMAND, "up", "--config", str(config), "--data", str(folder / name)]
    begin = time.monotonic()
    server = start(command, folder / f"{name}.log")
    control = f"http://127.0.0.1:{control_port}"
    try:
        wait_until("readiness", lambda: _is_ready(f"{control}/health/ready"), START_LIMIT_S)
        ready_s = time.monotonic() - begin
        yield Up(server.pid, f"http://127.0.0.1:{http_port}", control, ready_s)
    finally:
        end(server, 30.0)


def first_requests(up: Up, asked: Sequence[Asked]) -> list[float]:
    """Ask every model once, one after the other; gives the milliseconds of each right answer."""
    took = []
    with httpx.Client(base_url=up.url, trust_env=False, timeout=30) as client:
        client.get("/v2/health/live")
        for each in asked:
            begin = time.perf_counter()
            answer = client.post(each.path, content=each.line)
            took.append(1e3 * (time.perf_counter() - begin))
            check(each, answer)
    return took


def load(up: Up, lines: Path, plan: Plan, connections: int = CONNECTIONS) -> dict[str, float]:
    """Load the gateway with requests of a file in turn; medians over the rounds."""
    rates, costs, p50s, p99s = [], [], [], []
    for _ in range(plan.rounds):
        before = up.processor_s()
        done = wrk.run(up.url, [str(lines)], connections, plan.seconds, script="post_paths.lua")
        costs.append(1e6 * (up.processor_s() - before) / done.requests)
        rates.append(done.requests_per_s)
        p50s.append(done.p50_us / 1e3)
        p99s.append(done.p99_us / 1e3)
    medians = {"requests/s": rates, "cpu us/request": costs, "p50 ms": p50s, "p99 ms": p99s}
    return {name: statistics.median(values) for name, values in medians.items()}


def shelf_counts(up: Up) -> dict[str, float]:
    """What the shared hosts say on the page of metrics."""
    time.sleep(1.5)
    page = httpx.get(f"{up.control}/metrics", trust_env=False, timeout=30).text
    found = {}
    for line in page.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("weir_shelf") and "bucket" not in name:
            found[name.removeprefix("weir_shelf_")] = float(value)
    return found


def mixed(asked: Sequence[Asked]) -> list[Asked]:
    """20 hot models, and now and then one of all the others."""
    chance = np.random.default_rng(11)
    hot, cold = asked[:HOT], asked[HOT:]
    return [
        cold[int(chance.integers(len(cold)))] if chance.random() < COLD_SHARE else hot[turn % HOT]
        for turn in range(5000)
    ]


def measure(folder: Path, plan: Plan) -> Iterator[dict[str, object]]:
    """All rows, as they are measured."""
    for count in plan.counts:
        name = f"of-{count}"
        asked = build(folder / name, count)
        with gateway(folder, name, plan.memory_mib, plan) as up:
            yield {"models": count, "what": "start", **_at_rest(up, plan)}
            yield {"models": count, "what": "first request", **_spread(first_requests(up, asked))}
            yield {"models": count, "what": "loaded", "memory MiB": up.memory_mib()}
            for hot in sorted({1, min(HOT, count), count}):
                lines = write_lines(folder / "lines", asked[:hot])
                for connections in (1, CONNECTIONS):
                    what = f"{hot} asked over {connections}"
                    yield {"models": count, "what": what, **load(up, lines, plan, connections)}
            yield {"models": count, "what": "idle again", **_idle(up, plan), **shelf_counts(up)}
        if count > HOT:
            with gateway(folder, name, plan.tight_mib, plan) as up:
                first_requests(up, asked)
                lines = write_lines(folder / "lines", mixed(asked))
                share = f"{HOT} hot, {COLD_SHARE:.0%} cold, {plan.tight_mib} MiB"
                yield {"models": count, "what": share, **load(up, lines, plan)}
                yield {"models": count, "what": "missed", **_spread(first_requests(up, asked))}
                yield {"models": count, "what": "then", **shelf_counts(up)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print every row as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[1, 20, 200])
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=5.0, help="seconds of doing nothing")
    parser.add_argument("--shared", type=int, default=1, help="shared hosts; 0 for none")
    parser.add_argument("--memory", type=int, default=1024, help="MiB for models of a shared host")
    parser.add_argument("--tight", type=int, default=50, help="MiB where models do not fit")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    plan = Plan(
        tuple(given.models),
        given.seconds,
        given.rounds,
        given.idle,
        given.shared,
        given.memory,
        given.tight,
    )
    rows = []
    with tempfile.TemporaryDirectory(prefix="models-") as folder:
        for row in measure(Path(folder), plan):
            rows.append(row)
            print("  ".join(f"{name} {_shown(value)}" for name, value in row.items()), flush=True)
    if given.json is not None:
        given.json.write_bytes(orjson.dumps({"machine": machine.describe(), "rows": rows}))


def _at_rest(up: Up, plan: Plan) -> dict[str, object]:
    return {
        "ready s": up.ready_s,
        "processes": len(up.processes()),
        "memory MiB": up.memory_mib(),
        **_idle(up, plan),
    }


def _idle(up: Up, plan: Plan) -> dict[str, object]:
    """The processor time that doing nothing takes, as a share of one core."""
    time.sleep(1.0)
    before = up.processor_s()
    time.sleep(plan.idle_s)
    return {"idle core %": 100 * (up.processor_s() - before) / plan.idle_s}


def _spread(values: list[float]) -> dict[str, object]:
    ordered = sorted(values)
    return {
        "p50 ms": statistics.median(ordered),
        "p90 ms": ordered[int(0.9 * (len(ordered) - 1))],
        "max ms": ordered[-1],
    }


def _shown(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _processor_s(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _proportional_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    (line,) = (line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()
