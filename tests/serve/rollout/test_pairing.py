"""The shadow's answers are compared with the stable version's to the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from configs.errors import ModelFailed
from registry.card import Card, Decision, Group, Label, Near, Score, Task, Tolerance
from registry.records import FULL, Version
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.frames import Tensors
from serve.rollout.pairing import Comparison, Pair, PairCount, Request, labels_tell
from serve.rollout.tallies import GroupPairs, Pairs
from tests.serve.edge.test_http import INFER, row, shadowed
from tests.serve.rollout.judged import CANDIDATE, STABLE, ask, judged, report
from tests.serve.stage import Stage, stage
from tests.serve.versions import run_of, version
from tests.serve.waiting import wait_until

DECIDING = Card(
    task=Task.BINARY,
    score=Score(output="y"),
    decision=Decision(threshold=10.0),
    groups=(Group(name="sex"),),
)
PLAIN = Card(task=Task.REGRESSION, score=Score(output="y"))
INPUTS = (np.ones((1, 3), np.float32),)
ROW = Request(0, 1, INPUTS, {})


def y(*values: float) -> Tensors:
    """An answer of one row."""
    return (np.array([values], np.float32),)


def comparison(stable: Card, candidate: Card | None = None) -> Comparison:
    """Of two versions of the regressor with these cards."""
    return Comparison(version(1, card=stable), version(2, card=candidate or stable))


def classifier(card: Card, **outputs: Datatype) -> Version:
    """A version with other outputs."""
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3)),),
        outputs=tuple(
            TensorSpec(name=name, datatype=datatype, shape=(-1, -1))
            for name, datatype in outputs.items()
        ),
    )
    return replace(version(1, card=card), signature=signature)


@pytest.mark.parametrize(
    ("stable", "candidate", "pair"),
    [
        pytest.param(y(9), y(8), Pair(agrees=True, score_change=-1.0), id="both-below"),
        pytest.param(y(9), y(11), Pair(agrees=False, score_change=2.0, turned=1), id="to-yes"),
        pytest.param(
            y(11), y(9), Pair(agrees=False, score_change=-2.0, turned=-1, yes=True), id="to-no"
        ),
        pytest.param(y(11), y(np.nan), Pair(agrees=False, turned=-1, yes=True), id="candidate-nan"),
        pytest.param(y(np.nan), y(np.nan), Pair(agrees=True), id="both-nan"),
        pytest.param(y(9), y(1, 2), Pair(agrees=False), id="candidate-unreadable"),
        pytest.param(y(9), (), Pair(agrees=False), id="candidate-says-nothing"),
        pytest.param(
            y(11), (np.array(1.0, np.float32),), Pair(agrees=False, turned=-1, yes=True), id="0-d"
        ),
        pytest.param(y(1, 2), y(9), None, id="stable-unreadable"),
    ],
)
def test_decisions_are_compared(stable: Tensors, candidate: Tensors, pair: Pair | None) -> None:
    """Versions that decide agree when they decide alike, whatever their scores."""
    assert comparison(DECIDING).pair(ROW, stable, candidate) == pair


def test_each_version_decides_by_its_own_card() -> None:
    """A candidate with another threshold may turn a decision without another score."""
    turned = Pair(agrees=False, score_change=0.0, turned=-1, yes=True)
    stricter = DECIDING.model_copy(update={"decision": Decision(threshold=20.0)})

    assert comparison(DECIDING, stricter).pair(ROW, y(15), y(15)) == turned


@pytest.mark.parametrize(
    ("candidate", "agrees"),
    [(1000.0, True), (1000.9, True), (1001.1, False), (np.nan, False)],
)
def test_without_a_decision_outputs_are_compared(candidate: float, agrees: bool) -> None:
    """To one part in a thousand."""
    pair = comparison(PLAIN).pair(ROW, y(1000), y(candidate))

    assert pair is not None
    assert pair.agrees is agrees


def test_small_outputs_are_compared_absolutely() -> None:
    """What is about nothing is alike."""
    assert comparison(PLAIN).pair(ROW, y(0), y(9e-7)) is not None
    pairs = [comparison(PLAIN).pair(ROW, y(0), y(value)) for value in (9e-7, 2e-6)]
    assert [pair.agrees for pair in pairs if pair] == [True, False]


@pytest.mark.parametrize(
    ("within", "stable", "candidate", "agrees"),
    [
        pytest.param({"absolute": 5.0}, 1000, 1004.9, True, id="near-enough"),
        pytest.param({"absolute": 5.0}, 1000, 1005.1, False, id="too-far"),
        pytest.param({"relative": 0.01}, 1000, 990.1, True, id="a-part-of-it"),
        pytest.param({"relative": 0.01}, 1000, 989.9, False, id="more-than-a-part"),
        pytest.param({"relative": 0.01, "absolute": 5.0}, 1000, 1014.9, True, id="both-together"),
        pytest.param({}, 1000, 1000.1, False, id="not-at-all"),
    ],
)
def test_a_card_says_how_far_an_output_may_be_off(
    within: dict[str, float], stable: float, candidate: float, agrees: bool
) -> None:
    """That of the candidate, which says that it behaves the same."""
    loose = PLAIN.model_copy(update={"same_within": (Near(output="y", **within),)})

    pair = comparison(PLAIN, loose).pair(ROW, y(stable), y(candidate))

    assert pair is not None
    assert pair.agrees is agrees


def test_an_output_with_a_tolerance_is_compared_beside_the_decision() -> None:
    """The same decision does not make up for another score, nor a near score for another one."""
    near = DECIDING.model_copy(update={"same_within": (Near(output="y", absolute=3.0),)})
    of = comparison(DECIDING, near)

    pairs = [of.pair(ROW, y(9), y(value)) for value in (7, 5, 11)]

    assert [pair.agrees for pair in pairs if pair] == [True, False, False]


@pytest.mark.parametrize(
    ("card", "outputs", "same", "other"),
    [
        pytest.param(
            Card(task=Task.MULTICLASS, score=Score(output="p"), decision=Decision(argmax=True)),
            {"p": Datatype.FP32},
            ([[0.2, 0.7, 0.1]], [[0.3, 0.4, 0.3]]),
            [[0.5, 0.4, 0.1]],
            id="argmax",
        ),
        pytest.param(
            Card(task=Task.MULTICLASS, decision=Decision(output="said")),
            {"said": Datatype.BYTES},
            ([["cat"]], [[b"cat"]]),
            [["dog"]],
            id="text",
        ),
    ],
)
def test_other_decisions(
    card: Card, outputs: dict[str, Datatype], same: tuple[Any, Any], other: Any
) -> None:
    """The largest class, or what an output says."""
    of = Comparison(classifier(card, **outputs), classifier(card, **outputs))
    dtype = np.float32 if "p" in outputs else object

    def tensors(values: Any) -> Tensors:
        return (np.array(values, dtype),)

    agree = of.pair(ROW, tensors(same[0]), tensors(same[1]))
    differ = of.pair(ROW, tensors(same[0]), tensors(other))
    assert agree is not None
    assert differ is not None
    assert (agree.agrees, differ.agrees) == (True, False)


TRUE = DECIDING.model_copy(update={"label": Label(type="boolean")})
CLASSES = Label(type="string", classes=("cat", "dog"))
SAYING = Card(task=Task.MULTICLASS, decision=Decision(output="said"), label=CLASSES)


@pytest.mark.parametrize(("stable", "rival"), [(y(9), 0.0), (y(11), 1.0), (y(np.nan), nan)])
def test_a_pair_whose_label_may_come_says_what_the_stable_version_decided(
    stable: Tensors, rival: float
) -> None:
    """So that the shadow's row tells of both; not where no label is awaited."""
    pair = comparison(TRUE).pair(ROW, stable, y(12))
    unlabelled = comparison(DECIDING).pair(ROW, stable, y(12))

    assert pair is not None
    assert unlabelled is not None
    assert pair.rival == pytest.approx(rival, nan_ok=True)
    assert unlabelled.rival is None


