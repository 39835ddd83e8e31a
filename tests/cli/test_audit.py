"""`weir audit`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.audit import verify_chain
from registry.records import AuditEntry
from serve.cli import audit as audit_module
from tests.cli.conftest import Weir
from tests.control.serving import Api


def test_changes_are_listed(weir: Weir, two_versions: Api) -> None:
    """Who, what, when and why, and how to read on."""
    result = weir("audit", "list", "--after", "1", "--limit", "2")

    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NUMBER", "2", "3"]
    assert "ada" in lines[2]
    assert "first" in lines[2]
    assert "--after 3" in result.stderr


def test_a_whole_log_is_said_to_be_whole(weir: Weir, two_versions: Api) -> None:
    """Exit status 0 means verified."""
    result = weir("audit", "verify")

    assert result.exit_code == 0
    assert "whole" in result.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_broken_log_is_an_error(weir: Weir, two_versions: Api, options: list[str]) -> None:
    """The first wrong entry is named, and the exit status is 1."""
    two_versions.control.tamper(1)

    result = weir("audit", "verify", *options)

    assert result.exit_code == 1
    assert "entry 2" in result.stderr


def test_an_export_can_be_verified_by_others(
    weir: Weir, two_versions: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages, in order, with everything that the hashes are made of."""
    monkeypatch.setattr(audit_module, "_PAGE", 2)
    path = tmp_path / "audit.jsonl"

    weir("audit", "export", "--output", str(path))

    lines = path.read_text(encoding="utf-8").splitlines()
    entries = [AuditEntry(**json.loads(line)) for line in lines]
    assert entries == two_versions.control.log
    assert verify_chain(entries) is None
    assert weir("audit", "export").stdout.splitlines() == lines
