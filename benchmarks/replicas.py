"""Several gateway replicas: how evenly they are loaded, and what clients notice of their changes.

`python -m benchmarks.replicas`: for two and for three replicas short loads on new connections, each
with the share of the processor time that the busiest and the idlest replica took; then, under load,
all replicas are replaced, and one is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx

from benchmarks import answers, client
from benchmarks.client import Tally
from benchmarks.contestants import Running, running
from benchmarks.model import Workload, build
from benchmarks.processes import BenchmarkError
from benchmarks.weir import Weir, alone

CONNECTIONS = 16
LOAD_S = 1.5
LIMIT_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def _weir(workload: Workload, folder: Path, replicas: int) -> Weir:
    name = "weir-" + "i" * replicas
    return Weir(name, alone(workload), folder, hosts={"gateway_replicas": replicas})


class Bench:
    """One gateway with several replicas, under load."""

    def __init__(self, up: Running, workload: Workload, replicas: int) -> None:
        self._up = up
        self._workload = workload
        self._replicas = replicas

    def spread(self) -> list[float]:
        """Give the share of the processor time of each replica, in one load on new connections."""
        before = {pid: _processor_s(pid) for pid in self._pids()}
        asyncio.run(self._under_load(_nothing))
        used = [_processor_s(pid) - spent for pid, spent in before.items()]
        return sorted(seconds / sum(used) for seconds in used)

    def replaced(self) -> str:
        """Replace all replicas under load; gives what the clients noticed."""
        return self._changed("replaced", self._order)

    def killed(self) -> str:
        """Kill one replica under load; gives what the clients noticed."""
        return self._changed("one killed", self._kill)

    def _changed(self, change: str, action: Callable[[set[int]], None]) -> str:
        before = self._pids()

        async def changing() -> None:
            await asyncio.to_thread(action, before)

        began = time.monotonic()
        tally = asyncio.run(self._under_load(changing))
        wait = self._wait_for(lambda now: len(now) == self._replicas and now != before)
        failures = dict(tally.failures) or "none"
        return (
            f"{change}: {tally.requests:,} requests, failures {failures}, longest wait "
            f"{tally.longest_s * 1e3:.0f} ms, closed without notice {tally.silent}, "
            f"all there after {wait - began:.1f} s"
        )

    def _order(self, before: set[int]) -> None:
        order = {"what": "gateway"}
        url = f"{self._up.control}/v1/system:replace"
        httpx.post(url, json=order, timeout=LIMIT_S, trust_env=False).raise_for_status()
        self._wait_for(lambda now: len(now) == self._replicas and not now & before)

    def _kill(self, before: set[int]) -> None:
        """End one of the processes that Weir, started here, names as its own."""
        os.kill(min(before), signal.SIGKILL)
        self._wait_for(lambda now: len(now) == self._replicas and min(before) not in now)

    def _wait_for(self, done: Callable[[set[int]], bool]) -> float:
        limit = time.monotonic() + LIMIT_S
        while not done(self._pids()):
            if time.monotonic() > limit:
                message = f"after {LIMIT_S:g} s the replicas are {self._pids()}"
                raise BenchmarkError(message)
            time.sleep(0.1)
        return time.monotonic()

    async def _under_load(self, change: Callable[[], Awaitable[None]]) -> Tally:
        stop = asyncio.Event()
        path = urlsplit(self._up.infer).path
        drive = client.drive(self._up.http_port, path, self._workload, CONNECTIONS, stop)
        load = asyncio.create_task(drive)
        try:
            await asyncio.sleep(LOAD_S / 2)
            await change()
            await asyncio.sleep(LOAD_S / 2)
        finally:
            stop.set()
            tally = await load
        return tally

    def _pids(self) -> set[int]:
        url = f"{self._up.control}/v1/system/processes"
        answer = httpx.get(url, timeout=LIMIT_S, trust_env=False)
        answer.raise_for_status()
        entries = answer.json()["processes"]
        named = {entry["pid"] for entry in entries if entry["role"] == "gateway"}
        # One that was killed is named until it has been silent for a while.
        return {pid for pid in named if Path(f"/proc/{pid}").exists()}


async def _nothing() -> None:
    """Change nothing."""


def _processor_s(pid: int) -> float:
    """Give the processor time of a process, user and system (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    """Measure, and say what was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicas", type=int, nargs="+", default=[2, 3])
    options.add_argument("--loads", type=int, default=10, help="loads that show the spread")
    options.add_argument("--changes", type=int, default=3, help="changes of each kind")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workload = build(Path(folder))
        for replicas in asked.replicas:
            weir = _weir(workload, Path(folder), replicas)
            with running(weir) as up:
                answers.check(up.infer, workload)
                _report(Bench(up, workload, replicas), asked.loads, asked.changes)


def _report(bench: Bench, loads: int, changes: int) -> None:
    spreads = [bench.spread() for _ in range(loads)]
    medians = [median(shares) for shares in zip(*spreads, strict=True)]
    print(
        f"{len(medians)} replicas, {CONNECTIONS} connections: shares of the processor time "
        f"{' : '.join(f'{share:.0%}' for share in medians)} (medians of {loads} loads), "
        f"the most uneven {' : '.join(f'{share:.0%}' for share in min(spreads))}"
    )
    for _ in range(changes):
        print(bench.replaced())
        print(bench.killed())


if __name__ == "__main__":
    main()
