"""The number of a version's replicas follows how busy they are; a steady load has one answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.settings import Hosts
from serve.models.busy import Load
from serve.models.scaling import wanted


def test_as_many_as_are_busy() -> None:
    """Replicas that are neither too busy nor idle are the right number."""
    assert wanted([Load(0.6, 0.0)] * 2, 2) == 2


@pytest.mark.parametrize(
    ("loads", "number"),
    [
        ([Load(0.9, 0.0)], 2),
        ([Load(1.0, 5.0)], 2),
        ([Load(0.9, 0.1)] * 4, 6),
        ([Load(0.1, 0.0)] * 4, 1),
        ([Load(0.2, 0.0)] * 4, 2),
        ([Load(0.0, 0.0)], 1),
    ],
)
def test_too_few_and_too_many(loads: list[Load], number: int) -> None:
    """Their number follows their work, but at most doubles at a time, and one always stays."""
    assert wanted(loads, len(loads)) == number


def test_nothing_changes_while_one_has_not_spoken() -> None:
    """A replica that starts, or hangs, says nothing about how many there should be."""
    assert wanted([Load(1.0, 3.0)], 2) == 2
    assert wanted([], 1) == 1


@given(st.floats(0.0, 20.0), st.integers(1, 32))
def test_a_steady_load_has_one_answer(work: float, present: int) -> None:
    """Followed again and again, a wish comes to rest, and is enough for the work."""
    seen = [present]
    for _ in range(12):
        share = min(work / seen[-1], 1.0)
        seen.append(wanted([Load(share, 0.0)] * seen[-1], seen[-1]))

    assert seen[-1] == seen[-2] == seen[-3]
    assert work <= 0.8 * seen[-1] + 1e-9
    ups = [now > before for before, now in pairwise(seen) if now != before]
    assert len(set(ups)) <= 1, "it went up and down again"


def test_a_maximum_below_the_minimum() -> None:
    """It is refused with both numbers."""
    with pytest.raises(ValidationError, match=r"replicas_max 1 is less than hosts.replicas 2"):
        Hosts(replicas=2, replicas_max=1)
