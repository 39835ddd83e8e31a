"""Peers of the gRPC port that mean no good lose their connection, and nobody else does."""

from __future__ import annotations

import logging
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from errno import ECONNRESET

import ngh2
import pytest

from configs.settings import Limits
from serve.protocol.grpc_frames import framed
from tests.serve.edge.grpc_listening import (
    ACK,
    END_HEADERS,
    LARGE_BYTES,
    MESSAGE,
    PATIENCE_S,
    PREFACE,
    SLOW_S,
    TINY,
    GrpcListening,
    Peer,
    Raw,
    continuation,
    data,
    fields,
    frame,
    goaway,
    grpc_listening,
    head,
    ping,
    reset,
    roomy,
    settings,
)
from tests.serve.waiting import wait_until

QUICK = Limits(slow_s=SLOW_S, slow_bytes_per_s=2**30, body_max_bytes=2**24)


@pytest.fixture
def served() -> Iterator[GrpcListening]:
    """A listener that is patient."""
    with grpc_listening(Limits()) as opened:
        yield opened


@pytest.fixture
def hasty() -> Iterator[GrpcListening]:
    """A listener that is not."""
    with grpc_listening(TINY) as opened:
        yield opened


def is_well(served: GrpcListening) -> bool:
    """Whether another client is answered."""
    client = served.client()
    told = client.told(client.call(MESSAGE))
    client.close()
    return told.data == MESSAGE


def ends(served: GrpcListening, raw: Raw, reason: str) -> None:
    """The connection ends, is counted, and others are answered."""
    raw.everything()
    raw.close()
    wait_until(lambda: not len(served.all), "the connection to end")
    assert served.closed == {reason: 1}
    assert is_well(served)


def test_calls_that_are_taken_back_in_a_loop(served: GrpcListening) -> None:
    """A client that opens and resets calls without end is let do that a thousand times."""
    raw = served.connect()
    for first in range(1, 40_001, 200):
        calls = [head(n) + data(n, MESSAGE, 0) + reset(n) for n in range(first, first + 200, 2)]
        if not raw.send(b"".join(calls)):
            break

    ends(served, raw, "malformed")
    assert 500 < len(served.desk.begun) < 4000
    assert served.bodies.left == Limits().bodies_max_bytes


def test_calls_that_are_taken_back_now_and_then(served: GrpcListening) -> None:
    """A client whose calls often time out is no attacker."""
    client = served.client()
    for _ in range(500):
        client.session.reset_stream(client.prepare(None))
    client.push()

    assert client.told(client.call(MESSAGE)).data == MESSAGE
    assert not served.closed
    client.close()


def test_a_head_without_end(served: GrpcListening) -> None:
    """A head goes on for a few frames at most."""
    raw = served.connect()
    raw.send(head(1, flags=0) + b"".join(continuation(1, b"\x10\1x\1y") for _ in range(100)))

    ends(served, raw, "malformed")
    assert len(served.desk.begun) == 1  # The other client's.


def test_a_head_that_grows_when_it_is_unpacked(served: GrpcListening) -> None:
    """A few bytes that stand for many are many."""
    length = bytes([0x7F]) + bytes([(3000 - 127) & 127 | 128, (3000 - 127) >> 7])
    once = b"\x40\1x" + length + b"y" * 3000  # Kept by both sides as number 62 (RFC 7541, 2.3.3).
    raw = served.connect()
    raw.send(frame(1, END_HEADERS | 1, 1, fields() + once + b"\xbe" * 10_000))

    ends(served, raw, "malformed")
    assert len(served.desk.begun) == 1  # The other client's.


def test_metadata_above_the_limit(served: GrpcListening) -> None:
    """They are refused for the call, and the connection lives."""
    client = served.client()
    large = [(b"a-%d" % n, b"x" * 30_000) for n in range(3)]

    told = client.told(client.call(MESSAGE, b"/echo", *large))

    assert told.trailers[b"grpc-status"] == b"8"
    assert b"metadata" in told.trailers[b"grpc-message"]
    assert client.told(client.call(MESSAGE, b"/echo", *large[:2])).data == MESSAGE
    assert not served.closed
    client.close()


