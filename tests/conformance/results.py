"""Runs a client's program and reads what it says of each feature."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.installing import folder_of
from tests.conformance.table import Client

_CHECKOUT = Path(__file__).parents[2]
_DEADLINE_S = 300.0
_VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one feature; `detail` says what went wrong."""

    ok: bool
    detail: str


Results = Mapping[str, Result]
"""What one client said, by feature."""


def run(client: Client, addresses: Mapping[str, str]) -> Results:
    """Try all features of a client; it must end by itself, and in order."""
    module = f"tests.conformance.clients.{client.program}"
    said = _python(client, "-m", module, json.dumps(addresses))
    lines = [json.loads(line) for line in said.splitlines()]
    return {line["name"]: Result(line["ok"], line["detail"]) for line in lines}


def version(client: Client) -> str:
    """The version of the client that is installed."""
    return _python(client, "-c", _VERSION, client.package).strip()


def _python(client: Client, *arguments: str) -> str:
    """What a Python process in the client's environment prints."""
    environment = client.environment
    python = Path(sys.executable) if environment is None else folder_of(environment) / "python"
    done = subprocess.run(
        [str(python), *arguments],
        cwd=_CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(_CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
