"""The language of KPIs: a text becomes a small tree of our own nodes, or is refused.

Python's own parser reads the text; nothing of it is ever compiled or run. What may stand in it is a
short list, so that everything else is refused without anybody having thought of it.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from configs.explain import did_you_mean

TEXT_MAX = 1000
NODES_MAX = 200
DEPTH_MAX = 64

COLUMNS = ("score", "decision", "label")
"""What every prediction has, or will have."""

VALUES, GROUPS = "values", "groups"
"""What numbers that come with labels, and group attributes, are named under."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that stands in the text."""

    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """A number of each row: `score`, `decision`, `label` or `values.NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class InGroup:
    """Whether a group attribute of a row has a value: 1 or 0."""

    attribute: str
    group: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or a function of numbers, row by row; truths are 1 and 0."""

    name: str
    args: tuple[Node, ...]


Node = Number | Column | InGroup | Apply

_ARITHMETIC: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_TRUTHS = frozenset([*_COMPARISONS.values(), "and", "or", "not"])

_ARGUMENTS: Mapping[str, tuple[int, int]] = {
    "where": (3, 3),
    "min": (2, NODES_MAX),
    "max": (2, NODES_MAX),
    "abs": (1, 1),
    "log": (1, 1),
    "exp": (1, 1),
    "round": (1, 1),
    "clip": (3, 3),
}
"""The functions, and how many arguments each takes, at least and at most."""


def read(text: str) -> Node:
    """The tree of an expression; `ValueError` says what is wrong with it, and where."""
    if len(text) > TEXT_MAX:
        message = f"an expression has at most {TEXT_MAX} characters, this one {len(text)}"
        raise ValueError(message)
    # Of the same length, so that places in it are places in what was written.
    text = text.translate(_BLANKS).strip()
    if not text:
        message = "an expression is missing, such as where(decision == label, 1, 0)"
        raise ValueError(message)
    tree = _Reader(text).read(_parsed(text), 0)
    if not names_read(tree):
        message = f"it reads nothing of a prediction: there are {_KNOWN}"
        raise ValueError(message)
    return tree


def names_read(tree: Node) -> tuple[str, ...]:
    """The columns and `groups.NAME` that an expression reads, in the order of the text, once."""
    return tuple(dict.fromkeys(_names(tree)))


_BLANKS = str.maketrans("\n\r\t", "   ")
_KNOWN = f"{', '.join(COLUMNS)}, {VALUES}.NAME and {GROUPS}.NAME"


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Column):
        yield node.name
    elif isinstance(node, InGroup):
        yield f"{GROUPS}.{node.attribute}"
    elif isinstance(node, Apply):
        for each in node.args:
            yield from _names(each)


