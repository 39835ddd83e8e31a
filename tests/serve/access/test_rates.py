"""A key is used as often as it may be."""

from __future__ import annotations

import bisect
import random

import pytest

from serve.access.rates import TokenBucket


def admitted(rate_per_s: float, asked_at_s: list[float]) -> list[float]:
    """The times, out of those asked at, that were let through."""
    bucket = TokenBucket(rate_per_s)
    return [at for at in asked_at_s if bucket.take(at) is None]


@pytest.mark.parametrize("rate_per_s", [0.2, 1.0, 2.0, 7.5, 100.0, 1000.0])
@pytest.mark.parametrize("regular", [True, False])
def test_ten_times_the_rate_is_capped_over_any_ten_seconds(
    rate_per_s: float, regular: bool
) -> None:
    """A key at ten times its rate gets it within 5 % and a request or two, also at the start."""
    times = random.Random(7)  # noqa: S311 - a simulation
    gap = 0.1 / rate_per_s
    at, asked = 1_000_000.0, []
    while at < 1_000_040.0:
        asked.append(at)
        at += gap if regular else times.expovariate(1 / gap)

    let = admitted(rate_per_s, asked)

    quota = 10 * rate_per_s
    for start in [*let, 1_000_030.0]:
        if start <= 1_000_030.0:
            inside = bisect.bisect_left(let, start + 10) - bisect.bisect_left(let, start)
            assert 0.95 * quota - 2 <= inside <= max(1.05 * quota, quota + 1) + 1e-6


def test_the_wait_is_long_enough_and_no_longer() -> None:
    """Whoever waits as told gets through; whoever waits a little less does not."""
    bucket = TokenBucket(4.0)
    while (wait_s := bucket.take(50.0)) is None:
        pass

    assert bucket.take(50.0 + 0.9 * wait_s) is not None
    assert bucket.take(50.0 + wait_s + 1e-6) is None


def test_a_slow_key_gets_one_request_at_once() -> None:
    """One request in ten seconds is possible after ten seconds, whatever fraction a burst is."""
    assert admitted(0.1, [0.0, 1.0, 9.9, 10.1, 11.0]) == [0.0, 10.1]


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    """The bucket goes on to refill from the new time."""
    bucket = TokenBucket(1.0)
    assert bucket.take(5000.0) is None
    assert bucket.take(10.0) is not None
    assert bucket.take(11.1) is None
