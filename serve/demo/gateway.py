"""The demo's gateway: a child process with a log, that is always ended."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import yaml

from configs.errors import StartError, WeirError

READY_S = 90.0
STOP_S = 30.0
_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo's gateway listens."""

    http: int
    control: int

    @property
    def http_url(self) -> str:
        """Where clients ask for answers."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def control_url(self) -> str:
        """Where people and scripts steer."""
        return f"http://127.0.0.1:{self.control}"


def choose_port(wanted: int) -> int:
    """The wanted port of this machine's loopback, or a free one if somebody has it."""
    with socket.socket() as free, socket.socket() as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])
        return int(probe.getsockname()[1])


def up_command(data: Path, ports: Ports) -> list[str]:
    """Write the configuration file and give the `weir up` command that uses it."""
    config = data / "demo.yaml"
    listen = {"http_port": ports.http, "grpc_port": 0, "control_port": ports.control}
    config.write_text(yaml.safe_dump({"listen": listen}), encoding="utf-8")
    state = str(data / "state")
    return [sys.executable, "-m", "serve.cli.main", "up", "--data", state, "--config", str(config)]


@contextmanager
def running(command: Sequence[str], ports: Ports, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway while the block runs; ready when it begins, gone when it ends.

    The child has a session of its own, so that Ctrl-C reaches the demo alone, which then ends
    the child in order. Raises `StartError` with the child's last words if it does not get
    ready, or if it has ended by itself when the block fails.
    """
    with log.open("wb") as words:
        # The command is this interpreter and our own module: nothing comes from outside.
        child = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
    try:
        wait_ready(child, ports, log)
        yield child
    except WeirError as error:
        if child.poll() is None:
            raise
        message = f"the gateway ended by itself: {last_words(log)}"
        raise StartError(message) from error
    finally:
        stop(child)


def wait_ready(
    child: subprocess.Popen[bytes], ports: Ports, log: Path, limit_s: float = READY_S
) -> None:
    """Wait until both ports answer; `StartError` if the child ends or the time is over."""
    deadline = monotonic() + limit_s
    while monotonic() < deadline and child.poll() is None:
        if _answers(f"{ports.http_url}/v2/health/ready") and _answers(
            f"{ports.control_url}/health/ready"
        ):
            return
        sleep(0.1)
    message = f"the gateway was not ready after {limit_s:.0f} s: {last_words(log)}"
    raise StartError(message)


def stop(child: subprocess.Popen[bytes], patience_s: float = STOP_S) -> None:
    """Ask the child to end, and end it by its process id if it does not."""
    child.terminate()
    try:
        child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def last_words(log: Path) -> str:
    """The last lines of a log, for an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-_LOG_LINES:]) or "it said nothing"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
