"""Clients that are too slow lose their connection; those that are not keep it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from errno import ECONNRESET

import orjson
import pytest

from configs.settings import Limits
from tests.serve.edge.listening import SLOW_S, TINY, Listening, answer, everything, listening
from tests.serve.waiting import wait_until

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
TICK_S = 0.002
"""The loop's clock has whole milliseconds: what is due may be done one early."""
GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["application", "desk"])
def served(request: pytest.FixtureRequest) -> Iterator[Listening]:
    """A listener with tiny limits, whose requests the application or the desk answers."""
    with listening(desk=request.param) as opened:
        yield opened


def trickle(connection: socket.socket, data: bytes, pause_s: float = 0.02) -> bytes:
    """Send byte after byte until the other side answers; gives all that it says."""
    connection.settimeout(pause_s)
    received = b""
    for byte in data:
        with suppress(ConnectionError):
            connection.send(bytes([byte]))
        with suppress(TimeoutError):
            received += connection.recv(65536)
            break
    connection.settimeout(5.0)
    return received + everything(connection)


def too_slow(received: bytes) -> bool:
    """Whether it is a 408 in the shape of all errors, announced as the last answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    return (
        lines[0].startswith(b"http/1.1 408")
        and b"connection: close" in lines
        and "slowly" in orjson.loads(body)["error"]
    )


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(GET[:9], id="half-a-head"),
        pytest.param(HEAD % 100 + b"half", id="half-a-body"),
    ],
)
def test_who_stops_in_the_middle(served: Listening, sent: bytes) -> None:
    """`408`, then the end, after about `slow_s`."""
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(sent)
        received = everything(connection)

    assert too_slow(received)
    assert time.monotonic() - began >= SLOW_S - TICK_S
    assert served.closed == {"slow_request": 1}


def test_who_trickles_a_head(served: Listening) -> None:
    """Bytes that keep coming do not lengthen the time for a head."""
    with served.connect() as connection:
        assert too_slow(trickle(connection, GET * 10))


def test_a_head_gets_no_time_for_its_bytes() -> None:
    """A head at a pace that would do for a body is too slow all the same."""
    with (
        listening(Limits(slow_s=SLOW_S, slow_bytes_per_s=10)) as served,
        served.connect() as sender,
    ):
        assert too_slow(trickle(sender, GET[:-2] + b"X: " + b"x" * 100))


def test_who_trickles_empty_lines(served: Listening) -> None:
    """Empty lines before a request are no way to keep a connection."""
    with served.connect() as connection:
        connection.sendall(GET)
        assert answer(connection)[0] == 200
        assert too_slow(trickle(connection, b"\r\n" * 100))


def test_who_trickles_a_body(served: Listening) -> None:
    """A byte now and then is not a pace."""
    with served.connect() as connection:
        connection.sendall(HEAD % 1000)
        assert too_slow(trickle(connection, bytes(1000)))


@pytest.mark.parametrize("desk", [False, True], ids=["application", "desk"])
def test_a_large_body_at_a_fair_pace(desk: bool) -> None:
    """A body may take much longer than `slow_s` if it keeps the pace."""
    began = time.monotonic()
    limits = Limits(slow_s=SLOW_S, slow_bytes_per_s=1000)
    with listening(limits, desk=desk) as served, served.connect() as connection:
        for number in range(16):
            connection.sendall((b"" if number else HEAD % 16_000) + bytes(1000))
            with suppress(TimeoutError):
                connection.settimeout(0.04)
                connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(5.0)
        assert answer(connection) == (200, bytes(16_000))

    assert time.monotonic() - began > 2 * SLOW_S


def test_who_does_not_take_the_answer(served: Listening) -> None:
    """A reader who takes nothing is cut off, with what is left for him."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(GET.replace(b"echo", b"large"))
        wait_until(lambda: served.closed["slow_reader"] == 1, "the end of a slow reader")
        wait_until(lambda: served.connections == 0, "the end of his connection")


def test_an_answer_that_the_system_holds_counts_too(served: Listening) -> None:
    """What fits the system's buffers, and not the client's, is not taken either."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(HEAD % 30_000 + bytes(30_000))
        wait_until(lambda: served.closed["slow_reader"] == 1, "the end of a slow reader")
        wait_until(
            lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == ECONNRESET,
            "a reset, after which the system keeps nothing for him",
        )


@pytest.mark.parametrize("desk", [False, True], ids=["application", "desk"])
def test_our_own_slowness_is_not_the_clients(desk: bool) -> None:
    """Who waits for an answer longer than `slow_s` gets it, and so does the request behind."""
    wait = GET.replace(b"echo", b"wait")
    limits = Limits(slow_s=SLOW_S, slow_bytes_per_s=2**30)
    with listening(limits, desk=desk) as served, served.connect() as connection:
        connection.sendall(wait + HEAD % 1_000_000)
        connection.settimeout(3 * SLOW_S)
        with suppress(TimeoutError):
            connection.sendall(bytes(1_000_000))
            connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(5.0)
        served.go()
        assert answer(connection)[0] == 200
        assert answer(connection) == (200, bytes(1_000_000))
        assert not served.closed


def test_idle_connections_are_kept(served: Listening) -> None:
    """Between requests a client may take its time."""
    with served.connect() as connection:
        connection.sendall(GET)
        assert answer(connection)[0] == 200
        connection.settimeout(3 * SLOW_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(GET)
        assert answer(connection)[0] == 200

    assert not served.closed


def test_idle_connections_are_not_kept_when_places_are_scarce(served: Listening) -> None:
    """While more than half of the places are taken, an idle client goes after `slow_s`."""
    connections = [served.connect() for _ in range(TINY.connections_max - 1)]
    for connection in connections:
        connection.sendall(GET)
        assert answer(connection)[0] == 200

    wait_until(lambda: served.connections <= TINY.connections_max // 2, "some to be closed")
    assert not served.closed
    for connection in connections:
        connection.close()


def test_one_connection_too_many() -> None:
    """It is told at once, in the shape of all errors, and when to try again; then others may."""
    with listening(Limits(connections_max=2)) as served:
        first, second = served.connect(), served.connect()
        wait_until(lambda: served.connections == 2, "two connections")
        with served.connect() as third:
            head, _, body = everything(third).partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 503")
        assert {b"retry-after: 1", b"connection: close"} <= set(lines)
        assert "too many connections" in orjson.loads(body)["error"]
        assert served.closed == {"too_many": 1}

        first.close()
        wait_until(lambda: served.connections == 1, "one to leave")
        with served.connect() as fourth:
            fourth.sendall(GET)
            assert answer(fourth)[0] == 200
        second.close()
