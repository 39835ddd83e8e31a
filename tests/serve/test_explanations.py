"""Explanations are bounded: in number, in waiting, in time, and in the processes that are kept."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.errors import DeadlineExceeded, Forbidden, ModelFailed, Overloaded, Refused
from configs.settings import Explanations as Bounds
from configs.settings import Verify
from monitors.contributions.wish import Wish
from registry.records import Version
from serve.explanations import WAITING_MAX, Explanations
from serve.models.frames import Tensors
from tests.serve.explained import CARD
from tests.serve.versions import version
from tests.serve.waiting import until

ROW = (np.ones((1, 3), np.float32),)


class Told:
    """A process that answers when it is told to, and what became of all of them."""

    made: list[Told]

    def __init__(self, artifacts: Path, of: Version, limits: Verify) -> None:
        del artifacts, limits
        self.number = of.number
        self.may = threading.Event()
        self.ended = self.fails = False
        self.asked = 0
        Told.made.append(self)

    def ask(self, inputs: Tensors, wish: Wish, left_s: float) -> bytes:
        """Answer with the version's number."""
        del inputs, wish, left_s
        self.asked += 1
        assert self.may.wait(10.0)
        if self.fails:
            raise ModelFailed("it crashed")
        return b"%d" % self.number

    def kill(self) -> None:
        """Have whoever waits go on."""
        self.may.set()

    def end(self) -> None:
        """End."""
        self.ended = True


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real processes."""
    Told.made = []
    monkeypatch.setattr("serve.explanations.Explained", Told)


def of(number: int) -> Version:
    """A version that could be explained."""
    return replace(version(number, card=CARD), profile="sha256:")


def pool(processes: int = 2, keep_s: float = 60.0) -> Explanations:
    """Explanations with bounds."""
    bounds = Bounds.model_construct(processes=processes, keep_s=keep_s)
    return Explanations(Path("none"), Verify(), bounds)


def asking(explanations: Explanations, number: int, within_s: float = 9.0) -> asyncio.Task[bytes]:
    """A question that is on its way."""
    loop = asyncio.get_running_loop()
    work = explanations.explain(of(number), ROW, Wish(), loop.time() + within_s)
    return loop.create_task(work)


async def test_questions_about_one_version_have_one_process() -> None:
    """One after the other, each with its answer."""
    explanations = pool()
    asked = [asking(explanations, 1) for _ in range(WAITING_MAX)]
    await until(lambda: bool(Told.made) and Told.made[0].asked == 1, "it is so")
    Told.made[0].may.set()
    assert await asyncio.gather(*asked) == [b"1"] * WAITING_MAX
    assert len(Told.made) == 1
    await explanations.close()
    assert Told.made[0].ended


async def test_what_would_wait_too_long_is_refused_at_once() -> None:
    """And those that wait are answered all the same."""
    explanations = pool()
    asked = [asking(explanations, 1) for _ in range(WAITING_MAX)]
    await until(lambda: bool(Told.made), "it is so")
    with pytest.raises(Overloaded, match="try again"):
        await asking(explanations, 1)
    Told.made[0].may.set()
    assert await asyncio.gather(*asked) == [b"1"] * WAITING_MAX
    assert await asking(explanations, 1) == b"1"
    await explanations.close()


async def test_no_more_processes_than_are_allowed() -> None:
    """While all are busy another version is refused; then the one longest unasked leaves for it."""
    explanations = pool(processes=2)
    first, second = asking(explanations, 1), asking(explanations, 2)
    await until(lambda: len(Told.made) == 2, "it is so")
    with pytest.raises(Overloaded, match="2 other models"):
        await asking(explanations, 3)
    for each in Told.made:
        each.may.set()
    assert [await first, await second] == [b"1", b"2"]
    assert await asking(explanations, 1) == b"1"
    third = asking(explanations, 3)
    await until(lambda: len(Told.made) == 3 and Told.made[1].ended, "it is so")
    Told.made[2].may.set()
    assert await third == b"3"
    assert not Told.made[0].ended
    await explanations.close()
    assert all(each.ended for each in Told.made)


async def test_a_process_that_nobody_asks_leaves() -> None:
    """And the next question has another one."""
    explanations = pool(keep_s=0.05)
    first = asking(explanations, 1)
    await until(lambda: bool(Told.made), "it is so")
    Told.made[0].may.set()
    assert await first == b"1"
    await until(lambda: Told.made[0].ended, "it is so")
    again = asking(explanations, 1)
    await until(lambda: len(Told.made) == 2, "it is so")
    Told.made[1].may.set()
    assert await again == b"1"
    await explanations.close()


async def test_a_client_waits_no_longer_than_its_deadline() -> None:
    """What has begun goes on, what waits is never begun, and the process stays."""
    explanations = pool()
    began, waits = asking(explanations, 1, 3.0), asking(explanations, 1, 0.05)
    await until(lambda: bool(Told.made) and Told.made[0].asked == 1, "it is so")
    for late in (waits, began):
        with pytest.raises(DeadlineExceeded):
            await late
    Told.made[0].may.set()
    assert await asking(explanations, 1) == b"1"
    assert Told.made[0].asked == 2
    await explanations.close()


async def test_what_waits_for_whoever_has_left_is_never_begun() -> None:
    """Though there was time left for it."""
    explanations = pool()
    first, waits = asking(explanations, 1), asking(explanations, 1)
    await until(lambda: bool(Told.made) and Told.made[0].asked == 1, "it is so")
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    Told.made[0].may.set()
    assert await first == b"1"
    assert await asking(explanations, 1) == b"1"
    assert Told.made[0].asked == 2
    await explanations.close()


async def test_a_failure_is_told_to_whoever_asked() -> None:
    """And to nobody else."""
    explanations = pool()
    first = asking(explanations, 1)
    await until(lambda: bool(Told.made), "it is so")
    Told.made[0].fails = True
    Told.made[0].may.set()
    with pytest.raises(ModelFailed):
        await first
    Told.made[0].fails = False
    assert await asking(explanations, 1) == b"1"
    await explanations.close()


async def test_none_are_given_where_a_setting_says_so() -> None:
    """By the setting's name."""
    with pytest.raises(Forbidden, match=r"explanations\.processes"):
        await asking(pool(processes=0), 1)


async def test_nothing_is_started_for_what_cannot_be_explained() -> None:
    """A version without a reference is refused before there is a process."""
    loop = asyncio.get_running_loop()
    with pytest.raises(Refused, match="no reference"):
        await pool().explain(version(1, card=CARD), ROW, Wish(), loop.time() + 1)
    assert Told.made == []
