"""Replicas that share what waits, and batches that end where rows stop to get cheaper: simulated.

The real limit and the real caps, in virtual time, at five times what the replicas can do or below.
"""

from __future__ import annotations

import pytest

from serve.admission.limit import Bounds, Limit
from serve.models.caps import Caps
from serve.models.curve import Curve
from tests.serve.admission.simulation import Outcome, Simulation

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BESIDE_S = 0.000_1


def served(
    fixed: float, each: float, replicas: int, load: float, *, capped: bool = True
) -> tuple[float, Outcome]:
    """Requests at `load` times capacity: answers a second as a share of it, and the rest.

    Runs take `fixed` seconds and `each` more a row.
    """
    caps = Caps(256)
    if capped:
        caps.learn(Curve(SIZES, tuple(fixed + each * rows for rows in SIZES)))
    capacity = replicas * 256 / (BESIDE_S + fixed + 256 * each)
    simulation = Simulation(
        Limit(Bounds(wait_target_s=0.02, in_flight_max=1024)),
        lambda _now, rows: BESIDE_S + fixed + each * rows,
        lambda _now: load * capacity,
        replicas=replicas,
        caps=caps,
    )
    outcome = simulation.until(20_000 / (load * capacity))
    half = 10_000 / (load * capacity)
    return outcome.per_s(half, 2 * half) / capacity, outcome


def p99(outcome: Outcome) -> float:
    """The 99th percentile of the second half of the answers."""
    took = [seconds for _, seconds in outcome.answered]
    return sorted(took[len(took) // 2 :])[int(0.99 * (len(took) - len(took) // 2))]


def test_no_replica_takes_all_that_waits() -> None:
    """At 50 ms a row, four replicas do the work of four; without caps one did that of all."""
    without, _ = served(0.0, 0.05, 4, 5.0, capped=False)
    shared, _ = served(0.0, 0.05, 4, 5.0)

    assert shared > 0.95
    assert without < 0.7


@pytest.mark.parametrize("replicas", [1, 4])
def test_who_pays_for_every_row_waits_less(replicas: int) -> None:
    """Nobody waits for rows of others that share nothing with theirs."""
    _, without = served(0.0, 0.005, replicas, 0.8, capped=False)
    _, capped = served(0.0, 0.005, replicas, 0.8)

    assert p99(capped) < 0.85 * p99(without)


@pytest.mark.parametrize("load", [0.5, 5.0])
@pytest.mark.parametrize("replicas", [1, 4])
def test_full_batches_stay_full(replicas: int, load: float) -> None:
    """A model that runs 256 rows in the time of one is served just as without caps."""
    assert served(1.0, 0.0, replicas, load) == served(1.0, 0.0, replicas, load, capped=False)


@pytest.mark.parametrize(("fixed", "each"), [(0.0, 0.000_15), (0.02, 0.001)])
@pytest.mark.parametrize("replicas", [1, 4])
def test_caps_cost_no_capacity(fixed: float, each: float, replicas: int) -> None:
    """Models between the two extremes do as much as without caps, but for a few per cent."""
    without, _ = served(fixed, each, replicas, 5.0, capped=False)
    capped, _ = served(fixed, each, replicas, 5.0)

    assert capped > 0.95 * without
