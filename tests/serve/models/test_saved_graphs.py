"""A saved graph is what was saved, for this machine, or it is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import Refused
from serve.models.saved_graphs import SavedGraphs, this_machine

DIGEST = "sha256:" + "a" * 64


def _write(target: Path) -> None:
    target.write_bytes(b"graph")
    target.with_name("graph.onnx.weights").write_bytes(b"weights")


def test_what_was_saved_is_found_with_its_weights(tmp_path: Path) -> None:
    """Before it is saved there is nothing; what is found is where it was saved."""
    saved = SavedGraphs(tmp_path, "here")
    assert saved.find(DIGEST) is None

    place = saved.save(DIGEST, _write)

    assert saved.find(DIGEST) == place
    assert place.read_bytes() == b"graph"
    assert [path.name for path in tmp_path.iterdir()] == [place.parent.name]


@pytest.mark.parametrize("name", ["graph.onnx", "graph.onnx.weights", "sha256"])
@pytest.mark.parametrize("change", ["other", "none"])
def test_what_has_changed_is_removed(tmp_path: Path, name: str, change: str) -> None:
    """A graph is run as it is, so no byte of it may be another's."""
    saved = SavedGraphs(tmp_path, "here")
    file = saved.save(DIGEST, _write).with_name(name)
    if change == "other":
        file.write_bytes(b"\xff" + file.read_bytes()[1:])
    else:
        file.unlink()

    assert saved.find(DIGEST) is None
    saved.save(DIGEST, _write)
    assert saved.find(DIGEST) is not None


def test_a_file_too_many_is_a_change(tmp_path: Path) -> None:
    """Nothing lies beside a graph that was not saved with it."""
    saved = SavedGraphs(tmp_path, "here")
    saved.save(DIGEST, _write).with_name("more").write_bytes(b"")

    assert saved.find(DIGEST) is None


def test_another_machine_has_graphs_of_its_own(tmp_path: Path) -> None:
    """Neither sees, nor replaces, what the other saved."""
    here, there = SavedGraphs(tmp_path, "here"), SavedGraphs(tmp_path, "there")
    place = here.save(DIGEST, _write)

    assert there.find(DIGEST) is None
    assert there.save(DIGEST, _write) != place
    assert here.find(DIGEST) == place


def test_saving_twice_is_harmless(tmp_path: Path) -> None:
    """Two replicas that save at a time end with one graph."""
    saved = SavedGraphs(tmp_path, "here")

    assert saved.save(DIGEST, _write) == saved.save(DIGEST, _write)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A graph is there whole or not at all."""
    saved = SavedGraphs(tmp_path, "here")

    def fail(target: Path) -> None:
        _write(target)
        raise Refused("no room")

    with pytest.raises(Refused):
        saved.save(DIGEST, fail)
    assert list(tmp_path.iterdir()) == []
    assert saved.find(DIGEST) is None


def test_a_machine_is_told_by_its_providers_too() -> None:
    """A graph for one provider is no graph for another."""
    assert this_machine(["CPU"]) == this_machine(["CPU"]) != this_machine(["CUDA", "CPU"])
