"""Steps of a rollout go host first, pointer second; the baseline's hosts are there while it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from configs.errors import PreconditionFailed, Refused, Unavailable
from monitors.telemetry import names
from registry.records import FULL, Judged, ShadowArm
from registry.rollouts import NOTHING, Rollout, RolloutState, Shares
from serve.reached import Baseline
from serve.rollout.tallies import Report
from tests.registry.rollouts import POLICY
from tests.serve.control.planes import Plane, Replica
from tests.serve.versions import MODEL
from tests.serve.waiting import PATIENCE_S, until

CANARY = Shares(candidate_bp=500, baseline_bp=500)
BOTH = {(MODEL, 1), (MODEL, 2)}


@pytest.fixture
async def begun(plane: Plane) -> Rollout:
    """A rollout of version 2, beside version 1 that answers everybody."""
    await plane.set(v1=100)
    return plane.registry.start_rollout(MODEL, 2, POLICY, "ada", "better")


async def step(plane: Plane, rollout: Rollout, state: RolloutState, shares: Shares) -> Rollout:
    """The rollout after its next change."""
    after = replace(rollout, state=state, number=rollout.number + 1, reason="why")
    stable, candidate = rollout.stable, rollout.candidate

    def commit() -> Rollout:
        return plane.registry.change_rollout(rollout, after, "go", "{}", "ada", shares)

    return await plane.control.step_rollout(
        MODEL,
        {stable: FULL - shares.candidate_bp, candidate: shares.candidate_bp},
        ShadowArm(candidate, shares.shadow_bp) if shares.shadow_bp else None,
        Judged(rollout.id, candidate, shares.baseline_bp) if shares != NOTHING else None,
        commit,
    )


async def test_the_baselines_hosts_come_first_and_go_last(plane: Plane, begun: Rollout) -> None:
    """Every replica reaches all three arms before the route names them; later steps start none."""
    plane.fleet.log.clear()

    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)

    assert (plane.fleet.own, plane.fleet.shared, plane.fleet.baselines) == (
        BOTH,
        set(),
        {(MODEL, 1)},
    )
    assert sorted(plane.fleet.log[:3]) == ["start 1", "start 2", "start baseline of 1"]
    assert plane.fleet.log[3:] == ["stop 1"], "the stable version has left the shared host"
    wanted = {*BOTH, Baseline(MODEL, 1)}
    assert all(gateway.connected() == wanted for gateway in plane.gateways)
    assert await plane.control.ready()
    assert await plane.control.routes_as_wanted(MODEL)

    plane.fleet.log.clear()
    rollout = await step(plane, rollout, RolloutState.CANARY, Shares(2500, 1000))
    assert not [each for each in plane.fleet.log if each.startswith("stop")]

    await step(plane, rollout, RolloutState.BAKING, Shares(9500))
    assert plane.fleet.log[-1] == "stop baseline of 1"
    assert (plane.fleet.own, plane.fleet.baselines) == (BOTH, set())
    assert all(gateway.connected() == BOTH for gateway in plane.gateways)


async def test_the_route_waits_for_the_baseline(plane: Plane, begun: Rollout) -> None:
    """While one replica does not reach it, nothing is committed."""
    late = plane.gateways[1]
    late.unreachable_baselines.add(1)
    changing = asyncio.ensure_future(step(plane, begun, RolloutState.CANARY, CANARY))
    reached = Baseline(MODEL, 1)
    await until(lambda: reached in plane.gateways[0].connected(), "the other one reaches it")
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert plane.weights() == {1: FULL}

    late.unreachable_baselines.clear()
    await asyncio.wait_for(changing, PATIENCE_S)

    assert plane.weights() == {1: 9500, 2: 500}


@pytest.mark.usefixtures("impatient")
async def test_a_baseline_that_is_not_reached_changes_nothing(plane: Plane, begun: Rollout) -> None:
    """The rollout, its route and all hosts are as they were."""
    plane.gateways[1].unreachable_baselines.add(1)

    with pytest.raises(Unavailable, match="nothing changed"):
        await step(plane, begun, RolloutState.CANARY, CANARY)

    assert plane.registry.rollout(begun.id) == begun
    assert plane.weights() == {1: FULL}
    assert (plane.fleet.own, plane.fleet.shared, plane.fleet.baselines) == (
        set(),
        {(MODEL, 1)},
        set(),
    )
    assert plane.replicas.table.models[MODEL].baseline is None


async def test_a_baseline_that_cannot_be_hosted_changes_nothing(
    plane: Plane, begun: Rollout
) -> None:
    """It has a host of its own or none: a shared one would not be like for like."""
    plane.fleet.refuses_as_baseline.add(1)

    with pytest.raises(Refused, match="did not start"):
        await step(plane, begun, RolloutState.CANARY, CANARY)

    assert plane.registry.rollout(begun.id) == begun
    assert (plane.fleet.own, plane.fleet.shared, plane.fleet.baselines) == (
        set(),
        {(MODEL, 1)},
        set(),
    )


async def test_a_way_back_waits_for_nobody(plane: Plane, begun: Rollout) -> None:
    """Neither for a change of another model's hosts, nor for a replica that reaches nothing."""
    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)
    for gateway in plane.gateways:
        gateway.unreachable |= {1, 2}
    async with plane.control._change_turn:
        going = step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING)
        await asyncio.wait_for(going, PATIENCE_S)
        assert all(map(_alone, plane.gateways)), "everybody goes by the way back"
        assert plane.weights() == {1: FULL}
        assert plane.fleet.baselines == {(MODEL, 1)}, "hosts end when it is their turn"

    for gateway in plane.gateways:
        gateway.unreachable.clear()
    await until(lambda: _shared(plane), "hosts are in order")


