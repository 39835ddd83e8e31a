"""A real `weir up`: started, found ready, asked to end, and looked after."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
import yaml

from serve.node.descendants import descendants
from tests.gateway.family import Family

CHECKOUT = Path(__file__).parents[2]
READY_S = 120.0
GONE_S = 60.0
NOTHING: Mapping[str, object] = MappingProxyType({})
_FREE_PORTS = {"http_port": 0, "grpc_port": 0, "control_port": 0}
_URL = re.compile(r"^\s+(inference|control)\s+(https?://\S+?)/(?:v2|docs)$", re.MULTILINE)
_GRPC = re.compile(r"^\s+gRPC\s+(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Launched:
    """A `weir up` that may not be ready yet."""

    process: subprocess.Popen[bytes]
    data: Path
    out: Path
    errors: Path
    family: Family

    @property
    def pid(self) -> int:
        """The process id of the supervisor."""
        return self.process.pid

    def said(self) -> str:
        """What it has printed on standard output so far."""
        return self.out.read_text()

    def complained(self) -> str:
        """What it has printed on standard error so far."""
        return self.errors.read_text()

    def wait_ready(self) -> Running:
        """Wait until it says that it is ready; gives where it listens."""
        deadline = time.monotonic() + READY_S
        while "weir is ready" not in self.said() or len(_URL.findall(self.said())) < 2:
            assert self.process.poll() is None, f"it ended by itself: {self.complained()}"
            assert time.monotonic() < deadline, f"not ready within {READY_S} s: {self.log_text()}"
            time.sleep(0.05)
        said = self.said()
        urls = dict(_URL.findall(said))
        (grpc,) = _GRPC.findall(said)
        return Running(urls["inference"], grpc, urls["control"], self)

    def log_text(self) -> str:
        """The last lines of the log of all its processes."""
        log = self.data / "weir.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else "no log"

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the supervisor a signal and wait for it; gives its exit status."""
        self.process.send_signal(number)
        return self.process.wait(GONE_S)

    def driver(self) -> int:
        """The process id of the driver."""
        for pid in descendants(self.pid):
            with suppress(OSError):  # It may have ended since it was found.
                if b"serve.node.driver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        message = "the supervisor has no driver"
        raise AssertionError(message)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that is ready: where it listens, and the command that runs it."""

    http: str
    grpc: str
    control: str
    launched: Launched

    @property
    def pid(self) -> int:
        """The process id of the supervisor."""
        return self.launched.pid

    @property
    def log(self) -> str:
        """The last lines of the log."""
        return self.launched.log_text()

    @property
    def http_port(self) -> int:
        """The port of inference."""
        return int(self.http.rpartition(":")[2])

    @property
    def control_port(self) -> int:
        """The port of the control API."""
        return int(self.control.rpartition(":")[2])

    def pids(self, role: str, model: str = "", version: int | None = None) -> set[int]:
        """The processes that play a role, by the control API's own word."""
        answer = httpx.get(f"{self.control}/v1/system/processes", timeout=30, trust_env=False)
        answer.raise_for_status()
        return {
            entry["pid"]
            for entry in answer.json()["processes"]
            if entry["role"] == role
            and entry["model"] == model
            and version in (None, entry["version"])
        }


@contextmanager
def launched(folder: Path, settings: Mapping[str, object] = NOTHING) -> Iterator[Launched]:
    """A `weir up` with its state in `folder`; whatever is left of it is ended afterwards.

    It runs in a working folder and with a temporary folder of its own, by which what belongs to
    it is known. Settings are those of the configuration file; ports are free ones unless given.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    # A short path: those of Unix sockets end at 107 bytes.
    temp = Path(tempfile.mkdtemp(prefix="gw-"))
    family = Family.of(home, temp)
    assert family.leftovers() == []
    process = start(folder, settings, home, temp)
    started = Launched(process, folder / "data", home / "out.txt", home / "errors.txt", family)
    try:
        yield started
    finally:
        _end_all(started)
        shutil.rmtree(temp)


def start(
    folder: Path, settings: Mapping[str, object], home: Path, temp: Path
) -> subprocess.Popen[bytes]:
    """Start `weir up` with its state in `folder / "data"`, its words in two files in `home`."""
    config = home / "weir.yaml"
    listen = {"listen": _FREE_PORTS}
    config.write_text(yaml.safe_dump({**listen, **settings}), encoding="utf-8")
    command = ["up", "--config", str(config), "--data", str(folder / "data")]
    with (home / "out.txt").open("wb") as out, (home / "errors.txt").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "serve.cli.main", *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=home,
            env={**os.environ, "TMPDIR": str(temp), "PYTHONPATH": str(CHECKOUT)},
        )


@contextmanager
def running_gateway(folder: Path, settings: Mapping[str, object] = NOTHING) -> Iterator[Running]:
    """A ready gateway with its state in `folder`, that ends in order and leaves nothing."""
    with launched(folder, settings) as started:
        yield started.wait_ready()
        assert started.end() == 0, started.complained()
        # The kernel may still be at work on what was killed last.
        assert started.family.wait_gone(15.0) == []


def weir(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a `weir` command as a person would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "serve.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def _end_all(started: Launched) -> None:
    """End what is left, by its process id: a test that fails must not leave a gateway behind."""
    if started.process.poll() is None:
        started.process.terminate()
        try:
            started.process.wait(GONE_S)
        except subprocess.TimeoutExpired:
            started.process.kill()
            started.process.wait()
    for pid in started.family.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
