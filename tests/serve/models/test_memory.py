"""A version's process takes no more memory than it may, and lives on."""

from __future__ import annotations

import subprocess
import sys

_CHILD = """
import numpy as np
from benchmarks.isolation.models import eating
from configs.errors import ModelFailed
from registry.trial import try_model
from serve.models.memory import limit_growth
from serve.models.session import Session

MIB = 2**20
session = Session(eating(), try_model(eating()), threads=1)
{limit}
for mib in (512, 1):
    try:
        print(session.run([np.array([[0, 0, mib, 1]], np.float32)])[0].tolist())
    except ModelFailed:
        print("failed")
"""

_HOLDING = """
import mmap
import resource
from serve.models.memory import is_spent, limit_growth

MIB = 2**20
{limit}
print(is_spent())
if resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY:
    held = mmap.mmap(-1, 63 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    print(is_spent())
    held.close()
    print(is_spent())
"""


def test_a_run_that_takes_too_much_memory_fails_alone() -> None:
    """The process goes on, and what needs less is answered; without a limit both are."""
    assert _told("limit_growth(256 * MIB)") == ["failed", "[[3.0]]"]
    assert _told("") == ["[[514.0]]", "[[3.0]]"]


def test_a_process_whose_memory_is_spent_says_so() -> None:
    """What it keeps counts, and what it has given back does not; nothing without a limit."""
    assert _told("", _HOLDING) == ["False"]
    assert _told("limit_growth(64 * MIB)", _HOLDING) == ["False", "True", "False"]


def _told(limit: str, child: str = _CHILD) -> list[str]:
    """What the child prints, which limits itself so."""
    command = [sys.executable, "-c", child.replace("{limit}", limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
