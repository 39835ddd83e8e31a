"""A gateway's links, and hosts for them, that end with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from serve.models.host import Host
from tests.serve.models.linked import Gateway, kill
from tests.serve.versions import host

Started = Callable[..., Awaitable[Host]]
BOTH_WAYS = pytest.mark.parametrize("inside", [False, True], ids=["by-socket", "inside"])
"""For tests of what is the same whether the first host is reached by a socket or inside."""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """The gateway's side, looking for replicas of version 1."""
    made = Gateway(tmp_path)
    yield made
    await made.links.close()


@pytest.fixture
def inside() -> bool:
    """Whether the first host is inside this process: there can be one."""
    return False


@pytest.fixture
async def start(tmp_path: Path, inside: bool) -> AsyncIterator[Started]:
    """Starts hosts of version 1, all of which end with the test."""
    hosts: list[Host] = []

    async def started(**how: object) -> Host:
        place = inside and not hosts
        hosts.append(await host(tmp_path, 1, inside=place, **how))  # type: ignore[arg-type]
        return hosts[-1]

    yield started
    for opened in hosts:
        kill(opened)
