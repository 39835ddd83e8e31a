"""Figures and their intervals: bent ones follow the straight, and all hold at every look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.performance.figures import F1, Estimate, Figure, Root, Share, share_of_f1
from monitors.performance.measures import COUNTED, figure, tally_of
from monitors.performance.ranks import area, average_precision
from monitors.performance.rows import Rows
from monitors.stats.anytime_shares import anytime_share
from monitors.stats.intervals import wilson
from registry.card import Task
from tests.monitors.performance.rows import binary, judged, several
from tests.monitors.stats.fair import assert_alarms_within

Floats = NDArray[np.float64]


def test_f1_has_the_intervals_of_its_share() -> None:
    """30 true positives, 10 false ones, 20 missed: two thirds."""
    f1 = F1(Share(30, 60))
    assert f1.value == pytest.approx(2 * 30 / (2 * 30 + 10 + 20))
    assert share_of_f1(f1.value) == pytest.approx(0.5)
    for found, straight in (
        (f1.at_one_look(0.05), wilson(30, 60)),
        (f1.at_every_look(0.05), anytime_share(30, 60)),
    ):
        assert found == pytest.approx(tuple(2 * each / (1 + each) for each in straight))


def test_a_root_has_the_roots_of_its_means_intervals() -> None:
    """A mean squared error of 4 by 1,000 rows."""
    mean = Estimate(4.0, 1000, 1000, 6.0, (0.0, float("inf")))
    interval = mean.at_one_look(0.05)
    assert interval is not None
    assert Root(mean).value == 2
    assert Root(mean).at_one_look(0.05) == pytest.approx(tuple(map(sqrt, interval)))
    assert interval[0] == pytest.approx(4 - 1.959964 * 6 / sqrt(1000))


def test_what_does_not_vary_has_no_interval() -> None:
    """Nobody knows how far off it is."""
    assert Estimate(0.5, 100, 100, 0.0).at_every_look(0.05) is None
    assert Estimate(0.5, 100, 100, None).at_one_look(0.05) is None


def ever_wrong(found: Sequence[Figure | None], true: float, scarce: int = 50) -> bool:
    """Whether an interval that somebody saw left out the truth."""
    for each in found:
        interval = each.at_every_look(0.05) if each and each.scarce >= scarce else None
        if interval is not None and not interval[0] <= true <= interval[1]:
            return True
    return False


Order = Callable[[Floats, Floats], Estimate | None]
STEPS = 32
CHANCES = (np.arange(STEPS) + 0.5) / STEPS


def order_at_every_row(seed: int, rows: int) -> list[tuple[Floats, Floats]]:
    """Negatives and positives by bin after each row; labels are as often 1 as scores say."""
    rng = np.random.default_rng([53, seed])
    bins = rng.integers(0, STEPS, rows)
    labels = (rng.random(rows) < CHANCES[bins]).astype(int)
    seen = np.zeros((rows, 2, STEPS))
    seen[np.arange(rows), labels, bins] = 1
    return [(each[0], each[1]) for each in seen.cumsum(axis=0)]


@pytest.mark.parametrize("measure", [area, average_precision])
@pytest.mark.slow
def test_looked_at_after_every_row_the_order_is_seldom_wrong(measure: Order) -> None:
    """60 streams of 400 rows, from 50 rows of each kind on."""
    true = measure(1 - CHANCES, CHANCES)
    assert true is not None

    def ever(seed: int) -> bool:
        found = [measure(*each) for each in order_at_every_row(seed, 400)]
        return ever_wrong(found, true.value)

    assert_alarms_within(0.05, 60, ever)


def test_what_holds_at_one_look_does_not_at_every_one() -> None:
    """The same check finds that the normal interval leaves the truth out sooner or later."""
    true = area(1 - CHANCES, CHANCES)
    assert true is not None

    def ever(seed: int) -> bool:
        for each in order_at_every_row(seed, 600)[120:]:
            found = area(*each)
            interval = found.at_one_look(0.05) if found else None
            if interval and not interval[0] <= true.value <= interval[1]:
                return True
        return False

    with pytest.raises(AssertionError):
        assert_alarms_within(0.05, 60, ever)


MANY = 200_000
TASKS = {
    Task.BINARY: ("log_loss", "brier"),
    Task.MULTICLASS: ("macro_precision", "macro_recall", "macro_f1", "log_loss"),
    Task.REGRESSION: ("mae", "rmse", "bias", "pinball", "interval_coverage"),
}


def rows_of(task: Task, rng: np.random.Generator, rows: int) -> Rows:
    """Rows whose figures have errors."""
    if task is Task.BINARY:
        scores, labels = binary(rng, rows)
        return Rows.of(task, judged(labels, scores))
    if task is Task.MULTICLASS:
        chances, labels = several(rng, rows)
        return Rows.of(task, judged(labels, None, chances.argmax(axis=1), columns=chances))
    block = judged(rng.standard_normal(rows), rng.standard_exponential(rows))
    ends = np.stack([np.full(rows, -1.3), rng.standard_exponential(rows)], axis=1)
    return Rows.of(task, replace(block, ends=ends), 0.8)


@pytest.mark.parametrize("task", TASKS)
def test_errors_are_the_spread_of_many_samples(task: Task) -> None:
    """300 samples of 500 rows: what the interval at one look says is what is seen."""
    rng = np.random.default_rng(2)
    tallies = [tally_of(rows_of(task, rng, 500), COUNTED[task]) for _ in range(300)]
    for name in TASKS[task]:
        found = [each for tally in tallies if (each := figure(task, name, tally))]
        widths = [
            interval[1] - interval[0]
            for each in found
            if (interval := each.at_one_look(0.05)) is not None
        ]
        assert len(widths) == 300
        seen = np.std([each.value for each in found])
        assert np.mean(widths) / (2 * 1.959964) == pytest.approx(seen, rel=0.12), name


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_looked_at_every_ten_rows_means_are_seldom_wrong(task: Task) -> None:
    """100 streams of 1,000 rows, from 100 rows on; the truth is that of many rows."""
    whole = tally_of(rows_of(task, np.random.default_rng(59), MANY), COUNTED[task])
    streams = []
    for seed in range(100):
        rng, tally, found = np.random.default_rng([61, seed]), whole.less(whole), []
        for _ in range(100):
            tally.merge(tally_of(rows_of(task, rng, 10), TASKS[task]))
            found.append({name: figure(task, name, tally) for name in TASKS[task]})
        streams.append(found)
    for name in TASKS[task]:
        true = figure(task, name, whole)
        assert true is not None
        seen = [[each[name] for each in found] for found in streams]
        wrong = [ever_wrong(each, true.value, 100) for each in seen]
        assert_alarms_within(0.05, 100, wrong.__getitem__)
