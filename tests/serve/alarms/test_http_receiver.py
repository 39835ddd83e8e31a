"""Alarms reach a real server, signed, and what it answers is understood."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from configs.settings import Alarms
from monitors.blocks import Snapshot
from monitors.telemetry import names
from registry.alarm_book import AlarmBook
from serve.alarms import tasks
from serve.alarms.messages import event
from serve.alarms.tasks import AlarmTasks
from serve.webhook import http_receiver as module
from serve.webhook import pauses
from serve.webhook.http_receiver import HttpReceiver
from serve.webhook.message import Message
from serve.webhook.receiver import Outcome
from serve.webhook.signature import signed
from tests.registry.alarms import FOUND, KEY, alarm
from tests.serve.alarms.fakes import BEGUN
from tests.serve.alarms.listening import Listening, listening
from tests.serve.waiting import until
from tests.tools.ports import free_port

SECRET = b"s" * 32
MESSAGE = event(alarm())


@pytest.fixture(name="server")
def real_server() -> Iterator[Listening]:
    """A server that takes everything, unless told otherwise."""
    with listening() as server:
        yield server


@pytest.fixture(name="secret")
def secret_file(tmp_path: Path) -> Path:
    """The file of a secret."""
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(SECRET).decode())
    return file


@pytest.fixture(name="sender")
async def http_receiver(server: Listening, secret: Path) -> AsyncIterator[HttpReceiver]:
    """The way to the server."""
    made = HttpReceiver(server.url + "/hook?token=hush", secret)
    yield made
    await made.close()


async def test_what_arrives_is_signed_and_whole(sender: HttpReceiver, server: Listening) -> None:
    """The signature is over the bytes that came, by the time that the header says."""
    assert await sender.send(MESSAGE) is Outcome.DELIVERED

    (posted,) = server.posted
    assert (posted.path, posted.body) == ("/hook?token=hush", MESSAGE.body)
    assert posted.headers["content-type"] == "application/json"
    at = int(posted.headers["webhook-timestamp"])
    came = {name: posted.headers[name] for name in signed(MESSAGE, SECRET, at)}
    assert came == signed(Message(MESSAGE.id, posted.body), SECRET, at)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (301, Outcome.FAILED),
        (307, Outcome.FAILED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.FAILED),
        (429, Outcome.FAILED),
        (500, Outcome.FAILED),
        (503, Outcome.FAILED),
    ],
)
async def test_what_it_answers_is_understood(
    sender: HttpReceiver, server: Listening, status: int, outcome: Outcome
) -> None:
    """Only success is success, and nobody is followed to another address."""
    server.answers = [status]

    assert await sender.send(MESSAGE) is outcome

    assert [posted.path for posted in server.posted] == ["/hook?token=hush"]


async def test_a_changed_secret_is_taken_at_once(
    sender: HttpReceiver, server: Listening, secret: Path
) -> None:
    """Without a restart; while the file holds none, nothing is sent unsigned."""
    await asyncio.to_thread(secret.write_text, "whsec_nothing")
    assert await sender.send(MESSAGE) is Outcome.FAILED
    assert server.posted == []
    await asyncio.to_thread(secret.write_text, base64.b64encode(b"t" * 32).decode())

    assert await sender.send(MESSAGE) is Outcome.DELIVERED

    headers = server.posted[0].headers
    assert (
        headers["webhook-signature"]
        == (signed(MESSAGE, b"t" * 32, int(headers["webhook-timestamp"]))["webhook-signature"])
    )


async def test_nobody_there_is_a_failure_that_names_no_address(
    secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what went wrong; an address may hold a secret."""
    receiver = HttpReceiver(f"http://127.0.0.1:{free_port()}/hush", secret)
    with caplog.at_level(logging.WARNING):
        assert await receiver.send(MESSAGE) is Outcome.FAILED
    await receiver.close()

    assert "ConnectError" in caplog.text
    assert "hush" not in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_an_answer_that_does_not_come_is_not_waited_for(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the connection and says nothing holds up nobody for long."""
    monkeypatch.setattr(module, "_ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        receiver = HttpReceiver(f"http://127.0.0.1:{silent.getsockname()[1]}", secret)
        assert await receiver.send(MESSAGE) is Outcome.FAILED
        await receiver.close()


async def test_without_a_secret_nothing_is_signed(server: Listening) -> None:
    """Alertmanager reads no signature."""
    receiver = HttpReceiver(server.url, None)
    await receiver.send(MESSAGE)
    await receiver.close()

    assert not [name for name in server.posted[0].headers if name.startswith("webhook")]


class Counting:
    """Keeps the counts that were sent last."""

    def __init__(self) -> None:
        self.outcomes = Counter[str]()
        self.failures = Counter[str]()

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Keep the counts."""
        for (name, (what,)), count in snapshot.counters.items():
            if name == names.ALARM_DELIVERIES.name:
                self.outcomes[what] = count
            elif name == names.TASK_FAILURES.name:
                self.failures[what] = count
        return True


@pytest.fixture(name="hurried")
def hurried_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(tasks, "_DELIVER_S", 0.001)
    monkeypatch.setattr(pauses, "_FIRST_S", 0.001)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("form", ["weir", "alertmanager"])
async def test_a_server_that_fails_twice_is_told_in_the_end(
    server: Listening, secret: Path, book: AlarmBook, form: str
) -> None:
    """The whole way: raised, tried three times under one id, noted, counted."""
    server.answers = [500, 503]
    found = book.raise_alarm(KEY, BEGUN, FOUND)
    settings = Alarms.model_validate(
        {"webhook": server.url, "webhook_secret_file": secret, "format": form}
    )
    counting, looks = Counting(), 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            message = "nobody expected this"
            raise RuntimeError(message)

    running = asyncio.ensure_future(
        AlarmTasks(look, 0.001, book, settings, "alarms-1", counting).run()
    )
    await until(lambda: counting.outcomes["delivered"] > 0, "a delivery")
    await until(lambda: counting.failures["alarms"] > 0, "the count of a look that failed")
    await _ended(running)

    assert book.untold_alarms() == ()
    assert {post.headers["webhook-id"] for post in server.posted[:3]} == {f"alarm_{found.id}_1"}
    assert counting.outcomes["failed"] == 2
    assert counting.outcomes["refused"] == counting.failures["deliver"] == 0


async def test_without_a_webhook_alarms_are_learnt_of_and_told_to_nobody(
    book: AlarmBook,
) -> None:
    """Deliveries are counted as none."""
    counting, looks = Counting(), 0

    async def look() -> None:
        nonlocal looks
        looks += 1

    running = asyncio.ensure_future(
        AlarmTasks(look, 0.001, book, Alarms(), "alarms-1", counting).run()
    )
    await until(lambda: looks > 2, "looks")
    await _ended(running)

    assert not any(counting.outcomes.values())


async def _ended(running: asyncio.Future[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
