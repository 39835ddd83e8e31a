"""A request is understood in one way or refused, and what is refused ends the connection."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from configs.settings import Limits
from serve.edge.reading import CHUNKS_MAX, HEAD_MAX_BYTES, PIPELINE_MAX
from tests.serve.edge.listening import Listening, answer, everything, listening
from tests.serve.waiting import wait_until

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module", params=[False, True], ids=["application", "desk"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listening]:
    """A listener with usual limits, whose requests the application or the desk answers."""
    with listening(Limits(), desk=request.param) as opened:
        yield opened


@pytest.fixture
def served(listener: Listening) -> Listening:
    """The listener, as if nothing had been asked yet."""
    wait_until(lambda: listener.connections == 0, "the end of what was before")
    listener.closed.clear()
    listener.application.go.clear()
    for seen in (listener.application.seen, listener.application.bodies):
        seen.clear()
    listener.application.headers.clear()
    return listener


def said(served: Listening, sent: bytes) -> bytes:
    """All that the listener says to some bytes until it closes."""
    with served.connect() as connection:
        connection.sendall(sent)
        return everything(connection)


def refused(received: bytes, status: bytes = b"400") -> str:
    """The sentence of the one error that was answered."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in head.lower().split(b"\r\n")
    told = orjson.loads(body)
    assert set(told) == {"error", "code", "request_id"}
    return str(told["error"])


