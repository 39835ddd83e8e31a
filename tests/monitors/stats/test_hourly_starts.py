"""Bets that begin every hour are worth one in all, however long it goes on."""

import numpy as np
import pytest

from monitors.stats.hourly_starts import FIRST, HourlyStarts, log_yet_to_begin, start_weight


def test_all_weights_sum_to_one() -> None:
    """What has begun and what is yet to begin: at most one at every hour, and one in the end."""
    begun = FIRST
    for number in range(5000):
        begun += start_weight(number) if number else 0.0
        assert begun + np.exp(log_yet_to_begin(number)) <= 1 + 1e-12
    assert begun > 0.95


def test_an_hour_begins_once() -> None:
    """What is counted at its first rows is held; an hour that is past begins nothing."""
    starts = HourlyStarts((1,))
    for hour, count in ((7, 0), (7, 3), (8, 5), (8, 9), (6, 11), (12, 20)):
        starts.at(hour, np.array([count]))
    numbers, held = starts.later()
    assert numbers.tolist() == [1, 2]
    assert held.tolist() == [[5], [20]]
    assert starts.number == 2


def test_few_are_held_of_many() -> None:
    """After a year of hours some thirty, some of them old; a state goes on from there."""
    starts = HourlyStarts((1,))
    for hour in range(24 * 365):
        starts.at(hour, np.array([hour]))
    numbers, held = starts.later()
    assert len(numbers) < 40
    assert numbers[0] < 24 * 180
    assert (held[:, 0] == numbers).all()
    again = HourlyStarts((1,))
    again.restore(starts.state())
    for each in (starts, again):
        each.at(24 * 365, np.array([1]))
    assert again.later()[0].tolist() == starts.later()[0].tolist()
    with pytest.raises(ValueError, match="shape"):
        HourlyStarts((2,)).restore(starts.state())
