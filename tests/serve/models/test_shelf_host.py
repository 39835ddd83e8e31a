"""A shared host holds what files tell it to hold, each version on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ModelFailed
from serve import upkeep
from serve.models import keeper as module
from serve.models import shelf_files
from serve.models.addresses import addresses, folder, inside_path
from serve.models.batcher import Batcher
from serve.models.curve import Curve
from serve.models.frames import Frame, Kind
from serve.models.in_hand import InHand, was_in_hand
from serve.models.keeper import Keeper
from serve.models.links import Links
from serve.models.shelf_files import (
    Entry,
    Report,
    VersionKey,
    Wanted,
    count_crashes,
    hand,
    reports,
    shelf_folder,
    shelf_of,
    write_report,
    write_wanted,
)
from serve.models.shelf_host import ShelfHost
from tests.serve.models.carriers import soon
from tests.serve.models.conftest import BOTH_WAYS
from tests.serve.models.shelved import Loads, Tallied
from tests.serve.versions import REGRESSOR
from tests.serve.waiting import until

MODEL = "m"
CURVE = Curve((1,), (1e-6,))
DEAD = 2**22 + 1
"""No process has this id: Linux gives none above 2^22."""


_TOGETHER_S = 0.3


def _entry(number: int) -> Entry:
    return Entry(
        model=MODEL,
        number=number,
        digest="sha256:",
        signature=REGRESSOR,
        size_bytes=40,
        ahead=True,
    )


class Shelf:
    """One shared host with room for two models of 40 bytes, and who tells it what to hold."""

    def __init__(self, run_dir: Path, *, inside: bool = False) -> None:
        self.run_dir = run_dir
        self.files = shelf_folder(run_dir, 0)
        self.loads = Loads()
        self.tally = Tallied()
        in_hand = InHand(hand(self.files, os.getpid()))
        keeper = Keeper(100, 10.0, self.tally, in_hand)
        self.host = ShelfHost(
            run_dir,
            0,
            keeper,
            lambda entry: (self.loads.load(entry.number), CURVE),
            lambda _: lambda _wires, _seconds: None,
            self.tally.failed,
            inside=inside,
        )

    def want(self, *numbers: int) -> None:
        """Say what to hold."""
        write_wanted(self.files, Wanted(entries=tuple(map(_entry, numbers))))

    def report(self) -> Report:
        """What it says that it holds."""
        return reports(self.files).get(os.getpid(), Report())

    async def holds(self, *numbers: int) -> None:
        """Wait until it says that it holds these and no others."""
        wanted = {(MODEL, number) for number in numbers}
        await until(lambda: {*self.report().held} == wanted, f"it holds {numbers}")

    def names(self, number: int) -> int:
        """How many replicas of a version gateway replicas can find."""
        return len(addresses(folder(self.run_dir, MODEL, number)))


@pytest.fixture
async def shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> AsyncIterator[Shelf]:
    """A shared host that is not open yet."""
    monkeypatch.setattr(module, "heap_bytes", lambda: 1)
    monkeypatch.setattr(upkeep, "_PAUSE_S", 0.0)
    made = Shelf(tmp_path, inside=inside)
    yield made
    await made.host.drain(1.0)


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Callable[[int], asyncio.Future[float]]]:
    """Asks a version over a link of its own, as a gateway replica does."""
    links: dict[int, tuple[Batcher, Links]] = {}

    async def asked(number: int) -> float:
        if number not in links:
            batcher = Batcher(batched=True, max_rows=16, queue_max_rows=100)
            links[number] = batcher, Links(number, folder(tmp_path, MODEL, number), batcher)
        row = (np.zeros((1, 3), np.float32),)
        (answer,) = await links[number][0].submit(row, 1, soon(10.0))
        return float(answer[0, 0])

    yield lambda number: asyncio.ensure_future(asked(number))
    for _, link in links.values():
        await link.close()


Ask = Callable[[int], asyncio.Future[float]]


@BOTH_WAYS
async def test_what_it_finds_when_it_starts_is_loaded_when_asked(shelf: Shelf, ask: Ask) -> None:
    """A start with many models waits for none of them; one that had to leave comes back."""
    shelf.want(1, 2, 3)
    await shelf.host.open()
    assert shelf.loads.of == {}
    assert {*shelf.report().held} == {(MODEL, 1), (MODEL, 2), (MODEL, 3)}

    assert [await ask(number) for number in (1, 2, 3, 1, 3)] == [1.0, 2.0, 3.0, 1.0, 3.0]

    assert shelf.loads.of == {1: 2, 2: 1, 3: 1}
    assert shelf.tally.unloads == 2


@BOTH_WAYS
async def test_what_comes_later_is_loaded_first(shelf: Shelf, ask: Ask) -> None:
    """Nobody is sent to a new version before it is in memory; the others answer meanwhile."""
    shelf.want(1)
    await shelf.host.open()
    assert await ask(1) == 1.0
    with shelf.loads.held():
        shelf.want(1, 2)
        await until(shelf.loads.entered.is_set, "a load")
        assert await ask(1) == 1.0
        assert shelf.names(2) == 0
    await shelf.holds(1, 2)
    assert await ask(2) == 2.0
    assert shelf.loads.of[2] == 1


async def test_a_load_tells_how_long_runs_take(shelf: Shelf, ask: Ask) -> None:
    """What warm-up has measured decides from then on whether a batch runs on the loop."""
    shelf.want(1)
    await shelf.host.open()
    (host,) = shelf.host._hosts.values()
    row = Frame(Kind.RUN, 1, 1, (np.zeros((1, 3), np.float32),))
    assert (host.curve, host.quick(row)) == (None, False)

    await ask(1)

    assert (host.curve, host.quick(row)) == (CURVE, True)


@BOTH_WAYS
async def test_what_does_not_load_is_refused(shelf: Shelf) -> None:
    """Why is said in the report; once it is wanted no longer, nothing is left of it."""
    await shelf.host.open()
    shelf.loads.broken.add(1)
    shelf.want(1, 2)
    await shelf.holds(2)

    assert [(each.number, each.why) for each in shelf.report().refused] == [
        (1, "the file was changed on disk")
    ]
    assert shelf.names(1) == 0
    shelf.want(2)
    await until(lambda: not shelf.report().refused, "a report without the refusal")


async def test_a_failure_to_do_what_is_told_is_counted_and_tried_again(
    shelf: Shelf, ask: Ask
) -> None:
    """What is held is served on; what was told while it failed is held as soon as it can be."""
    shelf.want(1)
    await shelf.host.open()
    wanted = shelf.files / "wanted.json"
    wanted.write_text("rubbish")
    await until(lambda: shelf.tally.failures > 1, "two failures")
    assert shelf.host.following
    assert await ask(1) == 1.0

    shelf.want(1, 2)

    await shelf.holds(1, 2)
    assert await ask(2) == 2.0


@BOTH_WAYS
async def test_a_surprise_with_one_version_keeps_no_other_from_being_held(
    shelf: Shelf, ask: Ask
) -> None:
    """It is counted, not said to be held, and tried again; the others are held meanwhile."""
    await shelf.host.open()
    shelf.loads.surprising.add(1)
    shelf.want(1, 2)
    await until(lambda: shelf.tally.failures > 1, "two failures")
    await shelf.holds(2)
    assert await ask(2) == 2.0

    shelf.loads.surprising.clear()

    await shelf.holds(1, 2)
    assert await ask(1) == 1.0


async def test_a_surprise_on_the_way_to_a_batch_is_told_by_its_code(shelf: Shelf, ask: Ask) -> None:
    """The gateway counts errors by their codes; the same link goes on with the next batch."""
    shelf.loads.surprising.add(1)
    shelf.want(1)
    await shelf.host.open()

    with pytest.raises(ModelFailed):
        await ask(1)

    shelf.loads.surprising.clear()
    assert await ask(1) == 1.0


@BOTH_WAYS
async def test_what_leaves_says_goodbye(shelf: Shelf, ask: Ask) -> None:
    """A batch that is in is answered; the socket and the memory are given back."""
    shelf.want(1, 2)
    await shelf.host.open()
    with shelf.loads.held():
        asking = ask(1)
        await until(shelf.loads.entered.is_set, "a load")
        shelf.want(2)
        await shelf.holds(2)
        await until(lambda: shelf.names(1) == 0, "its socket has gone")
    assert await asking == 1.0
    await until(lambda: shelf.tally.loads == [""], "a load")


@BOTH_WAYS
async def test_it_leaves_without_a_trace(shelf: Shelf, ask: Ask) -> None:
    """A replica that is replaced takes its sockets and its report with it."""
    shelf.want(1)
    await shelf.host.open()
    assert shelf.host.following
    await ask(1)

    await shelf.host.drain(1.0)

    assert shelf.names(1) == 0
    assert reports(shelf.files) == {}
    assert not shelf.host.following


@pytest.mark.parametrize(("crashes", "held"), [(1, {1, 2}), (2, {2})])
async def test_who_crashes_its_host_twice_is_refused(
    shelf: Shelf, crashes: int, held: set[int]
) -> None:
    """A version that was at work whenever the host died is held no longer; the others are."""
    shelf.want(1, 2)
    for crash in range(crashes):
        dead = InHand(hand(shelf.files, DEAD + crash))
        dead.take_up((MODEL, 2))
        dead.put_down((MODEL, 2))
        dead.take_up((MODEL, 1))
        if crash < crashes - 1:
            count_crashes(shelf.files)

    await shelf.host.open()

    assert {number for _, number in shelf.report().held} == held
    why = "it was at work at 2 crashes of its shared host"
    refused = [(each.number, each.why) for each in shelf.report().refused]
    assert refused == [(number, why) for number in {1, 2} - held]
    assert [*shelf.files.glob("*.hand")] == [hand(shelf.files, os.getpid())]


def test_who_counts_a_crash_lets_no_other_count_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas die at once, with one version in hand, and two start at once: that is two."""
    write_wanted(tmp_path, Wanted(entries=(_entry(1),)))
    for dead in (DEAD, DEAD + 1):
        InHand(hand(tmp_path, dead)).take_up((MODEL, 1))
    both, looked_at, one_each = threading.Barrier(2), was_in_hand, [DEAD, DEAD + 1]

    def slowly(path: Path, keys: Iterable[VersionKey]) -> set[VersionKey]:
        found = looked_at(path, keys)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(_TOGETHER_S)  # For the other one, if nothing keeps it out.
        return found

    def lives(pid: int) -> bool:
        return pid != one_each[0 if threading.current_thread().name.endswith("_0") else 1]

    monkeypatch.setattr(shelf_files, "was_in_hand", slowly)
    monkeypatch.setattr(shelf_files, "is_alive", lives)

    with ThreadPoolExecutor(2) as pool:
        counted = [*pool.map(count_crashes, [tmp_path] * 2)]

    assert sorted(each[MODEL, 1] for each in counted) == [1, 2]
    assert count_crashes(tmp_path) == {(MODEL, 1): 2}