BOTH = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01 hello\r\n\r\n", id="not-http"),
        pytest.param(POST + BOTH, id="length-and-chunked"),
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", id="two-lengths"),
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", id="same-twice"),
        pytest.param(POST + b"Content-Length: 3, 4\r\n\r\nabc", id="list-of-lengths"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", id="negative"),
        pytest.param(POST + b"Content-Length: +3\r\n\r\nabc", id="signed"),
        pytest.param(POST + b"Content-Length: 0x3\r\n\r\nabc", id="hexadecimal"),
        pytest.param(POST + b"Content-Length: %d\r\n\r\n" % 2**64, id="overflow"),
        pytest.param(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="gzip"),
        pytest.param(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", id="identity"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n", id="xchunked"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n", id="space-before-colon"),
        pytest.param(
            b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="1.0-chunked"
        ),
        pytest.param(b"POST /echo HTTP/1.1\nHost: x\n\n", id="bare-lf"),
        pytest.param(POST + b"X: a\rb\r\n\r\n", id="bare-cr"),
        pytest.param(POST + b"X: a\r\n b\r\n\r\n", id="folded"),
        pytest.param(POST + b"X: a\0b\r\n\r\n", id="nul"),
        pytest.param(POST + b"Host: y\r\n\r\n", id="two-hosts"),
        pytest.param(b"GET /echo HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET @echo HTTP/1.1\r\nHost: x\r\n\r\n", id="at"),
        pytest.param(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", id="connect"),
        pytest.param(CHUNKED + b"3\nabc\r\n0\r\n\r\n", id="chunk-bare-lf"),
        pytest.param(CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", id="extension-bare-lf"),
        pytest.param(CHUNKED + b'3;a="\n"\r\nabc\r\n0\r\n\r\n', id="extension-quoted-lf"),
        pytest.param(CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", id="chunk-0x"),
        pytest.param(CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", id="chunk-negative"),
        pytest.param(CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", id="chunk-longer"),
        pytest.param(CHUNKED + b"f" * 17 + b"\r\n", id="chunk-overflow"),
    ],
)
def test_what_could_be_read_in_two_ways(served: Listening, sent: bytes) -> None:
    """One `400` in the shape of all errors, the end, and nothing behind it is a request."""
    assert refused(said(served, sent + NEXT))
    assert ("GET", "/smuggled") not in served.application.seen
    assert served.application.bodies == []
    assert served.closed == {"malformed": 1}


def test_a_chunk_extension_is_skipped(served: Listening) -> None:
    """It says nothing here, and its chunk is the one that everybody sees (RFC 9112, 7.1.1)."""
    with served.connect() as connection:
        connection.sendall(CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n")
        assert answer(connection) == (200, b"abc")


def test_a_trailer_is_no_header(served: Listening) -> None:
    """What follows the body does not change what the application was told."""
    with served.connect() as connection:
        connection.sendall(CHUNKED + b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        assert answer(connection) == (200, b"abc")

    assert b"authorization" not in served.application.headers[0]


@pytest.mark.parametrize("length", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_an_offer_of_another_protocol_is_passed_over(
    served: Listening, length: bytes, apart: bool
) -> None:
    """A client that offers HTTP/2 is answered in HTTP/1.1, and its body is its body."""
    body = b"abc" if b"3" in length else b"3\r\nabc\r\n0\r\n\r\n"
    head = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + length + b"\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(head if apart else head + body + GET)
        if apart:
            wait_until(lambda: bool(served.application.seen), "the head was read")
            connection.sendall(body)
        assert answer(connection) == (200, b"abc")
        if apart:
            connection.sendall(GET)
        assert answer(connection) == (200, b"")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(POST + b"X: %s\r\n\r\n" % (b"a" * HEAD_MAX_BYTES), id="one-field"),
        pytest.param(POST + b"X: %s" % (b"a" * 2 * HEAD_MAX_BYTES), id="one-that-does-not-end"),
        pytest.param(POST + b"a:b\r\n" * 3000 + b"\r\n", id="many-fields"),
        pytest.param(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * HEAD_MAX_BYTES), id="path"),
        pytest.param(
            CHUNKED + b"0\r\n" + b"X: %s\r\n" % (b"a" * HEAD_MAX_BYTES) + b"\r\n", id="trailer"
        ),
    ],
)
def test_a_head_has_a_limit(served: Listening, sent: bytes) -> None:
    """Head and trailers together may have 64 KiB, in one piece or in many."""
    assert f"{HEAD_MAX_BYTES} bytes" in refused(said(served, sent))
    assert served.application.bodies == []


def test_chunks_have_a_limit(served: Listening) -> None:
    """A million chunks of a byte are refused when there are too many, not read to the end."""
    with served.connect() as connection:
        connection.sendall(CHUNKED + b"1\r\nx\r\n" * (CHUNKS_MAX - 1) + b"0\r\n\r\n")
        assert answer(connection) == (200, b"x" * (CHUNKS_MAX - 1))

    assert "chunks" in refused(said(served, CHUNKED + b"1\r\nx\r\n" * (CHUNKS_MAX + 1)), b"413")


def test_pipelining_has_a_limit(served: Listening) -> None:
    """Requests that were sent ahead are answered in order up to a number, then comes the end."""
    with served.connect() as connection:
        connection.sendall(GET.replace(b"echo", b"wait") + GET * (PIPELINE_MAX + 500))
        wait_until(lambda: served.closed["malformed"] == 1, "one too many")
        served.go()
        received = everything(connection)

    *good, last = received.split(b"HTTP/1.1 ")[1:]
    assert len(good) == PIPELINE_MAX + 1
    assert all(each.startswith(b"200") for each in good)
    assert last.startswith(b"503")


def test_garbage_behind_a_good_request(served: Listening) -> None:
    """The good request gets its own answer; the error is that of the next."""
    received = said(served, GET + b"garbage\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 200")
    assert refused(received[received.index(b"HTTP/1.1 400") :])


def test_an_answer_before_the_body_ends_the_connection(served: Listening) -> None:
    """The rest is not read as a request, and the answer arrives though the client still sends."""
    with served.connect() as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        head, _, body = everything(connection).partition(b"\r\n\r\n")
        connection.sendall(NEXT)

    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head.lower().split(b"\r\n")
    assert body == b"early"
    assert served.application.seen == [("POST", "/early")]


def test_a_body_that_nobody_takes_is_not_read(served: Listening) -> None:
    """After 64 KiB that nobody took the client must wait: memory is bounded by that."""
    with served.connect() as connection:
        connection.sendall(
            GET.replace(b"echo", b"wait") + POST + b"Content-Length: %d\r\n\r\n" % 2**26
        )
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(2**26))
    served.go()


@pytest.fixture
def at_desk() -> Iterator[Listening]:
    """A listener whose requests the desk answers."""
    with listening(Limits(), desk=True) as opened:
        yield opened


def test_a_client_that_leaves_is_told_of(at_desk: Listening) -> None:
    """The desk hears that a client has left that waits for its answer, once."""
    served = at_desk
    with served.connect() as connection:
        connection.sendall(GET.replace(b"echo", b"wait"))
        wait_until(lambda: bool(served.application.seen), "the request has begun")

    wait_until(lambda: served.desk.left == 1, "the word that the client left")


def test_a_client_that_has_its_answer_may_leave(at_desk: Listening) -> None:
    """To leave after the answer is no reason to cancel anything."""
    served = at_desk
    with served.connect() as connection:
        connection.sendall(GET.replace(b"echo", b"wait"))
        wait_until(lambda: bool(served.application.seen), "the request has begun")
        served.go()
        assert answer(connection)[0] == 200
    wait_until(lambda: served.connections == 0, "the end of the connection")

    assert served.desk.left == 0
