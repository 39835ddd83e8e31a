"""The small words of gRPC, held against its own library where it has them."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import grpc
import pytest

from configs.errors import BadInput, NotFound
from serve.edge import grpc_reply
from serve.protocol import grpc_status
from serve.protocol.grpc_frames import framed, prefix
from serve.protocol.grpc_timeout import seconds


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (b"1H", 3600.0),
        (b"2M", 120.0),
        (b"3S", 3.0),
        (b"40m", 0.04),
        (b"500u", 0.0005),
        (b"99999999n", 0.099999999),
        (b"0n", 0.0),
    ],
)
def test_a_time_out(value: bytes, meant: float) -> None:
    """A number and a unit."""
    assert seconds(value) == pytest.approx(meant)


@pytest.mark.parametrize(
    "value", [b"", b"S", b"1", b"1s", b"-1S", b"1.5S", b"123456789n", b" 1S", b"1S ", b"\xb2S"]
)
def test_a_time_out_that_is_none(value: bytes) -> None:
    """What cannot be kept is refused, not ignored."""
    with pytest.raises(BadInput, match="grpc-timeout"):
        seconds(value)


@pytest.mark.parametrize("message", [b"", b"x", bytes(300)])
def test_a_message_is_framed(message: bytes) -> None:
    """Not compressed, its length, itself."""
    wire = framed(message)

    assert prefix(b"ab" + wire, 2) == (0, len(message))
    assert wire[5:] == message


def test_every_status_has_its_number() -> None:
    """Those that an error may have, as the standard's library numbers them."""
    for name in {grpc_status.OK, *grpc_status._NAMES.values()}:
        assert int(grpc_status.number(name)) == grpc.StatusCode[name].value[0]


@pytest.mark.parametrize(
    ("sentence", "wire"),
    [
        ("all is well", b"all is well"),
        ("100 %", b"100 %25"),
        ("\u00fc\n", b"%C3%BC%0A"),
        ("\x7f", b"%7F"),
    ],
)
def test_a_sentence_is_percent_encoded(sentence: str, wire: bytes) -> None:
    """Only what is printable stays, and nothing is lost."""
    assert grpc_status.percent_encoded(sentence) == wire
    assert unquote_to_bytes(wire).decode() == sentence


def test_an_error_that_is_not_to_be_tried_again() -> None:
    """It says nothing of when."""
    told = dict(grpc_reply.failed(NotFound("no"), "abc"))

    assert told == {
        b"grpc-status": b"5",
        b"grpc-message": b"no",
        b"weir-error-code": b"not_found",
        b"weir-request-id": b"abc",
    }
