"""Whoever is to know of rollouts is told at every named point, signed, until it was taken."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from configs.settings import Rollouts
from monitors.blocks import Snapshot
from monitors.telemetry import names
from registry.moments import utc_text
from registry.rollouts import RolloutChange, RolloutState
from serve.rollout.commands import Command
from serve.rollout.messages import event, point
from serve.rollout.outbox import RolloutOutbox
from serve.rollout.tallies import JudgedArm
from serve.rollout.tasks import RolloutTasks
from serve.webhook import pauses
from serve.webhook.deliveries import Deliveries
from serve.webhook.receiver import Outcome
from tests.serve.alarms.fakes import Ears
from tests.serve.alarms.listening import listening
from tests.serve.rollout.cases import START, rollout
from tests.serve.rollout.conducting import Stand
from tests.serve.waiting import until

SECRET = b"s" * 32
LATER = utc_text(START + timedelta(seconds=9))


async def told(stand: Stand, ears: Ears) -> list[str]:
    """Deliver all that is to be told; gives the types, in order."""
    outbox = RolloutOutbox(stand.registry)
    deliveries = Deliveries(outbox, ears, stand.counts.tried, stand.clock.seconds, lambda: 0.0)
    while outbox.untold():
        await deliveries.deliver()
        stand.clock.later(1.0)
    return [orjson.loads(message.body)["type"] for message in ears.told]


async def test_a_good_version_is_told_of_from_start_to_end(stand: Stand) -> None:
    """Every step once, under an id of its own."""
    await stand.start()
    await stand.until(RolloutState.COMPLETED)
    ears = Ears()

    types = await told(stand, ears)

    assert types == [
        "rollout.started",
        *["rollout.advanced"] * 4,
        "rollout.promoted",
        "rollout.completed",
    ]
    assert len({message.id for message in ears.told}) == len(types)


async def test_a_bad_one_is_told_of_with_its_evidence(stand: Stand) -> None:
    """Which versions, who gets what now, and which guardrail said so."""
    await stand.start()
    await stand.until(RolloutState.CANARY)
    await stand.order(Command.PAUSE, reason="lunch")
    await stand.order(Command.RESUME)
    stand.serve(2000, {JudgedArm.CANDIDATE: 0.3})
    for _ in range(2):
        await stand.look()
    ears = Ears()

    types = await told(stand, ears)

    assert types[-4:] == [
        "rollout.held",
        "rollout.resumed",
        "rollout.rolling_back",
        "rollout.rolled_back",
    ]
    held, back = (orjson.loads(ears.told[place].body)["data"] for place in (-4, -2))
    assert (held["hold"], held["by"], held["reason"]) == ("paused", "ada", None)
    assert (held["state"], held["candidate_percent"]) == ("held", 5)
    assert (back["model"], back["stable"], back["candidate"]) == (stand.rollout.model, 1, 2)
    assert (back["candidate_percent"], back["by"]) == (0, "weir")
    assert back["reason"].startswith("error_ratio: ")
    assert back["guardrails"][0]["metric"] == "error_ratio"
    assert back["guardrails"][0]["harmful"]


async def test_what_is_no_point_in_its_life_is_told_to_nobody(stand: Stand) -> None:
    """It is noted as told, so that what follows does not wait for it."""
    await stand.start(shadow={"fraction": 0.0})
    await stand.look()
    stand.serve(200)
    await stand.look()
    assert stand.actions[-1] == "set objective"
    changes = stand.registry.rollout_changes(stand.rollout.id)
    ears = Ears()

    assert event(changes[-1]) is None
    assert await told(stand, ears) == ["rollout.started", "rollout.advanced"]
    assert RolloutOutbox(stand.registry).untold() == []
    assert RolloutOutbox(stand.registry).standing() is None


@pytest.mark.parametrize(
    ("action", "changes", "named"),
    [
        ("go on", {"state": RolloutState.CANARY}, "resumed"),
        ("resume", {"state": RolloutState.STARTING}, "resumed"),
        ("resume", {"state": RolloutState.BAKING}, "resumed"),
        ("approve", {"state": RolloutState.CANARY, "approved": ("canary",)}, "advanced"),
        ("approve", {"state": RolloutState.CANARY, "approved": ("promotion",)}, "resumed"),
        ("approve", {"state": RolloutState.SHADOW, "approved": ("canary",), "at": LATER}, None),
        ("approve", {"state": RolloutState.HELD, "approved": ("canary",)}, None),
        ("approve", {"state": RolloutState.BAKING, "approved": ("canary",), "at": LATER}, None),
        ("advance", {"state": RolloutState.BAKING}, "promoted"),
        ("roll back", {"state": RolloutState.ROLLING_BACK, "at": LATER}, "rolling_back"),
    ],
)
def test_only_what_is_new_is_told_as_new(
    action: str, changes: dict[str, Any], named: str | None
) -> None:
    """Not a step that somebody was told of before it was held, nor an approval before its time."""
    changed = RolloutChange(rollout(**{"number": 5, **changes}), action, "")

    assert point(changed) == named


async def test_a_receiver_that_is_deaf_holds_nothing_up(stand: Stand) -> None:
    """Rollouts go on and back; it hears of all of it later."""
    ears = Ears(answers=[Outcome.FAILED] * 3)
    await stand.start()
    await stand.until(RolloutState.CANARY)
    stand.serve(2000, {JudgedArm.CANDIDATE: 0.3})
    await stand.look()
    assert stand.weights == {1: 10_000}

    assert (await told(stand, ears))[-1] == "rollout.rolling_back"


class Counting:
    """A transport that keeps the last counts."""

    def __init__(self) -> None:
        self.last: Snapshot | None = None

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Keep them."""
        self.last = snapshot
        return True

    def count(self, metric: names.Metric, *attributes: str) -> Any:
        """One of them."""
        return self.last.counters.get((metric.name, attributes)) if self.last else None


async def test_the_whole_way_to_a_real_server(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at, advanced, told, signed, and told again after it failed; all of it is counted."""
    monkeypatch.setattr(pauses, "_FIRST_S", 0.001)
    monkeypatch.setattr("serve.rollout.tasks.LOOK_S", 0.01)
    monkeypatch.setattr("serve.rollout.tasks._TELL_S", 0.01)
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(SECRET).decode())
    await stand.start()
    counting = Counting()
    with listening() as server:
        server.answers = [500]
        settings = Rollouts(webhook=server.url, webhook_secret_file=file)
        tasks = RolloutTasks(
            stand.conductor, stand.registry, settings, stand.counts, "rollouts-1", counting
        )
        running = asyncio.ensure_future(tasks.run())
        await until(lambda: len(server.posted) > 2, "three tries")
        await until(
            lambda: counting.count(names.ROLLOUT_DELIVERIES, "delivered") == 2, "two deliveries"
        )
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    first, again, second = server.posted[:3]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    posted = [Webhook(SECRET).verify(post.body, post.headers) for post in (again, second)]
    assert [each["type"] for each in posted] == ["rollout.started", "rollout.advanced"]
    assert counting.count(names.ROLLOUT_DELIVERIES, "failed") == 1
    assert counting.count(names.TASK_FAILURES, names.TASK_ROLLOUTS) == 0
    assert stand.rollout.state is RolloutState.SHADOW
