"""Start a server, follow what descends from it, and end it by pid."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
# Below the ports that Linux gives to connections, and above those that Ray gives to its workers.
_PORTS = range(20_000, 32_000)


class BenchmarkError(Exception):
    """A run that must not become a figure."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process, told from a later one with the same pid by its start in clock ticks."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        stat = _stat(self.pid)
        return stat is not None and stat.started == self.started and stat.state != "Z"

    def command(self) -> str:
        """Its command line, shortened; empty if it is gone."""
        with suppress(FileNotFoundError, ProcessLookupError):
            line = Path(f"/proc/{self.pid}/cmdline").read_bytes()
            return line.replace(b"\0", b" ").decode(errors="replace").strip()[:80]
        return ""


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def family(pid: int) -> list[Process]:
    """A process and everything that descends from it."""
    stats = {
        int(entry.name): stat
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None
    }
    found = [pid] if pid in stats else []
    for ancestor in found:
        found.extend(child for child, stat in stats.items() if stat.parent == ancestor)
    return [Process(member, stats[member].started) for member in found]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, all different.

    They are drawn from those that the kernel gives to nobody: a server that is slow to start still
    finds them free. `BenchmarkError` when hundreds that were tried are taken.
    """
    found: set[int] = set()
    for _ in range(200 + count):
        if len(found) == count:
            return list(found)
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    message = f"there are no {count} free ports"
    raise BenchmarkError(message)


def start(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server whose words go to a log; Ctrl-C reaches the harness alone.

    The server becomes a subreaper (prctl(2)): what it turns into a daemon stays its descendant.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=folder,
            preexec_fn=_adopt,  # noqa: PLW1509 - one system call, no lock
        )


def _adopt() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def wait_until(what: str, done: Callable[[], bool], limit_s: float) -> float:
    """Poll until something is so; gives the seconds it took, `BenchmarkError` past the limit."""
    begin = time.monotonic()
    while not done():
        if time.monotonic() - begin > limit_s:
            message = f"waited {limit_s:g} s in vain: {what}"
            raise BenchmarkError(message)
        time.sleep(0.005)
    return time.monotonic() - begin


def end(server: subprocess.Popen[bytes], limit_s: float = 15.0) -> float:
    """SIGTERM, then wait until it and its whole family are gone; gives the seconds that took.

    Whoever is left at the limit is killed by pid, and the run fails with `BenchmarkError`.
    """
    members = family(server.pid)
    begin = time.monotonic()
    server.terminate()

    def gone() -> bool:
        return server.poll() is not None and not any(member.alive() for member in members)

    try:
        wait_until(f"the end of process {server.pid}", gone, limit_s)
        return time.monotonic() - begin
    except BenchmarkError as failure:
        left = [f"{one.pid} {one.command()}" for one in members if one.alive()]
        message = f"{failure}; left are {', '.join(left)}"
        raise BenchmarkError(message) from failure
    finally:
        for member in {*members, *family(server.pid)}:
            if member.alive():
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
        server.wait()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, to show with a failure."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextmanager
def on_cores(cores: set[int] | None) -> Iterator[None]:
    """Whatever is started within keeps to these cores; None leaves everything to the system."""
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
