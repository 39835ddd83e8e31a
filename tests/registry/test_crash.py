"""A registry that is killed at any moment has every change that it acknowledged."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from configs.settings import Verify
from registry.card import Card, Task
from registry.registry import Registry
from tests.registry import models

ROOT = Path(__file__).parents[2]
KILLS = 24

WRITER = """
import sys
from pathlib import Path
from configs.settings import Verify
from registry.registry import Registry

registry = Registry.open(Path(sys.argv[1]), Verify())
print("ready", flush=True)
number = 0
while True:
    number += 1
    share = number % 99 + 1
    route = registry.set_route("credit", {1: 100 - share, 2: share}, None, "writer", str(number))
    print("route", route.generation, flush=True)
    if number % 5 == 0:
        print("artifact", registry.put_artifact(b"x" * 100_000 + str(number).encode()), flush=True)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a model of two versions."""
    registry = Registry.open(tmp_path / "data", Verify())
    for bias in (1.0, 2.0):
        digest = registry.put_artifact(models.regressor(bias).SerializeToString())
        registry.register("credit", digest, Card(task=Task.REGRESSION), None, "ada")
    registry.close()
    return tmp_path / "data"


def _write_until_killed(data: Path, seconds: float) -> list[str]:
    """What a writer acknowledged before it was killed, some time after it was ready."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + seconds
        lines: list[str] = []
        # A disk may take longer for one change than there is time.
        while len(lines) < 2 or time.monotonic() < deadline:
            lines.append(writer.stdout.readline())
        writer.kill()
        lines += writer.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(data: Path) -> None:
    """After each kill every acknowledged route and file is there and the log is whole."""
    random = np.random.default_rng(20260101)
    generations: list[int] = []
    for _ in range(KILLS):
        lines = _write_until_killed(data, random.uniform(0.0, 0.1))
        registry = Registry.open(data, Verify())
        route = registry.route("credit")
        for kind, value in (line.split() for line in lines):
            if kind == "artifact":
                assert len(registry.read_artifact(value)) > 100_000
            else:
                generations.append(int(value))
        assert (route.generation if route else 0) >= max(generations, default=0)
        assert registry.verify_audit() is None
        sequences = [entry.sequence for entry in registry.audit(limit=10**6)]
        assert sequences == list(range(1, len(sequences) + 1))
        # Two versions were registered; all other entries are routes.
        assert len(sequences) == 2 + (route.generation if route else 0)
        registry.close()
    assert len(generations) > KILLS
    assert len(set(generations)) == len(generations)
    with closing(sqlite3.connect(data / "registry.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    shutil.rmtree(data)
