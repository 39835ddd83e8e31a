"""Evaluates a KPI's expression over columns; a row that has no value says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.expression import Apply, Column, InGroup, Node, Number, names_read

Floats = NDArray[np.float64]
Faults = NDArray[np.int16]

FINE, DIVIDED_BY_ZERO, NOT_FINITE, FIRST_MISSING = range(4)
"""Faults of a row; from `FIRST_MISSING` on, the place of what is missing in `names_read`."""

UNKNOWN = "unknown"
"""The group of rows whose group is not known."""

_LARGEST = 1e90
"""What is larger in size is no number that a mean could be made of: its cube may be infinite."""

Function = Callable[..., NDArray[Any]]

_FUNCTIONS: Mapping[str, Function] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "neg": np.negative,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "not": np.logical_not,
    "min": lambda *each: np.minimum.reduce(each),
    "max": lambda *each: np.maximum.reduce(each),
    "abs": np.abs,
    "log": np.log,
    "exp": np.exp,
    "round": np.round,
    "clip": lambda value, least, most: np.minimum(np.maximum(value, least), most),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """What an expression may read of so many rows, each of shape (rows,).

    `numbers` are by the names that expressions use, NaN where missing; `groups` are texts by
    attribute, None where a group is not known. What is not there is missing in every row.
    """

    rows: int
    numbers: Mapping[str, Floats]
    groups: Mapping[str, NDArray[np.object_]]


class Figures(NamedTuple):
    """A number for each row, 0 where there is a fault, and the faults; shapes (rows,)."""

    values: Floats
    faults: Faults


def evaluate(tree: Node, columns: Columns) -> Figures:
    """The value of an expression in each row.

    A fault counts only where its part is needed: `where` looks at the branch that is taken, `and`
    and `or` go from left to right until it is decided.
    """
    names = names_read(tree)
    missing = {name: FIRST_MISSING + at for at, name in enumerate(names)}
    with np.errstate(all="ignore"):
        return _Run(columns, missing).of(tree)


def faults_of(tree: Node) -> tuple[str, ...]:
    """What each fault but `FINE` means, in their order."""
    return (
        "division by zero",
        "no finite number",
        *(f"no {name}" for name in names_read(tree)),
    )


class _Run:
    """One pass over the tree."""

    def __init__(self, columns: Columns, missing: Mapping[str, int]) -> None:
        self._columns = columns
        self._missing = missing

    def of(self, node: Node) -> Figures:
        if isinstance(node, Number):
            return self._sound(np.full(self._columns.rows, node.value))
        if isinstance(node, Column):
            return self._column(node.name)
        if isinstance(node, InGroup):
            return self._sound(self._in_group(node))
        args = [self.of(each) for each in node.args]
        if node.name == "where":
            return _where(*args)
        if node.name in ("and", "or"):
            return reduce(_or if node.name == "or" else _and, args)
        return _applied(node, args)

    def _sound(self, values: NDArray[Any]) -> Figures:
        return Figures(values.astype(np.float64), np.zeros(self._columns.rows, dtype=np.int16))

    def _column(self, name: str) -> Figures:
        values = self._columns.numbers.get(name)
        if values is None:
            values = np.full(self._columns.rows, np.nan)
        unusable = np.where(np.isnan(values), self._missing[name], NOT_FINITE)
        return _checked(values, np.where(_usable(values), FINE, unusable))

    def _in_group(self, node: InGroup) -> NDArray[np.bool_]:
        groups = self._columns.groups.get(node.attribute)
        if groups is None:
            return np.full(self._columns.rows, node.group == UNKNOWN)
        found = (UNKNOWN if each is None else each for each in groups.tolist())
        return np.array([each == node.group for each in found], dtype=np.bool_)


def _where(condition: Figures, yes: Figures, no: Figures) -> Figures:
    taken = condition.values != 0
    faults = np.where(taken, yes.faults, no.faults)
    return _checked(np.where(taken, yes.values, no.values), _first(condition.faults, faults))


def _and(left: Figures, right: Figures) -> Figures:
    return _where(left, right, left)


def _or(left: Figures, right: Figures) -> Figures:
    return _where(left, left, right)


def _applied(node: Apply, args: list[Figures]) -> Figures:
    values = _FUNCTIONS[node.name](*(each.values for each in args)).astype(np.float64)
    own = np.where(_usable(values), FINE, NOT_FINITE)
    if node.name == "/":
        own = np.where(args[1].values == 0, DIVIDED_BY_ZERO, own)
    return _checked(values, _first(*(each.faults for each in args), own))


def _usable(values: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(values) <= _LARGEST, dtype=np.bool_)  # NaN is not.


def _first(*faults: NDArray[Any]) -> NDArray[Any]:
    """Of each row the first fault there is."""
    return reduce(lambda one, next_: np.where(one == FINE, next_, one), faults)


def _checked(values: Floats, faults: NDArray[Any]) -> Figures:
    return Figures(np.where(faults == FINE, values, 0.0), faults.astype(np.int16))
