"""Run wrk, the load generator, and read what it found."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.processes import BenchmarkError

HERE = Path(__file__).parent
TOOLS = HERE.parent / ".tools" / "usr"
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


def find() -> tuple[str, dict[str, str]]:
    """The command wrk and its environment: from the PATH, else from `.tools/` with its libraries.

    `benchmarks/install-wrk` fills `.tools/`; `BenchmarkError` if wrk is in neither place.
    """
    environment = dict(os.environ)
    on_path = shutil.which("wrk")
    if on_path is not None:
        return on_path, environment
    own = TOOLS / "bin" / "wrk"
    if not own.exists():
        message = "wrk is not on the PATH: run benchmarks/install-wrk, or install it"
        raise BenchmarkError(message)
    libraries = [str(folder) for folder in sorted((TOOLS / "lib").iterdir()) if folder.is_dir()]
    return str(own), environment | {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def run(url: str, bodies: Path, connections: int, seconds: int, script: str = "post.lua") -> Load:
    """Load a URL with the bodies of a file, in turn; one failed request fails the run."""
    wrk, environment = find()
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / script), url, "--", str(bodies)]
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
