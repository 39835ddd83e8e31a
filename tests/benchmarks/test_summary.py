"""From samples to figures."""

from __future__ import annotations

import pytest

from benchmarks import summary
from benchmarks.summary import Figure, Target
from tests.benchmarks.samples import sample


def test_a_ratio_is_taken_within_its_round() -> None:
    """A round in which the machine was slow does not mix with one in which it was quick."""
    samples = [
        sample("fastapi", 0, 100.0),
        sample("weir", 0, 300.0),
        sample("weir", 1, 30.0),
        sample("fastapi", 1, 10.0),
    ]
    (figure,) = [
        one for one in summary.of_ratios(samples) if one.name.endswith("row-json, weir / fastapi")
    ][:1]
    assert figure.values == (3.0, 3.0)
    assert figure.reached


def test_a_round_that_lacks_one_of_the_two_gives_no_ratio() -> None:
    """What was not measured is left out, not guessed."""
    samples = [sample("weir", 0, 300.0), sample("weir", 1, 300.0), sample("mlserver", 1, 100.0)]
    assert [figure.values for figure in summary.of_ratios(samples)] == [(3.0,)]
    (row,) = [row for row in summary.rows(samples) if row.contestant == "mlserver"]
    assert row.weir_requests == (3.0,)


def test_another_load_is_another_figure() -> None:
    """Throughput over one connection says nothing of throughput over many."""
    samples = [sample("weir", 0, 300.0), sample("fastapi", 0, 100.0, kind="single")]
    assert summary.of_ratios(samples) == []


@pytest.mark.parametrize(("workload", "reached"), [("row-json", False), ("slow-json", True)])
def test_weir_is_held_to_the_best_of_the_others(workload: str, reached: bool) -> None:
    """Ahead of all but the floor; within 5 % where the model's own time dominates."""
    rates = {"weir": 96.0, "floor": 500.0, "weir, models apart": 500.0, "kserve": 100.0, "a": 1.0}
    samples = [sample(name, 0, rate, workload) for name, rate in rates.items()]
    (figure,) = summary.of_field(samples, ("slow-json",))
    assert figure.values == (0.96,)
    assert figure.reached is reached


@pytest.mark.parametrize(
    ("judged", "bound", "values", "reached"),
    [
        ("median", "at least", (1.0, 2.0, 3.0), True),
        ("worst", "at least", (1.0, 2.0, 3.0), False),
        ("median", "at most", (1.0, 2.0, 3.0), True),
        ("worst", "at most", (1.0, 2.0, 3.0), False),
    ],
)
def test_a_target_holds_for_the_median_or_the_worst(
    judged: str, bound: str, values: tuple[float, ...], reached: bool
) -> None:
    """Which of the two is part of the target."""
    target = Target(judged, bound, 2.0)  # type: ignore[arg-type]
    assert Figure("a figure", "ratio", values, target).reached is reached
