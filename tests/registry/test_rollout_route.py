"""Whatever a rollout does, its route can be served, and every step back leads to the stable one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput
from registry.records import FULL, Arm, Judged, Route, ShadowArm
from registry.rollout_route import rollout_route
from registry.rollouts import NOTHING, Rollout, RolloutState, Shares
from registry.routing import back_to, first_route, rollback, set_weights, split
from tests.registry.changes import KNOWN, WHY
from tests.registry.rollouts import judged, rollout

ROLLOUT = rollout("r1")
CANARY = replace(ROLLOUT, state=RolloutState.CANARY)
SHADOW = replace(ROLLOUT, state=RolloutState.SHADOW)
ENDING = (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.FAILED)


def before(previous: int | None = 3) -> Route:
    """A route with all traffic to version 1, at generation 1."""
    wanted = split({1: 100}, None, KNOWN)
    return replace(first_route("credit", wanted, WHY, b"old"), previous=previous)


def then(route: Route, where: Rollout, shares: Shares, salt: bytes = b"new") -> Route:
    """The route once a rollout is somewhere."""
    return rollout_route(route, where, shares, WHY, salt)


@st.composite
def active_shares(draw: st.DrawFn) -> Shares:
    """Any shares that a rollout which goes on may have."""
    if draw(st.booleans()):
        return Shares(shadow_bp=draw(st.integers(0, FULL)))
    candidate = draw(st.integers(0, FULL - 1))
    return Shares(candidate, draw(st.integers(0, FULL - candidate)))


@given(steps=st.lists(active_shares(), max_size=8), ends_well=st.booleans())
def test_every_route_of_a_rollout_is_sound(steps: list[Shares], ends_well: bool) -> None:
    """Weights sum to 10,000, stable stays stable, the salt lasts, and the end is one version."""
    route = before()
    for step, shares in enumerate(steps):
        following = then(route, CANARY, shares, bytes([step]))
        assert following.generation - route.generation in (0, 1)
        assert sum(arm.weight_bp for arm in following.arms) == FULL
        assert all(arm.weight_bp > 0 for arm in following.arms)
        assert [arm.version for arm in following.arms] in ([1], [1, 2])
        assert (following.stable, following.previous, back_to(rollback(following, WHY))) == (
            (1, 3, 3) if following.judged else (1, 3, None)
        )
        assert (following.judged is None) == (shares == NOTHING)
        if route.judged and following.judged:
            assert following.salt == route.salt
        route = following
    if not route.judged:
        return
    state = RolloutState.COMPLETED if ends_well else RolloutState.ROLLING_BACK
    end = then(route, replace(CANARY, state=state), Shares(FULL if ends_well else 0))
    assert end.arms == (Arm(end.stable, FULL),)
    assert (end.stable, end.previous) == ((2, 1) if ends_well else (1, 3))
    assert (end.shadow, end.judged) == (None, None)


def test_a_canary_takes_its_share_from_the_stable_version() -> None:
    """The baseline is a part of the stable arm, and the route says who is judged by what."""
    where = replace(CANARY, objective_s=0.25)
    route = then(before(), where, Shares(500, 500))
    assert route.arms == (Arm(1, 9500), Arm(2, 500))
    assert route.judged == Judged("r1", 2, 500, 0.25) == judged("r1")
    assert (route.generation, route.salt, route.created_by) == (2, b"new", WHY.actor)


def test_the_arms_are_in_order_of_version() -> None:
    """Also where an older version is brought in again."""
    where = replace(CANARY, stable=2, candidate=1)
    route = replace(before(), stable=2, arms=(Arm(2, FULL),))
    assert then(route, where, Shares(500)).arms == (Arm(1, 500), Arm(2, 9500))


def test_a_shadow_becomes_a_canary() -> None:
    """It sees requests first, and no copies once it answers some."""
    shadow = then(before(), SHADOW, Shares(shadow_bp=FULL))
    assert (shadow.arms, shadow.shadow) == ((Arm(1, FULL),), ShadowArm(2, FULL))
    canary = then(shadow, CANARY, Shares(100))
    assert (canary.shadow, canary.salt) == (None, shadow.salt)


def test_a_shadow_that_was_there_by_hand_goes_with_the_rollout() -> None:
    """Whoever is judged is not left a shadow when the rollout has ended."""
    route = replace(before(), shadow=ShadowArm(2, 100))
    shadow = then(route, SHADOW, Shares(shadow_bp=FULL))
    assert then(shadow, replace(SHADOW, state=RolloutState.FAILED), NOTHING).shadow is None


def test_a_route_that_fits_already_stays() -> None:
    """No generation is made for a change of a rollout that changes nothing for anybody."""
    route = before()
    assert then(route, ROLLOUT, NOTHING) is route
    canary = then(route, CANARY, Shares(500, 500))
    assert then(canary, replace(CANARY, state=RolloutState.HELD), Shares(500, 500)) is canary
    other = then(canary, replace(CANARY, objective_s=0.5), Shares(500, 500))
    assert other.generation == canary.generation + 1


@pytest.mark.parametrize("state", ENDING)
def test_a_route_of_others_is_left_alone(state: RolloutState) -> None:
    """What was set after somebody had rolled back by hand is not undone by the end of a rollout."""
    canary = then(before(), CANARY, Shares(500, 500))
    by_hand = rollback(rollback(canary, WHY), WHY)
    assert by_hand.stable == 3
    assert then(by_hand, replace(CANARY, state=state), NOTHING) is by_hand


def test_a_completed_rollout_can_be_taken_back() -> None:
    """The version before has all of the traffic again, unless the route has changed since."""
    canary = then(before(), CANARY, Shares(500, 500))
    done = then(canary, replace(CANARY, state=RolloutState.COMPLETED), Shares(FULL))
    rolling_back = replace(CANARY, state=RolloutState.ROLLING_BACK)
    back = then(done, rolling_back, NOTHING)
    assert (back.arms, back.previous) == ((Arm(1, FULL),), None)
    since = set_weights(done, split({3: 100}, None, KNOWN), WHY, b"later")
    assert then(since, rolling_back, NOTHING) is since


@pytest.mark.parametrize(
    ("state", "shares"),
    [
        (RolloutState.CANARY, Shares(FULL)),
        (RolloutState.BAKING, Shares(FULL)),
        (RolloutState.COMPLETED, NOTHING),
        (RolloutState.COMPLETED, Shares(9500)),
        *((state, Shares(500)) for state in ENDING),
        *((state, Shares(shadow_bp=500)) for state in ENDING),
        *((state, Shares(FULL)) for state in ENDING),
    ],
)
def test_shares_fit_the_state(state: RolloutState, shares: Shares) -> None:
    """Nobody is judged alone, and nobody who is not judged any more keeps some of the traffic."""
    route = then(before(), CANARY, Shares(500, 500))
    with pytest.raises(BadInput, match=f"is {state.value} cannot divide"):
        then(route, replace(CANARY, state=state), shares)


@pytest.mark.parametrize(
    "numbers",
    [
        (-1, 0, 0),
        (0, -1, 0),
        (0, 0, -1),
        (FULL, 1, 0),
        (5001, 5000, 0),
        (1, 0, 1),
        (0, 0, FULL + 1),
    ],
)
def test_shares_are_parts_of_the_traffic(numbers: tuple[int, int, int]) -> None:
    """Negative ones, more than all of it, and a shadow that answers are refused."""
    with pytest.raises(BadInput, match="divide traffic"):
        Shares(*numbers)
