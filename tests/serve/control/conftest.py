"""Fixtures of the control plane's tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from configs.settings import Verify
from registry.card import Card, Task
from registry.registry import Registry
from serve.control import plane as module
from tests.registry.models import regressor
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL

LIMITS = Verify(model_max_bytes=2**20)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three versions, verified once."""
    folder = tmp_path_factory.mktemp("template") / "data"
    registry = Registry.open(folder, LIMITS)
    for bias in (1.0, 2.0, 3.0):
        digest = registry.put_artifact(regressor(bias).SerializeToString())
        registry.register(MODEL, digest, Card(task=Task.REGRESSION), None, "ada")
    registry.close()
    return folder


@pytest.fixture
async def plane(template: Path, tmp_path: Path) -> AsyncIterator[Plane]:
    """A control plane with three versions and no route, open."""
    shutil.copytree(template, tmp_path / "data")
    made = Plane(Registry.open(tmp_path / "data", LIMITS))
    await made.control.open()
    yield made
    await made.control.close()
    for gateway in made.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in made.gateways), return_exceptions=True)
    made.registry.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas get little time to connect, but enough where they can."""
    monkeypatch.setattr(module, "_SETTLE_S", 2.0)
