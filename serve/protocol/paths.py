"""The paths of the inference port (v2 REST, and our own), and what each one asks for."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from configs.errors import NotFound, VersionNotFound
from registry.routing import ALIASES

_KNOWN_PATHS = 4096
_LONGEST_PATH = 512

Pin = int | str | None
"""The version that a request names: a number, an alias of a part in the route, or none."""


class Ask(StrEnum):
    """What a path asks for; the value is the route's template."""

    SERVER = "/v2"
    LIVE = "/v2/health/live"
    READY = "/v2/health/ready"
    MODELS = "/v2/models"
    MODEL = "/v2/models/{model}"
    MODEL_READY = "/v2/models/{model}/ready"
    INFER = "/v2/models/{model}/infer"
    EXPLAIN = "/v2/models/{model}/explain"
    CONFIG = "/v2/models/{model}/config"
    STATISTICS = "/v2/models/{model}/stats"
    ALL_STATISTICS = "/v2/models/stats"
    INDEX = "/v2/repository/index"
    LOAD = "/v2/repository/models/{model}/load"
    UNLOAD = "/v2/repository/models/{model}/unload"
    FEEDBACK = "/v1/models/{model}/feedback"
    GROUPS = "/v1/models/{model}/groups"
    OPENAPI = "/openapi.json"


AFTERWARDS = frozenset({Ask.FEEDBACK, Ask.GROUPS})
"""What is told after a prediction, and asks no model anything."""

POSTED = frozenset({Ask.INFER, Ask.EXPLAIN, Ask.INDEX, Ask.LOAD, Ask.UNLOAD}) | AFTERWARDS


class Endpoint(NamedTuple):
    """What a path asks for, of which model, and of which version if it names one."""

    ask: Ask
    model: str = ""
    version: Pin = None

    @property
    def method(self) -> str:
        """The method that the endpoint takes."""
        return "POST" if self.ask in POSTED else "GET"


_PLAIN = {ask.value: Endpoint(ask) for ask in Ask if "{" not in ask.value}
_OF_MODEL = {
    (): Ask.MODEL,
    ("ready",): Ask.MODEL_READY,
    ("infer",): Ask.INFER,
    ("explain",): Ask.EXPLAIN,
    ("config",): Ask.CONFIG,
    ("stats",): Ask.STATISTICS,
}
_IN_REPOSITORY = {"load": Ask.LOAD, "unload": Ask.UNLOAD}
_AFTERWARDS = {"feedback": Ask.FEEDBACK, "groups": Ask.GROUPS}


def endpoint(path: str) -> Endpoint:
    """Give what a path asks for; `NotFound` if it is none of ours. A last slash does not matter."""
    if len(path) > _LONGEST_PATH:  # Remembered, paths without an end would fill the memory.
        raise _nothing()
    return _endpoint(path)


@lru_cache(_KNOWN_PATHS)
def _endpoint(path: str) -> Endpoint:
    path = path.rstrip("/")
    plain = _PLAIN.get(path)
    if plain is not None:
        return plain
    match path.split("/")[1:]:
        case ["v2", "models", model, "versions", version, *rest]:
            if tuple(rest) in _OF_MODEL and model:
                return Endpoint(_OF_MODEL[tuple(rest)], model, pin(model, version))
        case ["v2", "models", model, *rest]:
            if tuple(rest) in _OF_MODEL and model:
                return Endpoint(_OF_MODEL[tuple(rest)], model)
        case ["v2", "repository", "models", model, verb]:
            if verb in _IN_REPOSITORY and model:
                return Endpoint(_IN_REPOSITORY[verb], model)
        case ["v1", "models", model, what]:
            if what in _AFTERWARDS and model:
                return Endpoint(_AFTERWARDS[what], model)
    raise _nothing()


def _nothing() -> NotFound:
    return NotFound("no such path; see GET /v2 and the Open Inference Protocol")


def pin(model: str, version: str) -> Pin:
    """Give the version that a text names: a number or an alias; `VersionNotFound` for others."""
    if version.isascii() and version.isdigit() and len(version) < 10:
        return int(version)
    if version in ALIASES:
        return version
    raise VersionNotFound(
        f"versions of {model[:64]} are numbers, or {' or '.join(ALIASES)}, not {version[:32]!r}"
    )
