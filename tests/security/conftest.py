"""A control API that asks for keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.control.serving import Api, Stage, running
from tests.security.callers import shut_door


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    """One server for all of these tests."""
    with running() as stage:
        yield stage


@pytest.fixture
def api(stage: Stage) -> Api:
    """A new control API that asks for keys, with nothing registered."""
    return stage.new_api(shut_door())
