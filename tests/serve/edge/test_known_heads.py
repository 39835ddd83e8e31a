"""A head that comes again is not parsed again, and nobody can tell but by the time it takes."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.settings import Limits
from serve.edge.head import Head, Heads
from serve.protocol.paths import Ask, Endpoint
from tests.serve.edge.listening import Listening, answer, everything, listening
from tests.serve.waiting import wait_until

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
WAIT = b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listening]:
    """A listener whose requests the desk answers."""
    with listening(Limits(), desk=True) as opened:
        yield opened


@pytest.fixture
def served(listener: Listening) -> Listening:
    """The listener, which knows the heads `HEAD` and `WAIT`."""
    wait_until(lambda: listener.connections == 0, "the end of what was before")
    listener.application.go.set()
    with listener.connect() as connection:
        for head in (HEAD, WAIT):
            connection.sendall(head + b"abc")
            assert answer(connection) == (200, b"abc")
    listener.application.go.clear()
    listener.application.bodies.clear()
    listener.closed.clear()
    wait_until(lambda: listener.desk.known(WAIT) is not None, "both heads to be learnt")
    return listener


def test_the_body_is_that_of_the_request(served: Listening) -> None:
    """Only the head is known: each request is answered by its own body."""
    with served.connect() as connection:
        for body in (b"one", b"two", b"\r\n\r"):
            connection.sendall(HEAD + body)
            assert answer(connection) == (200, body)


@pytest.mark.parametrize("cut", [1, len(HEAD) - 2, len(HEAD), len(HEAD) + 2])
def test_a_request_in_two_pieces_is_parsed(served: Listening, cut: int) -> None:
    """A known head whose body has not come, or half of it, waits for the rest."""
    sent = HEAD + b"abc"
    with served.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(sent[:cut])
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(5.0)
        connection.sendall(sent[cut:])
        assert answer(connection) == (200, b"abc")


def test_two_requests_in_one_piece(served: Listening) -> None:
    """Both are answered, in order."""
    with served.connect() as connection:
        connection.sendall(HEAD + b"one" + HEAD + b"two")
        assert answer(connection) == (200, b"one")
        assert answer(connection) == (200, b"two")


def test_a_known_head_behind_a_request_that_waits(served: Listening) -> None:
    """Answers keep the order of the requests."""
    with served.connect() as connection:
        connection.sendall(WAIT + b"one")
        wait_until(lambda: served.application.bodies == [b"one"], "the first request")
        connection.sendall(HEAD + b"two")
        served.go()
        assert answer(connection) == (200, b"")
        assert answer(connection) == (200, b"two")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"Connection: close\r\nContent-Length: 3\r\n", id="close"),
        pytest.param(b"Transfer-Encoding: chunked\r\n", id="chunked"),
        pytest.param(b"Expect: 100-continue\r\nContent-Length: 3\r\n", id="expect"),
        pytest.param(b"Inference-Header-Content-Length: x\r\nContent-Length: 3\r\n", id="at-fault"),
        pytest.param(b"X: %s\r\nContent-Length: 3\r\n" % (b"x" * 4096), id="long"),
    ],
)
def test_heads_that_mean_more_are_not_remembered(served: Listening, fields: bytes) -> None:
    """What changes how the connection goes on is left to the parser every time."""
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n"
    body = b"3\r\nabc\r\n0\r\n\r\n" if b"chunked" in fields else b"abc"
    with served.connect() as connection:
        connection.sendall(head + body)
        if b"Expect" in fields:
            connection.settimeout(5.0)
            assert connection.recv(25) in (b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        assert answer(connection) == (200, b"abc")

    assert served.desk.known(head) is None


def test_a_client_that_waits_to_be_asked_is_asked(served: Listening) -> None:
    """`100 Continue` comes before the body does, once (RFC 9110, section 10.1.1)."""
    with served.connect() as connection:
        connection.sendall(HEAD[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert answer(connection) == (200, b"abc")


def test_a_malformed_request_behind_a_known_head(served: Listening) -> None:
    """What follows a request that was not parsed is parsed as strictly as ever."""
    with served.connect() as connection:
        connection.sendall(HEAD + b"abc")
        assert answer(connection) == (200, b"abc")
        connection.sendall(b"nonsense\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 400")


def test_the_memory_is_bounded() -> None:
    """Heads that are all different are forgotten together, and long ones are never kept."""
    heads = Heads()
    head = Head(Endpoint(Ask.INFER, "m"), [])
    for n in range(5000):
        heads.learn(b"%d" % n, head)
    heads.learn(b"x" * 100_000, head)

    assert sum(heads.known(b"%d" % n) is not None for n in range(5000)) <= 1024
    assert heads.known(b"4999") is head
    assert heads.known(b"x" * 100_000) is None


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.binary(min_size=0, max_size=9), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 600), max_size=6),
)
def test_pieces_do_not_matter(listener: Listening, bodies: list[bytes], cuts: list[int]) -> None:
    """However a stream of requests is cut, each is answered by its own body, in order."""
    sent = b"".join(HEAD.replace(b": 3", b": %d" % len(body)) + body for body in bodies)
    with listener.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(sent)], strict=True):
            connection.sendall(sent[start:end])
        assert [answer(connection)[1] for _ in bodies] == bodies


def test_a_compressed_body_is_inflated_every_time(served: Listening) -> None:
    """The same head with a body that is encoded means an inflated body again and again."""
    body = gzip.compress(b"abc")
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with served.connect() as connection:
        for _ in range(4):
            connection.sendall(head % len(body) + body)
            assert answer(connection) == (200, b"abc")


def test_a_body_that_cannot_be_understood_gives_its_room_back(served: Listening) -> None:
    """A request at fault behind one that waits holds nothing once it is refused."""
    room = served.desk.bodies.left
    chunked = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(WAIT + b"one" + chunked + b"3\r\nabc\r\nnonsense\r\n")
        wait_until(lambda: served.closed["malformed"] == 1, "the second request's end")
        served.go()
        assert everything(connection).startswith(b"HTTP/1.1 200")

    wait_until(lambda: served.desk.bodies.left == room, "all room to be free")
