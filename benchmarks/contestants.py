"""The servers that are compared: how each is started, found ready, and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import yaml

from benchmarks.model import NAME, Workload
from benchmarks.processes import (
    BenchmarkError,
    end,
    free_ports,
    on_cores,
    start,
    tail,
    wait_until,
)

START_LIMIT_S = 60.0
WEIR = (sys.executable, "-m", "serve.cli.main")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up: where it answers, and how long it took to get there."""

    server: subprocess.Popen[bytes]
    http_port: int
    control_port: int | None
    ready_s: float

    @property
    def infer(self) -> str:
        """Where the benchmark model is asked."""
        return f"http://127.0.0.1:{self.http_port}/v2/models/{NAME}/infer"

    @property
    def control(self) -> str:
        """Where Weir is told what to do."""
        return f"http://127.0.0.1:{self.control_port}"


class Contestant(Protocol):
    """**Protocol:** a server that can be measured, again and again."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def launch(self, cores: set[int] | None) -> Running:
        """Start it and wait until it is ready."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """FastAPI, orjson and onnxruntime; the files of its runs lie in `folder`."""

    name: str
    workload: Workload
    folder: Path

    def launch(self, cores: set[int] | None) -> Running:
        """Start it on a free port."""
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "benchmarks.fastapi_baseline", "--name", NAME]
        command += ["--model", str(self.workload.model), "--port", str(port)]
        ready = f"http://127.0.0.1:{port}/v2/health/ready"
        server, ready_s = _launch(command, ready, self.folder / f"{self.name}.log", cores)
        return Running(server, port, None, ready_s)


@dataclass(frozen=True, slots=True)
class Weir:
    """Weir itself, with a data directory that outlives its runs, like a real one."""

    name: str
    workload: Workload
    folder: Path
    recorder: bool = True

    def settings(self) -> dict[str, object]:
        """What else differs from the defaults."""
        return {}

    def launch(self, cores: set[int] | None) -> Running:
        """Start it on free ports; the first start also registers and promotes the model."""
        http_port, control_port = free_ports(2)
        config = self.folder / f"{self.name}.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "listen": {
                        "http_port": http_port,
                        "grpc_port": 0,
                        "control_port": control_port,
                    },
                    "recorder": {"enabled": self.recorder},
                    **self.settings(),
                }
            ),
            encoding="utf-8",
        )
        data = self.folder / self.name
        first = not data.exists()
        command = [*WEIR, "up", "--config", str(config), "--data", str(data)]
        ready = f"http://127.0.0.1:{control_port}/health/ready"
        server, ready_s = _launch(command, ready, self.folder / f"{self.name}.log", cores)
        running = Running(server, http_port, control_port, ready_s)
        if first:
            try:
                self._bring_model(running.control)
            except BaseException:
                end(server)
                raise
        return running

    def _bring_model(self, control: str) -> None:
        files = [str(self.workload.model), "--card", str(self.workload.card)]
        files += ["--reference", str(self.workload.reference)]
        _weir("register", NAME, *files, "--url", control)
        _weir("promote", NAME, "1", "--reason", "benchmark", "--url", control)


@contextmanager
def running(contestant: Contestant, cores: set[int] | None = None) -> Iterator[Running]:
    """A contestant that is up within and gone after."""
    up = contestant.launch(cores)
    try:
        yield up
    finally:
        end(up.server)


def _launch(
    command: Sequence[str], ready: str, log: Path, cores: set[int] | None
) -> tuple[subprocess.Popen[bytes], float]:
    with httpx.Client(trust_env=False) as client, on_cores(cores):
        begin = time.monotonic()
        server = start(command, log)
        try:
            wait_until(f"answer of {ready}", lambda: _answers(client, ready, server), START_LIMIT_S)
        except BaseException as failure:
            end(server)
            if isinstance(failure, BenchmarkError):
                message = f"{failure}\nthe log ends:\n{tail(log)}"
                raise BenchmarkError(message) from failure
            raise
        return server, time.monotonic() - begin


def _answers(client: httpx.Client, url: str, server: subprocess.Popen[bytes]) -> bool:
    if server.poll() is not None:
        message = f"the server ended with {server.returncode} before it was ready"
        raise BenchmarkError(message)
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _weir(*arguments: str) -> None:
    done = subprocess.run([*WEIR, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"weir {arguments[0]} failed: {(done.stderr or done.stdout).strip()}"
        raise BenchmarkError(message)
