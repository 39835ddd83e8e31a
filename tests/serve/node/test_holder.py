"""The holder keeps the listening sockets, and lends them to whoever asks by name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.errors import StartError
from serve.node.holder import Holder, borrow, listen, socket_path


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening socket on a free port."""
    with listen("127.0.0.1", 0, "a test") as opened:
        yield opened


@pytest.fixture
def holder(tmp_path: Path, listening: socket.socket) -> Iterator[Holder]:
    """A holder of that socket under the name `http`."""
    held = Holder(tmp_path, {"http": listening})
    yield held
    held.close()


@pytest.mark.usefixtures("holder")
def test_a_borrowed_socket_accepts(tmp_path: Path, listening: socket.socket) -> None:
    """What is lent is the same listening socket: its clients can be accepted from it."""
    with borrow(tmp_path, "http") as lent:
        assert lent.getsockname() == listening.getsockname()
        with socket.create_connection(lent.getsockname(), timeout=5) as client:
            accepted, _ = lent.accept()
            with accepted:
                client.sendall(b"hello")
                assert accepted.recv(5) == b"hello"


@pytest.mark.usefixtures("holder")
def test_connections_wait_while_nobody_accepts(tmp_path: Path, listening: socket.socket) -> None:
    """A client that comes between two borrowers is served by the second one."""
    borrow(tmp_path, "http").close()
    with socket.create_connection(listening.getsockname(), timeout=5) as client:
        client.sendall(b"early")
        with borrow(tmp_path, "http") as second:
            accepted, _ = second.accept()
            with accepted:
                assert accepted.recv(5) == b"early"


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("name", ["control", ""], ids=["unknown", "silent"])
def test_unknown_names(tmp_path: Path, name: str) -> None:
    """Asking for what is not held says so, and the holder goes on."""
    if name:
        with pytest.raises(StartError, match="holds no socket named"):
            borrow(tmp_path, name)
    else:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(socket_path(tmp_path)))

    borrow(tmp_path, "http").close()


def test_the_port_is_free_after_close(tmp_path: Path, listening: socket.socket) -> None:
    """When the holder and all borrowers are gone nothing listens any more."""
    address = listening.getsockname()
    Holder(tmp_path, {"http": listening}).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_a_taken_port_is_told_in_one_line(listening: socket.socket) -> None:
    """The address, the purpose and the reason are in the message."""
    port = listening.getsockname()[1]

    with pytest.raises(
        StartError, match=rf"cannot listen on 127.0.0.1:{port} for models: .*in use"
    ):
        listen("127.0.0.1", port, "models")


def test_ipv6_loopback() -> None:
    """`::1` is an address like any other."""
    with listen("::1", 0, "a test") as opened:
        assert opened.family is socket.AF_INET6
