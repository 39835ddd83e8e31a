"""A controller that is killed anywhere in a rollout is followed by one that goes on with it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from configs.settings import Verify
from registry.card import Card, Task
from registry.registry import Registry
from tests.registry.models import regressor
from tests.serve.control.crashing import NAMED
from tests.serve.versions import MODEL

ROOT = Path(__file__).parents[3]
KILLS = 288


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a registry of two versions, of which the first serves."""
    with closing(Registry.open(tmp_path / "data", Verify())) as registry:
        for bias in (1.0, 2.0):
            digest = registry.put_artifact(regressor(bias).SerializeToString())
            registry.register(MODEL, digest, Card(task=Task.REGRESSION), None, "ada")
        registry.promote(MODEL, 1, "ada", "first")
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_anywhere_it_goes_on_from_what_was_committed_last(folder: Path) -> None:
    """Whole rollouts that end well, by harm, by an order and by being taken back, over 288 kills.

    Each life begins with the last route, with an audit entry for each change and none besides, and
    with evidence that holds what it was folded from once. In the end everything has been told.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.serve.control.crashing", str(folder), str(KILLS)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *places, states = done.stdout.splitlines()

    assert len(places) == KILLS
    within = Counter(place.split()[1] for place in places)
    assert len(within.keys() & set(NAMED)) > 6, "where others see what it does"
    # Which ones is for threads to say: so there are more kills than are needed for it.
    assert len(within) > 60, "and in many other places"
    ended = dict(each.rsplit("=", 1) for each in states.split(","))
    assert int(ended["completed"]) > 3
    assert int(ended["rolled back"]) > 3
