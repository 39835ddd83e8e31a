"""An answer's head and body leave in one write, and nothing is held back for ever."""

from __future__ import annotations

import asyncio
import socket

import pytest

from registry.records import RouteTable
from serve.edge.one_write import OneWriteTransport
from tests.serve.stage import stage


class Written(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.ended = False

    def can_write_eof(self) -> bool:
        """An end can be written."""
        return True

    def write_eof(self) -> None:
        """Note that nothing more will be written."""
        self.ended = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep one write."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Note the end."""
        self.closed = True


def test_head_and_body_leave_together() -> None:
    """The head of an answer waits for what is written next."""
    transport = Written()
    waits = OneWriteTransport(transport)

    waits.write(b"HTTP/1.1 200 OK\r\n\r\n")
    waits.write(b"body")
    waits.write(b"more")

    assert transport.writes == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"more"]


def test_an_interim_answer_leaves_at_once() -> None:
    """A client that asks whether to continue is not kept waiting."""
    transport = Written()

    OneWriteTransport(transport).write(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert transport.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_that_waits_leaves_before_the_end() -> None:
    """An answer without a body is written when the connection closes."""
    transport = Written()
    waits = OneWriteTransport(transport)

    waits.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    waits.close()

    assert transport.writes == [b"HTTP/1.1 400 Bad Request\r\n\r\n"]
    assert transport.closed


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", b"200", id="whole"),
        pytest.param(b"nonsense\r\n\r\n", b"400", id="not-http"),
    ],
)
def test_what_uvicorn_answers_arrives(
    request_bytes: bytes, status: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Answers of the application and of uvicorn itself reach a real client."""
    with stage(tmp_path_factory.mktemp("s")) as served:
        served.apply(RouteTable(generation=1))
        with socket.create_connection(("127.0.0.1", served.port), timeout=5) as client:
            client.sendall(request_bytes)
            answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 " + status)


def test_a_close_before_the_request_has_arrived_says_so_and_lingers() -> None:
    """Nothing is written after the answer, and the connection is not reset at once."""
    transport = Written()
    waits = OneWriteTransport(transport)
    waits.unread = True

    waits.write(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
    waits.close()
    waits.write(b"more")

    assert transport.writes == [b"HTTP/1.1 413 Content Too Large\r\n\r\n"]
    assert transport.ended
    assert not transport.closed
    assert waits.is_closing()
