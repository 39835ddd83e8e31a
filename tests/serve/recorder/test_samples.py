"""What is kept of requests: by the id alone, in halves, in columns that fit together."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.labels.assigned import Assigned
from monitors.labels.message import KEY_MAX
from registry.card import Card, Decision, Feature, Group, Label, Policy, Score, Task
from registry.records import Role
from registry.signature import Datatype, Signature, TensorSpec
from serve.recorder.samples import Origin, Sample, blocks, no_rows
from tests.serve.recorder.sampling import STABLE, recorder, sample
from tests.serve.versions import MODEL, REGRESSOR

PICTURE = Signature(
    inputs=(
        TensorSpec(name="image", datatype=Datatype.FP32, shape=(-1, 3, 224, 224)),
        TensorSpec(name="row", datatype=Datatype.FP32, shape=(-1, 1)),
    ),
    outputs=(
        TensorSpec(name="score", datatype=Datatype.FP32, shape=(-1, 1)),
        TensorSpec(name="mask", datatype=Datatype.FP32, shape=(-1, 1)),
    ),
)


def test_rows_become_columns() -> None:
    """A block holds ids, row numbers, inputs, outputs and groups, row under row, in order."""
    made, lost = blocks(
        [
            sample(1, 2, groups={"sex": ["f", "m"]}),
            sample(2),
            sample(3, 1, groups={"sex": ["m"], "age": ["old"]}),
        ],
        "gateway-7",
        0.25,
        99.0,
    )

    (block,) = made
    assert lost == 0
    assert (block.model, block.version, block.role) == (MODEL, 1, "stable")
    assert (block.source, block.rate, block.rows) == ("gateway-7", 0.25, 4)
    assert block.made_at == 99.0
    assert block.prediction_ids.dtype == "S32"
    assert [int(name, 16) for name in block.prediction_ids] == [1, 1, 2, 3]
    assert block.row_numbers.tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(block.inputs["x"], [[0, 1, 1], [1, 1, 1], [0, 2, 2], [0, 3, 3]])
    np.testing.assert_array_equal(block.outputs["y"], [[2], [3], [4], [6]])
    assert block.inputs["x"].dtype == np.float32
    assert block.groups["sex"].tolist() == ["f", "m", None, "m"]
    assert block.groups["age"].tolist() == [None, None, None, "old"]


def test_one_row_of_a_request_stands_for_its_unit() -> None:
    """Which one its draw says: rows of one request are alike, and a unit counts once."""
    arm = Assigned("r", 7, "candidate")
    units = [sample(1, 2), sample(6, 4)._replace(assigned=arm), sample(4, 3)._replace(assigned=arm)]

    (block,), _ = blocks(units, "me", 1.0, 99.0)
    (nobody,), _ = blocks([sample(1, 2)], "me", 1.0, 99.0)

    assert block.assigned is not None
    assert block.assigned.tolist() == [*[None] * 2, *[None, None, arm, None], *[None, arm, None]]
    assert nobody.assigned is None


def test_each_version_and_role_has_a_block_of_its_own() -> None:
    """Rows of a shadow never stand among those of the stable version."""
    shadow = Origin(MODEL, 2, Role.SHADOW, REGRESSOR)

    made, _ = blocks([sample(1), sample(2, origin=shadow), sample(3)], "me", 1.0, 99.0)

    assert {(block.version, block.role): block.rows for block in made} == {
        (1, "stable"): 2,
        (2, "shadow"): 1,
    }


def test_a_model_without_a_batch_gets_a_first_dimension() -> None:
    """Each request of such a model is one row of its block."""
    spec = TensorSpec(name="x", datatype=Datatype.FP32, shape=(2, 2))
    alone = Origin(MODEL, 1, Role.STABLE, Signature(inputs=(spec,), outputs=(spec,)))
    grids = [np.full((2, 2), value, np.float32) for value in (1.0, 2.0)]

    made, lost = blocks(
        [Sample(alone, f"{n:032x}", 1, (grid,), (grid,), {}) for n, grid in enumerate(grids)],
        "me",
        1.0,
        99.0,
    )

    assert lost == 0
    assert made[0].rows == 2
    np.testing.assert_array_equal(made[0].inputs["x"], np.stack(grids))


def test_rows_that_do_not_fit_together_are_counted() -> None:
    """Requests of other widths cannot stand in one column: their rows are lost, and it is said."""
    other = Origin(MODEL, 2, Role.STABLE, REGRESSOR)

    made, lost = blocks(
        [sample(1, 2), sample(2, 3, width=5), sample(3, origin=other)], "me", 1.0, 99.0
    )

    assert lost == 5
    assert [block.version for block in made] == [2]


def test_nothing_makes_no_block() -> None:
    """Without samples there is nothing to send."""
    assert blocks([], "me", 1.0, 99.0) == ([], 0)


def test_origins_are_compared_by_what_they_say() -> None:
    """Two recorders of the same arm fill the same block."""
    again = Origin(MODEL, 1, Role.STABLE, REGRESSOR)

    made, _ = blocks([sample(1, origin=STABLE), sample(2, origin=again)], "me", 1.0, 99.0)

    assert len(made) == 1


@pytest.mark.parametrize(
    ("card", "inputs", "outputs"),
    [
        (Card(task=Task.OTHER), [], []),
        (Card(task=Task.OTHER, score=Score(output="score", column=0)), [], ["score"]),
        (Card(task=Task.OTHER, decision=Decision(output="mask")), [], ["mask"]),
        (Card(task=Task.OTHER, features=(Feature(name="age", input="row"),)), ["row"], []),
        (
            Card(task=Task.OTHER, features=(Feature(name="a", input="row", policy=Policy.DROP),)),
            [],
            [],
        ),
        (
            Card(
                task=Task.OTHER,
                features=(Feature(name="a", input="row", policy=Policy.DROP),),
                groups=(Group(name="a", source="feature"),),
            ),
            ["row"],
            [],
        ),
    ],
)
def test_only_what_a_monitor_reads_is_kept(
    card: Card, inputs: list[str], outputs: list[str]
) -> None:
    """An image, or a row of dropped features, does not fill the recorder's memory."""
    records = recorder()
    arm = records.arm(Origin.watched(MODEL, 1, Role.STABLE, PICTURE, card))
    image = np.zeros((2, 3, 224, 224), np.float32)
    row, score, mask = (np.full((2, 1), value, np.float32) for value in (1, 2, 3))

    arm.sample(0, "0" * 32, 2, ((image, row), (score, mask)), {})

    samples, _ = records.take()
    (block,), lost = blocks(samples, "me", 1.0, 99.0)
    assert (block.rows, lost) == (2, 0)
    assert sorted(block.inputs) == inputs
    assert sorted(block.outputs) == outputs
    values = {"row": 1, "score": 2, "mask": 3}
    for name, column in {**block.inputs, **block.outputs}.items():
        assert (column == values[name]).all()
    assert all(image is not tensor for sample in samples for tensor in sample.inputs)


