"""A client that asks at the rate it was told, whether or not the answers come.

A closed loop slows down with the server and so hides its overload. Here every request has a moment
at which it is due (Poisson arrivals), and its latency counts from then, also if it left late.
It runs as a process of its own: `python -m benchmarks.open_loop '<plan as JSON>'`.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import cast

import orjson
import uvloop

from benchmarks.processes import BenchmarkError
from serve.node.priority import at_once

_TICK_S = 0.001
_PATIENCE_S = 40.0
_SEED = 20240229


@dataclass(frozen=True, slots=True)
class Phase:
    """So many requests a second for so long."""

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to ask what, in which phases, over at most so many connections.

    `calm_s` is the latency that counts as undisturbed, for `Met.restless_s`. With `each`, every
    good answer is told of, not their quantiles only.
    """

    port: int
    path: str
    bodies: str
    phases: Sequence[Phase]
    connections: int = 3000
    calm_s: float = 1.0
    each: bool = False


@dataclass(slots=True)
class Met:
    """What a phase met; latencies in seconds, `refused` are answers with status 503.

    `unsent` had no free connection, `unanswered` got nothing, `late_s` is how far behind its own
    schedule the client sent 1 % of the requests. `restless_s` is when the last request was due
    that was not answered well and within `calm_s`, from the beginning of the phase. `ok_due` says
    when each of `ok_s` was due, by the system's monotonic clock.
    """

    due: int = 0
    unsent: int = 0
    unanswered: int = 0
    ok_in_1s: int = 0
    other: Counter[str] = field(default_factory=Counter)
    ok_s: list[float] = field(default_factory=list)
    ok_due: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    late: list[float] = field(default_factory=list)
    restless_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of a phase; see `Met`. `each` has when a request was due and its latency."""

    rate: float
    seconds: float
    due: int
    unsent: int
    unanswered: int
    ok: int
    ok_in_1s: int
    refused: int
    without_retry_after: int
    other: dict[str, int]
    ok_p50_s: float
    ok_p99_s: float
    refused_p99_s: float
    late_p99_s: float
    restless_s: float
    each: list[tuple[float, float]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many were not answered well."""
        return self.due - self.ok


def ask(plan: Plan) -> list[Summary]:
    """Carry out a plan in a process of its own; `BenchmarkError` if that process fails."""
    limit_s = sum(phase.seconds for phase in plan.phases) + _PATIENCE_S + 20
    command = [sys.executable, "-m", "benchmarks.open_loop", orjson.dumps(asdict(plan)).decode()]
    done = subprocess.run(command, capture_output=True, check=False, timeout=limit_s)
    if done.returncode != 0:
        message = f"the open loop failed: {done.stderr.decode(errors='replace')[-500:]}"
        raise BenchmarkError(message)
    return [Summary(**told) for told in orjson.loads(done.stdout)]


class _Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request out."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._out: tuple[Met, float, float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, met: Met, due: float, began: float) -> None:
        """Ask; `due` and `began` (of the phase) are readings of the clock."""
        assert self._transport is not None
        self._out = (met, due, began)
        met.late.append(perf_counter() - due)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        end = data.find(b"\r\n\r\n")
        if end < 0 or self._out is None:
            return
        head = data[:end].lower()
        length = head.find(b"content-length:")
        line_end = head.find(b"\r\n", length)
        size = int(head[length + 15 : line_end if line_end > 0 else end])
        if len(data) < end + 4 + size:
            return
        self._received = b""
        (met, due, began), self._out = self._out, None
        if head[9:12] == b"200":
            met.ok_due.append(due)
        _note(met, head, perf_counter() - due, due - began, self._load.calm_s)
        self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._out is not None:
            (met, due, began), self._out = self._out, None
            met.unanswered += 1
            met.restless_s = max(met.restless_s, due - began)
        self._load.gone(self)


