"""States outlive the process in files that are whole or not there."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from monitors.kept import KeptInFolder

PLACE = ("credit/risk é", 3, "stable")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Places with odd names, arrays of several types, the latest of two writes."""
    kept = KeptInFolder(tmp_path / "monitors")
    assert list(kept.all()) == []
    kept.write(PLACE, {"a/b": np.arange(3)})
    kept.write(PLACE, {"a/b": np.arange(4), "c": np.array([0.5])})
    kept.write(("other", 1, "shadow"), {})

    read = dict(KeptInFolder(tmp_path / "monitors").all())

    assert set(read) == {PLACE, ("other", 1, "shadow")}
    assert read[PLACE]["a/b"].tolist() == [0, 1, 2, 3]
    assert read[PLACE]["c"].tolist() == [0.5]


def test_a_broken_file_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a file, or one of something else, does not take the others with it."""
    kept = KeptInFolder(tmp_path)
    kept.write(PLACE, {"a": np.arange(1000)})
    (good,) = tmp_path.glob("*.npz")
    (tmp_path / "half.npz").write_bytes(good.read_bytes()[:500])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.arange(3))

    with caplog.at_level(logging.WARNING):
        read = list(kept.all())

    assert [place for place, _ in read] == [PLACE]
    assert sum("begin anew" in line for line in caplog.messages) == 3


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    """Forgetting twice is no error."""
    kept = KeptInFolder(tmp_path)
    kept.write(PLACE, {})
    (file,) = tmp_path.iterdir()
    file.with_suffix(".new").write_bytes(b"half")
    kept.forget(PLACE)
    kept.forget(PLACE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_old_goes_whether_it_can_be_read_or_not(tmp_path: Path) -> None:
    """Also half a file that a killed process left; what was written since, and others', stays."""
    kept = KeptInFolder(tmp_path)
    kept.forget_older(1e12)
    for place in (PLACE, ("other", 1, "shadow")):
        kept.write(place, {})
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "half.new").write_text("hel")
    (tmp_path / "notes.txt").write_text("mine")
    old, *_ = sorted(tmp_path.glob("*.npz"))
    for path in (old, tmp_path / "text.npz", tmp_path / "half.new", tmp_path / "notes.txt"):
        os.utime(path, (1000.0, 1000.0))

    kept.forget_older(1000.0)
    assert len(list(tmp_path.iterdir())) == 5
    kept.forget_older(1001.0)

    assert len(list(kept.all())) == 1
    assert not old.exists()
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".txt"}
