"""Labels meet their predictions, whichever of the two comes first, and each is counted once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from configs.settings import Labels
from monitors.labels.message import Awaited
from monitors.labels.receipt import Receipt
from monitors.labels.tally import PENDING, WAITING_NOW
from registry.card import Card, Decision, Label, Score, Task
from tests.monitors.labels.samples import (
    AWAITED,
    CARD,
    DAY_S,
    START,
    Reader,
    label,
    name,
    predictions,
    score_of,
    waits_days,
)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A book, and somebody who folds what it judges."""
    reader = Reader(tmp_path)
    yield reader
    reader.book.close()


def test_a_label_meets_its_prediction(reader: Reader) -> None:
    """Everything that was said of the row and everything that came with its label are judged."""
    reader.book.expect(predictions([1, 2]), CARD, START)
    messages = [label(2, True, at=START + 5.0, groups={"town": "Graz"}, values={"paid": 3})]

    receipt = reader.book.feedback("m", messages, AWAITED, START + 9.0)
    reader.read(START + 9.0)

    assert receipt == Receipt(accepted=1, joined=1)
    (block,) = reader.blocks
    assert (block.model, block.version, block.role, block.rows) == ("m", 1, "stable", 1)
    assert block.keys.tolist() == predictions([2]).keys().tolist()
    assert (block.scores[0], block.decisions[0], block.labels[0]) == (score_of(2), 0.0, 1.0)
    assert (block.predicted_at[0], block.labelled_at[0]) == (START, START + 5.0)
    assert {name: held.tolist() for name, held in block.groups.items()} == {
        "sex": ["m"],
        "town": ["Graz"],
        "origin": [None],
    }
    assert block.values["paid"].tolist() == [3.0]
    assert block.first.tolist() == [True]


def test_a_label_waits_for_its_prediction(reader: Reader) -> None:
    """A label that was quicker is not lost, also over a restart."""
    reader.book.expect(predictions([0]), CARD, START)
    receipt = reader.book.feedback("m", [label(1)], AWAITED, START)
    reader.restart()
    reader.book.expect(predictions([1]), CARD, START + 1.0)
    reader.read(START + 1.0)

    assert receipt == Receipt(accepted=1, waiting=1)
    assert reader.rows() == [("stable", score_of(1), 1.0, 1, False)]
    told = reader.book.told("m", {1: CARD}, START + 1.0)
    assert (told.pending, told.waiting, told.counts["found"]) == (1, 0, 1)


def test_a_request_may_be_named_by_its_callers_own_id(reader: Reader) -> None:
    """Before the prediction and after it; the id itself is nowhere in the file."""
    reader.book.expect(predictions([1, 2], keys=["order-17", None]), CARD, START)
    messages = [{"key": "order-17", "label": True}, {"key": "order-18", "label": False}]

    receipt = reader.book.feedback("m", messages, AWAITED, START)
    reader.book.expect(predictions([3], keys=["order-18"]), CARD, START)
    reader.read(START)

    assert (receipt.joined, receipt.waiting) == (1, 1)
    assert reader.rows() == [
        ("stable", score_of(1), 1.0, 1, False),
        ("stable", score_of(3), 0.0, 1, False),
    ]
    reader.book.close()
    kept = b"".join(path.read_bytes() for path in reader._folder.iterdir())
    assert b"order-1" not in kept


def test_the_same_label_again_changes_nothing(reader: Reader) -> None:
    """In one call, in another, and when it is said to be known at another time."""
    reader.book.expect(predictions([1]), CARD, START)
    first = reader.book.feedback("m", [label(1), label(1)], AWAITED, START)
    again = reader.book.feedback("m", [label(1, at=START - 9.0)], AWAITED, START)
    reader.read(START)

    assert (first.joined, first.repeated) == (1, 1)
    assert again == Receipt(accepted=1, repeated=1)
    assert reader.rows() == [("stable", score_of(1), 1.0, 1, False)]


def test_another_label_later_takes_the_first_back(reader: Reader) -> None:
    """The old row goes with sign -1, the new one is marked as corrected; both can be bet on not."""
    reader.book.expect(predictions([1]), CARD, START)
    reader.book.feedback("m", [label(1, True, values={"paid": 1})], AWAITED, START)
    reader.read(START)
    receipt = reader.book.feedback("m", [label(1, False)], AWAITED, START)
    reader.read(START)

    assert receipt == Receipt(accepted=1, corrected=1)
    assert reader.rows() == [
        ("stable", score_of(1), 1.0, 1, False),
        ("stable", score_of(1), 1.0, -1, False),
        ("stable", score_of(1), 0.0, 1, True),
    ]
    assert reader.blocks[1].first.tolist() == [False, False]
    np.testing.assert_equal(reader.blocks[1].values["paid"], [1.0, np.nan])


