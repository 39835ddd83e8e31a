"""What is generated from the registry is committed as it is generated, and speaks of real names."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from monitors.blocks import Snapshot
from monitors.telemetry import names
from monitors.telemetry.dashboard import dashboard_json, sections
from monitors.telemetry.generate import CHECKOUT, generated
from monitors.telemetry.prometheus import page, prometheus_name
from monitors.telemetry.rules import alerts
from monitors.telemetry.state import TelemetryState
from tests.monitors.telemetry.example import everything

QUERIES = {
    f"{section.title}/{panel.title}/{number}": query.expr
    for section in sections()
    for panel in section.panels
    for number, query in enumerate(panel.queries)
}
EXPRESSIONS = {**QUERIES, **{alert.name: alert.expr for alert in alerts()}}
MADE_BY_PROMETHEUS = {"up"}


def words_that_name_metrics(expr: str) -> set[str]:
    """The words of an expression before `{` or `[`, or standing alone where a vector is meant."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\b(by|on|without|group_left|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    return {
        word
        for word in re.findall(r"[a-z_][a-z0-9_]*(?![a-z0-9_]|\s*\()", re.sub(r"\[.*?\]", "", bare))
        if word not in {"and", "or", "unless"}
    }


def names_on_a_real_page() -> set[str]:
    """The names of all samples on a page that shows every metric."""
    state = TelemetryState()
    state.fold(everything(), now=0.0)
    state.fold(Snapshot("other", 1, counters={("no.such.name", ()): 1}), now=0.0)
    text, _ = page(state.collect())
    return {re.split(r"[{ ]", line)[0] for line in text.decode().splitlines() if line[0] != "#"}


@pytest.mark.parametrize("path", generated())
def test_the_committed_file_is_what_is_generated(path: str) -> None:
    """Nobody edits a generated file, and nobody changes the registry without generating again."""
    committed = (CHECKOUT / path).read_text(encoding="utf-8")
    assert committed == generated()[path], "run `python -m monitors.telemetry.generate`"


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_name_in_a_query_is_on_a_real_page(name: str) -> None:
    """No dashboard query and no alert speaks of a metric that does not exist."""
    found = words_that_name_metrics(EXPRESSIONS[name])
    assert found
    assert found <= names_on_a_real_page() | MADE_BY_PROMETHEUS


def test_the_search_for_names_finds_them() -> None:
    """The test above would see a name that is wrong."""
    expr = 'sum by (a) (rate(wrong_total{b="c d"}[5m])) / on (e) group_left() other > 0 and up == 0'
    assert words_that_name_metrics(expr) == {"wrong_total", "other", "up"}


@pytest.mark.parametrize("metric", names.METRICS.values(), ids=names.METRICS)
def test_every_metric_is_on_the_dashboard(metric: names.Metric) -> None:
    """Nothing is measured that nobody can see."""
    assert any(prometheus_name(metric) in expr for expr in QUERIES.values())


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    """Grafana shows every panel in its own place, each query under its own letter."""
    panels = json.loads(dashboard_json())["panels"]
    taken = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(taken) == len(set(taken))
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        letters = [target["refId"] for target in panel.get("targets", [])]
        assert letters == sorted(set(letters))
        assert "" not in letters


def test_the_builder_is_needed_by_the_generator_alone() -> None:
    """The gateway's telemetry runs without the optional dashboard builder."""
    code = (
        "import sys; sys.modules['grafana_foundation_sdk'] = None\n"
        "import monitors.telemetry.otlp, monitors.telemetry.prometheus\n"
        "import monitors.telemetry.reference, monitors.telemetry.signals\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT, timeout=60)
