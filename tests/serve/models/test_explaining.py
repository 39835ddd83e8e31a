"""A model is explained in a process of its own, whose end is nobody's trouble."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from configs.errors import BadInput, DeadlineExceeded, ModelFailed, Refused, Unavailable
from configs.settings import Verify
from monitors.contributions.wish import Wish
from registry.artifacts import Artifacts
from serve.models.explaining import Explained
from tests.registry.models import counting, regressor
from tests.serve.explained import FEATURES, MEANS, stored
from tests.serve.models.test_rescoring import children

ROW = (np.array([[1.0, 2.0, 3.0]], np.float32),)


@pytest.fixture(name="explained")
def explained_in_a_process(tmp_path: Path) -> Iterator[Explained]:
    """The regressor."""
    made = Explained(tmp_path, stored(tmp_path), Verify())
    yield made
    made.end()


def parts(said: bytes) -> tuple[dict[str, float], dict[str, Any]]:
    """The contributions of one row by feature, and all that was said of it."""
    (row,) = orjson.loads(said)["explanations"]
    return {each["feature"]: each["value"] for each in row["contributions"]}, row


def test_a_sum_is_shared_out(explained: Explained) -> None:
    """Each value's distance from the mean of the reference, again and again in one process."""
    before = children()
    for _ in range(3):
        found, row = parts(explained.ask(ROW, Wish(samples=1024, budget_s=5.0), 10.0))
        assert list(found) == list(FEATURES)
        distances = [x - mean for x, mean in zip((1.0, 2.0, 3.0), MEANS, strict=True)]
        assert list(found.values()) == pytest.approx(distances, abs=0.15)
        assert row["prediction"] == pytest.approx(7.0)
        assert row["base_value"] + sum(found.values()) == pytest.approx(7.0, abs=1e-9)
    (child,) = children() - before
    stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[16]) >= 10
    assert os.sched_getscheduler(int(child)) == os.SCHED_BATCH
    explained.end()
    assert children() == before


def test_the_same_seed_says_the_same(explained: Explained) -> None:
    """Byte by byte, and in another process too."""
    wish = Wish(samples=8, seed=5, budget_s=5.0)
    said = explained.ask(ROW, wish, 10.0)
    assert explained.ask(ROW, wish, 10.0) == said
    explained.end()
    assert explained.ask(ROW, wish, 10.0) == said
    assert explained.ask(ROW, replace(wish, seed=6), 10.0) != said


def test_what_is_wrong_is_told_and_the_process_goes_on(explained: Explained) -> None:
    """By its own class and sentence."""
    explained.ask(ROW, Wish(), 10.0)
    before = children()
    with pytest.raises(BadInput, match="several columns"):
        explained.ask(ROW, Wish(column=1), 10.0)
    with pytest.raises(DeadlineExceeded):
        explained.ask(ROW, Wish(), 0.0)
    explained.ask(ROW, Wish(), 10.0)
    assert children() == before


def test_after_a_crash_there_is_another_process(explained: Explained) -> None:
    """Whoever asked then is told of it."""
    others = children()
    explained.ask(ROW, Wish(), 10.0)
    (child,) = children() - others
    os.kill(int(child), 9)
    with pytest.raises(ModelFailed, match="crashed"):
        explained.ask(ROW, Wish(), 10.0)
    assert children() == others
    assert parts(explained.ask(ROW, Wish(), 10.0))[1]["prediction"] == pytest.approx(7.0)


def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    """By the system, in the time that one question has."""
    before = children()
    hanging = Explained(tmp_path, stored(tmp_path, counting()), Verify(), hang_s=4.0)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="longer than 4 s"):
        hanging.ask(ROW, Wish(), 60.0)
    assert time.monotonic() - began < 30
    assert children() == before


def test_a_file_that_has_changed_is_not_explained(tmp_path: Path) -> None:
    """It is another model."""
    made = stored(tmp_path)
    path = Artifacts(tmp_path).path(made.digest)
    path.unlink()
    path.write_bytes(regressor(2.0).SerializeToString())
    with pytest.raises(Refused, match="changed on disk"):
        Explained(tmp_path, made, Verify()).ask(ROW, Wish(), 10.0)


def test_files_that_are_elsewhere_are_no_unknown_model(tmp_path: Path) -> None:
    """Another gateway may have them."""
    made = replace(stored(tmp_path / "there"))
    with pytest.raises(Unavailable, match="not on this machine"):
        Explained(tmp_path / "here", made, Verify()).ask(ROW, Wish(), 10.0)


def test_a_profile_that_is_none_is_refused(tmp_path: Path) -> None:
    """In our words."""
    made = replace(stored(tmp_path), profile=Artifacts(tmp_path).put(b"{}"))
    with pytest.raises(Refused, match="not a reference profile"):
        Explained(tmp_path, made, Verify()).ask(ROW, Wish(), 10.0)
