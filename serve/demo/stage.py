"""What the story is told with: a gateway to steer, a client process, and monitors to ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TypeVar

import orjson
from rich.console import Console

from configs.errors import InternalError, Unavailable
from registry.records import Role
from serve.cli.register import register
from serve.control.client import ControlClient
from serve.control.schemas import ArmSignalsView
from serve.demo.data import MODEL, arrivals, load
from serve.demo.gateway import Ports
from serve.demo.traffic import Report, request_body
from serve.demo.train import Trained

ROWS = 1800
RATE = 300.0
_MANY = 1_000_000
_CLIENT_S = 120.0
_MONITORS_S = 60.0
_STILL_S = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stage:
    """A running gateway, where to print, and how to steer and ask it."""

    console: Console
    control: ControlClient
    ports: Ports

    def say(self, sentence: str) -> None:
        """Print a sentence; `[...]` in it is markup."""
        self.console.print(sentence, highlight=False)

    def send_traffic(self, seed: int, *, drift: bool = False, rows: int = ROWS) -> Report:
        """Let a client process send applicants; `InternalError` if a request failed."""
        command = self._client(seed, rows)
        with self.console.status(f"a client process sends {rows:,} requests"):
            # The command is this interpreter and our own module: nothing comes from outside.
            client = subprocess.run(  # noqa: S603
                [*command, *(("--drift",) if drift else ())],
                capture_output=True,
                check=False,
                timeout=_CLIENT_S,
            )
        return _report(client.stdout, client.stderr)

    def with_traffic(self, seed: int, until: Callable[[], T]) -> tuple[T, Report]:
        """Let a client process send applicants until a call returns; errors as `send_traffic`."""
        client = subprocess.Popen(  # noqa: S603 - as above
            [*self._client(seed, _MANY, RATE / 2), "--while-open"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            result = until()
            # Closes its standard input, at which it ends.
            said, words = client.communicate(timeout=_CLIENT_S)
        finally:
            client.kill()
            client.wait()
        return result, _report(said, words)

    def _client(self, seed: int, rows: int, rate: float = RATE) -> list[str]:
        return [
            *(sys.executable, "-m", "serve.demo.traffic"),
            *("--url", self.ports.http_url, "--model", MODEL),
            *("--rows", str(rows), "--rate", str(rate), "--seed", str(seed)),
        ]

    def watched(self, version: int, role: Role, rows: float) -> ArmSignalsView:
        """What the monitors say of an arm, once they have seen `rows` or as many as they will.

        Monitors sample, and drop rows rather than fall behind: when nothing new has come for 10 s,
        nothing will. Raises `Unavailable` if they have seen none within a minute.
        """
        began = moved = monotonic()
        seen = 0
        with self.console.status("the monitors take in what was sampled"):
            while True:
                arm, now = self._arm(version, role), monotonic()
                if arm is not None and arm.rows > seen:
                    seen, moved = arm.rows, now
                if arm is not None and (seen >= rows or (seen and now - moved > _STILL_S)):
                    return arm
                if now - began > _MONITORS_S:
                    message = f"the monitors have seen nothing of version {version} as {role}"
                    raise Unavailable(message)
                sleep(0.2)

    def register(self, trained: Trained) -> int:
        """Register a version as `weir register` does, with its words; gives its number."""
        options = ["--reference", str(trained.reference), "--card", str(trained.card)]
        shown = f"weir register {MODEL} {trained.model.name} --reference reference.parquet"
        self.say(f"[dim]$ {shown} --card {trained.card.name}[/]")
        register.main(
            [MODEL, str(trained.model), *options, "--url", self.ports.control_url],
            prog_name="weir register",
            standalone_mode=False,
        )
        return self.control.versions(MODEL)[-1].version

    def next_steps(self) -> tuple[str, ...]:
        """Lines that work in another terminal while the gateway runs."""
        url = f"--url {self.ports.control_url}"
        drifted = f"{sys.executable} -m serve.demo.traffic --url {self.ports.http_url} --drift"
        return (
            _curl_line(self.ports.http_url),
            f"weir signals {MODEL} {url}",
            f"weir rollout explain {MODEL} {url}",
            f"weir rollback {MODEL} --reason 'the market moved' {url}",
            drifted,
            f"curl -s {self.ports.control_url}/metrics",
            f"{self.ports.control_url}/docs",
        )

    def _arm(self, version: int, role: Role) -> ArmSignalsView | None:
        arms = self.control.signals(MODEL).arms
        return next((a for a in arms if a.version == version and a.role == role), None)


def _report(said: bytes, words: bytes) -> Report:
    """What a client process reports; `InternalError` without a report, or if a request failed."""
    if not said:
        complaint = words.decode(errors="replace").strip()
        message = f"the client process ended without a report: {complaint}"
        raise InternalError(message)
    report = Report(**orjson.loads(said))
    if report.failed:
        message = f"{report.failed} of {report.sent} requests failed: {report.failures}"
        raise InternalError(message)
    return report


def _curl_line(http_url: str) -> str:
    """A request for one real applicant, to paste into a shell."""
    body = request_body(next(arrivals(load().stream, seed=0))).decode()
    address = f"{http_url}/v2/models/{MODEL}/infer"
    return f"curl -s -i {address} -H 'Weir-Key: applicant-17' -d '{body}'"