def test_of_a_regression_its_score_is_compared_with_the_label() -> None:
    """It makes no decision, and its card says from where on it is wrong."""
    judged = Label(type="number", within=Tolerance(absolute=1.0))
    card = PLAIN.model_copy(update={"label": judged})
    pairs = [comparison(card).pair(ROW, y(value), y(3)) for value in (12.5, np.nan)]

    assert [pair.rival for pair in pairs if pair] == pytest.approx([12.5, nan], nan_ok=True)
    other = judged.model_copy(update={"within": Tolerance(absolute=2.0)})
    assert not labels_tell(card, card.model_copy(update={"label": other}))


@pytest.mark.parametrize(("said", "rival"), [("cat", 0.0), ("dog", 1.0), ("cow", nan)])
def test_a_decision_in_words_has_the_number_of_its_class(said: str, rival: float) -> None:
    """One that is no class is as wrong as none."""
    of = Comparison(*[classifier(SAYING, said=Datatype.BYTES)] * 2)
    answer = (np.array([[said]], object),)

    pair = of.pair(ROW, answer, answer)

    assert pair is not None
    assert pair.rival == pytest.approx(rival, nan_ok=True)


@pytest.mark.parametrize(
    "candidate",
    [
        pytest.param({"label": Label(type="string", classes=("dog", "cat"))}, id="other-order"),
        pytest.param(
            {"label": CLASSES.model_copy(update={"expected_delay_days": 3.0})}, id="other-delay"
        ),
        pytest.param({"label": None}, id="no-label"),
        pytest.param({"decision": None}, id="no-decision"),
        pytest.param({"task": Task.REGRESSION}, id="no-classification"),
    ],
)
def test_cards_that_do_not_speak_of_labels_alike_cannot_be_compared(
    candidate: dict[str, Any],
) -> None:
    """The same number would be another class, or nobody knows what is wrong."""
    assert labels_tell(SAYING, SAYING)
    assert not labels_tell(SAYING, SAYING.model_copy(update=candidate))
    assert not labels_tell(SAYING.model_copy(update=candidate), SAYING)


