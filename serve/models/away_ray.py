"""Ray shell: a version host on another node than the gateway's says where it listens."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import get_node_ip_address

from registry.artifacts import Artifacts
from registry.records import Version
from serve.models.certificates import Certificate, server_context
from serve.models.host import Host
from serve.node.loop_thread import LoopThread
from serve.node.names import CONTROL, NAMESPACE

_EVERY_S = 3.0
"""Gateways forget a replica that they cannot reach and that was silent for five times this."""


def node() -> str:
    """Give the id of the node that this process runs on."""
    found: str = ray.get_runtime_context().get_node_id()
    return found


def data_with(version: Version) -> Path:
    """Fetch a version's model from the node that has the registry; gives the folder it is in."""
    content: bytes = ray.get(_control().artifact.remote(version.digest))
    data = Path(tempfile.mkdtemp(prefix="weir-host-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    Artifacts(data / "artifacts").put(content)
    return data


def open_away(thread: LoopThread, host: Host, version: Version, *, baseline: bool) -> None:
    """Have a host listen for other nodes, and say so for as long as it lives."""
    shown: Certificate = ray.get(_control().certificate.remote())
    address: str = get_node_ip_address()  # type: ignore[no-untyped-call]
    port = thread.submit(host.open_to_nodes(address, server_context(shown))).result()
    thread.submit(_announce(version, address, port, baseline))


async def _announce(version: Version, address: str, port: int, baseline: bool) -> None:
    """Say it again and again: who is told may be started anew, or have forgotten."""
    while True:
        with contextlib.suppress(RayError, ValueError):
            control = _control()
            control.announced.remote(version.model, version.number, address, port, baseline)
        await asyncio.sleep(_EVERY_S)


def _control() -> Any:
    return ray.get_actor(CONTROL, namespace=NAMESPACE)
