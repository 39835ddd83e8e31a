"""Every change goes host first, pointer second, clean-up last, and a failed one changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from configs.errors import Conflict, PreconditionFailed, Refused, Unavailable, VersionNotFound
from configs.settings import Verify
from registry.card import Card, Task
from registry.keys import AccessRole
from registry.records import FULL, RouteTable
from registry.registry import Registry
from serve.control import plane as module
from tests.registry.models import regressor
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL
from tests.serve.waiting import until

LIMITS = Verify(model_max_bytes=2**20)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three versions, verified once."""
    folder = tmp_path_factory.mktemp("template") / "data"
    registry = Registry.open(folder, LIMITS)
    for bias in (1.0, 2.0, 3.0):
        digest = registry.put_artifact(regressor(bias).SerializeToString())
        registry.register(MODEL, digest, Card(task=Task.REGRESSION), None, "ada")
    registry.close()
    return folder


@pytest.fixture
async def plane(template: Path, tmp_path: Path) -> AsyncIterator[Plane]:
    """A control plane with three versions and no route, open."""
    shutil.copytree(template, tmp_path / "data")
    made = Plane(Registry.open(tmp_path / "data", LIMITS))
    await made.control.open()
    yield made
    for gateway in made.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in made.gateways), return_exceptions=True)
    made.registry.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas get little time to connect."""
    monkeypatch.setattr(module, "_SETTLE_S", 0.3)


async def test_the_first_route(plane: Plane) -> None:
    """When the first route is set its version is hosted, reached by all, and ready."""
    await asyncio.wait_for(plane.set(v1=100), 5.0)

    assert plane.weights() == {1: FULL}
    assert all(gateway.connected() == {(MODEL, 1)} for gateway in plane.gateways)
    assert await plane.control.ready()


async def test_the_pointer_moves_last(plane: Plane) -> None:
    """The registry changes only when every replica is connected to the new version."""
    await plane.set(v1=100)
    late = plane.gateways[1]
    late.unreachable.add(2)
    changing = asyncio.ensure_future(plane.set(v1=90, v2=10))
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert plane.weights() == {1: FULL}
    assert (MODEL, 2) in plane.gateways[0].connected()

    late.unreachable.clear()
    await asyncio.wait_for(changing, 5.0)

    assert plane.weights() == {1: 9000, 2: 1000}
    assert all(gateway.versions() == {1, 2} for gateway in plane.gateways)


@pytest.mark.usefixtures("impatient")
async def test_a_replica_that_never_connects(plane: Plane) -> None:
    """The change is `Unavailable`; route, table and hosts are as they were."""
    await plane.set(v1=100)
    plane.gateways[1].unreachable.add(2)

    with pytest.raises(Unavailable, match="credit 2; nothing changed"):
        await plane.set(v1=90, v2=10)

    assert plane.weights() == {1: FULL}
    assert set(plane.replicas.table.models[MODEL].versions) == {1}
    assert plane.fleet.hosted == {(MODEL, 1)}
    await plane.set(v1=50, v3=50)
    assert plane.weights() == {1: 5000, 3: 5000}


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_does_not_start(plane: Plane) -> None:
    """The error says so; route, table and hosts are as they were."""
    await plane.set(v1=100)
    plane.fleet.refuses.add(2)

    with pytest.raises(Refused, match="did not start"):
        await plane.set(v1=80, v2=10, v3=10)

    assert plane.weights() == {1: FULL}
    assert set(plane.replicas.table.models[MODEL].versions) == {1}
    assert plane.fleet.hosted == {(MODEL, 1)}


async def test_a_change_that_the_registry_refuses(plane: Plane) -> None:
    """Somebody else was first: nothing changes and the hosts that were started end."""
    await plane.set(v1=100)

    with pytest.raises(PreconditionFailed):
        await plane.control.set_route(MODEL, {2: 100}, None, "ada", "why", if_generation=7)

    assert plane.weights() == {1: FULL}
    assert plane.fleet.hosted == {(MODEL, 1)}
    assert set(plane.replicas.table.models[MODEL].versions) == {1}


async def test_unknown_versions_start_nothing(plane: Plane) -> None:
    """A version that is not registered is found out before anything is started."""
    await plane.set(v1=100)
    plane.fleet.log.clear()

    with pytest.raises(VersionNotFound):
        await plane.set(v1=50, v9=50)

    assert plane.fleet.log == []


async def test_hosts_that_no_route_names_are_ended(plane: Plane) -> None:
    """The version before stays warm for a rollback; the one before that is ended."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    assert plane.fleet.hosted == {(MODEL, 1), (MODEL, 2)}

    await plane.control.promote(MODEL, 3, "ada", "better still")

    assert plane.fleet.hosted == {(MODEL, 2), (MODEL, 3)}
    assert plane.fleet.log[-1] == "stop 1"