def _parsed(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # What the parser only frowns at is a mistake, too.
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        message = f"it cannot be read: {error.msg} (character {error.offset or 1})"
        raise ValueError(message) from None
    except (ValueError, RecursionError, MemoryError, Warning):
        message = "it cannot be read"
        raise ValueError(message) from None


def _is_truth(node: Node) -> bool:
    if isinstance(node, InGroup):
        return True
    if not isinstance(node, Apply):
        return False
    if node.name == "where":
        return all(map(_is_truth, node.args[1:]))
    return node.name in _TRUTHS


class _Reader:
    """Makes our nodes of those of Python's parser, which stand in a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._nodes = 0
        self._readers: Mapping[type[ast.expr], Callable[..., Node]] = {
            ast.Constant: self._number,
            ast.Name: self._column,
            ast.Attribute: self._named,
            ast.BinOp: self._arithmetic,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._junction,
            ast.Compare: self._comparisons,
            ast.Call: self._call,
        }

    def read(self, node: ast.expr, depth: int) -> Node:
        """Our node for one of the parser's."""
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise self._wrong(node, f"more than {NODES_MAX} parts, or {DEPTH_MAX} in one another")
        reader = self._readers.get(type(node))
        if reader is None:
            raise self._wrong(node, "this is no part of the language")
        return reader(node, depth + 1)

    def _number(self, node: ast.Constant, depth: int) -> Number:
        del depth
        if isinstance(node.value, str):
            raise self._wrong(node, f"a text stands beside {GROUPS}.NAME only, after == or !=")
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._wrong(node, "only numbers, such as 1, 0 and 0.5, are known")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise self._wrong(node, "the number is too large")
        return Number(value)

    def _column(self, node: ast.Name, depth: int) -> Column:
        del depth
        if node.id in COLUMNS:
            return Column(node.id)
        if node.id in (VALUES, GROUPS):
            raise self._wrong(node, f"name one of them, such as {node.id}.NAME")
        if node.id in _ARGUMENTS:
            raise self._wrong(node, f"{node.id} is a function, and takes arguments")
        hint = did_you_mean(node.id, COLUMNS)
        raise self._wrong(node, f"there is no {node.id!r}, only {_KNOWN}.{hint}")

    def _named(self, node: ast.Attribute, depth: int) -> Column:
        del depth
        space = node.value.id if isinstance(node.value, ast.Name) else ""
        if space == GROUPS:
            raise self._wrong(node, "a group is compared with a text, such as groups.sex == 'f'")
        if space != VALUES or node.attr.startswith("_"):
            raise self._wrong(node, f"only {VALUES}.NAME and {GROUPS}.NAME have a dot")
        return Column(f"{VALUES}.{node.attr}")

    def _arithmetic(self, node: ast.BinOp, depth: int) -> Apply:
        name = _ARITHMETIC.get(type(node.op))
        if name is None:
            raise self._wrong(node, f"of operators there are {' '.join(_ARITHMETIC.values())}")
        return Apply(name, (self.read(node.left, depth), self.read(node.right, depth)))

    def _unary(self, node: ast.UnaryOp, depth: int) -> Node:
        if isinstance(node.op, ast.Not):
            return Apply("not", (self._truth(node.operand, depth),))
        if isinstance(node.op, ast.Invert):
            raise self._wrong(node, "write not in place of ~")
        inner = self.read(node.operand, depth)
        return Apply("neg", (inner,)) if isinstance(node.op, ast.USub) else inner

    def _junction(self, node: ast.BoolOp, depth: int) -> Apply:
        name = "and" if isinstance(node.op, ast.And) else "or"
        return Apply(name, tuple(self._truth(each, depth) for each in node.values))

    def _comparisons(self, node: ast.Compare, depth: int) -> Apply | InGroup:
        """`a < b < c` is `a < b and b < c`."""
        sides = [node.left, *node.comparators]
        pairs = [
            self._comparison(left, operator, right, depth)
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return pairs[0] if len(pairs) == 1 else Apply("and", tuple(pairs))

    def _comparison(
        self, left: ast.expr, operator: ast.cmpop, right: ast.expr, depth: int
    ) -> Apply | InGroup:
        name = _COMPARISONS.get(type(operator))
        if name is None:
            raise self._wrong(right, f"of comparisons there are {' '.join(_COMPARISONS.values())}")
        attribute = _attribute(left) or _attribute(right)
        if attribute is None:
            return Apply(name, (self.read(left, depth), self.read(right, depth)))
        group = _text(left) or _text(right)
        if not group or name not in ("==", "!="):
            message = f"{GROUPS}.{attribute} can only be compared by == or != with a text"
            raise self._wrong(right, message)
        inside = InGroup(attribute, group)
        return inside if name == "==" else Apply("not", (inside,))

    def _call(self, node: ast.Call, depth: int) -> Apply:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _ARGUMENTS:
            raise self._wrong(
                node.func,
                f"of functions there are {', '.join(_ARGUMENTS)}.{did_you_mean(name, _ARGUMENTS)}",
            )
        least, most = _ARGUMENTS[name]
        if node.keywords or not least <= len(node.args) <= most:
            wanted = f"{least}" if least == most else f"{least} or more"
            raise self._wrong(node, f"{name} takes {wanted} arguments")
        if name == "where":
            condition, *rest = node.args
            branches = (self.read(each, depth) for each in rest)
            return Apply(name, (self._truth(condition, depth), *branches))
        return Apply(name, tuple(self.read(each, depth) for each in node.args))

    def _truth(self, node: ast.expr, depth: int) -> Node:
        found = self.read(node, depth)
        if not _is_truth(found):
            raise self._wrong(node, "a comparison is needed here, such as decision == 1")
        return found

    def _wrong(self, node: ast.expr, what: str) -> ValueError:
        before = self._text.encode()[: node.col_offset].decode()
        place = ast.get_source_segment(self._text, node) or ""
        shown = place if len(place) <= 40 else f"{place[:37]}..."
        return ValueError(f"{shown!r} (character {len(before) + 1}): {what}")


def _attribute(node: ast.expr) -> str | None:
    """The group attribute that a node names."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == GROUPS else None
    return None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
