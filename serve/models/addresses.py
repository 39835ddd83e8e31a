"""Where the replicas of a version listen: one Unix socket each, in a folder of the version's own.

A replica's socket appears when it is ready and goes when it leaves, so that finding a replica
needs no other process to be alive.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import NewType

Address = NewType("Address", str)
"""The path of a version replica's Unix socket."""


def folder(run_dir: Path, model: str, version: int) -> Path:
    """Give the folder of a version's sockets; a short name, for socket paths end at 107 bytes."""
    name = blake2b(f"{model}/{version}".encode(), digest_size=6).hexdigest()
    return run_dir / "v" / name


def socket_path(versions: Path, pid: int) -> Path:
    """Give the path of the socket of the replica that is this process."""
    return versions / f"{pid}.sock"


def host_pid(address: Address) -> int:
    """Give the process id of the replica that listens at an address."""
    return int(Path(address).stem)


def addresses(versions: Path) -> tuple[Address, ...]:
    """Give the sockets that are there at this moment, in order of name."""
    return tuple(Address(str(path)) for path in sorted(versions.glob("*.sock")))


def forget(address: Address) -> None:
    """Remove a socket that nobody listens on."""
    Path(address).unlink(missing_ok=True)