@pytest.mark.parametrize(
    "asks", [pytest.param(settings(), id="settings"), pytest.param(ping(), id="ping")]
)
def test_questions_whose_answers_are_not_taken(served: GrpcListening, asks: bytes) -> None:
    """They are not answered into memory without end."""
    raw = Raw(served.port, receive_buffer=4096)
    raw.send(PREFACE + settings())
    raw.socket.settimeout(1.0)
    sent, enough = 0, 40_000_000  # More than the system keeps for both sides.
    while sent < enough and raw.send(asks * 1000):
        sent += 1000 * len(asks)

    assert sent < enough
    assert is_well(served)
    raw.close()
    wait_until(lambda: not len(served.all), "the connection to end")


def test_who_does_not_take_answers_is_not_read() -> None:
    """It begins no more calls then, and the time of those that it has begun stands still."""
    limits = Limits(slow_s=5 * SLOW_S, slow_bytes_per_s=1000, body_max_bytes=2**26)
    with grpc_listening(limits) as served:
        client = served.client(window=2**31 - 1, receive_buffer=2**18)
        client.session.set_local_window_size(2**30)
        half = client.call(None)
        client.session.send_data(half, MESSAGE[:7])
        large = [client.call(MESSAGE, b"/large") for _ in range(16)]
        wait_until(lambda: next(iter(served.all._places.open)).write_paused, "no more to be read")
        begun, looks = len(served.desk.begun), served.looks()
        last = client.call(MESSAGE)
        wait_until(lambda: served.looks() > looks + 1.5, "a look")
        for _ in range(6):  # So much that the system tells the server of it, and it may rest.
            client.pull()
        wait_until(lambda: served.looks() > looks + 8, "several looks")
        assert len(served.desk.begun) == begun
        for stream in large:
            assert len(client.told(stream).data) == LARGE_BYTES + 5
        looks = served.looks()
        wait_until(lambda: served.looks() > looks + 1.5, "a look")
        client.session.send_data(half, MESSAGE[7:], end_stream=True)
        client.push()

        assert client.told(half).data == client.told(last).data == MESSAGE
        assert not served.closed
        client.close()


@pytest.mark.parametrize("part", [b"", b"x"], ids=["empty", "tiny"])
def test_parts_that_bring_nothing(served: GrpcListening, part: bytes) -> None:
    """A message in very many very small parts costs more than it brings."""
    raw = served.connect()
    raw.send(head(1) + data(1, struct.pack(">BI", 0, 10_000), 0) + data(1, part, 0) * 5000)

    ends(served, raw, "malformed")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(b"\x16\x03\x01\x02\x00" + bytes(512), id="tls"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(PREFACE + head(1), id="no-settings"),
        pytest.param(PREFACE + settings() + frame(0, 0, 0, b"x"), id="data-of-nobody"),
        pytest.param(PREFACE + settings() + b"\xff" * 100, id="no-frame"),
        pytest.param(PREFACE + settings() + head(2), id="even"),
        pytest.param(PREFACE + settings() + frame(1, 4, 1, b"\xff" * 50), id="hpack"),
        pytest.param(PREFACE + settings() + frame(8, 0, 0, bytes(4)), id="no-room"),
        pytest.param(PREFACE + settings(0, struct.pack(">HI", 4, 2**31)), id="too-much-room"),
    ],
)
def test_what_is_no_http_2(served: GrpcListening, sent: bytes) -> None:
    """The connection ends at once."""
    raw = Raw(served.port)
    raw.send(sent)

    ends(served, raw, "malformed")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((b"X", b"y"), id="upper-case"),
        pytest.param((b"x", b"a\r\nauthorization: b"), id="two-lines"),
        pytest.param((b"x y", b"z"), id="space"),
        pytest.param((b":path", b"/early"), id="two-paths"),
        pytest.param((b"connection", b"close"), id="connection"),
        pytest.param((b"content-length", b"99"), id="length"),
    ],
)
def test_a_call_that_breaks_the_rules(served: GrpcListening, more: tuple[bytes, bytes]) -> None:
    """It ends alone, where the rules say so (RFC 9113, 8.1.1), and is never served."""
    raw = served.connect()
    bad = frame(1, END_HEADERS, 1, fields(b"/echo", more)) + data(1, b"\0\0\0\0\3bad")
    raw.send(bad + head(3) + data(3, MESSAGE))

    wait_until(lambda: served.desk.served == [b"hello"], "the other call")
    assert not served.closed
    raw.close()


