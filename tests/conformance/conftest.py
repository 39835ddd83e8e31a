"""Two gateways for all clients, and what each client said, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import pytest

from serve.control.client import ControlClient
from tests.conformance.models import all_models, register
from tests.conformance.results import Results, run
from tests.conformance.table import Client
from tests.gateway.running import Running, running_gateway


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cases`: how many requests schemathesis should invent, at least, over both documents."""
    parser.addoption("--cases", type=int, default=1000)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with the settings as they come, and every model."""
    with running_gateway(tmp_path_factory.mktemp("closed")) as running:
        with ControlClient(running.control, "ada") as control:
            register(control, all_models())
        yield running


@pytest.fixture(scope="session")
def open_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway whose clients may load and unload its one model."""
    settings = {"repository": {"control": True}}
    with running_gateway(tmp_path_factory.mktemp("open"), settings) as running:
        with ControlClient(running.control, "ada") as control:
            register(control, {"simple": all_models()["simple"]})
        yield running


@pytest.fixture(scope="session")
def addresses(gateway: Running, open_gateway: Running) -> Mapping[str, str]:
    """Where the clients find the two."""
    return {
        "http": gateway.http.removeprefix("http://"),
        "grpc": gateway.grpc,
        "open_http": open_gateway.http.removeprefix("http://"),
        "open_grpc": open_gateway.grpc,
    }


@pytest.fixture(scope="session")
def said(addresses: Mapping[str, str]) -> Callable[[Client], Results]:
    """What a client says of its features; each client runs once."""
    return cache(lambda client: run(client, addresses))
