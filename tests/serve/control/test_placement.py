"""Who may share a host: what is proven and small, and nobody who is being tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import Hosts
from registry.records import FULL, Arm, Judged, Route, RoutedModel, ShadowArm, Version
from serve.control.placement import Place, place, place_before, trusted
from tests.serve.versions import MODEL, SALT, version

SMALL = Hosts(shared=1, shared_max_bytes=1000)
SPLIT = {1: 9000, 2: 1000}


def routed(
    weights: dict[int, int],
    shadow: int | None = None,
    previous: int | None = None,
    proven: tuple[int, ...] = (),
    judged: Judged | None = None,
) -> RoutedModel:
    """A model by a route whose first version is stable."""
    arms = tuple(Arm(number, weight) for number, weight in weights.items())
    seen = ShadowArm(shadow, FULL) if shadow is not None else None
    route = Route(MODEL, 1, next(iter(weights)), arms, SALT, seen, previous, judged=judged)
    versions = {number: version(number) for number in route.live_versions()}
    return RoutedModel(route, versions, frozenset(proven))


@pytest.mark.parametrize(
    ("made", "shared"),
    [
        pytest.param(routed({1: FULL}), {1}, id="alone"),
        pytest.param(routed({2: FULL}, previous=1), {1, 2}, id="alone, with the one before"),
        pytest.param(routed(SPLIT), set(), id="two candidates"),
        pytest.param(routed(SPLIT, proven=(1,)), set(), id="a candidate beside a proven one"),
        pytest.param(routed(SPLIT, proven=(1, 2)), {1, 2}, id="two proven ones"),
        pytest.param(
            routed(SPLIT, proven=(1, 2), judged=Judged("a", 2, 1000)), set(), id="one is judged"
        ),
        pytest.param(routed(SPLIT | {3: 1}, proven=(1, 2)), set(), id="a candidate beside two"),
        pytest.param(routed(SPLIT, previous=3), {3}, id="the one before a split"),
        pytest.param(routed(SPLIT, previous=2), set(), id="the one before is an arm"),
        pytest.param(routed({1: FULL}, shadow=2), {1}, id="a shadow"),
        pytest.param(routed({1: FULL}, shadow=2, proven=(1, 2)), {1}, id="a proven shadow"),
        pytest.param(routed({1: FULL}, shadow=2, previous=2), {1}, id="the one before listens"),
    ],
)
def test_the_proven_share(made: RoutedModel, shared: set[int]) -> None:
    """Who answers everybody, the version before, and arms that are all proven; no shadow does."""
    found = {each.number: place(made, each, SMALL) for each in made.versions.values()}

    assert found == {
        number: Place.SHARED if number in shared else Place.OWN for number in made.versions
    }


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_small_share(size: int) -> None:
    """A file above the limit has a process of its own, however proven the version is."""
    sized = replace(version(1), size_bytes=size)
    expected = Place.SHARED if size <= SMALL.shared_max_bytes else Place.OWN

    assert place(routed({1: FULL}), sized, SMALL) is expected
    assert place(routed({2: FULL}, previous=1), sized, SMALL) is expected
    assert place(routed(SPLIT, proven=(1, 2)), sized, SMALL) is expected
    assert place_before(sized, {1}, frozenset(), SMALL) is expected


@given(st.integers(0, 10**6), st.booleans())
def test_nobody_shares_where_sharing_is_off(size: int, split: bool) -> None:
    """With no shared hosts every version has a process of its own."""
    off = Hosts(shared=0, shared_max_bytes=10**6)
    sized = replace(version(1), size_bytes=size)

    made = routed(SPLIT if split else {1: FULL}, proven=(1, 2))
    assert place(made, sized, off) is Place.OWN
    assert place_before(sized, {1}, made.proven, off) is Place.OWN


@given(
    st.dictionaries(st.integers(1, 5), st.just(100), min_size=1, max_size=3),
    st.none() | st.integers(6, 8),
    st.none() | st.integers(1, 8),
    st.sets(st.integers(1, 8)),
    st.integers(0, 2000),
    st.none() | st.integers(1, 8),
)
def test_before_and_after_agree(
    weights: dict[int, int],
    shadow: int | None,
    previous: int | None,
    proven: set[int],
    size: int,
    candidate: int | None,
) -> None:
    """A version is started where the route that is then made wants it, so that it need not move."""

    def sized(number: int) -> Version:
        return replace(version(number), size_bytes=size)

    judged = Judged("a", candidate) if candidate else None
    made = routed(weights, shadow, previous, tuple(proven), judged)
    for number in (*weights, *([shadow] if shadow else [])):
        believed = trusted(made.proven, judged)
        before = place_before(sized(number), weights.keys(), believed, SMALL)
        assert before is place(made, sized(number), SMALL)
