"""A replica that cannot reach the judge serves the stable version alone, until it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.telemetry import names
from registry.records import FULL
from serve.rollout.lease import LEASE_S, Lease
from serve.rollout.tallies import JudgedArm
from tests.serve.rollout.judged import ALL_CANDIDATE, CANDIDATE, STABLE, ask, judged, tally, who
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, table


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 2000))
def test_it_holds_from_its_last_renewal(renewed: list[float], now: float) -> None:
    """Whatever order renewals come in."""
    lease = Lease(renewed[0])
    for moment in renewed[1:]:
        lease.renew(moment)

    assert lease.over(now) is (now - max(renewed) > LEASE_S)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Stage]:
    """A gateway with hosts of both versions."""
    with stage(tmp_path) as opened:
        for version in (STABLE, CANDIDATE):
            opened.start_host(version)
        yield opened


def look(served: Stage, later_s: float, *, renewed: bool = False) -> None:
    """Have the gateway look at its lease at a moment to come."""

    async def looked() -> None:
        now = asyncio.get_running_loop().time() + later_s
        if renewed:
            served.gateway.lease.renew(now)
        served.gateway.keep_lease(now)

    served.on_edge(looked())


def alone(served: Stage) -> float | None:
    """What the gauge says."""
    return served.gateway.gauges().get((names.ROUTER_STABLE_ALONE.name, (MODEL,)))


def test_a_replica_without_a_judge_serves_the_stable_version_alone(served: Stage) -> None:
    """Nobody meets the candidate, nothing is counted, and the gauge says so."""
    served.apply(judged(1, ALL_CANDIDATE, shadow_bp=FULL))
    look(served, LEASE_S - 1)
    assert (who(ask(served)), alone(served)) == (("2", "canary"), 0.0)

    look(served, LEASE_S + 1)

    assert (who(ask(served)), alone(served)) == (("1", "stable"), 1.0)
    assert tally(served, JudgedArm.STABLE).units == 0
    assert served.gateway.begin(MODEL, None, None, lambda _draw: None)._shadow is None


@pytest.mark.parametrize("how", ["report", "table"])
def test_it_goes_back_when_it_hears_of_its_judge(served: Stage, how: str) -> None:
    """A report that gets through renews the lease, and so does a new table."""
    served.apply(judged(1, ALL_CANDIDATE))
    look(served, LEASE_S + 1)
    assert who(ask(served)) == ("1", "stable")

    if how == "report":
        look(served, LEASE_S + 2, renewed=True)
    else:
        served.apply(judged(1, ALL_CANDIDATE))

    assert (who(ask(served)), alone(served)) == (("2", "canary"), 0.0)
    assert tally(served, JudgedArm.CANDIDATE).units == 1


def test_routes_that_nobody_judges_need_no_lease(served: Stage) -> None:
    """A split that somebody has set by hand stays, and has no gauge."""
    served.apply(table(1, {STABLE: 0, CANDIDATE: FULL}))

    look(served, 100 * LEASE_S)

    assert (who(ask(served)), alone(served)) == (("2", "canary"), None)


def test_a_candidate_that_is_baked_goes_too(served: Stage) -> None:
    """Where the candidate is the stable one already, it is the version before that serves alone."""
    served.apply(judged(1, {CANDIDATE: FULL - 1, STABLE: 1}))

    look(served, LEASE_S + 1)

    assert who(ask(served))[0] == "1"
