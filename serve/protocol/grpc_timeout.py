"""How long a gRPC caller waits (gRPC over HTTP/2, "Timeout")."""

from __future__ import annotations

from configs.errors import BadInput

_DIGITS = 8
_SECONDS = {
    b"H": 3600.0,
    b"M": 60.0,
    b"S": 1.0,
    b"m": 1e-3,
    b"u": 1e-6,
    b"n": 1e-9,
}


def seconds(value: bytes) -> float:
    """Give the seconds in a `grpc-timeout`; `BadInput` if it is none."""
    number, unit = value[:-1], _SECONDS.get(value[-1:])
    if unit is None or not number.isdigit() or len(number) > _DIGITS:
        raise BadInput("grpc-timeout must be one to eight digits and a unit: H, M, S, m, u or n")
    return int(number) * unit
