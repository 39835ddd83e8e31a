"""Clients in a process of their own that ask all the time, and keep what became of each request.

Requests have moments at which they are due (Poisson arrivals), whether or not the answers come, and
each counts from its moment. Windows are cut from the whole afterwards: clocks of processes agree.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

import orjson
import uvloop

from benchmarks.client import Connection, Tally
from benchmarks.open_loop import quantile
from benchmarks.processes import BenchmarkError
from serve.node.priority import at_once

QUESTIONS = 500
_TIMEOUT_S = 40.0
_TICK_S = 0.001
_WARM_S = 1.0
_READY = b"ready\n"
_SEED = 20240229


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to ask, so many requests a second.

    Every `large_every`th row asks for `large_mib` MiB more than the one before, up to `most_mib`:
    only a model that eats memory minds.
    """

    port: int
    model: str
    rate: float
    large_every: int = 0
    large_mib: int = 0
    most_mib: int = 0


class Asked(NamedTuple):
    """A request: when it was due, how long it took, who answered it, or what was wrong."""

    due: float
    seconds: float
    version: str
    arm: str
    failure: str | None


Window = tuple[float, float]
"""From when to when, by `perf_counter`."""


@dataclass(frozen=True, slots=True)
class Met:
    """What the requests of some windows met; quantiles and the longest in seconds."""

    requests: int
    failures: tuple[str, ...]
    p50_s: float
    p99_s: float
    longest_s: float


class Load:
    """A process that asks until it is stopped."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.isolation.asking"]
        with (folder / "asking.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, orjson.dumps(asdict(plan)).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def wait_until_it_asks(self) -> None:
        """Return when it has begun; on a busy machine that takes a while."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != _READY:
            message = "the clients did not begin"
            raise BenchmarkError(message)

    def stop(self) -> list[Asked]:
        """Wait for what is out, and give all requests; `BenchmarkError` if the process failed."""
        told, _ = self._process.communicate(timeout=_TIMEOUT_S + 20)
        if self._process.returncode != 0:
            message = "the clients failed"
            raise BenchmarkError(message)
        return [Asked(*each) for each in orjson.loads(told)]

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def load(plan: Plan, folder: Path) -> Iterator[Load]:
    """Clients that ask while the block runs, and have asked for a moment when it begins."""
    made = Load(plan, folder)
    try:
        made.wait_until_it_asks()
        sleep(_WARM_S)
        yield made
    finally:
        made.kill()


def within(asked: Iterable[Asked], windows: Sequence[Window]) -> Met:
    """What the requests met that were due in one of some windows."""
    some = [one for one in asked if any(start <= one.due < end for start, end in windows)]
    good = [one.seconds for one in some if one.failure is None]
    return Met(
        len(some),
        tuple(one.failure for one in some if one.failure is not None),
        quantile(good, 0.5),
        quantile(good, 0.99),
        max(good, default=0.0),
    )


class _Clients:
    """Connections, of which one that is free takes the next request, and what was answered."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tally = Tally()
        self._free: list[Connection] = []
        self._bodies: dict[tuple[object, ...], bytes] = {}
        self._head = f"POST /v2/models/{plan.model}/infer HTTP/1.1\r\nHost: weir\r\n"
        self.asked: list[Asked] = []

    async def ask(self, turn: int, due: float) -> None:
        """Ask once."""
        row = self._row(turn)
        connection = self._free.pop() if self._free else Connection(self._plan.port, self._tally)
        version = arm = ""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                status, body = await connection.ask(self._request(row))
            failure = None if status == 200 else f"{status} {body[:120].decode(errors='replace')}"
            if failure is None:
                version, arm, failure = self._read(row, body)
            self._free.append(connection)
        except (OSError, EOFError) as error:  # a time-out is an OSError
            failure = type(error).__name__
            connection.close()
        self.asked.append(Asked(due, perf_counter() - due, version, arm, failure))

    def _row(self, turn: int) -> tuple[int, ...]:
        plan = self._plan
        size = 0
        if plan.large_every and turn % plan.large_every == 0:
            size = min(plan.large_mib * (turn // plan.large_every), plan.most_mib)
        return (turn % QUESTIONS, 2, size, 1)

    def _request(self, row: tuple[int, ...]) -> bytes:
        data = [float(value) for value in row]
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, len(row)], "data": data}
        body = orjson.dumps({"inputs": [tensor]})
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _read(self, row: tuple[int, ...], body: bytes) -> tuple[str, str, str | None]:
        """Who answered, and what is wrong: another number, or other bytes than another time."""
        told = orjson.loads(body)
        version, arm = told["model_version"], told["parameters"]["weir_arm"]
        if told["outputs"][0]["data"] != [sum(row) + 1]:
            return version, arm, f"a wrong answer: {told['outputs'][0]['data']}"
        bare = body.replace(told["parameters"]["weir_prediction_id"].encode(), b"")
        if self._bodies.setdefault((row, version, arm), bare) != bare:
            return version, arm, "other bytes than before"
        return version, arm, None


async def _drive(plan: Plan) -> list[Asked]:
    clients, draw, turn = _Clients(plan), random.Random(_SEED), 0  # noqa: S311 - no secrets
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stopped.set)), daemon=True
    ).start()
    out: set[asyncio.Task[None]] = set()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    due = perf_counter()
    while not stopped.is_set():
        while due <= perf_counter():
            task = loop.create_task(clients.ask(turn, due))
            out.add(task)
            task.add_done_callback(out.discard)
            turn += 1
            due += draw.expovariate(plan.rate)
        await asyncio.sleep(min(_TICK_S, max(due - perf_counter(), 0.0)))
    if out:
        await asyncio.wait(out)
    return clients.asked


def main() -> None:
    """Ask until standard input ends; print what became of every request as JSON."""
    at_once()
    plan = Plan(**orjson.loads(sys.argv[1]))
    asked = uvloop.run(_drive(plan))
    sys.stdout.buffer.write(orjson.dumps([[*one] for one in asked]))


if __name__ == "__main__":
    main()
