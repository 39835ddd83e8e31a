"""Who must be hosted and reached before a route is made, and which routes wait for nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.records import FULL, Arm, Judged, Route, ShadowArm
from serve.control.wanted import Wanted, goes_back, idle
from tests.serve.versions import MODEL, SALT

SHADOW = ShadowArm(2, FULL)
NO_BASELINE, SMALL, LARGE = (Judged("a", 2, share) for share in (0, 100, 1000))


def arms(candidate_bp: int) -> tuple[Arm, ...]:
    """Version 2 with a share of the traffic, and version 1 with the rest."""
    found = (Arm(1, FULL - candidate_bp), Arm(2, candidate_bp))
    return tuple(arm for arm in found if arm.weight_bp)


def route(
    candidate_bp: int,
    judged: Judged | None = None,
    shadow: ShadowArm | None = None,
    previous: int | None = None,
    stable: int = 1,
) -> Route:
    """A route that is so divided."""
    return Route(MODEL, 3, stable, arms(candidate_bp), SALT, shadow, previous, judged=judged)


def is_back(
    present: Route | None,
    candidate_bp: int,
    judged: Judged | None = None,
    shadow: ShadowArm | None = None,
) -> bool:
    """Whether a step from a route to such a division is a way back."""
    made = arms(candidate_bp)
    return goes_back(present, made, Wanted.by_rollout(present, made, shadow, judged))


def test_a_step_names_all_that_take_part() -> None:
    """Arms, a shadow, and the stable version's baseline; a route says the same of itself."""
    canary, shadowed = route(500, SMALL), route(0, NO_BASELINE, SHADOW)

    assert Wanted.by_rollout(route(0), canary.arms, None, SMALL) == Wanted.by(canary)
    assert Wanted.by(canary) == Wanted(frozenset({1, 2}), None, 1, SMALL)
    assert Wanted.by_rollout(route(0), shadowed.arms, SHADOW, NO_BASELINE) == Wanted.by(shadowed)
    assert Wanted.by(shadowed).versions() == (1, 2)
    assert Wanted.by_rollout(canary, arms(FULL), None, SMALL).baseline is None
    assert idle(route(0), arms(500)) == {2}
    assert idle(None, arms(500)) == {1, 2}


@pytest.mark.parametrize(
    ("present", "candidate_bp", "judged"),
    [
        pytest.param(route(500, SMALL), 0, None, id="from a canary"),
        pytest.param(route(9500, NO_BASELINE), 0, None, id="from a bake"),
        pytest.param(route(0, NO_BASELINE, SHADOW), 0, None, id="from a shadow"),
        pytest.param(route(5000, LARGE), 500, SMALL, id="a step down"),
        pytest.param(route(FULL, previous=1, stable=2), 0, None, id="once it was completed"),
    ],
)
def test_a_way_back(present: Route, candidate_bp: int, judged: Judged | None) -> None:
    """Only those get more that were trusted with it before."""
    assert is_back(present, candidate_bp, judged)


@pytest.mark.parametrize(
    ("present", "candidate_bp", "judged", "shadow"),
    [
        pytest.param(None, 0, None, None, id="no route yet"),
        pytest.param(route(0), 500, NO_BASELINE, None, id="a candidate"),
        pytest.param(route(500, SMALL), 2500, SMALL, None, id="a step"),
        pytest.param(route(500, NO_BASELINE), 500, SMALL, None, id="a baseline joins"),
        pytest.param(route(0), 0, NO_BASELINE, SHADOW, id="a shadow joins"),
        pytest.param(route(FULL, stable=2), 0, None, None, id="nobody was there before"),
    ],
)
def test_who_joins_is_waited_for(
    present: Route | None, candidate_bp: int, judged: Judged | None, shadow: ShadowArm | None
) -> None:
    """Hosts come first, and the pointer second."""
    assert not is_back(present, candidate_bp, judged, shadow)


@given(st.integers(0, FULL), st.integers(0, FULL))
def test_a_candidate_never_grows_without_waiting(before: int, after: int) -> None:
    """A way back gives the candidate less, or leaves it what it has."""
    if before == FULL:
        return
    assert is_back(route(before, NO_BASELINE), after, NO_BASELINE) is (after <= before)
