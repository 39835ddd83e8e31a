"""Whatever is done to a route, it stays one that can be served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput, Conflict, VersionNotFound
from registry.card import Card, Group, Task
from registry.records import FULL, Arm, Role, Route, ShadowArm, Version
from registry.routing import (
    ALIASES,
    Change,
    Split,
    alias,
    check_same_inputs,
    first_route,
    load,
    promote,
    role_of,
    rollback,
    set_weights,
    split,
    unload,
)
from registry.signature import Datatype, Signature, TensorSpec
from tests.registry.changes import KNOWN, WHY, splits, steps


def _route(weights: dict[int, float], shadow: tuple[int, float] | None = None) -> Route:
    return first_route("credit", split(weights, shadow, KNOWN), WHY, b"first")


def _set(route: Route, weights: dict[int, float], salt: bytes = b"later") -> Route:
    return set_weights(route, split(weights, None, KNOWN), WHY, salt)


@given(first=splits(), changes=st.lists(steps, max_size=12))
def test_every_route_that_can_be_reached_is_sound(
    first: Split, changes: list[Callable[[Route], Route]]
) -> None:
    """Weights sum to 10,000, stable is an arm, the shadow is none, previous is not stable."""
    route = first_route("credit", first, WHY, b"first")
    for change in changes:
        try:
            following = change(route)
        except Conflict:
            following = route
        else:
            assert following.generation == route.generation + 1
        versions = [arm.version for arm in following.arms]
        assert sum(arm.weight_bp for arm in following.arms) == FULL
        assert all(arm.weight_bp > 0 for arm in following.arms)
        assert versions == sorted(set(versions))
        assert following.stable in versions
        assert following.shadow is None or following.shadow.version not in versions
        assert following.previous != following.stable
        assert alias(following, "stable") == following.stable
        if len(route.arms) > 1 and len(following.arms) > 1:
            assert following.salt == route.salt
        route = following


@given(first=splits(), changes=st.lists(steps, max_size=6))
def test_what_was_unloaded_is_loaded_as_it_was(
    first: Split, changes: list[Callable[[Route], Route]]
) -> None:
    """Unload and load leave a route with everything but its generation as it was."""
    route = first_route("credit", first, WHY, b"first")
    for change in changes:
        try:
            route = change(route)
        except Conflict:
            continue
    served = load(route, WHY)
    away = unload(served, WHY)
    assert served.served
    assert not away.served
    back = load(away, WHY)
    assert back == replace(served, generation=served.generation + 2)
    assert load(back, WHY) is back


@given(first=splits(), version=st.sampled_from(KNOWN))
def test_promote_then_rollback_restores_who_serves(first: Split, version: int) -> None:
    """After a promotion and a rollback the version that was stable before has all traffic."""
    before = first_route("credit", first, WHY, b"first")
    if version == before.stable:
        return
    promoted = promote(before, version, WHY, KNOWN)
    assert (promoted.arms, promoted.previous) == ((Arm(version, FULL),), before.stable)
    assert rollback(promoted, WHY).arms == (Arm(before.stable, FULL),)


def test_stable_stays_while_it_has_weight() -> None:
    """A canary with most of the traffic is still a canary."""
    route = _set(_route({1: 100}), {1: 0.01, 2: 99.99})
    assert (route.stable, role_of(route, 2)) == (1, Role.CANARY)


def test_without_weight_the_heaviest_arm_becomes_stable_and_the_old_one_previous() -> None:
    """The oldest of equally heavy arms is chosen."""
    route = _set(_route({1: 100}), {2: 20, 4: 40, 3: 40})
    assert (route.stable, route.previous) == (3, 1)


def test_a_version_with_weight_zero_is_left_out() -> None:
    """Naming a version with 0 is the same as not naming it."""
    assert _route({1: 100, 2: 0}) == _route({1: 100})


def test_the_salt_is_renewed_only_when_a_split_begins() -> None:
    """While a split lasts nobody changes arms because of a new salt."""
    route = _route({1: 100})
    begun = _set(route, {1: 95, 2: 5}, b"new")
    wider = _set(begun, {1: 90, 2: 10}, b"newer")
    ended = _set(wider, {1: 100}, b"newest")
    again = _set(ended, {1: 95, 2: 5}, b"again")
    salts = [one.salt for one in (route, begun, wider, ended, again)]
    assert salts == [b"first", b"new", b"new", b"new", b"again"]


def test_rollback_of_a_split_ends_it_at_stable_and_keeps_previous() -> None:
    """A canary in trouble goes back to stable, not to the version before stable."""
    promoted = promote(_route({1: 100}), 2, WHY, KNOWN)
    back = rollback(_set(promoted, {2: 95, 3: 5}), WHY)
    assert (back.arms, back.previous) == ((Arm(2, FULL),), 1)
    assert rollback(back, WHY).arms == (Arm(1, FULL),)


def test_a_second_rollback_never_brings_back_what_was_left() -> None:
    """Rolling back twice is a conflict, not a return to the version that was bad."""
    back = rollback(promote(_route({1: 100}), 2, WHY, KNOWN), WHY)
    with pytest.raises(Conflict, match="no previous version"):
        rollback(back, WHY)


def test_promoting_what_serves_alone_is_a_conflict() -> None:
    """Nothing would change, so nothing is recorded."""
    with pytest.raises(Conflict, match="all of the traffic already"):
        promote(_route({1: 100}), 1, WHY, KNOWN)


def test_a_promoted_version_is_no_longer_its_own_shadow() -> None:
    """The shadow ends for the version that takes over, and goes on for any other."""
    route = _route({1: 100}, shadow=(2, 50))
    assert role_of(route, 2) is Role.SHADOW
    assert promote(route, 2, WHY, KNOWN).shadow is None
    assert promote(route, 3, WHY, KNOWN).shadow == ShadowArm(2, 5000)
    assert rollback(replace(route, previous=2), WHY).shadow is None


def test_roles_follow_the_route() -> None:
    """Every version has exactly one role."""
    route = _route({1: 95, 2: 5}, shadow=(3, 50))
    assert [role_of(route, version) for version in KNOWN] == [
        Role.STABLE,
        Role.CANARY,
        Role.SHADOW,
        Role.PINNED,
    ]


def test_an_unloaded_model_is_served_again_by_a_new_split_or_a_promotion() -> None:
    """Whoever says who is to serve need not load first; even the version that served alone may."""
    away = unload(_route({1: 100}), WHY)
    assert _set(away, {2: 100}).served
    assert promote(away, 2, WHY, KNOWN).served
    again = promote(away, 1, WHY, KNOWN)
    assert (again.served, again.stable, again.previous) == (True, 1, None)


def test_an_unloaded_model_is_neither_unloaded_nor_rolled_back() -> None:
    """The error names what helps."""
    away = unload(promote(_route({1: 100}), 2, WHY, KNOWN), WHY)
    with pytest.raises(Conflict, match="'credit' is unloaded already"):
        unload(away, WHY)
    with pytest.raises(Conflict, match="load it first"):
        rollback(away, WHY)


@pytest.mark.parametrize(
    ("weights", "shadow", "candidate"),
    [
        pytest.param({1: 95, 2: 5}, None, 2, id="canary"),
        pytest.param({1: 80, 2: 5, 3: 15}, None, 3, id="heaviest-canary"),
        pytest.param({1: 80, 3: 10, 2: 10}, None, 2, id="oldest-of-equals"),
        pytest.param({1: 95, 2: 5}, (3, 50), 2, id="canary-before-shadow"),
        pytest.param({1: 100}, (3, 50), 3, id="shadow"),
    ],
)
def test_a_candidate_is_who_may_take_over(
    weights: dict[int, float], shadow: tuple[int, float] | None, candidate: int
) -> None:
    """The heaviest canary, else the shadow; `stable` is the stable version."""
    route = _route(weights, shadow)
    assert [alias(route, name) for name in ALIASES] == [1, candidate]


def test_an_alias_that_stands_for_nothing_is_not_found() -> None:
    """Without a candidate it is said so; of other names it is said which there are."""
    with pytest.raises(VersionNotFound, match="'credit' has no candidate now"):
        alias(_route({1: 100}), "candidate")
    with pytest.raises(VersionNotFound, match="no alias 'latest': there are stable and candidate"):
        alias(_route({1: 100}), "latest")


def test_a_change_is_signed() -> None:
    """Each generation says who made it, when and why."""
    other = Change(actor="bob", at="2027-01-01T00:00:00.000000+00:00", reason="better")
    made = promote(_route({1: 100}), 2, other, KNOWN)
    assert (made.created_by, made.created_at, made.reason) == (other.actor, other.at, "better")


@pytest.mark.parametrize(
    ("weights", "shadow", "said"),
    [
        ({}, None, "sum to 0 %"),
        ({1: 99.99}, None, "sum to 99.99 %"),
        ({1: 50, 2: 50.01}, None, "sum to 100.01 %"),
        ({1: 99.995, 2: 0.005}, None, "at most two decimals"),
        ({1: 110, 2: -10}, None, "from 0 to 100"),
        ({1: float("nan")}, None, "from 0 to 100"),
        ({1: float("inf")}, None, "from 0 to 100"),
        ({1: 95, 2: 5}, (2, 10), "cannot be the shadow as well"),
        ({1: 100}, (2, 0), "leave the shadow out"),
        ({1: 100}, (2, 0.001), "at most two decimals"),
        ({1: 100}, (2, 101), "from 0 to 100"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    weights: dict[int, float], shadow: tuple[int, float] | None, said: str
) -> None:
    """The error says which figure is wrong."""
    with pytest.raises(BadInput, match=said):
        split(weights, shadow, KNOWN)


def test_figures_that_binary_numbers_cannot_hold_still_sum_to_100() -> None:
    """33.33 + 33.33 + 33.34 is exactly 100."""
    wanted = split({1: 33.33, 2: 33.33, 3: 33.34}, None, KNOWN)
    assert [arm.weight_bp for arm in wanted.arms] == [3333, 3333, 3334]


@pytest.mark.parametrize(("weights", "shadow"), [({1: 50, 9: 50}, None), ({1: 100}, (9, 10))])
def test_an_unknown_version_is_named(
    weights: dict[int, float], shadow: tuple[int, float] | None
) -> None:
    """Arms, shadows and promotions can only name versions that exist."""
    with pytest.raises(VersionNotFound, match="no version 9; there is 1, 2, 3, 4"):
        split(weights, shadow, KNOWN)
    with pytest.raises(VersionNotFound, match="no version 9"):
        promote(_route({1: 100}), 9, WHY, KNOWN)


def _version(number: int, columns: int, groups: tuple[str, ...] = ()) -> Version:
    """A version that takes a matrix of so many columns, and these group attributes."""
    matrix = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, columns))
    signature = Signature(inputs=(matrix,), outputs=())
    card = Card(task=Task.OTHER, groups=tuple(Group(name=name) for name in groups))
    return Version("credit", number, "sha256:0", signature, card, None, 1, "ada", "")


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        pytest.param(_version(2, 3), False, id="same"),
        pytest.param(_version(2, 4), True, id="another-shape"),
        pytest.param(_version(2, 3, ("race",)), True, id="another-group-attribute"),
    ],
)
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(split({1: 90, 2: 10}, None, KNOWN), id="split"),
        pytest.param(split({1: 100}, (2, 50), KNOWN), id="shadow"),
    ],
)
def test_versions_with_different_inputs_share_no_traffic(
    wanted: Split, other: Version, refused: bool
) -> None:
    """A caller, or its shadow, never meets a version that takes other inputs."""
    versions = {1: _version(1, 3), 2: other}
    if refused:
        with pytest.raises(Conflict, match="versions 1 and 2 of 'credit' take different inputs"):
            check_same_inputs(wanted, versions)
    else:
        check_same_inputs(wanted, versions)
