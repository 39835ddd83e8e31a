"""Since when so many rows came."""

from __future__ import annotations

from monitors.why.arrivals import Arrivals


def test_the_second_is_known_at_first() -> None:
    """The one since which about so many rows came; the first where fewer did."""
    arrivals = Arrivals(480, 10_000)
    for moment in range(1000, 1100):
        arrivals.add(moment, 10)
    arrivals.add(1050, 5)
    assert arrivals.began(1) == 1099
    assert arrivals.began(100) == 1090
    assert arrivals.began(104) == 1090
    assert arrivals.began(106) == 1089
    assert arrivals.began(500) == 1050
    assert arrivals.began(5000) == 1000
    assert Arrivals(480, 10_000).began(1) is None


def test_later_only_the_minute_and_then_nothing() -> None:
    """So that memory is bounded; no row is counted twice or lost before."""
    arrivals = Arrivals(480, 10_000)
    for moment in range(20_000):
        arrivals.add(moment, 1)
        if moment % 60 == 0:
            arrivals.forget(moment)
    arrivals.forget(20_000)
    assert len(arrivals._rows) < 480 + 10_000 / 60 + 2
    assert sum(arrivals._rows.values()) in range(9_900, 10_061)
    assert arrivals.began(2000) in range(18_000 - 60, 18_001)


def test_those_of_replicas_are_added() -> None:
    """As if one had counted them all."""
    first, second = Arrivals(480, 10_000), Arrivals(480, 10_000)
    first.add(10, 5)
    second.add(10, 2)
    second.add(12, 1)
    first.merge(second)
    assert (first.began(1), first.began(6), first.began(8)) == (12, 10, 10)
