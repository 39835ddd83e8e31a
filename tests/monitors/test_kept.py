"""States outlive the process in files that are whole or not there."""

import logging
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
    kept.forget(PLACE)
    kept.forget(PLACE)
    assert list(kept.all()) == []
