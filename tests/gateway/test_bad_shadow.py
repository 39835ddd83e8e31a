"""A shadow version whose process dies of what it is sent costs nobody an answer."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from serve.control.client import ControlClient
from tests.gateway.asking import register, wait_for
from tests.gateway.load import keeps_up, load
from tests.gateway.running import Running
from tests.registry import models

pytestmark = pytest.mark.gateway


def test_a_shadow_that_crashes_costs_no_answer(gateway: Running, control: ControlClient) -> None:
    """It is registered and started, as it fails on live rows only; then it dies, under load."""
    model = "dying"
    register(control, model, models.regressor(1.0), _crashing())
    control.set_route(model, {1: 100}, shadow=(2, 100))
    (first,) = gateway.pids("version", model, 2)
    with load(gateway, model, 1.0) as tally:
        wait_for(lambda: first not in gateway.pids("version", model, 2), "its death", 60.0)
        keeps_up(tally)
        control.set_route(model, {1: 100})

    assert dict(tally.failures) == {}
    assert tally.silent == 0, "a connection was closed without notice"


def _crashing() -> ModelProto:
    """The regressor's signature; it divides the smallest integer by 1, or by -1 if x is not 0."""
    return models.model(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Sign", ["most"], ["live"]),
            helper.make_node("Cast", ["live"], ["number"], to=models.INT64),
            helper.make_node("Mul", ["number", "two"], ["twice"]),
            helper.make_node("Sub", ["one", "twice"], ["divisor"]),
            helper.make_node("Div", ["least", "divisor"], ["quotient"]),
            helper.make_node("Cast", ["quotient"], ["large"], to=models.FLOAT),
            helper.make_node("ReduceSum", ["x", "axes"], ["sum"]),
            helper.make_node("Add", ["sum", "large"], ["y"]),
        ],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            numpy_helper.from_array(np.array(1, np.int64), "one"),
            numpy_helper.from_array(np.array(2, np.int64), "two"),
            numpy_helper.from_array(np.array(np.iinfo(np.int64).min, np.int64), "least"),
        ],
    )
