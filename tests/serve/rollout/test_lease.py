"""A replica that cannot reach the judge serves the stable version alone, until it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
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
from tests.serve.waiting import wait_until

NEARLY_ALL = {STABLE: 1, CANDIDATE: FULL - 1}


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


class Renewals(Lease):
    """A lease that counts its renewals."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.renewed = 0

    def renew(self, now: float) -> None:
        """Count one more."""
        self.renewed += 1
        super().renew(now)


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
    look(served, LEASE_S / 2)
    assert (who(ask(served)), alone(served)) == (("2", "canary"), 0.0)

    look(served, LEASE_S + 1)

    assert (who(ask(served)), alone(served)) == (("1", "stable"), 1.0)
    assert tally(served, JudgedArm.STABLE).units == 0
    assert served.gateway.begin(MODEL, None, None, lambda _draw: None)._shadow is None


def change(served: Stage, how: str) -> None:
    """Let it hear of its judge: a report that gets through, or a route that was decided anew."""
    if how == "report":
        look(served, LEASE_S + 2, renewed=True)
    elif how == "generation":
        served.apply(judged(2, ALL_CANDIDATE))
    else:
        served.apply(judged(1, ALL_CANDIDATE, rollout="rollout-2"))


@pytest.mark.parametrize("how", ["report", "generation", "rollout"])
def test_it_goes_back_when_it_hears_of_its_judge(served: Stage, how: str) -> None:
    """A report that gets through renews the lease, and so does a decision about what is judged."""
    served.apply(judged(1, ALL_CANDIDATE))
    look(served, LEASE_S + 1)
    assert who(ask(served)) == ("1", "stable")

    change(served, how)

    assert (who(ask(served)), alone(served)) == (("2", "canary"), 0.0)
    generation = 2 if how == "generation" else 1
    assert tally(served, JudgedArm.CANDIDATE, generation).units == 1


def test_a_table_that_decides_nothing_brings_no_candidate_back(served: Stage) -> None:
    """A key that was made, or another model, says nothing of the judge."""
    served.apply(judged(1, ALL_CANDIDATE))
    look(served, LEASE_S + 1)

    served.apply(replace(judged(1, ALL_CANDIDATE), generation=2))

    assert (who(ask(served)), alone(served)) == (("1", "stable"), 1.0)


def test_a_table_that_decides_nothing_makes_no_lease_longer(served: Stage) -> None:
    """Tables that come often must not keep a candidate alive that nobody judges."""
    served.apply(judged(1, ALL_CANDIDATE))
    served.gateway.lease = lease = Renewals(0.0)

    served.apply(replace(judged(1, ALL_CANDIDATE), generation=2))
    assert lease.renewed == 0

    served.apply(judged(3, ALL_CANDIDATE))
    assert lease.renewed == 1


def test_a_split_by_hand_stays_where_another_model_is_judged(served: Stage) -> None:
    """A lost lease says nothing of a route that has no judge, whatever table comes then."""
    served.apply(judged(1, ALL_CANDIDATE))
    look(served, LEASE_S + 1)

    served.apply(table(2, {STABLE: 0, CANDIDATE: FULL}))

    assert (who(ask(served)), alone(served)) == (("2", "canary"), None)


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


@pytest.mark.parametrize("away", ["candidate", "baseline"])
def test_arms_that_cannot_be_compared_have_a_lease_too(tmp_path: Path, away: str) -> None:
    """While one is away nobody judges the candidate, however well reports get through."""
    with stage(tmp_path) as served:
        served.start_host(STABLE)
        start(served, "candidate" if away == "baseline" else "baseline")
        served.apply(judged(1, NEARLY_ALL, baseline_bp=1), connect_s=0.1)
        look(served, LEASE_S / 2, renewed=True)
        assert alone(served) == 0.0

        look(served, LEASE_S + 1, renewed=True)
        assert (who(ask(served, "ada")), alone(served)) == (("1", "stable"), 1.0)

        start(served, away)
        wait_until(lambda: all_connected(served), "both are reached")
        assert who(ask(served, "ada")) == ("1", "stable")
        look(served, LEASE_S + 2, renewed=True)
        assert (who(ask(served, "ada")), alone(served)) == (("2", "canary"), 0.0)


def start(served: Stage, arm: str) -> None:
    """Have a host of an arm on trial."""
    served.start_host(CANDIDATE if arm == "candidate" else STABLE, baseline=arm == "baseline")


def test_a_decision_brings_no_candidate_back_that_cannot_be_compared(served: Stage) -> None:
    """A table says that somebody judges, not that there is something to be seen."""
    served.apply(judged(1, NEARLY_ALL, baseline_bp=1), connect_s=0.1)
    look(served, LEASE_S + 1, renewed=True)

    served.apply(judged(2, NEARLY_ALL, baseline_bp=1), connect_s=0.1)
    assert (who(ask(served, "ada")), alone(served)) == (("1", "stable"), 1.0)

    served.apply(judged(3, ALL_CANDIDATE, rollout="rollout-2"))
    assert (who(ask(served, "ada")), alone(served)) == (("2", "canary"), 0.0)


def all_connected(served: Stage) -> bool:
    """Whether everything that the table names can be reached."""

    async def connected() -> bool:
        return served.gateway.all_connected()

    return served.on_edge(connected())