@pytest.mark.parametrize("sent", [b"", PREFACE[:9], PREFACE], ids=["nothing", "half", "preface"])
def test_who_says_nothing(hasty: GrpcListening, sent: bytes) -> None:
    """A client has `slow_s` to show that it speaks HTTP/2."""
    raw = Raw(hasty.port)
    raw.send(sent)

    ends(hasty, raw, "slow_request")


@pytest.mark.parametrize("sent", [None, MESSAGE[:7]], ids=["nothing", "half"])
def test_a_call_that_stops_in_the_middle(hasty: GrpcListening, sent: bytes | None) -> None:
    """It is refused after `slow_s`, and gives its room back; the connection lives."""
    client = hasty.client()
    stream = client.call(None)
    if sent is not None:
        client.session.send_data(stream, sent)
        client.push()

    told = client.told(stream)

    assert told.trailers[b"grpc-status"] == b"4"
    assert b"slowly" in told.trailers[b"grpc-message"]
    assert hasty.bodies.left == TINY.bodies_max_bytes
    assert client.told(client.call(MESSAGE)).data == MESSAGE
    client.close()


def test_a_call_that_trickles(hasty: GrpcListening) -> None:
    """A byte now and then is not a pace."""
    client = hasty.client()
    stream = client.call(None)
    client.session.send_data(stream, framed(bytes(1000))[:5])
    for _ in range(1000):
        client.session.send_data(stream, b"x")
        client.push()
        client.pull(0.02)
        if client.calls[stream].closed:
            break

    assert client.calls[stream].trailers[b"grpc-status"] == b"4"
    client.close()


@pytest.mark.parametrize("path", [b"/echo", b"/stream"])
def test_a_call_that_comes_in_a_burst_and_stops(path: bytes) -> None:
    """However much came at first, it does not stay longer than a call has time."""
    limits = Limits(slow_s=SLOW_S, slow_bytes_per_s=1000)
    with grpc_listening(limits) as served:
        served.desk.deadline_s = 0.5
        client = served.client()
        stream = client.call(None, path)
        client.session.send_data(stream, framed(bytes(60_000))[:-1])
        client.push()
        wait_until(lambda: served.desk.errors == ["deadline_exceeded"], "its time to be over")

        assert client.told(stream).trailers[b"grpc-status"] == b"4"
        assert served.bodies.left == limits.bodies_max_bytes
        client.close()


def test_calls_that_share_a_connection() -> None:
    """None of them is too slow while all together keep the pace."""
    with grpc_listening(Limits(slow_s=1.0, slow_bytes_per_s=10_000)) as served:
        share(served.client())


def share(client: Peer) -> None:
    """Send 20 calls at once, each of which alone would be too slow."""
    streams = [client.call(None, b"/length") for _ in range(20)]
    for stream in streams:
        client.session.send_data(stream, framed(bytes(15 * 100))[:5])
    for _ in range(15):
        for stream in streams:
            client.session.send_data(stream, bytes(100))
        client.push()
        client.pull(0.1)
    for stream in streams:
        client.session.end_stream(stream)
    client.push()

    for stream in streams:
        assert client.told(stream).data == framed(b"1500")
    client.close()


def test_a_call_at_a_fair_pace() -> None:
    """A message may take much longer than `slow_s` if it keeps the pace."""
    with grpc_listening(Limits(slow_s=SLOW_S, slow_bytes_per_s=1000)) as served:
        client = served.client()
        stream = client.prepare(None, b"/length")
        client.session.send_data(stream, framed(bytes(16_000))[:5])
        for _ in range(16):
            client.session.send_data(stream, bytes(1000))
            client.push()
            client.pull(0.04)
        client.session.end_stream(stream)
        client.push()

        assert client.told(stream).data == framed(b"16000")
        client.close()


