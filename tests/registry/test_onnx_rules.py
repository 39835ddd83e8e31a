"""Nothing outside the file and nothing outside the standard gets past the rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from onnx import ModelProto, SparseTensorProto, helper

from configs.errors import Refused
from registry.onnx_rules import parse, refuse_custom_operators, refuse_external_data
from tests.registry import models


def _sparse() -> SparseTensorProto:
    return SparseTensorProto(values=models.external(), dims=[3])


def _in_sparse_values() -> ModelProto:
    made = models.regressor()
    made.graph.sparse_initializer.append(_sparse())
    return made


def _in_sparse_indices() -> ModelProto:
    made = models.regressor()
    made.graph.sparse_initializer.add(indices=models.external(), dims=[3])
    return made


def _in_attribute() -> ModelProto:
    made = models.regressor()
    made.graph.node.append(helper.make_node("Constant", [], ["c"], value=models.external()))
    return made


def _in_sparse_attribute() -> ModelProto:
    made = models.regressor()
    made.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=_sparse()))
    return made


def _in_subgraph() -> ModelProto:
    made = models.endless()
    made.graph.node[0].attribute[0].g.initializer.append(models.external())
    return made


def _in_function() -> ModelProto:
    made = models.regressor()
    node = helper.make_node("Constant", [], ["c"], value=models.external())
    made.functions.add(name="f", domain="", node=[node])
    return made


def _in_training() -> ModelProto:
    made = models.regressor()
    made.training_info.add().algorithm.initializer.append(models.external())
    return made


def _in_memory_address() -> ModelProto:
    made = models.regressor()
    made.graph.initializer[0].external_data.add(key="location", value="*/_ORT_MEM_ADDR_/*")
    return made


@pytest.mark.parametrize(
    "build",
    [
        models.with_external_data,
        _in_sparse_values,
        _in_sparse_indices,
        _in_attribute,
        _in_sparse_attribute,
        _in_subgraph,
        _in_function,
        _in_training,
        _in_memory_address,
    ],
)
def test_external_data_is_refused_wherever_it_hides(build: Callable[[], ModelProto]) -> None:
    """Initializers, attributes, sparse parts, subgraphs, functions: all are looked into."""
    with pytest.raises(Refused, match="in another file"):
        refuse_external_data(build())


def _custom_in_subgraph() -> ModelProto:
    made = models.endless()
    made.graph.node[0].attribute[0].g.node[1].domain = "com.example"
    return made


def _custom_function() -> ModelProto:
    made = models.regressor()
    made.functions.add(name="f", domain="com.example")
    return made


@pytest.mark.parametrize("build", [models.custom_operator, _custom_in_subgraph, _custom_function])
def test_a_custom_domain_is_refused_by_name(build: Callable[[], ModelProto]) -> None:
    """The error says which domain was found, wherever it stands."""
    with pytest.raises(Refused, match=r"custom domain 'com\.example'"):
        refuse_custom_operators(build())


@pytest.mark.parametrize("build", [models.regressor, models.classifier, models.endless])
def test_standard_models_pass(build: Callable[[], ModelProto]) -> None:
    """What holds only standard operators and its own data is let through."""
    made = parse(build().SerializeToString())
    refuse_external_data(made)
    refuse_custom_operators(made)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file"),
        (b"\x00\x00\x00\x00ORTM", ".ort format"),
        (b"\xff\xfe\xfd\xfc", "not an ONNX model"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_other_files_are_refused_with_what_they_are(data: bytes, said: str) -> None:
    """A file in another format is named, where it can be."""
    with pytest.raises(Refused, match=said):
        parse(data)
