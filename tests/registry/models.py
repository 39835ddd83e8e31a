"""Small ONNX models, built by hand, good and hostile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64
STRING = TensorProto.STRING

Shape = Sequence[int | str | None] | None


def tensor(name: str, shape: Shape, kind: int = FLOAT) -> ValueInfoProto:
    """The declaration of an input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
) -> ModelProto:
    """A model of these nodes, with the operators of the standard."""
    graph = helper.make_graph(
        nodes, "graph", list(inputs), list(outputs), initializer=list(initializers)
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def regressor(bias: float = 1.0) -> ModelProto:
    """The sum of three features and a bias: one row in, one row out."""
    return model(
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        [tensor("x", ["N", 3])],
        [tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.ones((3, 1), np.float32), "weights"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )


def scorer(columns: int) -> ModelProto:
    """Three features in, so many numbers out, each a weighted sum of them."""
    weights = np.random.default_rng(0).standard_normal((3, columns)).astype(np.float32)
    return model(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", ["N", 3])],
        [tensor("y", ["N", columns])],
        [numpy_helper.from_array(weights, "weights")],
    )


def counting() -> ModelProto:
    """A model of the regressor's signature that counts for hours before it answers."""
    return _counting([], [numpy_helper.from_array(np.array(2**62, np.int64), "turns")])


def counting_to() -> ModelProto:
    """The same, but it counts no further than the largest number that it is given."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["turns"], to=INT64),
    ]
    return _counting(nodes, [])


def _counting(nodes: list[NodeProto], initializers: list[TensorProto]) -> ModelProto:
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["count", "one"], ["more"]),
        ],
        "body",
        [tensor("turn", [], INT64), tensor("go", [], TensorProto.BOOL), tensor("count", ["N", 1])],
        [tensor("go_on", [], TensorProto.BOOL), tensor("more", ["N", 1])],
        initializer=[one],
    )
    return model(
        [
            *nodes,
            helper.make_node("ReduceSum", ["x", "axes"], ["sum"]),
            helper.make_node("Loop", ["turns", "", "sum"], ["y"], body=body),
        ],
        [tensor("x", ["N", 3])],
        [tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            *initializers,
        ],
    )


def classifier(zipmap: bool = False) -> ModelProto:
    """Two classes over two features, with a label and probabilities, as converters write it."""
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[-1.0, -1.0, 1.0, 1.0],
            intercepts=[0.0, 0.0],
            classlabels_ints=[0, 1],
            post_transform="SOFTMAX",
        )
    ]
    scores = tensor("scores", [None, 2])
    if zipmap:
        nodes.append(
            helper.make_node(
                "ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]
            )
        )
        element = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
        scores = helper.make_value_info("maps", helper.make_sequence_type_proto(element))
    return model(nodes, [tensor("x", [None, 2])], [tensor("label", [None], INT64), scores])


def custom_operator() -> ModelProto:
    """A node that only a plug-in could run."""
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.example")
    made = model([node], [tensor("x", ["N", 3])], [tensor("y", ["N", 3])])
    made.opset_import.append(helper.make_opsetid("com.example", 1))
    return made


def huge(elements: int = 10 * 2**30 // 4) -> ModelProto:
    """A file of a few hundred bytes that asks for 10 GB."""
    return model(
        [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["total"], keepdims=1),
            helper.make_node("Add", ["x", "total"], ["y"]),
        ],
        [tensor("x", ["N"])],
        [tensor("y", ["N"])],
        [numpy_helper.from_array(np.array([elements], np.int64), "size")],
    )


def endless() -> ModelProto:
    """A loop of 2^62 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["carried"], ["carried_on"]),
        ],
        "body",
        [
            tensor("round", [], INT64),
            tensor("go", [], TensorProto.BOOL),
            tensor("carried", ["N"]),
        ],
        [tensor("go_on", [], TensorProto.BOOL), tensor("carried_on", ["N"])],
    )
    return model(
        [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], body=body)],
        [tensor("x", ["N"])],
        [tensor("y", ["N"])],
        [
            numpy_helper.from_array(np.array(2**62, np.int64), "rounds"),
            numpy_helper.from_array(np.array(True), "yes"),
        ],
    )


def external(values: TensorProto | None = None) -> TensorProto:
    """A tensor whose values stand in a file that the model must never read."""
    outside = values or numpy_helper.from_array(np.ones((3, 1), np.float32), "weights")
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../etc/passwd")
    return outside


def with_external_data() -> ModelProto:
    """The regressor with its weights in another file."""
    made = regressor()
    external(made.graph.initializer[0])
    return made
