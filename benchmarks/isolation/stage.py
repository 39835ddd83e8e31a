"""A real gateway with one stable model, and what can be asked of it."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.contestants import Running, running
from benchmarks.isolation import models
from benchmarks.isolation.asking import Load, Plan, load
from benchmarks.weir import Weir
from registry.card import Card, Task
from serve.control.client import ControlClient

CARD = Card(task=Task.REGRESSION)
_SLEEPER = Path(__file__).parent / "sleeper"
_LOOK_S = 0.3
_LINE = re.compile(r"^(\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that is up, its control API, and where its files are."""

    up: Running
    control: ControlClient
    folder: Path

    def prepare(self, model: str, candidate: bytes) -> None:
        """Register the stable model and a candidate, and give the first all of the traffic."""
        for made in (models.good(), candidate):
            self.control.register(model, self.control.upload(made), CARD)
        self.control.set_route(model, {1: 100}, reason="first")

    @contextmanager
    def load(self, model: str, rate: float, *sizes: int) -> Iterator[Load]:
        """Clients that ask a model; sizes are those of `Plan`."""
        with load(Plan(self.up.http_port, model, rate, *sizes), self.folder) as asking:
            yield asking

    def hosts(self, model: str, version: int) -> set[int]:
        """The processes of a version that are there."""
        url = f"{self.up.control}/v1/system/processes"
        answer = httpx.get(url, timeout=30, trust_env=False)
        answer.raise_for_status()
        return {
            entry["pid"]
            for entry in answer.json()["processes"]
            if (entry["role"], entry["model"], entry["version"]) == ("version", model, version)
            and Path(f"/proc/{entry['pid']}").exists()
        }

    def counts(self, model: str) -> Mapping[str, float]:
        """Failures of the canary, and copies to the shadow by what became of them, so far."""
        found: dict[str, float] = {}
        for name, labels, value in _LINE.findall(self.control.metrics()):
            told = dict(_LABEL.findall(labels))
            if model not in told.values():
                continue
            if name == "weir_inference_duration_seconds_count":
                key = "failed" if told.get("error_type") else "answered"
                key = f"{told['weir_arm']} {key}"
            elif name == "weir_shadow_requests_total":
                key = f"copies {told['weir_outcome']}"
            else:
                continue
            found[key] = found.get(key, 0.0) + float(value)
        return found


@contextmanager
def stage(folder: Path, replicas: int, deadline_s: float) -> Iterator[Stage]:
    """A gateway that runs while the block does, in which the sleeper sleeps.

    Requests may wait for long: what a busy machine cannot answer at once is no candidate's fault.
    """
    path = [str(_SLEEPER), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    weir = Weir(
        "isolation",
        (),
        folder,
        hosts={"gateway_replicas": replicas},
        limits={"deadline_s": deadline_s, "wait_target_s": deadline_s},
        verify={"time_max_s": 10.0},
        environment=environment,
    )
    with running(weir) as up, ControlClient(up.control, "benchmark") as control:
        yield Stage(up, control, folder)


class StandStill:
    """Stops every process of a version (SIGSTOP) that comes up while the block runs."""

    def __init__(self, stage: Stage, model: str, version: int) -> None:
        self._stage = stage
        self._model = model
        self._version = version
        self._over = threading.Event()
        self._stopped: set[int] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        _signal(self._stopped, signal.SIGCONT)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            with suppress(httpx.HTTPError):
                new = self._stage.hosts(self._model, self._version) - self._stopped
                _signal(new, signal.SIGSTOP)
                self._stopped |= new


def _signal(pids: set[int], number: signal.Signals) -> None:
    """Signal processes that the gateway, started here, names as its own."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def resident_mib(pids: Sequence[int] | set[int]) -> float:
    """Memory of some processes, in MiB."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