@pytest.mark.usefixtures("impatient")
async def test_a_way_back_needs_no_gateway_replica(plane: Plane, begun: Rollout) -> None:
    """Whoever comes next must not give the candidate any traffic, whatever has become of hosts."""
    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)
    for gateway in plane.gateways:
        gateway.task.cancel()
        await asyncio.gather(gateway.task, return_exceptions=True)
        await plane.replicas.gone(gateway.name)
    plane.fleet.refuses |= {1, 2}
    async with plane.control._change_turn:
        going = asyncio.ensure_future(step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING))
        await until(lambda: plane.weights() == {1: FULL}, "it is committed")

    await asyncio.wait_for(going, PATIENCE_S)

    assert plane.registry.rollout(begun.id).state is RolloutState.ROLLING_BACK


async def test_somebody_by_hand_goes_back_as_fast(plane: Plane, begun: Rollout) -> None:
    """A rollback ends the rollout, its candidate and its baseline."""
    await step(plane, begun, RolloutState.CANARY, CANARY)
    async with plane.control._change_turn:
        await asyncio.wait_for(plane.control.rollback(MODEL, "ada", "bad"), PATIENCE_S)
        assert all(map(_alone, plane.gateways)), "everybody goes by the way back"

    assert plane.registry.rollout(begun.id).state is RolloutState.ROLLING_BACK
    await until(lambda: _shared(plane), "hosts are in order")


async def test_a_completed_rollout_is_taken_back_at_once(plane: Plane, begun: Rollout) -> None:
    """The version before is warm; where a replica has lost it, it is waited for instead."""
    rollout = await step(plane, begun, RolloutState.BAKING, Shares(9500))
    rollout = await step(plane, rollout, RolloutState.COMPLETED, Shares(FULL))
    plane.gateways[0].unreachable.add(1)
    await until(lambda: not plane.replicas.reach(frozenset({(MODEL, 1)})), "it has said so")
    going = asyncio.ensure_future(step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING))
    for _ in range(10):
        await asyncio.sleep(0.005)
        assert plane.weights() == {2: FULL}
    plane.gateways[0].unreachable.clear()

    await asyncio.wait_for(going, PATIENCE_S)

    assert plane.weights() == {1: FULL}


async def test_who_was_overtaken_by_a_rollback_changes_nothing(
    plane: Plane, begun: Rollout
) -> None:
    """A step that still waits for hosts when somebody goes back is not made any more."""
    rollout = await step(plane, begun, RolloutState.SHADOW, Shares(shadow_bp=FULL))
    plane.gateways[1].unreachable_baselines.add(1)
    stepping = asyncio.ensure_future(step(plane, rollout, RolloutState.CANARY, CANARY))
    await until(lambda: plane.fleet.baselines != set(), "its hosts are there")
    back = asyncio.ensure_future(step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING))
    await until(lambda: all(map(_alone, plane.gateways)), "everybody goes by the way back")
    plane.gateways[1].unreachable_baselines.clear()

    with pytest.raises(PreconditionFailed):
        await stepping
    await asyncio.wait_for(back, PATIENCE_S)

    assert plane.weights() == {1: FULL}
    await until(lambda: _shared(plane), "hosts are in order")


