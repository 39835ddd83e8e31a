"""Fixtures of the tests of rollouts."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from configs.settings import Verify
from registry.card import Card, Task
from registry.registry import Registry
from tests.registry.models import regressor
from tests.serve.rollout.conducting import Clock, Stand
from tests.serve.versions import MODEL

LIMITS = Verify(model_max_bytes=2**20)


@pytest.fixture(scope="package")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two versions, of which the first has all traffic."""
    folder = tmp_path_factory.mktemp("rollouts") / "data"
    registry = Registry.open(folder, LIMITS)
    for bias in (1.0, 2.0):
        digest = registry.put_artifact(regressor(bias).SerializeToString())
        registry.register(MODEL, digest, Card(task=Task.REGRESSION), None, "ada")
    registry.promote(MODEL, 1, "ada", "first")
    registry.close()
    return folder


@pytest.fixture
async def stand(two_versions: Path, tmp_path: Path) -> AsyncIterator[Stand]:
    """A conductor that has looked at nothing yet."""
    shutil.copytree(two_versions, tmp_path / "data")
    clock = Clock()
    made = Stand(Registry.open(tmp_path / "data", LIMITS, clock), clock)
    yield made
    await made.conductor.close()
    made.registry.close()
