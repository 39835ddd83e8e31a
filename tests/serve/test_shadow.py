"""Copies go out after the answers, cost the primary nothing, and every one is accounted for."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ModelFailed, NotReady
from configs.settings import Settings
from configs.settings import Shadow as ShadowSettings
from monitors.telemetry.names import INFERENCE_DURATION, SAMPLES_DROPPED, SHADOW_REQUESTS
from registry.records import FULL, Role, RouteTable, ShadowArm
from serve.case import Case
from serve.edge.cycle import Cycle
from serve.edge.infer import Inference
from serve.exchange import Exchange
from serve.gateway import Gateway
from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.frames import Tensors
from serve.recorder.recorder import Lost, Recorder
from serve.recorder.samples import Origin
from serve.shadow import Copy, ShadowQueue, Target
from serve.traces import Tracer
from serve.trial import Trial
from tests.serve.models.carriers import Answering, Holding, batcher
from tests.serve.protocol.requests import body, x
from tests.serve.recorder.sampling import recorder
from tests.serve.rollout.judged import ALL_CANDIDATE, ALL_STABLE, judged
from tests.serve.stage import edge, reception
from tests.serve.versions import MODEL, REGRESSOR, host, table
from tests.serve.waiting import until


class Shadows:
    """A shadow queue, the batcher of version 2 behind it, and what is counted."""

    def __init__(
        self, queue_max_rows: int = 10, deadline_s: float = 30.0, queue_max_bytes: int = 1000
    ) -> None:
        self.recorder: Recorder = recorder()
        settings = ShadowSettings(
            queue_max_rows=queue_max_rows, queue_max_bytes=queue_max_bytes, flush_s=0.001
        )
        self.queue = ShadowQueue(settings, self.recorder.counts, Tracer(None, 0.0), deadline_s)
        self.batcher: Batcher = batcher(queue_max_rows=1000)
        arm = self.recorder.arm(Origin(MODEL, 2, Role.SHADOW, REGRESSOR))
        self.busy = False
        self.target = Target(self.batcher, arm, lambda: self.busy)
        self.offered = 0
        self.compared: list[Tensors] = []

    def offer(self, rows: int = 1, inputs: Tensors | None = None) -> None:
        """Offer a copy of a request, by default of 12 bytes a row."""
        self.offered += 1
        inputs = inputs or (np.ones((rows, 3), np.float32),)
        copy = Copy(f"{self.offered:032x}", 0, rows, inputs, {}, None, compare=self.compared.append)
        self.queue.offer(self.target, copy)

    def outcomes(self) -> Counter[str]:
        """How many copies came to each end."""
        counters = self.recorder.counts.snapshot("me", 0).counters
        return Counter(
            {
                attributes[2]: count
                for (name, attributes), count in counters.items()
                if name == SHADOW_REQUESTS.name
            }
        )

    async def settled(self) -> Counter[str]:
        """The outcomes, when every copy has one."""
        await until(lambda: self.outcomes().total() == self.offered, "every copy has an end")
        return self.outcomes()


async def test_copies_wait_for_a_block() -> None:
    """What is offered in a moment is sent together, after that moment."""
    shadows = Shadows()
    link = Holding(shadows.batcher)
    for _ in range(3):
        shadows.offer()

    assert shadows.batcher.idle
    await until(lambda: bool(link.out), "the block is sent")
    assert link.rows() == [3]
    link.answer()
    assert await shadows.settled() == {"sent": 3}


async def test_copies_that_do_not_fit_are_dropped() -> None:
    """Rows that wait or run count against the cap; when they are done there is room again."""
    shadows = Shadows(queue_max_rows=4)
    link = Holding(shadows.batcher)
    for rows in (3, 2, 1):
        shadows.offer(rows)
    await until(lambda: bool(link.out), "the block is sent")
    shadows.offer()

    assert shadows.outcomes() == {"dropped": 2}
    link.answer()
    await until(lambda: shadows.outcomes()["sent"] == 2, "the block is answered")
    shadows.offer(4)
    await until(lambda: bool(link.out), "the next block is sent")
    link.answer()
    assert await shadows.settled() == {"sent": 3, "dropped": 2}


async def test_copies_are_bounded_in_bytes() -> None:
    """They hold on to what was sent; bytes that wait or run count, and make room as rows do."""
    shadows = Shadows(queue_max_bytes=36)
    link = Holding(shadows.batcher)
    for rows in (4, 2, 2, 1):  # One alone is too large, and one beside the other.
        shadows.offer(rows)
    await until(lambda: bool(link.out), "the block is sent")
    shadows.offer()

    assert shadows.outcomes() == {"dropped": 3}
    link.answer()
    await until(lambda: shadows.outcomes()["sent"] == 2, "the block is answered")
    shadows.offer(3)
    await until(lambda: bool(link.out), "the next block is sent")
    link.answer()
    assert await shadows.settled() == {"sent": 3, "dropped": 3}


async def test_a_huge_answer_is_compared_and_not_kept() -> None:
    """What an unproven version answers must not fill the memory of those who wait for others."""
    shadows = Shadows(queue_max_bytes=1000)
    link = Holding(shadows.batcher)
    for size in (250, 251):
        shadows.offer()
        await until(lambda: bool(link.out), "the copy is sent")
        answer = (np.ones((1, size), np.float32),)
        link.answer(lambda _, answer=answer: answer)  # type: ignore[misc]

    assert await shadows.settled() == {"sent": 2}
    assert [outputs[0].size for outputs in shadows.compared] == [250, 251]
    samples, rows = shadows.recorder.take()
    assert (rows, [sample.outputs[0].size for sample in samples]) == (1, [250])
    counters = shadows.recorder.counts.snapshot("me", 0).counters
    assert counters[SAMPLES_DROPPED.name, (Lost.BUFFER_FULL.value,)] == 1


async def test_strings_count_by_their_length() -> None:
    """An array of them holds but pointers."""
    shadows = Shadows(queue_max_bytes=36)
    Answering(shadows.batcher)
    for length in (37, 36):
        shadows.offer(1, (np.array([[b"s" * length]], np.object_),))

    assert await shadows.settled() == {"sent": 1, "dropped": 1}


async def test_copies_for_a_busy_model_are_dropped() -> None:
    """While those who wait need the model, its copies are dropped and counted."""
    shadows = Shadows()
    Answering(shadows.batcher)
    for shadows.busy in (True, False):
        shadows.offer()

    assert await shadows.settled() == {"dropped": 1, "sent": 1}


async def test_answers_are_recorded_as_the_shadows_own() -> None:
    """A shadow's rows are sampled by the draw of the prediction that they copy."""
    shadows = Shadows()
    Answering(shadows.batcher)
    shadows.offer(2)
    await shadows.settled()

    (sample,), rows = shadows.recorder.take()
    assert (sample.origin.role, sample.origin.version, rows) == (Role.SHADOW, 2, 2)
    assert sample.prediction_id == f"{1:032x}"


