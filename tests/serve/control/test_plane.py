"""Every change goes host first, pointer second, clean-up last, and a failed one changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from configs.errors import Conflict, PreconditionFailed, Refused, Unavailable, VersionNotFound
from registry.records import FULL
from registry.rollouts import RolloutState, Shares
from tests.registry.rollouts import POLICY
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL
from tests.serve.waiting import PATIENCE_S, until


async def test_the_first_route(plane: Plane) -> None:
    """When the first route is set its version is hosted, reached by all, and ready."""
    await asyncio.wait_for(plane.set(v1=100), PATIENCE_S)

    assert plane.weights() == {1: FULL}
    assert all(gateway.connected() == {(MODEL, 1)} for gateway in plane.gateways)
    assert await plane.control.ready()


async def test_the_pointer_moves_last(plane: Plane) -> None:
    """The registry changes only when every replica is connected to the new version."""
    await plane.set(v1=100)
    late = plane.gateways[1]
    late.unreachable.add(2)
    changing = asyncio.ensure_future(plane.set(v1=90, v2=10))
    await until(lambda: (MODEL, 2) in plane.gateways[0].connected(), "the other one reaches it")
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert plane.weights() == {1: FULL}

    late.unreachable.clear()
    await asyncio.wait_for(changing, PATIENCE_S)

    assert plane.weights() == {1: 9000, 2: 1000}
    assert all(gateway.versions() == {1, 2} for gateway in plane.gateways)


@pytest.mark.usefixtures("impatient")
async def test_a_replica_that_never_connects(plane: Plane) -> None:
    """The change is `Unavailable`; route, table and hosts are as they were."""
    await plane.set(v1=100)
    plane.gateways[1].unreachable.add(2)

    with pytest.raises(Unavailable, match="credit 2, but 1 of 2; nothing changed"):
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
    await until(lambda: plane.fleet.hosted == {(MODEL, 1)}, "the other one is ended")
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


@pytest.mark.usefixtures("impatient")
async def test_a_rollback_ends_a_rollout_at_its_stable_version(plane: Plane) -> None:
    """Also while the candidate is a shadow only: the version before that is not asked for."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    rollout = plane.registry.start_rollout(MODEL, 3, POLICY, "ada", "")
    after = replace(rollout, number=2, state=RolloutState.SHADOW)
    shares = Shares(shadow_bp=FULL)
    plane.registry.change_rollout(rollout, after, "advance", "{}", "weir", shares)
    plane.fleet.refuses.add(1)

    route = await plane.control.rollback(MODEL, "ada", "the shadow is a nuisance")

    assert (plane.weights(), route.shadow, route.judged) == ({2: FULL}, None, None)
    assert plane.registry.rollout(rollout.id).state is RolloutState.ROLLING_BACK


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
