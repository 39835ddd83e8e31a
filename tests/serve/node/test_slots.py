"""Every socket of a port has somebody who accepts on it, whoever comes and goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serve.node.slots import Stuck, shares


def test_as_many_borrowers_as_slots() -> None:
    """Each has one of its own."""
    assert shares(3, "abc") == {"a": {0}, "b": {1}, "c": {2}}


@given(st.integers(1, 8), st.integers(1, 20))
def test_nobody_is_idle_and_no_slot_is_forgotten(slots: int, borrowers: int) -> None:
    """However many there are, work is shared out, as evenly as whole slots allow."""
    given = shares(slots, range(borrowers))

    assert set().union(*given.values()) == set(range(slots))
    sizes = [len(mine) for mine in given.values()]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_nobody_is_there() -> None:
    """Then nobody is given anything."""
    assert shares(2, []) == {}


def test_a_stuck_slot_is_everybodys() -> None:
    """Whoever is quickest accepts there."""
    assert shares(2, "ab", stuck={0}) == {"a": {0}, "b": {0, 1}}


def test_connections_that_wait_twice_running_make_a_slot_stuck() -> None:
    """Once is a moment's rush; a slot that was stuck is shared a while longer."""
    looks = Stuck(2)

    assert looks.look([1, 0]) == frozenset()
    assert looks.look([0, 1]) == frozenset()
    assert looks.look([0, 1]) == {1}
    later = [looks.look([0, 0]) for _ in range(10)]
    assert later == [{1}] * 9 + [set()]
