"""A thousand clients that trickle are cut off, and a good client hardly notices them."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import orjson
import pytest

from benchmarks.client import Connection, Tally
from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, register, tensor
from tests.gateway.running import CHECKOUT, Running, running_gateway
from tests.registry import models

pytestmark = pytest.mark.hostile
COUNT = 1000
CLOSED_S = 10.0
WORSE = 1.5
_MODEL = "steady"
_ROUNDS = 3
_QUIET_S = 5.0
_PAUSE_S = 0.004
_READER_ROWS = 1200


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with usual limits and one model."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        with ControlClient(gateway.control, "ada") as control:
            register(control, _MODEL, models.regressor())
            control.set_route(_MODEL, {1: 100})
        yield gateway


class Good:
    """A client that asks at a steady pace, and how long each answer took."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._took: list[float] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()))
        self._thread.start()

    def took(self) -> list[float]:
        """Give the seconds of the answers since this was asked last."""
        took, self._took = self._took, []
        return took

    def stop(self) -> None:
        """Leave."""
        self._stop.set()
        self._thread.join()

    async def _ask(self) -> None:
        connection = Connection(self._port, Tally())
        body = orjson.dumps({"inputs": [tensor([[1.0, 2.0, 3.0]])]})
        head = (
            f"POST {infer_path(_MODEL)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        while not self._stop.is_set():
            began = time.perf_counter()
            status, _ = await connection.ask(head.encode() + body)
            self._took.append(time.perf_counter() - began)
            assert status == 200
            await asyncio.sleep(_PAUSE_S)
        connection.close()


@contextmanager
def good_client(gateway: Running) -> Iterator[Good]:
    """A good client while the block runs."""
    client = Good(gateway.http_port)
    try:
        yield client
    finally:
        client.stop()


def _attack(gateway: Running, kind: str) -> dict[str, float]:
    rows = _READER_ROWS if kind == "reader" else 1
    arguments = [str(gateway.http_port), kind, str(COUNT), infer_path(_MODEL), str(rows)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.trickle", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT)},
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("kind", ["head", "body", "reader"])
def test_a_thousand_slow_clients(served: Running, kind: str) -> None:
    """Each is cut off within 10 s, and the p99 of a good client stays within 1.5 of before."""
    rounds: list[tuple[float, float]] = []
    with good_client(served) as good:
        time.sleep(1.0)
        for _ in range(_ROUNDS):
            good.took()
            time.sleep(_QUIET_S)
            quiet = good.took()
            result = _attack(served, kind)
            rounds.append((_p99_ms(quiet), _p99_ms(good.took())))
            assert result["closed"] == COUNT
            assert result["longest_s"] <= CLOSED_S
    worse = statistics.median(beside / quiet for quiet, beside in rounds)

    print(
        f"\n{kind}: {COUNT} closed, the last after {result['longest_s']:.1f} s; a good client's "
        f"p99 in ms, without and beside: {'; '.join(f'{a:.2f} {b:.2f}' for a, b in rounds)}: "
        f"{worse:.2f}x"
    )
    assert worse <= WORSE


def _p99_ms(took: list[float]) -> float:
    return float(np.quantile(took, 0.99)) * 1e3
