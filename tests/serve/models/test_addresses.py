"""Replicas are found by the names in their version's folder."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from serve.models import addresses as module
from serve.models.addresses import addresses, announce, folder, forget

LONG_AGO_S = 1000.0


def touched(path: Path | str, ago_s: float) -> None:
    """Have a file or a folder be as if it was touched so long ago."""
    then = time.time() - ago_s
    os.utime(path, (then, then))


def test_every_version_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Folders differ by model and version, are the same every time, and are short."""
    pairs = [("credit", 1), ("credit", 11), ("credit/1", 1), ("c" * 64, 999_999_999)]
    folders = {folder(tmp_path, *pair) for pair in pairs}

    assert len(folders) == 4
    assert folder(tmp_path, "credit", 1) in folders
    assert all(len(str(found.relative_to(tmp_path))) <= 14 for found in folders)


def test_only_sockets_with_their_final_name_are_found(tmp_path: Path) -> None:
    """A replica that is not ready yet has another name; a folder that is not there is empty."""
    for name in ("b.sock", "a.sock", "c.new", "d"):
        (tmp_path / name).touch()

    assert addresses(tmp_path) == (str(tmp_path / "a.sock"), str(tmp_path / "b.sock"))
    assert addresses(tmp_path / "nowhere") == ()


def test_forgetting_twice_does_no_harm(tmp_path: Path) -> None:
    """Two gateway replicas may remove the same dead socket."""
    (tmp_path / "a.sock").touch()
    (address,) = addresses(tmp_path)

    forget(address)
    forget(address)

    assert addresses(tmp_path) == ()


def test_a_far_replica_that_is_silent_for_a_minute_is_withdrawn(tmp_path: Path) -> None:
    """Whether it left or died; its folder has not changed since, and whoever speaks again is back.

    A socket is a replica on this node, which need not say that it lives.
    """
    lives, gone = (announce(tmp_path, f"10.0.0.{number}", 4711) for number in (1, 2))
    near = tmp_path / "1.sock"
    near.touch()
    touched(near, LONG_AGO_S)
    touched(tmp_path, LONG_AGO_S)
    assert addresses(tmp_path) == (str(near), lives, gone)

    touched(lives, 50.0)
    touched(gone, 70.0)

    assert addresses(tmp_path) == (str(near), lives)
    assert not Path(gone).exists()
    assert announce(tmp_path, "10.0.0.2", 4711) == gone
    assert addresses(tmp_path) == (str(near), lives, gone)


def test_no_change_is_missed_however_quickly_changes_follow(tmp_path: Path) -> None:
    """Many fall into one tick of a file system's clock, here of two seconds; each is seen."""

    def seen() -> tuple[str, ...]:
        """What is found after a change, with the time that a coarse clock would have given it."""
        tick = time.time() // 2 * 2
        os.utime(tmp_path, (tick, tick))
        return addresses(tmp_path)

    for number in range(100):
        unnamed, socket = tmp_path / "1.new", tmp_path / f"{number}.sock"
        unnamed.touch()
        assert seen() == ()
        unnamed.rename(socket)
        assert seen() == (str(socket),)
        socket.unlink()
        assert seen() == ()


def test_a_folder_is_listed_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that comes by renaming, one that goes, and a folder that is made anew are changes."""
    listed: list[Path] = []
    plainly = module._listed

    def listing(versions: Path) -> module.Names:
        listed.append(versions)
        return plainly(versions)

    monkeypatch.setattr(module, "_listed", listing)
    versions, socket = tmp_path / "v", tmp_path / "v" / "1.sock"

    def seen() -> tuple[str, ...]:
        """What two looks at the folder find, some time after its change: one of them lists it."""
        listed.clear()
        found = addresses(versions)
        touched(versions, LONG_AGO_S + len(found))
        assert addresses(versions) == addresses(versions) == addresses(versions) == found
        assert len(listed) == 2
        return found

    versions.mkdir()
    assert seen() == ()
    (tmp_path / "new").touch()
    (tmp_path / "new").rename(socket)
    assert seen() == (str(socket),)
    socket.unlink()
    assert seen() == ()
    shutil.rmtree(versions)
    assert addresses(versions) == ()
    versions.mkdir()
    socket.touch()
    assert seen() == (str(socket),)
