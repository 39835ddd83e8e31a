"""`weir demo` tells its story to the end, finds what moved, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.processes import free_ports as draw_ports
from configs.errors import StartError
from monitors.telemetry import names
from monitors.telemetry.promql import series
from serve.cli import demo as command
from serve.demo.data import MARKET_SHIFT
from serve.demo.gateway import choose_port
from tests.deploy.test_generated import QUERIES
from tests.deploy.test_queries import asked
from tests.tools.prometheus import Prometheus, running_prometheus, scrape_config

DEMO = (sys.executable, "-m", "serve.cli.main", "demo")
EMPTY_AT_ITS_END = ("Labels come", "Stable alone", "Rollouts/", "for training")
"""Panels of labels, expected a month after the story, of rollouts, of which none goes on, and of
the training log, which is off."""


def processes_with(mark: str) -> list[str]:
    """The command lines of running processes whose environment or command holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            line = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if mark.encode() in text and line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def free_ports() -> list[str]:
    """Options that name two ports which nobody has."""
    http, control = draw_ports(2)
    return ["--port", str(http), "--control-port", str(control)]


def marked(mark: str, folder: Path) -> dict[str, str]:
    """An environment that every descendant inherits, with a temporary folder of its own."""
    return {**os.environ, "WEIR_TEST_MARK": mark, "TMPDIR": str(folder)}


def left_in(folder: Path) -> list[str]:
    """The names of what was left there."""
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short name: sockets in it must have short paths."""
    with tempfile.TemporaryDirectory(prefix="wd") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.gateway
@pytest.mark.deploy
@pytest.mark.timeout(600)
def test_the_story_is_told_and_every_panel_has_something_to_show(
    temporary: Path, tmp_path: Path
) -> None:
    """The demo names what moved, fills every panel of the dashboard, and leaves nothing behind."""
    control = choose_port(0)
    demo = subprocess.Popen(
        [*DEMO, "--keep", "--port", str(choose_port(0)), "--control-port", str(control)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**marked(temporary.name, temporary), "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    with demo.stdout as words, demo.stderr as complaints:
        told = []
        for line in words:
            told.append(line)
            if "Ctrl-C" in line:
                break
        try:
            empty = empty_panels(tmp_path, control) if demo.poll() is None else []
        finally:
            demo.send_signal(signal.SIGINT)
        told += words.readlines()
        complained = complaints.read()
    assert demo.wait(60) in (0, 130), "".join(told) + complained
    assert complained == ""
    moved = next(line for line in told if line.startswith("Moved: "))
    assert set(MARKET_SHIFT) <= set(moved.strip().removeprefix("Moved: ").rstrip(".").split(", "))
    assert not any("Warning" in line for line in told)
    assert empty == []
    assert processes_with(temporary.name) == []
    assert left_in(temporary) == []


def empty_panels(folder: Path, control: int) -> list[str]:
    """The dashboard's queries to which a Prometheus that scrapes the demo has no answer."""
    target = f"127.0.0.1:{control}"
    with running_prometheus(folder, scrape_config(target, "1s")) as prometheus:
        prometheus.wait_for(f"rate({series(names.SAMPLES)}[1m]) >= 0")
        shown = {
            name: query
            for name, query in QUERIES.items()
            if not any(each in name for each in EMPTY_AT_ITS_END)
        }
        return [name for name, query in shown.items() if not answered(prometheus, asked(query))]


def answered(prometheus: Prometheus, query: str) -> bool:
    """Whether there is an answer; a busy machine may miss a scrape, and have none for a moment."""
    try:
        return bool(prometheus.wait_for(query, deadline_s=30.0))
    except TimeoutError:
        return False


@pytest.mark.gateway
def test_an_interrupted_story_leaves_nothing(temporary: Path) -> None:
    """SIGTERM while the gateway starts ends the demo and its gateway, and removes the files."""
    demo = subprocess.Popen(
        [*DEMO, *free_ports()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**marked(temporary.name, temporary), "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout as words:
        for line in words:
            if "is starting" in line:
                break
        demo.send_signal(signal.SIGTERM)
        words.read()
    assert demo.wait(60) == 130
    assert processes_with(temporary.name) == []
    assert left_in(temporary) == []


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    """The demo does not mix its files with those of somebody else."""
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    told = subprocess.run(
        [*DEMO, "--data", str(tmp_path)], capture_output=True, check=False, timeout=60, text=True
    )
    assert told.returncode == 1
    assert "empty folder" in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks the demo's packages is told what to install."""
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "skl2onnx" else name)
    with pytest.raises(StartError, match=r"skl2onnx: pip install 'weir-gateway\[demo\]'"):
        command.require_packages()


def test_a_taken_port_is_replaced_and_said() -> None:
    """When a port is taken a free one is used, and the user is told both numbers."""
    console = Console(record=True, file=io.StringIO(), width=100)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        ports = command._free_ports(console, taken, choose_port(0))
    assert ports.http != taken
    assert f"Port {taken} is taken; this demo uses {ports.http}." in console.export_text()
