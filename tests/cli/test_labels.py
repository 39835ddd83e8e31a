"""`weir labels`."""

from __future__ import annotations

import json
from collections import Counter

import httpx

from monitors.labels.coverage import AGES_S, PREDICTED, Cell
from monitors.labels.told import LabelsTold, arm_labels
from registry.card import Card, Label, Task
from serve.control.client import ControlClient
from tests.cli.conftest import Weir
from tests.control.serving import Api

DAY_S = 86_400.0
NOW = 40 * DAY_S
CARD = Card(task=Task.BINARY, label=Label(classes=("repaid", "default")))
OLD, YOUNG = int((NOW - 35 * DAY_S) // 60), int((NOW - 3600) // 60)
CELLS = Counter[Cell](
    {
        (OLD, 0, PREDICTED): 100,
        (OLD, 0, AGES_S.index(3600)): 60,
        (OLD, 0, AGES_S.index(86_400)): 30,
        (OLD, 0, len(AGES_S)): 10,
        (OLD, 1, PREDICTED): 50,
        (YOUNG, 7, PREDICTED): 2,
        (OLD, -1, PREDICTED): 4,
    }
)
"""Of old predictions all of the first decision have labels, of the second none."""

TOLD = LabelsTold(
    "credit",
    {"joined": 100, "refused": 0, "unmatched": 7},
    pending=56,
    waiting=3,
    arms=(arm_labels((1, "stable"), 30 * DAY_S, CELLS, NOW),),
)


def labelled(api: Api, told: LabelsTold = TOLD) -> None:
    """Register a model of which this is known."""
    with ControlClient(api.url, "ada") as client:
        client.register("credit", client.upload(b"one"), CARD)
    api.control.labels_told = told


def test_coverage_and_delays_are_told(weir: Weir, api: Api) -> None:
    """In counts and shares, by age and by decision, with the names of the card's classes."""
    labelled(api)

    shown = weir("labels", "credit").stdout.splitlines()

    assert shown[:6] == [
        "credit: 56 predictions wait for a label, 3 labels wait for a prediction",
        "since the first: 100 joined, 7 unmatched",
        "",
        "version 1, stable: 156 predictions, 100 with a label (64.1%)",
        "labels had come: 50% within 1 h, 90% within 1 d, 99% later than 30 d",
        "expected within 30 d: of 154 predictions of that age, 64.9% have theirs",
    ]
    rows = [line.split() for line in shown[6:]]
    assert ["15", "min", "156", "0", "0.0%"] in rows
    assert ["1", "d", "154", "90", "58.4%"] in rows
    assert ["repaid", "100", "100", "100.0%"] in rows
    assert ["default", "50", "0", "0.0%"] in rows
    assert ["other", "4", "0", "0.0%"] in rows
    assert ["7", "2", "0", "0.0%"] not in rows


def test_everything_is_there_for_programs(weir: Weir, api: Api) -> None:
    """As the API gives it: the histogram of delays adds up to all labels."""
    labelled(api)

    told = json.loads(weir("labels", "credit", "--json").stdout)

    (arm,) = told["arms"]
    assert told["counts"] == {"joined": 100, "refused": 0, "unmatched": 7}
    assert (told["pending"], told["waiting"]) == (56, 3)
    assert sum(each["labels"] for each in arm["histogram"]) == arm["labelled"] == 100
    assert arm["histogram"][-1] == {"within_s": None, "labels": 10}
    assert [each["age_s"] for each in arm["by_age"]] == list(AGES_S)
    assert arm["delays"][1] == {"share": 0.9, "within_s": 86_400.0}
    assert httpx.get(f"{api.url}/v1/models/credit/labels", trust_env=False).json() == told


def test_before_anything_has_come(weir: Weir, api: Api) -> None:
    """Without predictions there is no share of them."""
    arms = (arm_labels((1, "stable"), 0.0, {}, NOW),)
    labelled(api, LabelsTold("credit", {}, 0, 0, arms))

    shown = weir("labels", "credit").stdout.splitlines()

    assert shown[-2:] == [
        "version 1, stable: 0 predictions, 0 with a label",
        "expected within 0 s: of 0 predictions of that age, - have theirs",
    ]


def test_a_model_without_labels(weir: Weir, two_versions: Api) -> None:
    """One line that says so, and 1."""
    assert two_versions.control.labels_told is None

    done = weir("labels", "credit")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "no labels are kept of 'credit'" in done.stderr
