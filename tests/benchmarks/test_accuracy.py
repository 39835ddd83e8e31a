"""The harness that compares monitors: its streams, its figures, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import environments
from benchmarks.accuracy import figures, jobs, lasting, peer, report, streams, targets, weir
from benchmarks.accuracy.contestants import CONTESTANTS, EVIDENTLY_COMPARED, PINS
from benchmarks.accuracy.evidence import held, largest
from benchmarks.accuracy.peers.replaying import noticed
from benchmarks.accuracy.results import Cost, Entry, Missing, Results, Run
from benchmarks.accuracy.streams import CHANGE_AT, SCENARIOS


def test_a_seed_always_gives_the_same_stream() -> None:
    """And another seed, or another scenario, another one."""
    shift = SCENARIOS["shift 1"]
    first = streams.make(shift, 3)
    assert np.array_equal(first.live, streams.make(shift, 3).live)
    assert np.array_equal(first.reference, streams.make(shift, 3).reference)
    assert not np.array_equal(first.live, streams.make(shift, 4).live)
    assert not np.array_equal(first.live, streams.make(SCENARIOS["shift 0.5"], 3).live)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_nothing_but_what_is_said_changes(name: str) -> None:
    """The reference and the live rows before the change look alike, in every column."""
    scenario = SCENARIOS[name]
    stream = streams.make(scenario, 0)
    assert stream.live.shape == (scenario.rows, streams.FEATURES)
    before = stream.live[:CHANGE_AT] if scenario.change else stream.live
    spread = stream.reference.std(axis=0)
    apart = np.abs(before.mean(axis=0) - stream.reference.mean(axis=0)) / spread
    assert apart.max() < 0.25


def test_what_is_said_to_change_changes() -> None:
    """A mean by the shift, a spread by the factor, a share to 15 %."""
    after = {name: streams.make(SCENARIOS[name], 0).live[CHANGE_AT:] for name in SCENARIOS}
    assert after["shift 1"][:, 0].mean() == pytest.approx(1, abs=0.1)
    assert after["scale 1.5"][:, 0].std() == pytest.approx(1.5, abs=0.1)
    grown = after["category 10 to 15 %"][:, streams.CHANGED_CATEGORY] == streams.GROWN
    assert grown.mean() == pytest.approx(0.15, abs=0.03)


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    """No alarm in 299 runs is the least that shows a chance of at most 1 %."""
    assert figures.upper_bound(0, 299) <= 0.01 < figures.upper_bound(0, 298)
    assert figures.upper_bound(4, 1000) <= 0.01 < figures.upper_bound(5, 1000)
    assert figures.upper_bound(7, 7) == 1.0
    assert figures.lower_bound(7, 7) == pytest.approx(0.05 ** (1 / 7))
    assert figures.lower_bound(0, 7) == 0.0


def test_a_change_that_was_not_found_is_later_than_any_other() -> None:
    """So a median over runs exists only if half of them found it."""
    assert figures.quantile([30, None, 10, 20], 0.5) == 20
    assert figures.quantile([30, None, 10, 20], 0.9) is None
    assert figures.quantile([], 0.5) is None


def test_the_limit_is_what_a_row_tells() -> None:
    """The logarithm of 3,000 over the divergence of both distributions."""
    limits = {name: each.information for name, each in SCENARIOS.items() if each.information}
    rows = {name: figures.limit(information) for name, information in limits.items()}
    assert rows["shift 0.25"] == pytest.approx(256.2, abs=0.1)
    assert rows["shift 0.5"] == pytest.approx(64.1, abs=0.1)
    assert rows["shift 1"] == pytest.approx(16.0, abs=0.1)
    assert rows["scale 1.5"] == pytest.approx(36.5, abs=0.1)
    assert rows["category 10 to 15 %"] == pytest.approx(655, abs=1)


def test_an_alarm_counts_from_the_change_and_for_what_changed() -> None:
    """Earlier ones, and those about other columns, are alarms but not finds."""
    looks = [(0, ()), (200, (3,)), (900, (0,)), (1200, (3,)), (1400, (3, 0)), (1600, (0,))]
    assert noticed(looks, 1000, 0) == {"first": 200, "found": 400}
    assert noticed(looks, None, 0) == {"first": 200, "found": None}
    assert noticed(looks[:4], 1000, 0) == {"first": 200, "found": None}


def test_nobody_is_asked_for_more_than_is_wanted() -> None:
    """A replay ends at the first alarm where nothing changes."""

    def looks() -> Iterator[tuple[int, tuple[int, ...]]]:
        yield 100, (1,)
        raise AssertionError

    assert noticed(looks(), None, 0) == {"first": 100, "found": None}


def test_a_contestant_sees_what_matters_to_it() -> None:
    """One column if it judges columns alone, and nothing before the change if it forgets."""
    category = SCENARIOS["category 10 to 15 %"]
    alone = next(each for each in CONTESTANTS if each.alone and each.by_window)
    together = next(each for each in CONTESTANTS if not each.alone and not each.by_window)
    part = peer.shown(alone, category, 0)
    whole = streams.make(category, 0)
    assert np.array_equal(part.live, whole.live[CHANGE_AT:, [category.changed]])
    assert (part.change_at, part.changed, part.categorical) == (0, 0, (0,))
    part = peer.shown(together, SCENARIOS["shift 1"], 0)
    assert part.live.shape == (CHANGE_AT + streams.AFTER_ROWS, streams.FEATURES)
    assert (part.change_at, part.changed) == (CHANGE_AT, 0)


def test_every_contestant_has_its_files() -> None:
    """A script, and the pinned versions of its library."""
    for each in CONTESTANTS:
        assert (PINS / each.script).exists()
        pinned = (PINS / f"{each.environment}.txt").read_text(encoding="utf-8")
        assert f"\n{each.environment}==" in pinned
    assert {each.environment for each in CONTESTANTS} == set(environments.names(PINS))
    assert EVIDENTLY_COMPARED in {each.name for each in CONTESTANTS}


def test_both_gates_open_when_each_does() -> None:
    """The harness's reading of each gate alone agrees with the panel's verdict."""
    runs = {run.contestant: run for run in weir.replay(SCENARIOS["shift 1"], 0)}
    both, evidence, effect = (runs[gate].found for gate in weir.GATES)
    assert both is not None
    assert evidence is not None
    assert effect is not None
    assert both == max(evidence, effect)


def test_evidence_that_is_broken_on_purpose_is_noticed() -> None:
    """A reference that is taken for the truth alarms without drift; the honest one does not."""
    scenario = replace(SCENARIOS["independent"], rows=6_000)
    honest = weir.replay(scenario, 0)
    broken = weir.replay_broken(scenario, 0)
    assert [run.first for run in honest if run.contestant != weir.EFFECT] == [None, None]
    assert {run.contestant for run in broken} == {weir.BROKEN, weir.BROKEN_EVIDENCE}
    assert all(run.first for run in broken if run.contestant == weir.BROKEN_EVIDENCE)


@pytest.mark.parametrize("name", ["mixed", "shift 1"])
def test_a_glance_misses_nothing(name: str) -> None:
    """It sees the alarms by evidence that a whole look sees, at the same rows."""
    scenario = replace(SCENARIOS[name], rows=2_000)
    live = streams.make(scenario, 1).live
    found = []
    for gates in (weir.GATES, weir.GATES[:2]):
        stream = streams.make(scenario, 1)
        known = weir.profile(stream.reference, scenario.categorical)
        watch = weir.Watch(known, scenario.categorical, 1)
        runs = weir.followed(watch, scenario, 1, live, gates)
        found.append([(run.first, run.found) for run in runs if run.contestant != weir.EFFECT])
    assert found[0] == found[1]


def test_evidence_is_found_in_every_detector_that_has_any() -> None:
    """Each signal's evidence is at most the largest that a glance sees."""
    scenario = SCENARIOS["mixed"]
    stream = streams.make(scenario, 0)
    known = weir.profile(stream.reference, scenario.categorical)
    watch = weir.Watch(known, scenario.categorical, 0)
    rows = stream.live[:600].copy()
    rows[::3, 3] = np.nan
    rows[1::7] = rows[0]
    for at in range(0, 600, 100):
        watch.fold(rows[at : at + 100])
        evidence = [signal.log10_evidence or 0.0 for signal in watch.panel.signals()]
        assert max(evidence) * np.log(10) <= largest(held(watch.panel)) + 1e-9


