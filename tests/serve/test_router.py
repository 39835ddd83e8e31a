"""The router keeps its promises on shares, stickiness and one-way ramps."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import VersionNotFound
from registry.records import FULL, Arm, Judged, Role, Route, ShadowArm
from serve.router import Choice, Router, pinned

SALT = b"salt-of-this-split"


def route(
    weights: dict[int, int], stable: int = 1, shadow: ShadowArm | None = None, baseline: int = 0
) -> Route:
    """A route with the given weights in basis points; one with a baseline is judged."""
    arms = tuple(Arm(version, weight) for version, weight in weights.items())
    judged = Judged("a", 2, baseline) if baseline else None
    return Route("credit", 1, stable, arms, SALT, shadow, judged=judged)


def versions(router: Router, units: range) -> list[int]:
    """The version that each unit meets."""
    return [router.choose(b"user-%d" % unit, 0).version for unit in units]


def test_one_percent_of_a_million_keys() -> None:
    """1 % of 1,000,000 keys is 10,000 within four standard deviations."""
    router = Router(route({1: 9900, 2: 100}))

    hits = versions(router, range(1_000_000)).count(2)

    assert abs(hits - 10_000) <= 398


def test_same_key_same_arm_across_restart() -> None:
    """100,000 keys meet the same arm, baseline or not, in another process."""
    program = (
        "from tests.serve.test_router import *\n"
        "import hashlib\n"
        "r = Router(route({1: 7000, 2: 2000, 3: 1000}, baseline=1000))\n"
        "met = [repr(r.choose(b'user-%d' % unit, 0)) for unit in range(100_000)]\n"
        "print(hashlib.sha256(''.join(met).encode()).hexdigest())\n"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1


@given(
    low=st.integers(0, FULL),
    high=st.integers(0, FULL),
    other=st.integers(0, FULL),
)
def test_ramping_up_moves_units_one_way(low: int, high: int, other: int) -> None:
    """When an arm's weight grows, units only ever move to it, never back to stable."""
    low, high = sorted((low, high))
    other = min(other, FULL - high)
    before = Router(route({1: FULL - low - other, 2: low, 3: other}))
    after = Router(route({1: FULL - high - other, 2: high, 3: other}))

    for old, new in zip(versions(before, range(100)), versions(after, range(100)), strict=True):
        assert old != 2 or new == 2
        assert new != 1 or old == 1


def roles(router: Router, units: range) -> list[Role]:
    """The role in which each unit is answered."""
    return [router.choose(b"user-%d" % unit, 0).role for unit in units]


def test_a_baseline_of_one_percent_of_a_million_keys() -> None:
    """Its share is of all traffic, and exact, whatever the candidate leaves."""
    router = Router(route({1: 7000, 2: 3000}, baseline=100))

    found = Counter(roles(router, range(1_000_000)))

    assert abs(found[Role.BASELINE] - 10_000) <= 398
    assert abs(found[Role.CANARY] - 300_000) <= 4 * (1_000_000 * 0.3 * 0.7) ** 0.5


def test_the_baseline_draws_for_itself() -> None:
    """Who is in the baseline of a version says nothing of who meets it as a candidate."""
    without = roles(Router(route({1: 5000, 2: 5000}, stable=2)), range(40_000))
    beside = roles(Router(route({1: FULL}, baseline=5000)), range(40_000))

    both = sum(
        one is Role.CANARY and other is Role.BASELINE
        for one, other in zip(without, beside, strict=True)
    )

    assert abs(both - 10_000) <= 4 * (40_000 * 0.25 * 0.75) ** 0.5


@given(
    low=st.integers(0, FULL),
    high=st.integers(0, FULL),
    narrow=st.integers(1, FULL),
    wide=st.integers(1, FULL),
)
def test_a_candidate_that_grows_keeps_its_units_beside_a_baseline(
    low: int, high: int, narrow: int, wide: int
) -> None:
    """Nobody leaves the candidate, and between stable and baseline units move one way at most."""
    low, high = sorted((low, high))
    shares = (min(narrow, FULL - low), min(wide, FULL - high))
    before, after = (
        roles(Router(route({1: FULL - weight, 2: weight}, baseline=share)), range(300))
        for weight, share in zip((low, high), shares, strict=True)
    )

    moves = {(old, new) for old, new in zip(before, after, strict=True) if old is not new}

    assert not [move for move in moves if move[0] is Role.CANARY]
    assert not {(Role.STABLE, Role.BASELINE), (Role.BASELINE, Role.STABLE)} <= moves


def test_who_is_stable_for_nobody_has_no_baseline() -> None:
    """A candidate with all of the traffic leaves none to compare it with."""
    router = Router(route({1: 0, 2: FULL}, baseline=100))

    assert set(roles(router, range(1000))) == {Role.CANARY}


def test_a_baseline_may_have_all_that_is_left() -> None:
    """Then the stable arm has nothing, to the last unit."""
    router = Router(route({1: 500, 2: 9500}, baseline=500))

    assert set(roles(router, range(100_000))) == {Role.CANARY, Role.BASELINE}


@settings(max_examples=20)
@given(weights=st.lists(st.integers(1, 2500), min_size=1, max_size=4))
def test_every_arm_gets_its_share(weights: list[int]) -> None:
    """Each arm's share of 20,000 units is within five standard deviations of its weight."""
    arms = {number + 2: weight for number, weight in enumerate(weights)}
    arms[1] = FULL - sum(weights)
    served = versions(Router(route(arms)), range(20_000))

    for version, weight in arms.items():
        share = weight / FULL
        assert (
            abs(served.count(version) - 20_000 * share)
            <= 5 * (20_000 * share * (1 - share)) ** 0.5 + 1
        )


@pytest.mark.parametrize(
    ("weights", "only"),
    [
        pytest.param({1: FULL, 2: 0}, 1, id="all-to-stable"),
        pytest.param({1: 0, 2: FULL}, 2, id="all-to-canary"),
    ],
)
def test_no_weight_no_traffic(weights: dict[int, int], only: int) -> None:
    """An arm with weight zero gets nothing, and one with all of it everything."""
    assert set(versions(Router(route(weights)), range(50_000))) == {only}


def test_shadow_sees_its_share_and_never_its_own_answers() -> None:
    """Shadow is drawn from the prediction id, and a version never shadows itself."""
    router = Router(route({1: 5000, 2: 5000}, shadow=ShadowArm(2, 2500)))
    below, above = (1 << 30) - 1, 1 << 30

    choices = [router.choose(b"user-%d" % unit, below) for unit in range(200)]

    assert {choice.shadow for choice in choices if choice.version == 1} == {2}
    assert {choice.shadow for choice in choices if choice.version == 2} == {None}
    assert router.choose(b"user-1", above).shadow is None


def test_roles() -> None:
    """The stable arm answers as stable, every other weighted arm as canary."""
    router = Router(route({1: 5000, 2: 5000}))

    choices = {router.choose(b"user-%d" % unit, 0) for unit in range(100)}

    assert choices == {Choice(1, Role.STABLE), Choice(2, Role.CANARY)}


def test_pins() -> None:
    """A pinned version answers whatever the weights; one that is not served is named."""
    assert pinned("credit", (1, 2), 2) == Choice(2, Role.PINNED)
    with pytest.raises(VersionNotFound, match="version 3 of credit is not served"):
        pinned("credit", (1, 2), 3)
