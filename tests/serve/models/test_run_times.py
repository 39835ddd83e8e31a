"""Runs are on the loop only while they are known to be brief."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from serve.models.curve import Curve
from serve.models.frames import Frame, Kind, Tensors
from serve.models.run_times import ALONE, BESIDE_OTHERS, RunTimes
from tests.serve.models.linked import Gate, Gateway, kill
from tests.serve.versions import host
from tests.serve.waiting import PATIENCE_S, until

BRIEF = Curve((1, 256), (0.000_006, 0.000_240))


def test_nothing_runs_on_the_loop_before_it_was_measured() -> None:
    """Without a curve the first run goes to a thread, and what it took decides on the next."""
    slow, brief = RunTimes(), RunTimes()
    assert not slow.inline(1)
    slow.ran(1, 2.0)
    brief.ran(1, 0.000_006)

    assert not slow.inline(1)
    assert brief.inline(1)


@pytest.mark.parametrize(
    ("rows", "alone", "beside"),
    [(1, True, True), (256, True, False), (2048, True, False), (4096, False, False)],
)
def test_where_nobody_else_waits_longer_runs_stay(rows: int, alone: bool, beside: bool) -> None:
    """One gateway replica waits for its answer anyhow; several have their runs side by side."""
    assert RunTimes(BRIEF).inline(rows, ALONE) is alone
    assert RunTimes(BRIEF).inline(rows, BESIDE_OTHERS) is beside


def test_after_a_long_run_the_loop_is_spared() -> None:
    """A model that took 0.1 s once may do so again, and what runs on the loop cannot be ended."""
    times = RunTimes(Curve((1,), (0.000_8,)))
    assert times.inline(1, ALONE)
    times.ran(1, 0.1)
    for _ in range(500):
        times.ran(1, 0.000_8)

    assert not times.inline(1, ALONE)


@pytest.mark.parametrize("works", [True, False], ids=["that works", "that waits for a processor"])
async def test_only_a_run_that_works_for_long_is_long(tmp_path: Path, works: bool) -> None:
    """A run that is kept from its processor for 0.15 s does not send the next ones to a thread."""
    frame = Frame(Kind.RUN, 1, 1, (np.zeros((1, 3), np.float32),))

    def run(tensors: Tensors) -> Tensors:
        # What works is on its processor for so long, however often others take that from it.
        clock = time.thread_time if works else time.perf_counter
        until_s = clock() + 0.15
        while clock() < until_s:
            if not works:
                time.sleep(0.01)  # Off the processor, as a thread is that others keep from it.
        return tensors

    opened = await host(tmp_path, 1, run=run, curve=BRIEF)
    try:
        assert opened.quick(frame)
        opened.answer(frame)
        assert opened.quick(frame) is not works
    finally:
        kill(opened)


async def test_the_second_gateway_replica_is_not_kept_waiting(tmp_path: Path) -> None:
    """A run of a ms is on the loop while one replica asks, in a thread as soon as two do."""
    threads: list[int] = []

    def run(tensors: Tensors) -> Tensors:
        threads.append(threading.get_ident())
        return (tensors[0].sum(axis=1, keepdims=True) + 1,)

    opened = await host(tmp_path, 1, run=run, curve=Curve((1,), (0.001,)))
    first, second = Gateway(tmp_path), None
    try:
        assert await first.sum_of([1, 2, 3]) == 7.0
        second = Gateway(tmp_path)
        assert await second.sum_of([1, 2, 3]) == 7.0
    finally:
        for gateway in filter(None, (first, second)):
            await gateway.links.close()
        kill(opened)
    loop = threading.get_ident()
    assert threads[0] == loop
    assert threads[1] != loop


@pytest.mark.parametrize(("rows", "inline"), [(1, True), (64, True), (256, False), (4096, False)])
def test_a_large_batch_of_a_brief_model_goes_to_a_thread(rows: int, inline: bool) -> None:
    """The rows of a batch decide, also where they were never tried."""
    assert RunTimes(BRIEF).inline(rows) is inline


def test_one_long_run_is_enough_to_leave_the_loop() -> None:
    """A model that begins to take 2 s does so on the loop once; it comes back when it is brief."""
    times = RunTimes(BRIEF)
    times.ran(1, 2.0)
    assert not times.inline(1)

    for _ in range(200):
        times.ran(1, 0.000_006)
    assert times.inline(1)


def test_a_run_that_lost_its_processor_changes_nothing() -> None:
    """One run that took a few ms, where others take some µs, is no reason to leave."""
    times = RunTimes(BRIEF)
    times.ran(1, 0.004)

    assert times.inline(1)


def test_at_the_border_it_does_not_go_to_and_fro() -> None:
    """What takes between 120 and 200 µs stays where it is, whichever place that is."""
    stays, comes = RunTimes(Curve((1,), (0.000_15,))), RunTimes(Curve((1,), (0.000_3,)))
    assert stays.inline(1)
    assert not comes.inline(1)
    for _ in range(100):
        stays.ran(1, 0.000_15)
        comes.ran(1, 0.000_15)

    assert stays.inline(1)
    assert not comes.inline(1)
    for _ in range(100):
        comes.ran(1, 0.000_1)
    assert comes.inline(1)


def test_quick_failures_do_not_bring_a_slow_model_to_the_loop() -> None:
    """A model that takes 2 s when it answers is not brief because it fails at once."""
    times = RunTimes(Curve((1,), (2.0,)))
    for _ in range(500):
        times.ran(1, 0.000_01, answered=False)

    assert not times.inline(1)


@pytest.mark.parametrize("curve", [None, Curve((1,), (2.0,))], ids=["unmeasured", "measured"])
async def test_while_a_slow_model_runs_others_are_answered(
    tmp_path: Path, curve: Curve | None
) -> None:
    """From its first request on: the loop turns, which health checks ask, and others answer."""
    gate = Gate()
    slow = await host(tmp_path / "slow", 1, run=gate, curve=curve)
    other = await host(tmp_path / "other", 1)
    asked, beside = Gateway(tmp_path / "slow"), Gateway(tmp_path / "other")
    try:
        answer = asyncio.ensure_future(asked.sum_of([1, 2, 3]))
        await until(gate.entered.is_set, "the run")

        assert await asyncio.wait_for(beside.sum_of([1, 1, 1]), PATIENCE_S) == 4.0
        assert not answer.done()
        gate.open.set()
        assert await answer == 7.0
    finally:
        for gateway in (asked, beside):
            await gateway.links.close()
        for opened in (slow, other):
            kill(opened)
