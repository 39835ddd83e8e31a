"""The holder keeps the listening sockets of a node and lends them to whoever serves.

A replica that is replaced takes nothing with it: connections wait in the socket's queue until the
next one accepts.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from configs.errors import StartError

_NAME_BYTES = 32
_BACKLOG = 2048
_PAUSE_S = 0.05


def socket_path(run_dir: Path) -> Path:
    """Give the path at which a node's holder is asked."""
    return run_dir / "holder.sock"


def listen(host: str, port: int, purpose: str) -> socket.socket:
    """Open a listening socket; `StartError` says in one line that the port is taken."""
    return _bound(host, port, purpose, socket.SO_REUSEADDR, listening=True)


def reserve(host: str, port: int, purpose: str) -> socket.socket:
    """Bind a port that processes of ours will share (SO_REUSEPORT); `StartError` if it is taken."""
    return _bound(host, port, purpose, socket.SO_REUSEPORT, listening=False)


def _bound(host: str, port: int, purpose: str, option: int, *, listening: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        opened.bind((host, port))
        if listening:
            opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise StartError(
            f"cannot listen on {host}:{port} for {purpose}: {error.strerror or error}"
        ) from None
    return opened


class Holder:
    """Answers on a Unix socket: a name comes in, a copy of that listening socket goes out."""

    def __init__(self, run_dir: Path, sockets: Mapping[str, socket.socket]) -> None:
        self._sockets = dict(sockets)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(socket_path(run_dir)))
        self._server.listen()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="weir-holder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close everything; the ports are free once no replica holds a copy."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(1.0)
        for held in self._sockets.values():
            held.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                asker, _ = self._server.accept()
            except OSError:  # Closed, or out of descriptors for a moment.
                self._closed.wait(_PAUSE_S)
                continue
            with asker, contextlib.suppress(OSError):
                asker.settimeout(1.0)
                held = self._sockets.get(asker.recv(_NAME_BYTES).decode("ascii", "replace"))
                if held is not None:
                    socket.send_fds(asker, [b"."], [held.fileno()])


def borrow(run_dir: Path, name: str) -> socket.socket:
    """Ask the node's holder for a copy of a listening socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(5.0)
        asking.connect(str(socket_path(run_dir)))
        asking.sendall(name.encode("ascii"))
        _, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
    if not descriptors:
        raise StartError(f"the node holds no socket named {name!r}")
    return socket.socket(fileno=descriptors[0])