def _note(met: Met, head: bytes, seconds: float, when: float, calm_s: float) -> None:
    status = head[9:12]
    if status == b"200":
        met.ok_s.append(seconds)
        met.ok_in_1s += seconds <= 1.0
    elif status == b"503":
        met.refused_s.append(seconds)
        met.without_retry_after += b"\r\nretry-after:" not in head
    else:
        met.other[status.decode()] += 1
    if status != b"200" or seconds > calm_s:
        met.restless_s = max(met.restless_s, when)


class _Load:
    """The connections, and who is free."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, Met, float, float]] = deque()
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self.calm_s = plan.calm_s
        self.outstanding = 0

    def send(self, request: bytes, met: Met, due: float, began: float) -> None:
        """Send on a free connection, on a new one, or not at all."""
        met.due += 1
        if self._free:
            self.outstanding += 1
            self._free.pop().send(request, met, due, began)
        elif self._open < self._plan.connections:
            self.outstanding += 1
            self._waiting.append((request, met, due, began))
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            met.unsent += 1
            met.restless_s = max(met.restless_s, due - began)

    def free(self, connection: _Connection) -> None:
        """A connection has its answer."""
        self.outstanding -= 1
        self._use(connection)

    def gone(self, connection: _Connection) -> None:
        """A connection is closed; what was out on it will not be answered."""
        self._open -= 1
        if connection in self._free:
            self._free.remove(connection)
        else:
            self.outstanding -= 1

    def _use(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self._plan.port
            )
        except OSError:
            self._open -= 1
            if self._waiting:
                self.outstanding -= 1
                self._waiting.popleft()[1].unanswered += 1
            return
        self._use(made)


async def _drive(plan: Plan, requests: Sequence[bytes]) -> list[Summary]:
    load = _Load(plan)
    draw = random.Random(_SEED)  # noqa: S311 - arrivals, not secrets
    mets = [Met() for _ in plan.phases]
    turn = 0
    for phase, met in zip(plan.phases, mets, strict=True):
        began = perf_counter()
        due = began + draw.expovariate(phase.rate)
        while due < began + phase.seconds:
            while due <= perf_counter():
                load.send(requests[turn % len(requests)], met, due, began)
                turn += 1
                due += draw.expovariate(phase.rate)
            await asyncio.sleep(min(_TICK_S, max(due - perf_counter(), 0.0)))
    last = perf_counter() + _PATIENCE_S
    while load.outstanding and perf_counter() < last:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return [
        _summary(phase, met, each=plan.each) for phase, met in zip(plan.phases, mets, strict=True)
    ]


def _summary(phase: Phase, met: Met, *, each: bool) -> Summary:
    answered = len(met.ok_s) + len(met.refused_s) + met.other.total() + met.unsent
    return Summary(
        rate=phase.rate,
        seconds=phase.seconds,
        due=met.due,
        unsent=met.unsent,
        unanswered=met.due - answered,
        ok=len(met.ok_s),
        ok_in_1s=met.ok_in_1s,
        refused=len(met.refused_s),
        without_retry_after=met.without_retry_after,
        other=dict(met.other),
        ok_p50_s=quantile(met.ok_s, 0.5),
        ok_p99_s=quantile(met.ok_s, 0.99),
        refused_p99_s=quantile(met.refused_s, 0.99),
        late_p99_s=quantile(met.late, 0.99),
        restless_s=met.restless_s,
        each=list(zip(met.ok_due, met.ok_s, strict=True)) if each else [],
    )


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share of the values stays below; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def _request(plan: Plan, body: bytes) -> bytes:
    head = (
        f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Carry out the plan given as JSON; print what was met as JSON.

    Clients have machines of their own; one that shares the server's must not wait for a processor.
    """
    at_once()
    told = orjson.loads(sys.argv[1])
    told["phases"] = [Phase(**phase) for phase in told["phases"]]
    plan = Plan(**told)
    requests = [_request(plan, line) for line in Path(plan.bodies).read_bytes().splitlines()]
    summaries = uvloop.run(_drive(plan, requests))
    print(orjson.dumps([asdict(summary) for summary in summaries]).decode())


if __name__ == "__main__":
    main()