class Failing(Answering):
    """A link whose model fails on everything."""

    def carry(self, batch: Batch) -> None:
        """Fail soon."""
        asyncio.get_running_loop().call_soon(self._fail, batch)

    def _fail(self, batch: Batch) -> None:
        self._batcher.failed(batch, ModelFailed("no"))
        self._batcher.free(self)


async def test_failures_are_counted() -> None:
    """A shadow that fails is counted by version and by the code of its error, and disagrees."""
    shadows = Shadows()
    Failing(shadows.batcher)
    for _ in range(4):
        shadows.offer()

    assert await shadows.settled() == {"failed": 4}
    assert shadows.compared == [()] * 4
    found = shadows.recorder.counts.snapshot("me", 0).histograms
    errors = found[INFERENCE_DURATION.name, (MODEL, "2", "shadow", "model_failed")]
    assert sum(errors.buckets) == 4


async def test_a_hung_shadow_is_given_up() -> None:
    """After the deadline copies count as failed, not as compared, and their rows make room."""
    shadows = Shadows(queue_max_rows=2, deadline_s=0.05)
    Holding(shadows.batcher)
    for _ in range(3):
        shadows.offer()

    assert await shadows.settled() == {"failed": 2, "dropped": 1}
    assert not shadows.compared
    Answering(shadows.batcher)
    shadows.queue._deadline_s = 30.0
    shadows.offer(2)
    assert (await shadows.settled())["sent"] == 1


async def test_a_full_batcher_fails_copies_and_frees_their_rows() -> None:
    """A shadow version that refuses costs its copies only, of which none is compared."""
    shadows = Shadows(queue_max_rows=4, queue_max_bytes=48)
    shadows.batcher.close(NotReady("gone"))
    for _ in range(3):
        for _ in range(4):
            shadows.offer()
        await until(lambda: shadows.outcomes().total() == shadows.offered, "all refused")

    assert shadows.outcomes() == {"failed": 12}
    assert not shadows.compared


