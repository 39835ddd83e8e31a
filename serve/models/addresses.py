"""Where the replicas of a version listen: one name each, in a folder of the version's own.

A replica on this node is there as its Unix socket, which appears when it is ready and goes when it
leaves, so that finding it needs no other process to be alive. One on another node is there as an
empty file, named by its host and port, that is touched while the replica says that it lives; a
name that nobody has touched for a minute is withdrawn by whoever looks next. One inside a gateway
replica's own process is there as an empty file too, which only that process takes for an address;
the next one to come takes away those of processes that died.

Links look at every version's folder again and again, so a folder that has not changed is not listed
again. Its time of change tells, but only once it is over: a clock that ticks every few milliseconds
gives one time to several changes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NewType

from serve.node.alive import is_alive

_LOCAL = ".sock"
_REMOTE = ".tcp"
_INSIDE = ".inside"
_WITHDRAWN_S = 60.0
"""Twenty times as long as a replica is silent: whoever is told may be away for a while."""
_SETTLED_NS = 3 * 10**9
"""Longer than the coarsest tick of a file system's clock, which is two seconds."""
_KNOWN = 4096

Address = NewType("Address", str)
"""The path of a version replica's Unix socket, or of the file that stands for another way to it."""


def folder(run_dir: Path, model: str, version: int, *, baseline: bool = False) -> Path:
    """Give the folder of a version's sockets; a short name, for socket paths end at 107 bytes.

    The hosts of its baseline have one of their own, in which nobody else looks for them.
    """
    name = blake2b(f"{model}/{version}".encode(), digest_size=6).hexdigest()
    return run_dir / ("b" if baseline else "v") / name


def socket_path(versions: Path, pid: int) -> Path:
    """Give the path of the socket of the replica that is this process."""
    return versions / f"{pid}{_LOCAL}"


def inside_path(versions: Path, pid: int) -> Path:
    """Give the path of the file that says that this process, a gateway replica, is a replica."""
    return versions / f"{pid}{_INSIDE}"


def forget_dead(versions: Path) -> None:
    """Remove what is left of gateway replicas that died without a goodbye."""
    for path in versions.glob(f"[0-9]*{_INSIDE}"):
        if not is_alive(int(path.stem)):
            path.unlink(missing_ok=True)


def is_inside(address: Address) -> bool:
    """Whether a replica is in this very process."""
    return address.endswith(_INSIDE)


def host_pid(address: Address) -> int:
    """Give the process id of the replica that listens on a socket."""
    return int(Path(address).stem)


def announce(versions: Path, host: str, port: int) -> Address:
    """Say, or say again, that a replica on another node listens at a host's port."""
    path = versions / f"{host}:{port}{_REMOTE}"
    versions.mkdir(parents=True, exist_ok=True)
    path.touch()
    return Address(str(path))


def host_and_port(address: Address) -> tuple[str, int] | None:
    """Give host and port of a replica on another node, None for one on this node."""
    path = Path(address)
    if path.suffix != _REMOTE:
        return None
    host, _, port = path.stem.rpartition(":")
    return host, int(port)


def sockets(versions: Path) -> tuple[Address, ...]:
    """Give the replicas on this node that are there at this moment, in order of name."""
    return _names(versions)[0]


def addresses(versions: Path) -> tuple[Address, ...]:
    """Give all replicas that are there at this moment, those on this node first.

    What is withdrawn here and was touched at the same moment comes back when it is announced again.
    """
    near, far = _names(versions)
    if not far:
        return near
    now = time.time()
    silent = {address for address in far if silent_s(address, now) > _WITHDRAWN_S}
    for address in silent:
        forget(address)
    return near + tuple(address for address in far if address not in silent)


def forget(address: Address) -> None:
    """Remove a name at which nobody listens."""
    Path(address).unlink(missing_ok=True)


def silent_s(address: Address, now: float) -> float:
    """Give for how many seconds a replica on another node has not been announced; 0 for others.

    `now` is the time of day, as files have it.
    """
    try:
        return now - Path(address).stat().st_mtime if host_and_port(address) else 0.0
    except OSError:
        return 0.0


Names = tuple[tuple[Address, ...], tuple[Address, ...]]
"""The replicas on this node, and those on others."""


def _names(versions: Path) -> Names:
    """Give what a folder names; it is listed only if that may have changed."""
    now = time.time_ns()  # Before the folder is looked at: a later change has a later time.
    try:
        found = versions.stat()
    except FileNotFoundError:
        return (), ()
    if now - found.st_mtime_ns < _SETTLED_NS:
        return _listed(versions)
    return _settled(versions, found.st_ino, found.st_mtime_ns)


@lru_cache(_KNOWN)
def _settled(versions: Path, inode: int, changed_ns: int) -> Names:
    """Give what a folder has named since its last change."""
    del inode, changed_ns
    return _listed(versions)


def _listed(versions: Path) -> Names:
    try:
        names = sorted(path.name for path in versions.iterdir())
    except FileNotFoundError:  # It has gone this very moment.
        return (), ()
    here = f"{os.getpid()}{_INSIDE}"
    near = (name for name in names if name.endswith(_LOCAL) or name == here)
    far = (name for name in names if _is_remote(name))
    return _within(versions, near), _within(versions, far)


def _within(versions: Path, names: Iterable[str]) -> tuple[Address, ...]:
    return tuple(Address(str(versions / name)) for name in names)


def _is_remote(name: str) -> bool:
    _, colon, port = name.removesuffix(_REMOTE).rpartition(":")
    return name.endswith(_REMOTE) and bool(colon) and port.isdecimal()
