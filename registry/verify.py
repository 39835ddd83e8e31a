"""Checks a model file in a process of its own, so that a hostile file can hurt nobody else."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from configs.errors import Refused
from configs.settings import Verify
from registry.signature import Signature
from registry.verify_child import OUTPUT_MAX_BYTES

_ROOT = Path(__file__).parents[1]
_PATIENCE = 4
"""How many times as long as its processor time a check may take: its priority is low."""
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": str(_ROOT),
    # A pool of threads reserves address space by the gigabyte.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def verify_model(path: Path, limits: Verify) -> Signature:
    """What the model in a file takes and gives, found out by a child process.

    This process never parses the file. Raises `Refused` with a sentence for every file that is no
    servable ONNX model, also when the child crashes, runs out of memory or does not finish.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        try:
            status = subprocess.run(  # noqa: S603 - our own module, no shell
                _command(path, limits),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaints,
                cwd="/",
                env=_ENVIRONMENT,
                timeout=_PATIENCE * limits.time_max_s,
                # Not a session of its own: the system would give it as much as all of the gateway.
                process_group=0,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise _too_slow(limits) from None
        if status != 0:
            raise _crash(status, _tail(complaints), limits)
        return _answer(_tail(output), limits)


def _command(path: Path, limits: Verify) -> list[str]:
    figures = (
        limits.memory_max_bytes,
        math.ceil(limits.time_max_s),
        limits.model_max_bytes,
    )
    module = ["-P", "-s", "-B", "-m", "registry.verify_child"]
    return [sys.executable, *module, str(path.absolute()), *map(str, figures)]


def _tail(file: IO[bytes]) -> bytes:
    """The last of what the child wrote; a child that broke its limits cannot flood us."""
    size = file.seek(0, 2)
    file.seek(max(0, size - OUTPUT_MAX_BYTES))
    return file.read(OUTPUT_MAX_BYTES)


def _answer(output: bytes, limits: Verify) -> Signature:
    try:
        answer = json.loads(output)
        if "refused" in answer:
            raise Refused(str(answer["refused"]))
        if "out_of_memory" in answer:
            raise _too_big(limits)
        return Signature.model_validate(answer["signature"])
    except (ValueError, KeyError, TypeError, ValidationError):
        raise Refused("the check of the model gave no answer that can be read") from None


def _crash(status: int, complaints: bytes, limits: Verify) -> Refused:
    if status == -signal.SIGXCPU:
        return _too_slow(limits)
    if b"bad_alloc" in complaints or b"MemoryError" in complaints:
        return _too_big(limits)
    if status < 0:
        name = signal.Signals(-status).name
        return Refused(f"the model crashed the process that checked it ({name})")
    return Refused(f"the check of the model failed (exit status {status})")


def _too_big(limits: Verify) -> Refused:
    most = limits.memory_max_bytes / 2**30
    return Refused(f"the model needs more than {most:g} GiB (verify.memory_max_bytes)")


def _too_slow(limits: Verify) -> Refused:
    most = limits.time_max_s
    return Refused(f"the check of the model did not finish in {most:g} s (verify.time_max_s)")
