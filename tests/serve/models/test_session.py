"""A loaded model runs batches in the order of its signature, and complains in our words."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from configs.errors import ModelFailed, Refused
from registry.inference import RunOptions
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.session import Session
from tests.registry.models import classifier, counting, regressor
from tests.serve.versions import REGRESSOR
from tests.serve.waiting import PATIENCE_S


def test_answers_come_in_the_signatures_order() -> None:
    """Outputs are given in the order that was asked for, with the model's own types."""
    label = TensorSpec(name="label", datatype=Datatype.INT64, shape=(-1,))
    scores = TensorSpec(name="scores", datatype=Datatype.FP32, shape=(-1, 2))
    inputs = (TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),)
    rows = np.array([[3, 3], [-3, -3]], np.float32)
    model = classifier().SerializeToString()

    one = Session(model, Signature(inputs=inputs, outputs=(label, scores)), 1).run([rows])
    other = Session(model, Signature(inputs=inputs, outputs=(scores, label)), 1).run([rows])

    assert one[0].tolist() == other[1].tolist() == [1, 0]
    np.testing.assert_array_equal(one[1], other[0])
    assert [tensor.dtype.name for tensor in one] == ["int64", "float32"]


@pytest.mark.parametrize(
    "model",
    [b"", b"not a model", regressor().SerializeToString()[:60]],
    ids=["empty", "text", "cut"],
)
def test_what_does_not_load_is_refused(model: bytes) -> None:
    """A file that is no model raises `Refused`."""
    with pytest.raises(Refused, match="does not load"):
        Session(model, REGRESSOR, 1)


def test_what_does_not_run_has_failed() -> None:
    """Rows of a width that the model cannot take raise `ModelFailed` with its complaint."""
    session = Session(regressor().SerializeToString(), REGRESSOR, 1)

    with pytest.raises(ModelFailed, match="the model failed"):
        session.run([np.ones((1, 7), np.float32)])


def test_a_run_ends_when_its_options_say_so() -> None:
    """A run that would take hours ends soon after another thread asks for it."""
    session = Session(counting().SerializeToString(), REGRESSOR, 1)
    options = RunOptions()
    complaints: list[str] = []

    def run() -> None:
        try:
            session.run([np.ones((1, 3), np.float32)], options)
        except ModelFailed as error:
            complaints.append(error.message)

    running = threading.Thread(target=run)
    running.start()
    running.join(0.1)
    assert running.is_alive()
    options.terminate = True
    running.join(PATIENCE_S)

    assert not running.is_alive()
    assert "terminate" in complaints[0]
