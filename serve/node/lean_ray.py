"""Ray without the processes that a gateway does not use.

For a cluster of one node Ray starts an autoscaler's monitor, a log monitor, a dashboard and an
agent with an HTTP server that takes jobs, even when told to include none of them. They cost half
of the processor time of a start on two cores, a second gateway on the machine waits for the
agent's fixed port, and a server that runs whatever it is sent has no place beside a model.
`ray.init` has no setting for it; docs/decisions/0004-lean-ray.md has the figures.
"""

from __future__ import annotations

import importlib
from typing import Any

from ray._private import utils
from ray._private.node import Node

_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")


def leave_out_unused_processes() -> None:
    """Have `ray.init` start what serves and little else; a Ray that has other names is refused."""
    for name in _UNUSED:
        getattr(Node, name)  # AttributeError: a Ray that nobody has tried.
        setattr(Node, name, _nothing)
    _ = utils.get_dashboard_dependency_error
    utils.get_dashboard_dependency_error = _no_dashboard


def keep_replica_on_loopback() -> None:
    """Have this Ray Serve replica's own gRPC server listen on loopback, not on all interfaces.

    It takes pickled calls from whoever reaches it. To be called before the replica is initialised.
    """
    replica: Any = importlib.import_module("ray.serve._private.replica")
    add_port = replica.add_port_to_grpc_server

    def add_loopback_port(server: object, address: str) -> int:
        port: int = add_port(server, address.replace("[::]", "127.0.0.1"))
        return port

    replica.add_port_to_grpc_server = add_loopback_port


def _nothing(node: Node, **_settings: object) -> None:
    """Stand in for a process that is not started."""
    node._webui_url = None  # noqa: SLF001 - what start_api_server would have set


def _no_dashboard() -> ImportError:
    """Say, as an installation without a dashboard would, that agents must do with less."""
    return ImportError("left out")
