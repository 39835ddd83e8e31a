"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from serve.cli.main import main
from serve.control.client import ControlClient
from tests.control.serving import Api, Stage, running

Weir = Callable[..., Result]


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    """One server for all of these tests."""
    with running() as stage:
        yield stage


@pytest.fixture
def api(stage: Stage) -> Api:
    """A new control API with nothing registered."""
    return stage.new_api()


@pytest.fixture
def weir(api: Api) -> Weir:
    """Runs a `weir` command against the API, as if typed."""

    def run(*args: str) -> Result:
        return CliRunner().invoke(main, [*args, "--url", api.url])

    return run


@pytest.fixture
def two_versions(api: Api) -> Api:
    """Two versions of `credit`, of which the first gets everything."""
    with ControlClient(api.url, "ada") as client:
        for content in (b"one", b"two"):
            client.register("credit", client.upload(content))
        client.set_route("credit", {1: 100}, reason="first")
    return api
