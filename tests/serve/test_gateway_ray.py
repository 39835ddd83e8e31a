"""A gateway replica leaves soon, whatever becomes of the control plane."""

from __future__ import annotations

import asyncio
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from configs.settings import Limits, Settings
from serve.node.loop_thread import LoopThread
from tests.serve.waiting import PATIENCE_S, until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray Serve's own, while it is imported.
    from serve import gateway_ray


class Hanging:
    """A control plane that answers nobody, and what it was asked."""

    def __init__(self) -> None:
        self.reports: list[object] = []
        self.gone = SimpleNamespace(remote=lambda _replica: None)
        self.report = SimpleNamespace(remote=self._asked)

    def _asked(self, reports: object) -> asyncio.Future[None]:
        self.reports.append(reports)
        return asyncio.get_running_loop().create_future()


class Leaving(gateway_ray.GatewayReplica):
    """A replica that has something to tell, as far as it takes one to leave."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._name = "gateway-1"
        self._settings = Settings()
        self._following = loop.create_task(asyncio.sleep(0))
        self._reporting = loop.create_task(asyncio.sleep(0))
        self._thread = LoopThread("weir-edge")
        self._gateway: Any = SimpleNamespace(reports=lambda: ("counts",))
        self.shipped = False
        self._shipper: Any = SimpleNamespace(stop=self._ship)

    def _ship(self, _timeout_s: float) -> None:
        self.shipped = True

    async def _drain(self, limits: Limits) -> None:
        del limits

    def close(self) -> None:
        """End the thread of one that did not get to leave."""
        self._thread.stop(1.0)

    leave = gateway_ray.GatewayReplica.__del__

    def __del__(self) -> None:  # type: ignore[override]
        """Leave only when told to."""


async def test_leaving_does_not_wait_for_a_control_plane_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told what was counted last, and has a second to take it."""
    control = Hanging()
    ray = SimpleNamespace(get_actor=lambda _name, namespace: control)  # noqa: ARG005
    monkeypatch.setattr(gateway_ray, "ray", ray)
    replica = Leaving()

    async with asyncio.timeout(PATIENCE_S):
        await replica.leave()

    assert control.reports == [("counts",)]
    assert replica.shipped


async def test_what_was_recorded_does_not_wait_for_the_last_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray Serve's patience may end before the control plane's."""
    control = Hanging()
    ray = SimpleNamespace(get_actor=lambda _name, namespace: control)  # noqa: ARG005
    monkeypatch.setattr(gateway_ray, "ray", ray)
    monkeypatch.setattr(gateway_ray, "_LAST_REPORTED_S", 60.0)
    replica = Leaving()

    leaving = asyncio.create_task(replica.leave())
    await until(lambda: replica.shipped, "the shipper has stopped")

    assert not leaving.done()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    replica.close()
