"""Listening sockets that share a port among our own processes, and with nobody else."""

from __future__ import annotations

import socket

import pytest

from configs.errors import StartError
from serve.node.sockets import listen, waiting


def test_a_taken_port_is_told_in_one_line() -> None:
    """The address, the purpose and the reason are in the message."""
    (opened,) = listen("127.0.0.1", 0, "a test")
    with opened:
        port = opened.getsockname()[1]
        reason = rf"cannot listen on 127.0.0.1:{port} for models: .*in use"

        with pytest.raises(StartError, match=reason):
            listen("127.0.0.1", port, "models")


@pytest.mark.parametrize("slots", [1, 3])
def test_another_gateway_never_shares_a_port(slots: int) -> None:
    """A port that replicas share is taken for everybody else."""
    for held in listen("127.0.0.1", 0, "a test", slots):
        with held:
            port = held.getsockname()[1]
            with pytest.raises(StartError):
                listen("127.0.0.1", port, "another", slots)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_gateway_that_just_ended_leaves_its_ports_free(slots: int) -> None:
    """Connections that it closed, which the system remembers for a minute, are in nobody's way."""
    first = listen("127.0.0.1", 0, "a test", 1)[0]
    port = first.getsockname()[1]
    with first, socket.create_connection(first.getsockname(), timeout=5) as client:
        accepted, _ = first.accept()
        accepted.close()
        assert client.recv(1) == b""

    for held in listen("127.0.0.1", port, "another", slots):
        held.close()


def test_connections_that_wait_are_counted() -> None:
    """Each connection waits in one of the sockets of its port."""
    slots = listen("127.0.0.1", 0, "a test", 3)
    clients = [socket.create_connection(slots[0].getsockname(), timeout=5) for _ in range(20)]

    assert sum(waiting(slot) for slot in slots) == 20
    for opened in (*clients, *slots):
        opened.close()


def test_ipv6_loopback() -> None:
    """`::1` is an address like any other."""
    for opened in listen("::1", 0, "a test", 2):
        with opened:
            assert opened.family is socket.AF_INET6