def test_a_label_that_is_corrected_before_it_counts_was_never_another(reader: Reader) -> None:
    """Nobody has bet on what nobody was told."""
    card = waits_days(1.0)
    reader.book.expect(predictions([1]), card, START)
    reader.book.feedback("m", [label(1, True), label(1, False)], AWAITED, START)
    reader.read(START + DAY_S, card)

    assert reader.rows() == [("stable", score_of(1), 0.0, 1, False)]


def test_a_label_counts_when_its_prediction_is_old_enough(reader: Reader) -> None:
    """Early labels wait, also over a restart; those that come later than expected count at once."""
    card = waits_days(2.0)
    reader.book.expect(predictions([1, 2]), card, START)
    reader.book.feedback("m", [label(1)], AWAITED, START + 5.0)
    reader.read(START + 2 * DAY_S - 1.0, card)
    assert reader.rows() == []

    reader.restart()
    reader.read(START + 2 * DAY_S, card)
    assert reader.rows() == [("stable", score_of(1), 1.0, 1, False)]

    reader.book.feedback("m", [label(2)], AWAITED, START + 3 * DAY_S)
    reader.read(START + 3 * DAY_S, card)
    assert len(reader.rows()) == 2


def test_a_shadow_is_judged_by_the_label_of_the_same_request(reader: Reader) -> None:
    """Whether the shadow's answer comes before the label or after it."""
    reader.book.expect(predictions([1, 2]), CARD, START)
    reader.book.expect(predictions([1], arm=(2, "shadow")), CARD, START)
    reader.book.feedback("m", [label(1), label(2)], AWAITED, START)
    reader.book.expect(predictions([2], arm=(2, "shadow")), CARD, START)
    reader.read(START)

    assert sorted(reader.rows()) == sorted(
        (role, score_of(number), 1.0, 1, False)
        for role in ("stable", "shadow")
        for number in (1, 2)
    )


def test_a_prediction_that_comes_twice_counts_once(reader: Reader) -> None:
    """In one block and in two; the others of the block are kept."""
    reader.book.expect(predictions([1, 1, 2]), CARD, START)
    reader.book.expect(predictions([2, 3]), CARD, START)
    reader.book.feedback("m", [label(1), label(2), label(3)], AWAITED, START)
    reader.read(START)

    assert sorted(score for _, score, *_ in reader.rows()) == [score_of(n) for n in (1, 2, 3)]
    assert reader.book.told("m", {1: CARD}, START).counts["predictions"] == 3


def test_audit_groups_come_by_themselves(reader: Reader) -> None:
    """Before the row is judged they go with it; after it, the row is taken back and told again."""
    reader.book.expect(predictions([1, 2]), CARD, START)
    audit = [{"prediction_id": name(number), "groups": {"origin": "x"}} for number in (1, 2)]
    early = reader.book.feedback("m", audit[:1], AWAITED, START)
    reader.book.feedback("m", [label(1), label(2)], AWAITED, START)
    reader.read(START)
    late = reader.book.feedback("m", [audit[1], audit[1]], AWAITED, START)
    reader.read(START)

    assert early == Receipt(accepted=1, joined=1)
    assert late == Receipt(accepted=2, joined=1, repeated=1)
    assert [
        (origin, sign)
        for block in reader.blocks
        for origin, sign in zip(block.groups["origin"], block.signs.tolist(), strict=True)
    ] == [("x", 1), (None, 1), (None, -1), ("x", 1)]


def test_audit_groups_may_come_before_the_prediction(reader: Reader) -> None:
    """They wait, by the caller's own key too."""
    receipt = reader.book.feedback("m", [{"key": "a", "groups": {"origin": "x"}}], AWAITED, START)
    reader.book.expect(predictions([1], keys=["a"]), CARD, START)
    reader.book.feedback("m", [label(1)], AWAITED, START)
    reader.read(START)

    assert receipt.waiting == 1
    assert reader.blocks[0].groups["origin"].tolist() == ["x"]


def test_refused_messages_are_told_and_counted(reader: Reader) -> None:
    """The others are taken in; of many refusals a hundred are told."""
    reader.book.expect(predictions([1]), CARD, START)
    wrong = [label(2, "yes"), label(3, at=START + 1e6)] + [{}] * 200

    receipt = reader.book.feedback("m", [*wrong, label(1)], AWAITED, START)

    assert (receipt.accepted, receipt.joined, receipt.refused_count) == (1, 1, 202)
    assert [index for index, _ in receipt.refused] == list(range(100))
    assert "in the future" in receipt.refused[1][1]
    counts = reader.book.told("m", {}, START).counts
    assert (counts["refused"], counts["in the future"], counts["joined"]) == (202, 1, 1)