def test_our_own_slowness_is_not_the_clients(hasty: GrpcListening) -> None:
    """Who waits for an answer longer than `slow_s` gets it."""
    client = hasty.client()
    stream = client.call(MESSAGE, b"/wait")
    wait_until(lambda: len(hasty.desk.served) == 1, "the call to be served")
    looks = hasty.looks()
    wait_until(lambda: hasty.looks() > looks + 8, "several looks")
    hasty.do(hasty.desk.go)

    assert client.told(stream).data == MESSAGE
    client.close()


def test_who_gives_no_room_for_the_answer() -> None:
    """An answer of which nothing is taken for `slow_s` is dropped, however large it is."""
    with grpc_listening(Limits(slow_s=SLOW_S, slow_bytes_per_s=1000)) as served:
        client = served.client(window=0)
        stream = client.call(MESSAGE, b"/large")
        wait_until(lambda: served.untaken > LARGE_BYTES, "the answer to wait")
        wait_until(lambda: not served.untaken, "the answer to be dropped")

        assert client.told(stream).reset == ngh2.ErrorCode.CANCEL
        assert served.untaken == 0
        client.close()


def test_who_lets_too_many_answers_wait() -> None:
    """While more of them waits than one message may have, nothing more is begun."""
    with grpc_listening(Limits(body_max_bytes=2**19)) as served:
        client = served.client(window=0)
        client.call(MESSAGE, b"/large")
        wait_until(lambda: served.untaken > LARGE_BYTES, "the answer to wait")

        told = client.told(client.call(MESSAGE))

        assert told.trailers[b"grpc-status"] == b"14"
        assert served.desk.errors == ["overloaded"]
        client.close()


def test_answers_that_come_at_once_and_are_not_taken() -> None:
    """Those that would wait behind more than one message may have are refused."""
    with grpc_listening(Limits(body_max_bytes=2**19)) as served:
        client = served.client(window=0)
        large = framed(bytes(2**18))
        streams = [client.call(large, b"/wait") for _ in range(8)]
        wait_until(lambda: len(served.desk.served) == 8, "all calls")
        served.do(served.desk.go)

        for stream in streams[2:]:
            assert client.told(stream).trailers[b"grpc-status"] == b"14"
        assert served.untaken == 2 * len(large)
        client.close()


def test_a_stream_whose_answers_are_not_taken() -> None:
    """It is refused while more waits than one message may have."""
    with grpc_listening(Limits(body_max_bytes=2**19)) as served:
        client = served.client(window=0)
        stream = client.call(None, b"/stream")
        for _ in range(8):
            client.session.send_data(stream, framed(bytes(2**18)))
            client.push()

        wait_until(lambda: served.desk.errors == ["overloaded"], "the stream to be refused")
        assert served.untaken < 2**20
        client.close()


def test_an_answer_on_a_busy_connection() -> None:
    """One of which nothing is taken while others are has the time that a call has."""
    limits = Limits(slow_s=SLOW_S, slow_bytes_per_s=10_000, deadline_s=1.0)
    with grpc_listening(limits) as served:
        client = served.client(window=10_000)
        stuck = client.call(MESSAGE, b"/large")
        began = time.monotonic()
        while not client.calls[stuck].closed:
            assert time.monotonic() - began < PATIENCE_S
            stream = client.call(framed(bytes(5000)))
            client.take(stream, len(client.told(stream).data))

        assert client.calls[stuck].reset == ngh2.ErrorCode.CANCEL
        client.close()


def test_who_does_not_take_the_answer() -> None:
    """A reader who takes nothing is cut off, with what the system has left for him."""
    with grpc_listening(QUICK) as served:
        raw = Raw(served.port, receive_buffer=4096)
        raw.send(roomy())
        raw.send(b"".join(head(n, path=b"/large") + data(n, MESSAGE) for n in range(1, 17, 2)))
        wait_until(lambda: served.closed["slow_reader"] == 1, "the end of a slow reader")
        wait_until(
            lambda: raw.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == ECONNRESET,
            "a reset, after which the system keeps nothing for him",
        )
        raw.close()