def test_a_daily_rhythm_alarms_only_without_strata() -> None:
    """Three days of a stream that follows the hour."""
    scenario = replace(SCENARIOS["daily"], rows=6_000)
    runs = [*weir.replay(scenario, 0), *weir.replay_by_hour(scenario, 0)]
    first = {run.contestant: run.first for run in runs}
    assert first[weir.BOTH] is not None
    assert first[weir.BY_HOUR] is None
    assert first[weir.BY_HOUR_EVIDENCE] is None


def test_looks_are_close_after_a_change_and_reach_the_end() -> None:
    """Delays are known to ten rows while they are short."""
    ends = list(weir.looks(SCENARIOS["shift 1"]))
    assert ends == sorted(set(ends))
    assert {CHANGE_AT, CHANGE_AT + 10, CHANGE_AT + 590} < set(ends)
    assert ends[-1] == SCENARIOS["shift 1"].rows
    assert list(weir.looks(SCENARIOS["independent"]))[:2] == [200, 400]


def sample() -> list[Entry]:
    """A few runs of some contestants, one that is missing, and what two of them cost."""
    entries: list[Entry] = [
        Run(gate, "independent", seed, 20_000, None)
        for seed in range(400)
        for gate in (weir.BOTH, weir.EVIDENCE)
    ]
    entries += [Run(weir.EFFECT, "independent", seed, 20_000, 400) for seed in range(3)]
    entries += [Run(weir.BROKEN_EVIDENCE, "independent", seed, 9_000, 9_000) for seed in range(9)]
    for seed in range(10):
        entries.append(Run(weir.BOTH, "shift 0.5", seed, 1_170, 1_170, 150 + seed))
        entries.append(Run(weir.BOTH, lasting.late(0.5), seed, 10**6, None, 310 + seed))
        entries.append(Run(weir.BOTH, lasting.planted(0.07), seed, 10**6, None, None))
        entries.append(Run("river, ADWIN", "placebo", seed, 5_000, 900, None if seed else 44))
    entries.append(Missing("alibi-detect, online", "mixed", "no word"))
    for number, seconds in enumerate((10.0, 12.0)):
        entries.append(Cost(weir.BOTH, number, 10**6, seconds, 200.0, 5.0))
        entries.append(Cost(EVIDENTLY_COMPARED, number, 20_000, 6.0, 400.0, 90.0))
    return entries


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """What is written down is read back, and its jobs are not done again."""
    path = tmp_path / "runs.jsonl"
    Results(path).add(sample())
    again = Results(path)
    assert again.entries == sample()
    everything = jobs.jobs(1.0)
    left = jobs.left(everything, again)
    assert 0 < len(left) < len(everything)
    done = {(job.contestant, job.scenario, job.seeds) for job in everything}
    done -= {(job.contestant, job.scenario, job.seeds) for job in left}
    assert (weir.BOTH, "independent", tuple(range(20))) in done
    assert (weir.BOTH, "independent", tuple(range(400, 420))) not in done


