"""A gateway replica follows its table: versions come, are reached, and leave when they are idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ModelNotFound, NotReady, VersionNotFound
from configs.settings import Settings
from monitors.telemetry import names
from registry.records import FULL, Judged, Role, RouteTable
from serve.gateway import Gateway
from serve.models.host import Host
from serve.protocol.asked import Asked, GivenTensor
from serve.reached import Baseline
from serve.served import ServedModel
from serve.traces import Trace, Tracer
from tests.serve.models.carriers import soon
from tests.serve.versions import MODEL, alone, host, run_of, table
from tests.serve.waiting import PATIENCE_S, until


def untraced(_draw: int) -> Trace | None:
    """No request is traced here."""
    return None


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway without a table."""
    made = Gateway(Settings(), tmp_path, Tracer(None, 0.0))
    yield made
    made.apply(RouteTable(generation=99))
    await until(lambda: not made._leaving, "all versions have left")
    await made.close()


@pytest.fixture
async def first(tmp_path: Path) -> AsyncIterator[Host]:
    """A host of version 1."""
    opened = await host(tmp_path, 1)
    yield opened
    await opened.drain(0.1)


async def test_without_a_table_nothing_is_served(gateway: Gateway) -> None:
    """Before the first table the replica is not ready and knows no model."""
    assert not gateway.ready()
    assert gateway.connected() == frozenset()
    with pytest.raises(ModelNotFound, match="no model 'credit' is served"):
        gateway.begin(MODEL, None, None, untraced)


async def test_ready_when_every_stable_version_is_reached(gateway: Gateway, first: Host) -> None:
    """A version that is reached counts; gauges say so, and which table is served."""
    gateway.apply(alone(7))
    assert not gateway.ready()
    with pytest.raises(NotReady):
        gateway.begin(MODEL, None, None, untraced)

    await gateway.wait_connected(20.0)

    assert gateway.ready()
    assert gateway.connected() == {(MODEL, 1)}
    assert gateway.begin(MODEL, None, None, untraced).arm == Role.STABLE
    assert gateway.gauges() == {
        (names.ROUTER_GENERATION.name, ()): 7.0,
        (names.VERSION_READY.name, (MODEL, "1")): 1.0,
        (names.REQUESTS_LIMIT.name, (MODEL,)): 128.0,
    }


async def test_waiting_for_a_version_ends(gateway: Gateway, first: Host) -> None:
    """A version without a host holds nobody up for longer than was said."""
    gateway.apply(table(1, {1: FULL}, previous=2))

    await asyncio.wait_for(gateway.wait_connected(0.1), PATIENCE_S)

    assert gateway.connected() == {(MODEL, 1)}
    assert gateway.gauges()[names.VERSION_READY.name, (MODEL, "2")] == 0.0


async def test_versions_are_kept_from_table_to_table(gateway: Gateway, first: Host) -> None:
    """A new table that still names a version keeps its links, its queue and its counts."""
    gateway.apply(alone(1))
    await gateway.wait_connected(20.0)
    before = gateway.model_version(MODEL, 1)

    gateway.apply(table(2, {1: 9000, 2: 1000}))

    assert gateway.model_version(MODEL, 1) is before
    assert gateway.versions(MODEL) == (1, 2)


async def test_a_version_leaves_after_its_last_answer(gateway: Gateway, first: Host) -> None:
    """A version that the table names no more answers what it has, then its links close."""
    gateway.apply(alone(1))
    await gateway.wait_connected(20.0)
    leaving = gateway.model_version(MODEL, 1)
    asked = [leaving.batcher.submit((np.ones((1, 3), np.float32),), 1, soon()) for _ in range(100)]

    gateway.apply(table(2, {2: FULL}))

    answers = await asyncio.gather(*asked)
    assert {float(answer[0][0, 0]) for answer in answers} == {4.0}
    await until(lambda: not leaving.links.connected, "its links are closed")
    with pytest.raises(VersionNotFound, match="version 1 of credit is not served"):
        gateway.begin(MODEL, 1, None, untraced)


async def test_models_go_with_their_table(gateway: Gateway, first: Host) -> None:
    """A table without a model ends it."""
    gateway.apply(alone(1))
    gateway.apply(RouteTable(generation=2))

    with pytest.raises(ModelNotFound):
        gateway.versions(MODEL)
    assert gateway.ready()


async def test_prediction_ids_and_draws_belong_together(gateway: Gateway, first: Host) -> None:
    """The draw that decides on samples, shadows and traces is the id's last 32 bits."""
    draws: list[int] = []

    def noted(draw: int) -> Trace | None:
        draws.append(draw)
        return None

    gateway.apply(alone(1))
    await gateway.wait_connected(20.0)
    ids = [gateway.begin(MODEL, None, None, noted).prediction_id for _ in range(50)]

    assert [int(name[24:], 16) for name in ids] == draws
    assert len(set(ids)) == 50