def test_pairs_add_up_by_group() -> None:
    """A row counts for its group where that is known, and for all."""
    of, count = comparison(DECIDING), PairCount()
    for sex, before, after in (("f", 9, 11), ("f", 9, 9), ("m", 11, 9), (None, 9, 11)):
        groups = {"sex": np.array([sex], dtype=object)}
        pair = of.pair(Request(0, 1, INPUTS, groups), y(before), y(after))
        assert pair is not None
        count.add(pair)

    assert count.pairs() == Pairs(
        rows=4,
        disagreements=3,
        score_change=2.0,
        score_change_squared=12.0,
        scored=4,
        beyond=4,
        groups={
            ("sex", "f"): GroupPairs(rows=2, to_yes=1),
            ("sex", "m"): GroupPairs(rows=1, to_no=1, yes=1),
        },
    )


def test_groups_are_bounded() -> None:
    """A caller cannot fill the memory with names of groups."""
    count = PairCount()
    for number in range(1100):
        count.add(Pair(agrees=True, groups={"sex": str(number)}))

    assert (count.pairs().rows, len(count.pairs().groups)) == (1100, 1000)


@pytest.mark.parametrize("change", [1e155, -1e155, 1.7e308])
def test_a_score_that_is_beyond_all_measure_can_be_counted(change: float) -> None:
    """Its square is no number: what is added stays finite, and the pair counts as a whole."""
    count = PairCount()
    for _ in range(3):
        count.add(Pair(agrees=False, score_change=change, groups={"sex": "f"}))

    found = count.pairs()
    assert (found.rows, found.disagreements, found.groups["sex", "f"].rows) == (3, 3, 3)
    assert isfinite(found.score_change)
    assert isfinite(found.score_change_squared)
    assert (found.score_change > 0) is (change > 0)


def test_one_row_of_several_is_compared() -> None:
    """With its group: the others say nothing."""
    answers = [(np.array([[9.0], [after], [9.0]], np.float32),) for after in (9.0, 11.0)]
    sexes = {"sex": np.array(["f", "m", "f"], dtype=object)}
    found = [
        comparison(DECIDING).pair(Request(row, 3, (np.ones((3, 3), np.float32),), sexes), *answers)
        for row in range(3)
    ]

    assert found == [
        Pair(agrees=True, score_change=0.0, groups={"sex": "f"}),
        Pair(agrees=False, score_change=2.0, turned=1, groups={"sex": "m"}),
        Pair(agrees=True, score_change=0.0, groups={"sex": "f"}),
    ]


