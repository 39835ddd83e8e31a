"""Weir as a contestant: its configuration, its models and their versions."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from benchmarks import questions
from benchmarks.contestants import Running, slug, until_ready
from benchmarks.model import NAME, Workload
from benchmarks.processes import BenchmarkError, end, free_ports, on_cores, start

COMMAND = (sys.executable, "-m", "serve.cli.main")
SPLIT = "1=90,2=10"


@dataclass(frozen=True, slots=True)
class Served:
    """A model with a card for each version: all are proven, and a second takes a tenth."""

    name: str
    model: Path
    cards: tuple[Path, ...]
    reference: Path | None = None


def alone(workload: Workload) -> tuple[Served, ...]:
    """The benchmark model as the one version of the one model."""
    return (Served(NAME, workload.model, (workload.card,), workload.reference),)


def here() -> tuple[str, ...]:
    """How Weir is run as it lies here, interpreted."""
    return COMMAND


@dataclass(frozen=True, slots=True)
class Weir:
    """Weir itself, with a data directory that outlives its runs, like a real one.

    `otlp` is where spans (of one request in a hundred) and metrics go; without it nothing is
    traced. With more than one core it gets a gateway replica for every two; `hosts`, `limits` and
    `verify` are more settings of these sections. `command` runs an installation of Weir, by default
    this one; `environment` is in place of this process's.
    """

    name: str
    served: tuple[Served, ...]
    folder: Path
    recorder: bool = True
    otlp: str | None = None
    workers: int = 1
    wait_target_s: float | None = None
    hosts: Mapping[str, object] = field(default_factory=dict)
    command: Callable[[], tuple[str, ...]] = here
    limits: Mapping[str, object] = field(default_factory=dict)
    verify: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None

    @property
    def answers(self) -> frozenset[str]:
        """Everything."""
        return frozenset(questions.NAMES)

    def launch(self, cores: set[int] | None) -> Running:
        """Start it on free ports; the first start also registers and routes the models."""
        http_port, grpc_port, control_port = free_ports(3)
        config = self.folder / f"{slug(self.name)}.yaml"
        ports = {"http_port": http_port, "grpc_port": grpc_port, "control_port": control_port}
        telemetry = {"otlp_endpoint": self.otlp, "otlp_protocol": "http", "trace_share": 0.01}
        limits = {} if self.wait_target_s is None else {"wait_target_s": self.wait_target_s}
        settings = {
            "listen": ports,
            "recorder": {"enabled": self.recorder},
            "limits": {**limits, **self.limits},
            "verify": dict(self.verify),
            "hosts": {"gateway_replicas": max(1, self.workers // 2), **self.hosts},
            "telemetry": telemetry if self.otlp is not None else {},
        }
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        data, log = self.folder / slug(self.name), self.folder / f"{slug(self.name)}.log"
        first, command = not data.exists(), self.command()
        with on_cores(cores):
            begin = time.monotonic()
            up_with = [*command, "up", "--config", str(config), "--data", str(data)]
            # From a folder without modules, so that an installation runs its own.
            server = start(up_with, log, self.environment, self.folder)
        ready = f"http://127.0.0.1:{control_port}/health/ready"
        with httpx.Client(trust_env=False) as client:
            until_ready(f"answer of {ready}", lambda: client.get(ready), server, log)
        up = Running(server, http_port, control_port, time.monotonic() - begin, grpc_port)
        if first:
            try:
                self._bring_models(up.control)
            except BaseException:
                end(server)
                raise
        return up

    def _bring_models(self, control: str) -> None:
        for served in self.served:
            for card in served.cards:
                files = [str(served.model), "--card", str(card)]
                if served.reference is not None:
                    files += ["--reference", str(served.reference)]
                _weir("register", served.name, *files, "--url", control)
            reason = ("--reason", "benchmark", "--url", control)
            # Whoever had all of the traffic is proven, as both sides of the split are to be.
            for version in range(len(served.cards), 0, -1):
                _weir("promote", served.name, str(version), *reason)
            if len(served.cards) > 1:
                _weir("route", served.name, "--set", SPLIT, *reason)


def _weir(*arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"weir {arguments[0]} failed: {(done.stderr or done.stdout).strip()}"
        raise BenchmarkError(message)
