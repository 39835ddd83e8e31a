"""A receiver written from the documentation hears of every change, over all that may go wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from configs.settings import Rollouts
from monitors.blocks import Snapshot
from monitors.telemetry import names
from registry.records import FULL
from registry.rollouts import RolloutState
from serve.rollout.commands import Command
from serve.rollout.outbox import RolloutOutbox
from serve.rollout.tallies import JudgedArm
from serve.rollout.tasks import RolloutTasks
from serve.webhook import pauses
from tests.serve.alarms.documented import is_from_weir
from tests.serve.alarms.listening import LOST, Listening, listening
from tests.serve.rollout.conducting import Stand
from tests.serve.waiting import until

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
BAD = {JudgedArm.CANDIDATE: 0.3}
PATIENCE_S = 60.0


class Nowhere:
    """A transport of counts that nobody reads."""

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Drop them."""
        del snapshot
        return True


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(pauses, "_FIRST_S", 0.001)
    monkeypatch.setattr("serve.rollout.tasks.LOOK_S", 0.01)
    monkeypatch.setattr("serve.rollout.tasks._TELL_S", 0.01)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of the secret."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    return file


@asynccontextmanager
async def telling(stand: Stand, server: Listening, secret: Path) -> AsyncIterator[None]:
    """One life of a controller that looks and tells; what it remembers ends with it."""
    stand.open()
    settings = Rollouts(webhook=server.url + "/hook", webhook_secret_file=secret)
    tasks = RolloutTasks(stand.conductor, stand.registry, settings, stand.counts, "r-1", Nowhere())
    running = asyncio.ensure_future(tasks.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def tries(stand: Stand, outcome: str) -> float:
    """How often a delivery has ended so."""
    return stand.counts.snapshot("", ()).counters[names.ROLLOUT_DELIVERIES.name, (outcome,)]


def heard(server: Listening) -> dict[str, str]:
    """What has come, by id, in the order in which it came first; every request is signed."""
    verified = is_from_weir()
    assert all(verified(post.headers, post.body, SECRET) for post in server.posted)
    assert {post.path for post in server.posted} == {"/hook"}, "nobody is followed elsewhere"
    bodies: dict[str, bytes] = {}
    for post in server.posted:
        # One that comes again is the same as before.
        assert bodies.setdefault(post.headers["webhook-id"], post.body) == post.body
    return {of: orjson.loads(body)["type"] for of, body in bodies.items()}


async def test_everything_is_heard_in_order_over_failures_and_restarts(
    stand: Stand, secret: Path
) -> None:
    """It is down at first, then fails, sends elsewhere, and takes one whose answer is lost."""
    await stand.start()
    await stand.until(RolloutState.COMPLETED)
    with listening(up=False) as server:
        async with telling(stand, server, secret):
            await until(lambda: tries(stand, "failed") > 1, "tries while it is down", PATIENCE_S)
        assert tries(stand, "delivered") == 0
        server.answers = [500, 307, LOST]
        server.come_up()
        async with telling(stand, server, secret):
            await until(lambda: tries(stand, "delivered") > 1, "some that it took", PATIENCE_S)
        async with telling(stand, server, secret):
            outbox = RolloutOutbox(stand.registry)
            await until(lambda: not outbox.untold(), "all is told", PATIENCE_S)

    assert list(heard(server).values()) == [
        "rollout.started",
        *["rollout.advanced"] * 4,
        "rollout.promoted",
        "rollout.completed",
    ]
    first = [post.headers["webhook-id"] for post in server.posted[:4]]
    assert first == [f"rollout_{stand.rollout.id}_1"] * 4
    assert tries(stand, "refused") == 0


@pytest.mark.parametrize("why", ["harm", "order"])
async def test_a_receiver_that_hangs_delays_no_way_back(
    stand: Stand, secret: Path, why: str
) -> None:
    """It has taken the first request and says nothing; it hears the rest once it speaks again."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    with listening() as server:
        server.answering.clear()
        async with telling(stand, server, secret):
            await until(lambda: bool(server.posted), "it has been told something", PATIENCE_S)
            if why == "harm":
                stand.serve(2000, BAD)
            else:
                await stand.order(Command.ABORT)
            await until(
                lambda: stand.rollout.state is RolloutState.ROLLED_BACK, "a way back", PATIENCE_S
            )
            assert stand.weights == {1: FULL}
            assert tries(stand, "delivered") == 0

            server.answering.set()
            outbox = RolloutOutbox(stand.registry)
            await until(lambda: not outbox.untold(), "all is told", PATIENCE_S)

    assert list(heard(server).values())[-2:] == ["rollout.rolling_back", "rollout.rolled_back"]