async def test_a_control_plane_that_begins_anew_brings_the_baseline(
    plane: Plane, begun: Rollout
) -> None:
    """What a judged route needs follows from the registry alone."""
    await step(plane, begun, RolloutState.CANARY, CANARY)
    again = Plane(plane.registry)

    await again.control.open()

    assert (again.fleet.own, again.fleet.baselines) == (BOTH, {(MODEL, 1)})


async def test_a_proven_candidate_is_hosted_as_its_baseline_is(plane: Plane) -> None:
    """Also one that could share a host has its own while it is judged: both are alike."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    begun = plane.registry.start_rollout(MODEL, 1, POLICY, "ada", "better still")

    await step(plane, begun, RolloutState.CANARY, CANARY)

    assert (plane.fleet.own, plane.fleet.shared, plane.fleet.baselines) == (
        BOTH,
        set(),
        {(MODEL, 2)},
    )


async def test_a_version_that_only_stays_warm_is_not_waited_for(plane: Plane) -> None:
    """Neither forward nor back; back waits for no host at all, but for every replica."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    begun = plane.registry.start_rollout(MODEL, 3, POLICY, "ada", "better still")
    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)
    late = plane.gateways[0]
    late.unreachable.add(1)
    await until(lambda: not plane.replicas.reach(frozenset({(MODEL, 1)})), "it has said so")
    assert await plane.control.routes_as_wanted(MODEL)

    late.unreachable.add(2)
    await until(lambda: not plane.replicas.reach(frozenset({(MODEL, 2)})), "it has said so")
    assert not await plane.control.routes_as_wanted(MODEL)
    await asyncio.wait_for(step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING), PATIENCE_S)
    assert await plane.control.routes_back(MODEL)
    late.task.cancel()
    await plane.replicas.publish(replace(plane.replicas.table, generation=10**9))
    assert not await plane.control.routes_back(MODEL)


async def test_a_way_back_that_was_not_published_is_not_taken_for_one(
    plane: Plane, begun: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the registry holds is what counts; it is published again until replicas follow."""
    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)

    async def fails() -> None:
        raise Unavailable("the registry cannot be read")

    with monkeypatch.context() as broken:
        broken.setattr(plane.control._publisher, "routes_meanwhile", fails)
        with pytest.raises(Unavailable):
            await step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING)
        assert not any(map(_alone, plane.gateways))
        assert not await plane.control.routes_as_wanted(MODEL)
        with pytest.raises(Unavailable):
            await plane.control.routes_back(MODEL)

    assert not await plane.control.routes_back(MODEL)
    await until(lambda: all(map(_alone, plane.gateways)), "they follow")
    await until(lambda: plane.replicas.are_settled(frozenset()), "they have said so")
    assert await plane.control.routes_back(MODEL)


async def test_hosts_that_cannot_be_put_in_order_are_counted(
    plane: Plane, begun: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back is made all the same."""
    rollout = await step(plane, begun, RolloutState.CANARY, CANARY)

    async def stop(*_: object) -> None:
        raise RuntimeError("nobody expected this")

    with monkeypatch.context() as broken:
        broken.setattr(plane.fleet, "stop", stop)
        await step(plane, rollout, RolloutState.ROLLING_BACK, NOTHING)
        await until(lambda: not plane.control._tidying, "it was tried")
    told = plane.control.rollout_counts.snapshot("s", ())
    assert told.counters[names.TASK_FAILURES.name, (names.TASK_ROLLOUTS,)] == 1


async def test_counts_are_taken_also_while_nobody_judges(plane: Plane, begun: Rollout) -> None:
    """Whoever sent them learns that, and stays with the stable version."""
    told = Report("1-a", begun.id)
    with pytest.raises(Unavailable, match="nobody judges"):
        plane.control.take_counts([told])
    assert plane.control.reports.of(begun.id) == {"1-a": told}

    await plane.control.gone("gateway-1")
    assert plane.control.reports.heard(begun.id, 60.0) == 0

    await plane.control.conductor.look()
    plane.control.take_counts([told])
    await plane.control.conductor.close()


def _shared(plane: Plane) -> bool:
    """Whether there is nothing but version 1 in a shared host."""
    fleet = plane.fleet
    return (fleet.own, fleet.shared, fleet.baselines) == (set(), {(MODEL, 1)}, set())


def _alone(gateway: Replica) -> bool:
    """Whether a replica sends everybody to one version, and judges nobody."""
    route = gateway.table.models[MODEL].route
    return route.judged is None and route.shadow is None and len(route.arms) == 1
