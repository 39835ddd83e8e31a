"""The control plane's word to shared hosts is in files, and theirs to it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from configs.errors import Refused, Unavailable
from configs.settings import Hosts
from serve.control import shelves as module
from serve.control.shelves import Shelves
from serve.models.shelf_files import Refusal, Report, read_wanted, shelf_folder, write_report
from tests.serve.versions import MODEL, version
from tests.serve.waiting import PATIENCE_S

ONE = Hosts(shared=1)
KEY = (MODEL, 1)


def test_what_is_added_is_wanted_once_until_it_is_removed(tmp_path: Path) -> None:
    """Another control plane over the same files goes on where the first one was."""
    Shelves(tmp_path, ONE).add([version(1), version(2)], ahead=True)
    again = Shelves(tmp_path, ONE)
    again.add([version(1)], ahead=False)

    wanted = read_wanted(shelf_folder(tmp_path, 0))
    assert [(entry.number, entry.ahead) for entry in wanted.entries] == [(1, True), (2, True)]
    assert again.held() == {KEY: False, (MODEL, 2): False}

    again.remove(KEY)

    assert Shelves(tmp_path, ONE).held() == {(MODEL, 2): False}


def test_each_version_has_one_shared_host(tmp_path: Path) -> None:
    """With several shared hosts all that are added are wanted, each of one host."""
    many = Shelves(tmp_path, Hosts(shared=3))
    many.add([version(number) for number in range(1, 40)], ahead=False)

    wanted = [read_wanted(shelf_folder(tmp_path, number)).keys() for number in range(3)]

    assert all(wanted)
    assert sum(map(len, wanted)) == len(many.held()) == 39


async def test_it_waits_until_a_host_holds_them(tmp_path: Path) -> None:
    """A version counts as held when a replica that lives says so."""
    shelves = Shelves(tmp_path, ONE)
    shelves.add([version(1)], ahead=True)
    waiting = asyncio.ensure_future(shelves.settled([KEY]))
    await asyncio.sleep(0)
    assert not waiting.done()

    write_report(shelf_folder(tmp_path, 0), os.getpid(), Report(held=(KEY,)))

    await asyncio.wait_for(waiting, PATIENCE_S)
    assert shelves.held() == {KEY: True}


async def test_it_waits_for_every_replica(tmp_path: Path) -> None:
    """Gateway replicas that hold models themselves cannot ask one another's."""
    shelves, files = Shelves(tmp_path, ONE), shelf_folder(tmp_path, 0)
    shelves.add([version(1)], ahead=True)
    write_report(files, os.getppid(), Report())
    write_report(files, os.getpid(), Report(held=(KEY,)))
    waiting = asyncio.ensure_future(shelves.settled([KEY]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)

    write_report(files, os.getppid(), Report(held=(KEY,)))

    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_refusal_is_raised_and_forgotten(tmp_path: Path) -> None:
    """What a host cannot hold is wanted no longer; the sentence says why."""
    shelves = Shelves(tmp_path, ONE)
    shelves.add([version(1)], ahead=True)
    refusal = Refusal(model=MODEL, number=1, why="the file was changed")
    write_report(shelf_folder(tmp_path, 0), os.getpid(), Report(refused=(refusal,)))
    assert shelves.refused() == {KEY: "the file was changed"}

    with pytest.raises(Refused, match="credit 1 cannot be hosted: the file was changed"):
        await shelves.settled([KEY])

    assert shelves.held() == {}


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody there to hold a version it is not served now."""
    monkeypatch.setattr(module, "_HOLD_S", 0.05)
    shelves = Shelves(tmp_path, ONE)
    shelves.add([version(1)], ahead=True)

    with pytest.raises(Unavailable, match="no shared host has taken in credit 1"):
        await shelves.settled([KEY])
