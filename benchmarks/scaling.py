"""A version gets a second process under load and loses it again, while clients count failures.

`python -m benchmarks.scaling`: a model of 5 ms a row, `hosts.replicas_max: 2`; clients ask in a
closed loop until there are two processes, then seldom until there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks import answers, client
from benchmarks.client import Connection, Tally
from benchmarks.contestants import Running, running
from benchmarks.model import NAME, Workload, build
from benchmarks.processes import BenchmarkError
from benchmarks.slow_model import slowed
from benchmarks.weir import Weir, alone

ROW_S = 0.005
CONNECTIONS = 8
SELDOM_CONNECTIONS = 4
PAUSE_S = 0.1
AFTER_S = 2.0
LIMIT_S = 60.0


def _weir(workload: Workload, folder: Path) -> Weir:
    """Give Weir with one to two processes a version; nothing is refused: these clients can wait."""
    hosts = {"replicas_max": 2, "scale_down_s": 5.0}
    return Weir("weir", alone(workload), folder, wait_target_s=1.0, hosts=hosts)


class Bench:
    """One gateway whose clients ask much and then little."""

    def __init__(self, up: Running, workload: Workload) -> None:
        self._up = up
        self._workload = workload
        self._path = urlsplit(up.infer).path

    async def up(self) -> str:
        """Ask without a pause until there are two processes, and a little longer."""
        stop = asyncio.Event()
        asking = client.drive(self._up.http_port, self._path, self._workload, CONNECTIONS, stop)
        return await self._until(2, stop, asking)

    async def down(self) -> str:
        """Ask seldom until there is one process, and a little longer."""
        stop = asyncio.Event()
        return await self._until(1, stop, self._seldom(stop))

    async def _until(self, processes: int, stop: asyncio.Event, asking: Awaitable[Tally]) -> str:
        load = asyncio.ensure_future(asking)
        began = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=LIMIT_S, trust_env=False) as http:
                while await self._processes(http) != processes:
                    if time.monotonic() - began > LIMIT_S:
                        message = f"not {processes} processes of the version in {LIMIT_S:g} s"
                        raise BenchmarkError(message)
                    await asyncio.sleep(0.1)
            took_s = time.monotonic() - began
            await asyncio.sleep(AFTER_S)
        finally:
            stop.set()
            tally = await load
        return (
            f"to {processes} in {took_s:.1f} s: {tally.requests:,} requests, failures "
            f"{dict(tally.failures) or 'none'}, longest wait {tally.longest_s * 1e3:.0f} ms"
        )

    async def _seldom(self, stop: asyncio.Event) -> Tally:
        tally = Tally()
        questions = client.questions(self._path, self._up.http_port, self._workload)

        async def one() -> None:
            connection = Connection(self._up.http_port, tally)
            while not stop.is_set():
                await client.ask(connection, questions[tally.requests % len(questions)], tally)
                await asyncio.sleep(PAUSE_S)
            connection.close()

        await asyncio.gather(*(one() for _ in range(SELDOM_CONNECTIONS)))
        return tally

    async def _processes(self, http: httpx.AsyncClient) -> int:
        answer = await http.get(f"{self._up.control}/v1/system/processes")
        answer.raise_for_status()
        entries = answer.json()["processes"]
        return sum(entry["role"] == "version" and entry["model"] == NAME for entry in entries)


def main() -> None:
    """Measure, and say what was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=2)
    times: int = options.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload, _ = slowed(build(folder), ROW_S, folder / "slow.onnx")
        with running(_weir(workload, folder)) as up:
            answers.check(up.infer, workload)
            bench = Bench(up, workload)
            for _ in range(times):
                print(asyncio.run(bench.up()))
                print(asyncio.run(bench.down()))


if __name__ == "__main__":
    main()
