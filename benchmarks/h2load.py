"""Run h2load, the load generator for gRPC, and read what it found.

h2load sees the HTTP/2 status, not gRPC's own in the trailers, so the bytes of the answers are
counted too: a call that fails has none.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import tools
from benchmarks.answers import GRPC_METHOD
from benchmarks.processes import BenchmarkError
from benchmarks.wrk import Load

_STREAMS = 4
_REQUESTS = re.compile(
    r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored"
)
_BYTES = re.compile(r"\((\d+)\) data")


def run(address: str, frame: Path, calls: int, seconds: int, answer_bytes: int) -> Load:
    """Keep so many unary calls out, four to a connection; one that fails fails the run.

    `answer_bytes` is the least that the body of an answer has.
    """
    h2load, environment = tools.find("h2load")
    streams = min(_STREAMS, calls)
    with tempfile.TemporaryDirectory(prefix="h2load-") as folder:
        log = Path(folder) / "log"
        command = [h2load, f"-c{calls // streams}", f"-m{streams}", f"-D{seconds}"]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += ["-d", str(frame), f"--log-file={log}", f"http://{address}{GRPC_METHOD}"]
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=seconds + 30,
        )
        if done.returncode != 0:
            message = f"h2load failed: {(done.stderr or done.stdout).strip()}"
            raise BenchmarkError(message)
        latencies = [int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines()]
    return read(done.stdout, latencies, seconds, answer_bytes)


def read(output: str, latencies_us: list[int], seconds: int, answer_bytes: int) -> Load:
    """What h2load has printed; `BenchmarkError` for a run with failures."""
    counts, carried = _REQUESTS.search(output), _BYTES.search(output)
    if counts is None or carried is None:
        message = f"h2load says nothing of its requests: {output[-300:]}"
        raise BenchmarkError(message)
    _, _, succeeded, failed, errored = map(int, counts.groups())
    if failed or errored or not succeeded:
        message = f"a run with failed calls: {failed} failed, {errored} errored of {succeeded}"
        raise BenchmarkError(message)
    if int(carried[1]) < succeeded * answer_bytes:
        message = f"{succeeded} calls brought {carried[1]} bytes: some have failed"
        raise BenchmarkError(message)
    p50, p99 = np.percentile(latencies_us, [50, 99])
    return Load(succeeded, float(seconds), float(p50), float(p99))
