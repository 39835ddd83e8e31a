"""The paths of the Open Inference Protocol, and what each one asks for (v2 REST)."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from configs.errors import NotFound, VersionNotFound

_KNOWN_PATHS = 4096


class Ask(StrEnum):
    """What a path asks for; the value is the route's template."""

    SERVER = "/v2"
    LIVE = "/v2/health/live"
    READY = "/v2/health/ready"
    MODEL = "/v2/models/{model}"
    MODEL_READY = "/v2/models/{model}/ready"
    INFER = "/v2/models/{model}/infer"


class Endpoint(NamedTuple):
    """What a path asks for, of which model, and of which version if it names one."""

    ask: Ask
    model: str = ""
    version: int | None = None

    @property
    def method(self) -> str:
        """The method that the endpoint takes."""
        return "POST" if self.ask is Ask.INFER else "GET"


_PLAIN = {ask.value: Endpoint(ask) for ask in (Ask.SERVER, Ask.LIVE, Ask.READY)}
_OF_MODEL = {(): Ask.MODEL, ("ready",): Ask.MODEL_READY, ("infer",): Ask.INFER}


@lru_cache(_KNOWN_PATHS)
def endpoint(path: str) -> Endpoint:
    """Give what a path asks for; `NotFound` if it is none of ours. A last slash does not matter."""
    path = path.rstrip("/")
    plain = _PLAIN.get(path)
    if plain is not None:
        return plain
    match path.split("/")[1:]:
        case ["v2", "models", model, "versions", version, *rest]:
            if tuple(rest) in _OF_MODEL and model:
                return Endpoint(_OF_MODEL[tuple(rest)], model, _number(model, version))
        case ["v2", "models", model, *rest]:
            if tuple(rest) in _OF_MODEL and model:
                return Endpoint(_OF_MODEL[tuple(rest)], model)
    raise NotFound("no such path; see GET /v2 and the Open Inference Protocol")


def _number(model: str, version: str) -> int:
    if version.isascii() and version.isdigit() and len(version) < 10:
        return int(version)
    raise VersionNotFound(f"versions of {model} are numbers, not {version[:32]!r}")
