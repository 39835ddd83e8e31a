"""What nobody waits for any more is not begun, and what has begun ends soon."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ClientGone, DeadlineExceeded
from serve.models.addresses import folder, inside_path
from serve.models.frames import Tensors
from serve.models.host import Host
from serve.models.session import Session
from tests.registry.models import counting
from tests.serve.models.carriers import Holding, batcher, doubled, rows, soon
from tests.serve.models.conftest import BOTH_WAYS
from tests.serve.models.linked import Gateway, kill
from tests.serve.models.test_batch import Told
from tests.serve.models.test_batcher import turn
from tests.serve.models.virtual import virtual_time
from tests.serve.versions import MODEL, REGRESSOR, socket_of
from tests.serve.waiting import PATIENCE_S


async def test_a_request_that_waits_never_starts_when_its_client_leaves() -> None:
    """Only what somebody waits for is sent; who left learns that he did."""
    gathers = batcher(max_rows=1)
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()
    left, stayed = (gathers.submit(rows(1, n), 1, soon()) for n in (10.0, 20.0))

    gathers.give_up(left)
    link.answer()
    link.answer()

    with pytest.raises(ClientGone):
        await left
    np.testing.assert_array_equal((await stayed)[0], doubled(rows(1, 20.0))[0])
    assert [batch.tensors()[0][0, 0] for batch in link.seen] == [0.0, 20.0]


async def test_expired_requests_never_start() -> None:
    """A link that becomes free after the deadline is given nothing."""
    gathers = batcher()
    expired = [gathers.submit(rows(1), 1, soon(0.02)) for _ in range(3)]
    await asyncio.gather(*expired, return_exceptions=True)

    link = Holding(gathers)

    assert all(isinstance(waiting.exception(), DeadlineExceeded) for waiting in expired)
    assert link.seen == []


async def test_a_client_that_leaves_makes_room_at_once() -> None:
    """Its rows do not fill the queue until they would have been sent."""
    gathers = batcher(queue_max_rows=2)
    left = [gathers.submit(rows(1), 1, soon()) for _ in range(2)]
    for answer in left:
        gathers.give_up(answer)
    await turn()

    assert gathers.idle
    gathers.submit(rows(2), 2, soon())
    await asyncio.gather(*left, return_exceptions=True)


def test_a_batch_that_nobody_waits_for_is_dropped_within_a_second() -> None:
    """The link is given up long before the deadline, and not before the batch could come back."""
    with virtual_time() as loop:  # On a clock of its own a stalled machine is no early drop.
        gathers = batcher()
        link, answer = Holding(gathers), Told()
        gathers.enqueue(answer, rows(1), 1, loop.now + 30.0)
        loop.turn()

        gathers.give_up(answer)
        loop.wait(0.4)
        assert link.dropped == 0

        loop.wait(0.6)
        assert link.dropped == 1
        assert isinstance(answer.error, ClientGone)
        assert gathers.idle


async def test_a_batch_that_somebody_waits_for_is_not_dropped() -> None:
    """One client who leaves does not cost the others of his batch their answer."""
    gathers = batcher()
    link = Holding(gathers)
    left, stayed = (gathers.submit(rows(1, n), 1, soon()) for n in (1.0, 9.0))
    await turn()

    gathers.give_up(left)
    await turn()
    gathers._expiry._drop_forsaken()
    assert link.dropped == 0
    link.answer()

    np.testing.assert_array_equal((await stayed)[0], doubled(rows(1, 9.0))[0])
    assert isinstance(left.exception(), ClientGone)


async def test_an_answer_that_came_is_not_given_up() -> None:
    """To leave after the answer changes nothing."""
    gathers = batcher()
    link = Holding(gathers)
    answer = gathers.submit(rows(1), 1, soon())
    await turn()
    link.answer()

    gathers.give_up(answer)

    assert (await answer)[0].shape == (1,)


@BOTH_WAYS
async def test_a_run_ends_when_its_client_has_left(
    gateway: Gateway,
    tmp_path: Path,
    inside: bool,
) -> None:
    """A model that would run for hours ends soon after its only client leaves."""
    session = Session(counting().SerializeToString(), REGRESSOR, 1)
    begun, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def run(tensors: Tensors, options: object) -> Tensors:
        loop.call_soon_threadsafe(begun.set)
        try:
            return session.run(tensors, options)
        finally:
            loop.call_soon_threadsafe(ended.set)

    path = (
        inside_path(folder(tmp_path, MODEL, 1), os.getpid()) if inside else socket_of(tmp_path, 1)
    )
    host = Host(1, run, path, lambda _wires, _seconds: None)
    await host.open()
    answer = gateway.ask([1, 1, 1])
    await asyncio.wait_for(begun.wait(), PATIENCE_S)

    gateway.batcher.give_up(answer)
    await asyncio.wait_for(ended.wait(), PATIENCE_S)

    assert isinstance(answer.exception(), ClientGone)
    kill(host)


async def test_the_only_one_who_waits_may_leave_without_a_word() -> None:
    """A lone request that was cancelled is not sent either."""
    gathers = batcher()
    link = Holding(gathers)
    gathers.submit(rows(1), 1, soon())
    await turn()
    gathers.submit(rows(1), 1, soon()).cancel()
    link.answer()

    assert link.rows() == [1]
    assert gathers.idle