@BOTH_WAYS
async def test_what_left_comes_back(shelf: Shelf, ask: Ask) -> None:
    """A version that is wanted again is offered under the name that it had."""
    shelf.want(1)
    await shelf.host.open()
    assert await ask(1) == 1.0
    shelf.want()
    await shelf.holds()
    await until(lambda: shelf.names(1) == 0, "its name has gone")

    shelf.want(1)

    await shelf.holds(1)
    assert await ask(1) == 1.0


async def test_inside_there_is_a_name_and_no_socket(tmp_path: Path, ask: Ask) -> None:
    """A gateway replica finds the models that are in its own process by a file, as it does all."""
    shelf = Shelf(tmp_path, inside=True)
    shelf.want(1)

    await shelf.host.open()

    (name,) = folder(tmp_path, MODEL, 1).iterdir()
    assert name == inside_path(name.parent, os.getpid())
    assert name.is_file()
    assert await ask(1) == 1.0
    await shelf.host.drain(1.0)


async def test_who_leaves_in_order_is_not_suspected(shelf: Shelf, ask: Ask) -> None:
    """A replica that is replaced leaves no word of what it had in hand."""
    shelf.want(1)
    await shelf.host.open()
    await ask(1)

    await shelf.host.drain(1.0)

    assert count_crashes(shelf.files) == {}
    assert [*shelf.files.glob("*.hand")] == []


def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    """A report of a process that is no more says nothing."""
    write_report(tmp_path, DEAD, Report(held=(("m", 1),)))

    assert reports(tmp_path) == {}


def test_versions_spread_over_shared_hosts() -> None:
    """Each host gets its part, and one more host takes only what it gets itself."""
    keys: list[VersionKey] = [(f"model-{number}", 1) for number in range(600)]
    three = {key: shelf_of(key, 3) for key in keys}
    four = {key: shelf_of(key, 4) for key in keys}

    assert all(150 < [*three.values()].count(number) < 250 for number in range(3))
    assert {four[key] for key in keys if four[key] != three[key]} == {3}
