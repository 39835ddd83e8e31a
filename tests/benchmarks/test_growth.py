"""What is measured as things grow: the right models are served, and a failure is no figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest

from benchmarks import growth
from benchmarks.charts import EACH, ONE, THINGS, Sample
from benchmarks.compare import Plan
from benchmarks.growth import Point
from benchmarks.many_models import check
from benchmarks.processes import BenchmarkError
from configs.settings import Verify
from registry.registry import Registry

MODELS, FEATURES, VERSIONS, REPLICAS = THINGS
PLAN = Plan(2, 1, 1, frozenset({0}), frozenset({1}))


def test_the_one_model_has_the_features_that_are_asked_for(tmp_path: Path) -> None:
    """All of them are watched, and a question has a value for each."""
    point = growth.prepared(FEATURES, 12, tmp_path)
    (asked,) = point.asked.values()
    (tensor,) = orjson.loads(asked[0].line)["inputs"]
    assert (tensor["shape"], len(tensor["data"])) == ([1, 12], 12)
    registry = Registry.open(point.folder / "weir", Verify())
    (version,) = registry.versions("model")
    registry.close()
    assert len(version.card.features) == 12
    assert version.profile is not None
    assert point.hosts == {}


def test_versions_have_equal_shares(tmp_path: Path) -> None:
    """And none of them has company, however many there are."""
    point = growth.prepared(VERSIONS, 4, tmp_path)
    registry = Registry.open(point.folder / "weir", Verify())
    route = registry.route("model")
    registry.close()
    assert route is not None
    assert [(arm.version, arm.weight_bp) for arm in route.arms] == [
        (number, 2500) for number in (1, 2, 3, 4)
    ]
    assert point.hosts["shared"] == 0


def test_replicas_are_those_of_the_one_version(tmp_path: Path) -> None:
    """A shared host would not have as many."""
    assert growth.prepared(REPLICAS, 2, tmp_path).hosts == {"shared": 0, "replicas": 2}


def test_of_many_models_all_or_one_are_asked(tmp_path: Path) -> None:
    """Each has a question of its own."""
    point = growth.prepared(MODELS, 3, tmp_path)
    assert [one.model for one in point.asked[EACH]] == ["model-000", "model-001", "model-002"]
    assert [one.model for one in point.asked[ONE]] == ["model-000"]


@pytest.mark.parametrize(
    ("status", "given", "says"),
    [(200, 1e-3, "is right"), (200, float("nan"), "is right"), (503, 0.0, "answered 503")],
)
def test_a_wrong_answer_is_a_failure(tmp_path: Path, status: int, given: float, says: str) -> None:
    """So is a refusal, and so is what is no number."""
    (asked,) = growth.prepared(MODELS, 1, tmp_path).asked[ONE]
    content = json.dumps({"outputs": [{"data": [asked.answer + given]}]})
    with pytest.raises(BenchmarkError, match=says):
        check(asked, httpx.Response(status, text=content))
    check(asked, httpx.Response(200, json={"outputs": [{"data": [asked.answer]}]}))


def test_a_load_that_fails_is_missing_and_leaves_what_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other load of that gateway, and the other rounds, have their figures."""

    def loads(point: Point, number: int, plan: Plan) -> Iterator[Sample]:
        sample = Sample(point.thing.name, point.size, ONE, number, 80.0, 1000.0)
        yield sample
        if number == 0:
            message = "a run with failed requests\nand more"
            raise BenchmarkError(message)
        yield replace(sample, load=EACH)

    monkeypatch.setattr(growth, "_loads", loads)
    told: list[str] = []
    point = Point(MODELS, 10, Path(), {EACH: (), ONE: ()})
    samples, missing = growth.measure([point], PLAN, told.append)
    assert [(one.round, one.load) for one in samples] == [(0, ONE), (1, ONE), (1, EACH)]
    assert [(one.round, one.load, one.size) for one in missing] == [(0, EACH, 10)]
    assert "round 1 of 2: 10 models: failed: a run with failed requests" in told


def test_rounds_take_turns_and_begin_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every size in every round, another one first."""
    seen: list[tuple[int, int]] = []

    def loads(point: Point, number: int, plan: Plan) -> Iterator[Sample]:
        seen.append((number, point.size))
        return iter(())

    monkeypatch.setattr(growth, "_loads", loads)
    points = [Point(VERSIONS, size, Path(), {"asked": ()}) for size in (1, 2)]
    growth.measure(points, PLAN, lambda _: None)
    assert seen == [(0, 1), (0, 2), (1, 2), (1, 1)]


@pytest.mark.parametrize("option", ["--rounds", "--seconds", "--warm"])
def test_nobody_measures_for_no_time(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a single second, and not a single round."""
    with pytest.raises(SystemExit):
        growth.main([option, "0"])
    assert "from one up" in capsys.readouterr().err


def test_a_page_without_a_place_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written."""
    monkeypatch.setattr("benchmarks.tools.find", lambda name: (name, {}))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(tmp_path))
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text("a page", encoding="utf-8")
    given = ["--only", "replicas", "--page", str(page), "--json", str(figures)]
    assert growth.main(given) == 1
    assert "needs the lines" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == "a page"
    assert not figures.exists()
