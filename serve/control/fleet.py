"""What the control plane asks of whatever runs the processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from registry.records import Version
from serve.control.replicas import VersionKey
from serve.control.service import Process, VersionStatus


class Fleet(Protocol):
    """**Protocol:** starts, replaces and ends version hosts and gateway replicas."""

    async def start_gateway(self) -> None:
        """Have gateway replicas running; does nothing when they run already."""

    async def start(self, version: Version) -> None:
        """Have a version's host ready to answer; raises `Refused` when it cannot be."""

    async def stop(self, version: VersionKey) -> None:
        """End a version's host."""

    async def status(self) -> Mapping[VersionKey, VersionStatus]:
        """How every hosted version is."""

    async def replace_gateway(self) -> None:
        """Put new gateway replicas in the place of the present ones, losing no request."""

    async def replace_version(self, version: Version) -> None:
        """Put new replicas in the place of a version's present ones, losing no request."""

    async def processes(self) -> tuple[Process, ...]:
        """The processes that are running now, but for the gateway replicas, which say so."""
