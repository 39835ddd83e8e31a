"""A model is unloaded when no replica routes to it, and loaded when all do."""

from __future__ import annotations

import asyncio

import pytest

from configs.errors import Conflict, Refused
from registry.records import FULL
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL
from tests.serve.waiting import PATIENCE_S, until


async def test_unload_and_load(plane: Plane) -> None:
    """Hosts end when no replica routes to them; loading brings all of the route back."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.control.set_route(MODEL, {2: 100}, (3, 50), "ada", "look at 3")

    away = await plane.control.unload(MODEL, "ada", "not needed")

    assert not away.served
    assert plane.fleet.hosted == set()
    assert all(gateway.versions() == set() for gateway in plane.gateways)
    assert await plane.control.ready()

    back = await asyncio.wait_for(plane.control.load(MODEL, "ada", "needed"), PATIENCE_S)

    assert (back.served, back.stable, back.previous) == (True, 2, 1)
    assert {(MODEL, 2), (MODEL, 3)} <= plane.gateways[0].connected()
    assert plane.fleet.hosted == {(MODEL, 1), (MODEL, 2), (MODEL, 3)}
    warm = frozenset(plane.fleet.hosted)
    await until(lambda: plane.replicas.are_settled(warm), "version 1 is warm again")
    assert await plane.control.ready()


async def test_loading_a_model_that_was_never_served(plane: Plane) -> None:
    """Its latest version is hosted and reached when the call returns."""
    await asyncio.wait_for(plane.control.load(MODEL, "ada", ""), PATIENCE_S)

    assert plane.weights() == {3: FULL}
    assert all(gateway.connected() == {(MODEL, 3)} for gateway in plane.gateways)


async def test_loading_what_is_served_does_nothing(plane: Plane) -> None:
    """Neither hosts nor tables nor the log are touched."""
    await plane.set(v1=100)
    plane.fleet.log.clear()
    before = plane.replicas.table.generation, plane.registry.audit()

    assert await plane.control.load(MODEL, "ada", "") == plane.registry.route(MODEL)

    assert (plane.replicas.table.generation, plane.registry.audit()) == before
    assert plane.fleet.log == []


@pytest.mark.usefixtures("impatient")
async def test_loading_what_does_not_start(plane: Plane) -> None:
    """The error says so, and the model stays unloaded."""
    await plane.set(v1=60, v2=40)
    await plane.control.unload(MODEL, "ada", "")
    plane.fleet.refuses.add(2)

    with pytest.raises(Refused, match="did not start"):
        await plane.control.load(MODEL, "ada", "")

    route = plane.registry.route(MODEL)
    assert route is not None
    assert not route.served
    assert plane.fleet.hosted == set()


async def test_a_split_of_an_unloaded_model_serves_it(plane: Plane) -> None:
    """The version before is started too, to be warm for a rollback."""
    await plane.set(v1=100)
    await plane.control.unload(MODEL, "ada", "")
    with pytest.raises(Conflict, match="load it first"):
        await plane.control.rollback(MODEL, "ada", "")
    assert plane.fleet.hosted == set()

    await plane.set(v2=100)

    assert plane.fleet.hosted == {(MODEL, 1), (MODEL, 2)}
    await plane.control.rollback(MODEL, "ada", "worse")
    assert plane.weights() == {1: FULL}