THREE = Asked((GivenTensor("x", "FP32", (1, 3), [1.0, 1.0, 1.0]),))
"""Of which a version's answer is 3 and its number."""


def compared(generation: int, candidate_bp: int, baseline_bp: int) -> RouteTable:
    """A table in which version 2 is judged, beside a baseline."""
    weights = {1: FULL - candidate_bp} | ({2: candidate_bp} if candidate_bp else {})
    return table(generation, weights, judged=Judged("a", 2, baseline_bp))


def units() -> list[bytes]:
    """As many callers as tell the arms apart."""
    return [b"user-%d" % number for number in range(60)]


async def test_a_judged_route_has_three_arms(gateway: Gateway, tmp_path: Path) -> None:
    """Each unit meets its own; the baseline is asked over hosts of its own, and says so."""
    hosts = [
        await host(tmp_path, 1),
        await host(tmp_path, 2),
        await host(tmp_path, 1, run=run_of(7), baseline=True),
    ]
    gateway.apply(compared(1, 3000, 3000))
    assert gateway.connected() == frozenset()
    await gateway.wait_connected(20.0)
    assert gateway.connected() == {(MODEL, 1), (MODEL, 2), Baseline(MODEL, 1)}

    answers: dict[tuple[str, str], set[float]] = {}
    for unit in units():
        exchange = gateway.begin(MODEL, None, unit, untraced)
        (output,) = await exchange.run(THREE, gateway.deadline())
        arm = (exchange.version, exchange.arm)
        answers.setdefault(arm, set()).add(float(output.values[0, 0]))
        exchange.answered(gateway.shadows)

    assert answers == {
        ("1", Role.STABLE): {4.0},
        ("2", Role.CANARY): {5.0},
        ("1", Role.BASELINE): {10.0},
    }
    counted = {
        series[1][2]
        for series in gateway.recorder.counts.snapshot("a", 1).histograms
        if series[0] == names.INFERENCE_DURATION.name
    }
    assert counted == {Role.STABLE, Role.CANARY, Role.BASELINE}
    samples, _ = gateway.recorder.take()
    assert {sample.origin.role for sample in samples} == {Role.STABLE, Role.CANARY}
    for each in hosts:
        await each.drain(0.1)


async def test_where_the_baseline_is_not_reached_stable_answers(
    gateway: Gateway, tmp_path: Path, first: Host
) -> None:
    """And counts as stable; units are compared again once it is there, and its links then end."""
    gateway.apply(compared(1, 0, 5000))
    await until(lambda: (MODEL, 1) in gateway.connected(), "the stable version is reached")
    assert not gateway.all_connected()

    assert {gateway.begin(MODEL, None, unit, untraced).arm for unit in units()} == {Role.STABLE}
    assert not _comparable(gateway)

    beside = await host(tmp_path, 1, baseline=True)
    await until(gateway.all_connected, "the baseline is reached")
    assert _comparable(gateway)
    arms = {gateway.begin(MODEL, None, unit, untraced).arm for unit in units()}
    assert arms == {Role.STABLE, Role.BASELINE}
    baseline = _model(gateway).baseline
    assert baseline is not None
    gateway.apply(compared(2, 1000, 6000))
    assert _model(gateway).baseline is baseline, "a new step keeps the links"
    gateway.apply(alone(3))
    await until(lambda: not baseline.links.connected, "its links are closed")
    assert gateway.connected() == {(MODEL, 1)}
    await beside.drain(0.1)


async def test_who_is_told_of_is_who_answers(gateway: Gateway, tmp_path: Path) -> None:
    """For a unit its own version, for a pin the pinned one, and without either the stable one."""
    hosts = [await host(tmp_path, number) for number in (1, 2)]
    gateway.apply(table(1, {1: 5000, 2: 5000}))
    await gateway.wait_connected(20.0)
    told = set()
    for unit in (b"%d" % number for number in range(50)):
        answers = gateway.begin(MODEL, None, unit, untraced).version
        found = gateway.version_for(MODEL, None, unit).version.number
        assert str(found) == answers
        told.add(found)
    assert told == {1, 2}
    assert gateway.version_for(MODEL, None, None).version.number == 1
    assert gateway.version_for(MODEL, 2, b"1").version.number == 2
    assert gateway.version_for(MODEL, "stable", b"1").version.number == 1
    with pytest.raises(VersionNotFound):
        gateway.version_for(MODEL, 9, b"1")
    with pytest.raises(ModelNotFound):
        gateway.version_for("nobody", None, b"1")
    for each in hosts:
        await each.drain(0.1)


def _model(gateway: Gateway) -> ServedModel:
    return gateway._models[MODEL]


def _comparable(gateway: Gateway) -> bool:
    judging = _model(gateway).judging
    return judging is not None and judging.comparable
