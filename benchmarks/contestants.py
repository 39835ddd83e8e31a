"""Who is compared, and how one of them is started, found ready, and ended."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from benchmarks import environments
from benchmarks.answers import headers
from benchmarks.model import NAME
from benchmarks.processes import BenchmarkError, end, free_ports, on_cores, start, tail, wait_until
from benchmarks.questions import Questions

START_LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up: where it answers, how long it took to get there, and how it is ended."""

    server: subprocess.Popen[bytes]
    http_port: int
    control_port: int | None
    ready_s: float
    grpc_port: int = 0
    end: Callable[[subprocess.Popen[bytes]], object] = end

    @property
    def infer(self) -> str:
        """Where the benchmark model is asked."""
        return self.url(NAME)

    def url(self, model: str) -> str:
        """Where a model is asked."""
        return f"http://127.0.0.1:{self.http_port}/v2/models/{model}/infer"

    @property
    def grpc(self) -> str:
        """Where it answers over gRPC."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def control(self) -> str:
        """Where Weir is told what to do."""
        return f"http://127.0.0.1:{self.control_port}"


class Contestant(Protocol):
    """**Protocol:** a server that can be measured, again and again."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    @property
    def answers(self) -> frozenset[str]:
        """The workloads that it has."""

    def launch(self, cores: set[int] | None) -> Running:
        """Start it and wait until it is ready."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the other servers, run by an environment of its own (`environments.py`).

    `questions` are all workloads; it is ready once it has answered the first question of each that
    it has. The files of its runs lie in `folder`, the models in `folder/models`.
    """

    name: str
    environment: str
    script: str
    answers: frozenset[str]
    folder: Path
    questions: Sequence[Questions] = ()
    workers: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)

    def launch(self, cores: set[int] | None) -> Running:
        """Start it on free ports."""
        http_port, grpc_port, *spare = free_ports(4)
        home = self.folder / slug(self.name)
        home.mkdir(exist_ok=True)
        command = [str(environments.python(self.environment))]
        command += [str(environments.PEERS / self.script), "--models", str(self.folder / "models")]
        command += ["--port", str(http_port), "--grpc-port", str(grpc_port)]
        command += ["--spare-port", str(spare[0]), "--workers", str(self.workers)]
        places = {"port": spare[0], "spare_port": spare[1], "folder": self.folder}
        variables = {name: value.format(**places) for name, value in self.variables.items()}
        log = home / "log"
        with on_cores(cores):
            begin = time.monotonic()
            server = start(command, log, environments.variables(variables), home)
        up = Running(server, http_port, None, 0.0, grpc_port, remove)
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            for one in self.questions:
                if one.name in self.answers and one.protocol != "grpc":
                    ask = _first_question(client, up, one)
                    until_ready(f"an answer to {one.name}", ask, server, log)
        return Running(server, http_port, None, time.monotonic() - begin, grpc_port, remove)


def slug(name: str) -> str:
    """A name for files: some servers write theirs into configurations that take no spaces."""
    return re.sub("[^a-z]+", "-", name)


def _first_question(
    client: httpx.Client, up: Running, questions: Questions
) -> Callable[[], httpx.Response]:
    body = questions.each[0]
    url, head = up.url(questions.model), headers(questions.header_length)
    return lambda: client.post(url, content=body, headers=head)


def remove(server: subprocess.Popen[bytes]) -> None:
    """End a server of others: whatever it leaves is killed, and that is that."""
    try:
        end(server, limit_s=10.0)
    except BenchmarkError:
        return


def until_ready(
    what: str,
    ask: Callable[[], httpx.Response],
    server: subprocess.Popen[bytes],
    log: Path,
) -> None:
    """Ask until the answer is 200; a server that ends before, or takes too long, is removed."""

    def answers() -> bool:
        if server.poll() is not None:
            message = f"the server ended with {server.returncode} before it was ready"
            raise BenchmarkError(message)
        try:
            return ask().status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    try:
        wait_until(what, answers, START_LIMIT_S)
    except BaseException as failure:
        remove(server)
        if isinstance(failure, BenchmarkError):
            message = f"{failure}\nthe log ends:\n{tail(log)}"
            raise BenchmarkError(message) from failure
        raise


@contextmanager
def running(contestant: Contestant, cores: set[int] | None = None) -> Iterator[Running]:
    """A contestant that is up within and gone after."""
    up = contestant.launch(cores)
    try:
        yield up
    finally:
        up.end(up.server)
