"""Everything that belongs to one `weir up`, and what is left of it once it has ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written to
_LISTEN = "0A"
_LOOPBACK = {
    "0100007F",
    "00000000000000000000000001000000",
    "0000000000000000FFFF00000100007F",
}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1 as /proc/net/tcp and tcp6 write them."""


@dataclass(frozen=True, slots=True)
class Family:
    """The processes with one working folder, and what they may leave in one temporary folder.

    Every descendant inherits the working folder, also one whose parents have all died.
    """

    home: Path
    temp: Path
    shared_before: frozenset[str]

    @classmethod
    def of(cls, home: Path, temp: Path) -> Family:
        """The family that is about to be started with these two folders."""
        return cls(home.resolve(), temp, frozenset(_shared_memory()))

    def processes(self) -> dict[int, str]:
        """The processes that are alive, with their names."""
        return {pid: _name(pid) for pid in _pids() if _working_folder(pid) == self.home}

    def listening(self) -> dict[str, str]:
        """Every TCP socket on which the family listens: `address:port` as the kernel writes it."""
        members = self.processes()
        owner = {inode: f"{pid} {members[pid]}" for pid in members for inode in _sockets_of(pid)}
        return {
            local: owner[inode]
            for local, state, inode in _tcp_sockets()
            if state == _LISTEN and inode in owner
        }

    def leftovers(self) -> list[str]:
        """What is there now of the family; nothing, before it starts and after it has ended."""
        processes = [f"process {pid} {name}" for pid, name in self.processes().items()]
        files = [f"file {path}" for path in sorted(_paths(self.temp))]
        sockets = [f"Unix socket {path}" for path in _unix_sockets() if str(self.temp) in path]
        shared = [f"shared memory {name}" for name in self._unowned_shared_memory()]
        return [*processes, *files, *sockets, *shared]

    def wait_gone(self, deadline_s: float) -> list[str]:
        """Wait until nothing is left; gives what still is after `deadline_s`."""
        end = time.monotonic() + deadline_s
        while (left := self.leftovers()) and time.monotonic() < end:
            time.sleep(0.1)
        return left

    def _unowned_shared_memory(self) -> list[str]:
        """New objects that no process of another family has open."""
        new = set(_shared_memory()) - self.shared_before
        if not new:
            return []
        others = {path for pid in _pids() for path in _mapped(pid)}
        return sorted(new - others)


def beyond_loopback(listening: dict[str, str]) -> dict[str, str]:
    """Those of the listening sockets that another machine could reach."""
    return {
        local: owner
        for local, owner in listening.items()
        if local.partition(":")[0] not in _LOOPBACK
    }


def _paths(folder: Path) -> Iterator[str]:
    """What is in a folder, which somebody may be taking away: `rglob` raises when it is gone."""
    for here, folders, files in os.walk(folder):
        yield from (f"{here}/{name}" for name in (*folders, *files))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone meanwhile"


def _working_folder(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None  # It has ended, or it is not ours to look at.


def _sockets_of(pid: int) -> Iterator[str]:
    """The inodes of the sockets that a process has open."""
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _tcp_sockets() -> Iterator[tuple[str, str, str]]:
    """Local address, state and inode of every TCP socket (proc(5), /proc/net/tcp)."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            yield fields[1], fields[3], fields[9]


def _unix_sockets() -> Iterator[str]:
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8:
            yield fields[7]


def _shared_memory() -> list[str]:
    return [entry.name for entry in _SHARED_MEMORY.iterdir()] if _SHARED_MEMORY.is_dir() else []


def _mapped(pid: int) -> Iterator[str]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, found, name = line.partition(f"{_SHARED_MEMORY}/")
        if found:
            yield name
