"""An overloaded model refuses before it routes; what a canary or a shadow does costs it nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from configs.errors import Overloaded
from configs.settings import Limits, Settings
from monitors.telemetry import names
from registry.records import FULL, ShadowArm
from serve.gateway import Gateway
from serve.models.batcher import Batcher
from serve.traces import Trace, Tracer
from tests.serve.models.carriers import Holding, rows, soon
from tests.serve.versions import MODEL, table

FEW = Settings(limits=Limits(in_flight_max=4))


def untraced(_draw: int) -> Trace | None:
    """No request is traced here."""
    return None


def shed(gateway: Gateway) -> int:
    """How many requests were refused."""
    return gateway.recorder.counts.snapshot("test", 0).counters[names.REQUESTS_SHED.name, (MODEL,)]


def begin(gateway: Gateway, pin: int | None = None, unit: bytes | None = None) -> None:
    """Let one request begin."""
    gateway.begin(MODEL, pin, unit, untraced)


def fill(batcher: Batcher, jobs: int = 4) -> None:
    """Have so many jobs wait for a version that does not answer."""
    Holding(batcher)
    for _ in range(jobs):
        answer = batcher.submit(rows(1), 1, soon())
        answer.add_done_callback(asyncio.Future.exception)


async def split_gateway(tmp_path: Path) -> Gateway:
    """A gateway with a stable version 1 and a canary 2 that has half of the traffic."""
    gateway = Gateway(FEW, tmp_path, Tracer(None, 0.0))
    gateway.apply(table(1, {1: FULL // 2, 2: FULL // 2}))
    for number in (1, 2):
        gateway.model_version(MODEL, number).links.was_connected = True
    return gateway


async def test_a_full_stable_version_refuses_every_arm_alike(tmp_path: Path) -> None:
    """No request gets as far as the choice of an arm: whatever its unit or pin, it is refused."""
    gateway = await split_gateway(tmp_path)
    fill(gateway.model_version(MODEL, 1).batcher)

    for unit in range(50):
        with pytest.raises(Overloaded):
            begin(gateway, unit=b"%d" % unit)
    with pytest.raises(Overloaded):
        begin(gateway, pin=2)
    assert shed(gateway) == 51
    await gateway.close()


async def test_a_hung_canary_closes_nothing(tmp_path: Path) -> None:
    """A canary full of requests that it never answers leaves the stable version's limit alone."""
    gateway = await split_gateway(tmp_path)
    fill(gateway.model_version(MODEL, 2).batcher)

    for unit in range(50):
        begin(gateway, unit=b"%d" % unit)
    assert shed(gateway) == 0
    assert gateway.gauges()[names.REQUESTS_LIMIT.name, (MODEL,)] == 4.0
    await gateway.close()


async def test_a_version_that_is_promoted_brings_its_own_limit(tmp_path: Path) -> None:
    """After a change of route the new stable version is the one that is asked."""
    gateway = await split_gateway(tmp_path)
    fill(gateway.model_version(MODEL, 1).batcher)
    gateway.apply(table(2, {2: FULL}, previous=1))

    begin(gateway)
    assert shed(gateway) == 0
    await gateway.close()


async def test_a_shadow_is_told_when_the_stable_version_is_busy(tmp_path: Path) -> None:
    """Half of the stable version's limit in flight is enough for copies to be dropped."""
    gateway = Gateway(FEW, tmp_path, Tracer(None, 0.0))
    gateway.apply(table(1, {1: FULL}, shadow=ShadowArm(2, FULL)))
    stable = gateway.model_version(MODEL, 1)
    stable.links.was_connected = True
    target = gateway.begin(MODEL, None, None, untraced)._shadow
    assert target is not None

    fill(gateway.model_version(MODEL, 2).batcher)
    assert not target.busy()
    fill(stable.batcher, 3)
    assert target.busy()
    begin(gateway)
    assert shed(gateway) == 0
    await gateway.close()
