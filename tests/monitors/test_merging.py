"""Small blocks become one, row under row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitors.blocks import SampleBlock
from monitors.labels.assigned import Assigned
from monitors.merging import alike, joined
from monitors.stats.uniforms import row_keys
from tests.monitors.samples import block, columns, part

WHOLE = block(columns(np.random.default_rng(0), 30))


def test_parts_joined_are_the_whole() -> None:
    """Ids, row numbers, inputs, outputs and groups stand in their order."""
    parts = [part(WHOLE, 0, 7), part(WHOLE, 7, 8), part(WHOLE, 8, 30)]

    found = joined(parts)

    assert found.rows == 30
    np.testing.assert_array_equal(found.prediction_ids, WHOLE.prediction_ids)
    np.testing.assert_array_equal(found.row_numbers, WHOLE.row_numbers)
    for tensors, expected in (
        (found.inputs, WHOLE.inputs),
        (found.outputs, WHOLE.outputs),
        (found.groups, WHOLE.groups),
    ):
        assert set(tensors) == set(expected)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, expected[name])


@pytest.mark.parametrize(
    "other",
    [
        replace(WHOLE, rate=0.5),
        replace(WHOLE, groups={}),
        replace(WHOLE, inputs={**WHOLE.inputs, "x": np.zeros((30, 3), np.float32)}),
        replace(WHOLE, inputs={**WHOLE.inputs, "x": np.zeros((30, 2), np.float64)}),
    ],
)
def test_blocks_that_differ_are_not_joined(other: SampleBlock) -> None:
    """Rates, group attributes, shapes and data types are the same, or blocks stay apart."""
    assert not alike(WHOLE, other)
    assert alike(WHOLE, part(WHOLE, 0, 3))


def test_a_joined_block_has_the_keys_of_its_own_rows() -> None:
    """Also when a part was asked for its keys before."""
    parts = [part(WHOLE, 0, 7), part(WHOLE, 7, 30)]
    for each in parts:
        each.keys()

    found = joined(parts)

    np.testing.assert_array_equal(found.keys(), row_keys(WHOLE.prediction_ids, WHOLE.row_numbers))
    np.testing.assert_array_equal(parts[1].keys(), found.keys()[7:])


def test_counts_of_requests_add_up() -> None:
    """Of all that were joined."""
    parts = [replace(part(WHOLE, 0, 7), answered=10, refused=2), part(WHOLE, 7, 30)]
    found = joined(parts)
    assert (found.answered, found.refused) == (33, 2)


def test_units_of_a_rollout_stay_at_their_rows() -> None:
    """Also beside blocks in which no row stands for one."""
    arm = Assigned("r", 7, "candidate")
    marks = np.full(3, None, dtype=np.object_)
    marks[1] = arm
    one, other = part(WHOLE, 0, 3), part(WHOLE, 3, 5)

    assert joined([one, other]).assigned is None
    found = joined([other, replace(one, assigned=marks), other]).assigned
    assert found is not None
    assert found.tolist() == [None, None, None, arm, None, None, None]
