"""Units of a rollout are counted by arm when their first label counts, once, whatever dies."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.blocks import SampleBlock
from monitors.labels import database
from monitors.labels.assigned import SHADOW, Assigned, can_be_wrong
from monitors.labels.assigned_units import ROLLOUTS_KEPT
from registry.card import Card, Decision, Label, Score, Task, Tolerance
from tests.monitors.labels.samples import (
    AWAITED,
    CARD,
    DAY_S,
    START,
    Reader,
    label,
    predictions,
    score_of,
    waits_days,
)

DUE = START + DAY_S
ONE, OTHER = Assigned("r", 7, "candidate"), Assigned("r", 7, "stable")
Counts = dict[Assigned, tuple[int, int]]


def assigned(numbers: Sequence[int], *to: Assigned | None) -> SampleBlock:
    """Predictions that stand for units of arms, in turn; number 4 and above are decided as yes."""
    arms = np.full(len(numbers), None, dtype=np.object_)
    for place, number in enumerate(numbers):
        arms[place] = to[number % len(to)]
    return replace(predictions(numbers), assigned=arms)


def counts(reader: Reader) -> Counts:
    """Units with a label, and wrong ones, by what they were assigned to."""
    units = reader.book.labelled_units("m")
    return {each.assigned: (each.labelled, each.wrong) for each in units}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A book, and somebody who folds what it judges."""
    reader = Reader(tmp_path)
    yield reader
    reader.book.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), st.integers(0, 7), st.none()),
        st.tuples(st.just("label"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("read"), st.just(0), st.booleans()),
        st.tuples(st.just("restart"), st.just(0), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_what_is_counted_is_what_the_monitors_are_told_of_first(
    steps: list[tuple[str, int, bool | None]],
) -> None:
    """In any order, with repeats, corrections and restarts; and counts never fall."""
    arms = (ONE, OTHER, None)
    card = waits_days(1.0)
    with TemporaryDirectory() as folder:
        reader = Reader(Path(folder))
        seen: Counts = {}
        for kind, number, what in steps:
            if kind == "predict":
                reader.book.expect(assigned([number], *arms), card, START)
            elif kind == "label":
                reader.book.feedback("m", [label(number, what)], AWAITED, START)
            elif kind == "read":
                reader.read(DUE if what else START, card)
            else:
                reader.restart()
            now = counts(reader)
            for each, (labelled, wrong) in seen.items():
                assert (now[each][0] >= labelled, now[each][1] >= wrong) == (True, True)
            seen = now
        reader.read(DUE, card)
        found = counts(reader)
        reader.book.close()
    by_key = {int(predictions([number]).keys()[0]): number for number in range(8)}
    expected = Counter[tuple[Assigned, bool]]()
    for block in reader.blocks:
        for key, truth in zip(block.keys[block.first], block.labels[block.first], strict=True):
            number = by_key[int(key)]
            if (arm := arms[number % 3]) is not None:
                expected[arm, (score_of(number) >= 0.5) != bool(truth)] += 1
    for arm in (ONE, OTHER):
        wrong = expected[arm, True]
        assert found.get(arm, (0, 0)) == (expected[arm, False] + wrong, wrong)


def test_a_label_counts_when_its_prediction_is_old_enough(reader: Reader) -> None:
    """As everywhere else: those that come early are others than those that come late."""
    reader.book.expect(assigned([1], ONE), waits_days(1.0), START)
    reader.book.feedback("m", [label(1, True)], AWAITED, START)
    assert counts(reader) == {ONE: (0, 0)}

    reader.restart()
    reader.book.ripen(DUE)

    assert counts(reader) == {ONE: (1, 1)}


def test_a_correction_changes_nothing(reader: Reader) -> None:
    """What was bet on stands."""
    reader.book.expect(assigned([1, 2], ONE), CARD, START)
    for truth in (False, True, False):
        reader.book.feedback("m", [label(1, truth)], AWAITED, START)

    assert counts(reader) == {ONE: (1, 0)}


def shadowed(numbers: Sequence[int], rival: float) -> SampleBlock:
    """Answers of a shadow, beside others that decided `rival`."""
    block = assigned(numbers, Assigned("r", 0, SHADOW, rival))
    return replace(block, role="shadow", version=2)


@pytest.mark.parametrize(
    ("number", "rival", "truth", "wrong"),
    [
        pytest.param(4, 1.0, True, (0, 0, 0), id="both-right"),
        pytest.param(4, 1.0, False, (1, 1, 1), id="both-wrong"),
        pytest.param(4, 0.0, False, (1, 0, 0), id="shadow-wrong"),
        pytest.param(1, 1.0, False, (0, 1, 0), id="stable-wrong"),
        pytest.param(1, nan, False, (0, 1, 0), id="stable-undecided"),
    ],
)
def test_one_label_tells_of_both_answers_to_a_row(
    reader: Reader, number: int, rival: float, truth: bool, wrong: tuple[int, int, int]
) -> None:
    """The shadow's row brings along what the other decided; that one has a row of its own too."""
    reader.book.expect(assigned([number], OTHER), CARD, START)
    reader.book.expect(shadowed([number], rival), CARD, START)
    reader.book.feedback("m", [label(number, truth)] * 2, AWAITED, START)

    (shadow,) = [u for u in reader.book.labelled_units("m") if u.assigned.arm == SHADOW]
    assert shadow.labelled == 1
    assert (shadow.wrong, shadow.rival_wrong, shadow.both_wrong) == wrong


def test_a_shadow_that_decides_nothing_is_wrong(reader: Reader) -> None:
    """As it is for whoever would have got its answer; in an arm nobody knows what it would be."""
    silent = {"p": np.full((1, 1), np.nan, np.float32)}
    reader.book.expect(replace(shadowed([1], 1.0), outputs=silent), CARD, START)
    reader.book.expect(replace(assigned([2], ONE), outputs=silent), CARD, START)
    reader.book.feedback("m", [label(1, True), label(2, True)], AWAITED, START)

    assert counts(reader) == {ONE: (0, 0), Assigned("r", 0, SHADOW): (1, 1)}


def test_pairs_add_up_over_what_the_other_decided(reader: Reader) -> None:
    """Over a restart too; and labels that are corrected or repeated change nothing."""
    reader.book.expect(shadowed([4, 5], 0.0), CARD, START)
    reader.book.feedback("m", [label(4, False), label(5, False)], AWAITED, START)
    reader.restart()
    reader.book.expect(shadowed([6, 1], 1.0), CARD, START)
    reader.book.feedback("m", [label(6, False), label(1, True), label(4, True)], AWAITED, START)

    (shadow,) = reader.book.labelled_units("m")
    assert (shadow.labelled, shadow.wrong, shadow.rival_wrong, shadow.both_wrong) == (4, 4, 1, 1)


def test_the_source_is_that_of_the_file(reader: Reader, tmp_path: Path) -> None:
    """Over restarts the same; one who begins with an empty folder counts from nothing."""
    other = Reader(tmp_path / "other")
    sources = []
    for each in (reader, other):
        each.book.expect(assigned([1], ONE), CARD, START)
        sources += [unit.source for unit in each.book.labelled_units("m")]
    other.book.close()
    reader.restart()

    assert [unit.source for unit in reader.book.labelled_units("m")] == sources[:1]
    assert sources[0] != sources[1]


def test_only_the_latest_rollouts_are_kept(reader: Reader) -> None:
    """So that the file does not grow with them; a label of one before is joined all the same."""
    for number in range(ROLLOUTS_KEPT + 3):
        reader.book.expect(assigned([number], Assigned(f"r{number}", 1, "stable")), CARD, START)
    last = ROLLOUTS_KEPT + 2

    receipt = reader.book.feedback("m", [label(0), label(last)], AWAITED, START)

    assert receipt.joined == 2
    kept = counts(reader)
    assert {each.rollout for each in kept} == {f"r{number}" for number in range(3, last + 1)}
    assert kept[Assigned(f"r{last}", 1, "stable")][0] == 1
    assert sum(labelled for labelled, _ in kept.values()) == 1


def test_answers_that_are_no_decisions_are_not_counted(reader: Reader) -> None:
    """A price is off by more or less, and nobody has said from where on it is wrong."""
    price = Card(task=Task.REGRESSION, score=Score(output="p"), label=CARD.label)
    undecided = CARD.model_copy(update={"decision": None})
    for card in (price, undecided):
        assert not can_be_wrong(card)
        reader.book.expect(assigned([1], ONE), card, START)
    assert can_be_wrong(CARD)
    assert can_be_wrong(
        Card(
            task=Task.MULTICLASS,
            score=Score(output="p"),
            decision=Decision(argmax=True),
            label=CARD.label,
        )
    )
    reader.book.feedback("m", [label(1, False)], AWAITED, START)

    assert counts(reader) == {}


def test_a_file_that_knew_nothing_of_rollouts_goes_on(tmp_path: Path) -> None:
    """Its predictions are there, and from now on units are counted."""
    reader = Reader(tmp_path)
    reader.book.expect(assigned([1], ONE), CARD, START)
    reader.book.close()
    (path,) = tmp_path.glob("*.db")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP TABLE assigned; ALTER TABLE predictions DROP COLUMN assigned; "
            "ALTER TABLE predictions DROP COLUMN rival; "
            "DELETE FROM meta WHERE name = 'source'; PRAGMA user_version = 1"
        )

    reader.restart()
    reader.book.expect(assigned([2], ONE), CARD, START)
    receipt = reader.book.feedback("m", [label(1), label(2)], AWAITED, START)

    assert receipt.joined == 2
    assert counts(reader) == {ONE: (1, 1)}
    reader.book.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (database.SCHEMA_VERSION,)


def test_numbers_of_any_size_are_compared_with_their_labels(reader: Reader) -> None:
    """A card without classes may mean any by them; and none at all is none of them."""
    label_ = Label(type="integer")
    card = CARD.model_copy(
        update={"task": Task.MULTICLASS, "decision": Decision(output="p"), "label": label_}
    )
    awaited = replace(AWAITED, label=label_)
    for number, rival, truth in ((1, -1.0, -1), (2, 5000.0, 5000), (3, nan, -1)):
        said = {"p": np.full((1, 1), 7.0, np.float32)}
        reader.book.expect(replace(shadowed([number], rival), outputs=said), card, START)
        reader.book.feedback("m", [label(number, truth)], awaited, START)

    (shadow,) = reader.book.labelled_units("m")
    assert (shadow.labelled, shadow.wrong, shadow.rival_wrong, shadow.both_wrong) == (3, 3, 1, 1)


@pytest.mark.parametrize(
    ("truth", "wrong"),
    [(0.5, 0), (0.6, 0), (0.7, 1), (0.3, 1)],
    ids=["same", "near", "far", "below"],
)
def test_an_answer_of_a_regression_is_wrong_that_is_farther_off_than_the_card_allows(
    reader: Reader, truth: float, wrong: int
) -> None:
    """By its score, whoever it was assigned to; the other one by its own."""
    label_ = Label(type="number", within=Tolerance(absolute=0.05, relative=0.1))
    card = Card(task=Task.REGRESSION, score=Score(output="p"), label=label_)
    assert can_be_wrong(card)
    reader.book.expect(assigned([4], ONE), card, START)  # Its score is 0.5.
    reader.book.expect(shadowed([4], truth), card, START)
    reader.book.feedback("m", [label(4, truth)], replace(AWAITED, label=label_), START)

    assert counts(reader) == {ONE: (1, wrong), Assigned("r", 0, SHADOW): (1, wrong)}
    (shadow,) = [u for u in reader.book.labelled_units("m") if u.assigned.arm == SHADOW]
    assert shadow.rival_wrong == 0


def test_a_file_that_knew_nothing_of_shadows_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it has counted, and from now on shadows are counted."""
    source = Reader(tmp_path)
    source.book.expect(predictions([1]), CARD, START)
    source.book.close()
    (path,) = tmp_path.glob("*.db")
    path.unlink()
    monkeypatch.setattr(database, "SCHEMA_VERSION", 2)
    with closing(database.opened(path, "m")) as db:
        db.execute(
            "INSERT INTO assigned (rollout, generation, arm, label, labelled, wrong) "
            "VALUES ('r', 7, 'candidate', ?, 5, 2)",
            (Label(type="boolean").model_dump_json(),),
        )
    monkeypatch.undo()

    reader = Reader(tmp_path)
    reader.book.expect(assigned([2], ONE), CARD, START)
    reader.book.expect(shadowed([4], 0.0), CARD, START)
    reader.book.feedback("m", [label(2), label(4)], AWAITED, START)

    assert counts(reader) == {ONE: (6, 3), Assigned("r", 0, SHADOW): (1, 0)}
    reader.book.close()
