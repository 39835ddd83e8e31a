"""A model is accepted with the right signature, or refused with a sentence, in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from configs.errors import Refused
from configs.settings import Verify
from registry.gently import NICE
from registry.signature import Datatype, Signature, TensorSpec
from registry.verify import verify_model
from tests.registry import models
from tests.registry.models import INT64, STRING, model, tensor

ROOMY = Verify(memory_max_bytes=2**30, time_max_s=30.0)
GOOD = models.regressor().SerializeToString()


def _verify(folder: Path, content: ModelProto | bytes, limits: Verify = ROOMY) -> Signature:
    path = folder / "model.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return verify_model(path, limits)


def _identity(*values: tuple[str, models.Shape, int]) -> ModelProto:
    return model(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in values],
        [tensor(name, shape, kind) for name, shape, kind in values],
        [tensor(f"{name}_out", shape, kind) for name, shape, kind in values],
    )


def test_a_model_gives_its_signature(tmp_path: Path) -> None:
    """Named dimensions are -1; names, order and element types are the model's own."""
    assert _verify(tmp_path, models.classifier()) == Signature(
        inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),),
        outputs=(
            TensorSpec(name="label", datatype=Datatype.INT64, shape=(-1,)),
            TensorSpec(name="scores", datatype=Datatype.FP32, shape=(-1, 2)),
        ),
    )


def test_every_element_type_and_rank_is_reported(tmp_path: Path) -> None:
    """Strings, scalars and dimensions without a name all have their place in a signature."""
    kinds = {
        Datatype.BOOL: TensorProto.BOOL,
        Datatype.UINT8: TensorProto.UINT8,
        Datatype.UINT64: TensorProto.UINT64,
        Datatype.INT16: TensorProto.INT16,
        Datatype.FP16: TensorProto.FLOAT16,
        Datatype.FP64: TensorProto.DOUBLE,
        Datatype.BYTES: STRING,
    }
    tensors = [(f"t{kind}", ["N", None, 2], kind) for kind in kinds.values()]
    found = _verify(tmp_path, _identity(*tensors, ("scalar", [], INT64)))
    assert [spec.datatype for spec in found.inputs] == [*kinds, Datatype.INT64]
    assert {spec.shape for spec in found.inputs[:-1]} == {(-1, -1, 2)}
    assert found.outputs[-1].shape == ()
    assert not found.batched


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    """Wherever an upload broke off, the rest is no model."""
    with pytest.raises(Refused):
        _verify(tmp_path, GOOD[: int(len(GOOD) * share)])


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    """Noise is refused like any other file that is no model."""
    with pytest.raises(Refused, match="not an ONNX model"):
        _verify(tmp_path, b"\x08" + np.random.default_rng(1).bytes(5000))


def _no_input_shape() -> ModelProto:
    made = models.regressor()
    made.graph.input[0].type.tensor_type.ClearField("shape")
    return made


def _false_shape() -> ModelProto:
    node = helper.make_node("NonZero", ["x"], ["y"])
    return model([node], [tensor("x", ["N"])], [tensor("y", [1, 7], INT64)])


def _mixed_rows() -> ModelProto:
    node = helper.make_node("Unique", ["x"], ["y"])
    return model([node], [tensor("x", ["N"])], [tensor("y", ["M"])])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(models.with_external_data(), "in another file", id="external-data"),
        pytest.param(models.custom_operator(), "custom domain 'com.example'", id="custom"),
        pytest.param(models.classifier(zipmap=True), "zipmap=False", id="zipmap"),
        pytest.param(_identity(("a\u202eb", ["N"], INT64)), "cannot be printed", id="name"),
        pytest.param(_identity(("b", ["N"], TensorProto.BFLOAT16)), "type bfloat16", id="bfloat16"),
        pytest.param(_no_input_shape(), "'shape' of 'type' is required", id="no-input-shape"),
        pytest.param(
            _false_shape(), "declared as .1, 7. but one row gives .1, 0.", id="false-shape"
        ),
        pytest.param(_mixed_rows(), "1 rows for 2 rows of input", id="mixed-rows"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path: Path, content: ModelProto, said: str) -> None:
    """Each reason has a sentence of its own."""
    with pytest.raises(Refused, match=said):
        _verify(tmp_path, content)


def test_a_file_above_the_cap_is_refused(tmp_path: Path) -> None:
    """The size cap is checked before anything is read."""
    with pytest.raises(Refused, match="the cap is 1024"):
        _verify(tmp_path, bytes(1025), Verify(model_max_bytes=1024))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_model_that_needs_too_much_memory_costs_this_process_nothing(tmp_path: Path) -> None:
    """A few hundred bytes that ask for 10 GB are refused, and the parent grows by under 5 MiB."""
    _verify(tmp_path, GOOD)  # Whatever the first one needs is not what is asked here.
    before = _resident_bytes()
    with pytest.raises(Refused, match="needs more than 1 GiB"):
        _verify(tmp_path, models.huge())
    assert _resident_bytes() - before < 5 * 2**20


def test_a_model_that_never_ends_is_stopped(tmp_path: Path) -> None:
    """An endless loop is refused when its time is over."""
    with pytest.raises(Refused, match="did not finish in 2 s"):
        _verify(tmp_path, models.endless(), Verify(memory_max_bytes=2**30, time_max_s=2.0))


def test_a_crash_of_the_child_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the runtime dies of a signal, the caller gets a sentence."""
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    monkeypatch.setattr("registry.verify._command", lambda *_: crash)
    with pytest.raises(Refused, match=r"crashed the process that checked it \(SIGSEGV\)"):
        _verify(tmp_path, GOOD)


@pytest.mark.parametrize("output", ["''", "'[]'", """'{"signature": 1}'""", "'x' * 3_000_000"])
def test_an_answer_that_cannot_be_read_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """A child that was taken over cannot confuse the parent with what it writes."""
    command = [sys.executable, "-c", f"print({output})"]
    monkeypatch.setattr("registry.verify._command", lambda *_: command)
    with pytest.raises(Refused, match="no answer that can be read"):
        _verify(tmp_path, GOOD)


def test_the_parent_never_loads_the_libraries_that_parse_models() -> None:
    """Importing the whole registry loads neither onnx nor onnxruntime."""
    code = "import sys, registry.registry; print({'onnx', 'onnxruntime'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_check_takes_what_nobody_else_wants(tmp_path: Path) -> None:
    """The child has a low priority, in this process's session: another has its own share."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.counting().SerializeToString())
    seen: set[tuple[int, int]] = set()
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(verify_model, path, Verify(time_max_s=1.5))
        while not checked.done():
            seen |= {_priority_and_session(pid) for pid in _checking(path)}

    assert isinstance(checked.exception(), Refused)
    assert (NICE, os.getsid(0)) in seen


def _checking(path: Path) -> list[int]:
    """The children of this process that check a file."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    children = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in children if str(path) in _read(pid, "cmdline")]


def _priority_and_session(pid: int) -> tuple[int, int]:
    """The nice value and the session of a process; zeros when it has gone."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[16]), int(fields[3])) if fields else (0, 0)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