def test_callers_own_ids_stand_beside_their_rows() -> None:
    """A row has that of its request; one that is empty or endless could be nobody's key."""
    labelled = Origin(MODEL, 1, Role.STABLE, REGRESSOR, labelled=True)
    ids = [
        ("mine", 2),
        (None, 1),
        ("", 1),
        ("x" * KEY_MAX, 1),
        ("x" * (KEY_MAX + 1), 1),
    ]
    samples = [
        sample(number, rows, origin=labelled)._replace(request_id=own)
        for number, (own, rows) in enumerate(ids)
    ]

    (block,), _ = blocks(samples, "me", 1.0, 99.0)

    assert block.request_ids is not None
    assert block.request_ids.dtype == object
    assert block.request_ids.tolist() == ["mine", "mine", None, None, "x" * KEY_MAX, None]
    empty = no_rows(labelled, "me", 1.0, 99.0)
    assert empty.request_ids is not None
    assert len(empty.request_ids) == 0


@pytest.mark.parametrize("awaits", [True, False])
def test_callers_own_ids_are_kept_where_labels_may_come(awaits: bool) -> None:
    """The card says so; any other version forgets them with the request."""
    card = Card(task=Task.OTHER, label=Label() if awaits else None)
    records = recorder()
    arm = records.arm(Origin.watched(MODEL, 1, Role.STABLE, REGRESSOR, card))
    row = np.zeros((1, 3), np.float32)

    arm.sample(0, "0" * 32, 1, ((row,), (row[:, :1],)), {}, "mine")

    samples, _ = records.take()
    assert [each.request_id for each in samples] == ["mine" if awaits else None]
    (block,), _ = blocks(samples, "me", 1.0, 99.0)
    assert (block.request_ids is not None) is awaits
    assert (no_rows(arm.origin, "me", 1.0, 99.0).request_ids is not None) is awaits
