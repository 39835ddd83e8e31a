"""What the control plane asks of whatever runs the processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from registry.records import Version
from serve.control.placement import Place
from serve.control.replicas import VersionKey
from serve.control.service import Process, VersionStatus


class Fleet(Protocol):
    """**Protocol:** starts, replaces and ends version hosts and gateway replicas."""

    async def start_gateway(self) -> None:
        """Have gateway replicas running; does nothing when they run already."""

    async def start(self, version: Version, place: Place) -> None:
        """Have a version ready to answer in a place; raises `Refused` when it cannot be."""

    async def share(self, versions: Sequence[Version]) -> None:
        """Have many versions in shared hosts, which load each when somebody asks for it."""

    async def stop(self, version: VersionKey, place: Place) -> None:
        """Take a version out of a place, losing no request if another has it."""

    async def places(self) -> Mapping[VersionKey, frozenset[Place]]:
        """Where every hosted version is."""

    async def refused(self) -> Mapping[VersionKey, str]:
        """The versions that should share a host and cannot any more, and why."""

    async def status(self) -> Mapping[VersionKey, VersionStatus]:
        """How every hosted version is."""

    async def replace_gateway(self) -> None:
        """Put new gateway replicas in the place of the present ones, losing no request."""

    async def replace_version(self, version: Version) -> None:
        """Put new replicas in the place of a version's present ones, losing no request."""

    async def processes(self) -> tuple[Process, ...]:
        """The processes that are running now, but for the gateway replicas, which say so."""
