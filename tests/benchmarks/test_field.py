"""The field is complete, and each of the others has its own pinned environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import environments, field
from benchmarks.processes import BenchmarkError


def test_every_contestant_has_a_script_and_pinned_versions() -> None:
    """A contestant that cannot be started is none."""
    for _, environment, script, _, _ in field.PEERS:
        assert (environments.PEERS / script).exists()
        pins = (environments.PEERS / f"{environment}.txt").read_text(encoding="utf-8")
        assert all("==" in line for line in pins.splitlines() if not line.startswith("#"))
    assert {peer[1] for peer in field.PEERS} == set(environments.names())


def test_every_server_that_is_compared_tells_its_version() -> None:
    """The versions go into the report."""
    assert set(environments.versions()) == environments.SERVERS


def test_an_environment_that_is_not_from_these_pins_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other versions than those written down would be measured."""
    monkeypatch.setattr(environments, "HOME", tmp_path)
    with pytest.raises(BenchmarkError, match="no environment"):
        environments.python("floor")
    (tmp_path / "floor").mkdir()
    (tmp_path / "floor" / "made-from.txt").write_text("uvicorn==0.1\n")
    with pytest.raises(BenchmarkError, match="no environment"):
        environments.python("floor")
    pins = (environments.PEERS / "floor.txt").read_bytes()
    (tmp_path / "floor" / "made-from.txt").write_bytes(pins)
    assert environments.python("floor") == tmp_path / "floor" / "bin" / "python"


def test_others_find_neither_our_modules_nor_leave_to_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`serve` is ours and Ray's; usage reports are nobody's business."""
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    told = environments.variables({"MORE": "1"})
    assert told["PYTHONPATH"] == str(environments.PEERS)
    assert "PYTHONHASHSEED" not in told
    assert told["RAY_USAGE_STATS_ENABLED"] == "0"
    assert told["ORT_DISABLE_TELEMETRY"] == "1"
    assert told["MORE"] == "1"
