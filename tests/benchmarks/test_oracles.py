"""How figures are compared with those of other libraries."""

from __future__ import annotations

import ast
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from benchmarks.oracles.asked import Asked, apart, compared
from benchmarks.oracles.cases import cases

ORACLE = Path("benchmarks/oracles/peers/oracle.py")


def test_a_figure_that_one_lacks_is_endlessly_far() -> None:
    """No number is not the same as no number."""
    assert apart((nan,), (nan,)) == apart((1.0,), (nan,)) == apart((1.0, 2.0), (1.0,)) == inf
    assert apart((), ()) == 0.0


def test_what_is_larger_than_one_is_compared_in_proportion() -> None:
    """A thousandth of a thousand is a millionth; of a tenth it is itself."""
    assert apart((1000.001,), (1000.0,)) == pytest.approx(1e-6)
    assert apart((0.101,), (0.1,)) == pytest.approx(1e-3)


def test_the_farthest_of_all_counts_and_is_held_to_what_its_definition_allows() -> None:
    """One of many that is off is enough; where anything is allowed nothing is held to it."""
    same = Asked("a", "one", "f", (1.0,))
    near = Asked("b", "one", "g", (1.0,), "rounded", 1e-3)
    free = Asked("c", "one", "h", (1.0,), "another thing", inf)
    theirs = [[1.0], [1.0 + 1e-8], [1.0 + 1e-4], [7.0]]
    of_same, of_near, of_free = compared([same, same, near, free], theirs)
    assert (of_same.figures, of_same.held) == (2, False)
    assert of_same.largest == pytest.approx(1e-8)
    assert (of_near.held, of_free.held) == (True, None)
    assert compared([same], [[1.0 + 1e-10]])[0].held


def test_all_that_is_asked_has_an_answer_and_a_figure_of_our_own() -> None:
    """Every function is one that the oracle knows, and none of ours is missing."""
    tree = ast.parse(ORACLE.read_text(encoding="utf-8"))
    known = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    asked = [each for case in cases(0) for each in case.asked]
    assert {each.function for each in asked} == known
    assert all(len(each.ours) and np.isfinite(each.ours).all() for each in asked)