@pytest.mark.parametrize(
    ("stable", "candidate", "counted"),
    [
        pytest.param(0.0, 1.0, (1, 0), id="chances"),
        pytest.param(0.5, 1.01, (1, 1), id="candidate-above"),
        pytest.param(-0.01, 0.5, (1, 1), id="stable-below"),
        pytest.param(0.5, np.nan, (0, 0), id="no-score"),
        pytest.param(np.inf, np.inf, (0, 0), id="no-change"),
    ],
)
def test_it_is_known_of_how_many_scores_were_compared(
    stable: float, candidate: float, counted: tuple[int, int]
) -> None:
    """And how many were no chances: what has no bounds has no interval."""
    count = PairCount()
    pair = comparison(PLAIN).pair(ROW, y(stable), y(candidate))
    assert pair is not None
    count.add(pair)

    found = count.pairs()
    assert (found.rows, found.scored, found.beyond) == (1, *counted)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Stage]:
    """A gateway with hosts of both versions: the candidate adds one more."""
    with stage(tmp_path) as opened:
        for number in (STABLE, CANDIDATE):
            opened.start_host(number)
        yield opened


def test_shadow_answers_are_compared_with_those_that_left(served: Stage) -> None:
    """By unit at most once: what the same unit asks later is no pair."""
    served.apply(judged(1, {STABLE: FULL}, shadow_bp=FULL, card=DECIDING))
    sex = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": ["f"]}
    turned = row(2, 3, 3.5)  # 9.5 by the stable version, 10.5 by the candidate.
    turned["inputs"] = [*turned["inputs"], sex]  # type: ignore[misc]
    httpx.post(served.url + INFER, json=turned, trust_env=False)
    for _ in range(3):
        ask(served, "ada")
    ask(served)

    wait_until(lambda: shadowed(served, "sent") == 5, "all copies are answered")
    assert report(served).pairs == Pairs(
        rows=3,
        disagreements=1,
        score_change=3.0,
        score_change_squared=3.0,
        scored=3,
        beyond=3,
        groups={("sex", "f"): GroupPairs(rows=1, to_yes=1)},
    )


def test_a_request_of_many_rows_is_one_pair(served: Stage) -> None:
    """Rows of one request are alike: one of them is compared."""
    served.apply(judged(1, {STABLE: FULL}, shadow_bp=FULL, card=DECIDING))
    x = {"name": "x", "datatype": "FP32", "shape": [50, 3], "data": [1.0] * 150}
    httpx.post(served.url + INFER, json={"inputs": [x]}, trust_env=False)

    wait_until(lambda: shadowed(served, "sent") == 1, "the copy is answered")
    assert report(served).pairs == Pairs(1, 0, 1.0, 1.0, scored=1, beyond=1)


def test_a_shadow_that_answers_nonsense_disagrees(tmp_path: Path) -> None:
    """The client hears nothing of it."""

    def nonsense(tensors: Tensors) -> Tensors:
        (answer,) = run_of(CANDIDATE)(tensors)
        return (np.hstack([answer, answer]),)

    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE, nonsense)
        opened.apply(judged(1, {STABLE: FULL}, shadow_bp=FULL, card=DECIDING))
        assert ask(opened).status_code == 200

        wait_until(lambda: report(opened).pairs == Pairs(1, 1), "the pair is counted")


def test_a_shadow_that_fails_disagrees(tmp_path: Path) -> None:
    """Else only what it survives would be compared."""

    def picky(tensors: Tensors) -> Tensors:
        if (tensors[0] < 0).any():
            raise ModelFailed("the model failed: it is no good")
        return run_of(STABLE)(tensors)

    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE, picky)
        opened.apply(judged(1, {STABLE: FULL}, shadow_bp=FULL, card=DECIDING))
        for values in ((1.0, 2.0, 3.0), (-1.0, 2.0, 3.0)):
            assert ask(opened, values=values).status_code == 200

        wait_until(
            lambda: report(opened).pairs == Pairs(2, 1, scored=1, beyond=1), "the pairs are counted"
        )
