"""Run wrk, the load generator for HTTP, and read what it found."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks import tools
from benchmarks.processes import BenchmarkError

HERE = Path(__file__).parent
ERRORS = ("connect", "read", "write", "timeout", "status")


@dataclass(frozen=True, slots=True)
class Load:
    """One closed-loop run without a single failed request; latencies in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def requests_per_s(self) -> float:
        """The throughput."""
        return self.requests / self.seconds


def run(
    url: str,
    bodies: Sequence[str],
    connections: int,
    seconds: int,
    threads: int = 1,
    script: str = "post.lua",
) -> Load:
    """Load a URL; `bodies` are the arguments of the script. One failed request fails the run."""
    wrk, environment = tools.find("wrk")
    command = [wrk, f"-t{min(threads, connections)}", f"-c{connections}", f"-d{seconds}s"]
    command += ["--latency", "--timeout", "10s", "-s", str(HERE / script), url, "--", *bodies]
    done = subprocess.run(
        command, env=environment, capture_output=True, check=False, timeout=seconds + 30
    )
    if done.returncode != 0:
        message = f"wrk failed: {done.stderr.decode(errors='replace').strip()}"
        raise BenchmarkError(message)
    return read(done.stdout)


def read(output: bytes) -> Load:
    """What `post.lua` has printed on the last line; `BenchmarkError` for a run with failures."""
    outcome = orjson.loads(output.splitlines()[-1])
    failures = {kind: outcome[kind] for kind in ERRORS if outcome[kind]}
    if failures or not outcome["requests"]:
        message = f"a run with failed requests: {failures} of {outcome['requests']}"
        raise BenchmarkError(message)
    return Load(
        requests=outcome["requests"],
        seconds=outcome["seconds"],
        p50_us=outcome["p50_us"],
        p99_us=outcome["p99_us"],
    )
