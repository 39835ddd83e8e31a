"""What is said on the wire of the gRPC port: heads, messages, trailers, windows and farewells."""

from __future__ import annotations

import gzip
import socket
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import ngh2
import pytest

from configs.settings import Limits
from serve.edge.bodies import Bodies
from serve.edge.grpc_connection import GrpcConnection
from serve.edge.grpc_messages import Messages
from serve.protocol.grpc_frames import framed
from tests.serve.edge.grpc_listening import (
    ACK,
    END_HEADERS,
    LARGE_BYTES,
    MESSAGE,
    TINY,
    GrpcListening,
    Peer,
    Raw,
    data,
    goaway,
    grpc_listening,
    head,
    ping,
    reset,
    roomy,
    settings,
)
from tests.serve.waiting import wait_until

ROOMY = Limits(body_max_bytes=2**20)


@pytest.fixture
def served() -> Iterator[GrpcListening]:
    """A listener."""
    with grpc_listening(ROOMY) as opened:
        yield opened


@pytest.fixture
def client(served: GrpcListening) -> Iterator[Peer]:
    """A client that keeps to HTTP/2."""
    peer = served.client()
    yield peer
    peer.close()


def test_an_answer(client: Peer) -> None:
    """A head, one message, and trailers that say how it went."""
    told = client.told(client.call(MESSAGE))

    assert told.head == {
        b":status": b"200",
        b"content-type": b"application/grpc",
        b"grpc-accept-encoding": b"identity,deflate,gzip",
    }
    assert told.data == MESSAGE
    assert told.trailers == {b"grpc-status": b"0", b"said": b"so"}
    assert told.reset is None


