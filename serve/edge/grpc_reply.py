"""The heads and trailers of gRPC answers (gRPC over HTTP/2, "Responses")."""

from __future__ import annotations

from collections.abc import Iterable

from ngh2 import Header, NeverIndexedHeader

from configs.errors import WeirError
from serve.edge.grpc_head import ENCODINGS
from serve.protocol.grpc_status import OK, number, percent_encoded, status_of

Fields = list[Header]

HEAD: Fields = [
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", ENCODINGS),
]
"""How every answer begins."""
_GOOD = (b"grpc-status", number(OK))


def refusal(status: int) -> Fields:
    """Give the whole answer to a request that is no gRPC call."""
    return [(b":status", b"%d" % status), (b"content-length", b"0")]


def good(*metadata: Header) -> Fields:
    """Give the trailers of a call that went well."""
    return [_GOOD, *metadata]


def bad(status: str, sentence: str, metadata: Iterable[Header] = ()) -> Fields:
    """Give the trailers of a call that ended with the status of this name."""
    return [
        (b"grpc-status", number(status)),
        (b"grpc-message", percent_encoded(sentence)),
        *metadata,
    ]


def failed(error: WeirError, request_id: str) -> Fields:
    """Give the trailers that tell of an error: its code, its id, and when to try again."""
    metadata: Fields = [
        (b"weir-error-code", error.code.encode()),
        unlike_others(b"weir-request-id", request_id),
    ]
    if error.retryable:
        pushback = b"%d" % int(error.retry_after_s * 1000)
        metadata.append((b"grpc-retry-pushback-ms", pushback))
    return bad(status_of(error), error.message, metadata)


def unlike_others(name: bytes, value: str) -> Header:
    """Give a field whose value comes once, and need not be kept for compression."""
    return NeverIndexedHeader(name, value.encode())
