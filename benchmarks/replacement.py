"""Replace parts of a running Weir under load, and count what its clients notice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from benchmarks import answers, client
from benchmarks.contestants import Running, running
from benchmarks.model import NAME, Workload
from benchmarks.processes import BenchmarkError
from benchmarks.weir import Weir

CONNECTIONS = 16
SETTLE_S = 1.5
LIMIT_S = 60.0
CHANGES = ("gateway replaced", "version replaced", "version killed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients noticed of one change: failures by kind, seconds, and closed connections.

    `took_s` is the time from the order until the processes of the role are all others.
    """

    change: str
    requests: int
    failures: dict[str, int]
    longest_s: float
    took_s: float
    announced: int
    silent: int


def measure(
    weir: Weir, workload: Workload, times: int, tell: Callable[[str], None]
) -> list[Outcome]:
    """Make every change so many times on one running Weir, each under a load of its own."""
    outcomes = []
    with running(weir) as up:
        answers.check(up.infer, workload)
        for number in range(times):
            for change in CHANGES:
                outcome = asyncio.run(_one(up, workload, change))
                tell(
                    f"{number + 1} of {times}: {change}, {outcome.requests:,} requests, "
                    f"{sum(outcome.failures.values())} failed, "
                    f"longest wait {outcome.longest_s * 1e3:,.0f} ms"
                    + "".join(f", {kind}: {n}" for kind, n in outcome.failures.items())
                )
                outcomes.append(outcome)
    return outcomes


async def _one(up: Running, workload: Workload, change: str) -> Outcome:
    path = urlsplit(up.infer).path
    stop = asyncio.Event()
    async with httpx.AsyncClient(base_url=up.control, timeout=LIMIT_S, trust_env=False) as control:
        load = asyncio.create_task(client.drive(up.http_port, path, workload, CONNECTIONS, stop))
        try:
            await asyncio.sleep(SETTLE_S)
            took_s = await _change(control, change)
            await asyncio.sleep(SETTLE_S)
        finally:
            stop.set()
            tally = await load
    return Outcome(
        change=change,
        requests=tally.requests,
        failures=dict(tally.failures),
        longest_s=tally.longest_s,
        took_s=took_s,
        announced=tally.announced,
        silent=tally.silent,
    )


async def _change(control: httpx.AsyncClient, change: str) -> float:
    """Order one change and wait until it has really happened; gives the seconds."""
    role, action = _ACTIONS[change]
    before = await _pids(control, role)
    if not before:
        message = f"Weir names no process of the role {role}"
        raise BenchmarkError(message)
    begin = time.monotonic()
    await action(control, before)
    while True:
        now = await _pids(control, role)
        if len(now) >= len(before) and not now & before:
            return time.monotonic() - begin
        if time.monotonic() - begin > LIMIT_S:
            message = f"{change}: after {LIMIT_S:g} s the processes are {now}, before {before}"
            raise BenchmarkError(message)
        await asyncio.sleep(0.05)


async def _pids(control: httpx.AsyncClient, role: str) -> set[int]:
    answer = await control.get("/v1/system/processes")
    answer.raise_for_status()
    return {
        entry["pid"]
        for entry in answer.json()["processes"]
        if entry["role"] == role and (role == "gateway" or entry["model"] == NAME)
    }


async def _replace_gateway(control: httpx.AsyncClient, _: set[int]) -> None:
    await _replace(control, {"what": "gateway"})


async def _replace_version(control: httpx.AsyncClient, _: set[int]) -> None:
    await _replace(control, {"what": "version", "model": NAME, "version": 1})


async def _replace(control: httpx.AsyncClient, body: dict[str, str | int]) -> None:
    answer = await control.post("/v1/system:replace", json=body)
    if answer.is_error:
        message = f"Weir will not replace {body}: {answer.status_code} {answer.text[:200]}"
        raise BenchmarkError(message)


async def _kill_version(_: httpx.AsyncClient, pids: set[int]) -> None:
    """The processes are Weir's own word, and descend from the `weir up` started here."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


_Action = Callable[[httpx.AsyncClient, set[int]], Awaitable[None]]
_ACTIONS: dict[str, tuple[str, _Action]] = {
    "gateway replaced": ("gateway", _replace_gateway),
    "version replaced": ("version", _replace_version),
    "version killed": ("version", _kill_version),
}
