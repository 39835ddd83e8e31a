"""Any order of predictions and labels, with repeats and restarts, judges the same rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.labels.joining import Joining
from tests.monitors.labels.samples import (
    AWAITED,
    START,
    Reader,
    label,
    name,
    predictions,
    score_of,
    waits_days,
)

CARD = waits_days(1.0)
DUE = START + 86_400.0
NUMBERS = st.integers(0, 5)
ROLES = {"stable": (1, "stable"), "shadow": (2, "shadow")}

Step = tuple[str, int, object]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), NUMBERS, st.sampled_from(sorted(ROLES))),
        st.tuples(st.just("label"), NUMBERS, st.booleans()),
        st.tuples(st.just("by key"), NUMBERS, st.booleans()),
        st.tuples(st.just("audit"), NUMBERS, st.sampled_from("xy")),
        st.tuples(st.just("read"), st.just(0), st.booleans()),
        st.tuples(st.just("restart"), st.just(0), st.none()),
    ),
    max_size=40,
)

Row = tuple[str, float, float, str | None]
"""The role, the score, the label and the audit group of a judged row."""


def judged(steps: list[Step], folder: Path) -> tuple[Counter[Row], Counter[str]]:
    """What stands once everything has been told, and what was counted; each row told once."""
    reader = Reader(folder)
    for kind, number, what in steps:
        act(reader, kind, number, what)
    reader.read(DUE, CARD)
    store = reader.book._stores.get("m")
    counts = Counter(store.counts if store else ())
    reader.book.close()
    return standing(reader), counts


def act(reader: Reader, kind: str, number: int, what: object) -> None:
    """Take one step."""
    if kind == "predict":
        block = predictions([number], arm=ROLES[str(what)], keys=[f"key {number}"])
        reader.book.expect(block, CARD, START)
    elif kind == "label":
        reader.book.feedback("m", [label(number, what)], AWAITED, START)
    elif kind == "by key":
        reader.book.feedback("m", [{"key": f"key {number}", "label": what}], AWAITED, START)
    elif kind == "audit":
        message = {"prediction_id": name(number), "groups": {"origin": what}}
        reader.book.feedback("m", [message], AWAITED, START)
    elif kind == "read":
        reader.read(DUE if what else START, CARD)
    else:
        reader.restart()


def standing(reader: Reader) -> Counter[Row]:
    """The rows that were told and not taken back; none is taken back that was not told."""
    rows = Counter[Row]()
    for block in reader.blocks:
        assert not (block.corrected & (block.signs < 0)).any()
        for place, sign in enumerate(block.signs.tolist()):
            row = (
                block.role,
                float(block.scores[place]),
                float(block.labels[place]),
                block.groups["origin"][place],
            )
            assert sign > 0 or rows[row] == 1
            rows[row] += sign
    return +rows


def expected(steps: list[Step]) -> Counter[Row]:
    """The rows of all predictions with a label, with the last label and the last audit group."""
    asked = {(number, what) for kind, number, what in steps if kind == "predict"}
    labels = {number: what for kind, number, what in steps if kind in ("label", "by key")}
    audits = {number: str(what) for kind, number, what in steps if kind == "audit"}
    return Counter(
        (str(role), score_of(number), float(bool(labels[number])), audits.get(number))
        for number, role in asked
        if number in labels
    )


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_prediction_with_a_label_is_judged_once_by_its_last_label(steps: list[Step]) -> None:
    """Whatever came first, however often, and whenever the process began anew."""
    with TemporaryDirectory() as folder:
        found, _ = judged(steps, Path(folder))
        assert found == expected(steps)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_the_order_does_not_matter_where_nothing_is_corrected(data: st.DataObject) -> None:
    """Predictions and labels in two orders give the same rows and the same counts of rows."""
    steps: list[Step] = [
        *[("predict", n, role) for n in range(4) for role in ROLES],
        *[("label", n, n % 2 == 0) for n in range(1, 6)],
        ("audit", 2, "x"),
        ("restart", 0, None),
    ]
    one, other = (data.draw(st.permutations(steps)) for _ in range(2))
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        rows, counts = judged(one, Path(first))
        same_rows, same_counts = judged(other, Path(second))
    assert rows == same_rows
    for name_ in ("predictions", "labelled", "held", "pending", "waiting now"):
        assert counts[name_] == same_counts[name_]


def test_a_join_that_forgets_those_that_wait_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The check above fails for a join that works in one order only."""
    steps: list[Step] = [("label", 1, True), ("predict", 1, "stable")]
    monkeypatch.setattr(Joining, "meet", lambda *_args, **_kwargs: None)
    found, _ = judged(steps, tmp_path)
    assert found != expected(steps)
