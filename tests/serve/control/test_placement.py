"""Who may share a host: what is proven and small, and nobody who is being tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import Hosts
from registry.records import FULL, Arm, Route, ShadowArm, Version
from serve.control.placement import Place, place, place_before
from tests.serve.versions import MODEL, SALT, version

SMALL = Hosts(shared=1, shared_max_bytes=1000)
SPLIT = {1: 9000, 2: 1000}


def route(weights: dict[int, int], shadow: int | None = None, previous: int | None = None) -> Route:
    """A route whose first version is stable."""
    arms = tuple(Arm(number, weight) for number, weight in weights.items())
    seen = ShadowArm(shadow, FULL) if shadow is not None else None
    return Route(MODEL, 1, next(iter(weights)), arms, SALT, seen, previous)


@pytest.mark.parametrize(
    ("made", "number", "where"),
    [
        (route({1: FULL}), 1, Place.SHARED),
        (route({2: FULL}, previous=1), 1, Place.SHARED),
        (route({2: FULL}, previous=1), 2, Place.SHARED),
        (route(SPLIT), 1, Place.OWN),
        (route(SPLIT), 2, Place.OWN),
        (route(SPLIT, previous=3), 3, Place.SHARED),
        (route({1: FULL}, shadow=2), 1, Place.SHARED),
        (route({1: FULL}, shadow=2), 2, Place.OWN),
    ],
)
def test_the_proven_share(made: Route, number: int, where: Place) -> None:
    """Stable alone and the version before share; both sides of a split and a shadow do not."""
    assert place(made, version(number), SMALL) is where


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_small_share(size: int) -> None:
    """A file above the limit has a process of its own, however proven the version is."""
    sized = replace(version(1), size_bytes=size)
    expected = Place.SHARED if size <= SMALL.shared_max_bytes else Place.OWN

    assert place(route({1: FULL}), sized, SMALL) is expected
    assert place_before(sized, {1}, None, SMALL) is expected


@given(st.integers(0, 10**6), st.booleans())
def test_nobody_shares_where_sharing_is_off(size: int, split: bool) -> None:
    """With no shared hosts every version has a process of its own."""
    off = Hosts(shared=0, shared_max_bytes=10**6)
    sized = replace(version(1), size_bytes=size)

    assert place(route(SPLIT if split else {1: FULL}), sized, off) is Place.OWN
    assert place_before(sized, {1}, None, off) is Place.OWN


@given(
    st.dictionaries(st.integers(1, 5), st.just(100), min_size=1, max_size=3),
    st.none() | st.integers(6, 8),
    st.integers(0, 2000),
)
def test_before_and_after_agree(weights: dict[int, int], shadow: int | None, size: int) -> None:
    """A version is started where the route that is then made wants it, so that it need not move."""

    def sized(number: int) -> Version:
        return replace(version(number), size_bytes=size)

    made = route(weights, shadow)
    for number in (*weights, *([shadow] if shadow else [])):
        before = place_before(sized(number), weights.keys(), shadow, SMALL)
        assert before is place(made, sized(number), SMALL)
