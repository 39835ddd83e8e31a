"""Who has answered everybody is proven, until it loses its traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import Conflict
from registry.proven import proven, proven_by
from registry.records import FULL, Arm, Route
from registry.routing import Split, first_route, load, promote, rollback, set_weights, split, unload
from tests.registry.changes import KNOWN, WHY, splits, steps

Changed = Callable[[Route], Route]
histories = st.tuples(splits(), st.lists(steps, max_size=12))


def _reached(history: tuple[Split, list[Changed]]) -> list[Route]:
    """All generations of a route to which changes are made, but those that are a conflict."""
    first, changes = history
    generations = [first_route("credit", first, WHY, b"salt")]
    for change in changes:
        try:
            generations.append(change(generations[-1]))
        except Conflict:
            continue
    return generations


def _set(route: Route, weights: dict[int, float]) -> Route:
    return set_weights(route, split(weights, None, KNOWN), WHY, b"salt")


def _arms(route: Route) -> set[int]:
    return {arm.version for arm in route.arms}


@pytest.fixture
def both() -> list[Route]:
    """The generations of a route that splits the traffic of two versions that both had all."""
    one = first_route("credit", split({1: 100}, None, KNOWN), WHY, b"salt")
    two = promote(one, 2, WHY, KNOWN)
    return [one, two, _set(two, {2: 90, 1: 10})]


@given(histories)
def test_the_proven_have_had_all_of_the_traffic(history: tuple[Split, list[Changed]]) -> None:
    """Whoever has it now is proven, and nobody is who never had it."""
    generations = _reached(history)
    alone = {version for route in generations if len(_arms(route)) == 1 for version in _arms(route)}
    now = _arms(generations[-1]) if len(generations[-1].arms) == 1 else set()
    assert now <= proven_by(generations) <= alone


@given(histories)
def test_whom_a_rollback_leaves_is_not_proven(history: tuple[Split, list[Changed]]) -> None:
    """That holds also for an arm that was `previous` as well, and stays it."""
    generations = _reached(history)
    try:
        back = rollback(generations[-1], WHY)
    except Conflict:
        return
    left = _arms(generations[-1]) - _arms(back)
    assert not left & proven_by([*generations, back])


@given(histories)
def test_who_keeps_its_traffic_stays_proven(history: tuple[Split, list[Changed]]) -> None:
    """Whatever else changes."""
    generations = _reached(history)
    for place in range(1, len(generations)):
        before, after = proven_by(generations[:place]), proven_by(generations[: place + 1])
        kept = _arms(generations[place - 1]) & _arms(generations[place])
        assert before & kept <= after


@given(histories)
def test_a_model_that_was_away_is_as_proven_as_before(
    history: tuple[Split, list[Changed]],
) -> None:
    """Unload and load prove nobody, and take nothing from anybody."""
    generations = _reached(history)
    served = load(generations[-1], WHY)
    away = unload(served, WHY)
    assert proven_by([*generations, served, away, load(away, WHY)]) == proven_by(generations)


def test_a_version_that_another_takes_over_from_stays_proven(both: list[Route]) -> None:
    """Also long after, when it is not the one before any more, and however the other came."""
    two = both[1]
    three = promote(two, 3, WHY, KNOWN)
    assert proven_by([*both[:2], three]) == {1, 2, 3}
    assert proven_by([*both[:2], _set(two, {3: 100})]) == {1, 2, 3}
    assert proven_by([*both[:2], three, _set(three, {3: 50, 1: 50})]) == {1, 2, 3}


def test_a_candidate_is_not_proven_by_a_part_of_the_traffic(both: list[Route]) -> None:
    """However great the part is."""
    (one, *_) = both
    assert proven_by([one, _set(one, {1: 1, 2: 99})]) == {1}


def test_who_loses_in_a_split_has_to_prove_itself_again(both: list[Route]) -> None:
    """A rollback, a promotion and new weights are alike; to have all once more is proof."""
    *_, compared = both
    assert proven_by(both) == {1, 2}
    for after in (
        rollback(compared, WHY),
        promote(compared, 2, WHY, KNOWN),
        _set(compared, {2: 100}),
    ):
        assert proven_by([*both, after]) == {2}
        assert proven_by([*both, after, promote(after, 1, WHY, KNOWN)]) == {1, 2}


def test_a_rollback_to_the_version_before(both: list[Route]) -> None:
    """It takes the proof from the one that was left, and from nobody else."""
    one, two, _ = both
    assert proven_by([one, two, rollback(two, WHY)]) == {1}


def test_one_step_is_like_all_of_them(both: list[Route]) -> None:
    """What is known of the last generation is enough for the next."""
    one, two, compared = both
    assert proven(frozenset(), None, one) == {1}
    assert proven(frozenset({1}), one, two) == {1, 2}
    assert proven(frozenset({1, 2, 9}), two, compared) == {1, 2, 9}
    assert proven(frozenset({1}), replace(one, arms=(Arm(1, FULL),)), one) == {1}
