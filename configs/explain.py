"""Turns what pydantic found wrong into sentences that name the key and the nearest right one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_QUOTED = re.compile(r"'([^']*)'")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question such as ` Did you mean 'credit'?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def dotted_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of all leaves of a model, such as `listen.http_port`, in the order declared."""
    return tuple(_leaves(model, ""))


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """All problems of a validation error in one line, each beginning with the key's dotted name."""
    problems = error.errors(include_url=False)
    return "; ".join(
        _sentence(problem, model)
        for problem in problems
        if problem["type"] != "too_short" or not _below(problem["loc"], problems)
    )


def _sentence(problem: ErrorDetails, model: type[BaseModel]) -> str:
    loc, kind = problem["loc"], problem["type"]
    key = _dotted(loc)
    if kind == "extra_forbidden":
        return f"{key} does not exist.{_suggestion(loc, model)}"
    if kind == "missing":
        return f"{key} is missing"
    text = problem["msg"].removeprefix("Value error, ")
    if kind in ("enum", "literal_error") and isinstance(given := problem["input"], str):
        text = f"{text}, not {given!r}.{did_you_mean(given, _QUOTED.findall(text))}"
    return f"{key}: {text[:1].lower()}{text[1:]}" if key else text


def _below(loc: tuple[int | str, ...], problems: Iterable[ErrorDetails]) -> bool:
    """Whether what is found too short is so because an entry of it was refused."""
    return any(loc == each["loc"][: len(loc)] != each["loc"] for each in problems)


def _suggestion(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The nearest key beside the unknown one, else a key of that name anywhere in the model."""
    *parents, last = loc
    owner = _model_at(model, parents)
    prefix = _dotted((*parents, "")) if parents else ""
    beside = {name: f"{prefix}{name}" for name in owner.model_fields} if owner else {}
    near = difflib.get_close_matches(str(last), beside, n=1)
    if near:
        return f" Did you mean {beside[near[0]]!r}?"
    elsewhere = [name for name in dotted_names(model) if name.rpartition(".")[2] == last]
    return f" Did you mean {elsewhere[0]!r}?" if elsewhere else ""


def _dotted(loc: Iterable[int | str]) -> str:
    """`("features", 0, "name")` as `features[0].name`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is None or _keys_above(field.annotation):
            yield prefix + name
        else:
            yield from _leaves(inner, f"{prefix}{name}.")


def _model_at(model: type[BaseModel], loc: Iterable[int | str]) -> type[BaseModel] | None:
    """The model that holds the keys found under a location."""
    here: type[BaseModel] | None = model
    keys = 0
    for part in loc:
        if here is None or isinstance(part, int):
            continue
        if keys:  # A key that the user has chosen.
            keys -= 1
            continue
        field = here.model_fields.get(part)
        here = _model_in(field.annotation) if field else None
        keys = _keys_above(field.annotation) if field else 0
    return here if not keys else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `Score`, `Score | None` or `tuple[Feature, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def _keys_above(annotation: Any) -> int:
    """How many keys of the user's own lead to the model, in `Mapping[str, Kpi]` one."""
    own = 1 if get_origin(annotation) is Mapping else 0
    return own + max(map(_keys_above, get_args(annotation)), default=0)
