"""A small stable model, and candidates for it that misbehave once they meet live rows.

All take `x` of [N, 4] and should give `y` of [N, 1], the sum of a row and one. Columns: a question,
a second number, how many MiB the run may take (for the one that eats memory), and 1 in all rows
that clients send. The last is 0 in what a model is verified and warmed up with, so that all of them
are registered and started; those of `at_once` misbehave then, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

COLUMNS = 4
SLEEPER = "sleeper"
"""The producer of the model that the hook in `sleeper/` has sleep."""

_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64
_MIB = 2**18
"""Floats in a MiB."""
_GIB = 1024 * _MIB

_node = helper.make_node


def good(producer: str = "weir") -> bytes:
    """The stable model; another producer makes another file of it."""
    return _model([_node("Identity", ["right"], ["y"])], [], producer)


def sleeping() -> bytes:
    """A model that answers after 30 s, if the gateway was started with the hook in `sleeper/`."""
    return good(SLEEPER)


def failing() -> bytes:
    """Raise: take an element that is not there."""
    return _model(
        [
            _node("Cast", ["live"], ["place"], to=_INT64),
            _node("Gather", ["one", "place"], ["found"]),
            _node("Mul", ["right", "found"], ["y"]),
        ],
        [_constant("one", np.ones(1, np.float32))],
    )


def crashing(live: str = "live") -> bytes:
    """End the process by SIGFPE: divide the smallest integer by minus one."""
    return _model(
        [
            _node("Cast", [live], ["number"], to=_INT64),
            _node("Mul", ["number", "two"], ["twice"]),
            _node("Sub", ["one", "twice"], ["divisor"]),
            _node("Div", ["least", "divisor"], ["quotient"]),
            _node("Cast", ["quotient"], ["large"], to=_FLOAT),
            _node("Mul", ["large", "nought"], ["nothing"]),
            _node("Add", ["right", "nothing"], ["y"]),
        ],
        [
            _constant("one", np.array(1, np.int64)),
            _constant("two", np.array(2, np.int64)),
            _constant("least", np.array(np.iinfo(np.int64).min, np.int64)),
            _constant("nought", np.array(0, np.float32)),
        ],
    )


def endless(live: str = "live") -> bytes:
    """Count up to 2^62, on one core."""
    inputs = [
        helper.make_tensor_value_info("turn", _INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("count", _FLOAT, ["N", 1]),
    ]
    outputs = [
        helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("more", _FLOAT, ["N", 1]),
    ]
    body = helper.make_graph(
        [_node("Identity", ["go"], ["go_on"]), _node("Sin", ["count"], ["more"])],
        "body",
        inputs,
        outputs,
    )
    return _model(
        [
            _node("Cast", [live], ["number"], to=_INT64),
            _node("Mul", ["number", "many"], ["turns"]),
            _node("Loop", ["turns", "", "right"], ["y"], body=body),
        ],
        [_constant("many", np.array(2**62, np.int64))],
    )


def eating() -> bytes:
    """Take as many MiB as the row says; ONNX Runtime keeps what it once took."""
    return _model(
        [
            _node("ReduceMax", ["x", "rows"], ["most"], keepdims=1),
            _node("Slice", ["most", "third", "fourth", "columns"], ["mib"]),
            *_filled("mib", _MIB),
            _node("Add", ["right", "nothing"], ["y"]),
        ],
        [
            _constant("third", np.array([2], np.int64)),
            _constant("fourth", np.array([3], np.int64)),
        ],
        opset=18,
    )


def huge() -> bytes:
    """Take 10 GiB at once."""
    return _model(
        [
            _node("Add", ["live", "ten"], ["gib"]),
            *_filled("gib", _GIB),
            _node("Add", ["right", "nothing"], ["y"]),
        ],
        [_constant("ten", np.array(10, np.float32))],
    )


def not_a_number(live: str = "live") -> bytes:
    """Answer NaN: the logarithm of a negative number."""
    return _model(
        [
            _node("Mul", [live, "two"], ["twice"]),
            _node("Sub", ["one", "twice"], ["below"]),
            _node("Log", ["below"], ["nothing"]),
            _node("Add", ["right", "nothing"], ["y"]),
        ],
        [_constant("one", np.array(1, np.float32)), _constant("two", np.array(2, np.float32))],
    )


def wide(live: str = "live", megabytes: int = 0) -> bytes:
    """Answer more columns than it says: two, or so many MiB."""
    more = megabytes * _MIB - 1 if megabytes else 1
    return _model(
        [
            _node("Cast", [live], ["number"], to=_INT64),
            _node("Mul", ["number", "more"], ["further"]),
            _node("Add", ["further", "one"], ["width"]),
            _node("Concat", ["one", "width"], ["shape"], axis=0),
            _node("Expand", ["right", "shape"], ["y"]),
        ],
        [
            _constant("one", np.array([1], np.int64)),
            _constant("more", np.array([more], np.int64)),
        ],
    )


def at_once() -> dict[str, bytes]:
    """Those that misbehave on the rows of the verification already."""
    return {
        "crashes": crashing("certain"),
        "hangs (counts for ever)": endless("certain"),
        "takes 10 GiB": huge(),
        "NaN": not_a_number("certain"),
        "the wrong shape": wide("certain"),
        "1 GiB": wide("certain", 1024),
    }


def _filled(gib: str, unit: int) -> list[NodeProto]:
    """Nodes that fill so many floats, times `unit`, and make `nothing` of them."""
    size = helper.make_node("Constant", [], ["unit"], value=_constant("", np.array(unit, np.int64)))
    return [
        size,
        _node("Cast", [gib], ["wanted"], to=_INT64),
        _node("Mul", ["wanted", "unit"], ["floats"]),
        _node("Reshape", ["floats", "flat"], ["room"]),
        _node("ConstantOfShape", ["room"], ["zeros"]),
        _node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
    ]


def _model(
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    producer: str = "weir",
    opset: int = 18,
) -> bytes:
    """Nodes that make `y` of the `right` answer, of `live`, and of `certain`, which is one."""
    head = [
        _node("MatMul", ["x", "ones"], ["sum"]),
        _node("Add", ["sum", "bias"], ["right"]),
        _node("Slice", ["x", "last", "end", "columns"], ["lives"]),
        _node("ReduceMax", ["lives", "rows"], ["live_column"], keepdims=1),
        _node("Reshape", ["live_column", "flat"], ["live"]),
        _node("Mul", ["live", "zero"], ["never"]),
        _node("Add", ["never", "bias"], ["certain"]),
    ]
    shared = [
        _constant("ones", np.ones((COLUMNS, 1), np.float32)),
        _constant("bias", np.ones(1, np.float32)),
        _constant("zero", np.zeros(1, np.float32)),
        _constant("last", np.array([COLUMNS - 1], np.int64)),
        _constant("end", np.array([COLUMNS], np.int64)),
        _constant("columns", np.array([1], np.int64)),
        _constant("rows", np.array([0], np.int64)),
        _constant("flat", np.array([-1], np.int64)),
    ]
    graph = helper.make_graph(
        [*head, *nodes],
        "graph",
        [helper.make_tensor_value_info("x", _FLOAT, ["N", COLUMNS])],
        [helper.make_tensor_value_info("y", _FLOAT, ["N", 1])],
        initializer=[*shared, *constants],
    )
    made: ModelProto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
        producer_name=producer,
    )
    return bytes(made.SerializeToString(deterministic=True))


def _constant(name: str, values: NDArray[np.generic]) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)
