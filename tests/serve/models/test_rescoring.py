"""A model runs again in a process of its own, whose end is nobody's trouble."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from configs.errors import DeadlineExceeded, ModelFailed
from configs.settings import Verify
from registry.artifacts import Artifacts
from registry.card import Card, Task
from registry.records import Version
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.rescoring import ROWS_AT_ONCE, rescored
from tests.registry.models import counting, regressor
from tests.serve.versions import REGRESSOR

ROWS = {"x": np.random.default_rng(1).standard_normal((600, 3)).astype(np.float32)}


def version(folder: Path, model: ModelProto | bytes, signature: Signature = REGRESSOR) -> Version:
    """A model that is stored in a folder."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    digest = Artifacts(folder).put(data)
    return Version("m", 1, digest, signature, Card(task=Task.REGRESSION), None, 1, "ada", "")


def children() -> set[str]:
    """The processes that this one has started and that have not ended."""
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def test_it_answers_as_the_model_does(tmp_path: Path) -> None:
    """More rows than one batch holds, again and again; then the process is gone."""
    before = children()
    with rescored(tmp_path, version(tmp_path, regressor(1.0)), Verify()) as run:
        for _ in range(3):
            assert len(ROWS["x"]) > ROWS_AT_ONCE
            found = run(ROWS)
            assert found["y"].shape == (600, 1)
            assert found["y"][:, 0] == pytest.approx(ROWS["x"].sum(axis=1) + 1, abs=1e-5)
        (child,) = children() - before
        stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        assert int(stat[16]) >= 10
    assert children() == before


def test_a_model_that_takes_one_row_at_a_time_is_run_so(tmp_path: Path) -> None:
    """Rows are stacked as samples are."""
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(1, 3)),),
        outputs=(TensorSpec(name="y", datatype=Datatype.FP32, shape=(1, 1)),),
    )
    with rescored(tmp_path, version(tmp_path, regressor(), signature), Verify()) as run:
        found = run({"x": ROWS["x"][:5, None, :]})
    assert found["y"].shape == (5, 1, 1)
    assert found["y"].reshape(-1) == pytest.approx(ROWS["x"][:5].sum(axis=1) + 1, abs=1e-5)


@pytest.mark.parametrize("data", [b"no model at all", regressor().SerializeToString()[:60]])
def test_what_does_not_load_has_failed(tmp_path: Path, data: bytes) -> None:
    """In our words."""
    with (
        rescored(tmp_path, version(tmp_path, data), Verify()) as run,
        pytest.raises(ModelFailed, match="does not load, or failed"),
    ):
        run(ROWS)


def test_a_file_that_has_changed_is_not_run(tmp_path: Path) -> None:
    """It is another model."""
    made = version(tmp_path, regressor())
    Artifacts(tmp_path).path(made.digest).write_bytes(regressor(2.0).SerializeToString())
    with rescored(tmp_path, made, Verify()) as run, pytest.raises(ModelFailed):
        run(ROWS)


def test_what_a_model_complains_of_is_not_repeated(tmp_path: Path) -> None:
    """It may quote a row."""
    with (
        rescored(tmp_path, version(tmp_path, regressor()), Verify()) as run,
        pytest.raises(ModelFailed) as failed,
    ):
        run({"x": np.ones((1, 71), np.float32)})
    assert "71" not in failed.value.message


def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    """In the time that is allowed for all of the runs."""
    began = time.monotonic()
    with (
        rescored(tmp_path, version(tmp_path, counting()), Verify(), time_max_s=3.0) as run,
        pytest.raises(DeadlineExceeded, match="longer than 3 s"),
    ):
        run(ROWS)
    assert time.monotonic() - began < 15


def test_a_crash_is_told(tmp_path: Path) -> None:
    """The process that asked goes on."""
    before = children()
    with rescored(tmp_path, version(tmp_path, regressor()), Verify()) as run:
        run(ROWS)
        (child,) = children() - before
        os.kill(int(child), 9)
        with pytest.raises(ModelFailed, match="crashed"):
            run(ROWS)
    assert children() == before
