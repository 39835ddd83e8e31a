"""What is kept of requests: by the id alone, in halves, in columns that fit together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.records import Role
from registry.signature import Datatype, Signature, TensorSpec
from serve.recorder.samples import DRAWS, Dial, Origin, Sample, blocks
from tests.serve.recorder.sampling import STABLE, sample
from tests.serve.versions import MODEL, REGRESSOR


@given(
    st.floats(1, 1e5),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.01, 10)), max_size=30),
)
def test_rates_are_halves_of_one(target: float, history: list[tuple[int, float]]) -> None:
    """Whatever the traffic, the rate is a power of a half, so that lower rates nest in higher."""
    dial = Dial(target)

    for rows, seconds in history:
        dial.turn(rows, seconds)
        mantissa, _ = np.frexp(dial.rate)
        assert mantissa == 0.5
        assert 0 < dial.rate <= 1
        assert dial.limit == int(dial.rate * DRAWS)


@given(st.integers(10, 10**7), st.floats(10, 1e4))
def test_the_rate_settles_near_its_target(traffic: int, target: float) -> None:
    """Under steady traffic the dial keeps between 45 % and 100 % of the target, or everything."""
    dial = Dial(target)

    for _ in range(40):
        dial.turn(int(traffic * dial.rate), 1.0)

    kept = traffic * dial.rate
    assert kept <= target + 1
    assert dial.rate == 1.0 or kept >= 0.44 * target - 1


def test_a_burst_is_answered_at_once() -> None:
    """One look is enough to come down, and each further look may go up one step."""
    dial = Dial(100.0)
    dial.turn(10_000, 1.0)
    assert dial.rate == 1 / 128

    dial.turn(0, 1.0)
    assert dial.rate == 1 / 64


def test_a_dial_at_zero_keeps_nothing() -> None:
    """A recorder that is switched off never comes on by itself."""
    dial = Dial(0.0)
    dial.turn(0, 1.0)

    assert (dial.rate, dial.limit) == (0.0, 0)


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


def test_samples_give_way_while_requests_are_refused() -> None:
    """Each look at refusals halves the rate, down to 1/1024; afterwards it recovers in steps."""
    dial = Dial(1000.0)
    rates = []
    for _ in range(12):
        dial.turn(0, 1.0, refusing=True)
        rates.append(dial.rate)
    for _ in range(10):
        dial.turn(0, 1.0)

    assert rates[:3] == [1 / 2, 1 / 4, 1 / 8]
    assert rates[-1] == 1 / 1024
    assert dial.rate == 1.0


def test_refusals_do_not_raise_a_rate_that_is_low() -> None:
    """A rate that traffic has brought below 1/1024 stays there."""
    dial = Dial(1.0)
    dial.turn(100_000, 1.0)
    low = dial.rate
    dial.turn(0, 1.0, refusing=True)

    assert dial.rate == low < 1 / 1024
