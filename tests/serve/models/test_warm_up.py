"""What a model does before its first caller, and what is learnt from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from registry.signature import Datatype, Signature, TensorSpec
from serve.models.curve import Curve
from serve.models.frames import Tensors
from serve.models.session import Session
from serve.models.warm_up import warm_up
from tests.registry.models import regressor
from tests.serve.versions import REGRESSOR, signature


class Model:
    """A model whose runs take the time that a test says, on a clock of its own."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self._seconds = seconds
        self.now = 0.0
        self.ran: list[int] = []

    def __call__(self, tensors: Tensors) -> None:
        """Let the time of a run pass."""
        self.ran.append(len(tensors[0]))
        self.now += self._seconds(len(tensors[0]))

    def warmed(self, max_rows: int = 256) -> Curve:
        """The curve that is measured."""
        return warm_up(self, REGRESSOR, max_rows, lambda: self.now)


def test_a_quick_model_runs_each_size_at_least_three_times() -> None:
    """All sizes up to the largest are measured, the smallest once more before that."""
    model = Model(lambda rows: 1e-5 + 1e-6 * rows)

    curve = model.warmed(100)

    assert curve.rows == (1, 2, 4, 8, 16, 32, 64, 100)
    assert curve.seconds == pytest.approx([1e-5 + 1e-6 * rows for rows in curve.rows])
    assert min(map(model.ran.count, curve.rows)) >= 3
    assert model.now < 0.1


@pytest.mark.parametrize("each", [0.002, 0.005, 0.02])
def test_measuring_ends_when_its_time_is_over(each: float) -> None:
    """A model that pays for every row is not run with 256 of them."""
    model = Model(lambda rows: each * rows)

    curve = model.warmed()

    assert model.now < 0.8
    assert len(curve.rows) >= 2
    assert curve.at(256) == pytest.approx(256 * each)


@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_two_sizes_of_a_slow_model_are_measured(slope: float) -> None:
    """Whether more rows cost more is known of any model; a slow one runs once a size."""
    model = Model(lambda rows: 2.0 + slope * (rows - 1))

    curve = model.warmed()

    assert model.ran == [1, 2]
    assert curve.at(256) == pytest.approx(2.0 + slope * 255)


def test_what_disturbs_a_run_does_not_count() -> None:
    """The first run, and one that was interrupted, make no size slower than it is."""
    slow = iter([0.2, 0.001, 0.05, *[0.001] * 1000])
    model = Model(lambda _rows: next(slow))

    assert model.warmed(4).seconds == pytest.approx((0.001, 0.001, 0.001))


def test_no_batch_is_measured_that_would_not_be_sent() -> None:
    """Sizes end where batches do: at 64 MiB."""
    wide = signature(inputs=(-1, 4 * 2**20))
    model = Model(lambda _rows: 1e-3)

    curve = warm_up(model, wide, 256, lambda: model.now)

    assert curve.rows == (1, 2, 4)


def test_a_model_without_a_batch_is_run_as_it_is() -> None:
    """One row is all there is."""
    model = Model(lambda _rows: 1e-3)

    curve = warm_up(model, signature(inputs=(1, 3)), 256, lambda: model.now)

    assert curve.rows == (1,)
    assert set(model.ran) == {1}


def test_inputs_of_any_datatype_and_shape_are_made() -> None:
    """Strings are empty, sizes that vary are 1, and empty ones stay so."""
    inputs = (
        TensorSpec(name="a", datatype=Datatype.BYTES, shape=(-1, 2)),
        TensorSpec(name="b", datatype=Datatype.INT8, shape=(-1, -1, 0)),
    )
    seen: list[Tensors] = []

    warm_up(seen.append, Signature(inputs=inputs, outputs=()), 2)

    assert {tensor[0].shape for tensor in seen} == {(1, 2), (2, 2)}
    assert seen[-1][1].shape == (2, 1, 0)
    assert seen[-1][1].dtype == np.int8
    assert seen[-1][0].ravel().tolist() == [""] * 4


def test_a_real_model_is_measured() -> None:
    """A session of onnxruntime gives a curve that never falls."""
    session = Session(regressor().SerializeToString(), REGRESSOR, 1)

    curve = warm_up(session.run, REGRESSOR, 8)

    assert curve.rows == (1, 2, 4, 8)
    assert 0 < curve.seconds[0] <= curve.seconds[-1]
