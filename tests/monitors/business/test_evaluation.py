"""Expressions have the values that Python gives them, row by row, and faults are told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from configs.expression import read
from monitors.business.evaluation import (
    DIVIDED_BY_ZERO,
    FINE,
    FIRST_MISSING,
    NOT_FINITE,
    Columns,
    Figures,
    evaluate,
    faults_of,
)

Pair = tuple[str, str]
"""An expression, and the same for Python."""

GRID = np.array([-2.0, -0.5, 0.0, 1.0, 3.0])


def columns(
    numbers: Mapping[str, NDArray[np.float64]],
    groups: Mapping[str, NDArray[np.object_]] = MappingProxyType({}),
) -> Columns:
    """Columns by their names, of which `amount` comes with labels."""
    named = {("values.amount" if name == "amount" else name): v for name, v in numbers.items()}
    rows = len(next(iter(numbers.values())))
    return Columns(rows, named, groups)


def figures(text: str, **numbers: list[float]) -> Figures:
    """The value of an expression over a few rows."""
    return evaluate(
        read(text), columns({name: np.array(values) for name, values in numbers.items()})
    )


def _both(template: str) -> Any:
    return lambda parts: tuple(template.format(*(part[at] for part in parts)) for at in (0, 1))


def _numbers(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    two = st.tuples(inner, inner)
    truths = _truths(two)
    return st.one_of(
        *(two.map(_both(f"({{0}} {sign} {{1}})")) for sign in "+-*/"),
        *(two.map(_both(f"{name}({{0}}, {{1}})")) for name in ("min", "max")),
        st.tuples(inner).map(_both("(-{0})")),
        st.tuples(inner).map(_both("abs({0})")),
        st.tuples(inner).map(_both("round({0})")),
        truths,
        st.tuples(truths, inner, inner).map(
            lambda parts: (
                f"where({parts[0][0]}, {parts[1][0]}, {parts[2][0]})",
                f"({parts[1][1]} if {parts[0][1]} else {parts[2][1]})",
            )
        ),
    )


def _truths(two: st.SearchStrategy[tuple[Pair, Pair]]) -> st.SearchStrategy[Pair]:
    plain = st.one_of(
        *(two.map(_both(f"({{0}} {sign} {{1}})")) for sign in ("<", "<=", ">", ">=", "==", "!="))
    )
    pairs = st.tuples(plain, plain)
    return st.one_of(
        plain,
        pairs.map(_both("({0} and {1})")),
        pairs.map(_both("({0} or {1})")),
        plain.map(lambda part: (f"(not {part[0]})", f"(not {part[1]})")),
        st.tuples(two, two).map(
            lambda parts: _both("({0} < {1} <= {2})")((*parts[0], parts[1][0]))
        ),
    )


LEAVES = st.sampled_from(["0", "1", "2.5", "score", "decision", "label", "values.amount"])
EXPRESSIONS = st.recursive(LEAVES.map(lambda text: (text, text)), _numbers, max_leaves=8)


@settings(deadline=None, max_examples=300)
@given(EXPRESSIONS)
def test_values_are_those_of_python(pair: Pair) -> None:
    """On a grid of rows; where Python divides by zero, the row has that fault."""
    text, python = pair
    try:
        tree = read(text)
    except ValueError:  # It reads no column, or has too many parts.
        return
    mesh = np.meshgrid(GRID, GRID[::2], GRID[::2], GRID[1:4], indexing="ij")
    names = ("score", "decision", "label", "amount")
    rows = dict(zip(names, (axis.ravel() for axis in mesh), strict=True))
    found = evaluate(tree, columns(rows))
    code = compile(python, "expression", "eval")
    for at in range(len(rows["score"])):
        row: dict[str, Any] = {name: float(values[at]) for name, values in rows.items()}
        row["values"] = SimpleNamespace(amount=row.pop("amount"))
        try:
            expected = float(eval(code, {}, row))  # noqa: S307 - the oracle, of texts made here
        except ZeroDivisionError:
            assert found.faults[at] == DIVIDED_BY_ZERO
        else:
            assert found.faults[at] == FINE
            assert found.values[at] == expected


def test_functions_that_python_lacks() -> None:
    """Logarithm and exponential are natural, and clip keeps what is between."""
    assert figures("log(score)", score=[1.0, np.e]).values.tolist() == [0.0, 1.0]
    assert figures("exp(score)", score=[0.0, 1.0]).values.tolist() == [1.0, np.e]
    assert figures("clip(score, 0, 1)", score=[-1.0, 0.5, 7.0]).values.tolist() == [0.0, 0.5, 1.0]


def test_faults_are_told_by_their_reason() -> None:
    """Division by zero, no finite number, and what is missing."""
    tree = "score / decision + log(values.amount)"
    found = figures(
        tree,
        score=[1.0, 1.0, np.nan, np.inf, 1.0, 1e80, 1.0],
        decision=[1.0, 0.0, 1.0, 1.0, np.nan, 1e-80, 1.0],
        amount=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0],
    )
    score, decision = FIRST_MISSING, FIRST_MISSING + 1
    assert found.faults.tolist() == [
        FINE, DIVIDED_BY_ZERO, score, NOT_FINITE, decision, NOT_FINITE, NOT_FINITE
    ]  # fmt: skip
    assert found.values.tolist() == [1.0, 0, 0, 0, 0, 0, 0]
    told = faults_of(read(tree))
    assert told == (
        "division by zero", "no finite number", "no score", "no decision", "no values.amount"
    )  # fmt: skip


def test_a_column_that_is_not_there_is_missing_in_every_row() -> None:
    """As when a label never brings the value."""
    found = figures("score * values.amount", score=[1.0, 2.0])
    assert found.faults.tolist() == [FIRST_MISSING + 1] * 2


def test_a_fault_counts_only_where_it_is_needed() -> None:
    """The branch that is not taken may be missing, and what is decided needs no more."""
    gap = [np.nan, np.nan]
    assert figures(
        "where(decision == 1, label, 0)", decision=[0.0, 1.0], label=gap
    ).faults.tolist() == [FINE, FIRST_MISSING + 1]
    assert figures(
        "decision == 1 and label == 1", decision=[0.0, 1.0], label=gap
    ).faults.tolist() == [FINE, FIRST_MISSING + 1]
    assert figures(
        "decision == 1 or label == 1", decision=[0.0, 1.0], label=gap
    ).faults.tolist() == [FIRST_MISSING + 1, FINE]
    assert figures("label == 1 and decision == 1", decision=[0.0], label=[np.nan]).faults[0]
    assert figures("where(label == 1, 1, 0)", label=[np.nan]).faults.tolist() == [FIRST_MISSING]


def test_groups_are_compared_as_texts_and_those_not_known_are_unknown() -> None:
    """A row without a group is in none that has a name."""
    sexes = np.array(["f", "m", None], dtype=np.object_)
    rows = columns({"score": np.ones(3)}, {"sex": sexes})
    for text, expected in (
        ("where(groups.sex == 'f', score, 0)", [1, 0, 0]),
        ("where(groups.sex != 'f', score, 0)", [0, 1, 1]),
        ("where(groups.sex == 'unknown', score, 0)", [0, 0, 1]),
        ("where(groups.town == 'unknown', score, 0)", [1, 1, 1]),
        ("where(groups.town == 'a', score, 0)", [0, 0, 0]),
    ):
        assert evaluate(read(text), rows).values.tolist() == expected, text


@pytest.mark.parametrize("text", ["score / 0", "log(score - score)", "exp(exp(exp(score + 9)))"])
def test_numbers_that_are_none_never_raise(text: str) -> None:
    """Nor warn; each row has a fault, and no rows are welcome."""
    assert all(figures(text, score=[1.0, 2.0]).faults)
    assert figures(text, score=[]).values.shape == (0,)
