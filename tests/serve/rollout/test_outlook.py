"""How many times as much it takes to tell."""

from __future__ import annotations

import pytest

from serve.rollout.outlook import times_as_much


@pytest.mark.parametrize("needed", [1.001, 1.5, 2.0, 3.7, 1000.0, 16_000.0])
def test_the_least_that_tells_is_found_to_a_thousandth(needed: float) -> None:
    """It tells, and a little less would not."""
    found = times_as_much(lambda times: times >= needed)

    assert found is not None
    assert needed <= found <= 1.001 * needed + 0.001


def test_what_takes_too_long_is_not_waited_for() -> None:
    """Nor what no amount would tell."""
    assert times_as_much(lambda times: times >= 40_000) is None
    assert times_as_much(lambda _: False) is None
