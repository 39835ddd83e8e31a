"""A version is loaded from its saved graph where that pays, and answers as from its file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from configs.errors import NotFound, Refused
from configs.settings import Hosts
from registry.artifacts import Artifacts
from registry.signature import Signature
from serve.models import loading
from serve.models.curve import Curve
from serve.models.frames import Tensors
from serve.models.loading import Loaded, Loader
from serve.models.warm_up import run_once
from tests.registry.models import model, tensor
from tests.serve.versions import REGRESSOR, signature

IMAGE = signature(inputs=(-1, 3, 8, 8), outputs=2)


def _network() -> bytes:
    """Convolutions, whose weights the processor has in a layout of its own, and a product."""
    draw = np.random.default_rng(3)
    weights = {
        "filters": draw.standard_normal((16, 3, 3, 3), np.float32),
        "more": draw.standard_normal((16, 16, 3, 3), np.float32),
        "product": draw.standard_normal((16, 2), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "filters"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "more"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("MatMul", ["f", "product"], ["y"]),
    ]
    kept = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    inputs, outputs = [tensor("x", ["N", 3, 8, 8])], [tensor("y", ["N", 2])]
    return model(nodes, inputs, outputs, kept).SerializeToString()


class Data:
    """A data folder with one model, and what loads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digest = Artifacts(folder / "artifacts").put(_network())

    def load(self, *, pays_bytes: int = 0, signature: Signature = IMAGE) -> Loaded:
        """Load the model; every size pays unless it is said otherwise."""
        hosts = Hosts(batch_max_rows=4)
        loader = Loader(self.folder, hosts, pays_bytes=pays_bytes)
        return loader.load(self.digest, signature, "network 1")

    @property
    def graphs(self) -> list[Path]:
        """The graphs that were saved."""
        return sorted((self.folder / "artifacts" / "graphs").glob("*/graph.onnx"))


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """A data folder with the network."""
    return Data(tmp_path)


def test_a_saved_graph_gives_the_same_bits(data: Data, caplog: pytest.LogCaptureFixture) -> None:
    """The load that saves it, and every load from it, answer as the file does."""
    caplog.set_level(logging.INFO, "weir.host")
    images = np.random.default_rng(5).random((3, 3, 8, 8), np.float32)
    plain = data.load(pays_bytes=2**30).session.run([images])[0]
    assert data.graphs == []

    for _ in range(2):
        np.testing.assert_array_equal(data.load().session.run([images])[0], plain)

    assert len(data.graphs) == 1
    told = [record.getMessage() for record in caplog.records]
    assert ["from its saved graph" in line for line in told] == [False, True, True]
    assert all("1 of " in line and "CPUExecutionProvider" in line for line in told)


@pytest.mark.parametrize("damage", ["changed", "unloadable"])
def test_a_graph_that_cannot_be_used_is_not(
    data: Data, damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that was changed is saved anew; with one that does not load, the file is loaded."""
    images = np.random.default_rng(5).random((3, 3, 8, 8), np.float32)
    plain = data.load().session.run([images])[0]
    (graph,) = data.graphs
    if damage == "changed":
        graph.write_bytes(b"no graph")
    else:
        monkeypatch.setattr(loading, "write_graph", lambda _m, target, _h: target.write_bytes(b"-"))
        graph.unlink()

    np.testing.assert_array_equal(data.load().session.run([images])[0], plain)

    warned = "without a saved graph" in caplog.text
    assert (len(data.graphs), warned) == ((1, False) if damage == "changed" else (0, True))


def test_where_nothing_can_be_saved_the_file_is_loaded(
    data: Data, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A child process that fails costs a line in the log, and no version."""

    def fail(_model: Path, _target: Path, _hosts: Hosts) -> None:
        raise Refused("no room")

    monkeypatch.setattr(loading, "write_graph", fail)

    assert data.load().session.run([np.ones((1, 3, 8, 8), np.float32)])[0].shape == (1, 2)
    assert "no room" in caplog.text


@pytest.mark.parametrize("pays_bytes", [0, 2**30])
def test_a_file_that_has_changed_is_not_loaded(data: Data, pays_bytes: int) -> None:
    """The digest is held against the bytes, whichever way a model is loaded."""
    path = Artifacts(data.folder / "artifacts").path(data.digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")

    with pytest.raises(Refused, match="changed on disk"):
        data.load(pays_bytes=pays_bytes)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """A digest that nothing is stored under says so."""
    loader = Loader(tmp_path, Hosts())
    with pytest.raises(NotFound, match="no artifact"):
        loader.load("sha256:" + "0" * 64, REGRESSOR, "none 1")


@pytest.mark.parametrize(("one_row_s", "threads"), [(0.000_01, 1), (0.02, 3)])
def test_a_model_has_more_threads_only_where_it_is_slow(
    data: Data, one_row_s: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one row takes on one thread decides."""
    monkeypatch.setattr(loading, "cores_given", lambda: 8)
    monkeypatch.setattr(loading, "warm_up", lambda *_: Curve((1, 2), (one_row_s, one_row_s)))

    assert data.load(pays_bytes=2**30).threads == threads


class Measuring:
    """Says how long a row takes, and how often that was asked and how often a model just ran."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.one_row_s = 0.02
        self.measured = self.ran = 0
        patch.setattr(loading, "warm_up", self._measure)
        patch.setattr(loading, "run_once", self._run)

    def _measure(self, *_: object) -> Curve:
        self.measured += 1
        return Curve((1, 2), (self.one_row_s, self.one_row_s * self.measured))

    def _run(self, run: Callable[[Tensors], object], signature: Signature) -> None:
        self.ran += 1
        run_once(run, signature)


@pytest.mark.parametrize("pays_bytes", [0, 2**30])
def test_a_version_that_is_loaded_again_is_run_once_and_not_measured(
    data: Data, pays_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its curve and its threads are those of the first load, from its file or its saved graph."""
    monkeypatch.setattr(loading, "cores_given", lambda: 8)
    measuring = Measuring(monkeypatch)
    loader = Loader(data.folder, Hosts(batch_max_rows=4), pays_bytes)
    first = loader.load(data.digest, IMAGE, "network 1")
    before = measuring.measured

    again = loader.load(data.digest, IMAGE, "network 1")

    assert (measuring.measured, measuring.ran) == (before, 1)
    assert (again.curve, again.threads) == (first.curve, first.threads) == (first.curve, 3)
    assert again.session is not first.session


def test_what_is_not_the_same_is_measured(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of the same file, and one that may have other threads than before."""
    measuring = Measuring(monkeypatch)
    measuring.one_row_s = 1e-5
    loader = Loader(data.folder, Hosts(batch_max_rows=4))
    for cores, name in ((2, "network 1"), (2, "network 2"), (8, "network 1")):
        monkeypatch.setattr(loading, "cores_given", lambda given=cores: given)
        loader.load(data.digest, IMAGE, name)

    assert (measuring.measured, measuring.ran) == (3, 0)


def test_a_version_that_is_loaded_again_is_checked_again(data: Data) -> None:
    """That it was measured says nothing of what its file holds by now."""
    loader = Loader(data.folder, Hosts(batch_max_rows=4))
    loader.load(data.digest, IMAGE, "network 1")
    path = Artifacts(data.folder / "artifacts").path(data.digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")

    with pytest.raises(Refused, match="changed on disk"):
        loader.load(data.digest, IMAGE, "network 1")
