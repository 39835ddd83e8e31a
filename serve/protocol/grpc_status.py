"""What an error is called over gRPC (google.rpc.Code), from its HTTP status."""

from __future__ import annotations

from configs.errors import WeirError

OK = "OK"
_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    412: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_NUMBERS = {
    OK: b"0",
    "CANCELLED": b"1",
    "INVALID_ARGUMENT": b"3",
    "DEADLINE_EXCEEDED": b"4",
    "NOT_FOUND": b"5",
    "PERMISSION_DENIED": b"7",
    "RESOURCE_EXHAUSTED": b"8",
    "FAILED_PRECONDITION": b"9",
    "ABORTED": b"10",
    "UNIMPLEMENTED": b"12",
    "INTERNAL": b"13",
    "UNAVAILABLE": b"14",
    "UNAUTHENTICATED": b"16",
}
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}


def status_of(error: WeirError | None) -> str:
    """Give the name of the status of a call that ended so."""
    return OK if error is None else _NAMES[error.status]


def number(status: str) -> bytes:
    """Give the value of `grpc-status` for the name of a status."""
    return _NUMBERS[status]


def percent_encoded(sentence: str) -> bytes:
    """Give a sentence as the value of `grpc-message` (gRPC over HTTP/2, "Status-Message")."""
    raw = sentence.encode()
    if _PLAIN.issuperset(raw):
        return raw
    return b"".join([b"%c" % byte if byte in _PLAIN else b"%%%02X" % byte for byte in raw])
