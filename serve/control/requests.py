"""What the control API reads from every request: who acts, and under which condition."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from configs.errors import BadInput, UnsupportedEncoding
from registry.naming import person
from serve.control.callers import caller
from serve.control.service import Control

_ETAG = re.compile(r'"([0-9]{1,18})"')
# Spaces around a header's value are no part of it (RFC 9110, 5.5).
_PRINTABLE = "^[!-~]([ -~]*[!-~])?$"


def _control(request: Request) -> Control:
    control: Control = request.app.state.control
    return control


def _actor(
    request: Request,
    given: Annotated[
        str | None,
        Header(
            alias="Weir-Actor",
            description=(
                "Who makes the change: 1 to 64 printable ASCII characters, not verified. "
                "`weir` is noted as `weir (a person)`. "
                "Ignored where an API key says who it is."
            ),
            json_schema_extra={"pattern": _PRINTABLE, "maxLength": 64},
        ),
    ] = None,
) -> str:
    name = given.strip() if given is not None else None
    if name is not None and not (1 <= len(name) <= 64 and name.isascii() and name.isprintable()):
        raise BadInput("Weir-Actor must be 1 to 64 printable ASCII characters")
    known = caller(request.scope)
    if known.key_id:
        return person(known.name)
    if name is not None:
        return person(name)
    return f"anonymous@{request.client.host if request.client else 'unknown'}"


def _if_generation(
    given: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description='The `ETag` of what the change was made for, such as `"3"`.',
            json_schema_extra={"pattern": f"^{_ETAG.pattern}$"},
        ),
    ] = None,
) -> int | None:
    if given is None:
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise BadInput('If-Match must be the ETag of what is changed: a number in quotes, as "3"')
    return int(found[1])


def _keyed(
    given: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A new name for this change, so that it can be sent again without harm.",
            json_schema_extra={"pattern": _PRINTABLE, "maxLength": 255},
        ),
    ] = None,
) -> None:
    # Only for the documentation: the middleware has acted on the header before.
    del given


def _moment(
    t: Annotated[
        str,
        Query(
            description="ISO 8601 with an offset.",
            examples=["2026-11-23T09:00:00Z"],
            json_schema_extra={"format": "date-time"},
        ),
    ],
) -> datetime:
    try:
        moment = datetime.fromisoformat(t)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput("t must be ISO 8601 with an offset, such as 2026-11-23T09:00:00Z")
    return moment


Plane = Annotated[Control, Depends(_control)]
Actor = Annotated[str, Depends(_actor)]
IfGeneration = Annotated[int | None, Depends(_if_generation)]
Moment = Annotated[datetime, Depends(_moment)]
KEYED = Depends(_keyed)


async def file_of(request: Request) -> AsyncIterator[bytes]:
    """The body, piece by piece; `BadInput` when it is empty."""
    empty = True
    async for chunk in request.stream():
        if chunk:
            empty = False
            yield chunk
    if empty:
        raise BadInput("the body is empty: send the file as the body")


def refuse_encoded(request: Request) -> None:
    """`UnsupportedEncoding` if the body is compressed: its digest would be of something else."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedEncoding("send the file as it is, in no Content-Encoding")
