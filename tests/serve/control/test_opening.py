"""A control plane opens once, judges as soon as it can, and tries again what failed."""

from __future__ import annotations

import asyncio

import pytest

from serve.control.opening import Opening
from tests.serve.control.planes import Plane
from tests.serve.waiting import PATIENCE_S, until


async def test_it_is_done_once_for_all_who_ask() -> None:
    """Also once it is done."""
    done: list[str] = []

    async def work() -> None:
        done.append("once")

    opening = Opening(work)
    await asyncio.gather(opening.begun(), opening.begun())
    await opening.begun()

    assert done == ["once"]


async def test_what_failed_is_tried_again() -> None:
    """By the next who asks; whoever waited has heard why it failed."""
    tried: list[str] = []

    async def work() -> None:
        tried.append("once more")
        if len(tried) == 1:
            raise OSError("not yet")

    opening = Opening(work)
    with pytest.raises(OSError, match="not yet"):
        await opening.begun()
    await opening.begun()

    assert len(tried) == 2


async def test_hosts_that_are_slow_to_start_keep_nobody_from_judging(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the first table is told of it, while hosts and the gateway still start."""
    await plane.set(v1=100)
    again = Plane(plane.registry)
    ready, published = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        await ready.wait()

    monkeypatch.setattr(again.fleet, "start_gateway", slow)
    opening = asyncio.ensure_future(again.control.open(published.set))

    await until(published.is_set, "the first table is published")
    assert again.replicas.table.models
    assert not opening.done()
    ready.set()
    await asyncio.wait_for(opening, PATIENCE_S)
    for gateway in again.gateways:
        gateway.task.cancel()


async def test_an_opening_that_failed_leaves_nothing_under_way(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts that still start are waited for, so that a second try does not start them twice."""
    await plane.set(v1=50, v2=50)
    again = Plane(plane.registry)

    async def broken() -> None:
        raise OSError("no gateway")

    monkeypatch.setattr(again.fleet, "start_gateway", broken)
    with pytest.raises(OSError, match="no gateway"):
        await again.control.open()

    assert again.fleet.hosted == plane.fleet.hosted
    for gateway in again.gateways:
        gateway.task.cancel()
