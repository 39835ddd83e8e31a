"""Who is in memory, and who has to leave: the least recently used, and never one in use."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve.models.shelf import Shelf

BUDGET = 100
KEYS = st.sampled_from("abcdefgh")


def test_the_least_recently_used_leaves_first() -> None:
    """Models leave in the order of their last use, and no more of them than must."""
    shelf: Shelf[str] = Shelf(BUDGET)
    for key in "abcd":
        shelf.put(key, 30)
    shelf.touch("a")

    assert shelf.surplus() == ("b",)
    shelf.remove("b")
    assert shelf.surplus() == ()
    assert [*shelf] == ["c", "d", "a"]


def test_what_is_in_use_stays() -> None:
    """A model leaves only when all its uses have ended."""
    shelf: Shelf[str] = Shelf(BUDGET)
    shelf.put("a", 80)
    shelf.take("a")
    shelf.take("a")
    shelf.put("b", 80)
    shelf.give_back("a")
    assert shelf.surplus() == ()

    shelf.give_back("a")

    assert shelf.surplus() == ("a",)


def test_one_that_is_larger_than_the_budget_stays_alone() -> None:
    """What was asked for last is in memory, whatever it takes; all others leave."""
    shelf: Shelf[str] = Shelf(BUDGET)
    shelf.put("small", 10)
    shelf.put("huge", 10 * BUDGET)

    assert shelf.surplus() == ("small",)


@given(st.lists(st.tuples(KEYS, st.integers(0, 60)), max_size=40))
def test_without_uses_the_budget_holds(loads: list[tuple[str, int]]) -> None:
    """After each load, once the surplus has left, the rest fits, or is the last one alone."""
    shelf: Shelf[str] = Shelf(BUDGET)
    for key, size in loads:
        shelf.put(key, size)
        for leaving in shelf.surplus():
            shelf.remove(leaving)
        assert key in shelf
        assert shelf.used_bytes <= BUDGET


class Uses(RuleBasedStateMachine):
    """Loads, uses and departures in any order, beside a plain list of what was used when."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf: Shelf[str] = Shelf(BUDGET)
        self.sizes: dict[str, int] = {}
        self.order: list[str] = []
        self.uses: Counter[str] = Counter()

    @rule(key=KEYS, size=st.integers(0, 60))
    def load(self, key: str, size: int) -> None:
        """A model comes into memory; then the surplus leaves."""
        self.shelf.put(key, size)
        self.sizes[key] = size
        self._used(key)
        for leaving in self.shelf.surplus():
            assert not self.uses[leaving]
            free = [each for each in self.order if not self.uses[each]]
            assert leaving == free[0], "another one was used longer ago"
            self.shelf.remove(leaving)
            del self.sizes[leaving]
            self.order.remove(leaving)
        over = self.shelf.used_bytes - BUDGET
        assert over <= 0 or all(self.uses[each] for each in self.order[:-1])

    @rule(key=KEYS)
    def use(self, key: str) -> None:
        """A use begins, of a model that may still have to be loaded."""
        self.shelf.take(key)
        self.uses[key] += 1
        if key in self.sizes:
            self._used(key)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        """A model in memory runs on the loop."""
        key = data.draw(st.sampled_from(sorted(self.sizes)))
        self.shelf.touch(key)
        self._used(key)

    @precondition(lambda self: self.uses.total())
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A use ends."""
        key = data.draw(st.sampled_from(sorted(self.uses.elements())))
        self.shelf.give_back(key)
        self.uses[key] -= 1

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        """A model goes for good, whether it is there or not."""
        self.shelf.remove(key)
        if self.sizes.pop(key, None) is not None:
            self.order.remove(key)

    @invariant()
    def agrees(self) -> None:
        """The shelf and the list tell the same."""
        assert [*self.shelf] == self.order
        assert self.shelf.used_bytes == sum(self.sizes.values())

    def _used(self, key: str) -> None:
        if key in self.order:
            self.order.remove(key)
        self.order.append(key)


Uses.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestUses = Uses.TestCase
