"""Replicas hear of keys and versions at once, and never of a state that is past."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from configs.errors import Unavailable
from registry.card import Card, Task
from registry.keys import AccessRole
from registry.records import RouteTable
from serve.control.publisher import Publisher
from serve.control.replicas import Replicas
from tests.registry.models import regressor
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL
from tests.serve.waiting import PATIENCE_S, until


async def test_keys_are_known_and_forgotten_when_the_call_returns(plane: Plane) -> None:
    """Every replica takes a new key, and none takes a revoked one."""
    kept, _ = await plane.control.create_key("kept", AccessRole.CLIENT, None, None, "ada")
    gone, token = await plane.control.create_key("gone", AccessRole.CLIENT, 5.0, None, "ada")
    assert token.digest == gone.digest
    assert all(gateway.key_names() == {"kept", "gone"} for gateway in plane.gateways)

    revoked = await plane.control.revoke_key(gone.id, "ada", "lost")

    assert all(gateway.key_names() == {"kept"} for gateway in plane.gateways)
    assert await plane.control.keys() == (kept, revoked)


@pytest.mark.usefixtures("impatient")
async def test_a_replica_that_does_not_hear_of_a_revoked_key(plane: Plane) -> None:
    """The caller is told that somebody may still take the key."""
    key, _ = await plane.control.create_key("lost", AccessRole.CLIENT, None, None, "ada")
    deaf = plane.gateways[0].table.generation
    plane.gateways[0].task.cancel()

    with pytest.raises(Unavailable, match="is revoked, but not every gateway replica"):
        await plane.control.revoke_key(key.id, "ada", "lost")

    assert plane.gateways[0].table.generation == deaf
    assert plane.registry.table().keys == ()


async def test_what_is_registered_is_known_to_replicas(plane: Plane) -> None:
    """A new version is in their tables when the call returns, also without a route."""
    digest = plane.registry.put_artifact(regressor(4.0).SerializeToString())

    await plane.control.register(MODEL, digest, Card(task=Task.REGRESSION), None, "ada")

    assert all(g.table.registered == {MODEL: (1, 2, 3, 4)} for g in plane.gateways)
    assert all(dict(g.table.models) == {} for g in plane.gateways)


async def test_no_number_stands_for_two_tables_whoever_gives_them(plane: Plane) -> None:
    """A control plane is ended before it commits a change, and the next one commits another."""
    await plane.set(v1=100)
    coming = plane.registry.version(MODEL, 3)
    given: dict[int, RouteTable] = {}

    def give(table: RouteTable) -> None:
        assert given.setdefault(table.generation, table) == table

    for weight in range(1, 9):
        replicas = Replicas(time.monotonic)
        publisher = Publisher(plane.registry, replicas, plane.door)
        await publisher.routes()
        give(replicas.table)
        await publisher.with_versions([coming])
        give(replicas.table)
        replicas = Replicas(time.monotonic)
        publisher = Publisher(plane.registry, replicas, plane.door)
        await publisher.routes()
        give(replicas.table)
        plane.registry.set_route(MODEL, {1: 100 - weight, 2: weight}, None, "ada", "")
        await publisher.routes_meanwhile()
        give(replicas.table)


async def test_more_versions_change_nothing_else_about_a_model(plane: Plane) -> None:
    """Replicas connect to a version that is to come; the route and who is proven stay."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    publisher = Publisher(plane.registry, Replicas(time.monotonic), plane.door)
    before = (await publisher.routes()).models[MODEL]

    coming = plane.registry.version(MODEL, 3)
    after = (await publisher.with_versions([coming])).models[MODEL]

    assert before.proven == {1, 2}
    assert after == replace(before, versions={**before.versions, 3: coming})


async def test_a_key_does_not_disturb_a_change_on_its_way(plane: Plane) -> None:
    """While a version warms up, replicas keep the connection to it, and learn of keys."""
    await plane.set(v1=100)
    late = plane.gateways[1]
    late.unreachable.add(2)
    changing = asyncio.ensure_future(plane.set(v1=90, v2=10))
    await until(lambda: late.versions() == {1, 2}, "version 2 is announced")

    key, _ = await plane.control.create_key("new", AccessRole.CLIENT, None, None, "ada")
    assert late.versions() == {1, 2}
    assert late.key_names() == {"new"}
    await plane.control.revoke_key(key.id, "ada", "")
    assert late.versions() == {1, 2}
    assert late.key_names() == set()
    assert not changing.done()

    late.unreachable.clear()
    await asyncio.wait_for(changing, PATIENCE_S)
    assert plane.weights() == {1: 9000, 2: 1000}


async def test_a_table_from_before_a_revocation_is_not_published_after_it(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that read the registry while a key was valid does not bring the key back."""
    key, _ = await plane.control.create_key("lost", AccessRole.CLIENT, None, None, "ada")
    read, go = threading.Event(), threading.Event()
    whole = plane.registry.table

    def slow() -> RouteTable:
        table = whole()
        if table.models and not read.is_set():
            read.set()
            go.wait(5.0)
        return table

    monkeypatch.setattr(plane.registry, "table", slow)
    changing = asyncio.ensure_future(plane.set(v1=100))
    await until(read.is_set, "the change has read the registry")
    revoking = asyncio.ensure_future(plane.control.revoke_key(key.id, "ada", "lost"))
    await until(lambda: plane.registry.keys()[0].revoked_at is not None, "it is revoked")
    await asyncio.wait([revoking], timeout=0.05)
    go.set()
    await asyncio.wait_for(asyncio.gather(changing, revoking), PATIENCE_S)

    assert all(gateway.key_names() == set() for gateway in plane.gateways)
    assert all(gateway.versions() == {1} for gateway in plane.gateways)


async def test_a_change_before_the_opening_takes_no_route_away(plane: Plane) -> None:
    """A control plane that begins anew never publishes a table without the routes there are."""
    await plane.set(v1=100)
    again = Plane(plane.registry)

    await again.control.create_key("early", AccessRole.CLIENT, None, None, "ada")

    assert again.replicas.table.generation > plane.replicas.table.generation
    assert set(again.replicas.table.models) == {MODEL}
    for gateway in again.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in again.gateways), return_exceptions=True)