def test_figures_are_held_to_their_targets(tmp_path: Path) -> None:
    """Reached and missed alike are said."""
    results = Results(tmp_path / "runs.jsonl")
    results.add(sample())
    held = {each.what: each for each in targets.held(results)}
    evidence = held["runs with any alarm, nothing changes, independent: " + weir.EVIDENCE]
    assert evidence.reached
    assert evidence.figure == "0 of 400, at most 0.75%"
    assert not held["runs with any alarm, nothing changes, independent: " + weir.EFFECT].reached
    assert held["the same with an e-process broken on purpose: " + weir.EVIDENCE].reached
    assert held["rows until found, shift 0.5"].reached
    late = held[f"{lasting.late(0.5)}, over the same at row 1,000"]
    assert not late.reached
    assert "2.04 times" in late.figure
    assert held[f"pages for a {lasting.planted(0.07)}"].reached
    (cost,) = (each for what, each in held.items() if what.startswith("processor time"))
    assert cost.figure == "28 times (25 .. 30)"
    assert cost.reached


def test_the_tables_say_what_was_measured(tmp_path: Path) -> None:
    """They go between their comments, and nothing else of the page is touched."""
    page, runs = tmp_path / "page.md", tmp_path / "runs.jsonl"
    page.write_text(report.PAGE.read_text(encoding="utf-8") + "after\n", encoding="utf-8")
    Results(runs).add(sample())

    assert report.main([str(runs), "--page", str(page)]) == 0

    text = page.read_text(encoding="utf-8")
    assert text.endswith("after\n")
    assert "| Weir | 0 / 400 (≤ 0.7%) | - | - | - | - | - |" in text
    assert "| Weir, effect gate alone | 3 / 3 (≤ 100.0%) | - | - | - | - | 400 |" in text
    assert "| *who knows the change* | - | 256 | 64 | 16 | 36 | 654 |" in text
    assert "| Weir | - | - | 154 (158), 100% | - | - | - |" in text
    assert "| river, ADWIN | 10% | - | - | - | - | - |" in text
    assert f"| {EVIDENTLY_COMPARED} | 300.0 | 27.3 | 20,000 | 90 | 400 |" in text
    assert "- not measured: alibi-detect, online, mixed: no word" in text


def test_a_page_without_a_place_is_left_alone() -> None:
    """The comments that it lacks are named."""
    with pytest.raises(ValueError, match="clean: begin"):
        report.placed("a page", "clean", "a table")
