"""The rest of a large body is read to where it belongs, and nobody can tell but by the time."""

from __future__ import annotations

import gzip
import socket
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Limits
from serve.edge.head import Head
from serve.edge.in_place import FirstBytes, RestOfBody
from tests.serve.edge.listening import Listening, answer, everything, listening
from tests.serve.waiting import wait_until

SIZE = 400_017
LARGE = bytes(range(256)) * (SIZE // 256) + bytes(SIZE % 256)


def head(length: int = SIZE, path: str = "/echo", *fields: str) -> bytes:
    """The head of a request, written as no other test writes it."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *fields]
    return "\r\n".join((*lines, "", "")).encode()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listening]:
    """A listener whose requests the desk answers, with room for two large bodies."""
    with listening(Limits(body_max_bytes=SIZE, bodies_max_bytes=2 * SIZE), desk=True) as opened:
        yield opened


@pytest.fixture
def served(listener: Listening) -> Listening:
    """The listener with no connection left over."""
    wait_until(lambda: listener.connections == 0, "the end of what was before")
    listener.application.bodies.clear()
    listener.desk.places.clear()
    return listener


def send(connection: socket.socket, *pieces: bytes) -> None:
    """Send each piece as a packet of its own."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        connection.sendall(piece)


def room(listener: Listening) -> int:
    """The bytes of bodies that may still be read."""
    return listener.desk.bodies.left


@pytest.mark.parametrize(
    "cuts",
    [[], [len(head())], [len(head()) + 1], [10, len(head()) + 70_000], [len(head()) + SIZE - 1]],
)
def test_the_body_is_the_one_that_was_sent(served: Listening, cuts: list[int]) -> None:
    """However it is cut, and again on a head that is known by then."""
    sent = head() + LARGE
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    with served.connect() as connection:
        for _ in range(3):
            send(connection, *pieces)
            assert answer(connection) == (200, LARGE)
    wait_until(lambda: room(served) == 2 * SIZE, "all room to be free again")


def test_what_follows_is_another_request(served: Listening) -> None:
    """A small request right behind a large one, a large one behind it, and rubbish at the end."""
    small = head(3) + b"abc"
    with served.connect() as connection:
        send(connection, head() + LARGE[:100_000], LARGE[100_000:] + small + head() + LARGE)
        for body in (LARGE, b"abc", LARGE):
            assert answer(connection) == (200, body)
        send(connection, b"rubbish\r\n\r\n")
        assert answer(connection)[0] == 400


def test_large_bodies_behind_one_another(served: Listening) -> None:
    """Requests that come before the one before them is answered wait for their turn."""
    served.application.go.clear()
    with served.connect() as connection:
        send(connection, head(SIZE, "/wait") + LARGE, head() + LARGE, head(3) + b"abc")
        wait_until(lambda: len(served.application.bodies) == 1, "the first to wait")
        served.go()
        assert answer(connection) == (200, b"")
        assert answer(connection) == (200, LARGE)
        assert answer(connection) == (200, b"abc")


def test_a_client_that_leaves_gives_its_room_back(served: Listening) -> None:
    """Half a body counts while it is held, and no longer."""
    with served.connect() as connection:
        send(connection, head(), LARGE[: SIZE // 2])
        wait_until(lambda: room(served) == 2 * SIZE - SIZE // 2, "half a body")
    wait_until(lambda: room(served) == 2 * SIZE, "the room to be free again")
    assert served.application.bodies == []


def test_there_is_room_for_so_many_only(served: Listening) -> None:
    """The body for which there is no room is refused while it comes; the others are answered."""
    held = [served.connect() for _ in range(2)]
    try:
        for connection in held:
            send(connection, head(), LARGE[: SIZE - 1])
        wait_until(lambda: room(served) == 2, "two bodies to be held")
        with served.connect() as late:
            send(late, head(), LARGE[: SIZE // 2])
            assert answer(late)[0] == 503
            wait_until(lambda: room(served) == 2, "its room to be free again")
        for connection in held:
            send(connection, LARGE[SIZE - 1 :])
            assert answer(connection) == (200, LARGE)
    finally:
        for connection in held:
            connection.close()


def test_an_answer_before_the_body_ends_the_connection(served: Listening) -> None:
    """What still comes is dropped, and is no request."""
    with served.connect() as connection:
        send(connection, head(SIZE, "/early"), LARGE[: SIZE // 2])
        assert answer(connection) == (200, b"early")
        assert connection.recv(1) == b""


def test_a_compressed_body_comes_in_parts(served: Listening) -> None:
    """Its length is not that of what it holds."""
    body = LARGE[: SIZE - 1000]
    packed = gzip.compress(body, 0)
    with served.connect() as connection:
        for _ in range(2):
            send(connection, head(len(packed), "/echo", "Content-Encoding: gzip") + packed)
            assert answer(connection) == (200, body)


def test_a_slow_body_is_given_up() -> None:
    """Reading in place is looked after like any other reading."""
    limits = Limits(slow_s=0.4, slow_bytes_per_s=2**30)
    with listening(limits, desk=True) as opened, opened.connect() as connection:
        send(connection, head(), LARGE[: SIZE // 2])
        assert answer(connection)[0] == 408
        assert "slow_request" in opened.closed


class Heard:
    """A connection that notes what its stand-ins tell it; `more` is whether it wants more."""

    def __init__(self, *, more: bool) -> None:
        self.more = more
        self.bytes = 0
        self.lost = 0

    def filled(self, count: int, *, whole: bool) -> bool:
        """Count."""
        self.bytes += count
        return self.more and not whole

    def first_bytes(self, data: bytes) -> None:
        """Count."""
        self.bytes += len(data)

    def eof_received(self) -> bool | None:
        """Do nothing."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Count."""
        del exc
        self.lost += 1

    def pause_writing(self) -> None:
        """Do nothing."""

    def resume_writing(self) -> None:
        """Do nothing."""


def filled_up(stand_in: RestOfBody) -> None:
    """Have all come that is missing."""
    stand_in.buffer_updated(len(stand_in.get_buffer(-1)))


def interrupted(stand_in: RestOfBody) -> None:
    """Have the connection end."""
    stand_in.connection_lost(None)


def given_up(stand_in: RestOfBody) -> None:
    """Have a part come that nobody wants."""
    stand_in.buffer_updated(1)


@pytest.mark.parametrize(
    ("end", "more"), [(filled_up, True), (interrupted, True), (given_up, False)]
)
def test_who_has_stood_in_keeps_nothing_alive(
    end: Callable[[RestOfBody], None], more: bool
) -> None:
    """A TLS transport remembers for whom it read: the body must not live as long."""
    owner, memory = Heard(more=more), np.empty(100, np.uint8)
    alive: list[weakref.ref[Heard] | weakref.ref[NDArray[np.uint8]]]
    alive = [weakref.ref(owner), weakref.ref(memory)]
    stand_in = RestOfBody(owner, memory.data)

    end(stand_in)

    del owner, memory
    assert [each() for each in alive] == [None, None]
    stand_in.buffer_updated(0)
    stand_in.connection_lost(None)


def test_the_first_bytes_are_handed_over_once() -> None:
    """The owner gets what was read, and is not kept alive."""
    owner = Heard(more=True)
    stand_in = FirstBytes(owner)
    stand_in.get_buffer(-1)[:3] = b"abc"

    stand_in.buffer_updated(3)

    assert owner.bytes == 3
    alive = weakref.ref(owner)
    del owner
    assert alive() is None


@pytest.mark.parametrize("head_of", [head(), head(SIZE, "/wait")])
def test_an_idle_connection_keeps_no_body(served: Listening, head_of: bytes) -> None:
    """What was asked is forgotten with its answer, though the connection stays."""
    with served.connect() as connection:
        send(connection, head_of + LARGE)
        served.go()
        assert answer(connection)[0] == 200
        assert served.desk.places
        wait_until(lambda: all(place() is None for place in served.desk.places), "no body")


def test_an_early_answer_that_is_not_taken_ends_what_is_read(
    served: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What still comes of the request is not read as another, though its answer waits."""
    paths: list[str] = []
    read = served.desk.read

    def noting(method: bytes, path: str, fields: list[tuple[bytes, bytes]]) -> Head | None:
        paths.append(path)
        return read(method, path, fields)

    with served.connect() as connection:
        for _ in range(2):  # The first head of a connection is not learnt.
            send(connection, head() + LARGE)
            assert answer(connection) == (200, LARGE)
        assert served.desk.known(head()) is not None
        monkeypatch.setattr(served.desk, "read", noting)
        monkeypatch.setattr(served.desk, "early", bytes(2**23))
        begun = len(served.application.seen)
        send(connection, head() + LARGE[:1000])
        wait_until(lambda: len(served.application.seen) > begun, "the request to begin")
        send(connection, b"POST /evil HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert answer(connection) == (200, bytes(2**23))
        assert everything(connection) == b""
    assert paths == []
