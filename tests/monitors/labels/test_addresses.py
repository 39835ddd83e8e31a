"""Predictions are found by their names, whether these are in the tree yet or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitors.labels import addresses
from monitors.labels.addresses import name_of_request, names_of_ids
from tests.monitors.labels.samples import (
    AWAITED,
    CARD,
    DAY_S,
    START,
    Reader,
    label,
    predictions,
    score_of,
)

GATHERED = 10
LATE = START + 31 * DAY_S
"""When everything of the start has expired."""


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A book whose names go into the tree by tens."""
    monkeypatch.setattr(addresses, "GATHERED_MAX", GATHERED)
    reader = Reader(tmp_path)
    yield reader
    reader.book.close()


def entries(reader: Reader) -> tuple[int, int]:
    """How many names are in memory, and how many in the tree."""
    db = reader.book._stores["m"]._db
    (recent,) = db.execute("SELECT COUNT(*) FROM recent").fetchone()
    (tree,) = db.execute("SELECT COUNT(*) FROM addresses").fetchone()
    return recent, tree


def test_names_go_into_the_tree_together_and_are_found_in_either(reader: Reader) -> None:
    """By the id and by the caller's key, before a restart and after it."""
    reader.book.expect(predictions(range(12), keys=[f"key {n}" for n in range(12)]), CARD, START)
    reader.book.expect(predictions(range(12, 15)), CARD, START)
    assert entries(reader) == (3, 24)
    by_key = [{"key": "key 2", "label": True}]
    first = reader.book.feedback("m", [label(1), label(13), *by_key], AWAITED, START)
    reader.restart()
    by_key = [{"key": "key 4", "label": True}]
    again = reader.book.feedback("m", [label(3), label(14), *by_key], AWAITED, START)

    assert (first.joined, again.joined) == (3, 3)
    assert entries(reader) == (3, 24)


def test_a_prediction_whose_name_is_in_the_tree_counts_once(reader: Reader) -> None:
    """It is known again, and leaves no name behind."""
    reader.book.expect(predictions(range(12)), CARD, START)
    reader.book.expect(predictions([3, 20]), CARD, START)
    reader.book.expect(predictions([20, 3, 21]), CARD, START)

    assert entries(reader) == (2, 12)
    assert reader.book.told("m", {1: CARD}, START).pending == 14


def test_a_shadow_finds_the_label_in_the_tree(reader: Reader) -> None:
    """Its stable sibling was labelled long ago."""
    reader.book.expect(predictions(range(12)), CARD, START)
    reader.book.feedback("m", [label(5)], AWAITED, START)
    reader.book.expect(predictions([5], arm=(2, "shadow")), CARD, START)
    reader.read(START)

    assert sorted(role for role, *_ in reader.rows()) == ["shadow", "stable"]


def test_names_leave_with_their_predictions(reader: Reader) -> None:
    """From memory and from the tree, of ids and of requests."""
    keys = [f"key {n}" for n in range(12)]
    reader.book.expect(predictions(range(12), keys=keys), CARD, START)
    reader.book.expect(predictions([13], keys=["key 13"]), CARD, START)
    assert entries(reader) == (2, 24)
    reader.read(LATE)
    assert entries(reader) == (0, 0)


def test_what_comes_after_everything_has_expired_is_found_after_a_restart(reader: Reader) -> None:
    """Its number is none that the tree has had already."""
    reader.book.expect(predictions(range(12)), CARD, START)
    reader.read(LATE)
    reader.book.expect(predictions([30], LATE), CARD, LATE)
    reader.restart()
    receipt = reader.book.feedback("m", [label(30)], AWAITED, LATE)

    assert receipt.joined == 1


def test_names_that_begin_alike_are_told_apart(reader: Reader) -> None:
    """The tree knows the first half of each; the whole is compared."""
    block = predictions([1, 2])
    ids = ["a" * 16 + "0" * 16, "a" * 16 + "1" * 16]
    block.prediction_ids[:] = np.array(ids, dtype="S32")
    reader.book.expect(block, CARD, START)
    reader.book.expect(block, CARD, START)
    messages = [
        {"prediction_id": ids[1].upper(), "label": True},
        {"prediction_id": "a" * 16 + "2" * 16, "label": True},
    ]
    receipt = reader.book.feedback("m", messages, AWAITED, START)
    reader.read(START)

    assert (receipt.joined, receipt.waiting) == (1, 1)
    assert [score for _, score, *_ in reader.rows()] == [score_of(2)]


def test_a_name_is_what_the_id_says() -> None:
    """Both halves with a sign, from the lowest to the highest."""
    ids = ["0" * 32, "7" + "f" * 31, "8" + "0" * 31, "f" * 32]
    assert names_of_ids(ids) == [
        (0, 0),
        (2**63 - 1, -1),
        (-(2**63), 0),
        (-1, -1),
    ]
    assert names_of_ids([]) == []


def test_the_hash_of_a_request_needs_the_key() -> None:
    """Whoever has the file alone cannot try ids until one fits."""
    assert name_of_request("order-1", b"a" * 32) != name_of_request("order-1", b"b" * 32)
    assert name_of_request("\ud800", b"a" * 32) == name_of_request("\ud800", b"a" * 32)
