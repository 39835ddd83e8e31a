"""Charts of what grows: what was measured is drawn, and what was not is called missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import charts
from benchmarks.charts import EACH, ONE, THINGS, Missing, Sample, Thing
from benchmarks.report import PAGE

CONDITIONS = {
    "cores": "2",
    "virtual": "yes",
    "processors": "servers on 1, load on 1 other",
    "system": "Linux 1.2.3",
    "Python": "3.11.7",
    "rounds": "2",
    "seconds": "3",
}
MODELS, FEATURES, VERSIONS, _ = THINGS


def sampled(thing: Thing, load: str, *rounds: tuple[float, ...]) -> list[Sample]:
    """Samples of a load, each round with one figure a size."""
    return [
        Sample(thing.name, size, load, number, value, 1000.0)
        for number, values in enumerate(rounds)
        for size, value in zip(thing.sizes, values, strict=True)
    ]


def text(thing: Thing, samples: list[Sample], *missing: Missing) -> str:
    """What is written of a thing."""
    return "\n".join(charts.lines(thing, samples, missing, CONDITIONS))


def test_a_chart_has_the_median_of_every_size() -> None:
    """The axis begins at zero and ends above the highest."""
    told = text(VERSIONS, sampled(VERSIONS, "asked", (90.0, 120.0, 200.0), (110.0, 140.0, 260.0)))
    assert 'x-axis "versions" ["1", "2", "4"]' in told
    assert "    line [100.0, 130.0, 230.0]" in told
    assert 'y-axis "processor µs a request" 0 --> 260' in told
    assert told.count("```mermaid\nxychart-beta\n") == 1
    assert "bar [" not in told


def test_two_loads_are_told_apart_by_how_they_are_drawn() -> None:
    """A line for all asked, bars for one; the page says which is which."""
    samples = sampled(MODELS, EACH, (1.0, 2.0, 3.0, 4.0))
    samples += sampled(MODELS, ONE, (5.0, 6.0, 7.0, 8.0))
    told = text(MODELS, samples)
    assert "Line: each asked in turn; bars: only one asked." in told
    assert "    bar [5.0, 6.0, 7.0, 8.0]\n    line [1.0, 2.0, 3.0, 4.0]" in told
    assert "| 200 | 4.0 | 8.0 |" in told


def test_the_table_has_median_least_and_greatest() -> None:
    """Of all rounds in which the size was measured."""
    told = text(VERSIONS, sampled(VERSIONS, "asked", (90.0, 1.0, 1.0), (110.0, 1.0, 1.0)))
    assert "| 1 | 100.0 (90.0 .. 110.0) |" in told


def test_a_size_without_a_figure_is_missing_and_not_zero() -> None:
    """It leaves the chart, the table says so, and the reason is given."""
    samples = [one for one in sampled(VERSIONS, "asked", (90.0, 100.0, 110.0)) if one.size != 2]
    told = text(VERSIONS, samples, Missing("versions", 2, "asked", 0, "it broke\nits log"))
    assert "    line [90.0, 110.0]" in told
    assert 'x-axis "versions" ["1", "4"]' in told
    assert "| 2 | missing |" in told
    assert "- 2 versions, asked, round 1: it broke" in told
    assert "its log" not in told


def test_a_size_that_lacks_one_of_its_loads_leaves_the_chart_alone() -> None:
    """Bars and line stand over the same sizes; the table keeps what there is."""
    samples = sampled(MODELS, EACH, (1.0, 2.0, 3.0, 4.0))
    samples += [one for one in sampled(MODELS, ONE, (5.0, 6.0, 7.0, 8.0)) if one.size != 50]
    told = text(MODELS, samples)
    assert "    bar [5.0, 6.0, 8.0]\n    line [1.0, 2.0, 4.0]" in told
    assert "| 50 | 3.0 | missing |" in told


def test_less_than_two_sizes_are_no_chart() -> None:
    """The table and the missing ratio are all that there is."""
    told = text(VERSIONS, [Sample("versions", 4, "asked", 0, 90.0, 1000.0)])
    assert "mermaid" not in told
    assert "- 4 versions over 1: missing." in told


def test_a_ratio_is_taken_within_its_round() -> None:
    """A slow round does not mix with a quick one; a round with one end only gives none."""
    samples = sampled(VERSIONS, "asked", (10.0, 1.0, 30.0), (100.0, 1.0, 300.0))
    samples.append(replace(samples[0], round=2))
    assert charts.ratios(VERSIONS, "asked", samples) == (3.0, 3.0)
    assert "- 4 versions over 1: 3.00 (3.00 .. 3.00)." in text(VERSIONS, samples)


def test_a_value_is_priced_by_what_the_further_ones_cost() -> None:
    """From 10 features to 1,000 there are 990 values more."""
    samples = sampled(FEATURES, "asked", (80.0, 0.1, 0.1, 0.1, 179.0))
    assert charts.prices(FEATURES, "asked", samples) == (100.0,)
    assert "; each further value, in ns: 100." in text(FEATURES, samples)


def test_samples_of_another_thing_are_not_mixed_in() -> None:
    """Versions and replicas have the same sizes."""
    samples = [replace(one, thing="replicas") for one in sampled(VERSIONS, "asked", (1, 2, 3))]
    assert charts.ratios(VERSIONS, "asked", samples) == ()


def test_only_the_chart_of_the_thing_is_replaced() -> None:
    """What lies around its comments, and the other charts, stay."""
    begin, end = charts.markers(VERSIONS)
    others = charts.markers(MODELS)
    page = f"before\n{others[0]}\nkept\n{others[1]}\n{begin}\nold\n{end}\nafter\n"
    assert charts.placed(page, VERSIONS, "new") == page.replace("old", "new")


@pytest.mark.parametrize("which", [0, 1])
def test_a_page_without_a_place_for_a_chart_is_left_alone(which: int) -> None:
    """The comments are named."""
    page = charts.markers(VERSIONS)[which]
    with pytest.raises(ValueError, match="versions: begin"):
        charts.placed(page, VERSIONS, "new")


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_the_page_has_a_place_for_every_chart(thing: Thing) -> None:
    """`docs/performance.md` has the comments of each."""
    assert "a chart" in charts.placed(PAGE.read_text(encoding="utf-8"), thing, "a chart")
