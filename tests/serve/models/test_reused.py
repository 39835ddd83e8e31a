"""Runs into memory that is used again give what other runs give."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from configs.errors import ModelFailed
from registry.inference import RunOptions
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.frames import COPIED_BYTES
from serve.models.session import Session
from tests.registry.models import classifier, model, regressor, tensor
from tests.serve.versions import REGRESSOR, signature


def _regressor() -> Session:
    return Session(regressor().SerializeToString(), REGRESSOR, 1)


def test_every_size_is_answered_as_by_an_ordinary_run() -> None:
    """Sizes that come and go, in any order, more of them than have buffers."""
    session, draw = _regressor(), np.random.default_rng(1)
    for rows in [*range(1, 90), *draw.integers(1, 90, 100)]:
        batch = draw.random((rows, 3), np.float32)
        np.testing.assert_array_equal(session.run_brief([batch])[0], session.run([batch])[0])


def test_outputs_have_the_order_and_the_types_of_the_signature() -> None:
    """Two outputs of two types, against the order of the model."""
    spec = Signature(
        inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),),
        outputs=(
            TensorSpec(name="scores", datatype=Datatype.FP32, shape=(-1, 2)),
            TensorSpec(name="label", datatype=Datatype.INT64, shape=(-1,)),
        ),
    )
    session = Session(classifier().SerializeToString(), spec, 1)
    rows = np.array([[3, 3], [-3, -3]], np.float32)

    scores, label = session.run_brief([rows])

    assert label.tolist() == [1, 0]
    np.testing.assert_array_equal(scores, session.run([rows])[0])


def test_the_memory_is_used_again_but_not_when_a_run_may_overlap() -> None:
    """A run in a thread, which has options, has memory of its own."""
    session = _regressor()
    (one,) = session.run_brief([np.ones((1, 3), np.float32)])
    (own,) = session.run_brief([np.ones((1, 3), np.float32)], RunOptions())
    (two,) = session.run_brief([np.zeros((1, 3), np.float32)])

    assert two is one
    assert (own.tolist(), two.tolist()) == ([[4.0]], [[1.0]])


def test_what_is_too_large_to_be_copied_has_memory_of_its_own() -> None:
    """A frame lends the memory of a large tensor, so that must not be written to again."""
    session, rows = _regressor(), COPIED_BYTES // 4 + 1
    (one,) = session.run_brief([np.ones((rows, 3), np.float32)])
    (two,) = session.run_brief([np.zeros((rows, 3), np.float32)])

    assert one is not two
    assert one[0, 0] == 4.0


@pytest.mark.parametrize("shape", [(1, 7), (1, 3, 1)])
def test_what_the_model_complains_of_is_told(shape: tuple[int, ...]) -> None:
    """The wrong width and the wrong rank fail as in an ordinary run, and harm no later run."""
    session = _regressor()
    with pytest.raises(ModelFailed, match="the model failed"):
        session.run_brief([np.ones(shape, np.float32)])

    assert session.run_brief([np.ones((1, 3), np.float32)])[0].tolist() == [[4.0]]


def test_a_model_that_gives_another_shape_than_it_declares_is_still_answered() -> None:
    """The buffer has the declared width; an answer that does not fit it goes the ordinary way."""
    node = helper.make_node("Concat", ["x", "x"], ["y"], axis=1)
    made = model([node], [tensor("x", ["N", "M"])], [tensor("y", ["N", 3], TensorProto.FLOAT)])
    session = Session(made.SerializeToString(), signature(outputs=3), 1)

    (answer,) = session.run_brief([np.ones((1, 3), np.float32)])

    assert answer.shape == (1, 6)