async def test_close_accounts_for_what_waits() -> None:
    """Copies that were never sent count as dropped."""
    shadows = Shadows()
    for _ in range(3):
        shadows.offer()

    shadows.queue.close()

    assert await shadows.settled() == {"dropped": 3}


class _Wire:
    """A connection that keeps its one answer and notes when it has left."""

    def __init__(self, told: list[str]) -> None:
        self._told = told
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def ask_to_continue(self) -> None:
        """Ask nobody."""

    def write_answer(self, cycle: Cycle, status: int, head: bytes, body: bytes) -> None:
        """Keep the answer."""
        del cycle, status, head
        self._told.append("answer")
        self.answer.set_result(body)


async def _infer(desk: Inference, told: list[str], values: list[float]) -> bytes:
    """Send one request to the desk; gives the body of its answer."""
    wire = _Wire(told)
    head = desk.read(b"POST", f"/v2/models/{MODEL}/infer", [])
    assert head is not None
    Cycle(wire, desk, head).serve(body(x(values)))
    return await wire.answer


@pytest.mark.parametrize("shadow", ["answers", "fails", "hangs", "is-not-there"])
async def test_the_primary_never_notices(tmp_path: Path, shadow: str) -> None:
    """Whatever the shadow does, each answer leaves first, and leaves whole."""
    gateway = Gateway(Settings(shadow=ShadowSettings(flush_s=0.001)), tmp_path, Tracer(None, 0.0))
    desk = edge(reception(gateway, Settings()), Settings()).desk
    primary = await host(tmp_path, 1)
    gateway.apply(table(1, {1: FULL}, shadow=ShadowArm(2, FULL)))
    await gateway.model_version(MODEL, 1).links.wait_connected()
    told: list[str] = []
    copies = gateway.model_version(MODEL, 2).batcher
    link = {"answers": Answering, "fails": Failing, "hangs": Holding}.get(shadow)
    if link is not None:
        link(copies)
    offer = gateway.shadows.offer

    def noted(target: Target, copy: Copy) -> None:
        told.append("copy")
        offer(target, copy)

    gateway.shadows.offer = noted  # type: ignore[method-assign]
    for n in range(5):
        assert b'"data":[%.1f]' % (n + 1) in await _infer(desk, told, [n, 0, 0])

    assert told == ["answer", "copy"] * 5
    await gateway.close()
    await primary.drain(1.0)


@pytest.mark.parametrize(
    ("routes", "connects"),
    [
        pytest.param(table(1, {1: FULL}), False, id="plain"),
        pytest.param(judged(1, ALL_STABLE), False, id="judged"),
        pytest.param(judged(1, ALL_CANDIDATE), True, id="on-trial"),
        pytest.param(judged(1, ALL_CANDIDATE), False, id="fell-back"),
    ],
)
async def test_an_answered_request_is_forgotten_at_once(
    tmp_path: Path, routes: RouteTable, connects: bool
) -> None:
    """Nothing of it waits for the search for reference cycles: its tensors may be large."""
    gateway = Gateway(Settings(), tmp_path, Tracer(None, 0.0))
    desk = edge(reception(gateway, Settings()), Settings()).desk
    candidate = await host(tmp_path, 2) if connects else None
    gateway.apply(routes)
    version = gateway.model_version(MODEL, 1)
    version.links.was_connected = True
    Answering(version.batcher)
    if candidate is not None:
        await gateway.model_version(MODEL, 2).links.wait_connected()
    head = desk.read(b"POST", f"/v2/models/{MODEL}/infer", [])
    assert head is not None
    wire = _Wire([])
    cycle = Cycle(wire, desk, head)
    gc.collect()
    gc.disable()
    try:
        cycle.serve(body(x([1, 2, 3])))
        exchange = cycle.visit.exchange
        assert exchange is not None
        await wire.answer
        forgotten = weakref.ref(wire)  # The cycle holds it, and who holds the cycle with it.
        del cycle, exchange, wire
        await asyncio.sleep(0)
        assert forgotten() is None
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [each for each in gc.garbage if isinstance(each, Exchange | Trial | Case)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    await gateway.close()
    if candidate is not None:
        await candidate.drain(1.0)
