"""A gateway that could not hold its connections does not start."""

from __future__ import annotations

import subprocess
import sys

_ASK = """
import resource, sys
from configs.errors import StartError
from serve.node.descriptors import allow_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000))
try:
    allow_connections(int(sys.argv[1]))
except StartError as error:
    print(error.message)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def _allowed(connections: int) -> str:
    """What a process says that may have 64 files open, and 1000 if it asks."""
    return subprocess.run(
        [sys.executable, "-c", _ASK, str(connections)], capture_output=True, text=True, check=True
    ).stdout


def test_as_many_files_as_the_system_allows() -> None:
    """The limit is raised as far as it can be without being root."""
    assert _allowed(700) == "(1000, 1000)\n"


def test_connections_that_do_not_fit() -> None:
    """The sentence names the setting, the limit, and what would fit."""
    said = _allowed(800)

    assert "limits.connections_max is 800" in said
    assert "only 1000 files" in said
    assert "744 at most" in said