def test_one_connection_too_many(hasty: GrpcListening) -> None:
    """It is turned away with a word, and counted; when another leaves there is room again."""
    clients = [hasty.client() for _ in range(TINY.connections_max)]
    raw = hasty.connect()
    said = raw.everything()
    raw.close()

    assert said.endswith(struct.pack(">II", 0, ngh2.ErrorCode.ENHANCE_YOUR_CALM))
    assert hasty.closed == {"too_many": 1}
    for client in clients:
        client.close()
    wait_until(lambda: not len(hasty.all), "room")
    assert is_well(hasty)


def test_far_too_many_connections(hasty: GrpcListening, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a word only for so many; beyond, the connection ends without one."""
    monkeypatch.setattr("serve.edge.places._TURNED_AWAY_MAX", 1)
    clients = [hasty.client() for _ in range(TINY.connections_max)]
    first = hasty.connect()
    wait_until(lambda: hasty.closed["too_many"] == 1, "one to be turned away")
    second = hasty.connect()
    assert second.everything() == b""
    assert first.everything() != b""
    first.close()
    second.close()
    for client in clients:
        client.close()


def test_calls_above_the_limit_of_a_connection(served: GrpcListening) -> None:
    """They are refused before they begin; those within are not."""
    raw = served.connect()
    calls = [head(n, path=b"/wait") + data(n, MESSAGE) for n in range(1, 601, 2)]
    raw.send(b"".join(calls))

    wait_until(lambda: len(served.desk.served) == 256, "those within the limit")
    assert len(served.desk.begun) == 256
    assert not served.closed
    raw.close()


def test_calls_above_the_limit_by_who_knows_it(served: GrpcListening) -> None:
    """Who has acknowledged the limit breaks a rule, by which libnghttp2 ends the connection."""
    raw = served.connect()
    raw.send(settings(ACK))
    raw.send(b"".join(head(n, path=b"/wait") for n in range(1, 515, 2)))

    ends(served, raw, "malformed")
    assert served.desk.left_by == 256


def test_calls_above_the_limit_of_all() -> None:
    """One more than `connections_max` calls is refused, whatever connection it comes by."""
    with grpc_listening(Limits(connections_max=2)) as served:
        first, second = served.client(), served.client()
        first.call(MESSAGE, b"/wait")
        second.call(MESSAGE, b"/wait")
        wait_until(lambda: len(served.desk.served) == 2, "two open calls")

        assert first.told(first.call(MESSAGE)).trailers[b"grpc-status"] == b"14"

        served.do(served.desk.go)
        second.told(1)
        assert first.told(first.call(MESSAGE)).data == MESSAGE
        first.close()
        second.close()


def test_idle_connections_are_not_kept_when_places_are_scarce(hasty: GrpcListening) -> None:
    """While more than half of the places are taken, idle clients are told to leave."""
    clients = [hasty.client() for _ in range(TINY.connections_max)]
    wait_until(lambda: len(hasty.all) == TINY.connections_max, "all of them")
    while not all(client.over for client in clients[:1]):
        for client in clients:
            client.pull(0.01)

    assert clients[0].goaways
    assert not hasty.closed
    for client in clients:
        client.close()


def test_idle_connections_are_kept(hasty: GrpcListening) -> None:
    """Between calls a client may take its time."""
    client = hasty.client()
    assert client.told(client.call(MESSAGE)).data == MESSAGE
    looks = hasty.looks()
    wait_until(lambda: hasty.looks() > looks + 12, "several looks")

    assert client.told(client.call(MESSAGE)).data == MESSAGE
    client.close()


def test_who_has_gone_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent client is asked, and only one that says nothing loses its connection."""
    monkeypatch.setattr("serve.edge.grpc_connections._SILENT_S", 0.05)
    with grpc_listening(Limits(slow_s=1.0)) as served:
        client, gone = served.client(), served.connect()
        wait_until(lambda: len(served.all) == 2, "both")
        while client.pinged < 8:
            assert not client.over
            client.pull()

        assert len(served.all) == 1
        assert not client.goaways
        client.close()
        gone.close()


def test_an_old_connection_is_told_to_leave(
    hasty: GrpcListening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its open call is answered first."""
    client = hasty.client()
    stream = client.call(MESSAGE, b"/wait")
    wait_until(lambda: len(hasty.desk.served) == 1, "the call to be served")
    monkeypatch.setattr("serve.edge.grpc_connections._AGE_S", 0.0)
    while len(client.goaways) < 2:
        client.pull()
    hasty.do(hasty.desk.go)

    assert client.told(stream).data == MESSAGE
    while not client.over:
        client.pull()
    assert client.goaways == [2**31 - 1, stream]
    client.close()


def test_an_old_connection_keeps_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the answer takes that a client waits for."""
    limits = Limits(slow_s=SLOW_S, deadline_s=0.1)
    with grpc_listening(limits) as served:
        client = served.client()
        stream = client.call(MESSAGE, b"/wait")
        wait_until(lambda: len(served.desk.served) == 1, "the call to be served")
        monkeypatch.setattr("serve.edge.grpc_connections._AGE_S", 0.0)
        while len(client.goaways) < 2:
            client.pull()
        looks = served.looks()
        wait_until(lambda: served.looks() > looks + 16, "many looks")
        served.do(served.desk.go)

        assert client.told(stream).data == MESSAGE
        client.close()


def test_who_stays_after_the_farewell(
    hasty: GrpcListening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a head is no call: who has nothing else has left after `slow_s`."""
    raw = hasty.connect()
    wait_until(lambda: len(hasty.all) == 1, "a connection")
    raw.send(frame(1, 0, 1, fields()))
    monkeypatch.setattr("serve.edge.grpc_connections._AGE_S", 0.0)

    raw.everything()
    wait_until(lambda: not len(hasty.all), "the connection to end")
    raw.close()


def test_goodbye_and_farewell_in_one_read(
    served: GrpcListening, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that leaves at the same moment is no fault of ours."""
    raw = served.connect()
    wait_until(lambda: len(served.all) == 1, "a connection")
    served.do(served.all.leave)
    with caplog.at_level(logging.ERROR):
        raw.send(settings(ACK) + ping(ACK, b"farewell") + goaway())
        raw.everything()
        raw.close()
        wait_until(lambda: not len(served.all), "the connection to end")

    assert not caplog.records
    assert not served.closed


@pytest.mark.parametrize("code", [0, 2])
def test_a_rule_is_broken_after_the_goodbye(served: GrpcListening, code: int) -> None:
    """It is counted; the code of the goodbye is not."""
    wait = head(1, path=b"/wait") + data(1, MESSAGE)
    raw = served.connect()
    raw.send(wait + goaway(code))
    wait_until(lambda: len(served.desk.served) == 1, "the call to be served")
    served.do(served.desk.go)
    raw.everything()
    raw.close()
    wait_until(lambda: not len(served.all), "the connection to end")
    assert not served.closed

    raw = served.connect()
    raw.send(wait + goaway(code) + data(0, b"x"))
    ends(served, raw, "malformed")


@pytest.mark.parametrize("seed", range(8))
def test_rubbish_of_any_kind(
    served: GrpcListening, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Whatever comes, nothing breaks but the connection that it comes by."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    with caplog.at_level(logging.ERROR):
        for _ in range(40):
            raw = Raw(served.port)
            raw.send(PREFACE + settings() + b"".join(_rubbish(chance) for _ in range(60)))
            raw.close()
        wait_until(lambda: not len(served.all), "all connections to end")

    assert not caplog.records
    assert served.bodies.left == Limits().bodies_max_bytes
    assert is_well(served)


def _rubbish(chance: random.Random) -> bytes:
    stream = chance.choice([0, 1, 1, 3, 5, 7, chance.randrange(2**31)])
    path = chance.choice([b"/echo", b"/stream", b"/early", b"/wait"])
    kinds: list[Callable[[], bytes]] = [
        lambda: head(stream | 1, chance.choice([4, 5]), path),
        lambda: head(stream | 1, chance.choice([4, 5]), path),
        lambda: data(stream, MESSAGE[: chance.randrange(11)], chance.randrange(2)),
        lambda: data(stream, MESSAGE, chance.choice([0, 1, 8])),
        lambda: reset(stream),
        lambda: settings(chance.randrange(2)),
        ping,
        lambda: frame(
            chance.randrange(12),
            chance.choice([0, 1, 4, 5, chance.randrange(256)]),
            stream,
            chance.randbytes(chance.randrange(20)),
        ),
    ]
    return chance.choice(kinds)()