def test_what_comes_of_one_read_leaves_in_one_write(
    served: GrpcListening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that come together are answered together, each in one piece."""
    writes: list[int] = []
    raw = served.connect()
    wait_until(lambda: len(served.all) == 1, "a connection")
    (connection,) = served.all._places.open
    wait_until(lambda: connection.greeted, "a greeting")
    write = connection.channel._write

    def written(out: Any) -> None:
        writes.append(len(out))
        write(out)

    monkeypatch.setattr(connection.channel, "_write", written)

    raw.send(b"".join(head(1 + 2 * n) + data(1 + 2 * n, MESSAGE) for n in range(20)))
    wait_until(lambda: len(served.desk.served) == 20, "all calls")

    wait_until(lambda: not connection.calls, "all answers")
    assert len(writes) == 1
    raw.close()


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param((b":method", b"GET"), b"405", id="method"),
        pytest.param((b"content-type", b"application/json"), b"415", id="json"),
        pytest.param((b"content-type", b"application/grpc-web"), b"415", id="web"),
        pytest.param((b"content-type", b"application/grpc+json"), b"415", id="grpc-json"),
    ],
)
def test_what_is_no_grpc(client: Peer, more: tuple[bytes, bytes], status: bytes) -> None:
    """It is refused in the words of HTTP, and the connection lives."""
    told = client.told(client.call(MESSAGE, b"/echo", more))

    assert told.head[b":status"] == status
    assert client.told(client.call(MESSAGE)).data == MESSAGE


@pytest.mark.parametrize("content_type", [b"application/grpc+proto", b"application/grpc;a=b"])
def test_other_words_for_grpc(client: Peer, content_type: bytes) -> None:
    """The type may have a suffix or parameters."""
    told = client.told(client.call(MESSAGE, b"/echo", (b"content-type", content_type)))

    assert told.data == MESSAGE


DEFLATED = zlib.compress(b"hello" * 1000)
GZIPPED = gzip.compress(b"hello" * 1000)


def compressed(message: bytes) -> bytes:
    """A message that is marked as compressed."""
    return struct.pack(">BI", 1, len(message)) + message


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        pytest.param(b"gzip", compressed(GZIPPED), id="gzip"),
        pytest.param(b"deflate", compressed(DEFLATED), id="deflate"),
        pytest.param(b"gzip", framed(b"hello" * 1000), id="not-this-one"),
        pytest.param(b"identity", framed(b"hello" * 1000), id="identity"),
    ],
)
def test_compressed_messages(client: Peer, encoding: bytes, sent: bytes) -> None:
    """They are inflated if they are marked as compressed."""
    told = client.told(client.call(sent, b"/echo", (b"grpc-encoding", encoding)))

    assert told.data == framed(b"hello" * 1000)


@pytest.mark.parametrize(
    ("encoding", "sent", "status"),
    [
        pytest.param(b"snappy", MESSAGE, b"12", id="unknown"),
        pytest.param(b"identity", compressed(GZIPPED), b"3", id="without-a-word"),
        pytest.param(b"gzip", compressed(DEFLATED), b"3", id="another"),
        pytest.param(b"gzip", compressed(GZIPPED[:-9]), b"3", id="cut-off"),
        pytest.param(b"gzip", compressed(gzip.compress(bytes(2**22))), b"8", id="bomb"),
        pytest.param(b"gzip", b"\2\0\0\0\0", b"3", id="flag"),
        pytest.param(b"gzip", b"", b"3", id="no-message"),
        pytest.param(b"gzip", MESSAGE[:-1], b"3", id="message-cut-off"),
        pytest.param(b"gzip", MESSAGE[:3], b"3", id="prefix-cut-off"),
        pytest.param(b"gzip", MESSAGE + MESSAGE, b"3", id="two-messages"),
        pytest.param(b"gzip", MESSAGE + b"\0", b"3", id="more-behind"),
        pytest.param(b"gzip", b"\0\xff\xff\xff\xff", b"8", id="length-that-lies"),
    ],
)
def test_what_is_no_message(
    served: GrpcListening, client: Peer, encoding: bytes, sent: bytes, status: bytes
) -> None:
    """It is refused with what is understood, its room is free again, and the connection lives."""
    told = client.told(client.call(sent, b"/echo", (b"grpc-encoding", encoding)))

    assert told.trailers[b"grpc-status"] == status
    assert told.trailers[b"grpc-message"]
    assert told.head[b"grpc-accept-encoding"] == b"identity,deflate,gzip"
    assert client.told(client.call(MESSAGE)).data == MESSAGE
    assert served.desk.served == [b"hello"]
    assert served.bodies.left == ROOMY.bodies_max_bytes
    assert not served.closed


def test_a_body_counts_while_it_is_read() -> None:
    """One that finds no room among those that are being read is refused; then there is room."""
    limits = Limits(body_max_bytes=2**16, bodies_max_bytes=100_000)
    with grpc_listening(limits) as served:
        client, part = served.client(), bytes(40_000)
        first, second, third = (client.call(None) for _ in range(3))
        for stream in (first, second, third):
            client.session.send_data(stream, framed(part)[:-1])
            client.push()
        wait_until(lambda: served.desk.errors == ["overloaded"], "one to be refused")
        assert client.told(third).trailers[b"grpc-status"] == b"14"
        for stream in (first, second):
            client.session.send_data(stream, part[:1], end_stream=True)
            client.push()
            client.told(stream)

        assert served.bodies.left == 100_000
        client.close()


def test_who_is_refused_by_the_head_need_not_send(served: GrpcListening, client: Peer) -> None:
    """The trailers come at once, then a word that nothing more is wanted (RFC 9113, 8.1)."""
    told = client.told(client.call(None, b"/early"))

    assert told.trailers[b"grpc-status"] == b"16"
    assert told.reset == ngh2.ErrorCode.NO_ERROR
    assert not served.desk.served


def test_a_large_message_arrives() -> None:
    """Room is given back while a message comes that is larger than any window."""
    with grpc_listening(Limits(body_max_bytes=2**25)) as served:
        client = served.client()

        told = client.told(client.call(framed(bytes(2**25)), b"/length"))

        assert told.data == framed(b"%d" % 2**25)
        client.close()


def test_messages_of_many_calls_find_room(served: GrpcListening, client: Peer) -> None:
    """The window of a connection does not run out, whatever becomes of the calls."""
    sent = framed(bytes(2**20))
    for n in range(20):
        assert client.told(client.call(sent, b"/length")).data == framed(b"%d" % 2**20)
        if n % 4 == 0:  # Refused by its head, and dropped as it comes.
            assert client.told(client.call(sent, b"/early")).trailers[b"grpc-status"] == b"16"


def test_a_large_answer_waits_for_room(served: GrpcListening) -> None:
    """No more is sent than the client has room for; it goes on when there is more."""
    client = served.client(window=10_000)
    stream = client.call(MESSAGE, b"/large")
    while len(client.calls[stream].data) < 10_000:
        client.pull()
    assert not client.pull(0.1)
    assert served.untaken > LARGE_BYTES - 20_000

    taken = 0
    while not client.calls[stream].closed:
        waiting = len(client.calls[stream].data) - taken
        client.take(stream, waiting)
        taken += waiting
        client.pull()

    assert len(client.calls[stream].data) == LARGE_BYTES + 5
    assert client.calls[stream].trailers[b"grpc-status"] == b"0"
    assert served.untaken == 0
    client.close()


def test_a_call_that_is_taken_back(served: GrpcListening, client: Peer) -> None:
    """It is given up, and its answer goes nowhere."""
    stream = client.call(MESSAGE, b"/wait")
    wait_until(lambda: len(served.desk.served) == 1, "the call to be served")
    client.session.reset_stream(stream)
    client.push()
    wait_until(lambda: served.desk.left_by == 1, "the call to be given up")
    served.do(served.desk.go)

    assert client.told(client.call(MESSAGE)).data == MESSAGE


def test_a_call_and_its_end_in_one_read(served: GrpcListening) -> None:
    """What is taken back before it is looked at harms nobody."""
    raw = served.connect()
    raw.send(
        b"".join(
            head(1 + 2 * n, path=path) + data(1 + 2 * n, MESSAGE, 0) + reset(1 + 2 * n)
            for n, path in enumerate((b"/echo", b"/early", b"/stream") * 10)
        )
        + head(101)
        + data(101, MESSAGE)
    )

    wait_until(lambda: b"hello" in served.desk.served[10:], "the call behind them")
    wait_until(lambda: not next(iter(served.all._places.open)).calls, "nothing open")
    assert not served.closed
    raw.close()


def test_a_stream_of_messages(client: Peer) -> None:
    """Each is answered when it comes."""
    stream = client.call(None, b"/stream")
    for n in range(3):
        client.session.send_data(stream, framed(b"%d" % n))
        client.push()
        while client.calls[stream].data.count(b"\1") < n + 1:
            client.pull()
    client.session.end_stream(stream)
    client.push()

    told = client.told(stream)
    assert told.data == framed(b"0") + framed(b"1") + framed(b"2")
    assert told.trailers == {b"grpc-status": b"0"}


def test_a_client_is_told_to_leave_in_two_words(served: GrpcListening, client: Peer) -> None:
    """What began is answered, what comes until the client knows too, and then it is over."""
    waits = client.call(MESSAGE, b"/wait")
    wait_until(lambda: len(served.desk.served) == 1, "the call to be served")
    late = client.prepare(MESSAGE, b"/wait")
    served.do(served.all.leave)
    client.push()  # It has not read what it was told.
    wait_until(lambda: len(served.desk.served) == 2, "the late call to be served")
    while len(client.goaways) < 2:
        client.pull()
    served.do(served.desk.go)

    assert client.told(waits).trailers[b"grpc-status"] == b"0"
    assert client.told(late).trailers[b"grpc-status"] == b"0"
    assert client.goaways == [2**31 - 1, late]
    while not client.over:
        client.pull()
    wait_until(lambda: not len(served.all), "the connection to end")
    assert not served.closed


def test_a_client_that_does_not_say_that_it_heard() -> None:
    """It gets the second word all the same, and the connection ends."""
    with grpc_listening(TINY) as served:
        raw = served.connect()
        wait_until(lambda: len(served.all) == 1, "a connection")
        served.do(served.all.leave)

        assert raw.everything().count(b"\0\0\x08\x07") == 2
        wait_until(lambda: not len(served.all), "the connection to end")
        raw.close()


def test_a_message_in_many_parts(served: GrpcListening) -> None:
    """Where a message is cut does not matter."""
    raw = served.connect()
    parts = b"".join(data(1, MESSAGE[n : n + 1], 0) for n in range(len(MESSAGE)))
    raw.send(head(1, END_HEADERS) + parts + data(1, b""))

    wait_until(lambda: served.desk.served == [b"hello"], "the message")
    raw.close()


def last_answer(served: GrpcListening, size: int) -> tuple[Raw, GrpcConnection]:
    """A client with little room whose connection has ended with an answer of so many bytes."""
    raw = Raw(served.port, receive_buffer=4096)
    message = framed(bytes(size))
    parts = [message[at : at + 16_000] for at in range(0, len(message), 16_000)]
    raw.send(roomy() + settings(ACK) + head(1, path=b"/wait"))
    raw.send(b"".join(data(1, part, 0) for part in parts) + data(1, b""))
    wait_until(lambda: len(served.desk.served) == 1, "the call to be served")
    (connection,) = served.all._places.open
    served.do(served.all.leave)
    raw.send(ping(ACK, b"farewell"))
    wait_until(lambda: connection.leaving.farewell_since is not None, "the farewell")
    served.do(served.desk.go)
    wait_until(connection.channel.is_closing, "the end")
    return raw, connection


def test_the_last_answer_arrives_whatever_the_client_sends() -> None:
    """A connection that ends is closed on one side first, or the system would take it back."""
    with grpc_listening(Limits()) as served:
        raw, _ = last_answer(served, 300_000)
        raw.send(ping())

        assert len(raw.everything()) > 300_000
        raw.close()
        wait_until(lambda: not len(served.all), "the connection to be forgotten")
        assert not served.closed


def test_who_takes_the_last_answer_late_is_heard_again() -> None:
    """A connection that ends while it waits for its client goes on to hear what he does."""
    with grpc_listening(Limits()) as served:
        served._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        raw, connection = last_answer(served, 200_000)
        assert served.all._timer is not None
        served.all._timer.cancel()  # No look ends it.
        assert connection.write_paused
        assert len(raw.everything()) > 200_000
        raw.close()

        wait_until(lambda: not len(served.all), "the connection to be forgotten")


def test_who_goes_on_to_send_at_the_end(served: GrpcListening) -> None:
    """What comes after the end is dropped, up to what a client may have had on its way."""
    raw = served.connect()
    wait_until(lambda: len(served.all) == 1, "a connection")
    (connection,) = served.all._places.open
    raw.send(goaway())
    wait_until(connection.channel.is_closing, "the end")
    assert served.all._timer is not None
    served.all._timer.cancel()  # No look ends it.
    sent = 0
    while sent < 2**26 and raw.send(bytes(2**16)):
        sent += 2**16

    assert 2**24 <= sent < 2**26
    raw.close()


def test_a_half_read_message_of_a_stream_is_kept(client: Peer) -> None:
    """It is answered when the rest of it comes, though one before it was answered meanwhile."""
    stream = client.call(None, b"/stream")
    second = framed(b"two-two")
    client.session.send_data(stream, framed(b"one") + second[:-4])
    client.push()
    while client.calls[stream].data != framed(b"one"):
        client.pull()
    client.session.send_data(stream, second[-4:] + framed(b"three"), end_stream=True)
    client.push()

    told = client.told(stream)
    assert told.data == framed(b"one") + second + framed(b"three")
    assert told.trailers == {b"grpc-status": b"0"}


def test_a_message_is_kept_once() -> None:
    """What its parts were gathered in is let go when it is whole, and its room when it is read."""
    bodies = Bodies(2**25, 2**25)
    arriving = Messages(bodies, None)
    sent = framed(bytes(2**24))
    tracemalloc.start()
    (message,) = [
        whole for at in range(0, len(sent), 2**20) for whole in arriving.take(sent[at : at + 2**20])
    ]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(message) == 2**24
    assert kept < 1.5 * 2**24
    assert bodies.left == 2**24
    arriving.release_whole()
    assert bodies.left == 2**25


def test_an_answer_that_waits_for_room_is_not_cut_off(served: GrpcListening) -> None:
    """A client is told to stop sending only when it has taken the answer."""
    client = served.client(window=10_000)
    stream = client.call(None, b"/first")
    client.session.send_data(stream, MESSAGE)
    client.push()
    taken = 0
    while not client.calls[stream].closed:
        assert client.pull()
        waiting = len(client.calls[stream].data) - taken
        if waiting:
            client.take(stream, waiting)
            taken += waiting

    assert taken == LARGE_BYTES + 5
    assert client.calls[stream].trailers == {b"grpc-status": b"0"}
    assert client.calls[stream].reset == ngh2.ErrorCode.NO_ERROR
    client.close()
