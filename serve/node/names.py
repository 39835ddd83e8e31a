"""The names under which the parts of a node find each other in Ray."""

from __future__ import annotations

NAMESPACE = "weir"
CONTROL = "weir-control"
OBSERVER = "weir-observer"
EXPORTER = "weir-exporter"
HTTP_SOCKET = "http"
GRPC_SOCKET = "grpc"
CONTROL_SOCKET = "control"


def gateway_app(number: int) -> str:
    """Give the name of the Ray Serve application of the node's gateway of this number."""
    return f"gateway/{number}"


def gateway_number(name: str) -> int | None:
    """Give the number in the name of a gateway's application, None in that of another."""
    kind, _, number = name.partition("/")
    return int(number) if kind == "gateway" else None


def version_app(model: str, version: int) -> str:
    """Give the name of the Ray Serve application of a version's host."""
    return f"version/{model}/{version}"


def baseline_app(model: str, version: int) -> str:
    """Give the name of the Ray Serve application of the host of a version's baseline."""
    return f"baseline/{model}/{version}"


def shelf_app(number: int) -> str:
    """Give the name of the Ray Serve application of the shared host of this number."""
    return f"shelf/{number}"


def gateway_replica(pid: int) -> str:
    """Give the name of the gateway replica that is this process."""
    return f"gateway-{pid}"


def gateway_pid(name: str) -> int:
    """Give the process id in a gateway replica's name."""
    return int(name.removeprefix("gateway-"))
