"""Fixtures of the control API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from serve.control.client import ControlClient
from tests.control.serving import Api, Stage, running


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
def http(api: Api) -> Iterator[httpx.Client]:
    """A plain HTTP client of the API."""
    with httpx.Client(base_url=api.url, trust_env=False) as client:
        yield client


@pytest.fixture
def client(api: Api) -> Iterator[ControlClient]:
    """Weir's own client of the API, acting as ada."""
    with ControlClient(api.url, "ada") as client:
        yield client


@pytest.fixture
def two_versions(client: ControlClient) -> ControlClient:
    """The client, after two versions of `credit` were registered and the first got everything."""
    for content in (b"one", b"two"):
        client.register("credit", client.upload(content))
    client.set_route("credit", {1: 100})
    return client
