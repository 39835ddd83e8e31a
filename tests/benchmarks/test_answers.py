"""Nobody is measured whose answers are not right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import orjson
import pytest

from benchmarks import answers, environments, questions
from benchmarks.contestants import until_ready
from benchmarks.processes import BenchmarkError, end, free_ports, start
from benchmarks.questions import Questions, Source
from tests.registry.models import regressor


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Questions, ...]:
    """All workloads, over one tiny model."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "models").mkdir()
    path = folder / "models" / "tiny.onnx"
    path.write_bytes(regressor().SerializeToString())
    rows = np.random.default_rng(1).random((70, 3), dtype=np.float32).round(5)
    tiny = Source("tiny", path, "x", "y", rows)
    return questions.build(folder, tiny, tiny, tiny)


@pytest.fixture(scope="module")
def floor(asked: tuple[Questions, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the floor answers for the tiny model; Weir's own environment has what it needs."""
    log = tmp_path_factory.mktemp("floor") / "log"
    ports = free_ports(3)
    command = [sys.executable, str(environments.PEERS / "floor_server.py")]
    command += ["--models", str(asked[0].bodies.parent / "models")]
    for name, port in zip(("port", "grpc-port", "spare-port"), ports, strict=True):
        command += [f"--{name}", str(port)]
    server = start(command, log, environments.variables({}))
    try:
        url = f"http://127.0.0.1:{ports[0]}/"
        with httpx.Client(trust_env=False) as client:
            until_ready("an answer", lambda: client.get(url), server, log)
        yield f"{url}v2/models/tiny/infer"
    finally:
        end(server)


def test_the_workloads_are_those_that_can_be_asked_for(asked: tuple[Questions, ...]) -> None:
    """`--only` knows every workload."""
    assert tuple(one.name for one in asked) == questions.NAMES


def test_a_right_answer_passes_written_out_and_packed(
    asked: tuple[Questions, ...], floor: str
) -> None:
    """The floor, in Weir's own environment, answers every workload of HTTP right."""
    for one in asked:
        if one.protocol != "grpc":
            answers.check_questions(floor, one)


def test_a_wrong_answer_does_not_pass(asked: tuple[Questions, ...], floor: str) -> None:
    """One number that is off by more than rounding is enough."""
    for one in asked:
        if one.protocol != "grpc":
            wrong = replace(one, rights=(one.rights[0] + np.float32(1e-3), *one.rights[1:]))
            with pytest.raises(BenchmarkError, match="not"):
                answers.check_questions(floor, wrong)


def test_packed_answers_are_told_apart_by_their_sizes() -> None:
    """The second of two packed outputs begins where the first ends."""
    outputs = [
        {"name": "label", "parameters": {"binary_data_size": 8}},
        {"name": "scores", "parameters": {"binary_data_size": 8}},
    ]
    head = orjson.dumps({"outputs": outputs})
    body = head + np.array([7], np.int64).tobytes() + np.array([0.25, 0.75], np.float32).tobytes()
    assert answers.tensor(body, len(head), "scores").tolist() == [0.25, 0.75]
    with pytest.raises(KeyError):
        answers.tensor(body, len(head), "others")
