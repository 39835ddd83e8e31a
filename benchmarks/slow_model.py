"""The benchmark model made slow: the same answers, after so many seconds for each row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.model import INPUT, SCORES, Workload
from registry.inference import onnxruntime as ort

_STEPS = 64
_FIRST_WIDTH = 4_000
_TRIES = 25


def slowed(workload: Workload, seconds: float, path: Path) -> tuple[Workload, float]:
    """Write the slow model; gives its workload, and the least seconds of one row on one thread.

    The cost is elementwise work on a row of its own, so that a batch costs as much as its rows.
    """
    fast = workload.model.read_bytes()
    width = _FIRST_WIDTH
    for _ in range(3):
        width = max(int(width * seconds / _run_s(_with_work(fast, width))), 1)
    model = _with_work(fast, width)
    path.write_bytes(model)
    return replace(workload, model=path), _run_s(model)


def _with_work(fast: bytes, width: int) -> bytes:
    """Add to the scores nought times the mean of a long row of sines of sines."""
    model = onnx.load_model_from_string(fast)
    graph = model.graph
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == SCORES:
                node.output[place] = "quick_scores"
    constants: dict[str, NDArray[Any]] = {
        "work_start": np.array([0], np.int64),
        "work_end": np.array([1], np.int64),
        "work_axis": np.array([1], np.int64),
        "work_row": np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :],
        "work_nought": np.array([0.0], np.float32),
    }
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    bounds = [INPUT, "work_start", "work_end", "work_axis"]
    graph.node.extend(
        [
            helper.make_node("Slice", bounds, ["work_column"]),
            helper.make_node("Add", ["work_column", "work_row"], ["work_0"]),
            *(
                helper.make_node("Sin", [f"work_{step}"], [f"work_{step + 1}"])
                for step in range(_STEPS)
            ),
            helper.make_node("ReduceMean", [f"work_{_STEPS}"], ["work_mean"], axes=[1]),
            helper.make_node("Mul", ["work_mean", "work_nought"], ["work_done"]),
            helper.make_node("Add", ["quick_scores", "work_done"], [SCORES]),
        ]
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _run_s(model: bytes) -> float:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    row = {INPUT: np.zeros((1, session.get_inputs()[0].shape[1]), np.float32)}
    times = []
    for _ in range(_TRIES):
        began = perf_counter()
        session.run([SCORES], row)
        times.append(perf_counter() - began)
    return min(times)  # What others take of the machine is not the model's.
