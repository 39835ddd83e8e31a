"""One gateway for all tests that leave it as good as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serve.control.client import ControlClient
from tests.gateway.running import Running, running_gateway

QUICK = {
    "monitors": {"signals_s": 0.2, "fold_share": 1.0},
    # Neither a busy machine nor a very quick one must make the monitors miss a row.
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
    # Room for one model: whoever asks another one has it loaded.
    "hosts": {"memory_max_bytes": 2**20},
}


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway in which every test uses a model of its own."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), QUICK) as running:
        yield running


@pytest.fixture(scope="package")
def control(gateway: Running) -> Iterator[ControlClient]:
    """Its control API."""
    with ControlClient(gateway.control, "ada") as client:
        yield client