async def test_rollback(plane: Plane) -> None:
    """The pointer goes back to the version that was kept warm; a second one has nowhere to go."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")

    await plane.control.rollback(MODEL, "ada", "worse")

    assert plane.weights() == {1: FULL}
    assert plane.fleet.hosted == {(MODEL, 1)}
    with pytest.raises(Conflict):
        await plane.control.rollback(MODEL, "ada", "again")


@pytest.mark.usefixtures("impatient")
async def test_a_rollback_does_not_need_what_it_does_not_use(plane: Plane) -> None:
    """Ending a canary goes to stable alone, even when an older version cannot start any more."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.set(v2=90, v3=10)
    plane.fleet.refuses.add(1)

    await plane.control.rollback(MODEL, "ada", "the canary is bad")

    assert plane.weights() == {2: FULL}


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

    back = await asyncio.wait_for(plane.control.load(MODEL, "ada", "needed"), 5.0)

    assert (back.served, back.stable, back.previous) == (True, 2, 1)
    assert {(MODEL, 2), (MODEL, 3)} <= plane.gateways[0].connected()
    assert plane.fleet.hosted == {(MODEL, 1), (MODEL, 2), (MODEL, 3)}
    warm = frozenset(plane.fleet.hosted)
    await until(lambda: plane.replicas.are_settled(warm), "version 1 is warm again", 2.0)
    assert await plane.control.ready()


async def test_loading_a_model_that_was_never_served(plane: Plane) -> None:
    """Its latest version is hosted and reached when the call returns."""
    await asyncio.wait_for(plane.control.load(MODEL, "ada", ""), 5.0)

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


async def test_a_key_does_not_disturb_a_change_on_its_way(plane: Plane) -> None:
    """While a version warms up, replicas keep the connection to it, and learn of keys."""
    await plane.set(v1=100)
    late = plane.gateways[1]
    late.unreachable.add(2)
    changing = asyncio.ensure_future(plane.set(v1=90, v2=10))
    await until(lambda: late.versions() == {1, 2}, "version 2 is announced", 2.0)

    key, _ = await plane.control.create_key("new", AccessRole.CLIENT, None, None, "ada")
    assert late.versions() == {1, 2}
    assert late.key_names() == {"new"}
    await plane.control.revoke_key(key.id, "ada", "")
    assert late.versions() == {1, 2}
    assert late.key_names() == set()
    assert not changing.done()

    late.unreachable.clear()
    await asyncio.wait_for(changing, 5.0)
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
    await until(read.is_set, "the change has read the registry", 2.0)
    revoking = asyncio.ensure_future(plane.control.revoke_key(key.id, "ada", "lost"))
    await until(lambda: plane.registry.keys()[0].revoked_at is not None, "it is revoked", 2.0)
    await asyncio.wait([revoking], timeout=0.05)
    go.set()
    await asyncio.wait_for(asyncio.gather(changing, revoking), 5.0)

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


async def test_a_shadow_is_hosted_too(plane: Plane) -> None:
    """A version that answers nobody still needs a host, and is waited for."""
    await plane.set(v1=100)

    await plane.control.set_route(MODEL, {1: 100}, (2, 50), "ada", "look at 2")

    assert plane.fleet.hosted == {(MODEL, 1), (MODEL, 2)}
    assert all((MODEL, 2) in gateway.connected() for gateway in plane.gateways)


async def test_changes_take_turns(plane: Plane) -> None:
    """Concurrent changes happen one after the other, and the last one is what serves."""
    await plane.set(v1=100)
    plane.fleet.most_starting = 0

    await asyncio.gather(*(plane.set(v1=100 - n, v2=n) for n in (10, 20, 30)))

    assert plane.weights() == {1: 7000, 2: 3000}
    assert plane.fleet.most_starting <= 2
    generations = [entry.action for entry in plane.registry.audit(0, 100)]
    assert generations.count("set-route") == 4
    table = plane.replicas.table.models[MODEL].route
    assert table == plane.registry.route(MODEL)


async def test_opening_again_brings_up_what_was_routed(plane: Plane) -> None:
    """After a restart the last committed route is what is hosted and served."""
    await plane.set(v1=60, v2=40)
    again = Plane(plane.registry)
    await again.control.open()

    assert again.fleet.hosted == {(MODEL, 1), (MODEL, 2)}
    assert "start gateway" in again.fleet.log
    for gateway in again.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in again.gateways), return_exceptions=True)


async def test_opening_with_a_host_that_fails(plane: Plane) -> None:
    """One version that does not start keeps the others from nothing."""
    await plane.set(v1=60, v2=40)
    again = Plane(plane.registry)
    again.fleet.refuses.add(2)
    await again.control.open()

    assert again.fleet.hosted == {(MODEL, 1)}
    for gateway in again.gateways:
        gateway.task.cancel()
    await asyncio.gather(*(gateway.task for gateway in again.gateways), return_exceptions=True)


async def test_what_is_said_of_versions(plane: Plane) -> None:
    """A version that no route names is not hosted, and it is said why."""
    await plane.set(v1=100)

    states = {status.version: status.state for status in await plane.control.version_status(MODEL)}

    assert states == {1: "ready", 2: "not hosted", 3: "not hosted"}


async def test_an_artifact_arrives_in_pieces(plane: Plane) -> None:
    """A file is stored as it streams in, empty pieces included."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"ab", b"", b"c"):
            yield piece

    digest = await plane.control.put_artifact(pieces())

    assert plane.registry.read_artifact(digest) == b"abc"


async def test_replacing(plane: Plane) -> None:
    """A gateway or a version can be replaced by name; an unknown version cannot."""
    await plane.control.replace("gateway", "", 0)
    await plane.control.replace("version", MODEL, 2)
    with pytest.raises(VersionNotFound):
        await plane.control.replace("version", MODEL, 9)

    assert plane.fleet.log[-2:] == ["replace gateway", "replace 2"]