def test_what_is_too_old_is_dropped_and_counted(reader: Reader) -> None:
    """Predictions without a label, labels without a prediction; each by what it was."""
    reader.book.expect(predictions([1, 2]), CARD, START)
    reader.book.feedback("m", [label(1), label(9)], AWAITED, START)
    reader.read(START)
    reader.read(START + 31 * DAY_S)

    told = reader.book.told("m", {1: CARD}, START + 31 * DAY_S)
    assert (told.pending, told.waiting) == (0, 0)
    assert (told.counts["lost: expired"], told.counts["unmatched"]) == (1, 1)
    late = reader.book.feedback("m", [label(2)], AWAITED, START + 31 * DAY_S)
    assert late.waiting == 1


def test_a_prediction_is_kept_until_its_label_counts(tmp_path: Path) -> None:
    """A time to live below the expected delay does not lose what was declared to come late."""
    reader = Reader(tmp_path, Labels(time_to_live_days=1.0))
    card = waits_days(10.0)
    reader.book.expect(predictions([1]), card, START)
    reader.read(START + 9 * DAY_S, card)
    reader.book.feedback("m", [label(1)], AWAITED, START + 9 * DAY_S)
    reader.read(START + 10 * DAY_S, card)
    reader.book.close()

    assert len(reader.rows()) == 1


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    """Predictions and labels alike; what is left can still be joined."""
    reader = Reader(tmp_path, Labels(rows_max=1000))
    reader.book.expect(predictions(range(1500)), CARD, START)
    reader.book.feedback("m", [label(n) for n in range(10_000, 11_200)], AWAITED, START)

    told = reader.book.told("m", {1: CARD}, START)
    joined = reader.book.feedback("m", [label(0), label(1499)], AWAITED, START)
    reader.book.close()

    assert (told.pending, told.waiting) == (1000, 1000)
    assert (told.counts["lost: evicted"], told.counts["evicted"]) == (500, 200)
    assert (joined.joined, joined.waiting) == (1, 1)


def test_what_was_judged_is_not_lost(tmp_path: Path) -> None:
    """A prediction that leaves after it was judged is no loss, and is folded all the same."""
    reader = Reader(tmp_path, Labels(rows_max=1000))
    reader.book.expect(predictions([1]), CARD, START)
    reader.book.feedback("m", [label(1)], AWAITED, START)
    reader.book.expect(predictions(range(10, 1010)), CARD, START)
    reader.read(START)

    assert len(reader.rows()) == 1
    assert reader.book.told("m", {1: CARD}, START).counts["lost: evicted"] == 0
    reader.book.close()


def test_the_counts_are_those_of_the_rows(reader: Reader) -> None:
    """What is said to be pending and waiting is what the file holds."""
    reader.book.expect(predictions(range(20)), CARD, START)
    reader.book.feedback("m", [label(n) for n in range(15, 30)], AWAITED, START)
    reader.book.expect(predictions(range(18, 25)), CARD, START)

    store = reader.book._stores["m"]
    (pending,) = store._db.execute(
        "SELECT COUNT(*) FROM predictions WHERE label IS NULL"
    ).fetchone()
    (waiting,) = store._db.execute("SELECT COUNT(*) FROM waiting").fetchone()
    assert (store.counts[PENDING], store.counts[WAITING_NOW]) == (pending, waiting) == (15, 5)
    before = +store.counts
    reader.restart()
    reader.book.ripen(START)
    assert +reader.book._stores["m"].counts == before


def test_classes_are_numbered_by_the_card_of_each_version(reader: Reader) -> None:
    """Two versions may name the classes in another order; a class that one lacks is left out."""
    first = multiclass("good", "bad")
    second = multiclass("bad", "good", "ugly")
    for number, (version, card) in enumerate(((1, first), (2, second)), 1):
        reader.book.expect(predictions([number, number + 2], arm=(version, "stable")), card, START)
    awaited = Awaited(second.label or Label())
    told = [label(1, "bad"), label(2, "bad"), label(3, "ugly"), label(4, "ugly")]
    reader.book.feedback("m", told, awaited, START)
    reader.book.ripen(START)

    labels = {
        version: [
            block.labels.tolist()
            for block, _ in reader.book.judged(("m", version, "stable"), card, 0)
        ]
        for version, card in ((1, first), (2, second))
    }
    assert labels == {1: [[1.0]], 2: [[0.0, 2.0]]}


def multiclass(*classes: str) -> Card:
    """A card whose label is one of some classes."""
    return Card(
        task=Task.MULTICLASS,
        score=Score(output="p"),
        decision=Decision(threshold=0.5),
        label=Label(type="string", classes=classes),
    )
