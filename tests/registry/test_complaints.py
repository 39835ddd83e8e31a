"""What the runtime complains of is told without a word about the runtime's inside."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from registry.complaints import plain
from registry.trial import try_model
from tests.registry import models

_INSIDE = ("::", ".h:", "/onnxruntime", "ONNXRuntimeError", "\n")


def _misshapen() -> ModelProto:
    """A model that reshapes three numbers into 35."""
    return models.model(
        [helper.make_node("Reshape", ["x", "shape"], ["y"], name="mine")],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 7])],
        [numpy_helper.from_array(np.array([5, 7], np.int64), "shape")],
    )


def test_places_in_the_source_are_left_out() -> None:
    """The node and the reason stay; file, function and class of the runtime go."""
    with pytest.raises(Exception, match=r"\.h:\d+ onnxruntime::") as caught:
        try_model(_misshapen().SerializeToString())
    told = plain(caught.value)
    assert "Name:'mine'" in told
    assert "cannot be reshaped" in told
    assert [each for each in _INSIDE if each in told] == []


@pytest.mark.parametrize(
    "words", ["axis must be in [-rank, rank-1].", "no Op registered for Foo (domain: x)", ""]
)
def test_other_complaints_stay_as_they_are(words: str) -> None:
    """Nothing is lost that is no place in a source."""
    assert plain(ValueError(words)) == words
