"""Where the replicas of a version listen: one name each, in a folder of the version's own.

A replica on this node is there as its Unix socket, which appears when it is ready and goes when it
leaves, so that finding it needs no other process to be alive. One on another node is there as an
empty file, named by its host and port, that is touched while the replica says that it lives.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import NewType

_LOCAL = ".sock"
_REMOTE = ".tcp"

Address = NewType("Address", str)
"""The path of a version replica's Unix socket, or of the file that names its host and port."""


def folder(run_dir: Path, model: str, version: int) -> Path:
    """Give the folder of a version's sockets; a short name, for socket paths end at 107 bytes."""
    name = blake2b(f"{model}/{version}".encode(), digest_size=6).hexdigest()
    return run_dir / "v" / name


def socket_path(versions: Path, pid: int) -> Path:
    """Give the path of the socket of the replica that is this process."""
    return versions / f"{pid}{_LOCAL}"


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
    """Give the sockets that are there at this moment, in order of name."""
    return tuple(Address(str(path)) for path in sorted(versions.glob(f"*{_LOCAL}")))


def addresses(versions: Path) -> tuple[Address, ...]:
    """Give all replicas that are there at this moment, those on this node first."""
    remote = (path for path in versions.glob(f"*:*{_REMOTE}") if _port(path).isdecimal())
    return sockets(versions) + tuple(Address(str(path)) for path in sorted(remote))


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


def _port(path: Path) -> str:
    return path.stem.rpartition(":")[2]
